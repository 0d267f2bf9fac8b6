"""What strangers and broken peers may send to a running agent: every weakness that the
specifications list as a pitfall (memberlist 11.2 and 11.3, Serf 14) and that needs a network. The
agent stays alive, knows who is a member, says what it refused, and neither its memory nor its log
grows with what was sent."""

import random
import socket
import struct

import pytest

import protocol as p
from agents import OURS, next_host, wait_until

MEMORY_KIB = 24 * 1024 * (8 if OURS.is_sanitized else 1)


@pytest.fixture
def pair(cluster):
    """Two agents of ours, the second one's state known to the first, and a stranger."""
    target = cluster.agent(OURS, "target", "-disable-compression", profile="local")
    cluster.grow(OURS, "friend", "-disable-compression", join=[target], profile="local")
    stranger = p.DatagramPeer(target, next_host())
    yield target, stranger
    stranger.close()


def survives(target, stranger, memory_before=None):
    """Alive, answering, and of the same opinion about who is a member."""
    stranger.wait_handled()
    assert target.running
    assert target.statuses() == {"target": "alive", "friend": "alive"}
    if memory_before is not None:
        assert target.resident_kib() - memory_before < MEMORY_KIB


# --- datagrams ---

GARBAGE = random.Random(4711)
MALFORMED = {
    "empty": b"",
    "type only": bytes([p.ALIVE]),
    "unknown type": bytes([99, 1, 2, 3]),
    "checksum in the middle": p.compound(p.with_crc(p.ping("target"))),
    "wrong checksum": p.with_crc(p.ping("target"), wrong=1),
    "encrypted stream type": bytes([p.ENCRYPT, 0, 0, 0, 9]),
    "label of nothing": bytes([p.LABEL, 0]) + p.ping("target"),
    "label cut off": bytes([p.LABEL, 200]) + b"blue",
    "another cluster's label": bytes([p.LABEL, 4]) + b"blue" + p.ping("target"),
    "compound without count": bytes([p.COMPOUND]),
    "compound with cut lengths": bytes([p.COMPOUND, 200, 0, 1]),
    "compound of empty parts": p.compound(b"", b"", b""),
    "compress with unknown algorithm": p.compress(b"abc", algorithm=9),
    "compress of nothing": p.compress(b""),
    "compress cut off": p.compress_raw(p.lzw(b"hello hello hello")[:-4]),
    "body is a number": bytes([p.SUSPECT, 7]),
    "number key": bytes([p.ALIVE]) + b"\x81\x01\x02",
    "negative incarnation": p.message(p.SUSPECT, {"From": "x", "Incarnation": -1, "Node": "friend"}),
    "incarnation is a float": p.message(p.SUSPECT, {"From": "x", "Incarnation": 1.5,
                                                    "Node": "friend"}),
    "nested arrays": bytes([p.ALIVE]) + b"\x91" * 60000,
    "string of 4 GiB": bytes([p.ALIVE]) + b"\x81\xdb\xff\xff\xff\xff",
}


@pytest.mark.parametrize("datagram", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_datagram_changes_nothing(pair, datagram):
    target, stranger = pair
    mark = target.log_mark()
    stranger.send(datagram)
    survives(target, stranger)
    if datagram != MALFORMED["compound of empty parts"]:
        target.wait_log(r"\[(ERR|WARN)\] memberlist: .*from=", since=mark)


def test_a_part_that_is_cut_off_costs_only_itself(pair):
    target, stranger = pair
    good = p.alive("newcomer", next_host())
    stranger.send(p.compound(good, b"cut", lengths=[len(good), 500]))
    target.wait_log("Compound request had 1 truncated messages")
    target.wait_log("EventMemberJoin: newcomer ")


def bomb(depth):
    data = p.ping("target")
    for _ in range(depth):
        data = p.compress(data)
    return data


def compound_tree(depth, width):
    data = p.ping("nobody")
    for _ in range(depth):
        data = p.compound(*[data] * width)
    return data[:65000]


BOMBS = {
    "40 MiB of zeros in 31 KB": p.compress_raw(p.lzw_zeros(41943040)),
    "compressed 20 times": bomb(20),
    "compound in compound in compound": compound_tree(6, 4),
    "compress of many bombs": p.compound(*[p.compress_raw(p.lzw_zeros(1000000))] * 20),
}


@pytest.mark.parametrize("datagram", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_not_unpacked(pair, datagram):
    target, stranger = pair
    before = target.resident_kib()
    for _ in range(50):
        stranger.send(datagram)
    survives(target, stranger, before)


def test_ten_thousand_bad_datagrams_are_less_than_two_hundred_log_lines(pair):
    target, stranger = pair
    before, mark = target.resident_kib(), target.log_mark()
    for number in range(10000):
        stranger.send(bytes([number % 16]) + GARBAGE.randbytes(number % 90))
        if number % 250 == 0:
            stranger.wait_handled()
    survives(target, stranger, before)
    lines = len(target.log()[mark:].splitlines())
    assert 0 < lines < 200, lines


# --- members that can't be ---

PHANTOMS = {
    "no address": p.alive("phantom", b""),
    "address of 5 bytes": p.alive("phantom", b"\x01\x02\x03\x04\x05"),
    "no versions": p.alive("phantom", "127.9.9.9", versions=b""),
    "versions that contradict themselves": p.alive("phantom", "127.9.9.9",
                                                   versions=bytes([5, 1, 2, 2, 5, 5])),
    "incarnation 0": p.alive("phantom", "127.9.9.9", incarnation=0),
    "metadata of 513 bytes": p.alive("phantom", "127.9.9.9", meta=b"m" * 513),
    "name of 256 bytes": p.alive("p" * 256, "127.9.9.9"),
    "no name": p.alive("", "127.9.9.9"),
}


@pytest.mark.parametrize("datagram", PHANTOMS.values(), ids=PHANTOMS.keys())
def test_a_member_that_cannot_be_is_refused(pair, datagram):
    target, stranger = pair
    stranger.send(datagram)
    survives(target, stranger)
    target.wait_log(r"\[WARN\] memberlist: Ignoring an alive message")


def test_a_name_with_control_characters_stays_on_its_line(pair):
    target, stranger = pair
    name = "evil\n2026/01/01 00:00:00 [ERR] agent: forged\x1b[31m"
    stranger.send(p.alive(name, next_host()))
    target.wait_log(r"EventMemberJoin: evil\\n2026")
    assert not target.log_lines(r"^2026/01/01|^ *2026/01/01|\x1b")


def test_an_accusation_that_could_not_be_refuted_is_ignored(pair):
    target, stranger = pair
    for victim in ("target", "friend"):
        stranger.send(p.suspect(victim, p.U32_MAX), p.dead(victim, p.U32_MAX))
    survives(target, stranger)
    target.wait_log("could not be refuted")
    assert not target.log_lines("EventMemberFailed")


def test_the_accused_refutes(pair):
    target, stranger = pair
    stranger.send(p.suspect("target", 1))
    target.wait_log(r"Refuting a suspect message \(from: liar\)")
    survives(target, stranger)


def test_a_living_members_address_cannot_be_taken(pair):
    target, stranger = pair
    friend = target.members()["friend"]["addr"]
    for incarnation in range(1, 200):
        stranger.send(p.alive("friend", "127.9.9.9", incarnation=incarnation))
    survives(target, stranger)
    target.wait_log("Conflicting address for friend")
    assert target.members()["friend"]["addr"] == friend
    assert len(target.log_lines("Conflicting address")) <= 20


# --- the Serf layer ---

SERF_MESSAGES = {
    "join intent at the end of time": p.join_intent("friend", p.U64_MAX),
    "leave intent at the end of time": p.leave_intent("friend", p.U64_MAX),
    "event at the end of time": p.user_event("boom", p.U64_MAX),
    "query at the end of time": p.query("boom", p.U64_MAX, "127.0.0.1", 7946),
    "unknown type": bytes([p.USER, 77, 1, 2]),
    "push/pull as a message": bytes([p.USER, p.SERF_PUSH_PULL, 0x80]),
    "leave intent that is no map": bytes([p.USER, p.SERF_LEAVE, 0xa1, 0x61]),
    "relay without address": bytes([p.USER, p.SERF_RELAY, 0x80, 5, 0x80]),
}


@pytest.mark.parametrize("datagram", SERF_MESSAGES.values(), ids=SERF_MESSAGES.keys())
def test_a_serf_message_that_makes_no_sense_changes_nothing(pair, datagram):
    target, stranger = pair
    times = target.info()["serf"]
    stranger.send(datagram)
    survives(target, stranger)
    target.wait_log(r"\[(ERR|WARN)\] serf: ")
    after = target.info()["serf"]
    for clock in ("member_time", "event_time", "query_time"):
        assert int(after[clock]) <= int(times[clock]) + 3


def test_queries_with_empty_filters_hurt_nobody(pair):
    target, stranger = pair
    stranger.send(p.query("q", 5, "127.0.0.1", 7946, filters=[b""]),
                  p.query("q", 6, "127.0.0.1", 7946, filters=[b"\x00", b"\x01", b"\x63"]))
    survives(target, stranger)


def test_a_relay_forwards_responses_only(pair):
    """Otherwise a stranger could send what he likes from our address."""
    target, stranger = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        host = next_host()
        victim.bind((host, 9999))
        victim.settimeout(1)
        header = {"DestAddr": {"IP": p.address(host), "Port": 9999, "Zone": ""}, "DestName": "v"}
        response = {"Flags": 0, "From": "x", "ID": 1, "LTime": 1, "Payload": b"ok"}
        stranger.send(p.user(p.SERF_RELAY, header) + b"GET / HTTP/1.0")
        stranger.wait_handled()
        stranger.send(p.user(p.SERF_RELAY, header) + bytes([p.SERF_RESPONSE]) + p.pack(response))
        assert victim.recv(2000)[:2] == bytes([p.USER, p.SERF_RESPONSE])
        with pytest.raises((TimeoutError, socket.timeout)):
            victim.recv(2000)


def test_a_flood_of_events_and_intents_is_bounded(pair):
    target, stranger = pair
    before = target.resident_kib()
    for number in range(1, 12001):
        stranger.send(p.user_event(f"event-{number}", number, b"x" * 300),
                      p.join_intent(f"stranger-{number}", number))
        if number % 100 == 0:
            stranger.wait_handled(20)
    survives(target, stranger, before)
    info = target.info()["serf"]
    assert int(info["event_queue"]) <= 4096 + 256
    assert int(info["intent_queue"]) <= 4096 + 256


# --- streams ---

def closes(stream, seconds=5):
    return stream.read_to_end(seconds) is not None


STREAMS = {
    "a million and more members announced": p.push_pull([], node_count=2**20 + 1),
    "a negative number of members": p.push_pull([], node_count=-1),
    "a state of 2^62 bytes": p.push_pull([], state_size=2**62),
    "a negative state": p.push_pull([], state_size=-5),
    "a user message of 2^40 bytes": p.message(p.USER, {"UserMsgLen": 2**40}),
    "an unknown type": bytes([42]) + b"xyz",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "encrypted, where nobody has a key": bytes([p.ENCRYPT]) + struct.pack(">I", 50) + b"\x01" * 50,
    "4 GiB announced": bytes([p.ENCRYPT]) + b"\xff\xff\xff\xff",
    "compress in compress": p.compress(p.compress(p.ping("target"))),
    "a bomb": p.compress_raw(p.lzw_zeros(41943041)),
    "a label that is another cluster's": bytes([p.LABEL, 4]) + b"blue" + p.push_pull([]),
    "a ping for somebody else": p.ping("somebody"),
    "members that are no maps": p.push_pull([b"no", b"maps"]),
}


@pytest.mark.parametrize("data", STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_that_makes_no_sense_is_closed(pair, data):
    target, stranger = pair
    before, mark = target.resident_kib(), target.log_mark()
    with p.StreamPeer(target) as stream:
        stream.send(data)
        assert closes(stream)
    survives(target, stranger, before)
    target.wait_log(r"\[(ERR|WARN)\] (memberlist|serf): ", since=mark)


def test_a_stream_that_trickles_is_closed_in_time(pair):
    target, stranger = pair
    with p.StreamPeer(target) as stream:
        stream.send(p.push_pull([], state_size=1000)[:5])
        assert closes(stream, 4)
    survives(target, stranger)
    target.wait_log("i/o timeout")


def test_two_hundred_idle_connections_lock_nobody_out(pair):
    target, stranger = pair
    before = target.resident_kib()
    idle = [p.StreamPeer(target) for _ in range(200)]
    try:
        assert target.join(target.address) is not None
        survives(target, stranger, before)
        wait_until(lambda: closes(idle[0], 1), 10, "idle connections are closed")
    finally:
        for stream in idle:
            stream.close()
    assert set(p.exchange(target)[0]) == {"target", "friend"}


def test_a_state_teaches_the_good_members_only(pair):
    target, stranger = pair
    nodes = [p.node_state("good", next_host()), p.node_state("bad", b"\x01\x02"),
             p.node_state("odd", "127.9.9.9", state=17),
             p.node_state("stale", "127.9.9.8", state=p.STATE_DEAD, versions=b"")]
    with p.StreamPeer(target) as stream:
        stream.send(p.push_pull(nodes, p.serf_state(5, {"good": 3, "ghost": 4}, ["gone"]), join=True))
        assert stream.read_to_end()
    target.wait_log("EventMemberJoin: good ")
    stranger.wait_handled()
    assert set(target.statuses()) == {"target", "friend", "good"}


def test_members_of_another_time_are_not_merged(pair):
    target, stranger = pair
    node = p.node_state("old", next_host(), versions=bytes([1, 5, 2, 2, 4, 4]))
    with p.StreamPeer(target) as stream:
        stream.send(p.push_pull([node], join=True))
        assert stream.read_to_end()
    survives(target, stranger)
    target.wait_log(r"delegate protocol version \(5\) is incompatible: \[2, 4\]")


# --- RPC ---

RPC_GARBAGE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a string of 4 GiB": b"\x82\xa7Command\xdb\xff\xff\xff\xff" + b"x" * 1000,
    "a header that is a number": b"\x07\x07\x07",
    "arrays without end": b"\x91" * 100000,
    "a command before the handshake": b"\x82\xa7Command\xa5stats\xa3Seq\x01",
    "an unknown command": b"\x82\xa7Command\xa9handshake\xa3Seq\x00\x81\xa7Version\x01"
                          b"\x82\xa7Command\xa5bogus\xa3Seq\x01",
}


@pytest.mark.parametrize("data", RPC_GARBAGE.values(), ids=RPC_GARBAGE.keys())
def test_an_rpc_client_that_talks_nonsense_is_disconnected(pair, data):
    target, stranger = pair
    before = target.resident_kib()
    with p.StreamPeer(target, target.rpc_port) as client:
        client.send(data)
        assert closes(client)
    survives(target, stranger, before)
    target.wait_log(r"\[ERR\] agent\.ipc: ")
