"""The system log gets the same lines from both programs."""

import os
import re
import signal
import socket
import subprocess

import pytest

from agents import BOTH, environment, run, wait_until

# The folder with the test's socket, seen as /var/run by the agent alone.
COVER = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /var/run && exec "$@"']
FRAME = re.compile(r"<(\d+)>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d serf\[(\d+)\]: (.*)\n")


@pytest.fixture
def system_log(tmp_path):
    if os.path.exists("/dev/log"):
        pytest.skip("this machine has a system log of its own, which comes before the test's")
    folder = tmp_path / "run"
    folder.mkdir()
    if subprocess.run([*COVER, str(folder), "true"], capture_output=True,
                      check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "syslog"))
        listener.settimeout(0.2)
        yield folder, listener


def receive(listener, until):
    frames = []

    def found():
        try:
            frames.append(listener.recv(65536).decode())
        except TimeoutError:
            pass
        return any(until in frame for frame in frames), frames
    wait_until(found, 20, f"the system log gets '{until}'")
    return frames


def test_both_write_the_same_frames(cluster, reference, system_log):
    folder, listener = system_log
    seen = {}
    for program in BOTH:
        agent = cluster.prepare(program, "n1", "-syslog", host="127.77.0.1", log_level="info",
                                config={"syslog_facility": "daemon"})
        with open(agent.log_path, "ab") as log:
            agent.process = subprocess.Popen([*COVER, str(folder), program.path,
                                              *agent.arguments()], stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log, env=environment())
        frames = receive(listener, "Received event: member-join")
        agent.process.send_signal(signal.SIGTERM)
        frames += receive(listener, "shutdown complete")
        assert agent.wait_exit() == 1
        matches = [FRAME.fullmatch(frame) for frame in frames]
        assert all(matches), frames
        assert {int(match[2]) for match in matches} == {agent.process.pid}
        seen[program.kind] = [(match[1], match[3]) for match in matches]
    assert seen["cserf"] == seen["serf"]
    assert ("29", "agent: Serf agent starting") in seen["cserf"]


def test_the_start_fails_where_there_is_none_or_the_facility_is_unknown(reference, system_log):
    folder, listener = system_log
    listener.close()
    (folder / "syslog").unlink()
    for program in BOTH:
        done = run(program, "agent", "-bind=127.0.0.1:0", "-syslog")
        assert done.returncode == 1
        assert "==> Syslog setup failed: Unix syslog delivery error" in done.stdout
    config = folder / "config.json"
    config.write_text('{"syslog_facility": "bogus", "enable_syslog": true}', encoding="utf-8")
    for program in BOTH:
        done = run(program, "agent", "-bind=127.0.0.1:0", f"-config-file={config}")
        assert done.returncode == 1
        assert "==> Syslog setup failed: invalid syslog facility: BOGUS" in done.stdout
