"""The agent as the first process of a container."""

import os
import shutil
import signal
import subprocess

import pytest

from agents import OURS, environment, wait_until

PID_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.fixture
def first_of(cluster):
    """Starts words as process 1 of a PID namespace; returns the process outside and the log."""
    if not shutil.which("unshare") or subprocess.run([*PID_NAMESPACE, "true"], capture_output=True,
                                                     check=False).returncode != 0:
        pytest.skip("no PID namespace can be made here")

    def start(*words):
        log = cluster.directory / "log"
        with open(log, "wb") as output:
            process = subprocess.Popen([*PID_NAMESPACE, *words], stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, env=environment())
        return process, log
    return start


def child_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        return next(iter(file.read().split()), None)


def open_for_writing(path):
    """A descriptor once somebody reads the pipe, else None."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def test_a_signal_during_the_start_is_not_lost(cluster, first_of):
    """The start stands still in reading a pipe for a configuration file, TERM comes, and then the
    configuration. The kernel gives process 1 no signal that it has no handler for."""
    pipe = cluster.directory / "slow.json"
    os.mkfifo(pipe)
    process, log = first_of(OURS.path, "agent", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:7399",
                            f"-config-file={pipe}")
    writer = wait_until(lambda: open_for_writing(pipe), 20, "the agent reads its configuration")
    agent = wait_until(lambda: child_of(process), 20, "the agent is process 1 of its namespace")
    os.kill(int(agent), signal.SIGTERM)
    os.write(writer, b'{"leave_on_terminate": true}')
    os.close(writer)
    try:
        process.wait(75)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it runs on:\n{log.read_text()}") from None
    assert "Caught signal: terminated" in log.read_text()
