"""One link, as in an office: hosts in network namespaces of their own on a bridge, so that multicast
reaches all of them."""

import errno
import itertools
import os
import socket
import subprocess
import sys

from agents import REPOSITORY, wait_until

sys.path.insert(0, str(REPOSITORY / "tools"))
from localcluster import kernel  # noqa: E402

PREFIX = "10.9.0"
DISCARD_PORT = 9  # nobody listens there
DAD = "/proc/sys/net/ipv6/conf/default/accept_dad"
HAS_IPV6 = os.path.exists(DAD)


class Link:
    """Make it in a namespace of the test's own, which becomes the bridge's."""

    def __init__(self):
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._serial = itertools.count(2)
        self._hosts, self._wires = [], []
        self._ip("link add lan0 type bridge", "link set lan0 up", f"addr add {PREFIX}.1/24 dev lan0")

    def _ip(self, *commands):
        done = subprocess.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True,
                              capture_output=True, pass_fds=[self._home], check=False)
        if done.returncode != 0:
            raise OSError(f"ip: {done.stderr.strip()}")

    def new_host(self):
        """(address, launcher): a host, and the words that run the words behind them on it."""
        number = next(self._serial)
        address, wire = f"{PREFIX}.{number}", f"wire{number}"
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
            # An IPv6 address is usable at once, and not only when nobody has objected to it.
            if HAS_IPV6:
                with open(DAD, "w", encoding="ascii") as file:
                    file.write("0")
            self._ip("link set lo up",
                     f"link add eth0 type veth peer name {wire} netns /proc/self/fd/{self._home}",
                     f"addr add {address}/24 dev eth0", "link set eth0 up",
                     f"route add default via {PREFIX}.1")
        finally:
            kernel.enter(self._home, kernel.CLONE_NEWNET)
        self._hosts.append(namespace)
        self._wires.append(wire)
        self._ip(f"link set {wire} master lan0", f"link set {wire} up")
        wait_until(lambda: self._answers(address), 20, f"the wire to {address} carries packets")
        return address, ["nsenter", f"--net=/proc/{os.getpid()}/fd/{namespace}", "--"]

    @staticmethod
    def _answers(address):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((address, DISCARD_PORT)) == errno.ECONNREFUSED

    def close(self):
        for wire in [*self._wires, "lan0"]:  # the kernel alone would do it, but later
            subprocess.run(["ip", "link", "del", wire], check=False)
        for namespace in self._hosts:
            os.close(namespace)
        os.close(self._home)
