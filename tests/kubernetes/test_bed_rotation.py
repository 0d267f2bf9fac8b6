"""The CronJob's pod replaces the key of encrypted pods, some of which are down meanwhile."""

import json
from pathlib import Path

from agents import AGREE_SECONDS, OURS, run, wait_until
from bed.flavours import COPY_MOUNT, ENCRYPTED, KEYRING, KEYRING_SECRET, SECRET_MOUNT, on_volumes
from bed.job import RotationJob


def keyring_of(pod, mount):
    return json.loads(Path(on_volumes(mount + KEYRING, pod.volume)).read_text("utf-8"))


def key_counts(pod):
    """{key: members that have it}, as all members together say."""
    done = pod.run("keys", "-list")
    rows = [line.split() for line in done.stdout.splitlines() if line.endswith("]")]
    return {row[0]: row[-1] for row in rows} if done.returncode == 0 else None


def tell(pods, name):
    """An event, and everybody hears of it."""
    pods[0].cli("event", name)
    for pod in pods:
        pod.wait_log(rf"agent: Received event: user-event: {name}$", AGREE_SECONDS)


def test_pods_that_are_down_meanwhile_come_back_with_the_new_key(beds):
    """One comes back while the old keys are still there, another one when they are gone; the others
    hear everything, and hold nobody else failed."""
    bed = beds.make(ENCRYPTED)
    old = [run(OURS, "keygen").stdout.strip() for _ in range(2)]
    bed.set_keys(old)
    first_down, second_down, *stay = bed.create(5)
    bed.wait_one_cluster()
    bed.vanish([first_down, second_down])
    job = RotationJob(bed, settle="2s", wait="15s")
    tell(stay, "begun")
    job.wait_said("is last in the Secret")
    assert bed.keys()[:2] == old
    tell(stay, "installed")
    job.wait_said("is first in the Secret")
    back = bed.create()[0]
    new = keyring_of(back, SECRET_MOUNT)[0]
    assert new not in old
    tell(stay, "used")
    assert job.finish() == 0, job.said()
    tell(stay, "removed")
    assert bed.keys() == [new] and not bed.api.annotations(KEYRING_SECRET)
    late = bed.create()[0]
    assert keyring_of(late, SECRET_MOUNT) == [new]
    bed.wait_one_cluster()
    wait_until(lambda: (seen := key_counts(late)) == {new: "[5/5]"} or (False, seen), AGREE_SECONDS,
               "all members have the new key alone")
    assert all(keyring_of(pod, COPY_MOUNT) == [new] for pod in bed.pods)
    for pod in stay:
        pod.wait_log(rf"serf: EventMemberLeave: {job.member.name} ", AGREE_SECONDS)
    down = (first_down.name, second_down.name)
    assert not [line for line in bed.failures_logged(forgiving=False)
                if not any(f"EventMemberFailed: {name} " in line for name in down)]
    assert not [key for key in (new, *old) if key in job.said()]
