"""The rows about what clients ask of an agent over RPC: events, queries, the members.

The client sends bytes that were made before and counts answers without reading them, so that the
agent is what is measured."""

import re
import statistics
import time

from clusters import Agent, Cluster
from row import Row
from traffic import PEER_PORT, Traffic, exchange, exchange_of
import protocol  # of the interop tests, whose folder `clusters` has put on the path
import rpc

SETTLE_SECONDS = 1
PIECE = 1 << 16
ACCEPTED = b"\xa5Error\xa0"
MEMBERS = 1_000
LISTING = protocol.pack({"Command": "members", "Seq": 1})
PAYLOAD = b"x" * 32
POINTS = 2               # by which two runs of the same program differ
RECEIVED = re.compile(rb"Received event: user-event: (rate-\d+-\d+)")


def event_request(seq, name):
    return (protocol.pack({"Command": "event", "Seq": seq}) +
            protocol.pack({"Name": name, "Payload": PAYLOAD, "Coalesce": False}))


def pipelined(connection, requests, answers):
    """Sends all of it and reads at the same time, until so many were accepted."""
    connection.setblocking(False)
    unsent, rest, accepted = memoryview(requests), b"", 0
    limit = time.monotonic() + 60
    while accepted < answers:
        if time.monotonic() > limit:
            raise TimeoutError(f"{accepted} of {answers} requests accepted after 60 s")
        busy = False
        try:
            if unsent:
                unsent = unsent[connection.send(unsent[:PIECE]):]
                busy = True
        except BlockingIOError:
            pass
        try:
            data = rest + connection.recv(PIECE)
            accepted += data.count(ACCEPTED)
            rest = data[data.rfind(b"\xa5Error") + 7:][-len(ACCEPTED) + 1:]
            busy = True
        except BlockingIOError:
            pass
        if not busy:
            time.sleep(0.0001)


def accepted_rows(bench):
    """One connection, one agent; an event is accepted when its answer is there."""
    count = bench.scale.rpc_events
    requests = b"".join(event_request(number + 10, f"event-{number}") for number in range(count))
    figures = []
    for program in bench.programs:
        bench.progress(program.kind)
        agent = Agent(bench.directory, program, "alone").start()
        try:
            time.sleep(SETTLE_SECONDS)
            with rpc.RpcClient(agent) as client:
                before, start = agent.cpu_seconds, time.monotonic()
                pipelined(client.socket, requests, count)
                figures.append((time.monotonic() - start, agent.cpu_seconds - before))
        finally:
            agent.end()
    (ours, our_cpu), (reference, reference_cpu) = figures
    yield Row(f"{count:,} events accepted over one RPC connection", ours, reference, "s",
              ratio=1 / 3)
    yield Row("CPU for an event accepted over RPC", our_cpu / count * 1e6,
              reference_cpu / count * 1e6, "us", ratio=1 / 5)


def receive(connection, size):
    while size > 0:
        data = connection.recv(min(size, PIECE))
        if not data:
            raise EOFError("the agent closed the connection")
        size -= len(data)


def size_of_answer(connection):
    """Bytes of the answer to LISTING, which is the same each time: until nothing more comes."""
    connection.sendall(LISTING)
    size = 0
    connection.settimeout(1)
    try:
        while True:
            size += len(connection.recv(PIECE))
    except TimeoutError:
        connection.settimeout(30)
        return size


def members_rows(bench):
    calls = bench.scale.rpc_calls

    def cpu_of_calls(program):
        agent = Agent(bench.directory, program, "alone").start()
        try:
            exchange(agent, exchange_of(0, MEMBERS))
            with rpc.RpcClient(agent) as client:
                limit = time.monotonic() + 30
                while len(client.call("members")["Members"]) < 1 + MEMBERS:
                    if time.monotonic() > limit:
                        raise TimeoutError(f"{agent} does not know {MEMBERS} members after 30 s")
                    time.sleep(0.2)
                size = size_of_answer(client.socket)
                before = agent.cpu_seconds
                for _ in range(calls):
                    client.socket.sendall(LISTING)
                    receive(client.socket, size)
                return (agent.cpu_seconds - before) / calls
        finally:
            agent.end()

    with Traffic("peers", PEER_PORT):
        ours, reference = [cpu_of_calls(program) for program in bench.programs]
    yield Row(f"CPU for the RPC members with {MEMBERS:,} members", ours * 1e3, reference * 1e3,
              "ms", ratio=1 / 5)


# --- fifty nodes ---


def tell_at_rate(client, rate, seconds):
    """Events at a steady pace, ten times a second a batch; returns how many."""
    told, start = 0, time.monotonic()
    while told < rate * seconds:
        due = min(rate * seconds, int((time.monotonic() - start + 0.1) * rate))
        client.socket.sendall(b"".join(event_request(100 + number, f"rate-{rate}-{number}")
                                       for number in range(told, due)))
        for _ in range(told, due):
            client.reader.value()
        told = due
        time.sleep(max(0, start + told / rate - time.monotonic()))
    return told


def received(cluster, rate):
    """Events of that rate which agents have logged as received."""
    mark = f"rate-{rate}-".encode()
    return sum(len({name for name in RECEIVED.findall(agent.log_path.read_bytes())
                    if name.startswith(mark)}) for agent in cluster.agents)


def wait_still(cluster, rate, seconds):
    """The count when nothing more has come for two seconds."""
    limit, last, since = time.monotonic() + seconds, -1, time.monotonic()
    while time.monotonic() < limit and time.monotonic() - since < 2:
        now = received(cluster, rate)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.5)
    return last


def seconds_to_last_ack(client, count, timeout):
    """Of one query: until so many have acknowledged; the timeout when they do not."""
    start, acked = time.monotonic(), 0
    client.begin_query("who", timeout=timeout)
    last = timeout
    while True:
        record = client.next_record()
        if record["Type"] == b"done":
            return last
        if record["Type"] == b"ack":
            acked += 1
            if acked == count:
                last = time.monotonic() - start


def fifty(bench, program):
    """({rate: delivered share}, [seconds to the last of all acknowledgements])"""
    scale = bench.scale
    bench.progress(program.kind)
    with Cluster(bench.directory, program, scale.agents) as cluster:
        cluster.wait_agreement(bench.cutoff(scale.settle_cutoff))
        time.sleep(SETTLE_SECONDS)
        with rpc.RpcClient(cluster.agents[0]) as client:
            asked = [seconds_to_last_ack(client, scale.agents, scale.query_seconds)
                     for _ in range(scale.queries)]
        shares = {}
        for rate in scale.event_rates:
            bench.progress(f"{program.kind}, {rate} events a second")
            with rpc.RpcClient(cluster.agents[0]) as client:
                told = tell_at_rate(client, rate, scale.event_seconds)
            shares[rate] = wait_still(cluster, rate, bench.scale.event_drain) / told / scale.agents
        return shares, asked


def delivered_rows(bench):
    scale = bench.scale
    (ours, our_times), (reference, reference_times) = [fifty(bench, program)
                                                       for program in bench.programs]
    yield Row(f"query to {scale.agents} nodes until the last acknowledgement, median",
              statistics.median(our_times) * 1e3, statistics.median(reference_times) * 1e3, "ms",
              ratio=1, target="1", note=f"of {scale.queries}")
    for rate in scale.event_rates:
        yield Row(f"delivered of {rate} events a second, {scale.agents} nodes",
                  100 * ours[rate], 100 * reference[rate], "%", target="reference's",
                  met=100 * ours[rate] >= 100 * reference[rate] - POINTS)


SCENARIOS = {
    "accepted": accepted_rows,
    "listing": members_rows,
    "delivered": delivered_rows,
}
