"""Clusters of both kinds: each sees the other join, die, leave and come back."""

import signal

import pytest

from agents import BOTH, OURS, REFERENCE, other, wait_until

KINDS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)


def three_of_each(cluster):
    """Six agents, joined in both directions, one of them through a member of the other kind."""
    first = cluster.grow(OURS, "ours-1")
    second = cluster.grow(REFERENCE, "ref-1", join=[first])
    cluster.grow(OURS, "ours-2", join=[second])
    cluster.grow(REFERENCE, "ref-2", join=[first])
    cluster.grow(OURS, "ours-3", join=[first])
    cluster.grow(REFERENCE, "ref-3", join=[second])


def two_of_each(cluster):
    first = cluster.grow(REFERENCE, "ref-1")
    second = cluster.grow(OURS, "ours-1", join=[first])
    cluster.grow(REFERENCE, "ref-2", join=[second])
    cluster.grow(OURS, "ours-2", join=[second])


@KINDS
def test_a_join_in_either_direction_shows_both_to_both(mixed_cluster, program):
    contact = mixed_cluster.agent(other(program))
    joiner = mixed_cluster.agent(program)
    assert joiner.join(contact) == "Successfully joined cluster by contacting 1 nodes.\n"
    mixed_cluster.wait_all_alive()
    assert contact.members() == joiner.members()
    for agent, peer in ((contact, joiner), (joiner, contact)):
        assert agent.log_lines(rf"\[INFO\] serf: EventMemberJoin: {peer.name} {peer.host}$")


@KINDS
def test_a_start_join_in_either_direction_is_told_on_the_banner(mixed_cluster, program):
    contact = mixed_cluster.agent(other(program))
    joiner = mixed_cluster.agent(program, join=[contact])
    mixed_cluster.wait_all_alive()
    assert joiner.log_lines(r"^==> Joining cluster\.\.\.\(replay: false\)$")
    assert joiner.log_lines(r"^    Join completed\. Synced with 1 initial agents$")


@KINDS
def test_a_retry_join_waits_for_its_peer_in_either_direction(mixed_cluster, program):
    contact = mixed_cluster.prepare(other(program))
    joiner = mixed_cluster.agent(program, None, f"-retry-join={contact.address}",
                                 "-retry-interval=1s")
    joiner.wait_log(r"\[WARN\] agent: Join failed: ")
    contact.start()
    mixed_cluster.wait_all_alive()
    joiner.wait_log(r"\[INFO\] agent: Join completed\. Synced with 1 initial agents")


def test_six_agents_of_both_kinds_agree_on_every_field(mixed_cluster):
    three_of_each(mixed_cluster)
    tables = [agent.members() for agent in mixed_cluster.agents]
    assert all(table == tables[0] for table in tables)


def test_members_converge_without_a_failure_or_an_error(mixed_cluster):
    three_of_each(mixed_cluster)
    assert mixed_cluster.failures_logged() == []
    assert mixed_cluster.complaints() == []


def test_a_killed_agent_of_either_kind_is_failed_for_all_others(mixed_cluster):
    three_of_each(mixed_cluster)
    killed = mixed_cluster.agents[2:4]
    for agent in killed:
        agent.kill()
    expected = {agent.name: "alive" for agent in mixed_cluster.running()}
    expected.update({agent.name: "failed" for agent in killed})
    mixed_cluster.wait_members(expected, 40)
    for witness in mixed_cluster.running():
        for agent in killed:
            assert witness.log_lines(rf"serf: EventMemberFailed: {agent.name} {agent.host}$")


@KINDS
@pytest.mark.parametrize("way", ["interrupt", "leave command", "terminate"])
def test_an_agent_that_leaves_is_left_and_never_failed(mixed_cluster, program, way):
    two_of_each(mixed_cluster)
    config = {"leave_on_terminate": True} if way == "terminate" else None
    leaver = mixed_cluster.grow(program, "leaver", join=mixed_cluster.agents[:1], config=config)
    if way == "interrupt":
        status = leaver.interrupt()
    elif way == "terminate":
        status = leaver.terminate()
    else:
        status = leaver.leave()
    assert status == 0
    mixed_cluster.wait_left(leaver)
    for witness in mixed_cluster.running():
        missed = r"(?: \(forced\))?" if program.is_reference and witness.program.is_reference else ""
        assert witness.log_lines(rf"serf: EventMemberLeave{missed}: leaver {leaver.host}$")
    assert mixed_cluster.failures_logged() == []


@KINDS
def test_an_agent_terminated_without_a_leave_is_failed(mixed_cluster, program):
    first = mixed_cluster.agent(other(program))
    second = mixed_cluster.agent(program, join=[first])
    mixed_cluster.wait_all_alive()
    assert second.terminate() == 1
    assert second.log_lines(r"serf: Shutdown without a Leave")
    mixed_cluster.wait_status(second.name, "failed", 20)


@KINDS
@pytest.mark.parametrize("end", ["failed", "left", "unnoticed"])
def test_an_agent_restarted_under_its_name_comes_back_alive(mixed_cluster, program, end):
    two_of_each(mixed_cluster)
    contact = mixed_cluster.agents[0]
    agent = mixed_cluster.agent(program, "phoenix", join=[contact])
    mixed_cluster.wait_all_alive()
    if end == "left":
        assert agent.interrupt() == 0
        mixed_cluster.wait_left(agent)
    else:
        agent.kill()
    if end == "failed":
        mixed_cluster.wait_status("phoenix", "failed", 40)
    reborn = mixed_cluster.agent(program, "phoenix", join=[contact], host=agent.host)
    mixed_cluster.wait_all_alive()
    assert reborn.members() == contact.members()
    if end != "failed":
        assert mixed_cluster.failures_logged() == []


@KINDS
def test_an_agent_that_was_asleep_refutes_its_suspicion(mixed_cluster, program):
    two_of_each(mixed_cluster)
    watchers = list(mixed_cluster.agents)
    sleeper = mixed_cluster.agent(program, "sleeper", join=watchers[:1])
    mixed_cluster.wait_all_alive()
    sleeper.process.send_signal(signal.SIGSTOP)
    try:
        # In turn, so that the sleeper is woken as soon as any of them has noticed.
        wait_until(lambda: any(watcher.log_lines(r"memberlist: Suspect sleeper has failed")
                               for watcher in watchers), 15, "somebody suspects the sleeper")
    finally:
        sleeper.process.send_signal(signal.SIGCONT)
    sleeper.wait_log(r"\[WARN\] memberlist: Refuting a suspect message", 10)
    mixed_cluster.wait_all_alive()
    assert mixed_cluster.failures_logged() == []
