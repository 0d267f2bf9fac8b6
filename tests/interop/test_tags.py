"""Tags set by either kind are seen by the other with every byte of every value, and changes at run
time arrive as updates."""

import pytest

from agents import BOTH, OURS, REFERENCE, other, wait_until

KINDS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)

TAGS = {
    "role": "web",
    "empty": "",
    "unicode": "Grüße, 世界 🐝",
    "pipe": "a|b|c",
    "equals": "k=v=w",
    "comma": "one,two",
    "blank": "  two  words  ",
    "quotes": "\"double\" 'single' \\back",
    "html": "<a href=\"x\">&</a>",
    "long": "x" * 150,
}

# Encoded as metadata: ff, a map of one, "long" (5 bytes), a value header of 3 bytes.
LONGEST_VALUE = 512 - 1 - 1 - 5 - 3


def flags_for(tags):
    return [f"-tag={key}={value}" for key, value in tags.items()]


def tags_of(agent, name):
    return agent.members()[name]["tags"]


@KINDS
def test_tags_given_at_start_are_seen_whole_by_the_other_kind(mixed_cluster, program):
    watcher = mixed_cluster.agent(other(program), "watcher")
    owner = mixed_cluster.agent(program, "owner", *flags_for(TAGS), join=[watcher])
    mixed_cluster.wait_all_alive()
    for agent in (watcher, owner):
        for command_line in BOTH:
            assert agent.members(program=command_line)["owner"]["tags"] == TAGS


@KINDS
@pytest.mark.parametrize("command_line", BOTH, ids=lambda program: f"by-{program.kind}")
def test_tags_changed_at_run_time_are_an_update_for_the_other_kind(mixed_cluster, program,
                                                                   command_line):
    watcher = mixed_cluster.agent(other(program), "watcher")
    owner = mixed_cluster.agent(program, "owner", "-tag=role=web", "-tag=old=1", join=[watcher])
    mixed_cluster.wait_all_alive()
    done = owner.run("tags", "-set=role=db", "-set=new=ü", "-delete=old", "-delete=absent",
                     program=command_line)
    assert (done.returncode, done.stdout) == (0, "Successfully updated agent tags\n")
    expected = {"role": "db", "new": "ü"}
    wait_until(lambda: (tags_of(watcher, "owner") == expected, tags_of(watcher, "owner")), 10,
               "the watcher has the new tags")
    assert tags_of(owner, "owner") == expected
    for agent in (watcher, owner):
        agent.wait_log(r"\[INFO\] serf: EventMemberUpdate: owner$")
        agent.wait_log(r"\[INFO\] agent: Received event: member-update")


@KINDS
def test_the_longest_metadata_passes_and_one_byte_more_is_refused(mixed_cluster, program):
    watcher = mixed_cluster.agent(other(program), "watcher")
    owner = mixed_cluster.agent(program, "owner", join=[watcher])
    mixed_cluster.wait_all_alive()
    longest = "y" * LONGEST_VALUE
    owner.cli("tags", f"-set=long={longest}")
    wait_until(lambda: tags_of(watcher, "owner") == {"long": longest}, 10,
               "the watcher has the longest value")
    refused = owner.run("tags", f"-set=long={longest}y")
    assert refused.returncode == 1
    assert refused.stdout == ("Error setting tags: Encoded length of tags exceeds limit of 512 "
                              "bytes\n")
    assert tags_of(owner, "owner") == {"long": longest}


@KINDS
def test_a_role_is_a_tag_for_the_other_kind(mixed_cluster, program):
    watcher = mixed_cluster.agent(other(program), "watcher")
    mixed_cluster.agent(program, "owner", "-role=cache", "-tag=role=loses", join=[watcher])
    mixed_cluster.wait_all_alive()
    assert tags_of(watcher, "owner") == {"role": "cache"}
    assert set(watcher.members("-tag=role=cache")) == {"owner"}


@KINDS
def test_at_protocol_2_only_the_role_travels(mixed_cluster, program):
    watcher = mixed_cluster.agent(other(program), "watcher")
    owner = mixed_cluster.agent(program, "owner", "-protocol=2", "-tag=role=web", "-tag=dc=east",
                                join=[watcher])
    mixed_cluster.wait_all_alive()
    assert tags_of(watcher, "owner") == {"role": "web"}
    assert watcher.members()["owner"]["protocol"] == {"max": 5, "min": 2, "version": 2}
    owner.cli("tags", "-set=role=db")
    wait_until(lambda: tags_of(watcher, "owner") == {"role": "db"}, 10,
               "the watcher has the new role")


def test_tags_of_a_restarted_agent_replace_the_old_ones(mixed_cluster):
    watcher = mixed_cluster.agent(REFERENCE, "watcher")
    first = mixed_cluster.agent(OURS, "owner", "-tag=version=1", "-tag=gone=1", join=[watcher])
    mixed_cluster.wait_all_alive()
    first.kill()
    mixed_cluster.agent(OURS, "owner", "-tag=version=2", host=first.host, join=[watcher])
    wait_until(lambda: (tags_of(watcher, "owner") == {"version": "2"}, tags_of(watcher, "owner")),
               10, "the watcher has the tags of the second life")
