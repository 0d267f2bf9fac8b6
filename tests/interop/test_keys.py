"""Keys over a mixed cluster: installed, used, removed and listed from either kind of agent, written
to the files of both, and turned while events flow."""

import base64
import itertools
import json
import stat

import pytest

from agents import BOTH, OURS, REFERENCE, listening, other, wait_until
from rpc import Load

KINDS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)
OLD, NEW, LONG = (base64.b64encode(bytes(range(start, start + size))).decode()
                  for start, size in ((0, 16), (50, 16), (100, 32)))


def grow_with_files(cluster, *programs, **options):
    """Agents with a keyring file each, which holds OLD."""
    agents = []
    for number, program in enumerate(programs):
        path = cluster.new_path(f"keys-{number}", ".keys")
        path.write_text(json.dumps([OLD]), encoding="ascii")
        agent = cluster.grow(program, f"{program.kind}-{number}", f"-keyring-file={path}",
                             join=agents[-1:], **options)
        agent.keys_path = path
        agents.append(agent)
    return agents


def listed(agent, program=None):
    """{key: "have/total"}"""
    lines = agent.cli("keys", "-list", program=program).splitlines()
    assert lines[:3] == ["==> Asking all members for installed keys...",
                         "==> Keys gathered, listing cluster keys...", ""]
    return dict(line.split() for line in lines[3:])


@KINDS
def test_a_key_is_turned_from_either_kind_and_written_by_both(mixed_cluster, program):
    agents = grow_with_files(mixed_cluster, program, other(program), program)
    for agent, command_line in itertools.product(agents[:2], BOTH):
        assert listed(agent, command_line) == {OLD: "[3/3]"}
    asker = agents[1]
    for key in (NEW, LONG):
        assert asker.cli("keys", f"-install={key}") == ("==> Installing key on all members...\n"
                                                        "==> Successfully installed key!\n")
    assert listed(agents[0]) == {OLD: "[3/3]", NEW: "[3/3]", LONG: "[3/3]"}
    for agent in agents:
        assert json.loads(agent.keys_path.read_text("ascii")) == [OLD, NEW, LONG]
    assert agents[0].cli("keys", f"-use={NEW}") == ("==> Changing primary key on all members...\n"
                                                    "==> Successfully changed primary key!\n")
    assert asker.cli("keys", f"-remove={OLD}") == ("==> Removing key on all members...\n"
                                                   "==> Successfully removed key!\n")
    for agent in agents:
        assert set(listed(agent)) == {NEW, LONG}
        assert json.loads(agent.keys_path.read_text("ascii"))[0] == NEW
    texts = [agent.keys_path.read_bytes() for agent in agents]
    assert sorted(texts[0]) == sorted(texts[1])
    assert texts[0].startswith(b'[\n  "') and texts[0].endswith(b'"\n]')
    for agent in agents:
        if agent.program is OURS:
            assert stat.S_IMODE(agent.keys_path.stat().st_mode) == 0o600
        word = "Received install-key query"
        assert agent.log_lines(rf"\[INFO\] serf: {word}")
    # Each starts again from what it wrote.
    for agent in agents[:2]:
        assert agent.interrupt() == 0
        mixed_cluster.wait_left(agent)
        agent.start()
        wait_until(lambda: listening(agent.host, agent.rpc_port), 10, f"{agent} is back")
        agent.join(agents[2])
    mixed_cluster.wait_all_alive()


def messages(text):
    return sorted(line for line in text.splitlines() if line.startswith("failed:"))


def test_refusals_are_told_alike(mixed_cluster):
    agents = grow_with_files(mixed_cluster, OURS, REFERENCE)
    short = base64.b64encode(b"short").decode()
    for arguments in ((f"-install={short}",), (f"-use={NEW}",), (f"-remove={OLD}",),
                      ("-install=%%",), (f"-remove={NEW}",)):
        outcomes = []
        for agent, command_line in itertools.product(agents, BOTH):
            done = agent.run("keys", *arguments, program=command_line)
            rest = [line for line in done.stdout.splitlines() if not line.startswith("failed:")]
            outcomes.append((done.returncode, rest,
                             [line.lower() for line in messages(done.stdout)]))
        assert all(outcome == outcomes[0] for outcome in outcomes), (arguments, outcomes)
    assert outcomes[0][0] == 0  # removing what is not there


def test_a_file_that_cannot_be_written_is_told_to_the_one_who_asked(mixed_cluster):
    directory = mixed_cluster.directory / "gone"
    directory.mkdir()
    path = directory / "keys"
    path.write_text(json.dumps([OLD]), encoding="ascii")
    ours = mixed_cluster.grow(OURS, "ours", f"-keyring-file={path}")
    ref = mixed_cluster.grow(REFERENCE, "ref", f"-encrypt={OLD}", join=[ours])
    path.unlink()
    directory.rmdir()
    done = ref.run("keys", f"-install={NEW}")
    assert done.returncode == 1
    assert messages(done.stdout) == [
        f"failed:  ours  Failed to write keyring file: open {path}: no such file or directory"]
    assert done.stdout.endswith("\nError installing key: 1/2 nodes reported failure\n")
    assert listed(ref) == {OLD: "[2/2]", NEW: "[2/2]"}  # in memory it is there
    ours.wait_log(r"\[ERR\] serf: Failed to write keyring file: ", 5)


@KINDS
def test_a_rotation_while_events_flow_loses_none(mixed_cluster, program):
    agents = grow_with_files(mixed_cluster, OURS, REFERENCE, OURS, REFERENCE)
    askers = [agent for agent in agents if agent.program is program]
    load = Load(agents)
    wait_until(lambda: len(load.names) > 20, 20, "events flow")
    old = OLD
    for turn, new in enumerate((NEW, LONG)):
        for agent, word in zip(itertools.cycle(askers), (f"-install={new}", f"-use={new}",
                                                         f"-remove={old}")):
            sent = len(load.names)
            agent.cli("keys", word)
            wait_until(lambda: len(load.names) > sent + 10, 20, "events flow on")
        old = new
        assert listed(askers[turn]) == {new: "[4/4]"}
    names = load.stop()
    for agent in agents:
        for name in names:
            agent.wait_log(rf"agent: Received event: user-event: {name}$")
        assert len(agent.log_lines(r"Received event: user-event: load-")) == len(names)
    assert mixed_cluster.failures_logged() == []
    assert mixed_cluster.complaints([agent for agent in agents if agent.program is OURS]) == []
