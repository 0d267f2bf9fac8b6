"""Pods that give way to others, one after another: nobody is held failed meanwhile."""

import pytest

from bed.flavours import FLAVOURS

REPLICAS = 10


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_an_update_leaves_nobody_failed(beds, flavour):
    bed = beds.make(flavour)
    old = bed.create(REPLICAS)
    bed.wait_one_cluster()
    bed.roll()
    assert not set(old) & set(bed.pods) and len(bed.pods) == REPLICAS
    bed.wait_one_cluster(without_failed=True)
    bed.all_left(old)
    bed.nobody_failed()
