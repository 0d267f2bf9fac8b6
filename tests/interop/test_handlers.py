"""Event handlers: the same script under both programs, in one cluster, finds the same environment
and the same input; and whatever a script does, the agent that runs it stays well."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents import BOTH, OURS, REFERENCE, REPOSITORY, environment, run, wait_until
from rpc import RpcClient

# What a run found: the variables that begin with SERF_, sorted, and its input, in a folder of its
# own, which gets its name when it is complete.
RECORD = """#!/bin/sh
new=$(mktemp -d "$1/new.XXXXXX")
env -0 | grep -z '^SERF_' | sort -z > "$new/environment"
cat > "$new/input"
mv "$new" "$1/$(printf %04d "$(ls "$1" | wc -l)")"
"""

TAGS = ["-tag", "role=web\tserver", "-tag", "data-center.1=a=b", "-tag", "é=x", "-tag", "9x=",
        "-tag", "ısſ=odd"]


class Recorder:
    """An agent whose handler for `events` records its runs."""

    def __init__(self, cluster, program, name, *extra, events="", **options):
        self.directory = cluster.directory / f"record-{name}"
        self.directory.mkdir()
        script = cluster.directory / "record.sh"
        script.write_text(RECORD, encoding="utf-8")
        script.chmod(0o755)
        self.agent = cluster.grow(program, name, *extra,
                                  f"-event-handler={events}{script} {self.directory}", **options)

    def runs(self):
        """[(variables, input)], the oldest first; SERF_SELF_NAME is left out."""
        found = []
        for folder in sorted(self.directory.glob("[0-9]*")):
            pairs = (folder / "environment").read_bytes().split(b"\0")
            variables = dict(pair.split(b"=", 1) for pair in pairs if pair)
            assert variables.pop(b"SERF_SELF_NAME") == self.agent.name.encode()
            found.append((variables, (folder / "input").read_bytes()))
        return found

    def lines_about(self, member):
        """{(event, the member's line with its tags sorted)} of membership events."""
        found = set()
        for variables, text in self.runs():
            event = variables[b"SERF_EVENT"].decode()
            for line in text.splitlines(True) if event.startswith("member-") else ():
                assert line.endswith(b"\n")
                name, address, role, tags = line[:-1].decode().split("\t")
                if name == member:
                    found.add((event, address, role, *sorted(tags.split(","))))
        return found

    def runs_for(self, event):
        return [one for one in self.runs() if one[0][b"SERF_EVENT"] == event.encode()]


@pytest.fixture
def recorders(mixed_cluster):
    reference = Recorder(mixed_cluster, REFERENCE, "recording-reference", *TAGS)
    ours = Recorder(mixed_cluster, OURS, "recording-ours", *TAGS, join=[reference.agent])
    return reference, ours


def wait_told(recorders, event, member):
    """Each change in a flush of its own, so that both programs make the same events of them."""
    wait_until(lambda: all(event in {line[0] for line in recorder.lines_about(member)}
                           for recorder in recorders), 70, f"{event} of {member} is told")


def test_membership_is_told_as_by_the_reference(mixed_cluster, recorders):
    reference, ours = recorders
    subject = mixed_cluster.grow(REFERENCE, "subject", "-tag", "role=db", "-tag", "a\tb=c\nd",
                                 join=[reference.agent])
    wait_told(recorders, "member-join", "subject")
    subject.cli("tags", "-set", "more=yes")
    wait_told(recorders, "member-update", "subject")
    subject.interrupt()
    wait_told(recorders, "member-leave", "subject")
    failing = mixed_cluster.agent(REFERENCE, "failing", join=[ours.agent])
    wait_told(recorders, "member-join", "failing")
    failing.kill()
    wait_told(recorders, "member-failed", "failing")
    reference.agent.cli("force-leave", "-prune", "failing")
    wait_told(recorders, "member-reap", "failing")
    for name, events in (("subject", 3), ("failing", 3)):
        assert reference.lines_about(name) == ours.lines_about(name)
        assert len(ours.lines_about(name)) == events
    own = [recorder.runs()[0][0] for recorder in recorders]
    assert own[0] == own[1] and own[1][b"SERF_TAG_DATA_CENTER_1"] == b"a=b"
    assert own[1][b"SERF_TAG_ISS"] == b"odd" and own[1][b"SERF_SELF_ROLE"] == b"web\tserver"


def tell(sender, watchers, name, payload=""):
    """Sends a user event, and waits until it has come: gossip carries several in any order."""
    marks = [(watcher, watcher.log_mark()) for watcher in watchers]
    sender.cli("event", "-coalesce=false", name, payload)
    for watcher, mark in marks:
        watcher.wait_log(rf"messageUserEventType: {name}$", 20, mark)


PAYLOADS = ["", "plain", "line\n", "two\nlines", "tab\there", "\n", "é\x01"]


def test_user_events_and_queries_are_told_as_by_the_reference(recorders):
    reference, ours = recorders
    for number, payload in enumerate(PAYLOADS):
        reference.agent.cli("event", "-coalesce=false", f"ev ent={number}", payload)
        reference.agent.cli("query", "-timeout=500ms", f"qu\test={number}", payload)
    for event in ("user", "query"):
        def told():
            seen = [len(recorder.runs_for(event)) for recorder in recorders]
            return seen == [len(PAYLOADS)] * 2, seen
        wait_until(told, 30, f"every {event} is recorded")

        def by_time(recorder):
            return sorted((sorted(variables.items()), text)
                          for variables, text in recorder.runs_for(event))
        assert by_time(reference) == by_time(ours)
    assert {text for _, text in ours.runs_for("user")} == {
        b"", b"plain\n", b"line\n", b"two\nlines\n", b"tab\there\n", b"\n", b"\xc3\xa9\x01\n"}


SCRIPTS = {
    "silent": "true",
    "says": "echo hello; echo world >&2",
    "fails": "echo oh; exit 3",
    "dies": "kill -9 $$",
    "crashes": "kill -11 $$",
    "odd-signal": "kill -40 $$",
    "deaf": "exec 0<&-; echo fine",
    "slow": "sleep 1.5; echo at last",
    "missing": "/no/such/program",
    "background": "(sleep 1.3; echo late) & echo early",
}
ABOUT_SCRIPTS = re.compile(r"\[(?:ERR|WARN|DEBUG)\] (?:agent: (?:Script|Event|Error invoking|Failed "
                           r"to respond)|Error writing).*")


def script_lines(agent):
    found = [match[0] for match in map(ABOUT_SCRIPTS.search, agent.log().splitlines()) if match]
    # A script that ends early may break the pipe of its input before the reference has written it.
    race = agent.program.is_reference and "Error writing payload"
    return [line for line in found if "'member-" not in line and not (race and race in line)]


def test_the_log_speaks_of_scripts_as_the_references(mixed_cluster):
    """Scripts whose output has one line at most, so that both print the same lines."""
    flags = [f"-event-handler=user:{name}={script}" for name, script in SCRIPTS.items()
             if name not in ("says", "background")]
    reference = mixed_cluster.grow(REFERENCE, "ref", *flags)
    ours = mixed_cluster.grow(OURS, "ours", *flags, join=[reference])
    for name in SCRIPTS:
        tell(reference, [ours], name, "payload")

    def alike():
        theirs, own = script_lines(reference), script_lines(ours)
        return theirs == own and "exit status 127" in str(own), (theirs, own)
    wait_until(alike, 30, "both logs have the same lines about scripts")
    assert "[ERR] agent: Error invoking script 'kill -9 $$': signal: killed" in script_lines(ours)


def test_a_handler_runs_once_for_each_filter_and_in_the_order_of_the_list(mixed_cluster):
    outputs = {}
    reference = None
    for program in BOTH:
        record = mixed_cluster.directory / f"order-{program.kind}"
        flags = [f"-event-handler={events}echo {word} $SERF_USER_EVENT >> {record}"
                 for events, word in (("*,user:b=", "1"), ("user=", "2"), ("user:a,user:c=", "3"),
                                      ("=", "4"), ("query=", "5"))]
        agent = mixed_cluster.grow(program, f"order-{program.kind}", *flags,
                                   join=[reference] if reference else [])
        reference = reference or agent
        outputs[agent] = record
    sender, watcher = sorted(outputs, key=lambda agent: agent.program is OURS)
    for name in "abc":
        tell(sender, [watcher], name)
    for agent, record in outputs.items():
        def lines():
            text = record.read_text("utf-8") if record.exists() else ""
            found = [line for line in text.splitlines() if re.search(r" [abc]$", line)]
            return found == ["1 a", "2 a", "3 a", "4 a", "1 b", "1 b", "2 b", "4 b", "1 c", "2 c",
                             "3 c", "4 c"], found
        wait_until(lines, 20, f"{agent} runs them in order")


def test_a_query_is_answered_by_the_first_handler_that_says_something(mixed_cluster):
    flags = ["-event-handler=query:load=exit 1", "-event-handler=query:load=true",
             "-event-handler=query:load=printf 'a\\nb'", "-event-handler=query:load=echo second",
             "-event-handler=query:big=seq 1 1000", "-event-handler=query:bad=echo no; exit 2"]
    reference = mixed_cluster.grow(REFERENCE, "ref", *flags)
    ours = mixed_cluster.grow(OURS, "ours", *flags, join=[reference])

    def ask(name):
        return json.loads(reference.cli("query", "-format=json", "-timeout=2s", name))
    answer = ask("load")
    assert {"ref", "ours"} <= set(answer["Acks"])
    assert answer["Responses"] == {"ref": "a\nb", "ours": "a\nb"}
    assert not ask("big")["Responses"] and not ask("bad")["Responses"]
    for agent in (reference, ours):
        agent.wait_log(r"\[WARN\] agent: Failed to respond to query 'query: load': failed to respond "
                       r"to key query: response already sent$", 5)
        agent.wait_log(r"\[WARN\] agent: Failed to respond to query 'query: big': failed to respond "
                       r"to key query: response exceeds limit of 1024 bytes$", 5)


def test_queries_and_events_of_ours_reach_the_handlers_of_both(mixed_cluster):
    flags = ["-event-handler=query:load=printf '%s-%s' \"$SERF_SELF_NAME\" \"$(cat)\"",
             "-event-handler=user:deploy=cat"]
    ours = mixed_cluster.grow(OURS, "ours", *flags)
    reference = mixed_cluster.grow(REFERENCE, "ref", *flags, join=[ours])
    answer = json.loads(ours.cli("query", "-format=json", "-timeout=2s", "load", "now"))
    assert answer["Responses"] == {"ours": "ours-now", "ref": "ref-now"}
    ours.cli("event", "-coalesce=false", "deploy", "version 7")
    for agent in (ours, reference):
        agent.wait_log(r"\[DEBUG\] agent: Event 'user' script output: version 7$", 20)


def test_info_shows_the_handlers_as_the_reference_does(cluster, reference):
    flags = [f"-event-handler={text}" for text in
             ("all", "user:a,member-join=one two", "user:a=later", "query,query:q==x=y")]
    shown = [cluster.agent(program, program.kind, *flags).info()["event_handlers"]
             for program in BOTH]
    assert shown[0] == shown[1] and len(shown[0]) == 5


# --- whatever a script does ---


@pytest.fixture
def sender(mixed_cluster):
    return mixed_cluster.grow(REFERENCE, "sender")


def test_a_flood_of_output_is_cut_and_told(mixed_cluster, sender):
    ours = mixed_cluster.grow(OURS, "ours", join=[sender])
    flooding = mixed_cluster.grow(
        OURS, "flooding", "-event-handler=user:flood=head -c 8000000 /dev/zero | tr '\\0' x; echo END",
        join=[sender])
    sender.cli("event", "-coalesce=false", "flood")
    flooding.wait_log(r"\[WARN\] agent: Script 'head .*' generated 8000004 bytes of output, truncated "
                      r"to 8192$", 30)
    flooding.wait_log(r"\[DEBUG\] agent: Event 'user' script output: x{7000}", 5)
    assert mixed_cluster.failures_logged() == [] and ours.running


def test_a_script_that_hangs_holds_up_nothing_but_later_scripts(mixed_cluster, sender):
    ours = mixed_cluster.grow(OURS, "ours", "-event-handler=user:hang=sleep 6; echo over",
                              "-event-handler=user=echo got $SERF_USER_EVENT", join=[sender])
    sender.cli("event", "-coalesce=false", "hang")
    ours.wait_log(r"\[WARN\] agent: Script 'sleep 6; echo over' slow, execution exceeding 1s$", 10)
    sender.cli("event", "-coalesce=false", "later")
    ours.wait_log(r"Received event: user-event: later$", 3)
    assert ours.statuses() == {"ours": "alive", "sender": "alive"}
    ours.wait_log(r"script output: got later$", 20)
    order = [line.split("output: ")[1] for line in ours.log_lines("Event 'user' script output")]
    assert order == ["over", "got hang", "got later"]


def test_handlers_run_side_by_side_when_asked(mixed_cluster, sender):
    ours = mixed_cluster.grow(OURS, "ours", "-handler-concurrency=2",
                              "-event-handler=user:first=sleep 600",
                              "-event-handler=user=echo got $SERF_USER_EVENT", join=[sender])
    for name in ("first", "second", "third"):
        sender.cli("event", "-coalesce=false", name)
        ours.wait_log(rf"script output: got {name}$", 20)
    assert not ours.log_lines("script output: $")


def runs(process, command):
    """Whether this process has not ended, nor its number been given to another program."""
    try:
        name, state = re.search(r"\((.*)\) (.)", Path(f"/proc/{process}/stat").read_text()).groups()
    except OSError:
        return False
    return name == command and state != "Z"


def test_a_time_limit_stops_a_script_with_all_that_it_started(mixed_cluster, sender):
    started = mixed_cluster.directory / "started"
    ours = mixed_cluster.grow(
        OURS, "ours", "-handler-timeout=500ms",
        f"-event-handler=user:hang=sleep 599 & echo $! >{started}; trap '' TERM; sleep 600; sleep 600",
        join=[sender])
    sender.cli("event", "-coalesce=false", "hang")
    ours.wait_log(r"\[WARN\] agent: Script '.*' runs longer than handler_timeout \(500ms\), stopping "
                  r"it$", 10)
    ours.wait_log(r"Error invoking script '.*': signal: killed$", 20)
    assert len(ours.log_lines("handler_timeout")) == 1
    child = int(started.read_text("ascii"))
    wait_until(lambda: not runs(child, "sleep"), 10, "what the script started has ended too")


def test_a_change_of_members_waits_for_a_script_that_hangs(mixed_cluster, sender):
    go = mixed_cluster.directory / "go"
    seen = mixed_cluster.directory / "seen"
    ours = mixed_cluster.grow(
        OURS, "ours", f"-event-handler=user=while ! [ -e {go} ]; do sleep 0.1; done",
        f"-event-handler=member-failed=cut -f1 >> {seen}", join=[sender])
    sender.cli("event", "-coalesce=false", "block")
    failing = mixed_cluster.grow(REFERENCE, "failing", join=[sender])
    failing.kill()
    mixed_cluster.wait_status("failing", "failed")
    assert not seen.exists()
    go.touch()
    wait_until(lambda: seen.exists() and seen.read_text("utf-8") == "failing\n", 20,
               "the failure is told")
    assert ours.running


def test_a_full_queue_loses_user_events_but_no_member(mixed_cluster, sender):
    """A script hangs while more comes than its queue takes; the agent and its cluster stay well."""
    go, seen = (mixed_cluster.directory / name for name in ("go", "seen"))
    script = (f"case $SERF_EVENT$SERF_USER_EVENT in userblock) while ! [ -e {go} ]; do sleep 0.1; "
              f"done;; user*) ;; *) while read name rest; do echo $SERF_EVENT $name >> {seen}; done;; "
              "esac")
    ours = mixed_cluster.grow(OURS, "ours", "-event-handler=user,member-join,member-failed=" + script,
                              join=[sender], log_level="info")
    with RpcClient(ours) as client:
        client.call("event", {"Name": "block", "Payload": b"", "Coalesce": False})
        failing = mixed_cluster.agent(REFERENCE, "failing", join=[sender])
        wait_until(lambda: ours.statuses().get("failing") == "alive", 20, "ours knows the newcomer")
        ours.wait_log("Received event: member-join$", 20)
        for number in range(4500):
            client.call("event", {"Name": f"e{number}", "Payload": b"", "Coalesce": False})
    failing.kill()
    mixed_cluster.wait_status("failing", "failed", agents=[ours])
    ours.wait_log(r"\[WARN\] agent: Event handlers are too slow: dropped the oldest \d+ user events "
                  r"and 0 queries \(\d+ in all\); at most 4096 events wait for a handler$", 30)
    assert len(ours.log_lines("too slow: dropped")) < 10
    assert sender.statuses()["ours"] == "alive"
    go.touch()
    wait_until(lambda: seen.exists() and "member-failed failing" in seen.read_text("utf-8"), 90,
               "the failure is told")
    assert "member-join failing" in seen.read_text("utf-8")
    assert not sender.log_lines("(EventMemberFailed|Suspect).* ours ")


# --- the agent's life ---


def test_a_reload_replaces_the_handlers(mixed_cluster, sender):
    ours = mixed_cluster.grow(OURS, "ours", config={"event_handlers": ["user=echo old"]},
                              join=[sender])
    sender.cli("event", "-coalesce=false", "one")
    ours.wait_log("script output: old$", 10)
    path = next(word.split("=", 1)[1] for word in ours.process.args if "config-file" in str(word))
    Path(path).write_text(json.dumps({"event_handlers": ["user:two=echo new"]}), "utf-8")
    ours.process.send_signal(signal.SIGHUP)
    ours.wait_log("Reloading configuration", 5)
    wait_until(lambda: ours.info()["event_handlers"] == {"user:two": "echo new"}, 5, "info shows it")
    sender.cli("event", "-coalesce=false", "two")
    ours.wait_log("script output: new$", 10)
    Path(path).write_text(json.dumps({"event_handlers": ["bogus=echo newer"]}), "utf-8")
    ours.process.send_signal(signal.SIGHUP)
    ours.wait_log("Failed to reload configs", 5)
    sender.cli("event", "-coalesce=false", "two")
    wait_until(lambda: len(ours.log_lines("script output: new$")) == 2, 10, "the old ones stay")
    assert len(ours.log_lines("script output: old$")) == 1


@pytest.mark.parametrize("how", ["signal", "command"])
def test_a_graceful_exit_waits_for_running_handlers(mixed_cluster, sender, how):
    done = mixed_cluster.directory / "done"
    ours = mixed_cluster.grow(OURS, "ours", f"-event-handler=user=sleep 4; touch {done}",
                              join=[sender])
    sender.cli("event", "-coalesce=false", "work")
    ours.wait_log("user-event: work$", 10)
    assert (ours.interrupt(20) if how == "signal" else ours.leave(20)) == 0
    assert done.exists()


def test_a_graceful_exit_does_not_wait_for_ever(mixed_cluster, sender):
    ours = mixed_cluster.grow(OURS, "ours", "-event-handler=user=sleep 600", join=[sender])
    sender.cli("event", "-coalesce=false", "work")
    ours.wait_log("user-event: work$", 10)
    assert ours.interrupt(25) == 0
    ours.wait_log(r"\[WARN\] agent: 1 event handlers still run; not waiting any longer$", 1)


def test_a_second_signal_ends_the_wait_for_handlers(mixed_cluster, sender):
    ours = mixed_cluster.grow(OURS, "ours", "-event-handler=user=sleep 600", join=[sender])
    sender.cli("event", "-coalesce=false", "work")
    ours.wait_log("user-event: work$", 10)
    ours.left = True
    ours.process.send_signal(signal.SIGINT)
    mixed_cluster.wait_status("ours", "left", 10, [sender])
    ours.process.send_signal(signal.SIGINT)
    assert ours.wait_exit(5) == 1


def test_invalid_specifications_are_refused_alike(reference):
    for text in ("bogus=x", "member-join:x=y", " user=x", "user,,query=x", "member-jion=x"):
        outputs = [run(program, "agent", "-bind=127.0.0.1:0", f"-event-handler={text}")
                   for program in BOTH]
        assert [output.returncode for output in outputs] == [1, 1]
        theirs = outputs[BOTH.index(REFERENCE)].stdout.strip()
        assert outputs[BOTH.index(OURS)].stdout.startswith(theirs)


def test_without_a_shell_the_start_fails_with_that_reason():
    """/bin/sh is covered by something that can't be run, in a mount namespace."""
    cover = "mount --bind /dev/null /bin/sh && exec \"$0\" \"$@\""
    prefix = ["unshare", "--mount", "bash", "-c", cover]
    if subprocess.run([*prefix, "/bin/true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    done = subprocess.run([*prefix, OURS.path, "agent", "-bind=127.0.0.1:0", "-event-handler=true"],
                          capture_output=True, text=True, timeout=20, check=False,
                          env=environment())
    assert done.returncode == 1
    assert "==> Invalid event script: 'true' needs a shell, and there is no /bin/sh" in done.stdout


def test_a_handler_has_default_signals_and_no_descriptors_of_the_agent(cluster):
    found = cluster.directory / "found"
    script = (f"exec {sys.executable} -c \"import os; "
              "print(sorted(map(int, os.listdir('/proc/self/fd')))); "
              f"print(open('/proc/self/status').read())\" > {found}.new; mv {found}.new {found}")
    script = script.replace("exec ", "", 1)
    agent = cluster.prepare(OURS, "ours", f"-event-handler=member-join={script}")
    inherited = os.open("/dev/null", os.O_RDONLY)
    os.dup2(inherited, 77, inheritable=True)
    try:
        with open(agent.log_path, "ab") as log:
            agent.process = subprocess.Popen([OURS.path, *agent.arguments()], close_fds=False,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=environment())
    finally:
        os.close(77)
        os.close(inherited)
    wait_until(found.exists, 20, "the handler has run")
    text = found.read_text("utf-8")
    assert json.loads(text.splitlines()[0])[:3] == [0, 1, 2]
    assert len(json.loads(text.splitlines()[0])) == 4  # and the folder that is listed
    internal = 3 << 31  # signals 32 and 33 are the C library's own
    ignored = int(re.search(r"SigIgn:\s*(\w+)", text)[1], 16) & ~internal
    blocked = int(re.search(r"SigBlk:\s*(\w+)", text)[1], 16)
    python_ignores = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    assert ignored & ~python_ignores == 0 and blocked == 0


ORPHANS = """
set -e
ip link set lo up 2>/dev/null || true
exec "$0" agent -node=init -bind=127.0.0.1:0 -rpc-addr=127.0.0.1:7373 -log-level=debug "$@"
"""


def test_as_process_1_a_thousand_double_forking_handlers_leave_no_zombie(cluster, reference):
    prefix = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True,
                                                     check=False).returncode != 0:
        pytest.skip("no PID namespace can be made here")
    # One event, whose handler forks twice a thousand times; each grandchild outlives its parent.
    script = ("i=0; while [ $i -lt 1000 ]; do i=$((i+1)); ( (sleep 0.2; exit 7) >/dev/null 2>&1 & ); "
              "done; echo forked $i")
    agent = cluster.prepare(OURS, "init", f"-event-handler=member-join={script}")
    with open(agent.log_path, "ab") as log:
        agent.process = subprocess.Popen([*prefix, OURS.path, *agent.arguments()],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         env=environment())
    agent.wait_log("script output: forked 1000$", 60)
    children = Path(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children")
    first = int(children.read_text("ascii").split()[0])

    def left():
        remaining = Path(f"/proc/{first}/task/{first}/children").read_text("ascii").split()
        return not remaining, f"{len(remaining)} children"
    wait_until(left, 30, "process 1 has no children, dead or alive")
    os.kill(first, signal.SIGINT)
    assert agent.wait_exit(20) == 0
