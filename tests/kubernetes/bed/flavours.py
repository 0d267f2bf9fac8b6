"""What the manifests put into a pod: its environment, and how it is named and ended.

Read from kubernetes/ by way of kustomize's two rules that matter here (a generated map, and one that
is merged into it), so that no kubectl is needed; test_bed.py compares with kubectl where it is."""

import re
from dataclasses import dataclass, field, replace

import yaml

from agents import REPOSITORY
from localcluster import pods

FOLDER = REPOSITORY / "kubernetes"
NAMESPACE = "default"
SEED_SERVICE = "serf"  # in kubernetes/serf-service.yml
DEPLOYMENT = "base/deployment.yaml"
ROTATION = "components/key-rotation/cronjob.yaml"
KEYRING_SECRET, KEYRING = "serf-keyring", "keyring.json"  # as docs/kubernetes.md has them made
SNAPSHOT_MOUNT, SECRET_MOUNT, COPY_MOUNT = "/var/lib/serf/", "/secret/", "/keyring/"
SOCKET_MOUNT = "/run/serf"  # which the job's containers share


def _read(path):
    return yaml.safe_load((FOLDER / path).read_text("utf-8"))


def image_settings():
    """The agent's settings in the image itself."""
    text = (REPOSITORY / "Containerfile").read_text("utf-8")
    return dict(re.findall(r"\b(SERF_AGENT_\w+)=(\S+)", text))


def _kustomizations(folder):
    """That of the folder, behind those that it builds on: (folder, kustomization)."""
    kustomization = _read(f"{folder}/kustomization.yaml")
    for part in (*kustomization.get("resources", []), *kustomization.get("components", [])):
        path = (FOLDER / folder / part).resolve()
        if path.is_dir():
            yield from _kustomizations(path.relative_to(FOLDER))
    yield folder, kustomization


def generated_settings(folder):
    """The settings of the kustomization and of those it begins with."""
    values = {}
    for _, kustomization in _kustomizations(folder):
        for made in kustomization.get("configMapGenerator", []):
            if made["name"] == "serf-settings":
                values.update(literal.split("=", 1) for literal in made["literals"])
    return values


def allowed(folder):
    """What Roles permit in the pods' namespace: [(verb, resource, name or None: all)]."""
    objects = [item for part, kustomization in _kustomizations(folder)
               for name in kustomization.get("resources", []) if (FOLDER / part / name).is_file()
               for item in yaml.safe_load_all((FOLDER / part / name).read_text("utf-8"))]
    return [(verb, resource, name) for item in objects if item["kind"] == "Role"
            for rule in item["rules"] for verb in rule["verbs"] for resource in rule["resources"]
            for name in rule.get("resourceNames", [None])]


def pod_fields(pod):
    """What the kubelet fills in where a variable comes from a field of the pod."""
    return {"metadata.name": pod.name, "metadata.namespace": NAMESPACE,
            "status.podIP": pod.address, "spec.nodeName": f"node-{pod.node}",
            "metadata.labels['topology.kubernetes.io/zone']": ""}


def _template(workload):
    spec = _read(workload)["spec"]
    return spec.get("jobTemplate", {}).get("spec", spec)["template"]


def containers(workload):
    """{name: container} of a workload's pod, as its file has them."""
    pod = _template(workload)["spec"]
    return {container["name"]: container
            for container in (*pod.get("initContainers", []), *pod["containers"])}


def min_ready_seconds():
    return _read(DEPLOYMENT)["spec"]["minReadySeconds"]


def pod_labels(workload=DEPLOYMENT):
    """Those of its pods, with what the base adds to all."""
    labels = dict(_template(workload)["metadata"]["labels"])
    for entry in _read("base/kustomization.yaml")["labels"]:
        labels.update(entry["pairs"])
    return labels


def _patched_variables(folder):
    """The variables that patches add to the agent's container of the Deployment."""
    for _, kustomization in _kustomizations(folder):
        for entry in kustomization.get("patches", []):
            patch = yaml.safe_load(entry["patch"])
            if isinstance(patch, dict) and "template" in patch.get("spec", {}):
                for container in patch["spec"]["template"]["spec"].get("containers", []):
                    yield from container.get("env", [])


def container_settings(folder, workload, pod):
    """The variables that stand in the agent's container itself."""
    entries = containers(workload)["serf"]["env"]
    if workload == DEPLOYMENT:
        entries = [*entries, *_patched_variables(folder)]
    values = {}
    for entry in entries:
        if "valueFrom" in entry:
            values[entry["name"]] = pod_fields(pod)[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            values[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda match: values[match[1]],
                                           entry["value"])
    return values


def on_volumes(value, folder):
    """A path on a volume of the pod is one in a folder of this machine."""
    moved = value.startswith((SNAPSHOT_MOUNT, SECRET_MOUNT, COPY_MOUNT))
    return f"{folder}{value}" if moved else value


@dataclass(frozen=True)
class Flavour:
    """A way to deploy. `members` is the headless Service's name, where pods find each other by it;
    `asks_api` is whether they ask the API server; else it is by the Service's address. `encrypted`
    pods have the keyring's Secret mounted. `more` are settings on top of the manifests'."""
    name: str
    controller: str
    folder: str = None
    members: str = None
    asks_api: bool = False
    encrypted: bool = False
    workload: str = DEPLOYMENT
    more: dict = field(default_factory=dict)

    @property
    def stable_names(self):
        return self.controller == "StatefulSet"

    @property
    def has_probes(self):
        return self.folder is not None

    @property
    def shares_socket(self):
        return self.workload == ROTATION

    @property
    def has_api_server(self):
        return self.asks_api or self.encrypted

    def settings(self, pod):
        """The environment without what the image and the cluster add to it."""
        if not self.folder:
            return dict(self.more)
        return {**generated_settings(self.folder),
                **container_settings(self.folder, self.workload, pod), **self.more}

    def environment(self, pod, network, config_directory, program_directory):
        """All of it. Paths on volumes are in the pod's folder."""
        links = {} if self.folder else pods.service_links(network.service)
        values = {**pods.container_environment(pod.name, config_directory, program_directory),
                  **image_settings(), **pods.api_server_links(network.api_server), **links,
                  **self.settings(pod)}
        return {key: on_volumes(str(value), pod.volume) for key, value in values.items()}

    def with_settings(self, **more):
        return replace(self, more={**self.more, **more})


SEED = Flavour("seed", "ReplicationController")
BASE = Flavour("base", "Deployment", "base", "serf-members")
STATEFUL = Flavour("statefulset", "StatefulSet", "overlays/statefulset", "serf-members")
API = Flavour("api", "Deployment", "overlays/api-discovery", asks_api=True)
FLAVOURS = {flavour.name: flavour for flavour in (SEED, BASE, STATEFUL, API)}
# Not among those that every test goes through: the way to the base, and the base but for the keys.
FROM_SEED = Flavour("from-seed", "Deployment", "overlays/from-seed", "serf-members")
ENCRYPTED = Flavour("encrypted", "Deployment", "overlays/encrypted", "serf-members", encrypted=True)
JOB = replace(ENCRYPTED, name="serf-key-rotation", controller="Job", workload=ROTATION)
