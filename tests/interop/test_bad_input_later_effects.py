"""Bad input whose harm would show only later or elsewhere: in a reference agent's table, at the
next leave, for the next peer that joins."""

import os
import threading
import time

import pytest

import protocol as p
from agents import OURS, REFERENCE, next_host, wait_until


@pytest.fixture
def pair(mixed_cluster):
    """Ours, a reference agent that watches it, and a stranger."""
    target = mixed_cluster.agent(OURS, "target", "-disable-compression", profile="local")
    mixed_cluster.grow(REFERENCE, "watcher", "-disable-compression", join=[target],
                       profile="local")
    stranger = p.DatagramPeer(target, next_host())
    yield mixed_cluster, target, stranger
    stranger.close()


def test_a_leave_after_forged_lamport_times_is_still_a_leave(pair):
    """A clock that wraps or is dragged to its end would make every later intent an old one."""
    cluster, target, stranger = pair
    stranger.send(p.join_intent("watcher", p.U64_MAX), p.leave_intent("nobody", p.U64_MAX),
                  p.leave_intent("watcher", p.U64_MAX - 1), p.user_event("x", p.U64_MAX),
                  p.query("x", p.U64_MAX, "127.0.0.1", p.PORT))
    stranger.wait_handled()
    assert target.statuses() == {"target": "alive", "watcher": "alive"}
    assert target.interrupt() == 0
    cluster.wait_status("target", "left", 20)
    assert cluster.failures_logged() == []


def test_a_leave_of_another_after_forged_lamport_times_is_still_a_leave(pair):
    cluster, target, stranger = pair
    stranger.send(p.join_intent("watcher", p.U64_MAX), p.leave_intent("watcher", p.U64_MAX))
    stranger.wait_handled()
    watcher = cluster.agents[1]
    assert watcher.interrupt() == 0
    cluster.wait_status("watcher", "left", 20)


def test_our_own_name_in_a_list_of_those_who_left_is_refuted(pair):
    cluster, target, stranger = pair
    mark = target.log_mark()
    state = p.serf_state(50, {"target": 40}, ["target"])
    with p.StreamPeer(target) as stream:
        stream.send(p.push_pull([p.node_state("guest", next_host())], state))
        assert stream.read_to_end()
    target.wait_log(r"\[DEBUG\] serf: Refuting an older leave intent", since=mark)
    assert target.statuses()["target"] == "alive"
    assert cluster.agents[1].statuses()["target"] == "alive"


@pytest.mark.parametrize("incarnation", [p.U32_MAX, p.U32_MAX - 1, p.U32_MAX - 2])
def test_accusations_near_the_last_incarnation_leave_numbers_to_refute_and_update_with(
        pair, incarnation):
    """Who is driven to the last incarnation can neither refute the next accusation nor change its
    tags; who passes it is at 0, where no one listens."""
    cluster, target, stranger = pair
    watcher = cluster.agents[1]
    for _ in range(3):
        stranger.send(p.suspect("target", incarnation), p.dead("target", incarnation))
        stranger.wait_handled()
        node = p.exchange(target)[0]["target"]
        assert node["State"] == p.STATE_ALIVE and 0 < node["Incarnation"] < p.U32_MAX
    target.cli("tags", "-set=after=all")
    wait_until(lambda: watcher.members()["target"]["tags"] == {"after": "all"}, 10,
               "the reference agent sees a change of tags after the accusations")
    mark, last = target.log_mark(), p.exchange(target)[0]["target"]["Incarnation"]
    stranger.send(p.suspect("target", last))
    target.wait_log(r"Refuting a suspect message", since=mark)
    assert p.exchange(target)[0]["target"]["Incarnation"] > last
    cluster.wait_all_alive(5)
    assert cluster.failures_logged() == []


@pytest.mark.parametrize("size", [127, 128, 200, 255])
def test_every_part_of_a_large_compound_is_handled(pair, size):
    """A count of 128 and more was once read as a negative or a short one."""
    _, target, stranger = pair
    stranger.send(p.compound(*[p.ping("target", number) for number in range(size)]))
    answered = set()
    while len(answered) < size:
        datagram = stranger.receive()
        assert datagram, f"{len(answered)} of {size} pings were answered"
        answered |= {p.Reader.over(part[1:]).value()["SeqNo"] for part in p.parts_of(datagram)
                     if part[0] == p.ACK}


def test_an_indirect_probe_of_no_address_is_refused(pair):
    _, target, stranger = pair
    for host in (b"", b"\x7f", b"\x7f\x00\x00\x01\x02"):
        stranger.send(p.message(p.INDIRECT_PING, {
            "Nack": True, "Node": "x", "Port": p.PORT, "SeqNo": 5, "Target": host}))
    stranger.wait_handled()
    target.wait_log(r"\[(ERR|WARN)\] memberlist: .*from=")
    assert target.running


def test_a_ping_for_another_name_is_not_answered(pair):
    _, target, stranger = pair
    stranger.send(p.ping("somebody-else", 77))
    target.wait_log(r"\[WARN\] memberlist: Got ping for unexpected node '?somebody-else'? from=")
    stranger.wait_handled()
    with p.StreamPeer(target) as stream:
        stream.send(p.ping("target", 78))
        assert stream.read(1)[0] == p.ACK
        assert p.Reader(stream.read).value() == {"Payload": None, "SeqNo": 78}


def test_answers_that_nobody_asked_for_are_ignored(pair):
    cluster, target, stranger = pair
    for number in range(200):
        stranger.send(p.message(p.ACK, {"Payload": b"\x01\xc1\xff", "SeqNo": number}),
                      p.message(p.NACK, {"SeqNo": number}))
    stranger.wait_handled()
    cluster.wait_all_alive(1)


class Trickle(threading.Thread):
    """Streams that each deliver a byte now and then, for as long as they are let."""

    def __init__(self, target, count, data):
        super().__init__(daemon=True)
        self.streams = [p.StreamPeer(target) for _ in range(count)]
        self.data, self.ended = data, threading.Event()

    def run(self):
        for position in range(len(self.data)):
            for stream in self.streams:
                stream.send(self.data[position:position + 1])
            if self.ended.wait(0.2):
                return

    def stop(self):
        self.ended.set()
        self.join()
        for stream in self.streams:
            stream.close()


def test_streams_that_trickle_keep_no_reference_agent_from_joining(pair):
    cluster, target, _ = pair
    before = target.resident_kib()
    nodes = [p.node_state(f"never-{number}", next_host()) for number in range(20)]
    trickle = Trickle(target, 100, p.push_pull(nodes, b"x" * 500))
    trickle.start()
    try:
        cluster.grow(REFERENCE, "latecomer", join=[target])
        assert target.resident_kib() - before < 16 * 1024 * (8 if OURS.is_sanitized else 1)
        # The reading deadline of the local profile is 1 s from the start, not from the last byte.
        started = time.monotonic()
        assert trickle.streams[0].read_to_end(6) is not None
        assert time.monotonic() - started < 5
    finally:
        trickle.stop()
    cluster.wait_all_alive(5)


def test_a_state_cut_off_in_its_middle_teaches_nothing(pair):
    cluster, target, _ = pair
    whole = p.push_pull([p.node_state("half", next_host())], p.serf_state(5, {"half": 3}))
    for length in (1, 5, 30, len(whole) // 2, len(whole) - 1):
        with p.StreamPeer(target) as stream:
            stream.send(whole[:length])
            stream.end()
            assert stream.read_to_end() is not None
    assert set(target.statuses()) == {"target", "watcher"}


def test_sixty_thousand_invented_members_do_not_take_the_memory(pair):
    """One stream may name many members; what is kept of it has a limit."""
    _, target, stranger = pair
    before = target.resident_kib()
    nodes = [p.Raw(p.pack(p.node_state(f"fake-{number}", b"\x7f\xfe" + number.to_bytes(2, "big"),
                                       state=p.STATE_DEAD))) for number in range(60000)]
    with p.StreamPeer(target) as stream:
        stream.send(p.push_pull(nodes))
        stream.read_to_end(30)
    stranger.wait_handled(20)
    assert target.running
    grown = target.resident_kib() - before
    assert grown < 64 * 1024 * (8 if OURS.is_sanitized else 1), f"{grown} KiB for 60000 names"


def test_connections_that_end_at_once_leave_nothing_behind(pair):
    cluster, target, stranger = pair
    before = target.resident_kib()
    for number in range(1000):
        with p.StreamPeer(target, target.rpc_port if number % 2 else None) as stream:
            if number % 3 == 0:
                stream.send(b"\x06")
    stranger.wait_handled()
    assert target.resident_kib() - before < 8 * 1024 * (8 if OURS.is_sanitized else 1)
    wait_until(lambda: open_files(target) < 40, 10, "the connections are closed")
    cluster.wait_all_alive(5)


def open_files(agent):
    return len(os.listdir(f"/proc/{agent.process.pid}/fd"))
