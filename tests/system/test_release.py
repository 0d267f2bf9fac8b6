"""The release binary needs nothing but a kernel."""

import os
import re
import shutil
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
RELEASE = os.path.join(ROOT, "dist", "serf")


@pytest.fixture(scope="module", autouse=True)
def built():
    if not os.path.exists(RELEASE):
        pytest.skip("dist/serf is not built: make release")


def readelf(option):
    return subprocess.run(["readelf", "--wide", option, RELEASE], capture_output=True, text=True,
                          check=True).stdout


def test_it_needs_no_shared_library():
    assert "NEEDED" not in readelf("--dynamic")
    assert "INTERP" not in readelf("--program-headers")


def test_it_is_position_independent_with_a_stack_that_is_not_executable():
    assert re.search(r"Type:\s+DYN", readelf("--file-header"))
    stack = re.search(r"GNU_STACK.*", readelf("--program-headers"))[0]
    assert " RW " in stack and "RWE" not in stack


def test_it_is_stripped():
    assert ".symtab" not in readelf("--sections")


def test_what_is_seldom_used_lies_behind_what_is_not():
    """tools/release.ld matches files of static libraries by name; it must not do so in vain."""
    sections = {name: int(size, 16) for name, size in re.findall(
        r"\] (\.[\w.]+)\s+\w+\s+\w+ \w+ (\w+)", readelf("--sections"))}
    assert sections[".text.seldom"] > sections[".text"]
    assert sections[".rodata"] > sections[".rodata.often"]


@pytest.fixture
def inside(tmp_path):
    """The command in front of another that runs it in an empty root and a network of its own."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(RELEASE, root / "serf")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *user, "--net", "sh", "-c",
               'ip link set lo up && exec chroot "$0" "$@"', str(root)]
    if subprocess.run([*command, "/serf", "version"], capture_output=True,
                      check=False).returncode == 125:
        pytest.skip("neither namespaces nor chroot are to be had here")
    return command


def test_it_tells_its_version_in_an_empty_root(inside):
    result = subprocess.run([*inside, "/serf", "version"], capture_output=True, text=True,
                            check=False, timeout=20)
    assert result.returncode == 0, result.stderr
    assert "Agent Protocol: 5 (Understands back to: 2)" in result.stdout


def test_an_agent_runs_resolves_and_leaves_in_an_empty_root(inside):
    """No name service library, no /etc, no /proc: what the static C library lacks is not missed."""
    agent = subprocess.Popen(
        [*inside, "/serf", "agent", "-node", "lonely", "-bind", "127.0.0.1",
         "-retry-join", "nowhere.invalid"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    deadline = time.monotonic() + 20
    for line in agent.stdout:
        lines.append(line)
        if "error joining" in line or time.monotonic() > deadline:
            break
    agent.terminate()
    lines += agent.stdout.readlines()
    agent.wait(20)
    output = "".join(lines)
    assert "==> Serf agent running!" in output
    assert "nowhere.invalid" in output
    assert "==> Caught signal: terminated" in output
