"""What an agent tells over HTTP, and when it calls itself ready."""

import http.client
import json
import re
import socket

import pytest

from agents import AGREE_SECONDS, OURS, listening, next_host, next_port, run, wait_until

PAGE_LINE = re.compile(r"^([a-z_][a-z0-9_]*)(\{[^}]*\})? (-?[0-9.e+-]+|NaN|\+Inf)$")


class Http:
    def __init__(self, agent, port):
        self.agent, self.port = agent, port
        self.address = f"{agent.host}:{port}"

    def ask(self, path, method="GET"):
        """(status, body, headers)"""
        connection = http.client.HTTPConnection(self.agent.host, self.port, timeout=20)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def json(self, path):
        status, body, headers = self.ask(path)
        assert status == 200 and headers["Content-Type"] == "application/json"
        return json.loads(body)

    def health(self, *flags):
        return run(OURS, "health", f"-http-addr={self.address}", *flags)

    def wait_ready(self):
        wait_until(lambda: (self.ask("/health/ready")[0] == 200, self.ask("/health/ready")[1]),
                   AGREE_SECONDS, f"{self.agent} is ready")


def start(cluster, *flags, **options):
    port = next_port()
    agent = cluster.prepare(OURS, None, *flags, profile="local", **options)
    agent.extra.append(f"-http-addr={agent.host}:{port}")
    agent.start()
    return agent, Http(agent, port)


def test_lists_and_numbers_are_those_of_the_command_line(cluster):
    agent, web = start(cluster, "-tag=role=web<1>", "-event-handler=echo secret")
    cluster.agent(OURS, join=[agent], profile="local")
    cluster.wait_all_alive()
    listed = {member["name"]: member for member in web.json("/v1/members")["members"]}
    assert listed == agent.members()
    stats, info = web.json("/v1/stats"), agent.info()
    assert stats["agent"] == info["agent"] and stats["serf"]["members"] == "2"
    assert "secret" not in json.dumps(stats)
    wait_until(lambda: {entry["name"] for entry in web.json("/v1/coordinates")["coordinates"]}
               == set(listed), AGREE_SECONDS, "both members have a position")
    assert web.ask("/v1/members", "HEAD")[1] == ""
    assert web.ask("/nowhere")[0] == 404
    assert web.ask("/metrics", "POST")[0] == 405


def test_the_page_of_metrics_is_well_formed(cluster):
    agent, web = start(cluster, "-event-handler=echo secret")
    agent.cli("event", 'de"ploy\\')
    wait_until(lambda: "serf_agent_invoke_seconds_count" in web.ask("/metrics")[1], AGREE_SECONDS,
               "the handler has run")
    status, page, headers = web.ask("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    declared = set()
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in declared, f"{name} comes in two places"
            declared.add(name)
        elif not line.startswith("# HELP "):
            match = PAGE_LINE.match(line)
            assert match, line
            assert re.sub(r"_(sum|count|bucket)$", "", match[1]) in declared or \
                match[1] in declared, line
    assert 'serf_events_total{name="de\\"ploy\\\\"} 1' in page
    assert 'serf_members{status="alive"} 1' in page
    assert 'handler="0"' in page and "secret" not in page
    for name in ("process_resident_memory_bytes", "serf_queue_depth", "serf_memberlist_health_score",
                 "serf_memberlist_probe_round_trip_seconds"):
        assert name in declared
    assert not agent.log_lines(r"GET|/metrics")


def test_ready_means_met_or_known_to_be_the_first(cluster):
    first, web = start(cluster)
    web.wait_ready()
    assert web.health().returncode == 0 and web.health().stdout == "ready\n"
    assert web.health("-live").stdout == "live\n"
    _, joiner = start(cluster, f"-retry-join={first.address}")
    joiner.wait_ready()
    lonely, alone = start(cluster, "-retry-join=127.0.0.99")
    assert alone.ask("/health/ready") [:2] == (503, "not joined yet\n")
    assert alone.health().returncode == 1 and alone.health("-live").returncode == 0
    lonely.join(first)
    alone.wait_ready()


def test_who_meets_only_itself_is_ready(cluster):
    host = next_host()
    _, web = start(cluster, f"-retry-join={host}", host=host)
    web.wait_ready()


def test_a_member_stays_ready_when_the_others_are_gone(cluster):
    first = cluster.agent(OURS, profile="local")
    second, web = start(cluster, f"-retry-join={first.address}")
    web.wait_ready()
    first.kill()
    wait_until(lambda: second.statuses()[first.name] == "failed", AGREE_SECONDS, "it is missed")
    assert web.ask("/health/ready")[0] == 200


def test_silent_clients_do_not_shut_others_out_of_rpc(cluster):
    agent, web = start(cluster)
    idle = [socket.create_connection((agent.host, web.port)) for _ in range(80)]
    assert agent.statuses() == {agent.name: "alive"}
    for connection in idle:
        connection.close()
    wait_until(lambda: try_live(web), AGREE_SECONDS, "there is room again")


def try_live(web):
    try:
        return web.ask("/health/live")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_nobody_listens_without_an_address(cluster):
    agent = cluster.agent(OURS, profile="local")
    assert not listening(agent.host, 7374)
    done = run(OURS, "health", f"-http-addr={agent.host}")
    assert done.returncode == 1 and "connection refused" in done.stdout


@pytest.mark.parametrize("address, reason", [("nohost.invalid", "no such host|misbehaving|timeout"),
                                             ("127.0.0.1:x", "port")])
def test_an_address_that_is_none_ends_the_start(cluster, address, reason):
    agent = cluster.prepare(OURS, None, f"-http-addr={address}").spawn()
    assert agent.wait_exit(30) == 1
    assert re.search(f"==> Error starting HTTP listener: .*({reason})", agent.log())
