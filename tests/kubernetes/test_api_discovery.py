"""Agents that find each other by asking the API server: `-retry-join "provider=k8s ..."`."""

import re
import time

import pytest

import api_server
from agents import OURS, run, wait_until
from api_server import ApiServer, Authority

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# A mount namespace in which the pod's folder is there, over a tmpfs that hides the machine's.
WITH_ACCOUNT = ["unshare", "--mount", "sh", "-c",
                f'mount -t tmpfs none /var/run && mkdir -p {ACCOUNT} && '
                f'mount --bind "$0" {ACCOUNT} && exec "$@"']
PODS = 'provider=k8s label_selector="app=serf,tier in (a,b)"'


class Pods:
    """Agents with what a pod has: a service account, and an entry at the API server."""

    def __init__(self, cluster):
        self.cluster, self.servers = cluster, []
        self.account = cluster.directory / "account"
        self.account.mkdir()
        self.server = self.add_server()
        self.server.write_account(self.account)

    def add_server(self, **options):
        self.servers.append(ApiServer(**options))
        return self.servers[-1]

    def prepare(self, name, address=PODS, server=None, listed=True, **options):
        """`address` is what -retry-join is given."""
        agent = self.cluster.prepare(OURS, name, f"-retry-join={address}", **options)
        agent.launcher = [*WITH_ACCOUNT, str(self.account)]
        agent.variables = (server or self.server).variables
        if listed:
            self.list(agent)
        return agent

    def start(self, name, *arguments, **options):
        return self.prepare(name, *arguments, **options).start()

    def list(self, agent, **more):
        self.server.set_pod("default", agent.name, agent.host,
                            labels={"app": "serf", "tier": "a"}, ready=False, **more)

    def lists(self, since=0):
        """Begun lists of pods: their first pages."""
        return [request for request in self.server.requests[since:]
                if request.path.endswith("/pods") and "continue" not in request.query]

    def dispose(self):
        for server in self.servers:
            server.stop()


@pytest.fixture
def pods(cluster):
    if run(OURS, "version", launcher=[*WITH_ACCOUNT, "/tmp"]).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    made = Pods(cluster)
    yield made
    for agent in cluster.agents:
        if agent.log_path.exists():
            assert made.server.token not in agent.log()
    made.dispose()


def failure(agent, pattern, since=0):
    """Waits for the log line that says why nobody was found."""
    return agent.wait_log(r"\[WARN\] memberlist: failed to resolve provider=k8s .*" + pattern,
                          since=since)


def test_pods_find_each_other(pods):
    pods.server.set_pod("default", "other", "127.9.9.9", labels={"app": "other"})
    pods.server.set_pod("elsewhere", "far", "127.9.9.8", labels={"app": "serf", "tier": "a"})
    pods.server.set_pod("default", "ended", "127.9.9.7", phase="Succeeded",
                        labels={"app": "serf", "tier": "b"})
    pods.server.set_pod("default", "unborn", labels={"app": "serf", "tier": "b"}, phase="Pending")
    agents = [pods.prepare(f"pod-{number}") for number in range(4)]
    for agent in agents:
        agent.start()
    pods.cluster.wait_all_alive()
    query = pods.lists()[0].query
    assert query["labelSelector"] == "app=serf,tier in (a,b)"
    for agent in agents:
        assert not agent.log_lines(r"127\.9\.9\.")


def test_a_service_names_its_endpoints_ready_or_not(pods):
    agents = [pods.prepare(f"pod-{number}", 'provider=k8s namespace=prod service=serf-members',
                           listed=False) for number in range(3)]
    pods.server.allow = [("list", "endpointslices", "prod", None)]
    pods.server.set_slice("prod", "serf-members", [agent.host for agent in agents], ready=False)
    pods.server.set_slice("prod", "another", ["127.9.9.9"])
    for agent in agents:
        agent.start()
    pods.cluster.wait_all_alive()
    assert not agents[0].log_lines(r"127\.9\.9\.")


def test_a_command_joins_by_a_provider_too(pods):
    pods.start("first")
    second = pods.start("second", "127.9.9.9", listed=False)
    assert "Successfully joined cluster" in second.cli("join", PODS)
    pods.cluster.wait_all_alive()


def test_the_port_comes_from_the_pod_s_annotation(pods):
    first = pods.prepare("first", port=17946, listed=False)
    pods.list(first, annotations={"consul.hashicorp.com/auto-join-port": "gossip"},
              ports=[("http", 7374), ("gossip", 17946)])
    first.start()
    pods.start("second")
    pods.cluster.wait_all_alive()


def test_lists_come_in_pages_and_begin_anew_when_a_page_is_too_old(pods):
    pods.server.page_max = 2
    pods.server.expire_pages = 1
    for number in range(3):
        pods.server.set_pod("default", f"a-{number}", f"127.8.8.{number + 1}",
                            labels={"app": "serf", "tier": "b"})
    pods.start("y")
    pods.start("z")
    pods.cluster.wait_all_alive()
    statuses = [request.status for request in pods.server.requests]
    assert 410 in statuses
    assert any("continue" in request.query and request.status == 200
               for request in pods.server.requests)


@pytest.mark.parametrize("fault, reason", [
    (api_server.status(500), "the API server says 500 Internal Server Error: something is wrong"),
    (api_server.rubbish(), "answer is no JSON"),
    (api_server.body(b'{"kind": "Pod"}'), "is no list"),
    (api_server.body(b"<html>", 200, "text/html"), "is no JSON"),
    (api_server.cut(), "the connection ended before the answer did"),
    (api_server.endless(), "the answer is larger than the limit"),
    (api_server.hang(), "no answer within 10 s"),
    (api_server.redirect("https://127.0.0.1:1/"), "the API server says 307"),
], ids=["500", "rubbish", "no list", "html", "cut", "endless", "hang", "redirect"])
def test_the_agent_outlives_a_server_that_fails(pods, fault, reason):
    pods.server.fault = fault
    first = pods.start("first")
    failure(first, re.escape(reason))
    wait_until(lambda: len(pods.server.requests) > 1, 70, "the agent asks again")
    pods.server.fault = None
    pods.start("second")
    pods.cluster.wait_all_alive()


def test_a_refusal_is_told_in_the_server_s_words(pods):
    pods.server.allow = []
    first = pods.start("first")
    failure(first, r'403 Forbidden: pods is forbidden: User "system:serviceaccount:default:serf" '
                   r"cannot list resource")
    pods.server.allow = [("list", "pods", "default", None)]
    pods.start("second")
    pods.cluster.wait_all_alive()


def test_the_token_is_read_anew(pods):
    pods.server.write_account(pods.account, token="another-token")
    first = pods.start("first")
    failure(first, "401 Unauthorized")
    pods.server.write_account(pods.account)
    pods.start("second")
    pods.cluster.wait_all_alive()
    for agent in pods.cluster.agents:
        assert "another-token" not in agent.log()


def test_a_server_that_another_authority_vouches_for_gets_no_token(pods):
    stranger = Authority()
    pods.server.use_certificate(stranger.issue())
    first = pods.start("first")
    failure(first, "tls: failed to verify the server's certificate: ")
    assert not pods.server.requests
    pods.server.write_account(pods.account, authority=stranger)
    pods.start("second")
    pods.cluster.wait_all_alive()


@pytest.mark.parametrize("names, days, reason", [
    (("10.96.0.1", "localhost"), (-1, 30), "IP address mismatch"),
    (api_server.DEFAULT_NAMES, (-30, -1), "certificate has expired"),
], ids=["another address", "expired"])
def test_a_certificate_must_fit(pods, names, days, reason):
    pods.server.use_certificate(pods.server.authority.issue(names, days))
    first = pods.start("first")
    failure(first, reason)
    assert not pods.server.requests


def test_a_server_at_an_ipv6_address(pods):
    pods.server = pods.add_server(host="::1", authority=pods.server.authority)
    pods.start("first")
    pods.start("second")
    pods.cluster.wait_all_alive()


def test_a_server_by_its_name(pods):
    for name in ("first", "second"):
        agent = pods.prepare(name)
        agent.variables = {**pods.server.variables, "KUBERNETES_SERVICE_HOST": "localhost"}
        agent.start()
    pods.cluster.wait_all_alive()


def test_an_agent_that_has_joined_asks_once_in_thirty_seconds(pods):
    plain = pods.cluster.agent(OURS, "plain")
    agent = pods.start("pod", join=[plain])
    pods.cluster.wait_all_alive()
    mark, began = len(pods.server.requests), time.monotonic()

    def asked_again():
        assert "Successfully joined cluster" in agent.cli("join", PODS)
        lists, seconds = len(pods.lists(mark)), time.monotonic() - began
        assert lists <= 1 + seconds / 30, f"{lists} lists in {seconds:.0f} s"
        return lists > 0
    wait_until(asked_again, 70, "another list is asked for")


def test_outside_of_a_pod_the_reason_is_told(pods):
    agent = pods.cluster.prepare(OURS, "bare", f"-retry-join={PODS}")
    agent.start()
    failure(agent, "open /var/run/secrets/kubernetes.io/serviceaccount/namespace: "
                   "no such file or directory")


def test_a_server_that_refuses_connections_is_named(pods):
    agent = pods.prepare("first")
    agent.variables = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "9"}
    agent.start()
    failure(agent, r"https://127\.0\.0\.1:9: dial tcp 127\.0\.0\.1:9: connect: connection refused")
