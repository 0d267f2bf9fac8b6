"""The walk-through: one replica, five, and back; and what the commands of tools/cluster promise."""

import os
import signal
import subprocess

import pytest

from local_cluster import BINARY, LocalCluster, is_running, wait_for

REFERENCE = "/usr/bin/serf"


def test_up_shows_one_replica_then_five(cluster):
    output = cluster.up()
    assert output.index("starting one replica") < output.index("scaling to 5 replicas")
    table = [line.split() for line in output.splitlines() if ":7946" in line]
    assert sorted(row[0] for row in table) == sorted(cluster.replicas())
    assert {row[2] for row in table} == {"alive"}
    for hint in ("make logs", "make scale", "make down", "exec serf-"):
        assert hint in output


def test_a_second_up_does_nothing_and_says_so(cluster):
    cluster.up("--replicas", "2")
    before = cluster.look()["pods"]
    assert "up already: 2 replicas" in cluster.up()
    assert [pod["pid"] for pod in cluster.look()["pods"]] == [pod["pid"] for pod in before]


def test_two_ups_at_the_same_time_make_one_cluster(cluster):
    other = cluster.start("up", "--binary", BINARY, "--replicas", "2")
    cluster.up("--replicas", "2")
    assert other.wait(60) == 0
    assert len(cluster.replicas()) == 2


def test_scaling_up_adds_replicas_and_scaling_down_lets_them_leave(cluster):
    cluster.up("--replicas", "3")
    cluster.must("scale", "6")
    six = cluster.replicas()
    output = cluster.must("scale", "2")
    assert output.count(" left after ") == 4 and "killed" not in output
    kept = cluster.replicas()
    assert kept == six[:2], "the newest go first"
    for observer in kept:
        wait_for(lambda: cluster.statuses(observer) == {
            name: "alive" if name in kept else "left" for name in six},
            f"{observer} sees the removed ones as left, none as failed")


def test_each_replica_looks_like_a_pod(cluster):
    cluster.up("--replicas", "2")
    names = cluster.replicas()
    content = cluster.look()
    if content["mode"] != "namespaces":
        pytest.skip("no network namespaces can be made here")
    assert cluster.must("exec", names[0], "--", "hostname").strip() == names[0]
    addresses = cluster.must("exec", names[0], "--", "ip", "-4", "-oneline", "addr", "show", "eth0")
    assert content["pods"][0]["address"] + "/32" in addresses
    first = cluster.must("exec", names[0], "--", "cat", "/proc/1/cmdline").split("\0")
    assert first[0].endswith("/boot"), "the agent itself is process 1"


@pytest.mark.parametrize("mode", ["namespaces", "loopback"])
def test_each_replica_is_healthy_over_http(cluster, mode):
    up = cluster.command("up", "--mode", mode, "--replicas", "2", "--binary", BINARY)
    if "can't be started" in up.stderr:
        pytest.skip(up.stderr.strip())
    for name in cluster.replicas():
        wait_for(lambda: cluster.command("exec", name, "--", "serf", "health").stdout == "ready\n",
                 f"{name} says that it is ready", timeout_s=75)


def test_boot_prints_the_walk_through(cluster):
    cluster.up("--replicas", "1")
    name = cluster.replicas()[0]
    content = cluster.look()
    lines = cluster.log(name).splitlines()
    rules = [number for number, line in enumerate(lines) if line == "=" * 70]
    assert len(rules) == 2, "the environment stands between two ruled lines"
    environment = dict(line.split("=", 1) for line in lines[rules[0] + 1:rules[1]])
    service = content["service"]
    assert environment["HOSTNAME"] == name
    assert environment["SERF_SERVICE_HOST"] == service
    assert environment["SERF_PORT"] == f"tcp://{service}:7946"
    assert lines[rules[1] + 1].startswith("serf: starting args(agent -config-dir ")
    assert f"-retry-join {service}" in lines[rules[1] + 1]
    assert "==> Serf agent running!" in lines
    assert any("serf: EventMemberJoin: " + name in line for line in lines)


def test_the_first_replica_is_refused_at_first_and_still_found_by_the_second(cluster):
    cluster.up("--replicas", "1")
    name = cluster.replicas()[0]
    # The service leads nowhere until half a second after a replica's start.
    assert "connection refused" in cluster.log(name)
    cluster.must("scale", "2")
    assert cluster.look()["one_cluster"]


@pytest.mark.parametrize("mode", ["namespaces", "loopback"])
def test_a_reference_agent_started_by_hand_joins_and_is_seen(cluster, mode):
    if not os.access(REFERENCE, os.X_OK):
        pytest.skip(f"{REFERENCE} is not here: apt-get install serf")
    up = cluster.command("up", "--mode", mode, "--replicas", "2", "--binary", BINARY)
    if "can't be started" in up.stderr:
        pytest.skip(up.stderr.strip())
    observer = cluster.replicas()[0]
    words = [] if mode == "namespaces" else ["-bind", "{address}", "-rpc-addr", "127.0.0.1:7379"]
    by_hand = cluster.start("run", "by-hand", "--", REFERENCE, "agent", "-node", "{name}",
                            "-retry-join", "{service}", "-retry-interval", "1s", *words)
    wait_for(lambda: cluster.statuses(observer).get("by-hand") == "alive", "the reference is seen")
    by_hand.terminate()
    by_hand.wait(20)
    wait_for(lambda: cluster.statuses(observer).get("by-hand") in ("failed", "left"),
             "the reference's end is seen", 60)


def test_a_killed_replica_is_seen_as_failed_and_leaves_the_service(cluster):
    cluster.up("--replicas", "3")
    gone = cluster.look()["pods"][2]
    os.kill(gone["pid"], signal.SIGKILL)
    wait_for(lambda: len(cluster.replicas()) == 2, "the supervisor notices")
    observer = cluster.replicas()[0]
    wait_for(lambda: cluster.statuses(observer)[gone["name"]] == "failed", "it is failed", 60)


def test_two_clusters_do_not_disturb_each_other(cluster, tmp_path):
    other = LocalCluster(tmp_path / "other")
    try:
        for mode in ("loopback", "namespaces"):
            cluster.up("--replicas", "2", "--mode", mode)
            other.up("--replicas", "2", "--mode", mode)
            assert not set(cluster.statuses(cluster.replicas()[0])) & set(other.replicas())
            other.must("down")
            assert cluster.look()["one_cluster"]
            cluster.must("down", "--kill")
    finally:
        other.command("down", "--kill")


def test_down_lets_everyone_leave_and_leaves_nothing_behind(cluster):
    cluster.up("--replicas", "3")
    pids = [cluster.look()["supervisor"], *(pod["pid"] for pod in cluster.look()["pods"])]
    assert cluster.must("down").count(" left after ") == 3
    wait_for(lambda: not any(is_running(pid) for pid in pids), "all ended", 5)
    assert "nothing to do" in cluster.must("down")
    assert "no local cluster runs here" in cluster.command("scale", "3").stderr


def test_a_dead_supervisor_takes_its_replicas_along_and_is_replaced(cluster):
    cluster.up("--replicas", "2")
    pids = [pod["pid"] for pod in cluster.look()["pods"]]
    os.kill(cluster.look()["supervisor"], signal.SIGKILL)
    wait_for(lambda: not any(is_running(pid) for pid in pids), "no orphans", 5)
    assert "no local cluster runs here" in cluster.command("members").stderr
    cluster.up("--replicas", "2")
    assert cluster.look()["one_cluster"]


def test_where_namespaces_are_impossible_it_says_so_and_uses_loopback(cluster, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "nft").write_text("#!/bin/sh\necho 'no netfilter here' >&2\nexit 1\n")
    (tools / "nft").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    result = subprocess.run(
        cluster.words("up", "--replicas", "1", "--binary", BINARY),
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True, timeout=60)
    assert "network namespaces can't be made here (nft: no netfilter here)" in result.stdout
    assert cluster.look()["mode"] == "loopback"


def test_wrong_words_are_refused_with_a_reason(cluster):
    missing = cluster.command("up", "--binary", "/nonexistent/serf")
    assert missing.returncode == 1 and "/nonexistent/serf is not there" in missing.stderr
    cluster.up("--replicas", "1")
    nobody = cluster.command("exec", "serf-zzzzz", "--", "true")
    assert nobody.returncode == 1 and "no pod called serf-zzzzz" in nobody.stderr
    many = cluster.command("scale", "1000000")
    assert many.returncode == 1 and "0 to 100" in many.stderr
