"""A label, or encryption, comes into a cluster of ours while it runs: in three rollouts, each of which
restarts all members one after the other, and nobody is ever missed. What it keeps out afterwards."""

import json

import pytest

from agents import AGREE_SECONDS, OURS, REFERENCE, wait_until

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
SIZE = 3
# What is added to each member's settings in each rollout; before them there is nothing.
LABEL = [{"label": "blue", "label_mode": "accept"}, {"label": "blue", "label_mode": "send"},
         {"label": "blue"}]
OPEN = {"encrypt_key": KEY, "encrypt_verify_incoming": False}
ENCRYPTION = [{**OPEN, "encrypt_verify_outgoing": False}, OPEN, {"encrypt_key": KEY}]
BOTH_AT_ONCE = [{**label, **encryption} for label, encryption in zip(LABEL, ENCRYPTION)]
WARNING = r"\[WARN\] agent: (label_mode|encrypt_verify_incoming) is "


def start(cluster, number, settings, peers):
    config = {"retry_join": [peer.address for peer in peers], "retry_interval": "1s", **settings}
    agent = cluster.agent(OURS, f"member-{number}", "-event-handler=query:who=printf me",
                          profile="local", config=config)
    cluster.wait_all_alive()
    return agent


def hear_each_other(members):
    """An event and a query from each of them reach all the others. One that gossip missed, which
    happens now and then, is asked again."""
    names = {member.name for member in members}
    for member in members:
        member.cli("event", "-coalesce=false", f"from-{member.name}")

        def answered():
            answer = json.loads(member.cli("query", "-format=json", "-until-complete", "who"))
            return set(answer["Responses"]) == names, answer["Responses"]
        wait_until(answered, AGREE_SECONDS, f"all answer {member}")
    for member in members:
        for name in names:
            member.wait_log(f"user-event: from-{name}$")


def roll(cluster, members, settings):
    for number in range(SIZE):
        assert members[number].interrupt() == 0
        peers = members[:number] + members[number + 1:]
        members[number] = start(cluster, number, settings, peers)
        if number == 0:
            hear_each_other(members)


@pytest.mark.parametrize("rollouts, counter", [
    (LABEL, "unlabelled_accepted"), (ENCRYPTION, "plaintext_accepted"), (BOTH_AT_ONCE, None)],
    ids=["label", "encryption", "both"])
def test_protection_comes_into_a_running_cluster_in_three_rollouts(cluster, rollouts, counter):
    members = []
    for number in range(SIZE):
        members.append(start(cluster, number, {}, members))
    for settings in rollouts[:-1]:
        roll(cluster, members, settings)
        assert all(member.log_lines(WARNING) for member in members)
    if counter:  # the first one was there while others still sent what anybody can
        assert int(members[0].info()["serf"][counter]) > 0
    roll(cluster, members, rollouts[-1])
    assert not any(member.log_lines(WARNING) for member in members)
    hear_each_other(members)
    assert cluster.failures_logged() == []
    refused = [line for agent in cluster.agents for line in agent.log_lines(
        r"unacceptable label|[Dd]ecrypt|is encrypted|not encrypted \(")]
    assert refused == []


def test_a_label_that_is_only_accepted_shuts_no_reference_agent_out(mixed_cluster):
    ref = mixed_cluster.grow(REFERENCE, "ref")
    ours = mixed_cluster.grow(OURS, "ours", "-label=blue", "-label-mode=accept", join=[ref])
    mixed_cluster.grow(REFERENCE, "later", join=[ours])
    assert mixed_cluster.complaints([ref]) == []


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_with_a_label_no_reference_agent_can_join(mixed_cluster, encrypted):
    flags = [f"-encrypt={KEY}"] if encrypted else []
    ours = mixed_cluster.agent(OURS, "ours", "-label=blue", *flags)
    twin = mixed_cluster.agent(OURS, "twin", "-label=blue", *flags, join=[ours])
    ref = mixed_cluster.agent(REFERENCE, "ref", *flags)
    red = mixed_cluster.agent(OURS, "red", "-label=red", *flags)
    for stranger in (ref, red):
        assert stranger.run("join", ours.address).returncode == 1
        assert ours.run("join", stranger.address).returncode == 1
        assert stranger.statuses() == {stranger.name: "alive"}
    for shown in ("", "red"):
        ours.wait_log(r"\[ERR\] memberlist: discarding stream with unacceptable label "
                      rf'"{shown}": from=')
    mixed_cluster.wait_members({"ours": "alive", "twin": "alive"}, agents=[ours, twin])
