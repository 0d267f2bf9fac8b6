"""The faults are what they say: measured with plain sockets between two hosts."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from agents import wait_until
from weather import has_netem

COUNT = 1000
RECEIVER = """
import socket, sys
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
receiver.bind((sys.argv[1], 9999))
print("ready", flush=True)
receiver.settimeout(1.5)
try:
    while True:
        print(int(receiver.recv(100)), flush=True)
except TimeoutError:
    pass
"""
SENDER = f"""
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range({COUNT}):
    sender.sendto(b"%d" % number, (sys.argv[1], 9999))
    time.sleep(0.001)
"""


@pytest.fixture
def pair(network):
    return [SimpleNamespace(host=network.new_address()) for _ in range(2)]


def send(network, source, target):
    """The numbers of the datagrams that came, as they came."""
    receiver = subprocess.Popen(
        [*network.launcher(target.host), sys.executable, "-c", RECEIVER, target.host],
        stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout.readline() == "ready\n"
        subprocess.run([*network.launcher(source.host), sys.executable, "-c", SENDER, target.host],
                       check=True)
        return [int(line) for line in receiver.communicate(timeout=30)[0].splitlines()]
    finally:
        receiver.kill()
        receiver.wait()


def test_without_a_fault_everything_arrives_once_and_in_order(network, pair):
    assert send(network, *pair) == list(range(COUNT))


def test_a_cut_is_one_way_and_ends(network, pair):
    there, back = pair
    network.cut_datagrams([there], [back])
    assert send(network, there, back) == []
    assert network.lost_packets() == COUNT
    assert send(network, back, there) == list(range(COUNT))
    network.heal()
    assert send(network, there, back) == list(range(COUNT))


def test_a_storm_loses_doubles_and_reorders_and_ends(network, pair, record_property):
    record_property("by", "netem" if has_netem() else "the detour")
    network.storm(loss=30, duplication=10)
    came = send(network, *pair)
    lost = COUNT - len(set(came))
    doubled = len(came) - len(set(came))
    overtaken = sum(one > other for one, other in zip(came, came[1:]))
    assert 200 < lost < 400
    assert 30 < doubled < 140
    assert overtaken > 100
    network.heal()
    assert send(network, *pair) == list(range(COUNT))


def test_a_removed_host_is_gone_with_its_wire(network, pair):
    network.remove_host(pair[1].host)
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    wait_until(lambda: len([line for line in links.splitlines() if ": pod" in line]) == 1, 5,
               "one wire is left")
