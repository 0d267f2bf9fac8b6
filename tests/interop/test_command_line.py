"""Either command line talks to either agent: same words, same tables, same exit status.

Outputs are compared after masking what the specification leaves open: the order of rows and of
tags, and numbers that describe the process."""

import itertools
import json
import re
import signal
import subprocess

import pytest

from agents import (BOTH, OURS, REFERENCE, environment, next_host, other, run, wait_until)

KINDS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)
MATRIX = pytest.mark.parametrize(
    "agent_kind, command_line", list(itertools.product(BOTH, BOTH)),
    ids=[f"{a.kind}-agent-{c.kind}-command" for a, c in itertools.product(BOTH, BOTH)])


def masked_row(row):
    """A row of the members table as its fields, with the tags in order."""
    fields = re.split(r"\s{2,}", row.strip())
    return [",".join(sorted(field.split(","))) if "=" in field else field for field in fields]


def masked_table(text):
    assert text.endswith("\n")
    return sorted(masked_row(row) for row in text.splitlines())


def masked_json(text):
    value = json.loads(text)
    return sorted(value["members"] or [], key=lambda member: member["name"])


@pytest.fixture
def trio(mixed_cluster):
    """One agent of each kind and a third that failed; both live ones have tags."""
    ours = mixed_cluster.grow(OURS, "n-ours", "-tag=role=web", "-tag=dc=east")
    ref = mixed_cluster.grow(REFERENCE, "n-ref", "-tag=role=db", join=[ours])
    third = mixed_cluster.grow(REFERENCE, "x-left", join=[ref])
    assert third.interrupt() == 0
    mixed_cluster.wait_left(third)
    return ours, ref


FILTERS = [
    (), ("-detailed",), ("-status=alive",), ("-status=left",), ("-status=al.*",), ("-status=none",),
    ("-name=n-.*",), ("-name=n-ref",), ("-name=n",), ("-name=n-ref|zz",), ("-tag=role=web",),
    ("-tag=role=.*",), ("-tag=role=w",), ("-tag=role=web", "-tag=dc=east"),
    ("-tag=role=web", "-tag=dc=west"), ("-tag=nosuch=",), ("-tag=nosuch=.*",), ("-tag=dc=",),
    ("-name=.*", "-status=alive", "-tag=role=db"), ("-name=nobody",), ("-detailed", "-name=n-ours"),
]


def test_members_are_the_same_from_both_agents_by_both_command_lines(trio):
    for arguments in FILTERS:
        tables = [masked_table(agent.cli("members", *arguments, program=command_line))
                  for agent in trio for command_line in BOTH]
        assert all(table == tables[0] for table in tables), arguments
        lists = [masked_json(agent.cli("members", "-format=json", *arguments,
                                       program=command_line))
                 for agent in trio for command_line in BOTH]
        assert all(entry == lists[0] for entry in lists), arguments


@pytest.mark.parametrize("arguments, names", [
    (("-status=alive",), {"n-ours", "n-ref"}), (("-status=left",), {"x-left"}),
    (("-name=n-ref|zz",), {"n-ref"}), (("-name=n",), set()), (("-tag=role=w",), set()),
    (("-tag=role=web", "-tag=dc=east"), {"n-ours"}), (("-tag=nosuch=",), {"n-ours", "n-ref",
                                                                          "x-left"}),
], ids=lambda value: "+".join(value) if isinstance(value, tuple) else None)
def test_filters_of_either_agent_choose_the_same_members(trio, arguments, names):
    for agent in trio:
        for command_line in BOTH:
            assert set(agent.members(*arguments, program=command_line)) == names


def test_the_layout_of_the_members_table_is_the_references(trio):
    ours, ref = trio
    for agent in trio:
        text = agent.cli("members", "-status=alive", "-name=n-ref", program=OURS)
        assert text == f"n-ref  {ref.host}:7946  alive  role=db\n"
        text = agent.cli("members", "-name=x-left", program=OURS)
        assert re.fullmatch(r"x-left  127\.\d+\.\d+\.\d+:7946  left\n", text)
        text = agent.cli("members", "-detailed", "-name=n-ref", program=OURS)
        assert text == (f"n-ref  {ref.host}:7946  alive  role=db  Protocol Version: 5  "
                        "Available Protocol Range: [2, 5]\n")
        assert agent.cli("members", "-name=nobody", program=OURS) == "\n"
        empty = agent.cli("members", "-name=nobody", "-format=json", program=OURS)
        assert empty == "{\n  \"members\": null\n}\n"
        text = agent.cli("members", "-format=json", "-name=n-ref", program=OURS)
        assert text == agent.cli("members", "-format=json", "-name=n-ref", program=REFERENCE)


def test_a_role_filter_warns_and_works(trio):
    for agent, command_line in itertools.product(trio, BOTH):
        done = agent.run("members", "-role=db", program=command_line)
        assert done.returncode == 0
        assert "Deprecation warning: 'Role' has been replaced with 'Tags'" in (done.stdout +
                                                                               done.stderr)
        assert "n-ref" in done.stdout and "n-ours" not in done.stdout


def test_a_bad_filter_is_an_error_of_the_command_and_harms_nothing(trio):
    for agent, command_line in itertools.product(trio, BOTH):
        done = agent.run("members", "-name=(", program=command_line)
        assert done.returncode == 1
        assert done.stdout.startswith("Error retrieving members: ")
        done = agent.run("members", "-tag=novalue", program=command_line)
        assert (done.returncode, done.stdout) == (1, "Error: Invalid tag: 'novalue'\n")
        done = agent.run("members", "-format=xml", program=command_line)
        assert done.returncode == 1
        assert done.stdout == "Encoding error: Invalid output format \"xml\"\n"
        assert agent.running and len(agent.members()) == 3


# What describes the cluster must be equal; the rest describes a process.
INFO_EQUAL = {"serf": ["members", "failed", "left", "encrypted", "event_time", "query_time",
                       "event_queue", "query_queue", "health_score"],
              "tags": None, "event_handlers": None}
INFO_KEYS = {"agent": {"name"},
             "runtime": {"arch", "os", "cpu_count", "max_procs", "goroutines", "version"},
             "serf": {"members", "failed", "left", "member_time", "event_time", "query_time",
                      "intent_queue", "event_queue", "query_queue", "encrypted", "health_score"}}


def test_info_has_the_same_sections_and_numbers(trio):
    for agent in trio:
        texts = [json.loads(agent.cli("info", "-format=json", program=command_line))
                 for command_line in BOTH]
        for info in texts:
            assert set(info) == {"agent", "runtime", "serf", "tags", "event_handlers"}
            assert info["agent"]["name"] == agent.name
            for section, keys in INFO_KEYS.items():
                assert keys <= set(info[section]), section
            assert all(isinstance(value, str) for section in info.values()
                       for value in section.values())
        assert texts[0]["tags"] == texts[1]["tags"]
    ours, ref = (agent.info() for agent in trio)
    for key in INFO_EQUAL["serf"]:
        assert ours["serf"][key] == ref["serf"][key], key
    assert ours["tags"] == {"role": "web", "dc": "east"}


def test_info_as_text_is_laid_out_alike(trio):
    def skeleton(text):
        return [re.sub(r" = .*", " =", line) for line in text.splitlines()]
    for agent in trio:
        texts = [agent.cli("info", program=command_line) for command_line in BOTH]
        assert skeleton(texts[0]) == skeleton(texts[1])
        assert texts[0].startswith(f"agent:\n\tname = {agent.name}\n")


@MATRIX
def test_join_is_told_in_the_same_words(mixed_cluster, agent_kind, command_line):
    agent = mixed_cluster.agent(agent_kind, "joiner")
    peers = [mixed_cluster.agent(other(agent_kind), f"peer-{i}") for i in range(2)]
    assert agent.join(*peers, program=command_line) == (
        "Successfully joined cluster by contacting 2 nodes.\n")
    mixed_cluster.wait_all_alive()
    # One that answers is enough.
    nobody = next_host()
    assert agent.join(nobody, peers[0], program=command_line) == (
        "Successfully joined cluster by contacting 1 nodes.\n")
    agent.wait_log(rf"\[INFO\] agent: joining: \[{nobody} {peers[0].address}\] replay: false")
    agent.wait_log(r"\[INFO\] agent: joined: 1 nodes")


@MATRIX
def test_a_join_that_reaches_nobody_says_whom_and_why(mixed_cluster, agent_kind, command_line):
    agent = mixed_cluster.agent(agent_kind)
    one, two = next_host(), next_host()
    done = agent.run("join", one, f"{two}:17946", program=command_line)
    assert done.returncode == 1
    assert re.fullmatch(
        r"Error joining the cluster: 2 errors occurred:\n"
        rf"\t\* [Ff]ailed to join {one}(:7946)?: dial tcp {one}:7946: connect: connection refused\n"
        rf"\t\* [Ff]ailed to join {two}(:17946)?: dial tcp {two}:17946: connect: "
        r"connection refused\n\n\n?", done.stdout), done.stdout
    done = agent.run("join", "no-such-host.invalid", program=command_line)
    assert done.returncode == 1
    assert re.match(r"Error joining the cluster: 1 error occurred:\n"
                    r"\t\* [Ff]ailed to resolve no-such-host\.invalid", done.stdout), done.stdout


@MATRIX
def test_joining_itself_counts_as_in_the_reference(mixed_cluster, agent_kind, command_line):
    agent = mixed_cluster.agent(agent_kind)
    assert agent.join(agent, program=command_line) == (
        "Successfully joined cluster by contacting 1 nodes.\n")
    assert agent.statuses() == {agent.name: "alive"}


@MATRIX
def test_leave_waits_for_the_agent_and_the_agent_ends_with_0(mixed_cluster, agent_kind,
                                                             command_line):
    peer = mixed_cluster.agent(other(agent_kind), "peer")
    agent = mixed_cluster.agent(agent_kind, "leaver", join=[peer])
    mixed_cluster.wait_all_alive()
    assert agent.cli("leave", program=command_line) == "Graceful leave complete\n"
    assert agent.wait_exit() == 0
    mixed_cluster.wait_status("leaver", "left", 10)
    assert agent.log_lines(r"\[INFO\] agent\.ipc: Graceful leave triggered")
    assert mixed_cluster.failures_logged() == []


@MATRIX
def test_force_leave_is_silent_and_turns_failed_into_left(mixed_cluster, agent_kind, command_line):
    agent = mixed_cluster.agent(agent_kind, "agent")
    peer = mixed_cluster.grow(other(agent_kind), "peer", join=[agent])
    victim = mixed_cluster.grow(other(command_line), "victim", join=[agent])
    victim.kill()
    mixed_cluster.wait_status("victim", "failed", 30)
    assert agent.cli("force-leave", "victim", program=command_line) == ""
    mixed_cluster.wait_status("victim", "left", 10)
    for witness in (agent, peer):
        assert witness.log_lines(rf"serf: EventMemberLeave \(forced\): victim {victim.host}$")
    assert agent.cli("force-leave", "-prune", "victim", program=command_line) == ""
    mixed_cluster.wait_members({"agent": "alive", "peer": "alive"}, 10)
    assert agent.cli("force-leave", "unknown-node", program=command_line) == ""


class Monitor:
    """A running `serf monitor`, its output in a file."""

    def __init__(self, agent, command_line, level):
        self.path = agent.cluster.new_path(f"monitor-{command_line.kind}", ".log")
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                [command_line.path, "monitor", f"-rpc-addr={agent.rpc_address}",
                 f"-log-level={level}"], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, env=environment())

    def text(self):
        return self.path.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern, seconds=10):
        wait_until(lambda: (re.search(pattern, self.text()), self.text()), seconds,
                   f"the monitor shows /{pattern}/")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


@MATRIX
def test_monitor_shows_the_log_and_the_events(mixed_cluster, agent_kind, command_line):
    agent = mixed_cluster.agent(agent_kind, "watched", log_level="warn")
    monitor = Monitor(agent, command_line, "DEBUG")
    try:
        # Lines from before the monitor come first, at its own level, not the agent's.
        monitor.wait_for(r"(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[INFO\] agent: Serf agent starting$")
        peer = mixed_cluster.agent(other(agent_kind), "newcomer", "-tag=role=web", join=[agent])
        monitor.wait_for(rf"\[INFO\] serf: EventMemberJoin: newcomer {peer.host}")
        monitor.wait_for(r"(?m)^Event Info:\n(\t.*\n)*\tEvent: \"member-join\"")
        agent.cli("tags", "-set=a=b")
        monitor.wait_for(r"\[INFO\] serf: EventMemberUpdate: watched")
        monitor.wait_for(r"(?m)^Event Info:\n(\t.*\n)*\tEvent: \"member-update\"")
    finally:
        status = monitor.stop()
    assert status == 0
    assert agent.running


@MATRIX
def test_monitor_says_when_the_agent_goes_away(mixed_cluster, agent_kind, command_line):
    agent = mixed_cluster.agent(agent_kind, "mortal")
    monitor = Monitor(agent, command_line, "INFO")
    monitor.wait_for("Serf agent starting")
    agent.kill()
    assert monitor.process.wait(10) == 1
    assert monitor.text().endswith("Remote side ended the monitor! This usually means that the\n"
                                   "remote side has exited or crashed.\n")


@KINDS
def test_a_monitor_level_that_does_not_exist_is_refused(mixed_cluster, program):
    for kind in BOTH:
        agent = mixed_cluster.agent(kind)
        done = agent.run("monitor", "-log-level=foo", program=program)
        assert (done.returncode, done.stdout) == (
            1, "Error starting monitor: Unknown log level: FOO\n")


@MATRIX
def test_an_rpc_token_is_asked_for_and_checked(mixed_cluster, agent_kind, command_line):
    agent = mixed_cluster.agent(agent_kind, config={"rpc_auth": "sesame"})
    done = agent.run("members", program=command_line)
    assert (done.returncode, done.stdout) == (
        1, "Error retrieving members: Authentication required\n")
    done = agent.run("members", "-rpc-auth=open", program=command_line)
    assert (done.returncode, done.stdout) == (
        1, "Error connecting to Serf agent: Invalid authentication token\n")
    assert agent.name in agent.cli("members", "-rpc-auth=sesame", program=command_line)
    assert agent.running


@KINDS
def test_a_command_without_an_agent_says_what_it_dialled(program, reference):
    for command in ("members", "info", "leave", "monitor"):
        done = run(program, command, "-rpc-addr=127.0.0.1:1")
        assert (done.returncode, done.stdout) == (
            1, "Error connecting to Serf agent: dial tcp 127.0.0.1:1: connect: "
               "connection refused\n")


@KINDS
def test_the_agents_address_comes_from_the_environment_and_a_flag_beats_it(mixed_cluster, program):
    agent = mixed_cluster.agent(other(program), config={"rpc_auth": "sesame"})
    env = environment(SERF_RPC_ADDR=agent.rpc_address, SERF_RPC_AUTH="sesame")
    assert agent.name in run(program, "members", env=env).stdout
    done = run(program, "members", "-rpc-addr=127.0.0.1:1", env=env)
    assert done.returncode == 1 and "127.0.0.1:1:" in done.stdout


def test_argument_errors_are_the_same_line(reference):
    for arguments, line in (
            (("join",), "At least one address to join must be specified."),
            (("force-leave",), "A node name must be specified to force leave."),
            (("force-leave", "a", "b"), "A node name must be specified to force leave.")):
        for program in BOTH:
            done = run(program, *arguments)
            assert done.returncode == 1
            assert done.stdout.splitlines()[:2] == [line, ""]
            assert done.stdout.splitlines()[2].startswith(f"Usage: serf {arguments[0]}")


def test_flag_errors_are_the_same_line_and_status(reference):
    for arguments, line in (
            (("members", "-bogus"), "flag provided but not defined: -bogus"),
            (("members", "-rpc-addr"), "flag needs an argument: -rpc-addr"),
            (("members", "-detailed=x"), 'invalid boolean value "x" for -detailed: parse error')):
        for program in BOTH:
            done = run(program, *arguments)
            assert done.returncode == 1, program
            assert done.stderr.splitlines()[0] == line
            assert done.stdout.startswith(f"Usage: serf {arguments[0]}")


@pytest.mark.parametrize("arguments, status", [
    ((), 127), (("help",), 127), (("bogus",), 127), (("-h",), 0), (("--help",), 0),
    (("members", "-h"), 0), (("agent", "--help"), 0), (("join", "-help"), 0),
    (("version",), 0), (("-v",), 0), (("--version",), 0), (("keygen",), 0)],
    ids=lambda value: "_".join(value) or "none" if isinstance(value, tuple) else None)
def test_exit_statuses_of_help_are_the_references(reference, arguments, status):
    for program in BOTH:
        assert run(program, *arguments).returncode == status, program


def test_version_and_keygen_have_the_references_form(reference):
    for program in BOTH:
        lines = run(program, "version").stdout.splitlines()
        assert lines[1] == "Agent Protocol: 5 (Understands back to: 2)"
        assert run(program, "-v").stdout.splitlines() == lines
        keys = {run(program, "keygen").stdout for _ in range(3)}
        assert len(keys) == 3
        assert all(re.fullmatch(r"[A-Za-z0-9+/]{43}=\n", key) for key in keys)


@KINDS
def test_a_key_of_either_keygen_is_taken_by_the_other(mixed_cluster, program):
    key = run(program, "keygen").stdout.strip()
    first = mixed_cluster.agent(other(program), None, f"-encrypt={key}")
    mixed_cluster.agent(program, None, f"-encrypt={key}", join=[first])
    mixed_cluster.wait_all_alive()


def test_the_help_of_every_command_begins_with_its_usage(reference):
    commands = ("agent", "event", "force-leave", "info", "join", "keygen", "keys", "leave",
                "members", "monitor", "query", "reachability", "rtt", "tags", "version")
    listed = run(OURS, "help").stderr
    assert listed.splitlines()[0] == "Usage: serf [--version] [--help] <command> [<args>]"
    for command in commands:
        assert re.search(rf"(?m)^    {command} +\S", listed), command
        if command == "version":
            continue
        ours, ref = (run(program, command, "-h") for program in BOTH)
        assert ours.stderr.splitlines()[0] == ref.stderr.splitlines()[0]
    own = re.compile(r"(?m)^    (health|rotate-key) +\S.*\n")  # what only this program has
    assert own.findall(listed) == ["health", "rotate-key"]
    assert run(REFERENCE, "help").stderr == own.sub("", listed)
