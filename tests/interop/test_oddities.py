"""Oddities of the reference that ours does not share and that no other test shows (agent
specification, section 10, and the pitfalls of the Serf specification)."""

import json

import pytest

from agents import AGREE_SECONDS, OURS, wait_until

NO_VOTES = r"\[WARN\] serf: nobody answered in name conflict resolution: staying"


def test_a_vote_on_a_name_that_nobody_answers_stops_no_agent(cluster):
    """Two agents of one name, and no third one that could vote."""
    twins = [cluster.agent(OURS, "twin", profile="local")]
    twins.append(cluster.agent(OURS, "twin", profile="local"))
    twins[1].run("join", twins[0].address)
    wait_until(lambda: any(twin.log_lines(NO_VOTES) for twin in twins), AGREE_SECONDS,
               "the vote of one ends without answers")
    for twin in twins:
        assert twin.running and twin.statuses() == {"twin": "alive"}


def test_a_tags_file_is_replaced_as_a_whole_and_private(cluster):
    path = cluster.new_path("tags", ".json")
    path.write_text('{"a": "1"}', "utf-8")
    path.chmod(0o644)
    agent = cluster.agent(OURS, "owner", f"-tags-file={path}")
    with open(path, encoding="utf-8") as opened_before:
        agent.cli("tags", "-set=b=2")
        assert json.load(opened_before) == {"a": "1"}
    assert json.loads(path.read_text("utf-8")) == {"a": "1", "b": "2"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_says_so_switches_coordinates_off(cluster):
    agents = [cluster.agent(OURS, "off", config={"disable_coordinates": True}, profile="local")]
    agents.append(cluster.grow(OURS, "on", join=agents, profile="local"))
    done = agents[0].run("rtt", "on")
    assert (done.returncode, done.stdout) == (1, 'Could not find a coordinate for node "on"\n')


@pytest.mark.parametrize("name", ["no_good", "n" * 129, "a b"])
def test_an_own_name_is_validated_when_a_key_says_so(cluster, name):
    refused = cluster.prepare(OURS, name, config={"validate_node_names": True}).spawn()
    assert refused.wait_exit(AGREE_SECONDS) == 1
    assert "Error creating Serf: Node name " in refused.log()


def test_names_of_others_are_not_validated(cluster):
    strict = cluster.agent(OURS, "good-1.example", config={"validate_node_names": True})
    cluster.grow(OURS, "no_good", join=[strict])
