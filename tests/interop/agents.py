"""Agents of both kinds as the tests see them: a process, its log, its command line.

A test writes what it means (`cluster.agent(OURS, join=[peer])`, `peer.kill()`,
`cluster.wait_members(...)`); every wait has a bound and says at its end what it waited for and what
it saw last."""

import ctypes
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GOSSIP_PORT = 7946
RPC_PORT = 7373
PR_SET_PDEATHSIG = 1
POLL_INTERVAL = 0.1
# No bound is shorter, whatever its caller names: it costs nothing where things go as they should,
# and machines that run tests stand still for seconds now and then.
PATIENCE_SECONDS = 75
START_SECONDS = 15
LOGS_FLOW = "Log data will now stream in as it occurs"
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|"
                       r"^panic:|fatal error:", re.M)

_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Program:
    kind: str
    path: str

    @property
    def is_reference(self):
        return os.path.realpath(self.path) == os.path.realpath(REFERENCE.path)

    @property
    def is_sanitized(self):
        return b"__asan_init" in Path(self.path).read_bytes()


# Gossip tells everybody with high probability only; who was missed learns it from the next push/pull,
# up to a minute later in a cluster that was just started.
AGREE_SECONDS = 70
GLUED = re.compile(r"(?<=[^\s])(?= {4}\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[)")

REFERENCE = Program("serf", os.environ.get("SERF_BINARY", "/usr/bin/serf"))
OURS = Program("cserf", os.environ.get("CSERF_BINARY", str(REPOSITORY / "build/serf")))
BOTH = [OURS, REFERENCE]


def other(program):
    return REFERENCE if program is OURS else OURS


def environment(**extra):
    """This process's environment without anything that steers a Serf agent or client."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SERF_")}
    clean["TZ"] = "UTC"
    return {**clean, **extra}


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(program, *arguments, timeout=PATIENCE_SECONDS, env=None, launcher=()):
    """Runs one command of one kind's command line to its end, behind `launcher` where one is given
    (words that run the words behind them in another place)."""
    return subprocess.run([*launcher, program.path, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", timeout=timeout,
                          env=env or environment(), preexec_fn=_die_with_parent, check=False)


def wait_until(predicate, seconds, what):
    """Polls until `predicate` returns something true, which is returned. A predicate may return a
    tuple (False, seen) so that the failure can say what was seen last. `seconds` is what it takes
    at worst by the protocol or the program; the wait is never shorter than PATIENCE_SECONDS."""
    seconds = max(seconds, PATIENCE_SECONDS)
    deadline = time.monotonic() + seconds
    while True:
        answer = predicate()
        seen = None
        if isinstance(answer, tuple):
            answer, seen = answer
        if answer:
            return answer
        if time.monotonic() >= deadline:
            saw = "" if seen is None else f"; last seen: {seen}"
            raise AssertionError(f"not within {seconds} s: {what}{saw}")
        time.sleep(POLL_INTERVAL)


_hosts = (f"127.{a}.{b}.{c}" for a in range(1, 255) for b in range(0, 255) for c in range(1, 255))
_ports = itertools.count(20000)


def next_host():
    """An IPv4 loopback address that nothing in this namespace has used before."""
    return next(_hosts)


def next_port():
    return next(_ports)


def address_text(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class CommandFailed(AssertionError):
    pass


class Agent:
    """One agent. `extra` are more flags, `config` a configuration file's content, `log_level` None
    leaves the agent's default. `launcher` stands in front of its command line and of its clients',
    `variables` are added to its environment: both may be set until it is started."""

    def __init__(self, cluster, program, name, *extra, host=None, port=GOSSIP_PORT,
                 rpc_port=RPC_PORT, profile="lan", config=None, log_level="debug"):
        self.cluster, self.program, self.name = cluster, program, name
        self.host, self.port, self.rpc_port = host or next_host(), port, rpc_port
        self.extra, self.profile, self.config = list(extra), profile, config
        self.log_level = log_level
        self.launcher, self.variables = [], {}
        self.process, self.exit_status, self.killed = None, None, False
        self.left = False  # asked to leave gracefully
        self.log_path = cluster.new_path(f"{name}-{program.kind}", ".log")

    @property
    def kind(self):
        return self.program.kind

    @property
    def address(self):
        return address_text(self.host, self.port)

    @property
    def rpc_address(self):
        return address_text(self.host, self.rpc_port)

    def __repr__(self):
        return f"{self.name} ({self.kind}, {self.address})"

    # --- life ---

    def arguments(self):
        words = ["agent", f"-node={self.name}", f"-bind={self.address}",
                 f"-rpc-addr={self.rpc_address}"]
        if self.profile:
            words.append(f"-profile={self.profile}")
        if self.log_level:
            words.append(f"-log-level={self.log_level}")
        if self.config is not None:
            path = self.cluster.new_path(self.name, ".json")
            path.write_text(json.dumps(self.config), encoding="utf-8")
            words.append(f"-config-file={path}")
        return words + self.extra

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.launcher, self.program.path, *self.arguments()], stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, env=environment(**self.variables),
                preexec_fn=_die_with_parent)
        return self

    def start(self):
        self.spawn()

        def started():
            if self.process.poll() is not None:
                raise AssertionError(f"{self} ended with status {self.process.returncode} instead "
                                     f"of starting:\n{self.log()}")
            return LOGS_FLOW in self.log()
        wait_until(started, START_SECONDS, f"{self} is running")
        return self

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait_exit(self, seconds=10):
        seconds = max(seconds, PATIENCE_SECONDS)
        try:
            self.exit_status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not within {seconds} s: {self} ends") from None
        return self.exit_status

    def kill(self):
        self.killed = True
        self.process.kill()
        return self.wait_exit()

    def interrupt(self, seconds=10):
        """SIGINT: a graceful leave. Returns the exit status."""
        self.left = True
        self.process.send_signal(signal.SIGINT)
        return self.wait_exit(seconds)

    def terminate(self, seconds=10):
        self.left = bool(self.config and self.config.get("leave_on_terminate"))
        self.process.terminate()
        return self.wait_exit(seconds)

    def leave(self, seconds=15, program=None):
        """The graceful leave by command. Returns the agent's exit status."""
        self.left = True
        self.cli("leave", program=program)
        return self.wait_exit(seconds)

    def dispose(self):
        """The end of the test: stop, and look for what must never be in a log."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(1.5)
            except subprocess.TimeoutExpired:
                self.process.terminate()
                try:
                    self.process.wait(PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
                    raise AssertionError(f"{self} did not end after two SIGTERM") from None
        if self.process is not None and not self.killed:
            status = self.process.returncode
            assert status in (0, 1) or status == 3 and self.lost_its_name(), \
                f"{self} ended with status {status}"
        if self.log_path.exists():
            assert not SANITIZER.search(self.log()), f"{self} broke a rule of C; see its log"

    def lost_its_name(self):
        return "minority in name conflict resolution" in self.log()

    # --- what it says ---

    def log(self):
        """The log. The reference now and then writes two lines at once and the newlines after
        both: they are put apart again."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return GLUED.sub("\n", text)

    def log_lines(self, pattern, since=0):
        found = re.compile(pattern)
        return [line for line in self.log()[since:].splitlines() if found.search(line)]

    def log_mark(self):
        """A place in the log, for `since`."""
        return len(self.log())

    def wait_log(self, pattern, seconds=AGREE_SECONDS, since=0):
        return wait_until(lambda: self.log_lines(pattern, since), seconds,
                          f"{self} logs /{pattern}/")

    def run(self, command, *arguments, program=None, timeout=PATIENCE_SECONDS):
        """A client command against this agent, by its own command line or by `program`'s."""
        return run(program or self.program, command, f"-rpc-addr={self.rpc_address}", *arguments,
                   timeout=timeout, launcher=self.launcher)

    def cli(self, command, *arguments, program=None, timeout=PATIENCE_SECONDS):
        """The same, which must succeed; returns its standard output."""
        done = self.run(command, *arguments, program=program, timeout=timeout)
        if done.returncode != 0:
            raise CommandFailed(f"{command} {arguments} on {self} ended with {done.returncode}: "
                                f"{done.stdout}{done.stderr}")
        return done.stdout

    def join(self, *peers, program=None):
        return self.cli("join", *[getattr(peer, "address", peer) for peer in peers],
                        program=program)

    def members(self, *arguments, program=None):
        """The members table as {name: entry}."""
        text = self.cli("members", "-format=json", *arguments, program=program)
        return {entry["name"]: entry for entry in json.loads(text)["members"] or []}

    def statuses(self):
        return {name: entry["status"] for name, entry in self.members().items()}

    def info(self):
        return json.loads(self.cli("info", "-format=json"))

    def resident_kib(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text("ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError(f"{self} has no resident memory")


class Cluster:
    """All agents of one test."""

    agent_type = Agent

    def __init__(self, directory):
        self.directory, self.agents, self._serial = Path(directory), [], itertools.count(1)

    def new_path(self, stem, suffix):
        safe = re.sub(r"[^A-Za-z0-9.-]", "_", stem)
        return self.directory / f"{next(self._serial):02}-{safe}{suffix}"

    def prepare(self, program, name=None, *extra, join=(), **options):
        """An agent that is not started yet."""
        flags = [f"-join={getattr(peer, 'address', peer)}" for peer in join]
        name = name or f"{program.kind}-{len(self.agents) + 1}"
        agent = self.agent_type(self, program, name, *flags, *extra, **options)
        self.agents.append(agent)
        return agent

    def agent(self, program, name=None, *extra, join=(), **options):
        return self.prepare(program, name, *extra, join=join, **options).start()

    def grow(self, program, name=None, *extra, **options):
        """An agent that everybody knows before the next one comes: of two that join through
        different members within one gossip interval, one may learn of the other only from the next
        push/pull, half a minute later."""
        agent = self.agent(program, name, *extra, **options)
        self.wait_all_alive()
        return agent

    def running(self):
        return [agent for agent in self.agents if agent.running]

    def wait_members(self, expected, seconds=AGREE_SECONDS, agents=None):
        """Waits until every running agent lists exactly these members with these states."""
        watchers = self.running() if agents is None else agents

        def agreed():
            for agent in watchers:
                seen = agent.statuses()
                if seen != expected:
                    return False, f"{agent} has {seen}"
            return True
        wait_until(agreed, seconds, f"all agents list {expected}")

    def wait_status(self, name, status, seconds=AGREE_SECONDS, agents=None):
        watchers = self.running() if agents is None else agents

        def agreed():
            for agent in watchers:
                seen = agent.statuses().get(name)
                if seen != status:
                    return False, f"{agent} has {name} {seen}"
            return True
        wait_until(agreed, seconds, f"all agents list {name} as {status}")

    def wait_caught_up(self):
        """Our agents have made the extra push/pulls that follow when members come, at most two
        seconds apart: what a state tells comes in another way than by gossip."""
        def made():
            return [len(agent.log_lines(r"Initiating push/pull sync with: \S"))
                    for agent in self.agents if not agent.program.is_reference]
        seen, since = made(), time.monotonic()

        def quiet():
            nonlocal seen, since
            if (now := made()) != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() - since > 3
        wait_until(quiet, PATIENCE_SECONDS, "no more push/pulls are made because members came")

    def wait_left(self, agent):
        """The agent has left gracefully, and everybody knows it. Our goodbye is told to each member;
        the reference's is gossip only, which may miss another reference agent until the next
        push/pull."""
        self.wait_status(agent.name, "left",
                         AGREE_SECONDS if agent.program.is_reference else 10)

    def wait_all_alive(self, seconds=AGREE_SECONDS):
        """All running agents, and no other, are alive in every table."""
        self.wait_members({agent.name: "alive" for agent in self.running()}, seconds)

    def failures_logged(self, name=None, forgiving=True):
        """Every line of any log that calls a member (or the named one) failed. Where the goodbye of
        a reference agent missed another one of them, which happens now and then, that is between
        the two, and forgiven."""
        pattern = r"EventMemberFailed: " + (re.escape(name) + r" " if name else "")
        said_goodbye = {f"EventMemberFailed: {agent.name} {agent.host}" for agent in self.agents
                        if agent.program.is_reference and agent.left}
        return [f"{agent}: {line.strip()}" for agent in self.agents
                for line in agent.log_lines(pattern)
                if not (forgiving and agent.program.is_reference
                        and any(line.endswith(end) for end in said_goodbye))]

    def complaints(self, agents=None):
        """Lines at WARN or ERR, which a healthy cluster does not have."""
        return [f"{agent}: {line.strip()}" for agent in agents or self.agents
                for line in agent.log_lines(r"\[(WARN|ERR|ERROR)\]")]

    def dispose(self):
        problems = []
        for agent in self.agents:
            if agent.running:
                agent.process.terminate()
        for agent in self.agents:
            try:
                agent.dispose()
            except AssertionError as problem:
                problems.append(str(problem))
        assert not problems, "\n".join(problems)

    def logs(self, lines=200):
        for agent in self.agents:
            if agent.log_path.exists():
                yield f"log of {agent}", "\n".join(agent.log().splitlines()[-lines:])


def listening(host, port):
    """Whether a TCP connection to the address is accepted."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
