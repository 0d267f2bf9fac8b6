"""Processes that stand still for longer than a suspicion lasts, and go on: as on a machine that is
suspended, or moved, or out of processor time."""

import pytest

from agents import BOTH, OURS

PROGRAMS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)


def sleep_until_failed(cluster, sleeper):
    others = [agent for agent in cluster.agents if agent is not sleeper]
    sleeper.stop()
    cluster.wait_failed([sleeper], others)
    sleeper.go_on()
    cluster.healthy_after()


def test_a_stopped_agent_is_failed_and_comes_back(cluster, kind):
    *_, sleeper = cluster.four(kind)
    sleep_until_failed(cluster, sleeper)
    if sleeper.program is OURS:
        assert sleeper.failures_it_saw() == []


def test_a_stopped_agent_wakes_up_among_peers_of_the_other_kind(cluster):
    sleeper, *_ = cluster.four("mixed")
    sleep_until_failed(cluster, sleeper)
    assert sleeper.failures_it_saw() == []


@PROGRAMS
def test_what_came_while_it_stood_still_counts_before_what_ran_out(cluster, program):
    """The sleeper suspects its peer, which refutes while the sleeper stands still. The suspicion
    has run out when it wakes, but the refutation is there too, and has to be read first."""
    sleeper = cluster.agent(OURS, "sleeper", profile="local")
    peer = cluster.grow(program, "peer", join=[sleeper], profile="local")
    peer.stop()
    sleeper.wait_log("memberlist: Suspect peer has failed", 20)
    sleeper.stop()
    peer.go_on()
    peer.wait_log("memberlist: Refuting a suspect message", 20)
    # The peer's suspicion lasts as long as the sleeper's (3 s: nobody else could confirm it), and
    # has begun later.
    cluster.wait_failed([sleeper], [peer])
    sleeper.go_on()
    cluster.healthy_after()
    assert sleeper.failures_it_saw() == []
