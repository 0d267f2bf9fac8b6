"""Two clusters that came into being on both sides of a broken network."""

import time

import pytest

from bed.flavours import BASE, SEED

APART_SECONDS = 15  # members have long stopped to make sure that they found everybody
# Each looks once a minute or so, and may meet its own side.
MERGE_SECONDS = 400


@pytest.mark.parametrize("flavour", [SEED, BASE], ids=lambda flavour: flavour.name)
def test_they_find_each_other_when_it_is_whole_again(beds, record_property, flavour):
    bed = beds.make(flavour)
    bed.network.cut_node(1, names_too=False)
    pods = bed.create(6)
    here = [pod for pod in pods if pod.node == 1]
    there = [pod for pod in pods if pod not in here]
    bed.wait_one_cluster(here)
    bed.wait_one_cluster(there)
    time.sleep(APART_SECONDS)
    assert [len(cluster) for cluster in bed.clusters()] == [4, 2]
    bed.network.heal()
    took = bed.wait_one_cluster(seconds=MERGE_SECONDS)
    record_property("one cluster after seconds:", round(took, 1))
    bed.nobody_failed()
