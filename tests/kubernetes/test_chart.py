"""The Helm chart: lint, schema, and what it renders, in every flavour."""

import json
import subprocess

import pytest

from agents import OURS, environment, run, wait_until
from containers import version
from manifests import FOLDER, containers_of, must, parse, pod_of, problems, require_tools, tool
from test_manifests import (HTTP_PORT, agent_of, check_discovery, check_exposure, check_grace,
                            check_policy, check_probes, check_replacing, check_rotation, check_spread,
                            check_timeouts, keys_of_the_agent, members_policy, service_of, settings, workload)
from test_pods import POD, for_this_machine

CHART = FOLDER / "helm/serf"
KEYRING = "encryption.keyringSecret=serf-keyring"
ROTATION = [f"--set={KEYRING}", "--set=encryption.rotation.enabled=true"]
MONITORING = ("serviceMonitor", "prometheusRule", "dashboard")
FLAVOURS = {
    "plain": [],
    "statefulset": ["--set=kind=StatefulSet"],
    "daemonset": ["--set=kind=DaemonSet", f"--set={KEYRING}"],
    "encrypted": [f"--set={KEYRING}"],
    "rotated": ROTATION,
    "rotated daemonset": ["--set=kind=DaemonSet", "--set=gossip.port=7947", *ROTATION],
    "api": ["--set=discovery=api"],
    "all": ["--set=kind=StatefulSet", *ROTATION, "--set=discovery=api", "--set=persistence.storageClass=fast",
            "--set=tags.dc=east", "--set=settings.user_event_size_limit=1000",
            "--set=nodeSelector.disk=ssd", "--set=imagePullSecrets[0].name=pull",
            "--set=podAnnotations.team=a", "--set=tolerations[0].operator=Exists",
            "--set=affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution=null",
            "--set-string=settings.retry_join=a\nb", *(f"--set=monitoring.{kind}.enabled=true"
                                                       for kind in MONITORING)],
}


@pytest.fixture(scope="module", autouse=True)
def tools():
    require_tools()


@pytest.fixture(params=FLAVOURS)
def rendered(request):
    return parse(must("helm", "template", "my", CHART, "--namespace=prod",
                      *FLAVOURS[request.param]))


def test_lint_finds_nothing():
    for flavour in FLAVOURS.values():
        must("helm", "lint", "--strict", CHART, *flavour)


def test_what_is_rendered_passes_strict_validation(rendered):
    assert problems(rendered) == []


def test_pods_are_restricted(rendered):
    for item, container in containers_of(rendered):
        pod = pod_of(item)["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["image"] == f"cserf:{version()}"
        assert "cpu" not in container["resources"]["limits"]


def test_a_pod_has_the_time_to_leave(rendered):
    assert check_grace(rendered) == 15


@pytest.mark.parametrize("leave, seconds", [("40s", 40), ("2m", 120), ("1m08s", 68)])
def test_the_grace_period_follows_the_leave_timeout(leave, seconds):
    objects = parse(must("helm", "template", "my", CHART, *ROTATION,
                         f"--set=settings.leave_timeout={leave}"))
    assert check_grace(objects) == seconds


def test_updates_and_evictions_keep_the_cluster_whole(rendered):
    check_replacing(rendered)
    if workload(rendered)["kind"] != "DaemonSet":
        check_spread(rendered)


def test_only_gossip_and_http_are_exposed(rendered):
    gossip = agent_of(rendered)["ports"][0]["containerPort"]
    check_exposure(rendered, gossip)
    policy = members_policy(rendered)
    assert bool(policy) == (workload(rendered)["kind"] != "DaemonSet")
    if policy:
        check_policy(policy, gossip)


def test_what_was_asked_for_beside_the_members_is_there(request, rendered):
    """A job where keys are rotated, a token where members ask the API server, and else neither."""
    words = FLAVOURS[request.node.callspec.params["rendered"]]
    rotated, asked = ROTATION[1] in words, "--set=discovery=api" in words
    assert sum(item["kind"] == "CronJob" for item in rendered) == rotated
    assert sum(item["kind"] == "Role" for item in rendered) == rotated + asked
    if rotated:
        check_rotation(rendered, "serf-keyring")
    if asked and "retry_join" not in " ".join(words):
        check_discovery(rendered, "my-serf-discovery")


def test_another_gossip_port_is_meant_everywhere():
    objects = parse(must("helm", "template", "my", CHART, "--set=gossip.port=7947", *ROTATION))
    ports = {port["containerPort"] for _, container in containers_of(objects)
             for port in container.get("ports", []) if port["name"] != "serf-http"}
    assert ports == {7947}
    check_exposure(objects, 7947)
    check_policy(members_policy(objects), 7947)
    test = next(item for item in objects if item["kind"] == "Pod")["spec"]["containers"][0]
    for values in (settings(objects), settings(objects, "CronJob"),
                   {entry["name"]: entry.get("value") for entry in test["env"]}):
        assert values["SERF_AGENT_BIND"] == ":7947"


def test_the_times_of_a_rotation_can_be_chosen():
    objects = parse(must("helm", "template", "my", CHART, *ROTATION,
                         "--set=encryption.rotation.wait=1h", "--set=encryption.rotation.settle=30s",
                         "--set=encryption.rotation.schedule=@weekly"))
    job = next(item for item in objects if item["kind"] == "CronJob")
    assert job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 3600 + 30 + 2700
    assert job["spec"]["schedule"] == "@weekly"
    assert {"-wait=1h", "-settle=30s"} <= set(pod_of(job)["spec"]["containers"][0]["command"])


def test_probes_ask_for_health_where_the_agent_tells_of_it(rendered):
    on_node = workload(rendered)["kind"] == "DaemonSet"
    check_probes(agent_of(rendered), settings(rendered), on_node)


def test_another_http_port_is_meant_everywhere_but_at_the_service():
    def objects(*words):
        return parse(must("helm", "template", "my", CHART, "--set=http.port=8000", *words))
    plain = objects()
    policy = next(item for item in plain if item["kind"] == "NetworkPolicy")
    ports = [port["containerPort"] for port in agent_of(plain)["ports"]]
    assert settings(plain)["SERF_AGENT_HTTP_ADDR"] == ":8000" and 8000 in ports
    assert policy["spec"]["ingress"][1]["ports"] == [{"protocol": "TCP", "port": 8000}]
    port = service_of(plain, "-http")["spec"]["ports"][0]
    assert (port["port"], port["targetPort"]) == (HTTP_PORT, "serf-http")
    node = settings(objects("--set=kind=DaemonSet", f"--set={KEYRING}"))
    assert node["SERF_AGENT_HTTP_ADDR"] == node["SERF_HTTP_ADDR"] == "127.0.0.1:8000"


def test_who_may_ask_over_http_can_be_chosen_and_may_be_nobody():
    def ingress(*words):
        objects = parse(must("helm", "template", "my", CHART, *words))
        policy = next(item for item in objects if item["kind"] == "NetworkPolicy")
        return policy["spec"]["ingress"]
    chosen = ingress("--set=networkPolicy.httpFrom[0].podSelector.matchLabels.team=a")
    assert chosen[1]["from"][0]["podSelector"] == {"matchLabels": {"team": "a"}}
    assert len(ingress("--set=networkPolicy.httpFrom=null")) == 1


def test_an_application_may_be_let_in_and_out():
    """It is in the members' pods, which the policy shuts in."""
    objects = parse(must("helm", "template", "my", CHART,
                         "--set=networkPolicy.ingress[0].ports[0].port=8080",
                         "--set=networkPolicy.egress[0].ports[0].port=5432"))
    spec = members_policy(objects)["spec"]
    assert problems(objects) == []
    assert spec["ingress"][2:] == [{"ports": [{"port": 8080}]}]
    assert spec["egress"][2:] == [{"ports": [{"port": 5432}]}]


def test_the_pod_of_helm_test_is_a_member_but_not_the_workload_s(rendered):
    test = next(item for item in rendered if item["kind"] == "Pod")["metadata"]["labels"]
    members, http = service_of(rendered, "-members"), service_of(rendered, "-http")
    assert members["spec"]["selector"].items() <= test.items()
    assert not http or not http["spec"]["selector"].items() <= test.items()
    assert not workload(rendered)["spec"]["selector"]["matchLabels"].items() <= test.items()


def test_the_agent_takes_the_pod_s_settings(rendered, tmp_path):
    for kind in {item["kind"] for item, container in containers_of(rendered)
                 if container["name"] == "serf"}:
        check_settings(rendered, kind, tmp_path)


def check_settings(rendered, kind, tmp_path):
    known = keys_of_the_agent()
    values = settings(rendered, kind)
    assert not [key for key in values if key.startswith("SERF_AGENT_")
                and not key.startswith("SERF_AGENT_TAG_") and key not in known]
    for entry in agent_of(rendered, kind)["env"]:
        if "valueFrom" in entry:
            values[entry["name"]] = POD[entry["valueFrom"]["fieldRef"]["fieldPath"]]
    values = for_this_machine(values, tmp_path)
    if "SERF_AGENT_RPC_ADDR" in values:
        values["SERF_AGENT_RPC_ADDR"] = f"unix:{tmp_path}/rpc.sock"
    done = run(OURS, "agent", "-check-config", env=environment(**values))
    assert done.returncode == 0 and "Warning" not in done.stdout, done.stdout


def test_numbers_and_lists_are_written_as_the_agent_reads_them():
    objects = parse(must("helm", "template", "my", CHART, *FLAVOURS["all"]))
    data = next(item for item in objects if item["kind"] == "ConfigMap")["data"]
    assert data["SERF_AGENT_USER_EVENT_SIZE_LIMIT"] == "1000"
    assert data["SERF_AGENT_RETRY_JOIN"] == "a\nb"
    assert data["SERF_AGENT_TAG_DC"] == "east"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_an_agent_may_stand_beside_an_application_as_in_the_sidecar_s_example(kind, tmp_path):
    example = workload(parse(must("kubectl", "kustomize", FOLDER / "overlays/sidecar")))
    pod = example["spec"]["template"]["spec"]
    agent = agent_of([example])
    handlers = next(variable["value"] for variable in agent["env"]
                    if variable["name"] == "SERF_AGENT_EVENT_HANDLERS")
    values = tmp_path / "values.json"
    values.write_text(json.dumps({
        "kind": kind,
        "settings": {"event_handlers": handlers},
        "application": {"containers": pod["containers"], "volumes": pod["volumes"],
                        "agentMounts": agent["volumeMounts"]}}), "utf-8")
    objects = parse(must("helm", "template", "my", CHART, "-f", values))
    assert problems(objects) == []
    made = workload(objects)["spec"]["template"]["spec"]
    assert made["containers"] == pod["containers"]
    assert [(container["name"], container["restartPolicy"]) for container in made["initContainers"]] \
        == [("serf", "Always")]
    assert made["volumes"] == pod["volumes"]
    assert all(mount in made["initContainers"][0]["volumeMounts"] for mount in agent["volumeMounts"])
    assert settings(objects)["SERF_AGENT_EVENT_HANDLERS"] == handlers


def test_names_that_never_come_back_are_forgotten_early(rendered):
    check_timeouts(rendered)


def test_how_early_can_be_chosen():
    objects = parse(must("helm", "template", "my", CHART, "--set=settings.tombstone_timeout=5m"))
    assert settings(objects)["SERF_AGENT_TOMBSTONE_TIMEOUT"] == "5m"


def test_the_label_is_made_of_namespace_and_name_and_can_be_kept():
    def label(*words):
        objects = parse(must("helm", "template", "my", CHART, "--namespace=prod", *words))
        test = next(item for item in objects if item["kind"] == "Pod")["spec"]["containers"][0]
        data = next(item for item in objects if item["kind"] == "ConfigMap")["data"]
        environment_of_test = {entry["name"]: entry.get("value") for entry in test["env"]}
        assert environment_of_test["SERF_AGENT_LABEL"] == data["SERF_AGENT_LABEL"]
        return data["SERF_AGENT_LABEL"]
    assert label() == "prod/my-serf"
    assert label("--set=label=default/serf") == "default/serf"


def test_a_changed_setting_rolls_the_pods():
    def checksum(*words):
        objects = parse(must("helm", "template", "my", CHART, *words))
        return workload(objects)["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
    assert checksum() == checksum()
    assert checksum() != checksum("--set=settings.log_level=debug")


@pytest.mark.parametrize("words, reason", [
    (["--set=kind=DaemonSet"], "keyringSecret"),
    (["--set=kind=Job"], "kind"),
    (["--set=replicas=0"], "replicas"),
    (["--set=replica=3"], "replica"),
    (["--set=settings.encrypt_key=abc"], "encrypt_key"),
    (["--set=settings.http_addr=:80"], "http_addr"),
    (["--set=kind=DaemonSet", f"--set={KEYRING}",
      "--set=monitoring.serviceMonitor.enabled=true"], "serviceMonitor"),
    (["--set=encryption.rotation.enabled=true"], "keyringSecret"),
    (["--set=encryption.rotation.wait=soon", f"--set={KEYRING}"], "wait"),
    (["--set=encryption.rotation.wait=10m10m", f"--set={KEYRING}"], "wait"),
    (["--set=discovery=mdns"], "discovery"),
    (["--set=settings.bind=:7947"], "bind"),
    (["--set=terminationGracePeriodSeconds=5"], "terminationGracePeriodSeconds"),
    (["--set=settings.leave_timeout=500ms"], "leave_timeout"),
    (["--set=settings.leave_timeout=null"], "leave_timeout"),
    (["--set=kind=DaemonSet", f"--set={KEYRING}", "--set=application.containers[0].name=web",
      "--set=application.containers[0].image=web"], "containers"),
    (["--set=application.containers[0].name=serf", "--set=application.containers[0].image=web"], "name"),
    (["--set=application.containers[0].name=web"], "image"),
])
def test_values_that_make_no_sense_are_refused(words, reason):
    done = tool("helm", "template", "my", CHART, *words)
    assert done.returncode != 0 and reason in done.stderr


def test_chart_program_and_values_agree():
    chart = parse((CHART / "Chart.yaml").read_text("utf-8"))[0]
    assert chart["version"] == chart["appVersion"] == version()
    values = parse((CHART / "values.yaml").read_text("utf-8"))[0]
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    assert set(values) | {"global"} == set(schema["properties"])


def test_the_test_s_script_finds_a_cluster_and_leaves(cluster):
    """What `helm test` runs, with addresses of this machine."""
    objects = parse(must("helm", "template", "my", CHART))
    script = next(item for item in objects if item["kind"] == "Pod")["spec"]["containers"][0]
    script = script["command"][2]
    member = cluster.agent(OURS, "member")
    folder = cluster.directory / "app"
    folder.mkdir()
    for name in ("serf", "boot"):
        (folder / name).symlink_to(OURS.path)
    host = cluster.prepare(OURS, "test")
    variables = {"SERF_AGENT_NODE_NAME": "test", "SERF_AGENT_BIND": host.address,
                 "SERF_AGENT_RPC_ADDR": host.rpc_address, "SERF_RPC_ADDR": host.rpc_address,
                 "SERF_AGENT_RETRY_JOIN": member.address, "SERF_CONFDIR": "/nonexistent",
                 "PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(["/bin/sh", "-c", script.replace("/app/", f"{folder}/")], text=True,
                          capture_output=True, timeout=150, env=environment(**variables),
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: member.statuses().get("test") == "left", 70, "the member sees it as left")
