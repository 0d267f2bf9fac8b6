"""What goes into the images, without an engine: laid out in a folder, and run there by chroot as
process 1 of a PID namespace, as the image's user. This is all that is seen of the images on a
machine where podman runs no containers."""

import os
import shutil
import signal
import subprocess

import pytest

from agents import REPOSITORY, wait_until

APPLETS = (REPOSITORY / "image/applets").read_text("utf-8").split()


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    if not os.path.exists(REPOSITORY / "dist/serf"):
        pytest.skip("dist/serf is not built: make release")
    for path in ("/bin/busybox", "/etc/ssl/certs/ca-certificates.crt"):
        if not os.path.exists(path):
            pytest.skip(f"{path} is not here: tools/install-packages image")
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([REPOSITORY / "image/lay-out", "native", folder], check=True)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def default_root(layers):
    root = layers / "default"
    shutil.copytree(layers / "minimal", root, symlinks=True)
    shutil.copytree(layers / "busybox", root, symlinks=True, dirs_exist_ok=True)
    return root


def inside(root, *words):
    """The command that runs words in that root, as the container's engine would."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    command = ["unshare", "--pid", "--fork", "--kill-child", "chroot", "--userspec=7946:7946",
               str(root), *words]
    probe = [*command[:command.index(str(root)) + 1], "/app/serf", "version"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("neither namespaces nor chroot are to be had here")
    return command


ENVIRONMENT = {"PATH": "/app:/usr/bin:/bin:/usr/sbin:/sbin", "SERF_CONFDIR": "/etc/serf",
               "SERF_AGENT_NODE_NAME": "pod", "SERF_AGENT_RPC_AUTH": "precious"}


def test_every_tool_is_one_that_busybox_has(layers):
    listed = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
    assert set(APPLETS) <= set(listed.stdout.split())
    assert sorted(os.listdir(layers / "busybox/bin")) == sorted([*APPLETS, "busybox"])


def test_the_agent_starts_runs_a_handler_and_leaves(default_root, tmp_path, private_network):
    log = tmp_path / "log"
    command = inside(default_root, "/app/boot", "-bind=127.0.10.1", "-rpc-addr=127.0.10.1:7373",
                     "-log-level=debug", "-event-handler=member-join=id -u; echo $SERF_SELF_NAME")
    with open(log, "wb") as output:
        launcher = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                    env=ENVIRONMENT)
    wait_until(lambda: ("script output: 7946\\npod" in log.read_text(), log.read_text()), 70,
               "the handler has run")
    text = log.read_text()
    assert "SERF_AGENT_RPC_AUTH=********\n" in text and "precious" not in text
    assert "serf: starting args(agent -config-dir /etc/serf -bind=127.0.10.1" in text
    with open(f"/proc/{launcher.pid}/task/{launcher.pid}/children", encoding="ascii") as children:
        agent = int(children.read().split()[0])
    os.kill(agent, signal.SIGTERM)
    assert launcher.wait(75) == 0, log.read_text()
    assert "EventMemberLeave: pod" in log.read_text()


def test_the_minimal_root_has_no_shell_and_says_so(layers):
    done = subprocess.run(inside(layers / "minimal", "/app/boot", "-event-handler=true"),
                          capture_output=True, text=True, timeout=75, env=ENVIRONMENT, check=False)
    assert done.returncode == 1
    assert "'true' needs a shell, and there is no /bin/sh" in done.stdout
