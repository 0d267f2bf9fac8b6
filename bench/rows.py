"""The rows of the table: how each is measured. docs/performance.md says the same in a line each.

A scenario is a function that yields the rows it measured. Short measurements alternate between the
two programs and take the median, so that whatever else the machine does meets both."""

import gzip
import os
import signal
import statistics
import time
from dataclasses import dataclass

from clusters import Agent, Cluster, LogReader
from processes import (MEGABYTE, cpu_seconds, datagrams_lost, drop_from_page_cache, memory,
                       seconds_until_answer)
from row import Row
import rpc_rows
from traffic import (PEER_PORT, Traffic, address_of, exchange, exchange_of, exchange_of_sources,
                     handshake)

SETTLE_SECONDS = 1
START_SECONDS = 15
JOIN_SECONDS = 60          # for an agent to log the members of one push/pull
CHUNK = 10_000             # members in one push/pull
SOURCES = 10
RATE = 5_000
GOSSIP_PORT = 7946


@dataclass
class Scale:
    """How much is measured: all of it, or enough to see that everything works."""
    runs: int = 5
    start_runs: int = 15
    merge_runs: int = 3
    packets: int = 100_000
    members: int = 100_000
    agents: int = 50
    idle_pause: float = 10
    idle_seconds: float = 60
    form: int = 100
    form_runs: int = 2
    form_ours: int = 500
    form_reference: int = 200
    form_cutoff: float = 45
    starts: int = 10
    reference_starts: int = 2
    start_cutoff: float = 12
    leaves: int = 10
    leave_cutoff: float = 10
    settle_cutoff: float = 60
    rpc_events: int = 50_000
    rpc_calls: int = 100
    queries: int = 15
    query_seconds: float = 2
    event_rates: tuple = (100, 200, 500, 1_000)
    event_seconds: int = 4
    event_drain: float = 12


QUICK = Scale(runs=1, start_runs=3, merge_runs=1, packets=10_000, members=20_000, agents=10,
              idle_pause=1, idle_seconds=5, form=10, form_runs=1, form_ours=20, form_reference=20,
              form_cutoff=15, starts=2, reference_starts=1, start_cutoff=10, leaves=2,
              leave_cutoff=10, settle_cutoff=30, rpc_events=5_000, rpc_calls=10, queries=3,
              event_rates=(100, 200), event_seconds=2)


def median_of_both(bench, runs, measure):
    """[ours, reference]: the median of `runs` measurements each, taken in turn."""
    figures = [[], []]
    for _ in range(runs):
        for index, program in enumerate(bench.programs):
            figures[index].append(measure(program))
    return [statistics.median(column) for column in figures]


# --- one agent ---


def alone(bench, program, *extra, **options):
    return Agent(bench.directory, program, "alone", *extra, **options)


def fresh_memory(bench, program):
    agent = alone(bench, program).start()
    try:
        time.sleep(SETTLE_SECONDS)
        return memory(agent.process.pid)["Pss"]
    finally:
        agent.end()


def memory_rows(bench):
    def from_disk(program):
        drop_from_page_cache(program.path)
        return fresh_memory(bench, program)

    for how, measure in (("just written", lambda program: fresh_memory(bench, program)),
                         ("read from the disk", from_disk)):
        ours, reference = median_of_both(bench, bench.scale.runs, measure)
        yield Row(f"PSS of a fresh agent, alone, its file {how}", ours / MEGABYTE,
                  reference / MEGABYTE, "MB", ratio=1 / 3)


def start_rows(bench):
    def until_answer(program):
        agent = alone(bench, program)
        agent.spawn()
        try:
            return seconds_until_answer(agent.host, agent.rpc_port, handshake(), START_SECONDS)
        finally:
            agent.end()

    ours, reference = median_of_both(bench, bench.scale.start_runs, until_answer)
    yield Row("start until RPC answers", ours * 1e3, reference * 1e3, "ms", ratio=1 / 2)


def size_rows(bench):
    sizes = [os.path.getsize(program.path) / MEGABYTE for program in bench.programs]
    packed = []
    for program in bench.programs:
        with open(program.path, "rb") as file:
            packed.append(len(gzip.compress(file.read(), 9)) / MEGABYTE)
    yield Row("binary, stripped", *sizes, "MB", limit=7)
    yield Row("binary, stripped and compressed (gzip -9)", *packed, "MB", limit=3.5)


# --- what others send ---


def agent_with_reader(bench, program):
    agent = alone(bench, program).start()
    time.sleep(SETTLE_SECONDS)
    return agent, LogReader([agent])


def wait_known(reader, count):
    if reader.wait(lambda seen: seen.known(0) >= count, JOIN_SECONDS) is None:
        raise TimeoutError(f"{reader.agents[0]} knows {reader.known(0)} members after "
                           f"{JOIN_SECONDS} s, not {count}")


def packets_cpu(bench, program, kind):
    """CPU seconds that one agent takes for the packets."""
    scale, agent = bench.scale, alone(bench, program)
    with Traffic(kind, PEER_PORT, agent.host, scale.packets, RATE, SOURCES, agent.name) as peers:
        agent.start()
        reader = LogReader([agent])
        try:
            exchange(agent, exchange_of_sources(SOURCES))
            wait_known(reader, 1 + SOURCES)
            time.sleep(SETTLE_SECONDS)
            before = agent.cpu_seconds
            sent = peers.send_all()
            time.sleep(SETTLE_SECONDS)
            used = agent.cpu_seconds - before
            lost = datagrams_lost(GOSSIP_PORT)
            dropped = len(agent.log_lines("queue full"))
            handled = {"events": lambda: len(agent.log_lines("Received event: user-event")),
                       "pings": peers.acks}.get(kind, lambda: scale.packets)()
        finally:
            reader.close()
            agent.end()
    problems = [f"{int(count)} {what}" for count, what in
                ((sent["refused"], "not sent"), (lost, "lost in the socket"),
                 (dropped, "dropped"), (scale.packets - handled, "not handled")) if count]
    if sent["seconds"] > 1.05 * scale.packets / RATE:
        problems.append(f"sent in {sent['seconds']:.1f} s")
    return used, problems


def floor_cpu(bench, mode, kind):
    """The same for a receive loop that knows no protocol."""
    scale = bench.scale
    with Traffic(mode, GOSSIP_PORT, scale.packets + 1) as loop, \
            Traffic(kind, PEER_PORT, "127.0.0.1", scale.packets, RATE, SOURCES, "x") as peers:
        peers.send_all()
        time.sleep(SETTLE_SECONDS)
        return cpu_seconds(loop.process.pid)


def packet_rows(bench):
    floor, floor_reply = floor_cpu(bench, "receive", "events"), floor_cpu(bench, "echo", "alives")
    for kind, words, ratio, least in (("events", "user events", 1 / 15, floor),
                                      ("alives", "alive messages", 1 / 12, floor),
                                      ("pings", "pings", 1 / 8, floor_reply)):
        bench.progress(kind)
        (ours, our_problems), (reference, reference_problems) = [
            packets_cpu(bench, program, kind) for program in bench.programs]
        notes = [f"a bare loop takes {least:.2f} s"]
        notes += [f"ours: {problem}" for problem in our_problems]
        notes += [f"reference: {problem}" for problem in reference_problems]
        yield Row(f"CPU for {bench.scale.packets:,} packets at {RATE:,}/s: {words}", ours,
                  reference, "s", ratio=ratio, note="; ".join(notes))


def growth_per_member(bench, program, marks):
    """{members: bytes for each} after push/pulls of CHUNK members have told of so many, and what
    went wrong before the last mark, or ""."""
    agent, reader = agent_with_reader(bench, program)
    before, growth = memory(agent.process.pid)["Anonymous"], {}
    try:
        for first in range(0, max(marks), CHUNK):
            exchange(agent, exchange_of(first, CHUNK))
            wait_known(reader, 1 + first + CHUNK)
            if first + CHUNK in marks:
                time.sleep(SETTLE_SECONDS)
                grown = memory(agent.process.pid)["Anonymous"] - before
                growth[first + CHUNK] = grown / (first + CHUNK)
        return growth, ""
    except TimeoutError as problem:
        return growth, str(problem)
    finally:
        reader.close()
        agent.end()


def member_rows(bench):
    marks = (CHUNK, bench.scale.members)
    with Traffic("peers", PEER_PORT):
        (ours, our_problem), (reference, problem) = [growth_per_member(bench, program, marks)
                                                     for program in bench.programs]
    if our_problem or CHUNK not in reference:
        raise TimeoutError(our_problem or problem)
    for mark in marks:
        # Where the reference did not get so far, its figure is that of the mark before.
        yield Row(f"bytes added per known member, at {mark:,}", ours[mark],
                  reference.get(mark, reference[CHUNK]), "B", ratio=1 / 5,
                  note="" if mark in reference else f"the reference's at {CHUNK:,}: {problem}")


def merge_rows(bench):
    def merge(program):
        agent, reader = agent_with_reader(bench, program)
        try:
            request, before = exchange_of(0, CHUNK), agent.cpu_seconds
            exchange(agent, request)
            wait_known(reader, 1 + CHUNK)
            return agent.cpu_seconds - before
        finally:
            reader.close()
            agent.end()

    with Traffic("peers", PEER_PORT):
        ours, reference = median_of_both(bench, bench.scale.merge_runs, merge)
    yield Row(f"CPU to merge a push/pull of {CHUNK:,} members", ours * 1e3, reference * 1e3, "ms",
              ratio=1 / 6)


# --- snapshots ---


def snapshot_of(count):
    """The file of a member that knew these, and was killed."""
    lines = [f"alive: member-{number:06} {address_of(number)}:{PEER_PORT}\n"
             for number in range(count)]
    return "".join([*lines, "clock: 1\n", "event-clock: 1\n", "query-clock: 1\n"]).encode("ascii")


def file_bytes_per_member(bench, program):
    """(bytes for each member that the file names, to a tenth of one; members that it does not name)
    """
    path = bench.directory / "written.snapshot"
    agent = alone(bench, program, f"-snapshot={path}").start()
    reader = LogReader([agent])
    try:
        exchange(agent, exchange_of(0, CHUNK))
        wait_known(reader, 1 + CHUNK)
        time.sleep(SETTLE_SECONDS)
        agent.process.send_signal(signal.SIGTERM)
        agent.wait_exit(START_SECONDS)
        text = path.read_bytes()
        named = len({line.split()[1] for line in text.splitlines() if line.startswith(b"alive: ")})
        return round(len(text) / named, 1), 1 + CHUNK - named
    finally:
        reader.close()
        agent.end()
        path.unlink(missing_ok=True)


def snapshot_rows(bench):
    path, content = bench.directory / "replayed.snapshot", snapshot_of(CHUNK)

    def replay(program):
        path.write_bytes(content)
        agent = alone(bench, program, f"-snapshot={path}")
        agent.spawn()
        try:
            return seconds_until_answer(agent.host, agent.rpc_port, handshake(), START_SECONDS)
        finally:
            agent.end()
            path.unlink(missing_ok=True)

    ours, reference = median_of_both(bench, bench.scale.start_runs, replay)
    yield Row(f"start with a snapshot of {CHUNK:,} members until RPC answers", ours * 1e3,
              reference * 1e3, "ms", ratio=1)
    with Traffic("peers", PEER_PORT):
        (ours, ours_missing), (reference, reference_missing) = [
            file_bytes_per_member(bench, program) for program in bench.programs]
    yield Row(f"bytes of a snapshot for each of {CHUNK:,} members", ours, reference, "B", ratio=1,
              note="; ".join(f"{kind} left out {missing}" for kind, missing in
                             (("ours", ours_missing), ("reference", reference_missing)) if missing))


# --- clusters ---


def not_whole(bench, agreed):
    """What to add to the note about a row whose cluster should have been whole."""
    return "".join(f"; {program.kind}: not all knew all after {bench.scale.settle_cutoff:.0f} s"
                   for program, whole in zip(bench.programs, agreed) if not whole)


def idle_rows(bench):
    scale = bench.scale

    def idle(program):
        bench.progress(program.kind)
        with Cluster(bench.directory, program, scale.agents) as cluster:
            agreed = cluster.wait_agreement(bench.cutoff(scale.settle_cutoff)) is not None
            time.sleep(scale.idle_pause)
            before, start = cluster.cpu_seconds(), time.monotonic()
            time.sleep(scale.idle_seconds)
            minutes = (time.monotonic() - start) / 60
            cpu = (cluster.cpu_seconds() - before) / minutes / scale.agents
            resident = statistics.median(memory(agent.process.pid)["Rss"]
                                         for agent in cluster.agents)
            return resident, cpu, agreed

    ours, reference = [idle(program) for program in bench.programs]
    note = not_whole(bench, (ours[2], reference[2])).lstrip("; ")
    where = f"an idle {scale.agents}-node cluster"
    yield Row(f"resident size of an agent in {where}", ours[0] / MEGABYTE,
              reference[0] / MEGABYTE, "MB", ratio=1 / 4, note=note)
    yield Row(f"CPU per minute of an agent in {where}", ours[1] * 1e3, reference[1] * 1e3, "ms",
              ratio=1 / 6, note=note)


def form(bench, program, count, seconds):
    """(seconds until all know all, or None; CPU seconds of all agents until then)"""
    bench.progress(f"{program.kind} {count}")
    with Cluster(bench.directory, program, count) as cluster:
        return cluster.wait_agreement(bench.cutoff(seconds)), cluster.cpu_seconds()


def form_rows(bench):
    scale, (ours, reference) = bench.scale, bench.programs
    runs = [[], []]
    for _ in range(scale.form_runs):
        for index, program in enumerate(bench.programs):
            runs[index].append(form(bench, program, scale.form, scale.form_cutoff))
    cut = [any(agreed is None for agreed, _ in column) for column in runs]
    yield Row(f"CPU for {scale.form} agents to start, join and agree",
              *[statistics.median(cpu for _, cpu in column) for column in runs], "s", ratio=1 / 6,
              ours_cut=cut[0], reference_cut=cut[1])
    many = form(bench, ours, scale.form_ours, scale.form_cutoff)[0]
    more = form(bench, reference, scale.form_reference, scale.form_cutoff)[0]
    fastest = min((agreed for agreed, _ in runs[1] if agreed is not None), default=None)
    within = [scale.form_ours if many is not None and many <= 30 else 0,
              scale.form_reference if more is not None and more <= 30 else
              scale.form if fastest is not None and fastest <= 30 else 0]
    took = [f"ours {scale.form_ours} in {seconds_text(many, scale.form_cutoff)}",
            f"reference {scale.form} in {seconds_text(fastest, scale.form_cutoff)}, "
            f"{scale.form_reference} in {seconds_text(more, scale.form_cutoff)}"]
    yield Row("agents that form one cluster within 30 s", *within,
              target=f"{scale.form_ours}", met=within[0] >= scale.form_ours,
              note="; ".join(took))


def seconds_text(value, cutoff):
    return f"more than {cutoff:.0f} s" if value is None else f"{value:.1f} s"


def worst(times, cutoff):
    """(seconds, whether that is where a run was cut off)"""
    return (cutoff, True) if None in times else (max(times), False)


def spread(times, cutoff):
    return " ".join(f">{cutoff:.0f}" if value is None else f"{value:.1f}" for value in times)


def starting_rows(bench):
    scale = bench.scale
    for profile in ("lan", "local"):
        times = []
        for program, count in zip(bench.programs, (scale.starts, scale.reference_starts)):
            bench.progress(f"{program.kind} {profile}")
            column = []
            for _ in range(count):
                with Cluster(bench.directory, program, scale.agents, profile) as cluster:
                    column.append(
                        cluster.wait_agreement(bench.cutoff(scale.start_cutoff)))
            times.append(column)
        (ours, our_cut), (reference, reference_cut) = [worst(column, scale.start_cutoff)
                                                       for column in times]
        yield Row(f"worst of {scale.starts} starts of {scale.agents} agents, {profile}", ours,
                  reference, "s", limit=5, ours_cut=our_cut, reference_cut=reference_cut,
                  note=f"ours {spread(times[0], scale.start_cutoff)}; "
                       f"reference {spread(times[1], scale.start_cutoff)}")


def leave_times(bench, program, profile):
    """How long each leave took to be known by all who knew the leaver, in a cluster that shrinks to
    scale.agents; and whether all knew all before."""
    scale, times = bench.scale, []
    bench.progress(f"{program.kind} {profile}")
    with Cluster(bench.directory, program, scale.agents + scale.leaves - 1, profile) as cluster:
        agreed = cluster.wait_agreement(bench.cutoff(scale.settle_cutoff)) is not None
        time.sleep(SETTLE_SECONDS)
        stay = list(range(len(cluster.agents)))
        while len(times) < scale.leaves:
            leaver = cluster.agents[stay.pop()]
            cluster.reader.look()
            who = [index for index in stay if cluster.reader.event(index, leaver) == b"Join"]
            leaver.process.send_signal(signal.SIGINT)
            times.append(cluster.reader.wait(
                lambda reader: all(reader.event(index, leaver) == b"Leave" for index in who),
                bench.cutoff(scale.leave_cutoff)))
            try:
                leaver.wait_exit(START_SECONDS)
            except AssertionError:
                leaver.process.kill()
            time.sleep(SETTLE_SECONDS)
    return times, agreed


def leaving_rows(bench):
    scale = bench.scale
    for profile in ("lan", "local"):
        times, agreed = zip(*[leave_times(bench, program, profile) for program in bench.programs])
        (ours, our_cut), (reference, reference_cut) = [worst(column, scale.leave_cutoff)
                                                       for column in times]
        yield Row(f"worst of {scale.leaves} leaves in {scale.agents} nodes, {profile}", ours,
                  reference, "s", limit=3, ours_cut=our_cut, reference_cut=reference_cut,
                  note=f"ours {spread(times[0], scale.leave_cutoff)}; "
                       f"reference {spread(times[1], scale.leave_cutoff)}"
                       f"{not_whole(bench, agreed)}")


SCENARIOS = {
    "size": size_rows,
    "memory": memory_rows,
    "start": start_rows,
    "merge": merge_rows,
    "members": member_rows,
    "packets": packet_rows,
    "snapshot": snapshot_rows,
    "idle": idle_rows,
    "form": form_rows,
    "starting": starting_rows,
    "leaving": leaving_rows,
    **rpc_rows.SCENARIOS,
}
