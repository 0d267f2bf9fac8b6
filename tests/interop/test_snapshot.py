"""Snapshots: each kind of agent reads what it wrote itself, and what the other kind wrote."""

import re

import pytest

from agents import AGREE_SECONDS, BOTH, OURS, REFERENCE, next_host, wait_until

KINDS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)
PAIRS = pytest.mark.parametrize("before, after", [(a, b) for a in BOTH for b in BOTH],
                                ids=lambda program: program.kind)


def grown(cluster, program, path, *extra):
    """Two agents that stay and a third with a snapshot that knows both."""
    peers = [cluster.grow(OURS, "one")]
    peers.append(cluster.grow(REFERENCE, "two", join=peers))
    agent = cluster.grow(program, "third", f"-snapshot={path}", *extra, join=peers[:1])
    if program.is_reference:
        return agent, peers  # its last lines stay in memory until it ends
    wait_until(lambda: all(f"alive: {peer.name} {peer.address}\n" in path.read_text()
                           for peer in peers), 5, f"the snapshot of {agent} names its peers")
    return agent, peers


@PAIRS
def test_a_restarted_agent_finds_the_members_that_its_snapshot_names(mixed_cluster, tmp_path,
                                                                     before, after):
    path = tmp_path / "snapshot"
    agent, _ = grown(mixed_cluster, before, path)
    if before.is_reference:
        agent.terminate()
    else:
        agent.kill()
    again = mixed_cluster.agent(after, "third", f"-snapshot={path}", host=agent.host)
    again.wait_log(r"\[INFO\] serf: Re-joined to previously known node: (one|two): ", 10)
    assert again.log_lines(r"\[INFO\] serf: Attempting re-join to previously known node: (one|two): "
                           r"127\.[0-9.]+:7946$")
    mixed_cluster.wait_all_alive()
    assert mixed_cluster.failures_logged() == []


@PAIRS
def test_an_agent_that_left_stays_alone_unless_it_is_told_to_rejoin(mixed_cluster, tmp_path, before,
                                                                    after):
    path = tmp_path / "snapshot"
    agent, peers = grown(mixed_cluster, before, path)
    assert agent.interrupt() == 0
    assert "leave\n" in path.read_text()
    mixed_cluster.wait_left(agent)
    copy = tmp_path / "copy"
    copy.write_text(path.read_text())
    alone = mixed_cluster.agent(after, "third", f"-snapshot={copy}", host=next_host())
    assert alone.statuses() == {"third": "alive"}
    assert not alone.log_lines("Attempting re-join")
    alone.terminate()
    again = mixed_cluster.agent(after, "third", f"-snapshot={path}", "-rejoin", host=agent.host)
    again.wait_log(r"\[INFO\] serf: Re-joined to previously known node", 10)
    assert again.log_lines(r"\[INFO\] serf: Ignoring previous leave in snapshot$")
    mixed_cluster.wait_members({name: "alive" for name in ("one", "two", "third")},
                               agents=[*peers, again])


@KINDS
def test_nobody_there_is_a_warning(mixed_cluster, tmp_path, program):
    path = tmp_path / "snapshot"
    path.write_text(f"alive: gone {next_host()}:7946\nclock: 4\n")
    agent = mixed_cluster.agent(program, "alone", f"-snapshot={path}")
    agent.wait_log(r"\[WARN\] serf: Failed to re-join any previously known node$", 15)
    assert agent.info()["serf"]["member_time"] == "5"


@KINDS
def test_lines_about_failed_members_are_skipped_in_silence(mixed_cluster, tmp_path, program):
    path = tmp_path / "snapshot"
    path.write_text(f"# failed: gone {next_host()}:7946 1700000000\n"
                    f"# failed: two words {next_host()}:7946 1700000000\n"
                    "# failed: nonsense\nclock: 4\n")
    agent = mixed_cluster.agent(program, "alone", f"-snapshot={path}")
    assert agent.info()["serf"]["member_time"] == "5"
    assert agent.log_lines(r"(?i)snapshot line|\[(WARN|ERR)\]") == []
    assert agent.log_lines("Attempting re-join") == []  # long past reconnect_timeout


@KINDS
def test_a_cluster_that_saw_itself_fail_is_found_again(mixed_cluster, tmp_path, program):
    """All that the snapshot knows is a member that failed; it is of either kind."""
    path = tmp_path / "snapshot"
    peer = mixed_cluster.grow(program, "peer")
    agent = mixed_cluster.grow(OURS, "third", f"-snapshot={path}", join=[peer])
    peer.kill()
    mixed_cluster.wait_status("peer", "failed", AGREE_SECONDS)
    failed = rf"(?m)^# failed: peer {re.escape(peer.address)} \d+$"
    wait_until(lambda: re.search(failed, path.read_text()), AGREE_SECONDS, "the failure is recorded")
    agent.kill()
    again = [mixed_cluster.agent(program, "peer", host=peer.host),
             mixed_cluster.agent(OURS, "third", f"-snapshot={path}", host=agent.host)]
    again[1].wait_log(r"\[INFO\] serf: Re-joined to previously known node: peer: ", AGREE_SECONDS)
    mixed_cluster.wait_members({"peer": "alive", "third": "alive"}, agents=again)


@KINDS
def test_a_stranger_at_a_remembered_address_is_left_alone(mixed_cluster, tmp_path, program):
    path = tmp_path / "snapshot"
    stranger = mixed_cluster.grow(program, "stranger")
    path.write_text(f"alive: friend {stranger.address}\n")
    agent = mixed_cluster.agent(OURS, "third", f"-snapshot={path}")
    agent.wait_log(r"\[INFO\] serf: Attempting re-join to previously known node: friend: ", 70)
    agent.wait_log(r"\[WARN\] serf: Failed to re-join any previously known node$", 70)
    stranger.wait_log("Got ping for unexpected node '?friend'?", 70)
    assert agent.statuses() == {"third": "alive"}
    assert stranger.statuses() == {"stranger": "alive"}
    agent.join(stranger)  # a person's join is meant
    mixed_cluster.wait_members({"stranger": "alive", "third": "alive"}, agents=[stranger, agent])


@KINDS
def test_a_rejoin_goes_on_where_all_is_encrypted(mixed_cluster, tmp_path, program):
    path = tmp_path / "snapshot"
    key = "-encrypt=MTIzNDU2Nzg5MDEyMzQ1Ng=="
    peer = mixed_cluster.grow(program, "peer", key)
    path.write_text(f"alive: peer {peer.address}\n")
    agent = mixed_cluster.agent(OURS, "third", f"-snapshot={path}", key)
    agent.wait_log(r"\[INFO\] serf: Re-joined to previously known node: peer: ", AGREE_SECONDS)
    mixed_cluster.wait_members({"peer": "alive", "third": "alive"}, agents=[peer, agent])


@KINDS
def test_a_snapshot_that_cannot_be_opened_stops_the_start(mixed_cluster, tmp_path, program):
    agent = mixed_cluster.prepare(program, "never", f"-snapshot={tmp_path}/no/such/file").spawn()
    assert agent.wait_exit() == 1
    assert re.search(r"Failed to setup snapshot: ", agent.log())


def test_both_kinds_record_the_same(mixed_cluster, tmp_path):
    """What the two write about the same events, but for the order in which they heard of them."""
    paths = {program: tmp_path / program.kind for program in BOTH}
    keepers = [mixed_cluster.grow(OURS, "keeper-ours", f"-snapshot={paths[OURS]}")]
    keepers.append(mixed_cluster.grow(REFERENCE, "keeper-ref", f"-snapshot={paths[REFERENCE]}",
                                      join=keepers))
    leaver = mixed_cluster.grow(OURS, "leaver", join=keepers[:1])
    killed = mixed_cluster.grow(OURS, "killed", join=keepers[:1])
    assert leaver.interrupt() == 0
    mixed_cluster.wait_left(leaver)
    killed.kill()
    mixed_cluster.wait_status("killed", "failed", 40)
    keepers[1].cli("event", "deploy", "x")
    keepers[0].wait_log("messageUserEventType: deploy", 5)
    for keeper in keepers:
        assert keeper.terminate() in (0, 1)

    def facts(path):
        lines = path.read_text().splitlines()
        alive = [line for line in lines if line.startswith(("alive: ", "not-alive: "))]
        # The member clocks of two agents are seldom equal: each exchange that names a member that
        # left moves them on.
        assert any(re.fullmatch(r"clock: [1-9]\d*", line) for line in lines)
        return sorted(alive), [line for line in lines if line.startswith("event-clock: ")]
    assert facts(paths[OURS]) == facts(paths[REFERENCE])
