"""Pods that are lost without a word and come back at other addresses."""

import pytest

from agents import OURS, REFERENCE, wait_until
from bed.flavours import FLAVOURS, SEED, STATEFUL

RETURN_SECONDS = 150  # reconnects are 30 s apart, push/pulls as well, and one may miss
REFERENCE_SECONDS = 200  # once the reference holds a name failed, about 60 s is its floor


@pytest.mark.parametrize("addresses", ["new", "exchanged"])
@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_all_killed_at_once_and_started_again_are_one_cluster(beds, record_property, flavour,
                                                              addresses):
    bed = beds.make(flavour)
    bed.create(5)
    bed.wait_one_cluster()
    old = list(bed.pods)
    bed.vanish(old)
    again = {"addresses": [pod.host for pod in old[1:] + old[:1]]} if addresses == "exchanged" else {}
    bed.create(5, **again)
    if flavour.stable_names:
        assert {pod.name for pod in old} == {pod.name for pod in bed.pods}
    took = bed.wait_one_cluster(seconds=RETURN_SECONDS)
    record_property("one cluster after seconds:", round(took, 1))


def held(bed, name, status):
    def all_do():
        seen = {pod.name: pod.members().get(name, {}).get("status") for pod in bed.pods}
        return set(seen.values()) == {status}, seen
    wait_until(all_do, RETURN_SECONDS, f"everybody holds {name} {status}")


@pytest.mark.parametrize("state", ["alive", "failed"])
@pytest.mark.parametrize("flavour", [SEED, STATEFUL], ids=lambda flavour: flavour.name)
def test_a_name_moves_to_a_new_address(beds, record_property, flavour, state):
    bed = beds.make(flavour)
    bed.create(5)
    bed.wait_one_cluster()
    victim = bed.pods[2]
    bed.vanish([victim])
    if state == "failed":
        held(bed, victim.name, "failed")
    reborn = bed.create(names=[victim.name])[0]
    assert reborn.host != victim.host
    record_property("moved after seconds:", round(bed.wait_one_cluster(without_failed=True), 1))


@pytest.mark.parametrize("state", ["alive", "failed"])
def test_a_name_moves_among_reference_peers(beds, reference, record_property, state):
    bed = beds.make(SEED)
    for program in (OURS, REFERENCE, REFERENCE, REFERENCE):  # one at a time, or they may be a split
        bed.create(program=program)
        bed.wait_one_cluster(seconds=REFERENCE_SECONDS)
    victim = bed.create()[0]
    bed.wait_one_cluster(seconds=REFERENCE_SECONDS)
    bed.vanish([victim])
    if state == "failed":
        held(bed, victim.name, "failed")
    bed.create(names=[victim.name])
    took = bed.wait_one_cluster(seconds=REFERENCE_SECONDS, without_failed=True)
    record_property("moved after seconds:", round(took, 1))
