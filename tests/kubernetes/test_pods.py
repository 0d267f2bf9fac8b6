"""Agents with the settings that the manifests give their pods."""

import json
import urllib.request

import pytest

from agents import OURS, PATIENCE_SECONDS, environment, run, wait_until
from manifests import FOLDER, must, parse, require_tools
from test_api_discovery import pods  # noqa: F401
from test_manifests import BUILT, agent_of, settings

POD = {"metadata.name": "serf-7d4b9c-x2k5p", "metadata.namespace": "default",
       "status.podIP": "127.0.0.2", "status.hostIP": "127.0.0.2", "spec.nodeName": "node-1",
       "metadata.labels['topology.kubernetes.io/zone']": ""}


@pytest.fixture(scope="module", autouse=True)
def tools():
    require_tools()


def pod_environment(name, kind=None):
    objects = parse(must("kubectl", "kustomize", FOLDER / name))
    values = settings(objects, kind)
    for entry in agent_of(objects, kind).get("env", []):
        if "valueFrom" in entry:
            values[entry["name"]] = POD[entry["valueFrom"]["fieldRef"]["fieldPath"]]
    return {key: value.replace("$(SERF_AGENT_TAG_NAMESPACE)", POD["metadata.namespace"])
            for key, value in values.items()}


def for_this_machine(values, directory):
    """Paths that are mounts in the pod become paths in a folder."""
    keyring = directory / "keyring.json"
    keyring.write_text(json.dumps([run(OURS, "keygen").stdout.strip()]), "utf-8")
    keyring.chmod(0o600)
    moved = {"SERF_AGENT_KEYRING_SOURCE": str(keyring),
             "SERF_AGENT_KEYRING_FILE": str(directory / "copy.json"),
             "SERF_AGENT_SNAPSHOT_PATH": str(directory / "snapshot")}
    return {key: moved.get(key, value) if value else value for key, value in values.items()}


@pytest.mark.parametrize("name, kind", [*((name, None) for name in BUILT),
                                        ("overlays/encrypted", "CronJob")])
def test_the_agent_takes_the_pod_s_settings(name, kind, tmp_path):
    values = for_this_machine(pod_environment(name, kind), tmp_path)
    if "SERF_AGENT_RPC_ADDR" in values:
        values["SERF_AGENT_RPC_ADDR"] = f"unix:{tmp_path}/rpc.sock"
    done = run(OURS, "agent", "-check-config", env=environment(**values))
    assert done.returncode == 0, done.stdout
    assert "Warning" not in done.stdout + done.stderr
    assert values["SERF_AGENT_NODE_NAME"] in done.stdout


def test_the_example_s_handler_writes_the_members_that_are_alive(cluster):
    values = pod_environment("overlays/sidecar")
    folder = cluster.directory / "members"
    folder.mkdir()
    program = cluster.directory / "serf"
    program.symlink_to(OURS.path)
    agent = cluster.prepare(OURS, "pod")
    agent.variables = {
        "SERF_AGENT_EVENT_HANDLERS":
            values["SERF_AGENT_EVENT_HANDLERS"].replace("/members/", f"{folder}/"),
        "SERF_RPC_ADDR": agent.rpc_address, "PATH": f"{cluster.directory}:/usr/bin:/bin"}
    agent.start()
    cluster.agent(OURS, "other", join=[agent])
    alive = folder / "alive"

    def both():
        text = alive.read_text("utf-8") if alive.exists() else ""
        return "pod" in text and "other" in text, text
    wait_until(both, 70, "the file names both members")


def test_an_agent_that_does_all_of_it_takes_less_than_is_requested(pods, record_property):
    """Encrypted, found by the API server over TLS, and scraped. The limit is four times the request,
    for large clusters and bursts."""
    if OURS.is_sanitized:
        pytest.skip("a sanitizer takes memory of its own")
    resources = agent_of(parse(must("kubectl", "kustomize", FOLDER / "base")))["resources"]
    assert resources["requests"]["memory"] == "16Mi" and resources["limits"]["memory"] == "64Mi"
    key = run(OURS, "keygen").stdout.strip()
    first, second = pods.prepare("first"), pods.prepare("second")
    for agent in (first, second):
        agent.extra += [f"-encrypt={key}", f"-http-addr={agent.host}:7374"]
        agent.start()
    pods.cluster.wait_all_alive()
    for agent in (first, second):
        page = urllib.request.urlopen(f"http://{agent.host}:7374/metrics", timeout=PATIENCE_SECONDS)
        assert b"serf_members" in page.read()
        record_property("resident KiB:", agent.resident_kib())
        assert agent.resident_kib() < 12 * 1024
