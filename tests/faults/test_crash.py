"""Agents that are killed, and that come back at the same address."""

import time

# Longer than a probe round of four members and the shortest suspicion together.
WATCH_SECONDS = 9


def test_a_killed_agent_is_failed_everywhere(cluster, kind):
    *others, victim = cluster.four(kind)
    victim.kill()
    cluster.gone[victim.name] = "failed"
    cluster.healthy_after()
    for agent in others:
        assert agent.log_lines(rf"serf: EventMemberFailed: {victim.name} {victim.host}$")


def test_nobody_notices_a_restart_at_once(cluster, kind):
    first, *_, victim = cluster.four(kind)
    victim.kill()
    cluster.agent(victim.program, victim.name, join=[first], host=victim.host)
    cluster.healthy_after()
    time.sleep(WATCH_SECONDS)
    cluster.healthy_after()
    assert cluster.failures_logged(victim.name) == []


def test_an_agent_that_failed_comes_back(cluster, kind):
    first, *others, victim = cluster.four(kind, profile="local")
    victim.kill()
    cluster.wait_failed([victim], [first, *others])
    cluster.agent(victim.program, victim.name, join=[first], host=victim.host, profile="local")
    cluster.healthy_after()
