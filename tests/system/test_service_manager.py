"""What a service manager hears from the agent, on a socket of the test's own."""

import itertools
import os
import signal
import socket
import subprocess
import time

import pytest

from local_cluster import BINARY

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
RELEASE = os.path.join(ROOT, "dist", "serf")
AGREE_SECONDS = 70

hosts = (f"127.77.{b}.{c}" for b in range(256) for c in range(1, 255))
numbers = itertools.count()


class Manager:
    """The socket, and the messages that came: each a dictionary of its lines."""

    def __init__(self, name):
        self.name = name
        self.messages = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def wait(self, wanted, what):
        """The first message from now on that is as wanted."""
        deadline = time.monotonic() + AGREE_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                text = self.socket.recv(4096).decode()
            except socket.timeout:
                break
            self.messages.append(dict(line.split("=", 1) for line in text.splitlines()))
            if wanted(self.messages[-1]):
                return self.messages[-1]
        raise AssertionError(f"not within {AGREE_SECONDS} s: {what}; there came {self.messages}")

    def wait_line(self, name):
        return self.wait(lambda message: name in message, name)

    def rest(self):
        self.socket.setblocking(False)
        texts = []
        try:
            while True:
                texts.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return texts


class Agent:
    def __init__(self, notify, *arguments, binary=BINARY):
        self.host = next(hosts)
        self.binary = binary
        environment = {key: value for key, value in os.environ.items() if key[:5] != "SERF_"}
        if notify:
            environment["NOTIFY_SOCKET"] = notify
        self.process = subprocess.Popen(
            [binary, "agent", f"-node=n{next(numbers)}", f"-bind={self.host}",
             f"-rpc-addr={self.host}:7373", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
            env=environment)

    def ask(self, *words):
        command, *rest = words
        return subprocess.run([self.binary, command, f"-rpc-addr={self.host}:7373", *rest],
                              capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def start(request):
    """Starts agents, and kills at the end those that still run."""
    def start_one(*arguments, **more):
        agent = Agent(*arguments, **more)
        request.addfinalizer(lambda: (agent.process.kill(), agent.process.wait()))
        return agent
    return start_one


@pytest.fixture
def manager(tmp_path):
    return Manager(str(tmp_path / "notify"))


def test_ready_means_that_clients_are_answered(start, manager):
    agent = start(manager.name)
    ready = manager.wait_line("READY")
    assert ready["READY"] == "1" and ready["STATUS"].endswith(": 1 alive")
    assert agent.ask("members").returncode == 0
    assert all("READY" not in message for message in manager.messages[:-1])


def test_ready_means_that_join_has_found_somebody(start, manager):
    first = start(manager.name)
    manager.wait_line("READY")
    second_manager = Manager(manager.name + "2")
    second = start(second_manager.name, f"-join={first.host}")
    second_manager.wait_line("READY")
    assert second.ask("members").stdout.count("alive") == 2
    assert {"STATUS": "Joining the cluster"} in second_manager.messages


def test_an_agent_that_can_join_nobody_is_never_ready(start, manager):
    agent = start(manager.name, f"-join={next(hosts)}")
    assert agent.process.wait(AGREE_SECONDS) == 1
    assert not [text for text in manager.rest() if "READY" in text]


def test_the_status_counts_members(start, manager):
    first = start(manager.name)
    manager.wait_line("READY")
    second = start(None, f"-join={first.host}")
    manager.wait(lambda message: message["STATUS"].endswith(": 2 alive"), "two members")
    second.process.send_signal(signal.SIGINT)
    manager.wait(lambda message: message["STATUS"].endswith(": 1 alive, 1 left"), "one that left")


def test_a_reload_is_told_and_ends_with_ready(start, manager):
    agent = start(manager.name)
    manager.wait_line("READY")
    agent.process.send_signal(signal.SIGHUP)
    assert int(manager.wait_line("RELOADING")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    manager.wait_line("READY")


@pytest.mark.parametrize("how", ["INT", "TERM", "leave"])
def test_stopping_is_told_however_it_comes(start, manager, how):
    agent = start(manager.name)
    manager.wait_line("READY")
    if how == "leave":
        assert agent.ask("leave").returncode == 0
    else:
        agent.process.send_signal(signal.Signals[f"SIG{how}"])
    manager.wait_line("STOPPING")
    assert agent.process.wait(AGREE_SECONDS) == (1 if how == "TERM" else 0)


def test_event_handlers_do_not_inherit_the_socket(start, manager, tmp_path):
    seen = tmp_path / "seen"
    start(manager.name, f"-event-handler=env >{seen}.new && mv {seen}.new {seen}")
    deadline = time.monotonic() + AGREE_SECONDS
    while not seen.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    environment = seen.read_text()
    assert "SERF_EVENT=member-join" in environment
    assert "NOTIFY_SOCKET" not in environment


def test_an_agent_runs_where_nobody_listens(start, tmp_path, manager):
    first = start(str(tmp_path / "nobody"))
    second = start(manager.name, f"-retry-join={first.host}")
    manager.wait(lambda message: message["STATUS"].endswith(": 2 alive"), "two members")
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(AGREE_SECONDS) == 0


def test_the_release_speaks_to_an_abstract_socket_without_any_library(start):
    if not os.path.exists(RELEASE):
        pytest.skip("dist/serf is not built: make release")
    manager = Manager(f"@cserf-test-{os.getpid()}")
    agent = start(manager.name, binary=RELEASE)
    manager.wait_line("READY")
    agent.process.send_signal(signal.SIGINT)
    manager.wait_line("STOPPING")
    assert agent.process.wait(AGREE_SECONDS) == 0
