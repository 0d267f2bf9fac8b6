"""The library's examples, as programs that the tests start."""

import os
import subprocess
from pathlib import Path

from agents import AGREE_SECONDS, OURS, REPOSITORY, _die_with_parent, environment, next_host, \
    wait_until

_beside = Path(OURS.path).resolve().parent
BUILD = _beside if (_beside / "examples/example-member").exists() else REPOSITORY / "build"
MEMBER, RPC = BUILD / "examples/example-member", BUILD / "examples/example-rpc"


class ExampleMember:
    """examples/member.c: commands go to its standard input, what it prints into a file."""

    def __init__(self, program, directory, name, *peers, env=None):
        self.name, self.address = name, f"{next_host()}:7946"
        self.path = Path(directory) / f"{name}.out"
        with open(self.path, "wb") as output:
            self.process = subprocess.Popen(
                [program, name, self.address, *[peer.address for peer in peers]],
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
                env={**environment(), **(env or {})}, preexec_fn=_die_with_parent, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def lines(self):
        return self.path.read_text("utf-8").splitlines()

    def wait_line(self, line):
        wait_until(lambda: (line in self.lines(), self.lines()), AGREE_SECONDS,
                   f"{self.name} prints {line!r}")

    def wait_exit(self):
        return self.process.wait(AGREE_SECONDS)


def run_rpc(program, agent, env=None):
    """examples/rpc.c against an agent; its output."""
    done = subprocess.run([program, agent.rpc_address], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=AGREE_SECONDS,
                          env={**environment(), **(env or {})}, check=False,
                          preexec_fn=_die_with_parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def is_sanitized(path):
    return b"__asan_init" in Path(path).read_bytes() if os.path.exists(path) else False
