"""Manifests as the tests read them: strictly, as an API server does."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from agents import REPOSITORY

FOLDER = REPOSITORY / "kubernetes"
TOOLS = REPOSITORY / "build/kubernetes-tools"
CHECK = Path(__file__).with_name("check_manifests.mjs")


def require_tools():
    if not os.access(TOOLS / "bin/kubectl", os.X_OK) or not shutil.which("node"):
        pytest.skip("kubectl, helm and the schemas are not here: tools/install-kubernetes-tools")


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that appears twice, of which YAML silently keeps the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{node.start_mark}: {twice} twice"
        return super().construct_mapping(node, deep)


def parse(text):
    return [document for document in yaml.load_all(text, StrictLoader) if document is not None]


def problems(objects):
    """What the published schemas, and the check for unknown fields, have against the objects."""
    done = subprocess.run(["node", str(CHECK), str(TOOLS)], input=json.dumps(objects), text=True,
                          capture_output=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    return [f"{problem['path']}: {problem['message']}" for problem in json.loads(done.stdout)]


def tool(name, *words, **more):
    return subprocess.run([str(TOOLS / "bin" / name), *map(str, words)], capture_output=True,
                          text=True, timeout=150, check=False, stdin=subprocess.DEVNULL,
                          cwd=REPOSITORY, **more)


def must(name, *words):
    done = tool(name, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pod_of(item):
    """The pod that an object is or makes, with metadata and spec; empty when it makes none."""
    spec = item.get("spec", {})
    if item["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return item if item["kind"] == "Pod" else spec.get("template", {})


def containers_of(objects):
    """(object, container) for every container of every pod template or pod."""
    for item in objects:
        pod = pod_of(item).get("spec", {})
        for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
            yield item, container
