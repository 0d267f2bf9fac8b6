#!/usr/bin/python3
"""Writes tests/fuzz/corpus: for each target a few inputs that are valid, so that a fuzzer starts
from inside the formats. Uses the protocol as the interoperability tests speak it."""

import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))
import protocol as p  # noqa: E402

ALIVE = p.alive("friend", "10.0.0.3")
STATE = p.push_pull([p.node_state("friend", "10.0.0.3"),
                     p.node_state("gone", "10.0.0.4", state=p.STATE_DEAD)],
                    p.serf_state(7, {"friend": 3, "gone": 4}, ["gone"], 5, 6,
                                 [None, {"Events": [{"Name": "e", "Payload": b"x"}], "LTime": 3}]),
                    join=True)
DATAGRAMS = {
    "ping": p.ping("self"),
    "ping-source": p.ping("self", SourceAddr=p.address("10.0.0.3"), SourcePort=7946,
                          SourceNode="friend"),
    "indirect": p.message(p.INDIRECT_PING, {"Nack": True, "Node": "friend", "Port": 7946,
                                            "SeqNo": 3, "Target": p.address("10.0.0.3")}),
    "ack": p.message(p.ACK, {"Payload": None, "SeqNo": 1}),
    "nack": p.message(p.NACK, {"SeqNo": 1}),
    "alive": ALIVE,
    "suspect": p.suspect("friend"),
    "suspect-self": p.suspect("self"),
    "dead": p.dead("friend"),
    "left": p.dead("friend", accuser="friend"),
    "join": p.join_intent("friend", 5),
    "leave": p.leave_intent("friend", 6, True),
    "event": p.user_event("deploy", 4, b"payload"),
    "query": p.query("load", 4, "10.0.0.3", 7946, filters=[b"\x00\x91\xa4self"]),
    "compound": p.with_crc(p.compound(ALIVE, p.join_intent("friend", 2), p.ping("self"))),
    "compressed": p.compress(p.compound(ALIVE, p.suspect("friend"))),
}


def rpc(command, seq, body=None):
    return p.pack({"Command": command, "Seq": seq}) + (b"" if body is None else p.pack(body))


RPC = {
    "session": rpc("handshake", 1, {"Version": 1}) + rpc("auth", 2, {"AuthKey": "k"}) +
    rpc("members", 3) + rpc("join", 4, {"Existing": ["10.0.0.1", "x"], "Replay": False}) +
    rpc("members-filtered", 5, {"Name": "a.*", "Status": "alive", "Tags": {"role": "w.*"}}) +
    rpc("stream", 6, {"Type": "member-join,user:x"}) + rpc("monitor", 7, {"LogLevel": "debug"}) +
    rpc("tags", 8, {"DeleteTags": ["a"], "Tags": {"b": "c"}}) + rpc("stop", 9, {"Stop": 6}) +
    rpc("force-leave", 10, {"Node": "x", "Prune": True}) + rpc("stats", 11) + rpc("leave", 12),
    "questions": rpc("handshake", 1, {"Version": 1}) +
    rpc("event", 2, {"Coalesce": True, "Name": "deploy", "Payload": b"x"}) +
    rpc("stream", 3, {"Type": "query:load,user"}) +
    rpc("query", 4, {"FilterNodes": ["a", "b"], "FilterTags": {"role": "^w.*"}, "Name": "load",
                     "Payload": b"y", "RelayFactor": 3, "RequestAck": True, "Timeout": 10**9}) +
    rpc("query", 5, {"FilterNodes": None, "FilterTags": None, "Name": "_serf_ping",
                     "Timeout": -1}) +
    rpc("respond", 6, {"ID": 1, "Payload": b"z" * 40}) +
    rpc("get-coordinate", 7, {"Node": "a"}) + rpc("stop", 8, {"Stop": 3}),
    "keys": rpc("handshake", 1, {"Version": 1}) +
    rpc("install-key", 2, {"Key": "AAECAwQFBgcICQoLDA0ODw=="}) +
    rpc("use-key", 3, {"Key": "AAECAwQFBgcICQoLDA0ODw=="}) +
    rpc("remove-key", 4, {"Key": "*"}) + rpc("list-keys", 5),
}
CONFIG = {
    "full": b'{"node_name": "x", "bind": "127.0.0.1:7946", "tags": {"role": "web"}, "protocol": 5, '
            b'"retry_join": ["a", "b:1"], "retry_interval": "1m30s", "leave_on_terminate": true, '
            b'"event_handlers": ["user:x=y"], "user_event_size_limit": 512, "mdns": '
            b'{"interface": "lo", "disable_ipv4": false}}',
    "unknown": b'{"bogus": 1}',
}
KEYRING = {"two": b'["MDEyMzQ1Njc4OWFiY2RlZg==", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]'}
SNAPSHOT = {
    "life": b"\0alive: n1 127.0.0.1:7946\nalive: n2 [::1]:7946\nclock: 1\nnot-alive: n2\n"
            b"event-clock: 3\nquery-clock: 4\n# x\ncoordinate: {}\nalive: n1 127.0.0.9:7946\n",
    "leave": b"\0alive: a 10.0.0.1:1\nclock: 5\nleave\nclock: 6\n",
    "rejoin": b"\1alive: a b 10.0.0.1:1\nclock: 5\nleave\n",
    "failed": b"\0alive: n1 127.0.0.1:7946\n# failed: n2 127.0.0.2:7946 1699999999\n"
              b"# failed: long ago [::1]:7946 5\nnot-alive: n1\n# failed: n1 127.0.0.1:7946 9\n"
              b"# failed: n3 10.0.0.3:1\n# failed: n4 10.0.0.4:4 1700000001\n",
    "torn": b"\0alive: a 10.0.0.1:1\nclock: x\n\0\0\0\nalive: b 10.0.0.2:",
}




def dns_name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def dns_record(name, kind, data):
    return name + struct.pack(">HHIH", kind, 1, 120, len(data)) + data


POINTER = b"\xc0\x0c"  # to the name of the first question, or record
DNS = {
    "question": struct.pack(">6H", 1, 0, 1, 0, 0, 0) + dns_name("_serf_blue._tcp.local") +
    struct.pack(">HH", 12, 1),
    "answer": struct.pack(">6H", 1, 0x8400, 0, 2, 0, 3) +
    dns_record(dns_name("_serf_blue._tcp.local"), 12, b"\2n1" + POINTER) +
    dns_record(b"\2n1" + POINTER, 33, struct.pack(">HHH", 10, 1, 7946) + dns_name("box")) +
    dns_record(dns_name("box"), 1, b"\x0a\0\0\x03") +
    dns_record(dns_name("box"), 28, b"\xfd" + bytes(14) + b"\1") +
    dns_record(b"\2n1" + POINTER, 16, b"\4text"),
    "mapped": struct.pack(">6H", 1, 0x8400, 0, 1, 0, 0) +
    dns_record(dns_name("box"), 28, bytes(10) + b"\xff\xff\x0a\0\0\3"),
    "loop": struct.pack(">6H", 1, 0x8400, 0, 1, 0, 0) + dns_record(POINTER, 5, POINTER),
}

HTTP = {
    "get": b"GET /health/ready?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    "head": b"HEAD /metrics HTTP/1.0\n\n",
    "post": b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
}


def chunk(data):
    return bytes([len(data) & 0xff, len(data) >> 8]) + data


def core(*steps):
    """Steps of fuzz_core: operation, endpoint, stream index, then what the operation takes."""
    return b"\x01\x00" + b"".join(steps)


def packet(data):
    return bytes([0, 3, 0]) + chunk(data)


WAIT = bytes([4, 0, 0, 50])
CORE = {
    "life": core(packet(DATAGRAMS["alive"]), WAIT, packet(DATAGRAMS["suspect"]), WAIT,
                 packet(DATAGRAMS["join"]), packet(DATAGRAMS["left"]), WAIT,
                 bytes([11, 0, 0]) + chunk(b"10.0.0.3"), bytes([9, 0, 0]),
                 bytes([7, 0, 0]) + chunk(STATE), WAIT, bytes([13, 0, 0]) + chunk(b"")),
    "accepted": core(bytes([6, 3, 0]), bytes([7, 3, 0]) + chunk(STATE), WAIT,
                     bytes([5, 0, 0, 200]), bytes([65, 0, 0]) + chunk(b"")),
    "policy": core(bytes([103, 0, 0]) + chunk(b"serf"), WAIT, bytes([66, 3, 0, 0]),
                   bytes([9, 0, 0]), bytes([7, 0, 0]) + chunk(STATE), WAIT, WAIT),
}
def response(ltime, number, name, flags=0, payload=b"p"):
    return bytes([p.USER, 5]) + p.pack({"Flags": flags, "From": name, "ID": number,
                                        "LTime": ltime, "Payload": payload})


CORE["questions"] = core(bytes([14, 0, 0]) + chunk(b"deploy"), bytes([15 + 36, 0, 0]) + chunk(b"q"),
                         packet(response(1, 7, "friend")), WAIT,
                         packet(DATAGRAMS["query"]), bytes([16, 0, 0]) + chunk(b"answer") + b"\0\0",
                         bytes([17, 0, 0]) + chunk(b"fedcba9876543210"), WAIT, WAIT)
CORE["keys"] = b"\x01\x01" + CORE["questions"][2:]
STREAMS = {
    "push-pull": STATE, "compressed": p.compress(STATE), "ping": p.ping("self"),
    "user": p.message(p.USER, {"UserMsgLen": 3}) + b"abc",
    "error": p.message(p.ERR, {"Error": "no"}),
    "sealed": bytes([p.ENCRYPT]) + struct.pack(">I", 40) + b"\x01" * 40,
    "label": bytes([p.LABEL, 4]) + b"blue" + p.ping("self"),
}

PODS = (b'{"kind": "PodList", "metadata": {"continue": "mark"}, "items": [{"metadata": {"annotations": '
        b'{"consul.hashicorp.com/auto-join-port": "gossip"}}, "spec": {"containers": [{"ports": [{'
        b'"name": "gossip", "containerPort": 7946, "hostPort": 7947}]}]}, "status": {"phase": '
        b'"Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "fd00::1"}], "hostIP": "10.1.0.1"}}]}')
SLICES = (b'{"items": [{"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1", "10.0.0.2"], '
          b'"conditions": {"ready": false, "terminating": true}}, {"addresses": ["10.0.0.3"]}]}]}')
# The first byte of fuzz_kube: 0 an answer, 1 a list, 2 settings.
KUBE = {
    "sized": b"\0HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PODS) + PODS,
    "chunked": b"\0HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
               b"\r\n%x;a=b\r\n%s\r\n0\r\nTrailer: x\r\n\r\n" % (len(SLICES), SLICES),
    "refusal": b'\0HTTP/1.1 403 Forbidden\r\n\r\n{"kind": "Status", "message": "forbidden"}',
    "pods": b"\1" + PODS, "slices": b"\1" + SLICES,
    "settings": b'\2provider=k8s namespace=prod label_selector="app=serf,tier in (\\"a\\")" '
                b"field_selector=a=b host_network=true",
    "service": b"\2provider=k8s service=serf-members",
}

TARGETS = {
    "packet": DATAGRAMS, "core": {**CORE, **{name: core(packet(data), WAIT)
                                             for name, data in DATAGRAMS.items()}},
    "stream": {name: bytes([1, 9]) + data for name, data in STREAMS.items()},
    "dns": DNS, "http": HTTP, "rpc": RPC, "config": CONFIG, "keyring": KEYRING, "snapshot": SNAPSHOT,
    "kube": KUBE,
}

for target, inputs in TARGETS.items():
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for title, content in inputs.items():
        (folder / title).write_bytes(content)
