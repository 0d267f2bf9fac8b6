"""From the walk-through's controller to the base and back, as docs/kubernetes.md has it."""

from agents import REFERENCE
from bed.flavours import BASE, FROM_SEED, SEED, min_ready_seconds

REFERENCE_SECONDS = 150


def test_the_walk_through_becomes_the_base_without_a_split(beds):
    """At each step all pods are one cluster, in which nobody is held failed, however long pods with two
    settings are there side by side: longer than a suspicion lasts."""
    bed = beds.make(FROM_SEED)
    gone = bed.create(3, flavour=SEED)
    bed.wait_one_cluster()
    bed.create(2)
    bed.wait_one_cluster()
    bed.delete(list(gone))
    bed.wait_one_cluster(without_failed=True)
    for flavour in (FROM_SEED.with_settings(SERF_AGENT_LABEL_MODE="send"), BASE):
        gone += bed.pods
        bed.flavour = flavour
        bed.roll(min_ready_seconds=min_ready_seconds())
        bed.wait_one_cluster(without_failed=True)
    bed.all_left(gone)
    stranger = bed.create(flavour=SEED)[0]
    bed.wait_ready(stranger)
    assert stranger.run("join", bed.pods[0].gossip_address).returncode != 0
    bed.nobody_failed()


def test_at_the_last_step_back_agents_of_the_reference_join(beds, reference):
    """Those at whose start the base's label is accepted, and sent by nobody."""
    bed = beds.make(FROM_SEED)
    ours = bed.create(3)
    bed.wait_one_cluster()
    theirs = bed.create(program=REFERENCE, flavour=SEED)[0]
    theirs.wait_started()
    theirs.join(ours[0].gossip_address)
    bed.wait_one_cluster(seconds=REFERENCE_SECONDS)
    bed.nobody_failed()
