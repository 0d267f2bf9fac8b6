"""docs/kubernetes.md: every command that needs no cluster is run, and what those that need one name is
there."""

import os
import re
import subprocess

import pytest

from agents import OURS, REPOSITORY, environment
from containers import version
from manifests import FOLDER, TOOLS, require_tools

TEXT = (REPOSITORY / "docs/kubernetes.md").read_text("utf-8")
BLOCKS = [block.splitlines() for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)]
LINES = [line for block in BLOCKS for line in block]
# These are stages of tools/run-tests, or of CI, in front of the tests.
RUN_BEFORE = {"make image", "tools/install-kubernetes-tools"}


def commands(prompt):
    return [line.removeprefix(prompt) for line in LINES if line.startswith(prompt)]


def test_every_command_is_marked():
    assert LINES and all(line.startswith(("$ ", "cluster$ ")) for line in LINES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The source tree's folders, with the tools and our binary on the path; the commands may write
    here."""
    require_tools()
    made = tmp_path_factory.mktemp("tree")
    for name in ("kubernetes", "tools", "docs"):
        (made / name).symlink_to(REPOSITORY / name)
    (made / "programs").mkdir()
    (made / "programs/serf").symlink_to(OURS.path)
    return made


@pytest.mark.parametrize("command", [line for line in commands("$ ") if line not in RUN_BEFORE])
def test_a_command_that_needs_no_cluster_works(folder, command):
    path = f"{folder}/programs:{TOOLS}/bin:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", command], cwd=folder, text=True,
                          capture_output=True, timeout=150, env=environment(PATH=path),
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", sorted(RUN_BEFORE))
def test_a_command_that_is_run_before_is_there(command):
    word = command.split()
    if word[0] == "make":
        assert re.search(rf"^{word[1]}:", (REPOSITORY / "Makefile").read_text("utf-8"), re.M)
    else:
        assert os.access(REPOSITORY / word[0], os.X_OK)


def test_the_seed_s_commands_are_word_for_word():
    wanted = ["kubectl create -f kubernetes/serf-service.yml", "kubectl get svc",
              "kubectl create -f kubernetes/serf-controller.yaml",
              "kubectl scale rc serf --replicas=5", "kubectl logs serf-4pglm"]
    there = commands("cluster$ ")
    assert [command for command in there if command in wanted] == wanted


def test_paths_and_versions_are_those_that_there_are():
    for path in re.findall(r"\b(?:tests/)?kubernetes/[\w./-]+", TEXT):
        if not path.endswith("/"):
            assert (REPOSITORY / path.rstrip(".")).exists(), path
    for overlay in re.findall(r"`(overlays/[\w-]+)`", TEXT):
        assert (FOLDER / overlay).is_dir(), overlay
    for found in re.findall(r"cserf:(\d+\.\d+\.\d+)", TEXT):
        assert found == version()


def test_every_overlay_is_told_of():
    for overlay in FOLDER.glob("overlays/*"):
        assert f"`overlays/{overlay.name}`" in TEXT
