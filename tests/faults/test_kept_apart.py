"""Two clusters that must not mix although they share addresses: one's members take over addresses
that the other still tries to reach, and each is told to join the other."""

import base64
import time

import pytest

import protocol
from agents import BOTH, OURS, REFERENCE

RED, BLUE = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
OPTIONS = {"profile": "local", "config": {"reconnect_interval": "1s"}}
PROGRAMS = {"ours": (OURS, OURS), "reference": (REFERENCE, REFERENCE), "mixed": (OURS, REFERENCE)}
WRONG_KEY = "[Nn]o installed keys could decrypt the message"
LABEL = bytes([protocol.LABEL, 4]) + b"blue"
WATCH_SECONDS = 5


def three(cluster, color, flags, programs, last_host=None):
    first = cluster.agent(programs[0], f"{color}-1", *flags, **OPTIONS)
    second = cluster.agent(programs[1], f"{color}-2", *flags, join=[first], **OPTIONS)
    third = cluster.agent(programs[0], f"{color}-3", *flags, join=[first], host=last_host,
                          **OPTIONS)
    cluster.healthy_after(agents=[first, second, third])
    return first, second, third


def keep_apart(cluster, red_settings, blue_settings):
    """Two clusters, each with its flags and programs, of which the second takes over an address of
    the first, and each is told to join the other. Returns the agents that are left."""
    *red, lost = three(cluster, "red", *red_settings)
    lost.kill()
    blue = three(cluster, "blue", *blue_settings, last_host=lost.host)
    cluster.wait_failed([lost], red)
    for mine, theirs in ((red, blue), (blue, red)):
        for joiner in mine:
            assert joiner.run("join", theirs[0].address).returncode == 1
    for agent in red:
        agent.wait_log(rf"serf: attempting reconnect to {lost.name} {lost.address}", 20)
    time.sleep(WATCH_SECONDS)

    cluster.healthy_after(agents=red, gone={lost.name: "failed"})
    cluster.healthy_after(agents=blue)
    for agent in (*red, *blue):
        assert not agent.log_lines("EventMember.*: " + ("blue" if agent in red else "red"))
    return red, blue


def test_clusters_with_other_keys_never_mix_though_an_address_changes_hands(cluster, kind):
    red, blue = keep_apart(cluster, ([f"-encrypt={RED}"], PROGRAMS[kind]),
                           ([f"-encrypt={BLUE}"], PROGRAMS[kind][::-1]))
    for agent in (*red, *blue):
        assert agent.log_lines(WRONG_KEY)


@pytest.mark.parametrize("neighbours, encrypted", [
    ("label", True), ("none", False), ("reference", True)],
    ids=["label-one-key", "none-plain", "reference-one-key"])
def test_clusters_with_other_labels_never_mix_though_an_address_changes_hands(
        cluster, request, neighbours, encrypted):
    """A cluster of ours with a label, and beside it one with another label, with none, or of the
    reference, which knows none."""
    if neighbours == "reference":
        request.getfixturevalue("reference")
    key = [f"-encrypt={RED}"] if encrypted else []
    programs = PROGRAMS["reference" if neighbours == "reference" else "ours"]
    label = ["-label=blue"] if neighbours == "label" else []
    red, blue = keep_apart(cluster, (["-label=red", *key], PROGRAMS["ours"]),
                           ([*label, *key], programs))
    for asked, shown in ((red[0], "blue" if label else ""), (blue[0], "red")):
        if asked.program is OURS:
            assert asked.log_lines(rf'discarding stream with unacceptable label "{shown}": ')


@pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)
def test_nothing_with_a_label_comes_into_a_cluster_without_one(cluster, program):
    """The labelled cluster is played: its member, at the router's address, gossips to an agent that
    has no label, and asks it for an exchange."""
    agent = cluster.agent(program, None, "-disable-compression")
    stranger = protocol.node_state("stranger", cluster.network.gateway)
    request = protocol.push_pull([stranger], protocol.serf_state(statuses={"stranger": 1}), True)
    with protocol.StreamPeer(agent) as stream:
        stream.send(LABEL + request)
        assert protocol.PUSH_PULL not in (stream.read_to_end() or b"")[:1]
    peer = protocol.DatagramPeer(agent, cluster.network.gateway)
    try:
        peer.send(LABEL + protocol.alive("stranger", cluster.network.gateway))
        peer.wait_handled()
    finally:
        peer.close()
    cluster.healthy_after()
    if program is OURS:
        assert agent.log_lines('discarding packet with unacceptable label "blue"')
        assert agent.log_lines('discarding stream with unacceptable label "blue"')
    else:
        assert agent.log_lines(r"\[ERR\] memberlist: .*244")
