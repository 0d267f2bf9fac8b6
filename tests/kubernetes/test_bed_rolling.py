"""Pods that give way to others, one after another: nobody is held failed meanwhile, and who is gone is
forgotten after the timeouts."""

import pytest

from agents import AGREE_SECONDS, wait_until
from bed.flavours import BASE, FLAVOURS

REPLICAS = 10
ROLLS = 20
FORGET_SECONDS = 5  # and what is to be forgotten is looked for every 15 s


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


def test_the_table_shrinks_again(beds, record_property):
    short = {f"SERF_AGENT_{name}_TIMEOUT": f"{FORGET_SECONDS}s" for name in ("RECONNECT", "TOMBSTONE")}
    bed = beds.make(BASE.with_settings(**short))
    bed.create(2)
    bed.wait_one_cluster()
    largest = 0
    for _ in range(ROLLS):
        bed.roll()
        largest = max(largest, *(len(pod.members()) for pod in bed.pods))
    record_property("members at most:", largest)
    expected = {pod.name for pod in bed.pods}

    def shrunk():
        tables = [sorted(pod.members()) for pod in bed.pods]
        return all(set(table) == expected for table in tables), tables
    wait_until(shrunk, AGREE_SECONDS, f"every table is {sorted(expected)}")
    bed.nobody_failed()
