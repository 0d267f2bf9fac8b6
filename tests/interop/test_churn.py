"""Members that come back elsewhere, are removed by an operator, or hold the wrong key."""

import base64
import re
import socket
import time

import pytest

from agents import BOTH, OURS, REFERENCE, next_host, other

KINDS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)
KEYS = {name: base64.b64encode(bytes([number]) * 32).decode()
        for number, name in enumerate(("red", "blue"))}


@KINDS
def test_a_left_member_comes_back_at_a_new_address(mixed_cluster, program):
    ours = mixed_cluster.grow(OURS, "ours")
    ref = mixed_cluster.grow(REFERENCE, "ref", join=[ours])
    old = mixed_cluster.grow(program, "nomad", join=[ref])
    assert old.interrupt() == 0
    mixed_cluster.wait_left(old)
    new = mixed_cluster.grow(program, "nomad", join=[ours])
    assert new.host != old.host
    for witness in (ours, ref):
        assert witness.members()["nomad"]["addr"] == new.address
        assert witness.log_lines(
            r"\[INFO\] memberlist: Updating address for left or failed node nomad from "
            rf"{old.address} to {new.address}$")
    assert mixed_cluster.failures_logged() == []


@KINDS
def test_an_alive_members_name_cannot_be_taken_by_another_address(mixed_cluster, program):
    """The kinds are mixed so that the holder of the name and its defender are of either one."""
    holder = mixed_cluster.grow(program, "holder")
    friend = mixed_cluster.grow(other(program), "friend", join=[holder])
    third = mixed_cluster.grow(REFERENCE, "third", join=[holder])
    thief = mixed_cluster.agent(other(program), "holder", "-join=" + friend.address)
    friend.wait_log(r"\[ERR\] memberlist: Conflicting address for holder\. "
                    rf"Mine: {holder.address} Theirs: {thief.address} Old state: 0")
    friend.wait_log(r"\[WARN\] serf: Name conflict for 'holder' both ")
    for witness in (friend, third):
        assert witness.members()["holder"]["addr"] == holder.address


@KINDS
def test_a_failed_member_is_forced_to_left_and_pruned_for_both_kinds(mixed_cluster, program):
    commander = mixed_cluster.grow(program, "commander")
    watcher = mixed_cluster.grow(other(program), "watcher", join=[commander])
    failed = mixed_cluster.grow(program, "gone", join=[watcher])
    failed.kill()
    mixed_cluster.wait_status("gone", "failed", 30)
    commander.cli("force-leave", "-prune", "gone")
    mixed_cluster.wait_members({"commander": "alive", "watcher": "alive"}, 10)
    for witness in (commander, watcher):
        assert witness.log_lines(r"\[INFO\] serf: EventMemberLeave \(forced\): gone ")
        assert witness.log_lines(r"\[INFO\] serf: EventMemberReap \(forced\): gone ")
        witness.wait_log(r"\[INFO\] agent: Received event: member-reap")
    assert commander.log_lines(r"\[INFO\] agent: Force leaving node \(prune\): gone")


@KINDS
def test_a_live_member_refutes_its_forced_leave(mixed_cluster, program):
    commander = mixed_cluster.grow(other(program), "commander")
    target = mixed_cluster.grow(program, "target", join=[commander])
    # The reference says nothing when the target is the only one who could hear it.
    mixed_cluster.grow(program, "watcher", join=[commander])
    # The join intent must have come first, or the two would bear the same Lamport time.
    commander.wait_log(r"\[DEBUG\] serf: messageJoinType: target$")
    # A state that overtakes it, from a member of the reference, tells it as if it were a join's.
    mixed_cluster.wait_caught_up()
    commander.cli("force-leave", "target")
    target.wait_log(r"\[DEBUG\] serf: Refuting an older leave intent")
    mixed_cluster.wait_all_alive()
    assert not [line for agent in mixed_cluster.agents
                for line in agent.log_lines(r"EventMember(Leave|Failed)")]


@KINDS
def test_a_member_that_failed_and_moved_is_removed_and_comes_back(mixed_cluster, program):
    """A killed pod's name at a new address is refused at first while the old one counts as failed."""
    ours = mixed_cluster.grow(OURS, "ours")
    ref = mixed_cluster.grow(REFERENCE, "ref", join=[ours])
    old = mixed_cluster.grow(program, "moved", join=[ref])
    old.kill()
    mixed_cluster.wait_status("moved", "failed", 30)
    mixed_cluster.agent(program, "moved", join=[ours])
    for witness in (ours, ref):
        witness.wait_log(r"Conflicting address for moved\.")
    for witness in (ours, ref):
        assert witness.statuses()["moved"] == "failed"


WRONG_KEYS = [("red", "blue"), ("red", None), (None, "red")]


@KINDS
@pytest.mark.parametrize("joiner_key, contact_key", WRONG_KEYS,
                         ids=["other-key", "encrypted-to-plain", "plain-to-encrypted"])
def test_a_join_with_the_wrong_key_is_refused_with_a_reason(mixed_cluster, program, joiner_key,
                                                            contact_key):
    def flags(key):
        return [f"-encrypt={KEYS[key]}"] if key else []
    contact = mixed_cluster.agent(other(program), "contact", *flags(contact_key))
    joiner = mixed_cluster.agent(program, "joiner", *flags(joiner_key))
    reason = {("red", "blue"): "[Nn]o installed keys could decrypt the message",
              ("red", None): "[Ee]ncryption is configured but remote state is not encrypted",
              (None, "red"): "[Rr]emote state is encrypted and encryption is not configured",
              }[joiner_key, contact_key]
    for command_line in BOTH:
        done = joiner.run("join", contact.address, program=command_line)
        assert done.returncode == 1
        assert re.match(r"Error joining the cluster: 1 error occurred:\n\t\* [Ff]ailed to join "
                        rf"{contact.host}(:7946)?: {reason}\n", done.stdout), done.stdout
    assert contact.log_lines(r"\[ERR\] memberlist: failed to receive: ")
    for agent in (contact, joiner):
        assert agent.statuses() == {agent.name: "alive"}


@KINDS
def test_a_start_join_with_the_wrong_key_ends_the_agent_with_1(mixed_cluster, program):
    contact = mixed_cluster.agent(other(program), "contact", f"-encrypt={KEYS['red']}")
    joiner = mixed_cluster.prepare(program, "joiner", f"-encrypt={KEYS['blue']}", join=[contact])
    joiner.spawn()
    assert joiner.wait_exit(15) == 1
    assert re.search(r"[Nn]o installed keys could decrypt the message", joiner.log())


def test_clusters_with_different_keys_stay_apart(mixed_cluster):
    groups = {}
    for name, key in KEYS.items():
        first = mixed_cluster.agent(OURS, f"{name}-ours", f"-encrypt={key}")
        second = mixed_cluster.agent(REFERENCE, f"{name}-ref", f"-encrypt={key}", join=[first])
        groups[name] = (first, second)
    for first, second in groups.values():
        mixed_cluster.wait_members({first.name: "alive", second.name: "alive"}, 10,
                                   [first, second])
    for mine, theirs in ((groups["red"], groups["blue"]), (groups["blue"], groups["red"])):
        for joiner in mine:
            for contact in theirs:
                assert joiner.run("join", contact.address).returncode == 1
    # A few rounds of gossip and probes, in which nothing may leak.
    time.sleep(1.5)
    for first, second in groups.values():
        mixed_cluster.wait_members({first.name: "alive", second.name: "alive"}, 1,
                                   [first, second])


@KINDS
def test_a_node_that_lost_its_peer_finds_it_again_by_reconnecting(mixed_cluster, program):
    config = {"reconnect_interval": "1s"}
    finder = mixed_cluster.agent(program, "finder", config=config)
    lost = mixed_cluster.grow(other(program), "lost", join=[finder])
    lost.kill()
    mixed_cluster.wait_status("lost", "failed", 30)
    mixed_cluster.agent(other(program), "lost", host=lost.host)
    mixed_cluster.wait_all_alive()
    assert finder.log_lines(rf"\[INFO\] serf: attempting reconnect to lost {lost.address}")


@KINDS
def test_failed_and_left_members_are_reaped_after_their_time(mixed_cluster, program):
    """Reaping has a period of 15 s of its own, so one agent with short times reaps both."""
    config = {"reconnect_timeout": "1s", "tombstone_timeout": "1s", "reconnect_interval": "60s"}
    reaper = mixed_cluster.agent(program, "reaper", config=config)
    leaver = mixed_cluster.grow(other(program), "leaver", join=[reaper])
    assert leaver.interrupt() == 0
    mixed_cluster.wait_status("leaver", "left", 10)
    failed = mixed_cluster.prepare(other(program), "crasher", join=[reaper]).start()
    mixed_cluster.wait_status("crasher", "alive", 10, [reaper])
    failed.kill()
    mixed_cluster.wait_members({"reaper": "alive"}, 45)
    for name in ("leaver", "crasher"):
        assert reaper.log_lines(rf"\[INFO\] serf: EventMemberReap: {name}$")


def test_an_agent_whose_contact_never_answers_gives_up_in_its_time(mixed_cluster):
    """A listener that takes connections and says nothing, for either kind: local profile, 1 s."""
    with socket.create_server((next_host(), 7946)) as silent:
        host = silent.getsockname()[0]
        for program in BOTH:
            agent = mixed_cluster.agent(program, profile="local")
            done = agent.run("join", host)
            assert done.returncode == 1
            assert re.search(rf"[Ff]ailed to join {host}(:7946)?: .*i/o timeout", done.stdout)
