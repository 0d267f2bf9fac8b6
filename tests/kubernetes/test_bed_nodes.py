"""Nodes that are lost without a word, and what comes back or in their place."""

import pytest

from agents import AGREE_SECONDS
from bed.flavours import BASE, SEED

RETURN_SECONDS = 150  # reconnects are 30 s apart, push/pulls as well, and one may miss


@pytest.mark.parametrize("flavour,fault", [(SEED, "bridge"), (BASE, "uplink")],
                         ids=["seed-bridge", "base-uplink"])
def test_a_node_that_was_lost_comes_back(beds, record_property, flavour, fault):
    """Longer than the suspicion lasts: each side holds the other one failed. When the bridge itself is
    down, the node's pods don't have each other either."""
    bed = beds.make(flavour)
    bed.create(6)
    bed.wait_one_cluster()
    lost = [pod for pod in bed.pods if pod.node == 1]
    rest = [pod for pod in bed.pods if pod not in lost]
    assert len(lost) == 2
    (bed.network.cut_node if fault == "uplink" else bed.network.unplug_node)(1)
    for pod in rest:
        for gone in lost:
            pod.wait_log(rf"serf: EventMemberFailed: {gone.name} ", AGREE_SECONDS)
    for pod in lost:
        for gone in rest:
            pod.wait_log(rf"serf: EventMemberFailed: {gone.name} ", AGREE_SECONDS)
    bed.network.heal()
    bed.network.plug_node(1)
    took = bed.wait_one_cluster(seconds=RETURN_SECONDS, without_failed=True)
    record_property("one cluster after seconds:", round(took, 1))


def test_a_node_that_burnt_is_replaced(beds):
    """Its pods come again elsewhere, under other names; the old ones are failed, and stay it."""
    bed = beds.make(BASE)
    bed.create(6)
    bed.wait_one_cluster()
    lost = [pod for pod in bed.pods if pod.node == 2]
    bed.vanish(lost)
    bed.create(len(lost))
    bed.wait_one_cluster(seconds=RETURN_SECONDS)
    for pod in bed.pods[:4]:
        for gone in lost:
            pod.wait_log(rf"serf: EventMemberFailed: {gone.name} ", AGREE_SECONDS)
