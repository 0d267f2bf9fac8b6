"""A pod that is deleted leaves: everybody logs it, and the process ends by itself."""

import time

import pytest

from agents import AGREE_SECONDS
from bed.flavours import FLAVOURS


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_a_deleted_pod_is_left(beds, record_property, flavour):
    bed = beds.make(flavour)
    bed.create(5)
    bed.wait_one_cluster()
    for leaving in bed.pods[:3]:  # the first one among them
        began = time.monotonic()
        bed.ask_to_end([leaving])
        for pod in bed.pods:
            pod.wait_log(rf"serf: EventMemberLeave: {leaving.name} {leaving.host}$", AGREE_SECONDS)
        record_property("logged by all after seconds:", round(time.monotonic() - began, 1))
        bed.wait_ended([leaving])
        record_property("deleted after seconds:", round(time.monotonic() - began, 1))
        bed.all_left([leaving])
        for pod in bed.pods:
            assert pod.members()[leaving.name]["status"] == "left"
    bed.wait_one_cluster(without_failed=True)
    bed.nobody_failed()


def test_all_pods_deleted_at_once_end_by_themselves(beds):
    bed = beds.make(FLAVOURS["base"])
    pods = bed.create(5)
    bed.wait_one_cluster()
    bed.delete(list(pods))
    bed.all_left(pods)
    bed.nobody_failed()
