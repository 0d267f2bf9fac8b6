"""`serf rotate-key`, as the CronJob runs it: beside a short-lived member, with an API server that
lets it get and patch one Secret. The members are pods that copy their keyring from that Secret."""

import json
import subprocess

import pytest

from agents import OURS, PATIENCE_SECONDS, environment, run, wait_until
from api_server import ApiServer

NAMESPACE, SECRET = "prod", "serf-keyring"
SETTLE, WAIT = "1s", "2s"
FOR_NOW = "-wait=600s"  # it is killed before
MAY = [("get", "secrets", NAMESPACE, SECRET), ("patch", "secrets", NAMESPACE, SECRET)]


@pytest.fixture
def server(private_network, tmp_path):
    started = ApiServer()
    (tmp_path / "account").mkdir()
    started.write_account(tmp_path / "account", namespace=NAMESPACE)
    started.allow = MAY
    yield started
    started.stop()


class Pods:
    """Members, and the command with the member that it runs beside."""

    def __init__(self, cluster, server):
        self.cluster, self.server, self.members, self.output = cluster, server, [], ""
        self.keys = [self.keygen(), self.keygen()]
        self.put(self.keys)
        for number in range(1, 4):
            self.pod(f"pod-{number}")
        self.wait_one_cluster()
        self.job = self.start("job", tags="key-rotation")

    @staticmethod
    def keygen():
        return run(OURS, "keygen").stdout.strip()

    def put(self, keys):
        self.server.set_secret(NAMESPACE, SECRET, {"keyring.json": json.dumps(keys).encode()})

    def secret(self):
        return json.loads(self.server.secret(NAMESPACE, SECRET)["keyring.json"])

    def start(self, name, tags=""):
        """A pod whose volumes are a folder: the Secret as it is now, and an empty one."""
        folder = self.cluster.directory / name
        (folder / "keyring").mkdir(parents=True)
        mounted = folder / "mounted.json"
        mounted.write_bytes(self.server.secret(NAMESPACE, SECRET)["keyring.json"])
        mounted.chmod(0o440)
        agent = self.cluster.prepare(OURS, name, config={"leave_on_terminate": True})
        agent.variables = {"SERF_AGENT_KEYRING_SOURCE": str(mounted),
                           "SERF_AGENT_KEYRING_FILE": str(folder / "keyring/keyring.json"),
                           "SERF_AGENT_RETRY_JOIN": "\n".join(pod.address for pod in self.members),
                           "SERF_AGENT_TAG_PURPOSE": tags}
        return agent.start()

    def pod(self, name):
        agent = self.start(name)
        self.members.append(agent)
        return agent

    def alive(self):
        return [agent for agent in self.cluster.agents if agent.running]

    def wait_one_cluster(self):
        """Every agent that runs sees all of them alive, and nobody else."""
        names = {agent.name for agent in self.alive()}

        def agreed():
            seen = {agent.name: {name for name, status in agent.statuses().items()
                                 if status == "alive"} for agent in self.alive()}
            return all(view == names for view in seen.values()), seen
        wait_until(agreed, 70, f"{sorted(names)} are one cluster")

    def command(self, *words):
        return subprocess.Popen(
            [OURS.path, "rotate-key", f"-secret={SECRET}", f"-settle={SETTLE}", f"-wait={WAIT}",
             f"-account={self.cluster.directory / 'account'}",
             f"-rpc-addr={self.job.rpc_address}", *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment(**self.server.variables))

    def rotate(self):
        """To its end: (exit status, what it said)."""
        process = self.command()
        output = process.communicate(timeout=3 * PATIENCE_SECONDS)[0]
        self.output += output
        return process.returncode, output

    def kill_when_it_says(self, words, *options):
        process = self.command(*options)
        for line in process.stdout:
            self.output += line
            if words in line:
                break
        else:
            raise AssertionError(f"never said {words!r}:\n{self.output}")
        process.kill()
        process.communicate()

    def listed(self, agent):
        """{key: members that have it}, as all members together say."""
        done = agent.run("keys", "-list")
        if done.returncode != 0:
            return None
        rows = [line.split() for line in done.stdout.splitlines() if line.endswith("]")]
        return {row[0]: row[-1] for row in rows}

    def assert_rotated(self):
        """The Secret has one key, a new one; all members have it and no other, and who has one of
        the old ones is not let in."""
        (key,) = self.secret()
        assert key not in self.keys
        count = len(self.alive())
        wait_until(lambda: (seen := self.listed(self.members[0])) == {key: f"[{count}/{count}]"} or
                   (False, seen), 70, "all members have the new key alone")
        found = self.server.answer("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}", {},
                                   {"Authorization": f"Bearer {self.server.token}"}, b"")
        assert not found["metadata"].get("annotations")
        for old in self.keys:
            self.assert_refused(old)
        for known in [key, *self.keys]:
            assert known not in self.output

    def assert_refused(self, key):
        stranger = self.cluster.agent(OURS, "stranger", f"-encrypt={key}")
        done = stranger.run("join", self.members[0].address)
        assert done.returncode != 0, done.stdout
        assert set(stranger.statuses()) == {"stranger"}
        stranger.kill()


@pytest.fixture
def pods(cluster, server):
    return Pods(cluster, server)


def test_all_members_and_the_secret_get_a_new_key(pods):
    pods.wait_one_cluster()
    status, output = pods.rotate()
    assert status == 0, output
    pods.assert_rotated()
    assert pods.job.terminate() == 0
    pods.cluster.wait_status("job", "left", agents=pods.members)


def test_a_rotation_that_is_killed_after_each_step_is_taken_up_there(pods):
    pods.kill_when_it_says("is last in the Secret", "-settle=600s")
    assert pods.secret()[:2] == pods.keys and len(pods.secret()) == 3
    new = pods.secret()[2]
    pods.pod("pod-4")
    pods.kill_when_it_says("have installed it", "-settle=600s")
    pods.kill_when_it_says("members use it", FOR_NOW)
    pods.pod("pod-5")
    pods.wait_one_cluster()
    pods.kill_when_it_says("is first", FOR_NOW)
    assert pods.secret() == [new, *pods.keys]
    pods.server.allow = MAY[:1]
    status, output = pods.rotate()
    pods.server.allow = MAY
    assert status == 1 and "have removed all others" in output
    assert "changing the Secret: 403 Forbidden" in output and "goes on from here" in output
    pods.pod("pod-6")
    pods.wait_one_cluster()
    pods.kill_when_it_says("have removed all others")
    while len(pods.secret()) > 1:
        status, output = pods.rotate()
        assert status == 0, output
    assert pods.secret() == [new]
    pods.wait_one_cluster()
    pods.assert_rotated()


def test_a_secret_that_somebody_else_changes_meanwhile_is_read_again(pods):
    pods.wait_one_cluster()
    owner, changed = pods.server, []
    answer = owner.answer

    def late(method, path, query, headers, sent):
        if method == "PATCH" and not changed:
            changed.append(True)
            pods.put(pods.keys[:1])
        return answer(method, path, query, headers, sent)
    owner.answer = late
    status, output = pods.rotate()
    owner.answer = answer
    assert status == 0 and "409" in output, output
    pods.assert_rotated()


def test_without_a_cluster_the_secret_stays_as_it_is(cluster, server):
    """The agent runs, and has met nobody who has these keys."""
    server.set_secret(NAMESPACE, SECRET, {"keyring.json": json.dumps([Pods.keygen()]).encode()})
    pods = Pods.__new__(Pods)
    pods.cluster, pods.server, pods.members, pods.output = cluster, server, [], ""
    pods.job = pods.start("job")
    before = pods.secret()
    pods.kill_when_it_says("no other member is alive")
    assert pods.secret() == before


@pytest.mark.parametrize("words, reason", [
    (["-secret=other"], "403 Forbidden"),
    (["-key=other.json"], "the Secret has no key other.json"),
    (["-account=/nonexistent"], "/nonexistent"),
])
def test_what_trying_again_does_not_help_ends_at_once(cluster, server, words, reason):
    server.set_secret(NAMESPACE, SECRET, {"keyring.json": json.dumps([Pods.keygen()]).encode()})
    pods = Pods.__new__(Pods)
    pods.cluster, pods.server, pods.members, pods.output = cluster, server, [], ""
    pods.job = pods.start("job")
    process = pods.command(*words)
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 1 and reason in output, output
