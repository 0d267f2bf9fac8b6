"""A pod that is deleted leaves: everybody logs it, and the process ends by itself."""

import pytest

from agents import AGREE_SECONDS
from bed.flavours import FLAVOURS


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_a_deleted_pod_is_left(beds, flavour):
    bed = beds.make(flavour)
    bed.create(5)
    bed.wait_one_cluster()
    for leaving in bed.pods[:3]:  # the first one among them
        bed.delete([leaving])
        bed.all_left([leaving])
        for pod in bed.pods:
            pod.wait_log(rf"serf: EventMemberLeave: {leaving.name} {leaving.host}$", AGREE_SECONDS)
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
