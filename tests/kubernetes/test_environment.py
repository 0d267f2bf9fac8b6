"""An agent that is configured by its environment alone, as a manifest does it."""

import json

from agents import OURS, environment, run, wait_until

POD = {
    "SERF_AGENT_NODE_NAME": "serf-abc12",
    "SERF_AGENT_PROFILE": "local",
    "SERF_AGENT_LEAVE_ON_TERMINATE": "true",
    "SERF_AGENT_TAG_NAMESPACE": "default",
    "SERF_AGENT_TAG_ZONE": "",
    # What Kubernetes sets for Services called serf and serf-agent.
    "SERF_PORT": "tcp://10.3.0.48:7946",
    "SERF_AGENT_SERVICE_HOST": "10.3.0.49",
    "SERF_AGENT_PORT": "tcp://10.3.0.49:7946",
    "SERF_AGENT_PORT_7946_TCP_ADDR": "10.3.0.49",
}


def prepare(cluster, name, **variables):
    agent = cluster.prepare(OURS, name, profile=None)
    agent.variables = {**POD, **variables}
    return agent


def test_a_pod_s_settings_come_from_its_environment(cluster):
    first = cluster.agent(OURS, "first")
    pod = prepare(cluster, "unused", SERF_AGENT_RETRY_JOIN=first.address)
    pod.arguments = lambda: ["agent", f"-bind={pod.address}", f"-rpc-addr={pod.rpc_address}"]
    pod.start()

    def known():
        member = first.members().get("serf-abc12")
        return member and member["status"] == "alive", first.members()
    wait_until(known, 70, "the pod is a member under its own name")
    assert first.members()["serf-abc12"]["tags"] == {"namespace": "default"}
    assert "Warning" not in pod.log()
    pod.process.terminate()
    pod.left = True
    assert pod.wait_exit() == 0
    wait_until(lambda: first.statuses()["serf-abc12"] == "left", 70, "the pod is known to have left")


def test_an_unknown_setting_is_named_once(cluster):
    agent = prepare(cluster, "first", SERF_AGENT_RETRY_JION="10.0.0.1")
    agent.start()
    agent.process.send_signal(1)
    agent.wait_log("Reloading configuration")
    assert agent.run("members").returncode == 0
    assert len(agent.log_lines("unknown in the environment: SERF_AGENT_RETRY_JION;")) == 1


def test_a_handler_does_not_see_the_key(cluster):
    found = cluster.directory / "found"
    agent = prepare(cluster, "first", SERF_AGENT_ENCRYPT_KEY="cg8StVXbQJ0gPvMd9o7yrg==",
                    SERF_AGENT_EVENT_HANDLERS=f"member-join=env >{found}.new; mv {found}.new {found}")
    agent.start()
    wait_until(found.exists, 70, "the handler has run")
    text = found.read_text("utf-8")
    assert "SERF_AGENT_NODE_NAME=serf-abc12" in text and "cg8StVXb" not in text
    assert json.loads(agent.cli("info", "-format=json"))["serf"]["encrypted"] == "true"


def test_a_wrong_value_ends_the_start_with_one_line():
    done = run(OURS, "agent", env=environment(SERF_AGENT_PROTOCOL="five"))
    assert done.returncode == 1
    assert done.stdout == ("==> Error in the environment: SERF_AGENT_PROTOCOL: expected a whole "
                           "number, got \"five\"\n")
