"""Members that find each other by multicast DNS."""

import subprocess

import pytest

from agents import OURS, REFERENCE, next_port, run, wait_until
from link import HAS_IPV6, Link

# A question that is lost is asked again after a minute.
FOUND_SECONDS = 140
JOINED = r"\[INFO\] agent\.mdns: Joined \d+ hosts"


@pytest.fixture
def link():
    try:
        made = Link()
    except OSError as reason:
        pytest.skip(f"no bridge can be made here: {reason}")
    yield made
    made.close()


def start(cluster, link, program, *flags, **options):
    """An agent on a host of its own."""
    host, launcher = link.new_host()
    agent = cluster.prepare(program, None, *flags, host=host, profile="local", **options)
    agent.launcher = launcher
    return agent.start()


@pytest.mark.parametrize("first, second", [(OURS, REFERENCE), (REFERENCE, OURS), (OURS, OURS)],
                         ids=lambda program: program.kind)
def test_the_second_finds_the_first(mixed_cluster, link, first, second):
    flags = ("-discover=blue", "-iface=eth0")
    one = start(mixed_cluster, link, first, *flags)
    one.wait_log(JOINED, FOUND_SECONDS)  # itself
    two = start(mixed_cluster, link, second, *flags)
    two.wait_log(JOINED, FOUND_SECONDS)
    mixed_cluster.wait_all_alive(FOUND_SECONDS)
    for agent in (one, two):
        assert "mDNS cluster: blue" in agent.log()
    if OURS in (first, second):
        assert not mixed_cluster.complaints([a for a in (one, two) if a.program is OURS])


def test_clusters_of_other_names_do_not_meet(cluster, link):
    blue = [start(cluster, link, OURS, "-discover=blue") for _ in range(2)]
    red = start(cluster, link, OURS, "-discover=red")
    red.wait_log(JOINED, FOUND_SECONDS)
    cluster.wait_members({agent.name: "alive" for agent in blue}, FOUND_SECONDS, agents=blue)
    assert red.statuses() == {red.name: "alive"}


def port_is_bound(agent, table):
    """Whether somebody on the agent's host has the port of multicast DNS in this family."""
    text = subprocess.run([*agent.launcher, "cat", f"/proc/net/{table}"], text=True,
                          capture_output=True, check=True).stdout
    return any(line.split()[1].endswith(":14E9") for line in text.splitlines()[1:])


@pytest.mark.parametrize("disabled, bound, unbound", [("ipv4", "udp6", "udp"),
                                                      ("ipv6", "udp", "udp6")])
def test_one_address_family_is_enough(cluster, link, disabled, bound, unbound):
    if disabled == "ipv4" and not HAS_IPV6:
        pytest.skip("this kernel has no IPv6")
    one, two = (start(cluster, link, OURS, config={
        "discover": "blue", "mdns": {"interface": "eth0", f"disable_{disabled}": True}})
        for _ in range(2))
    cluster.wait_all_alive(FOUND_SECONDS)
    for agent in (one, two):
        assert port_is_bound(agent, bound) and not port_is_bound(agent, unbound)
        assert agent.log_lines(r"\[INFO\] agent: Starting mDNS listener on interface eth0")


def test_two_agents_of_one_host_find_each_other(cluster, link):
    host, launcher = link.new_host()
    agents = [cluster.prepare(OURS, None, "-discover=blue", host=host, port=7946 + i,
                              rpc_port=7373 + i, profile="local") for i in range(2)]
    for agent in agents:
        agent.launcher = launcher
        agent.start()
    cluster.wait_all_alive(FOUND_SECONDS)


def test_who_is_alone_on_its_link_is_ready(cluster, link):
    """The answer that comes back is its own, and the only one."""
    agent = start(cluster, link, OURS, "-discover=blue", "-http-addr=127.0.0.1")
    health = [*agent.launcher, OURS.path, "health"]
    wait_until(lambda: subprocess.run(health, capture_output=True, text=True,
                                      check=False).stdout == "ready\n",
               FOUND_SECONDS, "it knows that it is the first")


def test_a_host_without_multicast_is_told_so_and_not_ready(cluster):
    port = next_port()
    agent = cluster.agent(OURS, None, "-discover=blue", f"-http-addr=127.0.0.1:{port}",
                          profile="local")
    agent.wait_log(r"\[ERR\] agent\.mdns: Failed to poll for new hosts: no interface that is up")
    assert agent.statuses() == {agent.name: "alive"}
    health = run(OURS, "health", f"-http-addr=127.0.0.1:{port}")
    assert (health.returncode, health.stdout) == (1, "not joined yet\n")
