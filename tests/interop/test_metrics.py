"""What statsd and statsite are told: the names and types of the reference, from the same things
happening."""

import re

import pytest

from agents import AGREE_SECONDS, BOTH, OURS, REPOSITORY, wait_until
from metrics_listener import Listener

# Of a garbage-collected runtime, which there is none of here.
RUNTIME_ONLY = {"runtime.malloc_count", "runtime.free_count", "runtime.heap_objects",
                "runtime.total_gc_pause_ns", "runtime.total_gc_runs", "runtime.gc_pause_ns"}

# What the scenario below makes every agent tell. The queues are checked every 30 s.
HAPPENED = {
    "agent.invoke.echo_hi;_true", "agent.ipc.accept", "agent.ipc.command", "memberlist.gossip",
    "memberlist.msg.alive", "memberlist.msg.dead", "memberlist.probeNode",
    "memberlist.pushPullNode", "memberlist.tcp.accept", "memberlist.tcp.connect",
    "memberlist.tcp.sent", "memberlist.udp.received", "memberlist.udp.sent",
    "runtime.num_goroutines", "serf.coordinate.adjustment-ms", "serf.events",
    "serf.events.a_b_c", "serf.member.failed", "serf.member.flap", "serf.member.join",
    "serf.member.left", "serf.member.update", "serf.msgs.received", "serf.msgs.sent",
    "serf.queries", "serf.queries.uptime", "serf.query_acks", "serf.query_responses",
    "serf.queue.Event", "serf.queue.Intent", "serf.queue.Query", "serf.snapshot.appendLine",
}

# A busy machine makes members suspect, probes degraded and answers late: what the agent tells of
# that is not seen in each run, but it is in its table.
TABLE = set(re.findall(r'"((?:agent|memberlist|serf|runtime)\.[A-Za-z_.-]+)"',
                       (REPOSITORY / "src/agent/metrics.c").read_text("utf-8")))


@pytest.fixture
def listeners():
    opened = []

    def listen(stream, port=None):
        opened.append(Listener(stream, port))
        return opened[-1]
    yield listen
    for listener in opened:
        listener.close()


class Observed:
    """An agent with both sinks, and two members beside it to which things happen."""

    def __init__(self, cluster, program, listeners):
        self.statsd, self.statsite = listeners(False), listeners(True)
        self.agent = cluster.agent(
            program, f"observed-{program.kind}", "-event-handler=query=echo hi; true",
            f"-snapshot={cluster.new_path(program.kind, '.snapshot')}", profile="local",
            config={"statsd_addr": self.statsd.text, "statsite_addr": self.statsite.text})
        self.leaver, self.victim = (
            cluster.agent(OURS, f"{role}-{program.kind}", join=[self.agent], profile="local")
            for role in ("leaver", "victim"))

    def wait_status(self, name, status):
        wait_until(lambda: self.agent.statuses().get(name) == status, AGREE_SECONDS,
                   f"{self.agent} has {name} as {status}")

    def members_tag(self, name):
        return self.agent.members()[name]["tags"].get("role")

    def missing(self):
        return {"statsd": HAPPENED - self.statsd.names(),
                "statsite": HAPPENED - self.statsite.names()}


def act_in_parallel(both):
    """What is waited for goes on beside the other agent's."""
    for observed in both:
        observed.wait_status(observed.leaver.name, "alive")
        observed.wait_status(observed.victim.name, "alive")
        observed.victim.kill()
    for observed in both:
        observed.agent.cli("event", "a b:c", "payload")
        observed.agent.cli("query", "-timeout=2s", "uptime")
        observed.leaver.cli("tags", "-set", "role=web")
        wait_until(lambda: observed.members_tag(observed.leaver.name) == "web", AGREE_SECONDS,
                   f"{observed.agent} sees the tag")
        observed.leaver.leave()
    for observed in both:
        observed.wait_status(observed.leaver.name, "left")
        observed.wait_status(observed.victim.name, "failed")
        observed.victim.killed = False
        observed.victim.extra = [f"-join={observed.agent.address}"]
        observed.victim.start()
        observed.wait_status(observed.victim.name, "alive")


def test_every_metric_of_the_reference_has_its_counterpart(mixed_cluster, listeners):
    both = [Observed(mixed_cluster, program, listeners) for program in BOTH]
    act_in_parallel(both)

    def told():
        left = {observed.agent.name: observed.missing() for observed in both}
        return not any(names for sinks in left.values() for names in sinks.values()), left
    wait_until(told, AGREE_SECONDS, "both sinks of both agents have heard of everything")
    ours, theirs = both
    for sink in ("statsd", "statsite"):
        mine, reference = getattr(ours, sink), getattr(theirs, sink)
        assert not mine.broken and not reference.broken
        assert reference.names() - RUNTIME_ONLY <= mine.names() | TABLE
        for name in reference.names() & mine.names():
            assert mine.seen[name] == reference.seen[name], name
    assert ours.statsd.sums["serf.events"] == theirs.statsd.sums["serf.events"] == 1
    assert 0 < ours.statsd.largest <= 1400


def test_a_sink_that_comes_late_hears_the_sum(cluster, listeners):
    statsite = listeners(True)
    statsite.close()
    agent = cluster.agent(OURS, config={"statsite_addr": statsite.text}, profile="local")
    for _ in range(5):
        agent.cli("event", "deploy")
    agent.wait_log(r"\[WARN\] agent: statsite at .* can't be reached: dial tcp .*refused")
    late = listeners(True, port=statsite.address[1])
    wait_until(lambda: late.sums.get("serf.events.deploy") == 5, AGREE_SECONDS,
               "the late sink hears of all events")
    agent.wait_log(r"\[INFO\] agent: statsite at .* is reached")


@pytest.mark.parametrize("address", ["nohost.invalid:8125", "127.0.0.1:1", "a:b:c"])
def test_a_sink_that_is_not_there_does_not_stop_the_agent(cluster, address):
    agent = cluster.agent(OURS, config={"statsite_addr": address, "statsd_addr": address},
                          profile="local")
    agent.cli("event", "deploy")
    assert agent.statuses() == {agent.name: "alive"}
