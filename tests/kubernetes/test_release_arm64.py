"""The binary for arm64, run by qemu-user: `make release ARCH=arm64`."""

import os
import shutil
import signal
import subprocess

import pytest

from agents import LOGS_FLOW, REPOSITORY, environment, wait_until

BINARY = REPOSITORY / "dist/serf-arm64"
QEMU = "qemu-aarch64-static"


@pytest.fixture(scope="module", autouse=True)
def built():
    if not os.path.exists(BINARY):
        pytest.skip("dist/serf-arm64 is not built: make release ARCH=arm64")
    if not shutil.which(QEMU):
        pytest.skip(f"{QEMU} is not installed: tools/install-packages cross")


def qemu(*words, **more):
    return subprocess.run([QEMU, str(BINARY), *words], capture_output=True, text=True, timeout=75,
                          env=environment(), check=False, **more)


def test_it_is_a_static_program_for_arm64():
    header = BINARY.read_bytes()[:20]
    assert header[:4] == b"\x7fELF" and int.from_bytes(header[18:20], "little") == 183
    listing = subprocess.run(["readelf", "--wide", "--dynamic", "--program-headers", str(BINARY)],
                             capture_output=True, text=True, check=True).stdout
    assert "NEEDED" not in listing and "INTERP" not in listing


def test_it_tells_its_version_and_makes_a_key():
    assert "Agent Protocol: 5 (Understands back to: 2)" in qemu("version").stdout
    assert len(qemu("keygen").stdout.strip()) in (24, 44)


def test_an_encrypted_agent_starts_and_leaves(tmp_path, private_network):
    log = tmp_path / "log"
    with open(log, "wb") as output:
        agent = subprocess.Popen([QEMU, str(BINARY), "agent", "-node=arm", "-bind=127.0.9.1",
                                  "-rpc-addr=127.0.9.1:7373", f"-encrypt={qemu('keygen').stdout.strip()}"],
                                 stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 env=environment())
    wait_until(lambda: (LOGS_FLOW in log.read_text("utf-8"), log.read_text("utf-8")), 70,
               "the agent runs")
    members = qemu("members", "-rpc-addr=127.0.9.1:7373")
    assert members.stdout.split()[:3] == ["arm", "127.0.9.1:7946", "alive"], members.stderr
    agent.send_signal(signal.SIGINT)
    assert agent.wait(75) == 0
