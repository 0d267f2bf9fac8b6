"""One background process a cluster: it makes the replicas, watches them, and ends with them.

It answers one request after another over a socket in the state directory. Whoever asked may go
away in the middle; the work is finished all the same. Should the supervisor itself be killed, the
kernel kills its replicas and takes their namespaces down.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

from . import loopback, namespaces, pods

ENDPOINT_DELAY_S = 0.5  # from a container's start until the service sends it connections
LEAVE_TIMEOUT_S = 20
BY_HAND_TIMEOUT_S = 5
REPLICAS_MAX = 100
TICK_S = 0.05


class Refused(Exception):
    """A request that can't be carried out, and why."""


class Supervisor:
    def __init__(self, state, network):
        self._state = state
        self._network = network
        self._pods = {}
        self._history = []  # names of all replicas ever, in the order of their starts
        self._next_index = 1
        self._in_service = []
        self._stopping = False
        self._save()

    def serve(self, listener):
        signal.signal(signal.SIGTERM, self._on_terminate)
        listener.settimeout(TICK_S)
        while not self._stopping:
            try:
                connection, _ = listener.accept()
            except socket.timeout:
                self._tick()
                continue
            self._answer(connection)
        self._remove_all(lambda text: None)
        self._state.forget()

    def _on_terminate(self, _signal, _frame):
        self._stopping = True

    # --- requests ---

    def _answer(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            with connection.makefile("r", encoding="utf-8") as lines:
                request = json.loads(lines.readline() or "{}")

            def send(message):
                with contextlib.suppress(OSError):  # whoever asked has gone
                    connection.sendall(json.dumps(message).encode() + b"\n")

            try:
                answer = self._carry_out(request, lambda text: send({"progress": text}))
                send({"answer": answer})
            except (Refused, OSError, subprocess.SubprocessError) as error:
                send({"error": str(error)})

    def _carry_out(self, request, tell):
        self._tick()
        do = request.get("do")
        if do == "scale":
            self._scale(request["replicas"], tell)
        elif do == "add":
            self._add_by_hand(request["name"], request["client"])
        elif do == "remove":
            if request["name"] in self._pods:
                self._remove([self._pods[request["name"]]], tell)
        elif do == "down":
            self._remove_all(tell)
            self._stopping = True
        elif do == "kill":
            self._kill_all()
            self._stopping = True
        elif do != "status":
            raise Refused(f"no such request: {do}")
        return self._describe()

    def _describe(self):
        return {
            "supervisor": os.getpid(),
            "mode": self._network.mode,
            "service": self._network.service,
            "api_server": self._network.api_server,
            "history": self._history,
            "pods": [pod.describe() for pod in self._pods.values()],
        }

    def _save(self):
        self._state.save(self._describe())

    # --- pods ---

    def _replicas(self):
        return [pod for pod in self._pods.values() if not pod.by_hand]

    def _make(self, name=None):
        taken = {pod.address for pod in self._pods.values()}
        pod = pods.Pod(self._next_index, name or pods.choose_name(self._pods),
                       pods.choose_address(self._network.pod_prefix, taken), by_hand=bool(name))
        self._next_index += 1
        self._network.add(pod)
        self._pods[pod.name] = pod
        return pod

    def _environment(self, pod):
        return pods.environment(pod.name, pods.http_address(self._network.mode, pod.address),
                                self._network.service, self._network.api_server,
                                self._state.path("config"), self._state.path("bin"))

    def _scale(self, wanted, tell):
        if not 0 <= wanted <= REPLICAS_MAX:
            raise Refused(f"{wanted} replicas: it must be 0 to {REPLICAS_MAX}")
        replicas = self._replicas()
        if wanted < len(replicas):
            self._remove(replicas[wanted:], tell)  # the newest go first
        elif wanted > len(replicas):
            self._start_replicas([self._make() for _ in range(wanted - len(replicas))], tell)

    def _start_replicas(self, new, tell):
        """All at the same instant: each waits in front of its program until the gate opens."""
        gate, latch = os.pipe()
        try:
            for pod in new:
                command = pods.behind_gate([self._state.path("bin", "boot"),
                                            *self._network.agent_arguments(pod)])
                pod.process = self._network.start(pod, command, self._environment(pod),
                                                  self._state.log_path(pod.name), stdin=gate)
        finally:
            os.close(gate)
            os.close(latch)
        now = time.monotonic()
        for pod in new:
            pod.started = now
            self._history.append(pod.name)
            tell(f"started {pod.name} at {pod.address}")
        self._save()

    def _add_by_hand(self, name, client):
        if name in self._pods:
            raise Refused(f"there is a pod called {name} already")
        pod = self._make(name)
        pod.client = client
        # Like Kubernetes' pause container: it only holds the namespaces open.
        pod.process = self._network.start(pod, ["sleep", "infinity"], self._environment(pod),
                                          "/dev/null")
        self._save()

    def _tick(self):
        """Takes note of replicas that ended, and gives connections to those that now run."""
        ended = [pod for pod in self._pods.values()
                 if pod.process and pod.process.poll() is not None]
        for pod in ended:
            self._forget(pod)
        now = time.monotonic()
        for pod in self._replicas():
            pod.in_service = pod.in_service or (
                pod.started is not None and now - pod.started >= ENDPOINT_DELAY_S)
        self._update_service()
        if ended:
            self._save()
        if not os.path.exists(self._state.path("socket")):
            self._stopping = True  # someone removed the directory: nobody can reach us again

    def _update_service(self):
        wanted = [pod.address for pod in self._replicas() if pod.in_service]
        if wanted != self._in_service:
            self._in_service = wanted
            self._network.set_service(wanted)
            self._save()

    def _forget(self, pod):
        status = pod.process.returncode
        how = f"signal {-status}" if status < 0 else f"status {status}"
        print(f"{pod.name} at {pod.address} ended with {how}", flush=True)
        self._network.remove(pod)
        del self._pods[pod.name]

    def _remove_all(self, tell):
        self._remove(list(self._pods.values()), tell)

    def _kill_all(self):
        for pod in list(self._pods.values()):
            pod.process.kill()
            pod.process.wait()
            self._forget(pod)

    def _remove(self, leaving, tell):
        """Out of the service first, as Kubernetes does; then asked to leave; then made to."""
        for pod in leaving:
            pod.in_service = False
            pod.started = None
        self._update_service()
        began = time.monotonic()
        for pod in leaving:
            self._ask_to_end(pod)
        waiting = list(leaving)
        while waiting:
            late = time.monotonic() - began > LEAVE_TIMEOUT_S
            for pod in list(waiting):
                if pod.process.poll() is None and not late:
                    continue
                if pod.process.returncode is None:
                    pod.process.kill()
                    pod.process.wait()
                if not pod.by_hand:
                    how = (f"did not leave within {LEAVE_TIMEOUT_S} s and was killed" if late else
                           f"left after {time.monotonic() - began:.1f} s")
                    tell(f"{pod.name} {how}")
                self._forget(pod)
                waiting.remove(pod)
            time.sleep(TICK_S)
        self._save()

    def _ask_to_end(self, pod):
        if not pod.by_hand:
            pod.process.terminate()
            return
        if self._network.mode == "namespaces":
            subprocess.run([*namespaces.enter_command(pod.process.pid),
                            *namespaces.kill_others(signal.SIGTERM)],
                           check=False, capture_output=True)
            deadline = time.monotonic() + BY_HAND_TIMEOUT_S
            while _has_others(pod.process.pid) and time.monotonic() < deadline:
                time.sleep(TICK_S)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pod.client, signal.SIGTERM)  # which passes it on
        pod.process.kill()


def _has_others(keeper_pid):
    """Whether anything but process 1 runs in a pod's process namespace."""
    namespace = os.readlink(f"/proc/{keeper_pid}/ns/pid_for_children")
    found = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                found += os.readlink(f"/proc/{entry}/ns/pid") == namespace
    return found > 1


def run(state, mode, ready_fd):
    """The supervisor process. Says on `ready_fd` that it serves, or why it can't."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(ready_fd, "w", encoding="utf-8") as ready:
        try:
            network = (namespaces.NamespaceNetwork() if mode == "namespaces" else
                       loopback.LoopbackNetwork())
            supervisor = Supervisor(state, network)
            listener = state.listen()
        except (namespaces.NamespacesImpossible, OSError) as error:
            ready.write(f"impossible: {error}")
            return 1
        ready.write("ready")
    supervisor.serve(listener)
    return 0
