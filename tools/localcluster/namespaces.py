"""Replicas as Kubernetes runs them: each in a network namespace of its own.

The supervisor's own namespace is the node's router. Every pod hangs on it by a pair of virtual
interfaces, with a routed /32 address, and nftables gives the service address to a random pod, as
kube-proxy does: what comes back to its own sender is masqueraded, so the sender meets itself. With
no pod behind it the service address belongs to the router, where nothing listens: a connection is
refused. Everything lives and dies with the supervisor's namespace.
"""

import os
import signal
import subprocess

from . import kernel, pods


class NamespacesImpossible(Exception):
    """Why this machine does not let us."""


class NamespaceNetwork:
    mode = "namespaces"
    service = "10.3.0.48"
    api_server = "10.3.0.1"
    pod_prefix = "10.2"

    def __init__(self):
        self._router = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._pods = {}  # name: the namespace's file descriptor
        try:
            self._prepare_router()
            self.set_service([])
            self._try_one_pod()
        except (OSError, subprocess.SubprocessError) as error:
            raise NamespacesImpossible(str(error)) from error

    def _prepare_router(self):
        kernel.set_network("ipv4/ip_forward", 1)
        kernel.set_network("ipv4/conf/all/forwarding", 1)
        kernel.set_network("ipv4/conf/all/send_redirects", 0)
        self._ip(["link set lo up", f"addr add {self.service}/32 dev lo"])

    def _probe(self):
        return pods.Pod(0, "probe", f"{self.pod_prefix}.0.2")

    def _try_one_pod(self):
        probe = self._probe()
        self.add(probe)
        output = os.memfd_create("probe")
        try:
            self.start(probe, ["true"], {"PATH": os.environ["PATH"]}, f"/proc/self/fd/{output}").wait()
        except subprocess.SubprocessError as error:
            said = os.pread(output, 1000, 0).decode(errors="replace").strip()
            raise OSError(said or str(error)) from error
        finally:
            os.close(output)
            self.remove(probe)

    def _run(self, command, text):
        result = subprocess.run(command, input=text, capture_output=True, text=True,
                                pass_fds=[self._router], check=False)
        if result.returncode != 0:
            raise OSError(f"{command[0]}: {result.stderr.strip().splitlines()[0]}")

    def _ip(self, commands):
        self._run(["ip", "-batch", "-"], "\n".join(commands) + "\n")

    def add(self, pod):
        gateway = pods.gateway_of(pod.address)
        wire = f"pod{pod.index}"
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            self._pods[pod.name] = os.open("/proc/self/ns/net", os.O_RDONLY)
            self._ip([
                "link set lo up",
                f"link add eth0 type veth peer name {wire} netns /proc/self/fd/{self._router}",
                f"addr add {pod.address}/32 dev eth0",
                "link set eth0 up",
                f"route add default via {gateway} dev eth0 onlink",
            ])
        finally:
            kernel.enter(self._router, kernel.CLONE_NEWNET)
        self._ip([
            f"addr add {gateway}/32 dev {wire}",
            f"link set {wire} up",
            f"route add {pod.address}/32 dev {wire}",
        ])

    def remove(self, pod):
        namespace = self._pods.pop(pod.name, None)
        if namespace is not None:
            self._ip([f"link del pod{pod.index}"])
            os.close(namespace)

    def set_service(self, addresses):
        """Gives the service address to these pods, in one step."""
        rules = ["add table ip cluster", "delete table ip cluster"]
        if addresses:
            choices = ", ".join(f"{i} : {address}" for i, address in enumerate(addresses))
            itself = ", ".join(f"{address} . {address}" for address in addresses)
            rules.append(f"""
table ip cluster {{
    chain service {{
        type nat hook prerouting priority dstnat;
        ip daddr {self.service} meta l4proto {{ tcp, udp }} th dport {pods.PORT} \
            dnat to numgen random mod {len(addresses)} map {{ {choices} }}
    }}
    chain hairpin {{
        type nat hook postrouting priority srcnat;
        ct original ip daddr {self.service} ip saddr . ip daddr {{ {itself} }} masquerade
    }}
}}""")
        self._run(["nft", "-f", "-"], "\n".join(rules) + "\n")

    def start(self, pod, command, environment, log_path, stdin=subprocess.DEVNULL, mounts=()):
        """Runs the command as process 1 of the pod. For each (source, target) of `mounts` the pod
        has a file or folder of the machine at another place, or, where source is None, an empty
        folder in memory. What is returned is its keeper, outside."""
        namespace = self._pods[pod.name]

        def become_the_pod():
            try:
                enter_the_pod()
            except OSError as error:  # the parent is told only that something went wrong
                os.write(2, f"{error}\n".encode())
                raise

        def enter_the_pod():
            kernel.die_with_parent()
            kernel.enter(namespace, kernel.CLONE_NEWNET)
            kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWPID)
            private = kernel.make_mounts_private()
            kernel.set_hostname(pod.name)
            if mounts and not private:
                raise OSError("a pod can't have mounts of its own here")
            for source, target in mounts:
                kernel.mount(source, target)
            _fork_into_namespace()
            if private:
                kernel.mount_proc()

        with open(log_path, "ab") as log:
            return subprocess.Popen(command, env=environment, cwd="/", stdin=stdin, stdout=log,
                                    stderr=subprocess.STDOUT, start_new_session=True,
                                    preexec_fn=become_the_pod)

    def agent_arguments(self, _pod):
        return []

    def launcher(self, name):
        """The command in front of another one that puts it on the network of the pod."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self._pods[name]}", "--"]


def _fork_into_namespace():
    """A new process namespace begins with the next child. Returns in that child; the caller stays
    as its keeper: passes SIGTERM on, ends as it ends, and takes it along when killed."""
    child = os.fork()
    if child == 0:
        kernel.die_with_parent()
        return
    signal.signal(signal.SIGTERM, lambda number, _frame: os.kill(child, number))
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(status if status >= 0 else 128 - status)


def launcher():
    """The command in front of the supervisor that gives it namespaces of its own."""
    if os.geteuid() == 0:
        return ["unshare", "--net", "--"]
    return ["unshare", "--user", "--map-root-user", "--net", "--"]


def enter_command(pid):
    """The command in front of another one that puts it into the pod of the keeper `pid`."""
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={pid}", *user, "--net", "--uts", "--mount", "--root",
            f"--pid=/proc/{pid}/ns/pid_for_children", "--"]


def kill_others(number):
    """The command that, in a pod, signals all its processes but process 1."""
    return ["sh", "-c", f"kill -{int(number)} -1"]
