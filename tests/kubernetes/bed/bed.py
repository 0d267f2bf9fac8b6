"""The bed: a network, a name service, a flavour of the manifests, and the controllers of a cluster.

The controllers do what Kubernetes's do, one step after another and when a test says so: they start
pods, publish their addresses a moment later, and delete them as the endpoints controller and the
kubelet do, who do not wait for each other."""

import itertools
import json
import os
import random
import subprocess
import time

import pytest

from agents import AGREE_SECONDS, OURS, Cluster, wait_until
from localcluster.namespaces import NamespacesImpossible
from localcluster.pods import NAME_ALPHABET

from bed.api_service import ApiService
from bed.flavours import KEYRING, KEYRING_SECRET, SEED, SEED_SERVICE, allowed, pod_labels
from bed.name_service import NameService, OddNameService, write_resolver_file
from bed.network import ClusterNetwork, has_ipv6
from bed.pod import Pod

PUBLISH_STEP_SECONDS = 0.1
TEMPLATE_HASH = "7d4b9c6f5d"
JOB_NUMBER = "29141220"  # the minute that it was due


class Bed(Cluster):
    """`remember` is for how many seconds the name service remembers that there is nobody;
    `odd_names` gives it a name service that misbehaves when told to; with `records` there are SRV
    records; `publish_seconds` pass at most from a container's start until its address is known.
    Whatever is drawn at random comes from `seed`."""

    def __init__(self, directory, flavour=SEED, family=4, hairpin=True, remember=0, odd_names=False,
                 records=False, publish_seconds=1, seed=None):
        super().__init__(directory)
        if family == 6 and not has_ipv6():
            pytest.skip("this machine has no IPv6")
        self.seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
        self.random = random.Random(self.seed)
        self.flavour, self.pods, self.endpoints = flavour, [], []
        self.publish_seconds, self.began, self.disposed = publish_seconds, None, False
        self._indexes = itertools.count(1)
        self._lay_out()
        try:
            self.network = ClusterNetwork(family, hairpin)
        except NamespacesImpossible as impossible:
            pytest.skip(f"no network of namespaces can be made here: {impossible}")
        self.names = self.api = None
        try:
            self._start_names(remember, odd_names, records)
            self._try_mounts()
        except BaseException:
            self.dispose()
            raise

    def _lay_out(self):
        """The image's folders, and the pods' /etc/resolv.conf."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.programs = self.directory / "app"
        self.configuration = self.directory / "etc"
        self.resolver_file = self.directory / "resolv.conf"
        self.programs.mkdir()
        self.configuration.mkdir()
        for name in ("boot", "serf"):
            (self.programs / name).symlink_to(OURS.path)
        (self.configuration / "agent.json").write_text(json.dumps({"leave_on_terminate": True}),
                                                       "utf-8")

    def _start_names(self, remember, odd_names, records):
        address = self.network.family.name_service
        write_resolver_file(self.resolver_file, address)
        if odd_names:
            self.names = OddNameService(self.directory, address)
        elif self.flavour.members:
            self.names = NameService(self.directory, address, remember, records,
                                     {SEED_SERVICE: self.network.service})
        if self.flavour.has_api_server:
            self.api = ApiService(self.directory, self.network.api_server)
            self.api.allow(allowed(self.flavour.folder))

    def _try_mounts(self):
        """Pods have a file of their own in place of the machine's; not every machine lets us."""
        if not os.path.exists("/etc/resolv.conf"):
            pytest.skip("this machine has no /etc/resolv.conf for pods to have another one")
        probe = Pod(self, OURS, "probe", self.network.new_address(), self.flavour)
        self.network.add(probe)
        try:
            process = self.network.start(
                probe, ["cmp", "-s", str(self.resolver_file), "/etc/resolv.conf"],
                {"PATH": os.environ["PATH"]}, self.directory / "probe.log",
                mounts=self.mounts())
            if process.wait() != 0:
                pytest.skip("a pod can't have a mount of its own here")
        except subprocess.SubprocessError:
            pytest.skip("a pod can't have a mount of its own here: "
                        f"{(self.directory / 'probe.log').read_text('utf-8').strip()}")
        finally:
            self.network.remove(probe)

    def mounts(self):
        """(file or folder of the machine, where each container has it) for each."""
        return [(str(self.resolver_file), "/etc/resolv.conf")]

    def next_index(self):
        return next(self._indexes)

    # --- names and addresses ---

    def _random_part(self):
        return "".join(self.random.choices(NAME_ALPHABET, k=5))

    def _new_name(self, flavour):
        if flavour.stable_names:
            taken = {pod.name for pod in self.pods}
            return next(name for name in map("serf-{}".format, itertools.count())
                        if name not in taken)
        owner = {"Deployment": f"serf-{TEMPLATE_HASH}", "Job": f"{flavour.name}-{JOB_NUMBER}"}
        return f"{owner.get(flavour.controller, 'serf')}-{self._random_part()}"

    # --- the keyring's Secret ---

    def set_keys(self, keys):
        """Pods of an encrypted flavour that are started from now on have these."""
        self.api.set_secret(KEYRING_SECRET, {KEYRING: json.dumps(keys)})

    def keys(self):
        return json.loads(self.api.secret(KEYRING_SECRET)[KEYRING])

    # --- starting ---

    def make(self, program=OURS, name=None, address=None, flavour=None):
        """A pod that does not run yet: it has its network, and nothing else."""
        flavour = flavour or self.flavour
        pod = Pod(self, program, name or self._new_name(flavour),
                  address or self.network.new_address(), flavour)
        self.network.add(pod)
        self.pods.append(pod)
        self.agents.append(pod)
        return pod

    def start(self, pods):
        """All at the same instant; then their addresses become known, one after another."""
        for pod in pods:
            self.network.wait_reachable(pod)
        gate, latch = os.pipe()
        try:
            for pod in pods:
                pod.spawn(gate)
        finally:
            os.close(gate)
            os.close(latch)
        self.began = time.monotonic()
        self._publish(pods)

    def create(self, count=1, program=OURS, names=None, addresses=None, flavour=None):
        fresh = [self.make(program, names[i] if names else None,
                           addresses[i] if addresses else None, flavour) for i in range(count)]
        self.start(fresh)
        return fresh

    def _publish(self, pods):
        due = sorted((self.random.uniform(0, self.publish_seconds), pod.index, pod) for pod in pods)
        began = time.monotonic()
        while due:
            passed = time.monotonic() - began
            now = [pod for after, _, pod in due if after <= passed]
            due = [entry for entry in due if entry[0] > passed]
            if now:
                self.set_endpoints(self.endpoints + now)
            if due:
                time.sleep(PUBLISH_STEP_SECONDS)

    def set_endpoints(self, pods):
        """The Service of the walk-through leads to its pods, the headless one to the others."""
        self.endpoints = list(pods)
        self.network.set_service([pod.host for pod in self.endpoints if not pod.flavour.folder])
        if self.names and self.flavour.members:
            self.names.publish(self.flavour.members, [pod.host for pod in self.endpoints
                                                      if pod.flavour.folder])
        if self.api:
            self.api.publish(pod_labels(), {pod.name: pod.host for pod in self.endpoints})

    # --- ending ---

    def ask_to_end(self, pods):
        """The endpoints controller and the kubelet hear of a deletion at the same time."""
        steps = [lambda: self.set_endpoints([pod for pod in self.endpoints if pod not in pods]),
                 lambda: [pod.ask_to_end() for pod in pods]]
        self.random.shuffle(steps)
        for step in steps:
            step()
        self.pods = [pod for pod in self.pods if pod not in pods]

    def wait_ended(self, pods):
        for pod in pods:
            pod.wait_ended()
            self.network.remove(pod)

    def delete(self, pods):
        self.ask_to_end(pods)
        self.wait_ended(pods)

    def scale(self, count):
        if count > len(self.pods):
            return self.create(count - len(self.pods))
        leaving = self.pods[count:]  # the newest go first
        self.delete(leaving)
        return leaving

    def vanish(self, pods):
        """By force, as when a node burns: nobody hears of it, the endpoints only later."""
        for pod in pods:
            pod.kill()
            self.network.remove(pod)
        self.pods = [pod for pod in self.pods if pod not in pods]
        self.set_endpoints([pod for pod in self.endpoints if pod not in pods])

    # --- replacing ---

    def wait_ready(self, pod):
        """What a rollout waits for: the probe, where the flavour has one."""
        pod.wait_started()
        if pod.flavour.has_probes:
            wait_until(pod.ready, AGREE_SECONDS, f"{pod} is ready")

    def roll(self, pods=None, min_ready_seconds=0):
        """All pods, or these. A Deployment with maxSurge 1 and maxUnavailable 0: one more, and when it
        is ready, for so long, one less, which nobody waits for; a StatefulSet the other way round, under
        the same names. Returns those that came."""
        leaving, before = [], list(self.pods)
        for old in before if pods is None else pods:
            if self.flavour.stable_names:
                self.delete([old])
                self.wait_ready(self.create(names=[old.name])[0])
            else:
                self.wait_ready(self.create()[0])
                time.sleep(min_ready_seconds)
                self.ask_to_end([old])
                leaving.append(old)
        self.wait_ended(leaving)
        return [pod for pod in self.pods if pod not in before]

    # --- what must hold ---

    def nobody_died(self):
        dead = [f"{pod} ended with status {pod.process.returncode}" for pod in self.pods
                if pod.process and not pod.running]
        assert not dead, dead

    def wait_one_cluster(self, pods=None, seconds=AGREE_SECONDS, without_failed=False):
        """Every pod holds exactly these (all) alive, each at its address. Returns the seconds since
        pods were last started. With `without_failed`, nobody is held failed either."""
        pods = self.pods if pods is None else pods
        expected = {pod.name: pod.gossip_address for pod in pods}
        waiting = list(pods)

        def agrees(pod):
            table = pod.members()
            seen = {name: entry["addr"] for name, entry in table.items()
                    if entry["status"] == "alive"}
            failed = [name for name, entry in table.items() if entry["status"] == "failed"]
            if seen == expected and not (without_failed and failed):
                return None
            return f"{pod} lacks {sorted(set(expected) - set(seen))}, has too many " \
                f"{sorted(set(seen) - set(expected))}, failed {failed}"

        def agreed():
            self.nobody_died()
            complaints = [(pod, agrees(pod)) for pod in waiting]
            waiting[:] = [pod for pod, complaint in complaints if complaint]
            if not waiting:  # and all of them still do
                waiting[:] = [pod for pod in pods if agrees(pod)]
            return not waiting, [complaint for _, complaint in complaints if complaint][:3]
        wait_until(agreed, seconds, f"{len(pods)} pods are one cluster (seed {self.seed})")
        return time.monotonic() - self.began

    def clusters(self):
        """The sets of pods that hold each other alive, largest first: more than one is a split."""
        views = {frozenset(pod.alive()) for pod in self.pods}
        return sorted(views, key=len, reverse=True)

    def nobody_failed(self):
        """Nobody ever held a member failed, in any log."""
        assert not self.failures_logged(forgiving=False)

    def all_left(self, pods):
        """Each ended by itself, and had told the cluster."""
        wrong = [f"{pod}: in time {pod.in_time}, status {pod.exit_status}" for pod in pods
                 if not pod.in_time or pod.exit_status != 0]
        assert not wrong, wrong

    def dispose(self):
        self.disposed, problems = True, []
        for pod in self.agents:
            if pod.running:
                pod.process.kill()
        for pod in self.agents:
            try:
                pod.dispose()
            except AssertionError as problem:
                problems.append(str(problem))
        for server in (self.names, self.api):
            if server:
                server.close()
        self.network.close()
        assert not problems, "\n".join(problems)

    def logs(self, lines=200):
        yield "bed", f"{self.flavour.name}, seed {self.seed}"
        yield from super().logs(lines)
