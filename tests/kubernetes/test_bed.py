"""The test bed itself: it does what a node of Kubernetes does, or the tests on it show nothing."""

import errno
import socket
from types import SimpleNamespace

import pytest

from agents import wait_until
from bed.flavours import API, BASE, ENCRYPTED, FLAVOURS, FROM_SEED, JOB, KEYRING_SECRET, SEED, \
    STATEFUL, allowed, pod_fields, pod_labels
from bed.name_service import TYPE_A, TYPE_AAAA, TYPE_SRV, NameService, OddNameService, ask, \
    full_name, service_records, srv_name
from bed.network import FAMILIES, ClusterNetwork, has_ipv6
from localcluster.namespaces import NamespacesImpossible
from localcluster.pods import PORT
from manifests import parse, must, require_tools
from test_manifests import agent_of, settings, workload

NO_ERROR, NO_SUCH_NAME, SERVER_FAILURE = 0, 3, 2
TRIES = 60  # that one of three is never drawn has a chance of 1e-10
SERVICE = "serf-members"
NAME = full_name(SERVICE)
FAMILY = pytest.mark.parametrize("family", [
    4, pytest.param(6, marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here"))])


# --- the network ---


class Host:
    """A pod in which this process itself listens at the gossip port, and says nothing."""

    def __init__(self, network, index):
        self.network, self.index, self.name = network, index, f"host-{index}"
        self.address = network.new_address()
        network.add(self)
        network.wait_reachable(self)
        self.family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self.stream = self.socket(socket.SOCK_STREAM, self.address)
        self.stream.listen(TRIES)
        self.datagrams = self.socket(socket.SOCK_DGRAM, self.address)

    def socket(self, kind, bind=None):
        with self.network.inside(self):
            made = socket.socket(self.family, kind)
        made.setblocking(False)
        if bind:
            made.bind((bind, PORT))
        return made

    def connect(self, target):
        """Whether a connection comes about."""
        with self.socket(socket.SOCK_STREAM) as client:
            client.settimeout(0.3)
            return client.connect_ex((target, PORT)) == 0

    def send(self, target):
        with self.socket(socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", (target, PORT))

    def callers(self):
        """The addresses that connections and datagrams came from since the last time."""
        seen = []
        try:
            while True:
                client, address = self.stream.accept()
                client.close()
                seen.append(address[0])
        except BlockingIOError:
            pass
        try:
            while True:
                seen.append(self.datagrams.recvfrom(100)[1][0])
        except BlockingIOError:
            return seen


@pytest.fixture
def make_network(private_network):
    made = []

    def make(**options):
        try:
            made.append(ClusterNetwork(**options))
        except NamespacesImpossible as impossible:
            pytest.skip(f"no network of namespaces can be made here: {impossible}")
        return made[-1]
    yield make
    for network in made:
        network.close()


@FAMILY
@pytest.mark.parametrize("how", ["connect", "send"])
def test_the_service_leads_to_any_endpoint_and_oneself_appears_as_the_bridge(make_network, family,
                                                                             how):
    network = make_network(family=family)
    hosts = [Host(network, index) for index in (1, 2, 3)]
    network.set_service([host.address for host in hosts])
    callers = {host: [] for host in hosts}

    def everybody_was_met():
        for _ in range(TRIES):
            getattr(hosts[0], how)(network.service)
            for host in hosts:
                callers[host] += host.callers()
        return all(callers.values())
    wait_until(everybody_was_met, 20, "each endpoint was drawn")
    gateway = network.gateway(network.node_of(hosts[0].address))
    assert set(callers[hosts[0]]) == {gateway}
    assert set(callers[hosts[1]] + callers[hosts[2]]) == {hosts[0].address}


@FAMILY
def test_without_hairpin_nobody_meets_itself(make_network, family):
    network = make_network(family=family, hairpin=False)
    one, two = Host(network, 1), Host(network, 2)
    network.set_service([one.address, two.address])
    done = [one.connect(network.service) for _ in range(20)]
    assert True in done and False in done
    assert one.callers() == []


@FAMILY
def test_without_endpoints_the_service_refuses(make_network, family):
    network = make_network(family=family)
    host = Host(network, 1)
    network.set_service([host.address])
    assert host.connect(network.service)
    network.set_service([])
    with host.socket(socket.SOCK_STREAM) as client:
        client.settimeout(20)
        assert client.connect_ex((network.service, PORT)) == errno.ECONNREFUSED


@FAMILY
def test_a_node_that_is_cut_off_has_its_own_pods_only(make_network, family):
    network = make_network(family=family, nodes=2)
    near, far, beside = (Host(network, index) for index in (1, 2, 3))
    assert network.node_of(near.address) == network.node_of(beside.address) != \
        network.node_of(far.address)
    network.cut_node(network.node_of(near.address))
    assert near.connect(beside.address)
    assert not near.connect(far.address) and not far.connect(near.address)
    network.heal()
    assert near.connect(far.address) and far.connect(near.address)


# --- the name service ---


@pytest.fixture
def make_names(make_network, tmp_path):
    made = []

    def make(kind=NameService, family=4, **options):
        network = make_network(family=family)
        made.append(kind(tmp_path, network.family.name_service, **options))
        return made[-1]
    yield make
    for names in made:
        names.close()


def wait_named(names, name, kind, expected):
    def named():
        said = ask(names.address, name, kind, stream=True)
        return said and sorted(said[2]) == sorted(expected), said
    wait_until(named, 20, f"{name} is {expected}")


@FAMILY
def test_the_headless_service_is_its_endpoints(make_names, family):
    names = make_names(family=family)
    kind = TYPE_A if family == 4 else TYPE_AAAA
    assert ask(names.address, NAME, kind, timeout=20) == (NO_SUCH_NAME, False, [])
    pods = [FAMILIES[family].pod.format(1, host) for host in range(2, 52)]
    names.publish(SERVICE, pods)
    wait_named(names, NAME, kind, pods)
    names.publish(SERVICE, pods[:1])
    wait_named(names, NAME, kind, pods[:1])
    names.publish(SERVICE, [])
    wait_named(names, NAME, kind, [])


def test_a_cache_remembers_that_there_was_nobody(make_names):
    names = make_names(remember=3600)
    assert ask(names.address, NAME, TYPE_A, timeout=20)[0] == NO_SUCH_NAME
    names.publish(SERVICE, ["10.2.1.2"])
    wait_until(lambda: ask("127.0.0.53", NAME, TYPE_A, port=5300)[2], 20, "the authority has it")
    assert ask(names.address, NAME, TYPE_A, timeout=20) == (NO_SUCH_NAME, False, [])
    fresh = next(iter(service_records(SERVICE, ["10.2.1.2"])))
    assert ask(names.address, f"other.{fresh}", TYPE_A, timeout=20)[0] == NO_SUCH_NAME


@pytest.mark.parametrize("kind", [NameService, OddNameService])
def test_service_records_name_pods(make_names, kind):
    names = make_names(kind, **({"records": True} if kind is NameService else {}))
    pods = ["10.2.1.2", "10.2.2.2"]
    names.publish(SERVICE, pods)
    targets = service_records(SERVICE, pods)
    wait_named(names, srv_name(SERVICE), TYPE_SRV, list(targets))
    for target, address in targets.items():
        wait_named(names, target, TYPE_A, [address])


def test_a_name_service_that_misbehaves_does_so(make_names):
    names = make_names(OddNameService)
    names.publish(SERVICE, ["10.2.1.2"])

    def question(**more):
        return ask(names.address, NAME, TYPE_A, timeout=20, **more)
    assert question() == question(stream=True) == (NO_ERROR, False, ["10.2.1.2"])
    assert ask(names.address, f"nobody.{NAME}", TYPE_A, timeout=20)[0] == NO_SUCH_NAME
    names.behave("slow", seconds=0.5)
    assert ask(names.address, NAME, TYPE_A, timeout=0.2) is None
    assert question() == (NO_ERROR, False, ["10.2.1.2"])
    names.behave("truncated")
    assert question() == (NO_ERROR, True, [])
    assert question(stream=True) == (NO_ERROR, False, ["10.2.1.2"])
    names.behave("empty")
    assert question() == (NO_ERROR, False, [])
    names.behave("wrong", addresses=["10.2.9.9"])
    assert question() == (NO_ERROR, False, ["10.2.9.9"])
    names.behave("refusing")
    assert question() == (SERVER_FAILURE, False, [])
    names.behave("silent")
    assert ask(names.address, NAME, TYPE_A, timeout=0.3) is None


# --- pods ---


def rendered(flavour):
    require_tools()
    return parse(must("kubectl", "kustomize", f"kubernetes/{flavour.folder}"))


@pytest.mark.parametrize("flavour", [BASE, STATEFUL, API, FROM_SEED, ENCRYPTED, JOB],
                         ids=lambda flavour: flavour.name)
def test_settings_are_those_that_kubectl_renders(flavour):
    objects, kind = rendered(flavour), "CronJob" if flavour is JOB else None
    pod = SimpleNamespace(name="serf-1", address="10.2.1.2", node=1)
    filled_in = {"SERF_AGENT_LABEL": "default/serf"}
    filled_in.update({entry["name"]: pod_fields(pod)[entry["valueFrom"]["fieldRef"]["fieldPath"]]
                      for entry in agent_of(objects, kind)["env"] if "valueFrom" in entry})
    assert flavour.settings(pod) == {**settings(objects, kind), **filled_in}


@pytest.mark.parametrize("flavour,rules", [
    (API, [("list", "pods", None)]),
    (ENCRYPTED, [("get", "secrets", KEYRING_SECRET), ("patch", "secrets", KEYRING_SECRET)])],
    ids=lambda value: getattr(value, "name", ""))
def test_the_api_server_allows_what_the_roles_do(flavour, rules):
    assert allowed(flavour.folder) == rules
    assert sum(item["kind"] == "Role" for item in rendered(flavour)) == 1


def test_pods_have_the_labels_that_kubectl_renders():
    assert pod_labels() == workload(rendered(BASE))["spec"]["template"]["metadata"]["labels"]


def test_a_pod_sees_what_kubernetes_injects(beds):
    bed = beds.make(SEED)
    pod = bed.create()[0]
    pod.wait_started()
    log = pod.log().splitlines()
    for line in ("SERF_SERVICE_HOST=10.3.0.48", "SERF_PORT=tcp://10.3.0.48:7946",
                 "SERF_PORT_7946_UDP_PROTO=udp", "KUBERNETES_SERVICE_HOST=10.3.0.1",
                 f"HOSTNAME={pod.name}",
                 f"serf: starting args(agent -config-dir {bed.configuration} -retry-join 10.3.0.48)"):
        assert line in log
    assert list(pod.alive().items()) == [(pod.name, pod.gossip_address)]


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_names_are_those_that_the_controller_gives(beds, flavour):
    bed = beds.make(flavour)
    first, second = bed.make(), bed.make()
    if flavour.stable_names:
        assert [first.name, second.name] == ["serf-0", "serf-1"]
    else:
        assert first.name != second.name
    assert len({first.node, second.node}) == 2


def test_an_agent_that_does_not_end_is_killed(beds, monkeypatch):
    monkeypatch.setattr("bed.pod.GRACE_SECONDS", 0.5)
    bed = beds.make(SEED)
    pod = bed.create()[0]
    pod.wait_started()
    pod.process.send_signal(19)  # its keeper hears nothing any more, so nothing is passed on
    bed.delete([pod])
    assert pod.in_time is False and not pod.running
    with pytest.raises(AssertionError, match="in time False"):
        bed.all_left([pod])


def test_a_split_is_seen(beds):
    """Two that a label keeps apart are two clusters."""
    bed = beds.make(SEED)
    one = bed.create()[0]
    two = bed.create(flavour=SEED.with_settings(SERF_AGENT_LABEL="other"))[0]
    for pod in (one, two):
        pod.wait_started()
        wait_until(pod.alive, 20, f"{pod} answers")
    assert sorted(map(sorted, bed.clusters())) == sorted([[one.name], [two.name]])
