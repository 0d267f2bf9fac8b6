"""The examples of libcserf, a member and an RPC client, with agents of both kinds."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents import AGREE_SECONDS, BOTH, OURS, REPOSITORY, wait_until
from library import MEMBER, RPC, ExampleMember, run_rpc

KINDS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)


@KINDS
def test_a_member_inside_a_program_is_one_of_the_cluster(mixed_cluster, tmp_path, program):
    agent = mixed_cluster.agent(program, "agent")
    with ExampleMember(MEMBER, tmp_path, "embedded", agent) as member:
        mixed_cluster.wait_members({"agent": "alive", "embedded": "alive"})
        assert agent.members()["embedded"]["tags"] == {"role": "example"}
        member.wait_line(f"member-join agent {agent.address}")
        member.say("members")
        member.wait_line(f"agent  {agent.address}  alive")
        member.wait_line(f"embedded  {member.address}  alive")
        # Events in both directions.
        member.say("hello")
        agent.wait_log(r"Received event: user-event: hello$")
        agent.cli("event", "deploy", "v1")
        member.wait_line("user deploy: v1")
        # A goodbye that is no failure.
        member.say("leave")
        assert member.wait_exit() == 0
        assert member.lines()[-1] == "left: well"
        mixed_cluster.wait_status("embedded", "left")
    assert mixed_cluster.failures_logged() == []


@KINDS
def test_a_member_inside_a_program_answers_queries_and_notices_a_failure(mixed_cluster, tmp_path,
                                                                        program):
    agent = mixed_cluster.agent(program, "agent")
    with ExampleMember(MEMBER, tmp_path, "embedded", agent) as member:
        mixed_cluster.wait_members({"agent": "alive", "embedded": "alive"})
        wait_until(lambda: re.search(r"^Response from 'embedded': \d+$",
                                     agent.cli("query", "-timeout=1s", "time"), re.M),
                   AGREE_SECONDS, "the embedded member answers")
        agent.kill()
        member.wait_line(f"member-failed agent {agent.address}")


@KINDS
def test_an_rpc_client_inside_a_program_calls_an_agent(mixed_cluster, program):
    agent = mixed_cluster.agent(program, "agent", "-tag=role=web")
    lines = run_rpc(RPC, agent)
    assert lines == [f"member agent  {agent.address}  alive  role=web", "event example: hello",
                     "ack from agent"]


@KINDS
def test_an_rpc_client_says_what_the_agent_says(mixed_cluster, program):
    agent = mixed_cluster.agent(program, "agent", config={"rpc_auth": "secret"})
    with pytest.raises(AssertionError, match="Error: Authentication required"):
        run_rpc(RPC, agent)


def test_an_rpc_client_inside_a_program_speaks_over_a_unix_socket(cluster, tmp_path_factory):
    address = f"unix:{tmp_path_factory.mktemp('s') / 'rpc'}"  # the kernel takes 107 bytes
    agent = cluster.prepare(OURS, "agent", f"-rpc-addr={address}").spawn()
    agent.wait_log("Log data will now stream in")
    lines = run_rpc(RPC, SimpleNamespace(rpc_address=address))
    assert lines == [f"member agent  {agent.address}  alive", "event example: hello",
                     "ack from agent"]


def test_examples_are_short():
    for path in sorted(Path(REPOSITORY / "examples").glob("*.c")):
        assert len(path.read_text("utf-8").splitlines()) < 100, path
