"""The manifests: by kubectl, against the published schemas with a check for unknown fields on top,
and for what this project promises of them."""

import json
import os
import re
import shutil

import pytest

from agents import REPOSITORY
from containers import version
from manifests import FOLDER, containers_of, must, parse, pod_of, problems, require_tools

SEED = ("serf-service.yml", "serf-controller.yaml", "serf-pod.yaml")
OVERLAYS = sorted(path.parent.relative_to(FOLDER).as_posix()
                  for path in FOLDER.glob("overlays/*/kustomization.yaml"))
BUILT = ["base", *OVERLAYS]
GOSSIP_PORT = 7946
HTTP_PORT = 7374
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")


@pytest.fixture(scope="module", autouse=True)
def tools():
    require_tools()


@pytest.fixture(scope="module")
def built():
    """{folder: its objects}"""
    return {name: parse(must("kubectl", "kustomize", FOLDER / name)) for name in BUILT}


def seed(name):
    return (FOLDER / name).read_text("utf-8")


def workload(objects):
    found = [item for item in objects if item["kind"] in WORKLOADS]
    assert len(found) == 1
    return found[0]


def service_of(objects, ending):
    """The Service whose name ends so, or None."""
    return next((item for item in objects if item["kind"] == "Service"
                 and item["metadata"]["name"].endswith(ending)), None)


def agent_of(objects, kind=None):
    """The agent's container in the workload, or in the first object of a kind."""
    return next(container for item, container in containers_of(objects)
                if container["name"] == "serf" and item["kind"] in ([kind] if kind else WORKLOADS))


# --- the checks themselves ---


def test_the_seed_s_misspelling_is_refused():
    text = seed("serf-service.yml").replace("spec:\n", "spec:\n  clusterIp: 10.3.0.48\n", 1)
    assert problems(parse(text)) == ["Service/serf/spec/clusterIp: no schema knows this field"]


def test_a_field_of_the_wrong_type_is_refused():
    text = seed("serf-controller.yaml").replace("replicas: 1", 'replicas: "1"')
    assert any("spec/replicas: type" in problem for problem in problems(parse(text)))


def test_a_field_that_is_missing_is_refused():
    text = seed("serf-pod.yaml").replace("    - name: serf\n      image: cserf:0.1.0\n",
                                         "    - image: cserf:0.1.0\n")
    assert any("required" in problem for problem in problems(parse(text)))


def test_a_key_that_appears_twice_is_refused():
    with pytest.raises(AssertionError, match="twice"):
        parse("a: 1\nb: 2\na: 3\n")


# --- the seed's walk-through ---


@pytest.mark.parametrize("name", SEED)
def test_the_seed_s_files_pass_strict_validation(name):
    assert problems(parse(seed(name))) == []


def test_the_seed_s_names_are_what_its_commands_speak_of():
    service, controller = parse(seed("serf-service.yml"))[0], parse(seed("serf-controller.yaml"))[0]
    assert service["metadata"]["labels"] == {"name": "serf", "role": "service"}
    assert (controller["kind"], controller["metadata"]["name"]) == ("ReplicationController", "serf")
    assert service["spec"]["selector"] == controller["spec"]["selector"] == {"name": "serf"}
    # These two names make SERF_SERVICE_PORT_SERF_TCP and SERF_SERVICE_PORT_SERF_UDP.
    assert [port["name"] for port in service["spec"]["ports"]] == ["serf-tcp", "serf-udp"]


def test_the_single_pod_is_neither_adopted_nor_an_endpoint():
    pod, controller = parse(seed("serf-pod.yaml"))[0], parse(seed("serf-controller.yaml"))[0]
    assert pod["metadata"]["labels"] != controller["spec"]["selector"]


# --- what kustomize builds ---


@pytest.mark.parametrize("name", BUILT)
def test_what_is_built_passes_strict_validation(built, name):
    assert problems(built[name]) == []


@pytest.mark.parametrize("name", BUILT)
def test_pods_are_restricted(built, name):
    for item, container in containers_of(built[name]):
        pod, security = pod_of(item)["spec"], container["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 7946
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", BUILT)
def test_memory_is_limited_and_the_processor_is_not(built, name):
    for _, container in containers_of(built[name]):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize("name", BUILT)
def test_a_pod_has_the_time_to_leave(built, name):
    check_grace(built[name])


@pytest.mark.parametrize("name", SEED[1:])
def test_the_seed_s_pods_have_the_time_to_leave_that_the_agent_takes_by_default(name):
    source = (REPOSITORY / "src/agent/config.c").read_text("utf-8")
    leave = int(re.search(r"\.leave_timeout = (\d+) \* second", source)[1])
    (item,) = parse(seed(name))
    assert pod_of(item)["spec"]["terminationGracePeriodSeconds"] == leave + 15


def check_grace(objects):
    """The leave timeout and 15 s more, the job's pod and that of `helm test` too."""
    leave = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", settings(objects)["SERF_AGENT_LEAVE_TIMEOUT"])
    seconds = 60 * int(leave[1] or 0) + int(leave[2] or 0)
    periods = {item["kind"]: pod_of(item)["spec"]["terminationGracePeriodSeconds"]
               for item in objects if pod_of(item)}
    assert periods and set(periods.values()) == {seconds + 15}, periods
    return seconds


@pytest.mark.parametrize("name", BUILT)
def test_updates_and_evictions_keep_the_cluster_whole(built, name):
    check_replacing(built[name])


def check_replacing(objects):
    """One more before one less, or one at a time where there can't be one more; and pods spread, each
    generation by itself."""
    item = workload(objects)
    kind, spec = item["kind"], item["spec"]
    assert spec["minReadySeconds"] >= 10
    if kind == "Deployment":
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    if kind == "DaemonSet":
        assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1}
    budgets = [item["spec"]["maxUnavailable"] for item in objects
               if item["kind"] == "PodDisruptionBudget"]
    assert budgets == ([] if kind == "DaemonSet" else [1])
    generation = {"Deployment": "pod-template-hash", "StatefulSet": "controller-revision-hash"}
    for spread in spec["template"]["spec"].get("topologySpreadConstraints", []):
        assert spread["matchLabelKeys"] == [generation[kind]]


def test_members_spread_over_zones_and_nodes(built):
    for name in ("base", "overlays/statefulset"):
        check_spread(built[name])


def check_spread(objects):
    spread = workload(objects)["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [entry["topologyKey"] for entry in spread] == ["topology.kubernetes.io/zone",
                                                          "kubernetes.io/hostname"]


@pytest.mark.parametrize("name", BUILT)
def test_services_have_addresses_of_both_families_where_there_are_two(built, name):
    assert {item["spec"]["ipFamilyPolicy"] for item in built[name]
            if item["kind"] == "Service"} == {"PreferDualStack"}


@pytest.mark.parametrize("name", BUILT)
def test_names_that_never_come_back_are_forgotten_early(built, name):
    check_timeouts(built[name])


def check_timeouts(objects):
    values, early = settings(objects), workload(objects)["kind"] == "Deployment"
    assert [values[f"SERF_AGENT_{timeout}_TIMEOUT"] for timeout in ("RECONNECT", "TOMBSTONE")] == (
        ["15m", "1h"] if early else ["24h", "24h"])


@pytest.mark.parametrize("name", BUILT)
def test_only_gossip_and_http_are_exposed(built, name):
    check_exposure(built[name])


def check_exposure(objects, gossip=GOSSIP_PORT):
    """The RPC port is for the pod alone, on the node's network HTTP too; members are found by one
    Service, and clients get HTTP by another."""
    item = workload(objects)
    on_node = item["spec"]["template"]["spec"].get("hostNetwork", False)
    services = [item for item in objects if item["kind"] == "Service"]
    offered = {item["metadata"]["name"].rpartition("-")[2]:
               {port["port"] for port in item["spec"]["ports"]} for item in services}
    assert offered == {"members": {gossip}, **({} if on_node else {"http": {HTTP_PORT}})}
    ports = {port["containerPort"] for port in agent_of(objects)["ports"]}
    assert ports == ({gossip} if on_node else {gossip, HTTP_PORT})
    assert not [container["name"] for _, container in containers_of(objects)
                if container.get("ports") and container["name"] != "serf"]
    if not on_node:
        assert service_of(objects, "-http")["spec"]["type"] == "ClusterIP"


@pytest.mark.parametrize("name", BUILT)
def test_clients_of_http_come_from_the_monitoring_namespace_alone(built, name):
    policy = members_policy(built[name])
    assert policy or name in ("overlays/daemonset", "overlays/from-seed")
    if policy:
        check_policy(policy)


def members_policy(objects):
    """The NetworkPolicy of the members, or None; that of the job lets it out to the API server."""
    return next((item for item in objects if item["kind"] == "NetworkPolicy"
                 and not item["metadata"]["name"].endswith("-key-rotation")), None)


def check_policy(policy, port=GOSSIP_PORT):
    """Gossip comes from the members themselves, HTTP from who may, and nothing else comes. Nothing
    goes out but gossip and questions to the name service, and to the API server where it is asked."""
    spec = policy["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    told, *open_to_all = spec["egress"]
    assert told["to"] == [{"podSelector": spec["podSelector"]}]
    asked = {(entry["protocol"], entry["port"]) for rule in open_to_all for entry in rule["ports"]}
    names = {("TCP", 53), ("UDP", 53)}
    assert asked in (names, names | {("TCP", 443), ("TCP", 6443)})
    gossip, http = spec["ingress"]
    assert gossip["from"] == [{"podSelector": spec["podSelector"]}]
    for rule in (gossip, told):
        assert {(entry["protocol"], entry["port"]) for entry in rule["ports"]} == {
            ("TCP", port), ("UDP", port)}
    assert http["from"] == [{"namespaceSelector": {"matchLabels": {
        "kubernetes.io/metadata.name": "monitoring"}}}]
    assert http["ports"] == [{"protocol": "TCP", "port": HTTP_PORT}]


@pytest.mark.parametrize("name", BUILT)
def test_probes_ask_for_health_where_the_agent_tells_of_it(built, name):
    pod = workload(built[name])["spec"]["template"]["spec"]
    check_probes(agent_of(built[name]), settings(built[name]), pod.get("hostNetwork", False))


def check_probes(agent, values, on_node):
    """By HTTP at the pod's port, or from within the pod where HTTP is at the loopback address."""
    probes = {kind: agent[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    if on_node:
        asked = {kind: probe["exec"]["command"] for kind, probe in probes.items()}
        live, ready = ["/app/serf", "health", "-live"], ["/app/serf", "health"]
        assert values["SERF_AGENT_HTTP_ADDR"] == f"127.0.0.1:{HTTP_PORT}"
        assert values["SERF_HTTP_ADDR"] == values["SERF_AGENT_HTTP_ADDR"]
        assert not [kind for kind, probe in probes.items() if "httpGet" in probe]
    else:
        asked = {kind: probe["httpGet"]["path"] for kind, probe in probes.items()}
        live, ready = "/health/live", "/health/ready"
        ports = {port["name"]: port["containerPort"] for port in agent["ports"]}
        assert values["SERF_AGENT_HTTP_ADDR"] == f":{ports['serf-http']}"
        assert {probe["httpGet"]["port"] for probe in probes.values()} == {"serf-http"}
    # A member that found nobody yet is not ready, and that is no reason to start it again.
    assert asked == {"startup": live, "readiness": ready, "liveness": live}
    liveness = probes["liveness"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 120


@pytest.mark.parametrize("name", BUILT)
def test_selectors_find_the_pods(built, name):
    labels = workload(built[name])["spec"]["template"]["metadata"]["labels"]
    selectors = []
    for item in built[name]:
        spec = item.get("spec", {})
        if item["kind"] == "ServiceMonitor" or item["metadata"]["name"] == "serf-key-rotation":
            continue
        selectors += [spec["selector"]] if item["kind"] == "Service" else []
        selectors += [spec[key]["matchLabels"] for key in ("selector", "podSelector")
                      if "matchLabels" in spec.get(key, {})]
        selectors += [spread["labelSelector"]["matchLabels"] for spread in
                      spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints", [])]
    assert selectors and all(selector.items() <= labels.items() for selector in selectors)


@pytest.mark.parametrize("name", BUILT)
def test_every_image_is_this_version_s_and_is_not_pulled_again(built, name):
    for _, container in containers_of(built[name]):
        assert container["image"] == f"cserf:{version()}"
        assert container["imagePullPolicy"] == "IfNotPresent"


def test_seed_and_version_agree():
    for name in SEED[1:]:
        assert {container["image"] for _, container in containers_of(parse(seed(name)))} == \
            {f"cserf:{version()}"}


def keys_of_the_agent():
    """The names of the variables, by the table of keys in the source."""
    table = (REPOSITORY / "src/agent/config.c").read_text("utf-8")
    table = table[table.index("config_keys[] = {"):table.index("CONFIG_KEY_COUNT = ")]
    names = re.findall(r'(?:\{|KEY\w*\()"([\w.]+)"', table)
    assert len(names) > 40
    return {"SERF_AGENT_" + name.upper().replace(".", "_") for name in names}


def settings(objects, kind=None):
    """The environment of the agent's container; what a field gives is None."""
    values = {}
    maps = {item["metadata"]["name"]: item["data"] for item in objects
            if item["kind"] == "ConfigMap"}
    agent = agent_of(objects, kind)
    for source in agent.get("envFrom", []):
        values.update(maps[source["configMapRef"]["name"]])
    values.update({entry["name"]: entry.get("value") for entry in agent.get("env", [])})
    return values


@pytest.mark.parametrize("name", BUILT)
def test_every_setting_is_one_that_the_agent_knows(built, name):
    known = keys_of_the_agent()
    unknown = [key for key in settings(built[name]) if key.startswith("SERF_AGENT_")
               and not key.startswith("SERF_AGENT_TAG_") and key not in known]
    assert not unknown


@pytest.mark.parametrize("name", BUILT)
def test_a_cluster_has_a_label_of_its_namespace(built, name):
    """A variable is put into another's value only when it stands before it."""
    names = [entry["name"] for entry in agent_of(built[name])["env"]]
    assert settings(built[name])["SERF_AGENT_LABEL"] == "$(SERF_AGENT_TAG_NAMESPACE)/serf"
    assert names.index("SERF_AGENT_TAG_NAMESPACE") < names.index("SERF_AGENT_LABEL")


@pytest.mark.parametrize("name", BUILT)
def test_members_find_each_other_by_the_headless_service(built, name):
    service = service_of(built[name], "-members")
    first = settings(built[name])["SERF_AGENT_RETRY_JOIN"].splitlines()[0]
    assert first == service["metadata"]["name"] or name == "overlays/api-discovery"
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_the_daemonset_is_encrypted_as_it_is_on_the_node_s_network(built):
    pod = workload(built["overlays/daemonset"])["spec"]["template"]["spec"]
    values = settings(built["overlays/daemonset"])
    assert pod["hostNetwork"] is True
    assert values["SERF_AGENT_KEYRING_FILE"] == "/keyring/keyring.json"
    assert values["SERF_AGENT_RPC_ADDR"].startswith("unix:")
    assert values["SERF_RPC_ADDR"] == values["SERF_AGENT_RPC_ADDR"]


def test_no_other_pod_is_on_the_node_s_network(built):
    assert not [name for name in BUILT if name != "overlays/daemonset" and
                workload(built[name])["spec"]["template"]["spec"].get("hostNetwork")]


def test_the_statefulset_keeps_its_snapshot(built):
    item = workload(built["overlays/statefulset"])
    claim = item["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]
    mount = agent_of(built["overlays/statefulset"])["volumeMounts"][0]
    assert item["spec"]["podManagementPolicy"] == "Parallel" and mount["name"] == claim
    path = settings(built["overlays/statefulset"])["SERF_AGENT_SNAPSHOT_PATH"]
    assert path.startswith(mount["mountPath"] + "/")


def test_a_changed_setting_rolls_the_pods(built):
    """The name of the settings' map depends on what is in it."""
    names = {settings_map["metadata"]["name"] for objects in built.values()
             for settings_map in objects if settings_map["kind"] == "ConfigMap"
             and settings_map["metadata"]["name"] != "serf-dashboard"}
    assert all(re.fullmatch(r"serf-settings-\w{10}", name) for name in names) and len(names) > 1


# --- the job that rotates keys, and discovery by the API server ---


def named(objects, kind, name):
    return next(item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name))


def check_account(objects, name, rules):
    """The account may do this much, by a role that nobody else has, and no token is mounted but
    where it is asked for."""
    role, binding = named(objects, "Role", name), named(objects, "RoleBinding", name)
    assert role["rules"] == rules
    assert binding["roleRef"]["name"] == name and len(binding["subjects"]) == 1
    account = named(objects, "ServiceAccount", binding["subjects"][0]["name"])
    assert account["automountServiceAccountToken"] is False
    return account["metadata"]["name"]


def with_token(pod):
    """The containers that can read the pod's token."""
    volumes = {volume["name"] for volume in pod["volumes"] if any(
        "serviceAccountToken" in source for source in volume.get("projected", {}).get("sources", []))}
    return {container["name"] for container in [*pod.get("initContainers", []), *pod["containers"]]
            for mount in container.get("volumeMounts", []) if mount["name"] in volumes
            and mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"}


def check_rotation(objects, secret):
    job = next(item for item in objects if item["kind"] == "CronJob")
    name, spec = job["metadata"]["name"], job["spec"]
    account = check_account(objects, name, [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret],
         "verbs": ["get", "patch"]}])
    pod = pod_of(job)["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] >= 2700 + 2 * 60 + 10 * 60
    assert pod["serviceAccountName"] == account and with_token(pod) == {"rotate"}
    # The member is there before the command, and does not keep the job from its end.
    (agent,), (rotate,) = pod["initContainers"], pod["containers"]
    assert agent["restartPolicy"] == "Always" and pod["restartPolicy"] == "Never"
    assert agent["startupProbe"]["exec"]["command"] == ["/app/serf", "health"]
    assert rotate["command"][:2] == ["/app/serf", "rotate-key"]
    assert f"-secret={secret}" in rotate["command"]
    socket = settings(objects, "CronJob")["SERF_AGENT_RPC_ADDR"]
    assert f"-rpc-addr={socket}" in rotate["command"] and socket.startswith("unix:/run/serf/")
    assert {volume["name"] for volume in pod["volumes"] if volume.get("emptyDir", {}).get(
        "medium") == "Memory"} >= {"run"}
    check_rotating_member(objects, pod)


def check_rotating_member(objects, pod):
    """It joins the members, and is none of those that requests, budgets and spread are about."""
    labels = pod_of(next(item for item in objects if item["kind"] == "CronJob"))["metadata"]["labels"]
    for selector in (named_selectors := selectors_of(objects))["gossip"]:
        assert selector.items() <= labels.items()
    for selector in named_selectors["members"]:
        assert not selector.items() <= labels.items()
    member, job = settings(objects), settings(objects, "CronJob")
    assert job["SERF_AGENT_LABEL"] == member["SERF_AGENT_LABEL"]
    assert job["SERF_AGENT_RETRY_JOIN"].split(":")[0] == service_of(
        objects, "-members")["metadata"]["name"]
    assert job["SERF_AGENT_TAG_PURPOSE"] == "key-rotation"
    assert not job["SERF_AGENT_SNAPSHOT_PATH"]
    assert job["SERF_AGENT_KEYRING_SOURCE"] == member["SERF_AGENT_KEYRING_SOURCE"]


def selectors_of(objects):
    """Those that mean everybody who gossips, and those that mean the workload's pods alone."""
    policy, http = members_policy(objects), service_of(objects, "-http")
    gossip = [service_of(objects, "-members")["spec"]["selector"]]
    gossip += [policy["spec"]["podSelector"]["matchLabels"]] if policy else []
    members = [http["spec"]["selector"]] if http else []
    members += [item["spec"]["selector"]["matchLabels"] for item in objects
                if item["kind"] == "PodDisruptionBudget"]
    return {"gossip": gossip, "members": members}


def test_the_key_is_rotated_by_who_may_change_that_one_secret(built):
    check_rotation(built["overlays/encrypted"], "serf-keyring")


def test_the_base_has_no_token_and_no_role(built):
    assert not [item for item in built["base"] if item["kind"] in ("Role", "RoleBinding")]
    pod = workload(built["base"])["spec"]["template"]["spec"]
    assert not pod.get("volumes")


def check_discovery(objects, name):
    account = check_account(objects, name, [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
    pod = workload(objects)["spec"]["template"]
    assert pod["spec"]["serviceAccountName"] == account and with_token(pod["spec"]) == {"serf"}
    address = settings(objects)["SERF_AGENT_RETRY_JOIN"]
    selector = re.fullmatch(r'provider=k8s label_selector="(\S+)"', address)[1]
    chosen = dict(part.split("=") for part in selector.split(","))
    assert chosen.items() <= pod["metadata"]["labels"].items()
    return chosen


def test_members_may_be_found_by_who_may_list_pods(built):
    objects = built["overlays/api-discovery"]
    check_discovery(objects, "serf-discovery")
    ports = {port["port"] for rule in members_policy(objects)["spec"]["egress"]
             for port in rule["ports"]}
    assert {443, 6443} <= ports


COMPONENTS = {"statefulset": ["api-discovery", "encrypted", "key-rotation"],
              "daemonset": ["api-discovery", "key-rotation"],  # its keys it has already
              "sidecar": ["encrypted", "key-rotation"]}


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_components_go_beside_other_workloads(name, tmp_path):
    (tmp_path / "overlays/mine").mkdir(parents=True)
    for part in ("base", "components", f"overlays/{name}"):
        shutil.copytree(FOLDER / part, tmp_path / part)
    (tmp_path / "overlays/mine/kustomization.yaml").write_text(json.dumps({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [f"../{name}"],
        "components": [f"../../components/{part}" for part in COMPONENTS[name]]}), "utf-8")
    objects = parse(must("kubectl", "kustomize", tmp_path / "overlays/mine"))
    assert problems(objects) == []
    check_rotation(objects, "serf-keyring")
    check_keyring(workload(objects)["spec"]["template"]["spec"], agent_of(objects))
    if "api-discovery" in COMPONENTS[name]:
        check_discovery(objects, "serf-discovery")


def check_keyring(pod, agent):
    """The agent reads the Secret's keyring, and writes to a copy in memory."""
    values = {entry["name"]: entry.get("value") for entry in agent["env"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in agent["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    source, copy = (os.path.dirname(values[f"SERF_AGENT_KEYRING_{name}"])
                    for name in ("SOURCE", "FILE"))
    assert volumes[mounts[source]]["secret"]["secretName"] == "serf-keyring"
    assert volumes[mounts[copy]]["emptyDir"]["medium"] == "Memory"


def test_the_job_gossips_where_the_members_have_no_policy_of_their_own(built):
    """On the nodes' addresses they have none."""
    policy = named(built["overlays/encrypted"], "NetworkPolicy", "serf-key-rotation")["spec"]
    assert policy["policyTypes"] == ["Egress"]
    ports = {(entry["protocol"], entry["port"]) for rule in policy["egress"]
             for entry in rule["ports"] if "to" not in rule}
    assert ports == {("TCP", 443), ("TCP", 6443), ("TCP", GOSSIP_PORT), ("UDP", GOSSIP_PORT),
                     ("TCP", 53), ("UDP", 53)}


def test_the_port_of_the_daemonset_can_be_set(tmp_path):
    """By what its description says: one setting, and the number that is reserved on the node."""
    for part in ("base", "components", "overlays/daemonset"):
        shutil.copytree(FOLDER / part, tmp_path / part)
    path = tmp_path / "overlays/mine"
    path.mkdir()
    ports = [{"op": "replace", "value": 7947,
              "path": f"/spec/template/spec/containers/0/ports/{i}/containerPort"} for i in (0, 1)]
    (path / "kustomization.yaml").write_text(json.dumps({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["../daemonset"],
        "configMapGenerator": [{"name": "serf-settings", "behavior": "merge",
                                "literals": ["SERF_AGENT_BIND=:7947"]}],
        "patches": [{"target": {"kind": "DaemonSet"}, "patch": json.dumps(ports)}]}), "utf-8")
    objects = parse(must("kubectl", "kustomize", path))
    assert settings(objects)["SERF_AGENT_BIND"] == ":7947"
    assert {port["containerPort"] for port in agent_of(objects)["ports"]} == {7947}
    members = service_of(objects, "-members")["spec"]["ports"]
    assert [port["targetPort"] for port in members] == ["serf-tcp", "serf-udp"]
