"""Oddities of the reference that ours does not share and that no other test shows (agent
specification, section 10, and the pitfalls of the Serf specification)."""

import json

import protocol as p
from agents import OURS, next_host, wait_until


def test_a_vote_on_its_name_that_nobody_answers_stops_no_agent(cluster):
    agent = cluster.agent(OURS, "lone", profile="local")
    stranger = p.DatagramPeer(agent, next_host())
    stranger.send(p.alive("lone", "127.9.9.9", incarnation=9))
    agent.wait_log(r"\[ERR\] serf: Node name conflicts with another node at 127\.9\.9\.9:7946\.")
    agent.wait_log(r"nobody answered in name conflict resolution: staying")
    stranger.close()
    assert agent.statuses() == {"lone": "alive"}


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


def test_names_are_validated_when_a_key_says_so(cluster):
    strict = cluster.agent(OURS, "strict", config={"validate_node_names": True}, profile="local")
    stranger = p.DatagramPeer(strict, next_host())
    stranger.send(p.alive("no_good", next_host()))
    stranger.send(p.alive("good-1.example", next_host()))
    wait_until(lambda: "good-1.example" in strict.members(), 70, "the good name is a member")
    stranger.close()
    assert "no_good" not in strict.members()
    refused = cluster.prepare(OURS, "no_good", config={"validate_node_names": True}).spawn()
    assert refused.wait_exit(70) == 1
    assert "no_good" in refused.log()
