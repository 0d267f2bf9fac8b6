"""What reference agents say to each other passes through a mixed cluster unharmed: user events,
queries, key requests, coordinates. Ours carries it on, complains about none, and stays well."""

import json

import pytest

from agents import OURS, REFERENCE, wait_until
from namespace import cut_datagrams, require_nft


@pytest.fixture
def five(mixed_cluster):
    """Three reference agents that answer a query, and two of ours between them."""
    answer = "-event-handler=query:load=printf 42"
    refs = [mixed_cluster.grow(REFERENCE, "ref-1", answer)]
    ours = [mixed_cluster.grow(OURS, "ours-1", join=refs[:1])]
    refs.append(mixed_cluster.grow(REFERENCE, "ref-2", answer, join=ours[:1]))
    ours.append(mixed_cluster.grow(OURS, "ours-2", join=refs[1:2]))
    refs.append(mixed_cluster.grow(REFERENCE, "ref-3", answer, join=ours[1:2]))
    yield refs, ours
    assert all(agent.running for agent in mixed_cluster.agents)
    mixed_cluster.wait_all_alive()
    assert mixed_cluster.failures_logged() == []
    assert mixed_cluster.complaints(ours) == []


def test_user_events_reach_every_reference_agent(five):
    refs, _ = five
    names = [f"deploy-{number}" for number in range(20)]
    for number, name in enumerate(names):
        refs[number % 3].cli("event", "-coalesce=false", name, "payload" * number)
    for ref in refs:
        for name in names:
            ref.wait_log(rf"\[INFO\] agent: Received event: user-event: {name}$")


def test_queries_are_acknowledged_and_answered_by_every_reference_agent(five):
    refs, _ = five
    answer = json.loads(refs[0].cli("query", "-format=json", "-timeout=2s", "load", "now"))
    assert {ref.name for ref in refs} <= set(answer["Acks"])
    for ref in refs:
        assert answer["Responses"][ref.name] == "42"
    answer = json.loads(refs[1].cli("query", "-format=json", "-timeout=2s", "-node=ref-3",
                                    "-relay-factor=3", "load"))
    assert set(answer["Responses"]) == {"ref-3"}


def test_other_internal_queries_do_no_harm(five):
    refs, _ = five
    refs[0].run("reachability", timeout=20)
    refs[2].run("rtt", "ours-1", "ref-1", timeout=20)


def test_an_event_passes_through_ours_between_agents_that_cannot_reach_each_other(mixed_cluster):
    require_nft()
    bridge = mixed_cluster.grow(OURS, "bridge")
    ends = [mixed_cluster.grow(REFERENCE, name, join=[bridge]) for name in ("one", "two")]
    cut_datagrams(*ends)
    for sender, receiver in (ends, ends[::-1]):
        sender.cli("event", "-coalesce=false", f"from-{sender.name}", "x" * 100)
        # Well before the next push/pull, which would carry it too.
        receiver.wait_log(rf"Received event: user-event: from-{sender.name}$", 10)
    assert mixed_cluster.complaints([bridge]) == []


def test_a_query_passes_through_ours_between_agents_that_cannot_reach_each_other(mixed_cluster):
    require_nft()
    bridge = mixed_cluster.grow(OURS, "bridge")
    ends = [mixed_cluster.grow(REFERENCE, name, join=[bridge]) for name in ("one", "two")]
    cut_datagrams(*ends)
    ends[0].cli("query", "-timeout=1s", "anybody")
    ends[1].wait_log(r"\[DEBUG\] serf: messageQueryType: anybody$", 10)


def test_intents_pass_through_ours_between_agents_that_cannot_reach_each_other(mixed_cluster):
    """A leave told only to ours is a leave, not a failure, for those behind it."""
    require_nft()
    bridge = mixed_cluster.grow(OURS, "bridge")
    ends = [mixed_cluster.grow(REFERENCE, name, join=[bridge]) for name in ("one", "two")]
    cut_datagrams(*ends)
    assert ends[0].interrupt() == 0
    mixed_cluster.wait_status("one", "left", 10)
    assert mixed_cluster.failures_logged("one", forgiving=False) == []


def test_an_encrypted_mixed_cluster_carries_events_as_well(mixed_cluster):
    key = "-encrypt=AAECAwQFBgcICQoLDA0ODw=="
    one = mixed_cluster.grow(REFERENCE, "one", key)
    ours = mixed_cluster.grow(OURS, "ours", key, join=[one])
    two = mixed_cluster.grow(REFERENCE, "two", key, join=[ours])
    one.cli("event", "-coalesce=false", "secret", "whisper")
    two.wait_log(r"Received event: user-event: secret$")
    one.run("keys", "-list", timeout=20)
    wait_until(lambda: ours.running and ours.statuses() == one.statuses(), 5, "ours is well")
    assert mixed_cluster.complaints() == []
