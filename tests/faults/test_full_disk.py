"""A disk with no room left, under the tags file and under the log. (The keyring file is only read.)
"""

import json
import os
import subprocess

import pytest

from agents import OURS, wait_until
from localcluster import kernel

DISK_BYTES = 64 * 1024


class Disk:
    def __init__(self, folder):
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self):
        """To the last byte."""
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass

    def make_room(self):
        self.ballast.unlink()


@pytest.fixture(scope="module")
def private_mounts():
    try:
        kernel.unshare(kernel.CLONE_NEWNS)
    except OSError as error:
        pytest.skip(f"no mount namespace can be made here: {error}")
    if not kernel.make_mounts_private():
        pytest.skip("mounts can't be made private here, as in a chroot")


@pytest.fixture
def disk(private_mounts, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "disk", folder], check=True)
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_tags_that_find_no_room_are_refused_and_the_old_ones_stay(cluster, disk):
    path = disk.folder / "tags.json"
    peer = cluster.agent(OURS, "peer")
    agent = cluster.agent(OURS, "tagged", f"-tags-file={path}", join=[peer])
    agent.cli("tags", "-set", "role=web")
    disk.fill()
    refused = agent.run("tags", "-set", "role=" + "x" * 300)
    reason = f"Failed to write tags file: write {path}: no space left on device"
    assert refused.returncode == 1 and reason in refused.stdout + refused.stderr
    agent.wait_log(r"\[ERR\] agent: " + reason, 5)
    assert json.loads(path.read_text()) == {"role": "web"}
    assert sorted(os.listdir(disk.folder)) == ["ballast", "tags.json"]
    cluster.healthy_after()
    assert agent.members()["tagged"]["tags"] == {"role": "web"}

    disk.make_room()
    agent.cli("tags", "-set", "role=db")
    assert json.loads(path.read_text()) == {"role": "db"}
    wait_until(lambda: peer.members()["tagged"]["tags"] == {"role": "db"}, 20, "the peer knows")
    cluster.healthy_after()


def test_a_log_without_room_stops_nothing_and_says_later_what_is_missing(cluster, disk):
    peer = cluster.agent(OURS, "peer")
    agent = cluster.prepare(OURS, "logger", join=[peer])
    agent.log_path = disk.folder / "agent.log"
    agent.start()
    cluster.healthy_after()
    disk.fill()
    # Each command is a line: two pages of them, more than what was left of the last page.
    for _ in range(2 * 4096 // len("2026/01/01 00:00:00 [INFO] agent.ipc: Accepted client: ")):
        agent.members()
    before = agent.log_mark()
    cluster.healthy_after()
    disk.make_room()
    agent.members()
    agent.wait_log(r"^    \d{4}/.* \[WARN\] agent: \d+ lines were dropped here: "
                   r"no space left on device$", 10, before)
    agent.wait_log("agent.ipc: Accepted client: ", 10, before)
    cluster.healthy_after()
    assert cluster.failures_logged() == []
