"""A pod that is deleted leaves: everybody logs it, and the process ends by itself."""

import time

import pytest

from agents import AGREE_SECONDS
from bed.flavours import FLAVOURS

FIFTY_SECONDS = 150  # on a machine that is busy


def leave(bed, pod, note):
    began = time.monotonic()
    bed.ask_to_end([pod])
    for other in bed.pods:
        other.wait_log(rf"serf: EventMemberLeave: {pod.name} {pod.host}$", AGREE_SECONDS)
    note("logged by all after seconds:", round(time.monotonic() - began, 1))
    bed.wait_ended([pod])
    note("deleted after seconds:", round(time.monotonic() - began, 1))
    bed.all_left([pod])
    assert {other.members()[pod.name]["status"] for other in bed.pods} == {"left"}


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_a_deleted_pod_is_left(beds, record_property, flavour):
    bed = beds.make(flavour)
    bed.create(5)
    bed.wait_one_cluster()
    for pod in bed.pods[:3]:  # the first one among them
        leave(bed, pod, record_property)
    bed.wait_one_cluster(without_failed=True)
    bed.nobody_failed()


def test_one_of_fifty_is_left_to_all_others(beds, record_property):
    bed = beds.make(FLAVOURS["base"])
    bed.create(50)
    bed.wait_one_cluster(seconds=FIFTY_SECONDS)
    leave(bed, bed.pods[0], record_property)
    bed.nobody_failed()


def test_all_pods_deleted_at_once_end_by_themselves(beds):
    bed = beds.make(FLAVOURS["base"])
    pods = bed.create(5)
    bed.wait_one_cluster()
    bed.delete(list(pods))
    bed.all_left(pods)
    bed.nobody_failed()
