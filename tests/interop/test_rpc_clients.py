"""RPC clients that are many, or slow, or local: what they cost the agent, and what they get."""

import json
import re
import selectors
import socket
import stat
import threading
import time

import protocol
from agents import AGREE_SECONDS, OURS, environment, run, wait_until
from rpc import RpcClient

CLIENTS = 200
UNREAD_MIB = 1  # that the agent keeps for each client (RPC_UNREAD_SIZE_MAX)
BATCH = 250
EVENTS_MAX = 20000
DROPPING = r"\[WARN\] agent\.ipc: Dropping (event|logs) to ipc\.client: "


class Listener:
    """A client that has asked for events or log lines, and counts those about the load."""

    def __init__(self, agent, monitor, reads):
        self.socket = socket.socket()
        if not reads:  # a small window: what is not read waits in the agent, not in the kernel
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((agent.host, agent.rpc_port))
        self.pattern = re.compile(rb"user-event: load-(\d{6})" if monitor
                                  else rb"\xa4Name\xab" + rb"load-(\d{6})")
        self.next, self.rest, self.closed = 0, b"", False
        self._ask("handshake", {"Version": 1}, 1)
        if monitor:
            self._ask("monitor", {"LogLevel": "DEBUG"}, 2)
        else:
            self._ask("stream", {"Type": "user"}, 2)

    def _ask(self, command, body, seq):
        self.socket.sendall(protocol.pack({"Command": command, "Seq": seq}) + protocol.pack(body))

    def take(self):
        """Reads what is there; every event must be the one after the last."""
        data = self.socket.recv(1 << 18)
        if not data:
            self.closed = True
            return
        data, end = self.rest + data, 0
        for found in self.pattern.finditer(data):
            assert int(found[1]) == self.next, f"{found[0]} instead of {self.next}"
            self.next, end = self.next + 1, found.end()
        self.rest = data[max(end, len(data) - 64):]


class Readers:
    """Clients that read all that comes, in a thread of their own."""

    def __init__(self, listeners):
        self.listeners, self.problem, self._stop = listeners, None, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            with selectors.DefaultSelector() as ready:
                for listener in self.listeners:
                    ready.register(listener.socket, selectors.EVENT_READ, listener)
                while not self._stop.is_set():
                    for key, _ in ready.select(0.1):
                        key.data.take()
                        assert not key.data.closed, "a reader's connection was closed"
        except (AssertionError, OSError) as problem:
            self.problem = problem

    def wait(self, count):
        def all_have():
            assert self.problem is None, self.problem
            behind = [listener.next for listener in self.listeners if listener.next < count]
            return not behind, f"{len(behind)} readers have less, the last one {min(behind, default=0)}"
        wait_until(all_have, AGREE_SECONDS, f"every reader has {count} events")

    def stop(self):
        self._stop.set()
        self.thread.join(10)
        assert self.problem is None, self.problem


def test_clients_that_never_read_cost_a_bounded_memory_and_nobody_else_anything(cluster):
    agent = cluster.grow(OURS, "asked", log_level="info")
    cluster.grow(OURS, "other", join=[agent])
    before = agent.resident_kib()
    listeners = [Listener(agent, monitor=number % 4 < 2, reads=number % 2 == 0)
                 for number in range(CLIENTS)]
    readers = Readers(listeners[::2])
    wait_until(lambda: len(agent.log_lines("Accepted client")) >= CLIENTS, AGREE_SECONDS,
               "every client is accepted")
    started, sent, dropping = time.monotonic(), 0, 0
    with RpcClient(agent, AGREE_SECONDS) as sender:
        while sent < EVENTS_MAX and dropping < 3:
            for _ in range(BATCH):
                sender.call("event", {"Name": f"load-{sent:06}", "Payload": b"x" * 440,
                                      "Coalesce": False})
                sent += 1
            readers.wait(sent)
            dropping = len(agent.log_lines(DROPPING))
            with RpcClient(agent, AGREE_SECONDS) as fresh:
                assert len(fresh.call("members")["Members"]) == 2
    readers.stop()
    assert dropping >= 3, f"{sent} events filled no client's share"
    growth = (agent.resident_kib() - before) / 1024
    if not OURS.is_sanitized:
        assert growth < CLIENTS // 2 * (UNREAD_MIB + 0.25) + 32, f"{growth} MiB more"
    lines = len(agent.log_lines(DROPPING))
    assert lines <= time.monotonic() - started + 2, f"{lines} lines about slow clients"
    for listener in listeners:
        listener.socket.close()
    cluster.wait_all_alive()
    assert cluster.failures_logged() == []


def test_every_command_works_over_a_unix_socket(cluster, tmp_path):
    path = tmp_path / "rpc"
    agent = cluster.agent(OURS, "local", f"-rpc-addr=unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    flag = f"-rpc-addr=unix:{path}"
    for words in (["members"], ["info"], ["event", "e"], ["query", "-timeout=1s", "q"],
                  ["tags", "-set", "a=b"], ["rtt", "local"], ["reachability"],
                  ["join", agent.address], ["force-leave", "nobody"]):
        done = run(OURS, words[0], flag, *words[1:])
        assert done.returncode == 0, (words, done)
    done = run(OURS, "members", env=environment(SERF_RPC_ADDR=f"unix:{path}"))
    assert done.stdout.split()[0] == "local"
    agent.wait_log(r"agent\.ipc: Accepted client: unix pid \d+ uid \d+$")
    assert run(OURS, "leave", flag).returncode == 0
    agent.left = True
    assert agent.wait_exit(AGREE_SECONDS) == 0
    assert not path.exists()


def test_the_socket_of_a_dead_agent_is_replaced_and_that_of_a_living_one_is_not(cluster, tmp_path):
    path = tmp_path / "rpc"
    first = cluster.agent(OURS, "first", f"-rpc-addr=unix:{path}")
    done = run(OURS, "agent", "-node=second", "-bind=127.0.0.1:0", f"-rpc-addr=unix:{path}")
    assert done.returncode == 1
    assert f"process {first.process.pid} listens there" in done.stdout
    assert run(OURS, "members", f"-rpc-addr=unix:{path}").returncode == 0
    first.kill()
    done = run(OURS, "members", f"-rpc-addr=unix:{path}")
    assert done.returncode == 1 and "no agent listens there" in done.stdout
    cluster.agent(OURS, "third", f"-rpc-addr=unix:{path}")
    assert run(OURS, "members", f"-rpc-addr=unix:{path}").stdout.split()[0] == "third"


def test_json_and_a_monitor_are_independent(cluster):
    agent = cluster.agent(OURS, "json", "-log-format=json")
    for line in agent.log().splitlines():
        assert {"time", "level", "component", "message"} <= set(json.loads(line))
    with RpcClient(agent, AGREE_SECONDS) as client:
        client.call("monitor", {"LogLevel": "INFO"})
        while b"[INFO] agent: Received event: member-join" not in client.next_record()["Log"]:
            pass
    agent.cli("event", "-coalesce=false", "deploy", "now")
    [line] = agent.wait_log('"message":"Received event: user-event: deploy"')
    fields = json.loads(line)["fields"]
    assert fields == {"event": "user-event", "name": "deploy", "ltime": "1"}


def test_a_reload_joins_new_addresses(cluster, tmp_path):
    peer = cluster.agent(OURS, "peer")
    settings = tmp_path / "settings.json"
    settings.write_text("{}")
    agent = cluster.agent(OURS, "lonely", f"-config-file={settings}")
    settings.write_text(json.dumps({"retry_join": [peer.address]}))
    agent.process.send_signal(1)
    cluster.wait_all_alive()
    agent.wait_log("retry_join has changed: asking its 1 addresses")


def test_addresses_of_ipv6_are_taken_bare_and_in_brackets(cluster):
    one = cluster.agent(OURS, "one", "-bind=::1", "-rpc-addr=::1", host="::1")
    two = cluster.agent(OURS, "two", host="::1", port=7947, rpc_port=7374)
    for number, address in enumerate(["::1", "[::1]", "[::1]:7946"]):
        mark = one.log_mark()
        assert "joined cluster by contacting 1 nodes" in two.join(address), (number, address)
        assert mark <= one.log_mark()
    done = run(OURS, "members", "-rpc-addr=::1")
    assert done.returncode == 0, done
    cluster.wait_all_alive()


def test_every_address_of_both_families_is_one_listener(cluster):
    """Dual stack: members bound to ":port" are reached over either family."""
    wide = cluster.agent(OURS, "wide", "-bind=:7950", "-rpc-addr=:7390", "-advertise=127.0.0.1",
                         port=7950, rpc_port=7390, host="127.0.0.1")
    for address in ("127.0.0.1:7390", "[::1]:7390"):
        assert run(OURS, "members", f"-rpc-addr={address}").returncode == 0
    peer = cluster.agent(OURS, "peer")
    for address in ("127.0.0.1:7950", "[::1]:7950"):
        assert "contacting 1 nodes" in peer.join(address)
    assert wide.running
