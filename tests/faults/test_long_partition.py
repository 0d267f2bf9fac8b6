"""A partition that lasts until no gossip about it is under way and no dead member is gossiped to:
what heals it is reconnecting alone."""

import time

import pytest

from test_partition import GOSSIP_TO_THE_DEAD_SECONDS, halves, wait_until_each_half_is_alone


@pytest.mark.parametrize("kind", ["ours", "mixed"], indirect=True)
def test_a_partition_that_everybody_has_got_used_to_heals(cluster, kind):
    left, right = halves(cluster, kind)
    cluster.network.cut_both_ways(left, right)
    wait_until_each_half_is_alone(cluster, left, right)
    time.sleep(GOSSIP_TO_THE_DEAD_SECONDS + 2)
    cluster.network.heal()
    cluster.healthy_after()
