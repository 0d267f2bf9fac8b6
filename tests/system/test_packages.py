"""The Debian packages of `make deb`, installed in a minimal Debian of their own, and `make install`.

tools/debian-root prepares that Debian; these tests need no network."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
TAR = os.path.join(ROOT, "build", "debian-root.tar")
DEBIAN_SERF = os.path.join(ROOT, "build", "debian-serf.deb")
HAS_LIBRARY = os.path.isdir(os.path.join(ROOT, "include", "cserf"))
UNIT = "lib/systemd/system/serf.service"
WANTS = "etc/systemd/system/multi-user.target.wants/serf.service"
DROP_IN = "etc/systemd/system/serf.service.d/as-before.conf"
PATIENCE_S = 70
# What any package leaves behind.
NOT_OURS = re.compile(r"(dev|proc|sys|tmp|run)(/|$)|var/(lib/dpkg|log|cache)/|"
                      r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|var/lib/systemd")


def packages():
    folder = os.path.join(ROOT, "dist")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.endswith(".deb")]


def package(name):
    found = [path for path in packages() if os.path.basename(path).startswith(name + "_")]
    if not found and name.startswith("lib") and not HAS_LIBRARY:
        pytest.skip("this source has no library")
    if not found:
        pytest.skip("dist/ has no packages: make deb")
    return found[0]


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def contents(path):
    return {line.split()[5].removeprefix("./").rstrip("/")
            for line in output("dpkg-deb", "--contents", path).splitlines()}


# --- the packages as files ---


def test_lintian_has_neither_errors_nor_warnings():
    package("cserf")
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed: tools/install-packages test")
    as_root = ["--allow-root"] if os.geteuid() == 0 else []
    result = subprocess.run(["lintian", *as_root, "--fail-on", "error,warning", *packages()],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_it_has_the_paths_of_the_package_that_it_replaces():
    path = package("cserf")
    if not os.path.exists(DEBIAN_SERF):
        pytest.skip("Debian's package is not there: tools/debian-root")
    missing = {name for name in contents(DEBIAN_SERF) - contents(path)
               if not name.startswith("usr/share/doc/serf")}
    assert not missing
    for field in ("Conflicts", "Replaces", "Provides"):
        assert output("dpkg-deb", "--field", path, field).strip() == "serf"


def test_the_changelog_has_the_version_of_the_build():
    with open(os.path.join(ROOT, "meson.build"), encoding="utf-8") as build, \
            open(os.path.join(ROOT, "debian", "changelog"), encoding="utf-8") as changelog:
        version = re.search(r"version: '([^']+)'", build.read())[1]
        assert changelog.readline().startswith(f"cserf ({version}) ")


def test_the_library_comes_apart_from_the_program():
    program = contents(package("cserf"))
    assert not [name for name in program if "/include/" in name or "libcserf" in name]
    library, development = contents(package("libcserf0")), contents(package("libcserf-dev"))
    assert [name for name in library if re.search(r"/libcserf\.so\.0", name)]
    assert not [name for name in library if "/include/" in name or name.endswith(".so")]
    assert [name for name in development if "/include/cserf/" in name]
    assert [name for name in development if "/pkgconfig/" in name]


# --- make install ---


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if not os.path.exists(os.path.join(ROOT, "build", "serf")):
        pytest.skip("build/serf is not there: make")
    folder = tmp_path_factory.mktemp("install")
    subprocess.run(["make", "-C", ROOT, "--no-print-directory", "install", f"DESTDIR={folder}"],
                   capture_output=True, check=True)
    return folder


def test_make_install_stages_everything_below_destdir(installed):
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    wanted = {
        "etc/serf/serf.json.example", "usr/local/bin/serf",
        "usr/local/lib/systemd/system/serf.service", "usr/local/share/man/man1/serf.1",
        "usr/local/share/man/man8/serf-agent.8", "usr/local/share/man/man5/serf.json.5",
        "usr/local/share/bash-completion/completions/serf",
        "usr/local/share/zsh/site-functions/_serf",
        "usr/local/share/fish/vendor_completions.d/serf.fish",
    }
    assert wanted <= found
    assert not [name for name in found - wanted if "cserf" not in name]


def test_the_installed_unit_starts_the_installed_program(installed):
    unit = read_unit((installed / "usr/local/lib/systemd/system/serf.service").read_text())
    assert unit["ExecStart"] == ["/usr/local/bin/serf agent -config-dir=/etc/serf"]
    assert "Agent Protocol" in output(str(installed / "usr/local/bin/serf"), "version")


# --- units ---


def read_unit(*texts):
    """{key: its values}; a later file's value takes the place of an earlier one's."""
    unit = {}
    for text in texts:
        here = {}
        for line in text.splitlines():
            if "=" in line and line[0] not in "#;[":
                key, value = line.split("=", 1)
                here.setdefault(key, []).append(value)
        unit.update(here)
    return unit


# --- a minimal Debian ---

ENTER = ('mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$@"')


class Debian:
    def __init__(self, path):
        self.path = path
        self.running = []

    def words(self, *words, user=None):
        as_user = [f"--userspec={user}"] if user else []
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER,
                str(self.path), *as_user, str(self.path), *words]

    def run(self, *words):
        return subprocess.run(self.words(*words), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                                   "DEBIAN_FRONTEND": "noninteractive"})

    def must(self, *words):
        result = self.run(*words)
        assert result.returncode == 0, f"{words}: {result.stdout}{result.stderr}"
        return result.stdout

    def install(self, *paths):
        """As dpkg does it, which asks nobody: a question about a configuration file fails."""
        for path in paths:
            shutil.copy(path, self.path / "var" / "cache" / "apt")
        return self.must("dpkg", "--install", *(
            f"/var/cache/apt/{os.path.basename(path)}" for path in paths))

    def files(self):
        return {name for name in output("find", str(self.path), "-mindepth", "1", "-printf",
                                        "%P\n").splitlines() if not NOT_OURS.match(name)}

    def read(self, name):
        return (self.path / name).read_text()

    def has(self, name):
        return os.path.lexists(self.path / name)

    def unit(self):
        drop_ins = sorted((self.path / "etc/systemd/system/serf.service.d").glob("*.conf"))
        return read_unit(self.read(UNIT), *(drop_in.read_text() for drop_in in drop_ins))

    def start(self):
        agent = UnitProcess(self)
        self.running.append(agent)
        return agent


class UnitProcess:
    """What systemd would make of the unit: its command as its user, and a socket to tell it is up."""

    def __init__(self, debian):
        self.debian = debian
        self.unit = debian.unit()
        assert self.unit["Type"] == ["notify"]
        user, group = self.unit["User"][0], self.unit["Group"][0]
        name = f"cserf-packages-{os.getpid()}-{id(self)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind("\0" + name)
            self.process = subprocess.Popen(
                debian.words(*shlex.split(self.unit["ExecStart"][0]), user=f"{user}:{group}"),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                "NOTIFY_SOCKET": "@" + name})
            notify.settimeout(PATIENCE_S)
            try:
                while not notify.recv(4096).startswith(b"READY=1"):
                    pass
            except socket.timeout:
                self.process.kill()
                raise AssertionError(f"never ready: {self.process.communicate()[0]}") from None

    def owner(self):
        return os.stat(f"/proc/{self.process.pid}").st_uid

    def sockets(self):
        """The local addresses of the process, hexadecimal as the kernel shows them."""
        mine = set()
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            mine.update(re.findall(r"socket:\[(\d+)\]",
                                   os.readlink(f"/proc/{self.process.pid}/fd/{name}")))
        found = set()
        for protocol in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"/proc/{self.process.pid}/net/{protocol}", encoding="ascii") as table:
                rows = [line.split() for line in table.readlines()[1:]]
            found |= {(protocol, *row[1].split(":")) for row in rows if row[9] in mine}
        return found

    def stop(self):
        """As the unit says. Returns the exit status."""
        self.process.send_signal(signal.Signals[self.unit["KillSignal"][0]])
        try:
            log = self.process.communicate(timeout=PATIENCE_S)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the agent does not stop") from None
        assert "Gracefully shutting down agent" in log
        return self.process.returncode


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """One copy of the root for the whole file: each test leaves it as it was."""
    package("cserf")
    if os.geteuid() != 0:
        pytest.skip("only root may install packages in a root of its own")
    if not os.path.exists(TAR) or not os.path.exists(DEBIAN_SERF):
        pytest.skip("there is no Debian to install the packages in: tools/debian-root says why")
    path = tmp_path_factory.mktemp("debian")
    subprocess.run(["tar", "--extract", "--file", TAR, "--directory", str(path),
                    "--exclude=./dev/*"], check=True)
    debian = Debian(path)
    result = debian.run("true")
    if result.returncode != 0:
        pytest.skip(f"a root of its own can't be had here: {result.stderr.strip()}")
    policy = path / "usr/sbin/policy-rc.d"  # services are started by the tests
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    yield debian
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def debian(unpacked):
    before = unpacked.files()
    yield unpacked
    for agent in unpacked.running:
        agent.process.kill()
        agent.process.wait()
    unpacked.running = []
    unpacked.run("dpkg", "--purge", "cserf", "serf", "libcserf0", "libcserf-dev")
    for name in sorted(unpacked.files() - before, reverse=True):  # what a failed test left
        path = unpacked.path / name
        shutil.rmtree(path, True) if path.is_dir() and not path.is_symlink() else path.unlink()


def test_a_fresh_install_starts_and_listens_on_loopback_only(debian):
    debian.install(package("cserf"))
    assert debian.has(WANTS)
    agent = debian.start()
    user = re.search(r"^_cserf:[^:]*:(\d+):", debian.read("etc/passwd"), re.MULTILINE)[1]
    assert agent.owner() == int(user) != 0
    assert "alive" in debian.must("serf", "members")
    sockets = agent.sockets()
    assert {(protocol, port) for protocol, _, port in sockets} >= {
        ("tcp", f"{7946:04X}"), ("udp", f"{7946:04X}"), ("tcp", f"{7373:04X}")}
    loopback = int.from_bytes(socket.inet_aton("127.0.0.1"), sys.byteorder)
    assert {address for _, address, _ in sockets} == {f"{loopback:08X}"}
    assert agent.stop() == 0


def test_the_library_installs_without_the_program(debian):
    debian.install(package("libcserf0"), package("libcserf-dev"))
    assert "libcserf.so.0" in debian.must("/sbin/ldconfig", "--print-cache")
    debian.must("dpkg", "--purge", "libcserf0", "libcserf-dev")


def test_the_unit_has_the_signal_of_the_one_that_it_replaces(debian, tmp_path):
    debian.install(package("cserf"))
    subprocess.run(["dpkg-deb", "--extract", DEBIAN_SERF, str(tmp_path)], check=True)
    unit, old = debian.unit(), read_unit((tmp_path / UNIT).read_text())
    for key in ("KillSignal", "Restart", "RestartSec", "WantedBy"):
        assert unit[key] == old[key], key
    assert unit["RestartPreventExitStatus"] == ["3"]
    assert unit["User"] == ["_cserf"]


def test_a_purge_leaves_nothing(debian):
    before = debian.files()
    debian.install(package("cserf"))
    agent = debian.start()
    agent.stop()
    debian.must("dpkg", "--purge", "cserf")
    assert debian.files() == before
    assert "_cserf" not in debian.read("etc/passwd") + debian.read("etc/group")


def test_a_configuration_that_was_there_is_not_touched(debian):
    folder = debian.path / "etc/serf"
    folder.mkdir()
    (folder / "mine.json").write_text('{"node_name": "mine", "bind": "127.0.0.9"}')
    debian.install(package("cserf"))
    assert sorted(os.listdir(folder)) == ["mine.json", "serf.json.example"]
    agent = debian.start()
    assert "mine" in debian.must("serf", "members")
    agent.stop()
    debian.must("dpkg", "--purge", "cserf")
    assert os.listdir(folder) == ["mine.json"]


def test_it_replaces_debians_serf_and_gives_way_to_it_again(debian):
    debian.install(DEBIAN_SERF)
    mine = debian.path / "etc/serf/mine.json"
    mine.write_text('{"node_name": "mine", "bind": "127.0.0.9"}')
    mine.chmod(0o600)

    debian.install(package("cserf"))
    assert not debian.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "serf").stdout.startswith(
        "installed")
    assert debian.has(WANTS)
    assert not debian.has("etc/serf/serf.json")
    agent = debian.start()
    assert agent.owner() == 0, "what could be read before can't be read any more"
    assert "mine" in debian.must("serf", "members")
    assert agent.stop() == 0

    debian.must("dpkg", "--purge", "serf")
    assert debian.must("dpkg", "--verify", "cserf") == ""
    assert mine.exists()

    debian.must("dpkg", "--remove", "cserf")
    debian.install(DEBIAN_SERF)
    debian.must("dpkg", "--purge", "cserf")
    assert not debian.has(DROP_IN)
    assert debian.has(WANTS) and mine.exists()
    assert debian.must("dpkg", "--verify", "serf") == ""


# Within one command, since start-stop-daemon knows a process by its program's path, which is not to
# be seen from another mount namespace.
INIT_SCRIPT = """
set -e
/etc/init.d/serf start
i=0
until serf members; do
    i=$((i + 1))
    [ $i -lt 700 ]
    sleep 0.1
done
/etc/init.d/serf status
/etc/init.d/serf reload
serf members
/etc/init.d/serf stop
if /etc/init.d/serf status || serf members; then exit 1; fi
"""


def test_the_init_script_starts_reloads_and_stops_the_agent(debian):
    """What there is for machines that systemd does not run."""
    debian.install(package("cserf"))
    result = debian.run("sh", "-c", INIT_SCRIPT)
    if result.returncode != 0:  # the agent may run still
        debian.run("start-stop-daemon", "--stop", "--signal", "KILL", "--pidfile", "/run/serf.pid")
    assert result.returncode == 0, result.stdout + result.stderr
