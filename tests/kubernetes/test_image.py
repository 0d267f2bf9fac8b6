"""The container images that `make image` builds from the Containerfile."""

import gzip
import json

import pytest

from agents import REPOSITORY, wait_until
from containers import (LIMITS, TIGHT, Containers, files_of, podman, require_image,
                        require_runtime, version)

DEFAULT = f"cserf:{version()}"
MINIMAL = f"cserf:{version()}-minimal"
MEGABYTE = 1_000_000
APPLETS = (REPOSITORY / "image/applets").read_text("utf-8").split()


@pytest.fixture(scope="module", autouse=True)
def images():
    require_image(DEFAULT)
    require_image(MINIMAL)


@pytest.fixture
def containers(private_network):
    require_runtime(MINIMAL)
    started = Containers()
    yield started
    started.dispose()


@pytest.mark.parametrize("image", [DEFAULT, MINIMAL])
def test_it_runs_the_agent_as_nobody_special(image):
    inspected = json.loads(podman("inspect", image).stdout)[0]
    config = inspected["Config"]
    assert config["User"] == "7946:7946"
    assert config["Entrypoint"] == ["/app/boot"]
    assert "PATH=/app:" in " ".join(config["Env"])
    assert {"SERF_AGENT_HTTP_ADDR=:7374", "SERF_AGENT_RETRY_WATCH=true"} <= set(config["Env"])
    assert set(config["ExposedPorts"]) == {"7946/tcp", "7946/udp", "7374/tcp"}
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == version()
    assert labels["org.opencontainers.image.licenses"] == "MPL-2.0"


def test_the_minimal_one_has_a_program_and_certificates_and_no_more():
    files = {path for path, entry in files_of(MINIMAL).items() if not entry.isdir()}
    engine_s = {path for path in files if path.startswith(("dev/", "run/")) or path in
                ("etc/hosts", "etc/resolv.conf", "etc/hostname", "etc/mtab")}
    assert files - engine_s == {"app/boot", "app/serf", "etc/group", "etc/passwd",
                                "etc/serf/agent.json", "etc/ssl/certs/ca-certificates.crt"}


def test_the_minimal_one_has_at_most_4_megabytes_compressed():
    archive = podman("save", "--quiet", "--format=docker-archive", MINIMAL).stdout
    assert len(gzip.compress(archive)) <= 4 * MEGABYTE


def test_nothing_in_it_belongs_to_the_agent_s_user_or_gains_rights():
    for path, entry in files_of(DEFAULT).items():
        assert (entry.uid, entry.gid) == (0, 0), path
        assert not entry.mode & 0o6000, path
        assert not entry.mode & 0o002 or entry.issym() or path in ("tmp", ".") or \
            path.startswith("dev"), path


def test_the_configuration_is_one_that_the_reference_reads():
    config = json.loads((REPOSITORY / "image/etc/serf/agent.json").read_text("utf-8"))
    assert config == {"leave_on_terminate": True}


def test_each_tool_of_the_default_one_is_there(containers):
    done = podman("run", "--rm", *LIMITS, *TIGHT, "--entrypoint=/bin/busybox", DEFAULT, "--list",
                  text=True)
    assert set(APPLETS) <= set(done.stdout.split())


def test_three_form_a_cluster_and_one_that_is_stopped_has_left(containers):
    members = {f"pod-{i}": f"127.0.7.{i}" for i in (1, 2, 3)}
    pods = {}
    for name, host in members.items():
        pods[name] = containers.run(
            DEFAULT, f"-rpc-addr={host}:7373", "-retry-interval=1s",
            options=["--env", f"SERF_AGENT_NODE_NAME={name}", "--env", f"SERF_AGENT_BIND={host}",
                     "--env", f"SERF_AGENT_HTTP_ADDR={host}:7374",
                     "--env", "SERF_SERVICE_HOST=127.0.7.1"])

    def agreed(names, status):
        def look():
            seen = {name: pods[name].statuses(f"{members[name]}:7373") for name in names}
            return all(view == status for view in seen.values()), seen
        return look
    everybody = dict.fromkeys(members, "alive")
    wait_until(agreed(members, everybody), 70, "three containers are one cluster")
    for name, host in members.items():
        health = pods[name].run("serf", "health", f"-http-addr={host}")
        assert (health.returncode, health.stdout) == (0, "ready\n"), health.stderr
    assert pods["pod-3"].stop() == 0
    wait_until(agreed(("pod-1", "pod-2"), {**everybody, "pod-3": "left"}), 70,
               "the others know that it left")
    assert "serf: EventMemberFailed" not in pods["pod-1"].log()


def test_the_minimal_one_tells_of_its_health_without_a_shell(containers):
    pod = containers.run(MINIMAL, "-bind=127.0.8.3", "-rpc-addr=127.0.8.3:7373")

    def ready():
        done = pod.run("serf", "health")
        return done.returncode == 0, done.stdout + done.stderr
    wait_until(ready, 70, "the agent is ready")


def test_handlers_run_in_the_default_one(containers):
    pod = containers.run(DEFAULT, "-bind=127.0.8.1", "-rpc-addr=127.0.8.1:7373",
                         "-log-level=debug", "-event-handler=member-join=id -u; pwd")
    pod.wait_log("script output: 7946\\n/")


def test_a_handler_ends_the_start_of_the_minimal_one(containers):
    done = podman("run", "--rm", *LIMITS, *TIGHT, MINIMAL, "-bind=127.0.8.2",
                  "-event-handler=true", text=True)
    assert done.returncode == 1
    assert "==> Invalid event script: 'true' needs a shell, and there is no /bin/sh" in done.stdout
