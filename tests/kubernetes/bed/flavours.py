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


def _read(path):
    return yaml.safe_load((FOLDER / path).read_text("utf-8"))


def image_settings():
    """The agent's settings in the image itself."""
    text = (REPOSITORY / "Containerfile").read_text("utf-8")
    return dict(re.findall(r"\b(SERF_AGENT_\w+)=(\S+)", text))


def generated_settings(folder):
    """The settings of the kustomization and of those it begins with."""
    kustomization, values = _read(f"{folder}/kustomization.yaml"), {}
    for resource in kustomization["resources"]:
        if (FOLDER / folder / resource).is_dir():
            below = (FOLDER / folder / resource).resolve().relative_to(FOLDER)
            values.update(generated_settings(below))
    for made in kustomization.get("configMapGenerator", []):
        if made["name"] == "serf-settings":
            values.update(literal.split("=", 1) for literal in made["literals"])
    return values


def pod_fields(pod):
    """What the kubelet fills in where a variable comes from a field of the pod."""
    return {"metadata.name": pod.name, "metadata.namespace": NAMESPACE,
            "status.podIP": pod.address, "spec.nodeName": f"node-{pod.node}",
            "metadata.labels['topology.kubernetes.io/zone']": ""}


def container_settings(pod):
    """The variables that stand in the container itself."""
    container = _read("base/deployment.yaml")["spec"]["template"]["spec"]["containers"][0]
    values = {}
    for entry in container["env"]:
        if "valueFrom" in entry:
            values[entry["name"]] = pod_fields(pod)[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            values[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda match: values[match[1]],
                                           entry["value"])
    return values


@dataclass(frozen=True)
class Flavour:
    """A way to deploy. `members` is the headless Service's name, where pods find each other by it;
    `asks_api` is whether they ask the API server; else it is by the Service's address. `more` are
    settings on top of the manifests'."""
    name: str
    controller: str
    folder: str = None
    members: str = None
    asks_api: bool = False
    more: dict = field(default_factory=dict)

    @property
    def stable_names(self):
        return self.controller == "StatefulSet"

    @property
    def has_probes(self):
        return self.folder is not None

    def settings(self, pod):
        """The environment without what the image and the cluster add to it."""
        if not self.folder:
            return dict(self.more)
        return {**generated_settings(self.folder), **container_settings(pod), **self.more}

    def environment(self, pod, network, config_directory, program_directory):
        """All of it. Paths on volumes are in a folder of the pod's name."""
        links = {} if self.folder else pods.service_links(network.service)
        values = {**pods.container_environment(pod.name, config_directory, program_directory),
                  **image_settings(), **pods.api_server_links(network.api_server), **links,
                  **self.settings(pod)}
        if "SERF_AGENT_SNAPSHOT_PATH" in values:
            values["SERF_AGENT_SNAPSHOT_PATH"] = str(pod.volume / "snapshot")
        return values

    def with_settings(self, **more):
        return replace(self, more={**self.more, **more})


SEED = Flavour("seed", "ReplicationController")
BASE = Flavour("base", "Deployment", "base", "serf-members")
STATEFUL = Flavour("statefulset", "StatefulSet", "overlays/statefulset", "serf-members")
API = Flavour("api", "Deployment", "base", asks_api=True, more={
    "SERF_AGENT_RETRY_JOIN": 'provider=k8s label_selector="app.kubernetes.io/name=serf"'})
FLAVOURS = {flavour.name: flavour for flavour in (SEED, BASE, STATEFUL, API)}
