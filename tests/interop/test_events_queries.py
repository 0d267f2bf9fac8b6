"""User events and queries that start on either kind of agent and are seen on the other, and what
the command lines make of them."""

import itertools
import json
import re
import signal
import subprocess
import threading
import time

import pytest

from agents import BOTH, OURS, REFERENCE, environment, other, run, wait_until
from rpc import Responder, RpcClient

KINDS = pytest.mark.parametrize("program", BOTH, ids=lambda program: program.kind)
MATRIX = pytest.mark.parametrize(
    "agent_kind, command_line", list(itertools.product(BOTH, BOTH)),
    ids=[f"{a.kind}-agent-{c.kind}-command" for a, c in itertools.product(BOTH, BOTH)])


@pytest.fixture
def five(mixed_cluster):
    """Two of ours and three reference agents, each of which answers the query `who`."""
    agents = [mixed_cluster.grow(OURS, "ours-1", "-tag=role=web")]
    for program, name, role in ((REFERENCE, "ref-1", "web"), (OURS, "ours-2", "db"),
                                (REFERENCE, "ref-2", "db")):
        agents.append(mixed_cluster.grow(program, name, f"-tag=role={role}", join=agents[-1:]))
    agents.append(mixed_cluster.grow(REFERENCE, "ref-3", join=agents[-1:]))
    responders = [Responder(agent, "who") for agent in agents]
    yield agents
    for responder in responders:
        responder.close()
    assert mixed_cluster.failures_logged() == []
    assert mixed_cluster.complaints([agent for agent in agents if agent.program is OURS]) == []


NAMES = {"ours-1", "ours-2", "ref-1", "ref-2", "ref-3"}


# --- user events ---


def test_events_from_any_agent_reach_every_agent_once(five):
    names = []
    for number in range(15):
        names.append(f"deploy-{number}")
        five[number % 5].cli("event", "-coalesce=false", names[-1], "payload" * number)
    for agent in five:
        for name in names:
            agent.wait_log(rf"\[INFO\] agent: Received event: user-event: {name}$")
        assert len(agent.log_lines(r"Received event: user-event: deploy-")) == len(names)


@KINDS
def test_an_event_arrives_with_every_byte_of_its_payload(mixed_cluster, program):
    sender = mixed_cluster.grow(program, "sender")
    receiver = mixed_cluster.grow(other(program), "receiver", join=[sender])
    payload = bytes(range(256))
    with RpcClient(receiver) as client, RpcClient(sender) as source:
        client.stream("user:bytes")
        source.call("event", {"Name": "other", "Payload": b"", "Coalesce": False})
        source.call("event", {"Name": "bytes", "Payload": payload, "Coalesce": False})
        record = client.next_record()
        assert record["Event"] == b"user" and record["Name"] == b"bytes"
        assert record["Payload"] == payload and record["Coalesce"] is False
        assert record["LTime"] > 0
        source.call("event", {"Name": "bytes", "Payload": b"", "Coalesce": True})
        assert not client.next_record()["Payload"]


@KINDS
def test_of_events_of_one_name_that_come_together_the_last_is_delivered(mixed_cluster, program):
    sender = mixed_cluster.grow(program, "sender")
    receiver = mixed_cluster.grow(other(program), "receiver", join=[sender])
    mixed_cluster.wait_caught_up()  # an event that comes with a state is delivered at once
    clients = [RpcClient(agent).stream("user") for agent in (sender, receiver)]
    with RpcClient(sender) as source:
        for number in range(5):
            source.call("event", {"Name": "same", "Payload": b"%d" % number, "Coalesce": True})
        source.call("event", {"Name": "last", "Payload": b"", "Coalesce": True})
    for client in clients:
        records = {client.next_record()["Name"]: None for _ in range(2)}
        assert set(records) == {b"same", b"last"}
        client.socket.close()
    for agent in (sender, receiver):
        assert len(agent.log_lines("Received event: user-event: same$")) == 1


def test_events_have_the_same_limits_on_both_agents(mixed_cluster):
    agents = [mixed_cluster.agent(program) for program in BOTH]
    for size in (480, 481, 482, 483, 484, 510, 511, 512, 513):
        outcomes = []
        for agent in agents:
            with RpcClient(agent) as client:
                outcomes.append(client.ask("event", {"Name": "e", "Payload": b"x" * size,
                                                     "Coalesce": False})[0])
        assert outcomes[0] == outcomes[1], size
    agents = [mixed_cluster.agent(program, config={"user_event_size_limit": 2000})
              for program in BOTH]
    for size in (1900, 1999, 2000):
        outcomes = [agent.run("event", "e", "x" * size, program=OURS).stdout for agent in agents]
        assert outcomes[0] == outcomes[1], size


# --- queries ---

# Gossip brings a query to everybody with high probability only, and nothing else does: in one of
# some hundred a member is missed. It is then asked again.
ROUNDS = 4


def until(good, ask):
    """The first answer that is good, or the last one."""
    for _ in range(ROUNDS):
        answer = ask()
        if good(answer):
            break
    return answer


@MATRIX
def test_a_query_is_acknowledged_and_answered_by_every_agent(five, agent_kind, command_line):
    asker = next(agent for agent in five if agent.program is agent_kind)
    answer = until(lambda answer: len(answer["Responses"]) == 5, lambda: json.loads(asker.cli(
        "query", "-format=json", "-timeout=2s", "who", "now", program=command_line)))
    assert set(answer["Acks"]) == NAMES and len(answer["Acks"]) == 5
    assert answer["Responses"] == {name: f"{name}:now" for name in NAMES}
    for agent in five:
        agent.wait_log(r"\[INFO\] agent: Received event: query: who$", 5)


FILTERS = [
    ({"nodes": ["ref-2", "ours-1"]}, {"ref-2", "ours-1"}),
    ({"nodes": ["nobody"]}, set()),
    ({"tags": {"role": "web"}}, {"ours-1", "ref-1"}),
    ({"tags": {"role": "e"}}, {"ours-1", "ref-1"}),
    ({"tags": {"role": "^d|eb$"}}, NAMES - {"ref-3"}),
    ({"tags": {"role": "^$"}}, {"ref-3"}),
    ({"tags": {"nosuch": ".*"}}, NAMES),
    ({"tags": {"role": r"^\w{2}$"}}, {"ours-2", "ref-2"}),
    ({"nodes": ["ours-1", "ref-2"], "tags": {"role": "d[ab]"}}, {"ref-2"}),
    ({"relay": 3}, NAMES),
    ({"acks": False}, NAMES),
]


def test_filters_select_the_same_members_whoever_asks(five):
    """The queries run side by side, but start one after the other: the reference loses the answers
    to one of two that start at once."""
    cases = [(asker, arguments, expected)
             for asker in five[:2] for arguments, expected in FILTERS]

    def ask():
        clients = [RpcClient(asker) for asker, _, _ in cases]
        for client, (_, arguments, _) in zip(clients, cases):
            client.begin_query("who", timeout=3, **arguments)
        missed = []
        for client, (asker, arguments, expected) in zip(clients, cases):
            acked, answers = client.end_query()
            client.socket.close()
            wanted = expected if arguments.get("acks", True) else set()
            assert set(answers) <= expected and set(acked) <= wanted, (asker, arguments)
            assert len(acked) == len(set(acked))
            if set(answers) != expected or set(acked) != wanted:
                missed.append((asker, arguments, expected))
        cases[:] = missed
        return missed
    assert until(lambda missed: not missed, ask) == []


@KINDS
def test_a_query_may_be_answered_once_and_only_with_its_number(mixed_cluster, program):
    agent = mixed_cluster.grow(program, "agent")
    peer = mixed_cluster.grow(other(program), "peer", join=[agent])
    with RpcClient(agent) as client, RpcClient(peer) as source:
        client.stream("query")
        seq = source.send("query", {"Name": "q", "Payload": b"", "Timeout": int(4e9)})
        record = client.next_record()
        assert record["ID"] == 1
        assert client.respond(99, b"x") == "No pending queries matching ID"
        assert client.respond(1, b"x" * 2000) == ("failed to respond to key query: response "
                                                  "exceeds limit of 1024 bytes")
        assert client.respond(1, b"first") == ""
        assert client.respond(1, b"second") == ("failed to respond to key query: response "
                                                "already sent")
        assert source.reader.value() == {"Error": b"", "Seq": seq}
        answer = source.next_record()
        assert (answer["From"], answer["Payload"]) == (b"agent", b"first")
        wait_until(lambda: source.next_record()["Type"] == b"done", 20, "the query is done")
        wait_until(lambda: client.respond(1, b"late") == "No pending queries matching ID", 5,
                   "the query's time is up where it is answered, too")


def test_queries_have_the_same_limits_on_both_agents(mixed_cluster):
    agents = [mixed_cluster.agent(program, "n") for program in BOTH]
    for size in (914, 915, 916, 917, 2000):
        outcomes = []
        for agent in agents:
            with RpcClient(agent) as client:
                outcomes.append(client.ask("query", {"Name": "q", "Payload": b"x" * size,
                                                     "Timeout": int(1e8)})[0])
        assert outcomes[0] == outcomes[1], size


@KINDS
def test_a_query_may_end_when_all_have_answered(five, program):
    """The client decides, so that any agent will do."""
    asker = next(agent for agent in five if agent.program is program)

    def ask(*arguments):
        def in_time():
            start = time.monotonic()
            text = asker.cli("query", "-timeout=10s", *arguments, program=OURS)
            return text, time.monotonic() - start
        text, seconds = until(lambda answer: answer[1] < 8, in_time)
        assert seconds < 8, text
        return text
    text = ask("-until-complete", "-tag=role=w", "who")
    assert set(re.findall(r"Response from '(.*)': \1:", text)) == {"ours-1", "ref-1"}
    assert text.endswith("Total Responses: 2\n")
    assert ask("-until-acks", "nobody-answers").endswith("Total Acks: 5\nTotal Responses: 0\n")
    text = ask("-until-complete", "-no-ack", "-node=ref-3", "who")
    assert text == "Query 'who' dispatched\nResponse from 'ref-3': ref-3:\nTotal Responses: 1\n"


@KINDS
def test_a_member_that_fails_is_not_waited_for(mixed_cluster, program):
    asker = mixed_cluster.grow(program, "asker", profile="local")
    mortal = mixed_cluster.grow(other(program), "mortal", join=[asker], profile="local")
    responder = Responder(asker, "who")
    killer = threading.Timer(1, mortal.kill)
    killer.start()
    start = time.monotonic()
    text = asker.cli("query", "-until-complete", "-timeout=60s", "who", program=OURS, timeout=65)
    assert "Total Acks: 2\nTotal Responses: 1\n" in text
    assert time.monotonic() - start < 50
    responder.close()


# --- the command lines ---


def masked(text):
    """What may differ: the order in which answers come, and times."""
    text = re.sub(r"\d+\.\d+ (sec|ms)", r"N \1", text)
    lines = text.splitlines()
    free = [line for line in lines if re.match(r"\t?(Ack|Response) from|failed: ", line)]
    return [line for line in lines if line not in free], sorted(free)


ALWAYS = [
    ("event", "deploy"), ("event", "-coalesce=false", "deploy", "x"), ("event", ""),
    ("event", "large", "x" * 600), ("event", "large", "x" * 500),
    ("query", "-timeout=300ms", "who"), ("query", "-timeout=300ms", "who", "a\n"),
    ("query", "-timeout=300ms", "-no-ack", "who"), ("query", "-timeout=300ms", "-node=two", "who"),
    ("query", "-timeout=300ms", "-node=nobody", "who"),
    ("query", "-timeout=300ms", "-tag=role=^w", "who"),
    ("query", "-timeout=300ms", "-relay-factor=1", "who"), ("query", "-relay-factor=256", "who"),
    ("query", "-relay-factor=-1", "who"), ("query", "-tag=novalue", "who"),
    ("query", "-tag==x", "who"), ("query", "-format=xml", "who"), ("query", "_serf_conflict", "x"),
    ("query", "_serf_ping", "x"), ("query", "-timeout=300ms", "_serf_ping"),
    ("query", "large", "x" * 2000), ("query", "-timeout=-1s", "nobody-answers"),
    ("query", "-format=json", "-timeout=300ms", "-no-ack", "nobody-answers"),
    ("reachability",), ("reachability", "-verbose"), ("rtt", "one", "two"),
    ("rtt", "two", "one"), ("rtt", "one", "nobody\""),
    ("keys", "-list"), ("keys", "-install=*"), ("keys", "-install=MDEyMzQ1Njc4OWFiY2RlZg=="),
    ("keys", "-use=MDEyMzQ1Njc4OWFiY2RlZg=="), ("keys", "-remove=MDEyMzQ1Njc4OWFiY2RlZg=="),
    ("keys", "-list", "-use=x"), ("keys", "-install=x", "-remove=y"),
]
# With the help behind the first line, which is our own.
WITH_HELP = [("event",), ("event", "a", "b", "c"), ("query",), ("query", "a", "b", "c"), ("rtt",),
             ("rtt", "a", "b", "c"), ("keys",), ("keys", "-install=")]


def test_every_command_says_the_same_whichever_line_and_agent(mixed_cluster):
    one = mixed_cluster.grow(OURS, "one", "-tag=role=web", profile="local")
    two = mixed_cluster.grow(REFERENCE, "two", "-tag=role=web", join=[one], profile="local")
    responders = [Responder(agent, "who") for agent in (one, two)]
    for agent in (one, two):  # each has a coordinate for the other after a probe
        for name in ("one", "two"):
            wait_until(lambda: agent.run("rtt", "one", name).returncode == 0, 30,
                       f"{agent} knows where {name} is")
    for arguments in ALWAYS + WITH_HELP:
        outcomes = {}
        for agent, command_line in itertools.product((one, two), BOTH):
            done = agent.run(*arguments, program=command_line)
            out = done.stdout
            if arguments in WITH_HELP:
                out = "\n".join(out.splitlines()[:3 if "Usage" not in out.splitlines()[0] else 1])
            outcomes[f"{agent.kind} agent, {command_line.kind} command"] = (
                done.returncode, *masked(out), done.stderr)
        first = next(iter(outcomes.values()))
        assert all(outcome == first for outcome in outcomes.values()), (arguments, outcomes)
    for agent, command_line in itertools.product((one, two), BOTH):
        text = agent.cli("rtt", "one", program=command_line)
        assert re.fullmatch(rf"Estimated one <-> {agent.name} rtt: \d+\.\d{{3}} ms\n", text)
    for responder in responders:
        responder.close()


def test_answers_as_json_are_the_same_bytes(mixed_cluster):
    one = mixed_cluster.grow(OURS, "one", profile="local")
    two = mixed_cluster.grow(REFERENCE, "two", join=[one], profile="local")
    responders = [Responder(agent, "who") for agent in (one, two)]
    for agent in (one, two):
        texts = {agent.cli("query", "-format=json", "-timeout=500ms", "-no-ack", "who", "<&\n\t\u2028>",
                           program=command_line) for command_line in BOTH}
        assert len(texts) == 1, texts
        assert json.loads(texts.pop())["Responses"] == {"one": "one:<&\n\t\u2028>",
                                                        "two": "two:<&\n\t\u2028>"}
    for responder in responders:
        responder.close()


@MATRIX
def test_an_interrupt_ends_a_query_with_1(mixed_cluster, agent_kind, command_line):
    agent = mixed_cluster.agent(agent_kind)
    for asked, (command, *arguments) in enumerate((("query", "-timeout=20s", "q"),
                                                   ("query", "-format=json", "q"))):
        process = subprocess.Popen([command_line.path, command, f"-rpc-addr={agent.rpc_address}",
                                    *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, env=environment(), text=True)
        wait_until(lambda: len(agent.log_lines("Received event: query: q$")) > asked, 10,
                   "the query is asked")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
        assert process.returncode == 1
        assert "Total" not in out and "{" not in out


def test_an_expression_that_is_none_is_refused_by_our_agent(mixed_cluster):
    """With the reference nobody answers, and nobody says why."""
    agent = mixed_cluster.agent(OURS)
    for expression in ("(", "(?=x)", r"(a)\1"):
        for command_line in BOTH:
            done = agent.run("query", f"-tag=role={expression}", "q", program=command_line)
            assert done.returncode == 1
            assert done.stdout.startswith("Error sending query: Failed to compile regex: ")


def test_an_expression_of_a_peer_that_is_none_is_told_and_selects_nobody(mixed_cluster):
    ours = mixed_cluster.grow(OURS, "ours")
    ref = mixed_cluster.grow(REFERENCE, "ref", join=[ours])
    with RpcClient(ref) as client:
        acked, _ = client.query("q", tags={"role": "("}, timeout=0.5)
    assert acked == []
    ours.wait_log(r"\[WARN\] serf: failed to compile filter regex \(\(\): ", 10)


def test_a_client_that_goes_away_leaves_nothing_behind(mixed_cluster):
    agent = mixed_cluster.agent(OURS)
    for _ in range(20):
        client = RpcClient(agent)
        for _ in range(256):
            client.send("query", {"Name": "q", "Payload": b"", "Timeout": int(300e9)})
        client.socket.close()
    with RpcClient(agent) as client:  # of 1024 at once in the whole agent
        assert client.ask("query", {"Name": "q", "Payload": b"", "Timeout": int(1e8)})[0] == ""


def test_commands_about_events_and_queries_tell_what_they_dialled(reference):
    for arguments in (("event", "e"), ("query", "q"), ("keys", "-list"), ("reachability",),
                      ("rtt", "a")):
        for program in BOTH:
            done = run(program, arguments[0], "-rpc-addr=127.0.0.1:1", *arguments[1:])
            assert (done.returncode, done.stdout) == (
                1, "Error connecting to Serf agent: dial tcp 127.0.0.1:1: connect: "
                   "connection refused\n")
