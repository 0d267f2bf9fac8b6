"""A name that comes back at another address without having left, as a pod's does that was deleted
by force: the others hold it alive, or failed, at an address that leads nowhere. Neither kind lets a
member move unless it has left, so who comes back has to see to it that it is held to have."""

import time

import pytest

from agents import BOTH, OURS, REFERENCE, wait_until

WATCH_SECONDS = 5
PEERS = pytest.mark.parametrize("peers", BOTH, ids=lambda program: f"among-{program.kind}")


def three_and_a_victim(cluster, peers, victim):
    for number in range(3):
        cluster.grow(peers, f"peer-{number + 1}", join=cluster.agents[:1])
    return cluster.grow(victim, "victim", join=cluster.agents[:1])


def vanish(cluster, agent):
    cluster.network.remove_host(agent.host)
    agent.kill()


def nobody_saw_it_fail(peers):
    """It was told of as leaving; unless somebody's suspicion had run out meanwhile."""
    if not any(peer.log_lines("Marking victim as failed") for peer in peers):
        for peer in peers:
            assert not peer.log_lines("EventMemberFailed: victim"), peer


@PEERS
@pytest.mark.parametrize("held", ["alive", "failed"])
def test_a_vanished_member_is_alive_at_its_new_address(cluster, reference, peers, held):
    """Within three or four seconds on a quiet machine; that it is within ten the simulator proves
    in virtual time (scenario restart-new-address)."""
    victim = three_and_a_victim(cluster, peers, OURS)
    peers = cluster.should_run()[:3]
    vanish(cluster, victim)
    if held == "failed":
        cluster.wait_failed([victim], peers)
    reborn = cluster.agent(OURS, "victim", join=peers[:1])
    assert reborn.host != victim.host
    cluster.healthy_after()
    if held == "alive":
        nobody_saw_it_fail(peers)


@PEERS
def test_who_meets_its_peers_while_it_moves_is_not_taken_for_dead(cluster, reference, peers):
    """A push/pull tells them of the new address while they still hear that the old life has left."""
    victim = three_and_a_victim(cluster, peers, OURS)
    peers = cluster.should_run()[:3]
    vanish(cluster, victim)
    reborn = cluster.agent(OURS, "victim", join=peers[:1])
    reborn.wait_log("where nobody answers to that name: moving it to")

    def arrived():
        reborn.join(*peers)
        return all(peer.members()["victim"]["addr"] == reborn.address for peer in peers)
    wait_until(arrived, 75, "all peers have the victim at its new address")
    cluster.healthy_after()
    nobody_saw_it_fail(peers)


@PEERS
def test_the_name_of_a_member_that_lives_stays_with_it(cluster, reference, peers):
    holder = three_and_a_victim(cluster, peers, OURS)
    rest = list(cluster.agents)
    thief = cluster.agent(OURS, holder.name, join=rest[:1])
    thief.wait_log(r"serf: Node name conflicts with another node at ")
    assert thief.wait_exit() == 3
    assert thief.log_lines("serf: minority in name conflict resolution, quit")
    time.sleep(WATCH_SECONDS)
    cluster.healthy_after(agents=rest)
    for agent in rest:
        assert not agent.log_lines(f"EventMemberJoin: {holder.name} {thief.host}$")


@pytest.mark.control
def test_the_reference_gives_up_instead(cluster, reference):
    """The control. It has the others vote on who bears its name, and loses: it ends, and would
    until its old self is forgotten, half a minute after its death is known."""
    victim = three_and_a_victim(cluster, REFERENCE, REFERENCE)
    vanish(cluster, victim)
    reborn = cluster.agent(REFERENCE, "victim", join=cluster.agents[:1])
    assert reborn.wait_exit() == 0
    assert reborn.log_lines("serf: minority in name conflict resolution, quit")
