"""The network that faults happen on: every agent in a network namespace of its own, and one router
between them whose rules a test changes. The router is this process's namespace, so all of it is
gone when the process is, however it ends.

Gossip and nothing else passes the router: an agent's RPC is on its own loopback address, where
clients are started by nsenter."""

import errno
import itertools
import socket
import subprocess

from agents import wait_until
from localcluster.namespaces import NamespaceNetwork
from localcluster.pods import Pod, gateway_of
from weather import Detour, Netem, has_netem

DISCARD_PORT = 9  # nobody listens there
RULES = """
add table ip faults
delete table ip faults
table ip faults {
    set cut { type ipv4_addr . ipv4_addr; }
    set cut_datagrams { type ipv4_addr . ipv4_addr; }
    counter lost { }
    chain forward {
        type filter hook forward priority 0;
        ip saddr . ip daddr @cut counter name lost drop
        meta l4proto udp ip saddr . ip daddr @cut_datagrams counter name lost drop
    }
}
"""


def _answers(address):
    """A wire drops what it is given in its first moments: an agent's first try would be that."""
    with socket.socket() as probe:
        probe.settimeout(0.1)
        return probe.connect_ex((address, DISCARD_PORT)) == errno.ECONNREFUSED


class FaultyNetwork(NamespaceNetwork):
    pod_prefix = "10.4"
    gateway = gateway_of("10.4.0.2")  # the router's own address

    def __init__(self):
        super().__init__()
        self._serial = itertools.count(1)
        self.hosts = {}  # address: the wire's far end
        self.weather = None
        self._run(["nft", "-f", "-"], RULES)

    # --- hosts ---

    def new_address(self):
        """The address of a new host, for ever: none is given twice."""
        number = next(self._serial)
        address = f"{self.pod_prefix}.{number // 250}.{number % 250 + 2}"
        self.hosts[address] = Pod(number, address, address)
        self.add(self.hosts[address])
        wait_until(lambda: _answers(address), 20, f"the wire to {address} carries packets")
        return address

    def remove_host(self, address):
        """As when a pod is deleted: its address leads nowhere. What runs there goes on, alone."""
        self.remove(self.hosts.pop(address))

    # --- faults ---

    def _nft(self, *lines):
        self._run(["nft", "-f", "-"], "\n".join(lines) + "\n")

    def cut(self, sources, targets, what="cut"):
        """Nothing (or no datagram) that one of these agents sends reaches one of those."""
        pairs = ", ".join(f"{source.host} . {target.host}"
                          for source in sources for target in targets)
        self._nft(f"add element ip faults {what} {{ {pairs} }}")

    def cut_datagrams(self, sources, targets):
        self.cut(sources, targets, "cut_datagrams")

    def cut_both_ways(self, some, others):
        self.cut(some, others)
        self.cut(others, some)

    def lost_packets(self):
        """How many packets the cuts have swallowed since the last healing."""
        listing = subprocess.run(["nft", "list", "counter", "ip", "faults", "lost"], text=True,
                                 capture_output=True, check=True).stdout
        return int(listing.split("packets")[1].split()[0])

    def heal(self):
        """Ends every fault."""
        self._run(["nft", "-f", "-"], RULES)
        if self.weather:
            self.weather.end()
            self.weather = None

    def storm(self, **strength):
        """From now on packets between hosts are lost, doubled and overtaken (weather.py)."""
        wires = [f"pod{host.index}" for host in self.hosts.values()]
        self.weather = Netem(wires) if has_netem() else Detour(f"{self.pod_prefix}.0.0/16")
        self.weather.begin(**strength)
        return self.weather

    def clear(self):
        """The end of a test."""
        self.heal()
        for address in list(self.hosts):
            self.remove_host(address)
