"""Agents that find each other by the name service: names with many addresses, and `srv+NAME`."""

import pytest

from agents import OURS, run, wait_until
from name_server import NameServer

# A mount namespace with a resolv.conf of its own.
WITH_NAMES = ["unshare", "--mount", "sh", "-c",
              'mount --bind "$0" /etc/resolv.conf && exec "$@"']


class Names:
    def __init__(self, cluster):
        self.cluster = cluster
        self.file = cluster.directory / "resolv.conf"
        self.file.write_text("nameserver 127.0.0.53\n", "utf-8")
        self.server = NameServer("127.0.0.53")

    def prepare(self, name, address, **options):
        agent = self.cluster.prepare(OURS, name, f"-retry-join={address}", **options)
        agent.launcher = [*WITH_NAMES, str(self.file)]
        return agent


@pytest.fixture
def names(cluster, tmp_path):
    (tmp_path / "empty").touch()
    if run(OURS, "version", launcher=[*WITH_NAMES, str(tmp_path / "empty")]).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    made = Names(cluster)
    yield made
    made.server.stop()


def test_members_find_each_other_by_a_service_with_ports_of_their_own(names):
    agents = [names.prepare(f"pod-{number}", "srv+_serf._tcp.test", port=8000 + number)
              for number in range(3)]
    for agent in agents:
        names.server.addresses[f"{agent.name}.test"] = [agent.host]
    names.server.services["_serf._tcp.test"] = [
        (1, agent.port, f"{agent.name}.test") for agent in agents] + [(1, 9000, "gone.test")]
    for agent in agents:
        agent.start()
    names.cluster.wait_all_alive()


def test_an_answer_that_is_cut_comes_over_tcp(names):
    first = names.prepare("first", "members.test").start()
    second = names.prepare("second", "members.test")
    names.server.addresses["members.test"] = [
        f"127.200.0.{number}" for number in range(1, 60)] + [first.host, second.host]
    second.start()
    wait_until(lambda: ("members.test", 1, 65535) in names.server.questions, 70,
               "a question over TCP")
    names.server.addresses["members.test"] = [first.host, second.host]
    names.cluster.wait_all_alive()


def test_a_service_that_appears_later_is_found(names):
    first = names.prepare("first", "srv+_serf._tcp.test")
    second = names.prepare("second", "srv+_serf._tcp.test")
    first.start()
    first.wait_log(r"\[WARN\] memberlist: failed to resolve srv\+_serf\._tcp\.test: "
                   r"lookup _serf\._tcp\.test: no such host")
    second.start()
    names.server.services["_serf._tcp.test"] = [(1, first.port, "first.test"),
                                                (2, second.port, "second.test")]
    second.wait_log("lookup first.test: no such host")
    names.server.addresses["first.test"] = [first.host]
    names.server.addresses["second.test"] = [second.host]
    names.cluster.wait_all_alive()


def test_a_command_joins_by_a_service(names):
    first = names.prepare("first", "127.9.9.9").start()
    second = names.prepare("second", "127.9.9.9").start()
    names.server.services["_serf._tcp.test"] = [(1, first.port, "first.test")]
    names.server.addresses["first.test"] = [first.host]
    assert "Successfully joined cluster" in second.cli("join", "srv+_serf._tcp.test")
    names.cluster.wait_all_alive()
