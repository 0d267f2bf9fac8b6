"""Two agents, one of each kind, under every pair of settings: they join, exchange tags by gossip,
probe each other without a complaint, and part as `left`."""

import base64
import time

import pytest

from agents import OURS, REFERENCE, next_port, wait_until
from namespace import cut_datagrams, require_nft
from pairwise import pairwise

KEYS = {size: base64.b64encode(bytes(range(size))).decode() for size in (16, 24, 32)}

FACTORS = {
    "key": [0, 16, 24, 32],
    "ours_protocol": [2, 3, 4, 5],
    "ref_protocol": [2, 3, 4, 5],
    "compression": ["both", "ours", "ref", "none"],
    "direction": ["ours joins", "ref joins"],
    "family": ["ipv4", "ipv6"],
    "profile": ["local", "lan"],
}


def case_name(case):
    return "-".join(str(value).replace(" ", "_") for value in case.values())


def options_of(case, side):
    flags = [f"-protocol={case[side + '_protocol']}"]
    if case["key"]:
        flags.append(f"-encrypt={KEYS[case['key']]}")
    if case["compression"] not in ("both", side):
        flags.append("-disable-compression")
    options = {"profile": case["profile"]}
    if case["family"] == "ipv6":
        options.update(host="::1", port=next_port(), rpc_port=next_port())
    return flags, options


@pytest.mark.parametrize("case", pairwise(FACTORS), ids=case_name)
def test_two_kinds_form_one_cluster_under_these_settings(mixed_cluster, case):
    agents = {}
    for side, program in (("ours", OURS), ("ref", REFERENCE)):
        flags, options = options_of(case, side)
        agents[side] = mixed_cluster.agent(program, side, *flags, **options)
    ours, ref = agents["ours"], agents["ref"]
    joiner, contact = (ours, ref) if case["direction"] == "ours joins" else (ref, ours)
    joiner.join(contact)
    mixed_cluster.wait_all_alive()
    assert ours.members() == ref.members()

    # A long, repetitive role compresses, fits every protocol version, and spreads by datagram.
    for agent, peer, value in ((ours, ref, "o" * 200), (ref, ours, "r" * 200)):
        agent.cli("tags", "-set", f"role={value}")
        wait_until(lambda: peer.members()[agent.name]["tags"].get("role") == value, 10,
                   f"{peer} sees the new role of {agent}")
    # Each has probed the other by now, or does so within a second: no probe needed its fallback.
    assert mixed_cluster.complaints() == []

    assert joiner.interrupt() == 0
    mixed_cluster.wait_left(joiner)
    assert mixed_cluster.failures_logged() == []


@pytest.mark.parametrize("key", [0, 32], ids=["plain", "encrypted"])
def test_probes_between_the_kinds_need_no_fallback(mixed_cluster, key):
    flags = [f"-encrypt={KEYS[key]}"] if key else []
    ref = mixed_cluster.agent(REFERENCE, "ref", *flags, profile="local")
    ours = mixed_cluster.agent(OURS, "ours", *flags, join=[ref], profile="local")
    mixed_cluster.wait_all_alive()
    # Several probe rounds: a second each. Nothing may happen in them.
    time.sleep(4)
    for agent in (ours, ref):
        assert agent.log_lines(r"Failed (UDP )?ping|Suspect|Failed fallback") == []
    assert mixed_cluster.complaints() == []


@pytest.mark.parametrize("one, two, relay, key", [
    (REFERENCE, REFERENCE, OURS, 0), (OURS, REFERENCE, REFERENCE, 16),
    (OURS, OURS, REFERENCE, 0), (OURS, REFERENCE, OURS, 24)],
    ids=lambda value: getattr(value, "kind", value))
def test_an_indirect_probe_keeps_members_alive_that_cannot_reach_each_other(
        mixed_cluster, one, two, relay, key):
    require_nft()
    flags = [f"-encrypt={KEYS[key]}"] if key else []
    helper = mixed_cluster.agent(relay, "relay", *flags)
    ends = [mixed_cluster.agent(program, name, *flags, join=[helper])
            for program, name in ((one, "one"), (two, "two"))]
    mixed_cluster.wait_all_alive()
    cut_datagrams(*ends)
    for agent, peer in (ends, reversed(ends)):
        failed = rf"Failed (UDP )?ping: {peer.name} "
        wait_until(lambda: len(agent.log_lines(failed)) >= 3, 20,
                   f"three direct probes of {peer} by {agent} fail")
        # In a cluster of three the reference now and then draws no relay, and asks over TCP.
        saved = agent.log_lines(rf"Was able to connect to {peer.name} ")
        assert len(saved) < len(agent.log_lines(failed)) - 1, "no indirect probe succeeded"
    assert not [line for agent in mixed_cluster.agents
                for line in agent.log_lines(r"memberlist: Suspect ")]
    mixed_cluster.wait_all_alive(1)
