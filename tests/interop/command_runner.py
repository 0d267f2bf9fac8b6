"""Runs the rows of the command table: the agents they need, the processes, the masks."""

import itertools
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import command_table as table
from agents import (AGREE_SECONDS, BOTH, OURS, POLL_INTERVAL, REFERENCE, Cluster, environment,
                    next_host, other, run)

KEYS = {"key_1": "AAECAwQFBgcICQoLDA0ODw==", "key_2": "EBESExQVFhcYGRobHB0eHw==",
        "key_3": "ICEiIyQlJicoKSorLC0uLw=="}
FINISH_SECONDS = 60
PATIENCE = ("300ms", "1s", "3s")  # for answers to a query, at the first, the second, a later try
RUNNING = "Log data will now stream in"
RUNS = "it runs, although it should not"
STARTED = "Received event: member-join"  # by then a reference agent minds its signals


def substitute(word, values):
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), word)


class Outcome:
    """What a command showed and how it ended."""

    def __init__(self, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, stderr

    def __eq__(self, other_one):
        return vars(self) == vars(other_one)

    def __repr__(self):
        parts = [f"status {self.status}"]
        for name, text in (("stdout", self.stdout), ("stderr", self.stderr)):
            parts += [f"{name}| {line}" for line in text.splitlines(keepends=False)]
        return "\n".join(parts)


class Answering:
    """A TCP server that says the same to everybody, or nothing, and closes."""

    def __init__(self, text):
        self.socket = socket.create_server((next_host(), 7373))
        self.text = text
        self.address = "{}:{}".format(*self.socket.getsockname())
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                try:
                    peer.settimeout(5)
                    peer.recv(1)
                    peer.sendall(self.text)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(4096):
                        pass
                except OSError:
                    pass

    def close(self):
        self.socket.close()


class Stage:
    """The agents of all rows, started when the first row needs them."""

    def __init__(self, directory):
        self.directory, self.clusters, self.states = directory, [], {}
        self.closer, self.noise = Answering(b""), Answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.nobody, self.serial = next_host(), itertools.count(1)
        self.of_this_row, self.patience = [], PATIENCE[0]

    def cluster(self):
        path = self.directory / f"cluster-{len(self.clusters)}"
        path.mkdir()
        self.clusters.append(Cluster(path))
        return self.clusters[-1]

    def agents(self, state):
        if state not in self.states:
            self.states[state] = {table.PAIR: self._pair, table.KEYED: self._keyed,
                                  table.TOKEN: self._token}[state]()
        return self.states[state]

    def _pair(self):
        cluster, answer = self.cluster(), "-event-handler=query:load=printf 42"
        flags = {"profile": "local"}
        ours = cluster.grow(OURS, "node-a", "-tag=role=web", "-tag=dc=east", "-tag=k=v=w", answer,
                            **flags)
        ref = cluster.grow(REFERENCE, "node-b", "-tag=role=db", answer, join=[ours], **flags)
        left = cluster.grow(REFERENCE, "x-left", "-tag=role=web", join=[ref], **flags)
        assert left.interrupt() == 0
        cluster.wait_left(left)
        failed = cluster.agent(REFERENCE, "x-failed", "-tag=role=a|b", join=[ref], **flags)
        cluster.wait_status("x-failed", "alive")
        failed.kill()
        cluster.wait_status("x-failed", "failed")
        return {OURS: ours, REFERENCE: ref}

    def _keyed(self):
        cluster, agents = self.cluster(), {}
        for program, name in ((OURS, "node-a"), (REFERENCE, "node-b")):
            path = cluster.new_path(name, ".keys")
            path.write_text(f'["{KEYS["key_1"]}"]', "ascii")
            agents[program] = cluster.grow(program, name, f"-keyring-file={path}", "-tag=role=web",
                                           "-tag=dc=east", "-event-handler=query:load=printf 42",
                                           profile="local", join=list(agents.values()))
        return agents

    def _token(self):
        cluster = self.cluster()
        return {program: cluster.agent(program, name, config={"rpc_auth": "sesame"})
                for program, name in ((OURS, "node-a"), (REFERENCE, "node-b"))}

    def target(self):
        """An agent for another to join, until the row is over."""
        return self.passing(REFERENCE, "target")

    def passing(self, program, name):
        agent = self.cluster().agent(program, name, profile="local")
        self.of_this_row.append(agent)
        return agent

    def end_row(self):
        for agent in self.of_this_row:
            if agent.running:
                agent.kill()
        self.of_this_row = []

    def files(self, row):
        path = self.directory / f"files-{next(self.serial):04}"
        path.mkdir()
        for name, content in row.files:
            (path / name).write_text(content, "utf-8")
        return path

    def next_name(self):
        return f"agent-{next(self.serial):04}"

    def alone(self, program):
        return self.passing(program, "node-a" if program is OURS else "node-b")

    def close(self):
        self.closer.close()
        self.noise.close()
        problems = []
        for cluster in self.clusters:
            try:
                cluster.dispose()
            except AssertionError as problem:
                problems.append(str(problem))
        assert not problems, "\n".join(problems)

    def logs(self):
        for cluster in self.clusters:
            yield from cluster.logs(60)


class Command:
    """One command line of one kind at one agent."""

    def __init__(self, stage, row, program, agents=None, of=None, directory=None):
        self.row, self.stage, self.program = row, stage, program
        self.agent = agents[of] if agents else None
        self.peer = agents.get(other(of)) if agents else None
        self.directory, self.host = directory, None
        self.mark = self.agent.log_mark() if self.agent else 0
        if row.state in (table.START, table.RUN):
            self.host, self.name = next_host(), stage.next_name()

    def words(self, words):
        values = {**KEYS, "nobody": self.stage.nobody, "closer": self.stage.closer.address,
                  "noise": self.stage.noise.address, "dir": self.directory, "host": self.host,
                  "taken": self.stage.closer.address, "patience": self.stage.patience}
        if self.agent:
            values.update(self=self.agent.name, self_host=self.agent.host)
        if self.peer:
            values.update(peer=self.peer.name, peer_host=self.peer.host)
        if any("{target}" in word for word in words):
            self.peer = self.stage.target()
            values.update(target=self.peer.address)
        filled = [substitute(word, values) for word in words]
        if self.host:
            filled[1:1] = [f"-node={self.name}", f"-bind={self.host}",
                           f"-rpc-addr={self.host}:7373", "-profile=local"]
        if self.agent and not any("-rpc-addr=" in word for word in filled[:1]):
            filled.insert(1, f"-rpc-addr={self.agent.rpc_address}")
        return filled

    def start(self, words=None):
        variables = dict(self.row.variables)
        self.process = subprocess.Popen(
            [self.program.path, *self.words(words or self.row.argv)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**variables))
        return self

    def read_until(self, pattern, deadline):
        """The output so far, once it has the pattern, or the command has ended. The rest is
        communicate()'s."""
        seen = b""
        while not re.search(pattern.encode(), seen):
            if time.monotonic() >= deadline:
                raise AssertionError(f"{self.row.words} did not show /{pattern}/: {seen}")
            if self.row.meanwhile:
                run(self.agent.program, *self.words(self.row.meanwhile.split()))
            if not select.select([self.process.stdout], [], [], POLL_INTERVAL)[0]:
                continue
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                break
            seen += piece
        return seen

    def interrupt(self):
        """Stops the command when it has got as far as the row says; what it showed until then."""
        seen, deadline = b"", time.monotonic() + AGREE_SECONDS
        if self.row.state == table.START:
            seen = self.read_until(RUNNING, deadline)
            self.process.kill()
        elif self.row.state == table.RUN:
            seen = self.read_until(STARTED if table.LOG in self.row.masks else RUNNING, deadline)
        elif self.row.until:
            seen = self.read_until(self.row.until, deadline)
        elif self.row.until_log:
            self.agent.wait_log(self.row.until_log, since=self.mark)
        else:
            return b""
        if self.row.state == table.START:
            pass
        elif self.row.state == table.RUN:
            self.process.send_signal(self.row.signal if table.LOG in self.row.masks
                                     else signal.SIGKILL)
            if self.row.signal == signal.SIGHUP:
                seen += self.read_until("Reloading configuration", deadline)
                self.process.send_signal(signal.SIGTERM)
        else:
            self.process.send_signal(signal.SIGINT)
        return seen

    def finish(self):
        try:
            seen = self.interrupt()
            runs = self.row.state == table.START and RUNNING.encode() in seen
            out, err = self.process.communicate(timeout=FINISH_SECONDS)
            status = RUNS if runs else self.process.returncode
        except (subprocess.TimeoutExpired, AssertionError) as problem:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"{self.row.words}: {problem}\n{out}{err}") from None
        return Outcome(status, (seen + out).decode(errors="replace"), err.decode(errors="replace"))

    def before(self):
        for words in self.row.before:
            self.start(words.split())
            out, err = self.process.communicate(timeout=FINISH_SECONDS)
            assert self.process.returncode == 0, (words, out, err)


def combinations(row):
    """(command line, agent): each kind's own first."""
    pure = [(program, program) for program in BOTH]
    if row.state in (table.NONE, table.START, table.RUN):
        return pure
    return pure + ([(program, other(program)) for program in BOTH] if row.crosswise else [])


def run_row(stage, row, attempt=0):
    """What became of a row: (command, outcome) by (command line, agent)."""
    stage.patience = PATIENCE[min(attempt, len(PATIENCE) - 1)]
    try:
        return run_all(stage, row)
    finally:
        stage.end_row()


def run_all(stage, row):
    commands, outcomes = {}, {}
    for program, of in combinations(row):
        if row.state in (table.NONE, table.START, table.RUN):
            command = Command(stage, row, program, directory=stage.files(row))
        elif row.state == table.ALONE:
            command = Command(stage, row, program, {of: stage.alone(of)}, of)
        else:
            command = Command(stage, row, program, stage.agents(row.state), of)
        command.before()
        commands[program, of] = command.start()
        if not row.slow:
            outcomes[program, of] = command.finish()
    for pair, command in commands.items():
        if row.slow:
            outcomes[pair] = command.finish()
    return {pair: (commands[pair], outcomes[pair]) for pair in commands}
