"""Agents for the benchmark, and who of them knows whom.

Agents and flags are those of the interop tests. Who knows whom is read from the logs: both programs
write a line the moment a member joins, leaves or fails in their view (`EventMemberJoin: NAME`), and
no coalescing delays it. So the reader can be one process that wakes up now and then, instead of a
client for every agent on the processors that are being measured."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

import agents  # noqa: E402
from processes import cpu_seconds  # noqa: E402

EVENT = re.compile(rb"serf: EventMember(Join|Leave|Failed|Reap): (\S+)")
LOOK_SECONDS = 0.02      # between two looks at the logs
LOOK_SHARE = 10          # and at least so many times what a look takes
READ_SIZE = 1 << 20


class Agent(agents.Agent):
    """An agent that ends with the benchmark's process namespace, and is started without a fork of
    the whole interpreter."""

    def __init__(self, directory, program, name, *extra, **options):
        self.directory = Path(directory)
        super().__init__(self, program, name, *extra, log_level=None, **options)

    def new_path(self, stem, suffix):
        return self.directory / f"{stem}{suffix}"

    def spawn(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([self.program.path, *self.arguments()],
                                            stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, env=agents.environment())
        return self

    @property
    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.log_path.unlink(missing_ok=True)


class LogReader:
    """What the agents' logs say about the members, read bit by bit."""

    def __init__(self, watched):
        self.agents = watched
        self.files = [os.open(agent.log_path, os.O_RDONLY) for agent in watched]
        self.rests = [b""] * len(watched)
        self.states = [{} for _ in watched]  # name: the last event about it

    def look(self):
        for index, file in enumerate(self.files):
            while True:
                data = os.read(file, READ_SIZE)
                if not data:
                    break
                whole, newline, rest = (self.rests[index] + data).rpartition(b"\n")
                self.rests[index] = rest
                if newline:
                    self.states[index].update((name, event) for event, name in
                                              EVENT.findall(whole))

    def wait(self, condition, seconds):
        """Seconds from now until condition(self) holds; None when it does not in time."""
        start = time.monotonic()
        while True:
            before = time.monotonic()
            self.look()
            if condition(self):
                return before - start
            now = time.monotonic()
            if now - start >= seconds:
                return None
            time.sleep(max(LOOK_SECONDS, LOOK_SHARE * (now - before)))

    def known(self, index):
        return sum(event == b"Join" for event in self.states[index].values())

    def event(self, index, member):
        """The last event that agent logged about the member, or None."""
        return self.states[index].get(member.name.encode())

    def all_know(self, count):
        return all(len(states) >= count for states in self.states) and all(
            self.known(index) == count for index in range(len(self.agents)))

    def close(self):
        for file in self.files:
            os.close(file)


class Cluster:
    """Many agents of one program. The first is there before the others, which start at once and
    join it."""

    def __init__(self, directory, program, count, profile="lan"):
        self.program = program
        first = Agent(directory, program, "member-000", profile=profile)
        self.agents = [first] + [
            Agent(directory, program, f"member-{number:03}", f"-join={first.address}",
                  profile=profile) for number in range(1, count)]
        self.reader = None
        self.started = None

    def __enter__(self):
        self.agents[0].start()
        self.started = time.monotonic()
        for agent in self.agents[1:]:
            agent.spawn()
        self.reader = LogReader(self.agents)
        return self

    def __exit__(self, *_):
        if self.reader:
            self.reader.close()
        for agent in self.agents:
            if agent.process is not None:
                agent.process.kill()
        for agent in self.agents:
            agent.end()

    def wait_agreement(self, seconds):
        """Seconds since the start until all know all, or None."""
        spent = time.monotonic() - self.started
        waited = self.reader.wait(lambda reader: reader.all_know(len(self.agents)),
                                  max(0, seconds - spent))
        return None if waited is None else spent + waited

    def cpu_seconds(self):
        return sum(agent.cpu_seconds for agent in self.agents)
