"""A disk with no room left, under the tags file, the keyring file, the snapshot and the log."""

import base64
import json
import os
import re
import subprocess

import pytest

from agents import AGREE_SECONDS, OURS, wait_until
from localcluster import kernel

DISK_BYTES = 64 * 1024
PAGE_BYTES = 4096


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


def test_keys_that_find_no_room_are_reported_and_the_old_file_stays(cluster, disk):
    old, new = (base64.b64encode(bytes(range(start, start + 16))).decode() for start in (0, 50))
    paths = [disk.folder / "keys.json", cluster.new_path("peer", ".keys")]
    for path in paths:
        path.write_text(json.dumps([old]), encoding="ascii")
    agent = cluster.agent(OURS, "full", f"-keyring-file={paths[0]}")
    peer = cluster.agent(OURS, "peer", f"-keyring-file={paths[1]}", join=[agent])
    cluster.healthy_after()
    disk.fill()
    refused = peer.run("keys", f"-install={new}")
    assert refused.returncode == 1
    assert re.search(rf"failed: +full +Failed to write keyring file: write {paths[0]}: "
                     "no space left on device", refused.stdout)
    assert json.loads(paths[0].read_text()) == [old]
    assert sorted(os.listdir(disk.folder)) == ["ballast", "keys.json"]
    cluster.healthy_after()

    disk.make_room()
    peer.cli("keys", f"-install={new}")
    assert json.loads(paths[0].read_text()) == [old, new]
    assert json.loads(paths[1].read_text()) == [old, new]
    cluster.healthy_after()


def test_a_snapshot_without_room_is_a_warning_and_is_whole_again_later(cluster, disk):
    path = disk.folder / "snapshot"
    agent = cluster.agent(OURS, "keeper", f"-snapshot={path}")
    peer = cluster.agent(OURS, "peer", join=[agent])
    wait_until(lambda: f"alive: peer {peer.address}\n" in path.read_text(), AGREE_SECONDS,
               "the peer is recorded")
    with open(path, "ab", buffering=0) as file:  # what comes next does not fit the last page
        file.write(b"#" * (PAGE_BYTES - 2 - path.stat().st_size) + b"\n")
    disk.fill()
    third = cluster.agent(OURS, "third", join=[peer])
    agent.wait_log(rf"\[ERR\] serf: Failed to update snapshot: write {path}: "
                   r"no space left on device; trying again in 30s$", AGREE_SECONDS)
    cluster.healthy_after()
    assert len(agent.log_lines("Failed to update snapshot")) == 1

    disk.make_room()
    agent.wait_log("serf: Snapshot is being kept again$", AGREE_SECONDS)
    for other in (peer, third):
        assert f"alive: {other.name} {other.address}\n" in path.read_text()
    agent.kill()
    again = cluster.agent(OURS, "keeper", f"-snapshot={path}", host=agent.host)
    again.wait_log("serf: Re-joined to previously known node: ", AGREE_SECONDS)
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
