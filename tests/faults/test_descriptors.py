"""An agent that may open no more files: connections wait, and gossip, which needs none, goes on."""

import re
import subprocess
import sys
import time

from agents import OURS, REFERENCE

FILES_MAX = 40
WATCH_SECONDS = 8  # longer than a probe round and the shortest suspicion together
HOLDER = """
import socket, sys
held = []
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    for _ in range(50):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((host, int(port)))
        held.append(one)
print("holding", flush=True)
sys.stdin.read()
"""


class Holder:
    """Opens many connections to an agent, says nothing on them, and closes all of them at once."""

    def __init__(self, agent, *places):
        self.process = subprocess.Popen(
            [*agent.cluster.network.launcher(agent.host), sys.executable, "-c", HOLDER, *places],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        assert self.process.stdout.readline() == "holding\n"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def processor_seconds(agent):
    with open(f"/proc/{agent.process.pid}/stat", encoding="ascii") as file:
        user, system = file.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / 100


def refusals_at(agent, place, since):
    return agent.log_lines(rf"accept tcp {re.escape(place)}: .*too many open files", since)


def test_an_agent_without_descriptors_stays_in_its_cluster(cluster, reference):
    """No control: the reference fills its log with thousands of lines a second."""
    first = cluster.agent(OURS, "first")
    cluster.grow(REFERENCE, "second", join=[first])
    poor = cluster.prepare(OURS, "poor", join=[first])
    poor.launcher += ["prlimit", f"--nofile={FILES_MAX}", "--"]
    poor.start()
    cluster.healthy_after()
    mark, spent, began = poor.log_mark(), processor_seconds(poor), time.monotonic()
    with Holder(poor, poor.address, poor.rpc_address):
        poor.wait_log("too many open files", 20, mark)
        time.sleep(WATCH_SECONDS)
        spent, took = processor_seconds(poor) - spent, time.monotonic() - began
        told = [len(refusals_at(poor, place, mark)) for place in (poor.address, poor.rpc_address)]
    cluster.healthy_after()
    assert cluster.failures_logged() == []
    # A new connection is taken again.
    cluster.agent(OURS, "late", join=[poor])
    cluster.healthy_after()
    limit = 10 * (1 + int(took / 10))
    assert 1 <= min(told) and max(told) <= limit, f"{told} lines in {took:.1f} s"
    assert spent < took / 4, "it spins"
