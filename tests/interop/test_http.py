"""What an agent tells over HTTP, and when it calls itself ready."""

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest

import protocol
from agents import AGREE_SECONDS, OURS, listening, next_host, next_port, run, wait_until
from prometheus import parse_page


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

    def page(self):
        """{name: Family} of /metrics."""
        status, body, _ = self.ask("/metrics")
        assert status == 200
        return parse_page(body.encode())

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


def tell_of_members(agent, count):
    """None of them is there. Their names."""
    names = {f"told-{number:04}-{'x' * 40}" for number in range(count)}
    protocol.exchange(agent, protocol.push_pull(
        [protocol.node_state(name, "127.9.9.9") for name in names]))
    wait_until(lambda: len(agent.statuses()) == count + 1, AGREE_SECONDS, "it has believed that")
    return names


def test_a_long_list_comes_in_parts_and_is_whole(cluster):
    agent, web = start(cluster, "-disable-compression")
    names = tell_of_members(agent, 300)
    status, body, headers = web.ask("/v1/members")
    assert status == 200 and headers["Transfer-Encoding"] == "chunked" and len(body) > 40_000
    listed = json.loads(body)["members"]
    assert {member["name"] for member in listed} == names | {agent.name}
    assert len(listed) == 301


def resident_kib(agent):
    status = Path(f"/proc/{agent.process.pid}/status").read_text("ascii")
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1])


def ask_without_reading(agent, web):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect((agent.host, web.port))
    client.sendall(b"GET /v1/members HTTP/1.1\r\n\r\n")
    return client


def received(client):
    """All that comes, up to the end of the connection."""
    client.settimeout(AGREE_SECONDS)
    parts = [client.recv(65536)]
    while parts[-1]:
        parts.append(client.recv(65536))
    return b"".join(parts)


def test_who_stops_reading_a_long_list_costs_little_and_is_cut_off(cluster):
    """Sixty clients, and a list of half a megabyte: written for each at once, that would be 30 MB."""
    agent, web = start(cluster, "-disable-compression")
    tell_of_members(agent, 3000)
    whole = len(web.ask("/v1/members")[1])
    assert whole > 450_000
    before = resident_kib(agent)
    clients = [ask_without_reading(agent, web) for _ in range(60)]
    wait_until(lambda: (all(socket_has_bytes(client) for client in clients), None), AGREE_SECONDS,
               "each has the beginning of its answer")
    assert web.ask("/health/live")[0] == 200
    if not OURS.is_sanitized:  # which keeps for a while what was freed
        assert resident_kib(agent) - before < 6_000
    wait_until(lambda: (connections_of(agent, web) == 0, None), AGREE_SECONDS, "all are cut off")
    for client in clients:
        assert len(received(client)) < whole
        client.close()
    assert len(web.ask("/v1/members")[1]) > 450_000


def socket_has_bytes(client):
    try:
        return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return False


def connections_of(agent, web):
    """How many the agent still has open at its HTTP port."""
    local = f"{int.from_bytes(socket.inet_aton(agent.host), 'little'):08X}:{web.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return sum(1 for row in rows if row[1] == local and row[3] == "01")  # established


def test_probes_and_scrapes_log_nothing(cluster):
    agent, web = start(cluster, "-log-level=debug")
    web.wait_ready()
    mark = agent.log_mark()
    for path in ("/health/live", "/health/ready", "/metrics", "/v1/members", "/v1/stats",
                 "/v1/coordinates", "/nowhere"):
        web.ask(path)
        web.ask(path, "HEAD")
        web.ask(path, "DELETE")
    assert web.health().returncode == 0
    assert agent.log()[mark:] == ""


def test_the_process_is_measured(cluster):
    agent, web = start(cluster)
    page, pid = web.page(), agent.process.pid
    value = {name: family.value() for name, family in page.items() if name.startswith("process_")}
    own = len(os.listdir(f"/proc/{pid}/fd"))
    assert own <= value["process_open_fds"] <= own + 1  # the scrape's connection
    limit = re.search(r"Max open files +(\d+)", Path(f"/proc/{pid}/limits").read_text("ascii"))
    assert value["process_max_fds"] == int(limit[1])
    assert 0 < value["process_resident_memory_bytes"] < value["process_virtual_memory_bytes"]
    assert value["process_cpu_seconds_total"] > 0
    ticks = int(Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[19])
    boot = re.search(r"^btime (\d+)", Path("/proc/stat").read_text("ascii"), re.M)
    started = int(boot[1]) + ticks / os.sysconf("SC_CLK_TCK")
    assert abs(value["process_start_time_seconds"] - started) < 5


def closed_by_peer(connection):
    """Sends a byte more; whether the other side takes no more."""
    try:
        connection.send(b"x")
        return connection.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_who_does_not_finish_a_request_is_cut_off(cluster):
    """Ten seconds are for the whole request, however it trickles in."""
    agent, web = start(cluster)
    silent, slow = (socket.create_connection((agent.host, web.port)) for _ in range(2))
    slow.send(b"GET /")
    silent.settimeout(AGREE_SECONDS)
    wait_until(lambda: closed_by_peer(slow), AGREE_SECONDS, "the slow one is cut off")
    assert silent.recv(1) == b""
    assert web.ask("/health/live")[0] == 200
    silent.close()
    slow.close()


def test_the_page_of_metrics_is_well_formed(cluster):
    agent, web = start(cluster, "-event-handler=echo secret")
    agent.cli("event", 'de"ploy\\')
    agent.cli("event", "zwölf\u2028")
    agent.cli("query", "-timeout=100ms", "load")
    page = wait_until(lambda: ("serf_agent_invoke_seconds" in web.page() and web.page(),
                               sorted(web.page())), AGREE_SECONDS, "the handler has run")
    events = page["serf_events_total"]
    assert events.kind == "counter" and events.value(name='de"ploy\\') == 1
    assert events.value(name="zwölf\u2028") == 1
    assert page["serf_members"].value(status="alive") == 1
    assert page["serf_agent_invoke_seconds"].value("_count", handler="0") >= 1
    assert page["serf_memberlist_probe_round_trip_seconds"].kind == "histogram"
    assert page["process_resident_memory_bytes"].value() > 100_000
    assert {"serf_queue_depth", "serf_memberlist_health_score", "serf_queries_total",
            "serf_memberlist_udp_sent_packets_total"} <= set(page)
    status, text, headers = web.ask("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "secret" not in text and "serf_peer" not in text
    assert not agent.log_lines(r"GET|/metrics")


def test_peers_have_series_of_their_own_when_that_is_asked_for(cluster):
    agent, web = start(cluster, "-metrics-per-peer")
    other = cluster.agent(OURS, "über", join=[agent], profile="local")
    third = cluster.agent(OURS, join=[agent], profile="local")
    cluster.wait_all_alive()
    third.cli("leave")

    def seen():
        page = web.page()
        found = {(labels["peer"], labels["addr"], labels["status"])
                 for labels in (dict(sample.labels) for sample in page["serf_peer_status"].samples)}
        placed = {dict(sample.labels)["peer"] for sample in
                  page["serf_peer_round_trip_seconds"].samples} \
            if "serf_peer_round_trip_seconds" in page else set()
        return found == {(other.name, other.address, "alive"),
                         (third.name, third.address, "left")} and other.name in placed, (found, placed)
    wait_until(seen, AGREE_SECONDS, "both others are told of, and how far the live one is")
    page = web.page()
    assert 0 < page["serf_peer_round_trip_seconds"].value(peer=other.name) < 60
    assert page["serf_peers_left_out"].value() == 0


def test_a_reload_switches_the_series_of_peers(cluster, tmp_path):
    file = tmp_path / "agent.json"
    file.write_text("{}")
    agent, web = start(cluster, f"-config-file={file}")
    assert "serf_peers_left_out" not in web.page()
    file.write_text('{"metrics_per_peer": true}')
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: ("serf_peers_left_out" in web.page(), agent.log()), AGREE_SECONDS,
               "the reload is done")
    assert not agent.log_lines("only a restart applies")


KEYS = ["AQEBAQEBAQEBAQEBAQEBAQ==", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="]


def fingerprint(key):
    return hashlib.sha256(base64.b64decode(key)).hexdigest()[:8]


def test_keys_and_doors_that_are_open_show(cluster):
    agent, web = start(cluster, f"-encrypt={KEYS[0]}", "-encrypt-verify-incoming=false",
                       "-label=blue", "-label-mode=accept")

    def keys():
        return {tuple(dict(sample.labels).values()) for sample in
                web.page()["serf_key_info"].samples}
    assert keys() == {(fingerprint(KEYS[0]), "true")}
    agent.cli("keys", f"-install={KEYS[1]}")
    agent.cli("keys", f"-use={KEYS[1]}")
    assert keys() == {(fingerprint(KEYS[0]), "false"), (fingerprint(KEYS[1]), "true")}
    page = web.page()
    assert page["serf_encrypted"].value() == 1
    assert page["serf_accepts_plaintext"].value() == 1 and page["serf_sends_plaintext"].value() == 0
    assert page["serf_accepts_unlabelled"].value() == 1
    assert page["serf_sends_unlabelled"].value() == 1
    assert "AQEB" not in web.ask("/metrics")[1]


def test_closed_doors_and_no_keys_show_too(cluster):
    _, web = start(cluster, "-label=blue", "-encrypt-verify-incoming=false")
    page = web.page()
    assert "serf_key_info" not in page
    for name in ("encrypted", "accepts_plaintext", "sends_plaintext", "accepts_unlabelled",
                 "sends_unlabelled"):
        assert page[f"serf_{name}"].value() == 0


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


def test_a_search_that_fails_makes_nobody_ready(cluster):
    """Neither a name without addresses (or a name service that is down) nor an old address is an
    answer that names nobody."""
    for place in ("members.invalid", "127.0.0.99"):
        agent, web = start(cluster, f"-retry-join={place}", "-retry-interval=1s")
        wait_until(lambda: (len(agent.log_lines("agent: Join failed")) >= 5, agent.log()),
                   AGREE_SECONDS, "five tries have failed")
        assert web.ask("/health/ready")[:2] == (503, "not joined yet\n")
        assert web.ask("/health/live")[0] == 200


def test_who_met_its_cluster_between_two_questions_is_ready(cluster):
    first = cluster.agent(OURS, profile="local")
    second, web = start(cluster, f"-retry-join={first.address}")
    cluster.wait_all_alive()
    first.kill()
    wait_until(lambda: second.statuses()[first.name] == "failed", AGREE_SECONDS, "it is missed")
    web.wait_ready()


def test_who_leaves_is_not_ready_any_more(cluster):
    """A handler that still runs holds the agent, which has left, for a moment."""
    file = cluster.directory / "go"
    agent, web = start(cluster, f"-event-handler=user=while [ ! -e {file} ]; do sleep 0.1; done",
                       "-leave-timeout=100s")
    cluster.agent(OURS, join=[agent], profile="local")
    web.wait_ready()
    agent.cli("event", "hold")
    agent.wait_log("Received event: user-event: hold")
    agent.left = True
    agent.process.send_signal(signal.SIGINT)
    wait_until(lambda: web.ask("/health/ready")[:2] == (503, "leaving\n"), AGREE_SECONDS,
               "it says that it leaves")
    assert web.ask("/health/live")[0] == 200
    file.touch()
    assert agent.wait_exit(AGREE_SECONDS) == 0


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


@pytest.mark.parametrize("address, reason", [
    ("nohost.invalid", "Error starting HTTP listener: .*(no such host|misbehaving|timeout)"),
    ("127.0.0.1:x", "Invalid http_addr: .*port")])
def test_an_address_that_is_none_ends_the_start(cluster, address, reason):
    agent = cluster.prepare(OURS, None, f"-http-addr={address}").spawn()
    assert agent.wait_exit(30) == 1
    assert re.search(f"==> {reason}", agent.log())
