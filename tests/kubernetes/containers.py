"""Containers of the built images, run by podman in this process's network, as tightly as the
manifests run them."""

import io
import itertools
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from agents import REPOSITORY, wait_until

TIMEOUT_S = 150
# A container can't have higher limits than this process, and podman asks for the highest there are.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
TIGHT = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all",
         "--security-opt=no-new-privileges", "--network=host", "--pids-limit=0"]

_serial = itertools.count(1)


def podman(*words, **more):
    return subprocess.run(["podman", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=TIMEOUT_S, check=False, **more)


def version():
    for line in (REPOSITORY / "meson.build").read_text("utf-8").splitlines():
        if line.strip().startswith("version:"):
            return line.split("'")[1]
    raise AssertionError("meson.build names no version")


def require_image(name):
    if not shutil.which("podman"):
        pytest.skip("podman is not installed: tools/install-packages container")
    if podman("image", "exists", name).returncode != 0:
        pytest.skip(f"there is no image {name}: make image")


def require_runtime(image):
    """Whether podman can run a container on this machine at all."""
    done = podman("run", "--rm", *LIMITS, *TIGHT, "--entrypoint=/app/serf", image, "version",
                  text=True)
    if done.returncode not in (0, 1):
        pytest.skip(f"podman runs no container here: {done.stderr.strip().splitlines()[-1:]}")


def files_of(image):
    """{path: tarfile entry} of everything in the image."""
    name = podman("create", *LIMITS, image, text=True).stdout.strip()
    try:
        archive = podman("export", name).stdout
    finally:
        podman("rm", name)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name.rstrip("/"): entry for entry in tar.getmembers()}


class Container:
    def __init__(self, image, options, words):
        self.name = f"cserf-test-{os.getpid()}-{next(_serial)}"
        done = podman("run", "--detach", "--name", self.name, *LIMITS, *TIGHT, *options, image,
                      *words, text=True)
        assert done.returncode == 0, done.stderr

    def log(self):
        done = podman("logs", self.name, text=True, errors="replace")
        return done.stdout + done.stderr

    def run(self, *words):
        return podman("exec", self.name, *words, text=True)

    def statuses(self, rpc_address):
        done = self.run("serf", "members", "-format=json", f"-rpc-addr={rpc_address}")
        if done.returncode != 0:
            return {"": done.stderr}
        return {member["name"]: member["status"] for member in json.loads(done.stdout)["members"]}

    def stop(self):
        """As the kubelet does: TERM, and KILL when the grace period is over. The exit status."""
        done = podman("stop", "--time=30", self.name, text=True)
        assert done.returncode == 0, done.stderr
        return int(podman("inspect", "--format={{.State.ExitCode}}", self.name, text=True).stdout)

    def wait_log(self, text):
        wait_until(lambda: (text in self.log(), self.log()), 70, f"{self.name} logs {text!r}")


class Containers:
    def __init__(self):
        self.started = []

    def run(self, image, *words, options=()):
        container = Container(image, options, words)
        self.started.append(container)
        return container

    def logs(self):
        return [(f"container {container.name}", container.log()) for container in self.started]

    def dispose(self):
        for container in self.started:
            podman("rm", "--force", "--time=1", container.name)
