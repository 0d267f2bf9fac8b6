"""A pod: one agent as process 1, in a network of its own, started and ended as a kubelet does it."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
from pathlib import Path

from agents import GOSSIP_PORT, LOGS_FLOW, OURS, PATIENCE_SECONDS, SANITIZER, Agent, \
    address_text, wait_until
from localcluster import pods

from bed.flavours import COPY_MOUNT, KEYRING, KEYRING_SECRET, SECRET_MOUNT, SNAPSHOT_MOUNT, \
    SOCKET_MOUNT, on_volumes

# The manifests' is 30 s, and no agent takes longer than half of that; but a machine that runs tests
# stands still now and then.
GRACE_SECONDS = max(PATIENCE_SECONDS, 30)
RPC_ADDRESS = "127.0.0.1:7373"


class Pod(Agent):
    def __init__(self, bed, program, name, address, flavour):
        super().__init__(bed, program, name, host=address)
        self.bed, self.index, self.flavour = bed, bed.next_index(), flavour
        self.node = bed.network.node_of(address)
        self.volume = bed.directory / "volumes" / name  # the same for all pods of that name
        self.shared = bed.directory / f"shared-{name}"
        self.variables = {}
        self.in_time = None  # whether it ended by itself when it was asked to

    @property
    def address(self):
        return self.host  # without the port: the network's address, and what one joins

    @property
    def gossip_address(self):
        return address_text(self.host, GOSSIP_PORT)

    @property
    def rpc_address(self):
        return RPC_ADDRESS

    # --- life ---

    def command(self):
        if not self.program.is_reference:
            return [str(self.bed.programs / "boot")]
        return [self.program.path, "agent", "-config-dir", str(self.bed.configuration),
                "-retry-join", pods.bracketed(self.bed.network.service)]

    def spawn(self, gate=subprocess.DEVNULL):
        """Its program begins when the gate is closed. The pod's network must be there."""
        self._fill_volumes()
        self.launcher = self.bed.network.launcher(self.name)
        self.variables = self.flavour.environment(self, self.bed.network, self.bed.configuration,
                                                  self.bed.programs)
        command = self.command() if gate == subprocess.DEVNULL else pods.behind_gate(self.command())
        self.process = self.run_container(command, self.variables, self.log_path,
                                          self.flavour.asks_api, gate)
        return self

    def _fill_volumes(self):
        """The keyring's Secret as it is now, and nothing else, but that a snapshot stays."""
        for mount in (SECRET_MOUNT, COPY_MOUNT):
            shutil.rmtree(on_volumes(mount, self.volume), ignore_errors=True)
        for mount in (SNAPSHOT_MOUNT, SECRET_MOUNT, COPY_MOUNT):
            os.makedirs(on_volumes(mount, self.volume), exist_ok=True)
        if self.flavour.encrypted:
            keyring = Path(on_volumes(SECRET_MOUNT + KEYRING, self.volume))
            keyring.write_text(self.bed.api.secret(KEYRING_SECRET)[KEYRING], "utf-8")
            keyring.chmod(0o440)

    def run_container(self, command, variables, log_path, with_token, stdin=subprocess.DEVNULL):
        """A container of the pod: the pod's network, and processes of its own."""
        passed_on = {key: value for key, value in os.environ.items() if key.endswith("SAN_OPTIONS")}
        return self.bed.network.start(self, command, {**variables, **passed_on, "TZ": "UTC"}, log_path,
                                      stdin=stdin, mounts=self._mounts(with_token))

    def _mounts(self, with_token):
        """What stands in places below /run is over a file system of memory, so that nothing of it is on
        the machine."""
        there = self.bed.api.mounts() if with_token else []
        if self.flavour.shares_socket:
            self.shared.mkdir(exist_ok=True)
            there.append((str(self.shared), SOCKET_MOUNT))
        return [*self.bed.mounts(), *([(None, "/run")] if there else []), *there]

    def wait_started(self):
        def started():
            assert self.running, f"{self} ended with {self.process.returncode}:\n{self.log()}"
            return LOGS_FLOW in self.log()
        wait_until(started, 20, f"{self} is running")

    def ask_to_end(self):
        self.left = True
        self.process.terminate()

    def wait_ended(self):
        """It ends by itself, or else, after the grace period, by force."""
        try:
            self.exit_status = self.process.wait(GRACE_SECONDS)
            self.in_time = True
        except subprocess.TimeoutExpired:
            self.in_time = False
            self.kill()

    def kill(self):
        self.killed = True
        self.process.kill()
        self.exit_status = self.process.wait()

    def dispose(self):
        """The end of the test, by force: nobody has to hear of it."""
        if self.running:
            self.kill()
        if self.log_path.exists():
            assert not SANITIZER.search(self.log()), f"{self} broke a rule of C; see its log"

    # --- what it says ---

    def get(self, path):
        """(status, body) over HTTP, as a probe of the kubelet asks, from within the pod where only
        that is answered; None: no answer."""
        host, _, port = self.variables["SERF_AGENT_HTTP_ADDR"].rpartition(":")
        connection = http.client.HTTPConnection(host or self.host, int(port), timeout=5)
        with contextlib.closing(connection):
            try:
                with self.bed.network.inside(self) if host else contextlib.nullcontext():
                    connection.connect()
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except (OSError, http.client.HTTPException):
                return None

    def ready(self):
        answer = self.get("/health/ready")
        return answer is not None and answer[0] == 200

    def members(self, *arguments, program=None):
        """{name: entry}; empty when it does not answer now."""
        if self.program.is_reference or arguments or program:
            done = self.run("members", "-format=json", *arguments, program=program or OURS)
            text = done.stdout if done.returncode == 0 else "{}"
        else:
            answer = self.get("/v1/members")
            text = answer[1] if answer and answer[0] == 200 else "{}"
        return {entry["name"]: entry for entry in json.loads(text).get("members") or []}

    def alive(self):
        """{name: address} of whom it holds alive."""
        return {name: entry["addr"] for name, entry in self.members().items()
                if entry["status"] == "alive"}

    def failures_it_saw(self):
        return self.log_lines("EventMemberFailed: ")
