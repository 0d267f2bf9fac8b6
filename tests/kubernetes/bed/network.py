"""Nodes, pods and the Service in front of them.

The namespace of the process that makes it is all nodes at once: a bridge for each, and routes between
them. A pod hangs on its node's bridge by a pair of virtual interfaces and has an address of its own
there, without a neighbour: everything it sends goes through the node, so that answers pass the rules
on their way back whether or not this machine has br_netfilter.

The rules for the Service are kube-proxy's: a random endpoint for each connection, TCP or UDP; a pod
that is led back to itself appears to itself as the bridge, or, where the bridge has no hairpin mode,
waits for an answer for ever; without endpoints the address refuses."""

import contextlib
import errno
import itertools
import os
import socket
import subprocess
from dataclasses import dataclass

from agents import wait_until
from localcluster import kernel
from localcluster.namespaces import NamespaceNetwork
from localcluster.pods import PORT, Pod

DISCARD_PORT = 9  # nobody listens there


@dataclass(frozen=True)
class Family:
    table: str
    bits: int
    subnet_bits: int
    service: str
    api_server: str
    name_service: str
    pod: str  # of a node's number and the pod's own on it
    unreachable: str


IPV4 = Family("ip", 32, 24, "10.3.0.48", "10.3.0.1", "10.3.0.10", "10.2.{}.{}",
              "icmp type port-unreachable")
IPV6 = Family("ip6", 128, 64, "fd00:3::48", "fd00:3::1", "fd00:3::10", "fd00:2:{}::{}",
              "icmpv6 type port-unreachable")
FAMILIES = {4: IPV4, 6: IPV6}


def has_ipv6():
    return os.path.exists("/proc/sys/net/ipv6/conf/all/forwarding")


class ClusterNetwork(NamespaceNetwork):
    def __init__(self, family=4, hairpin=True, nodes=3):
        self.family, self.hairpin = FAMILIES[family], hairpin
        self.service, self.api_server = self.family.service, self.family.api_server
        self.nodes = list(range(1, nodes + 1))
        self._hosts = {node: itertools.count(2) for node in self.nodes}
        self._next_node = itertools.cycle(self.nodes)
        super().__init__()

    # --- the nodes ---

    def _prepare_router(self):
        self._settings()
        local = f"/{self.family.bits} dev lo" + self._at_once
        commands = ["link set lo up", *(f"addr add {address}{local}" for address in
                                        self._local_addresses())]
        for node in self.nodes:
            gateway = f"{self.gateway(node)}/{self.family.subnet_bits}"
            commands += [f"link add node{node} type bridge forward_delay 0 mcast_snooping 0",
                         f"link set node{node} up",
                         f"addr add {gateway} dev node{node}{self._at_once}"]
        self._ip(commands)
        self._run(["nft", "-f", "-"], "add table inet faults\n")

    def _settings(self):
        """Redirects would tell pods of a shorter way, past the rules."""
        for scope in ("all", "default"):
            kernel.set_network(f"ipv4/conf/{scope}/send_redirects", 0)
        if self.family is IPV4:
            kernel.set_network("ipv4/ip_forward", 1)
        else:
            kernel.set_network("ipv6/conf/all/forwarding", 1)
            kernel.set_network("ipv6/conf/default/accept_dad", 0)
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            with contextlib.suppress(OSError):  # no br_netfilter, nothing to switch off
                kernel.set_network(f"bridge/{name}", 0)

    def _local_addresses(self):
        return self.service, self.api_server, self.family.name_service

    @property
    def _at_once(self):
        """An IPv6 address is usable at once, and not only when nobody has objected to it."""
        return " nodad" if self.family is IPV6 else ""

    def gateway(self, node):
        return self.family.pod.format(node, 1)

    def close(self):
        """Everything is gone that this made, so that another one can be made."""
        shown = subprocess.run(["ip", "-oneline", "link"], text=True, capture_output=True, check=True)
        links = [line.split(":")[1].split("@")[0].strip() for line in shown.stdout.splitlines()]
        self._ip([f"link del {link}" for link in links if link.startswith(("pod", "node"))])
        for pod in list(self._pods):
            os.close(self._pods.pop(pod))
        self._ip([f"addr del {address}/{self.family.bits} dev lo"
                  for address in self._local_addresses()])
        self._run(["nft", "-f", "-"], "delete table inet faults\n"
                  f"delete table {self.family.table} kube_proxy\n")
        os.close(self._router)

    # --- pods ---

    def new_address(self):
        """Pods spread over the nodes; no address is given twice."""
        node = next(self._next_node)
        return self.family.pod.format(node, next(self._hosts[node]))

    def node_of(self, address):
        separator = "." if self.family is IPV4 else ":"
        return int(address.split(separator)[2])

    def _probe(self):
        return Pod(0, "probe", self.family.pod.format(1, 250))

    def add(self, pod):
        node, wire = self.node_of(pod.address), f"pod{pod.index}"
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            self._pods[pod.name] = os.open("/proc/self/ns/net", os.O_RDONLY)
            if self.family is IPV6:
                kernel.set_network("ipv6/conf/default/accept_dad", 0)
            self._ip([
                "link set lo up",
                f"link add eth0 type veth peer name {wire} netns /proc/self/fd/{self._router}",
                f"addr add {pod.address}/{self.family.bits} dev eth0{self._at_once}",
                "link set eth0 up",
                f"route add default via {self.gateway(node)} dev eth0 onlink",
            ])
        finally:
            kernel.enter(self._router, kernel.CLONE_NEWNET)
        self._ip([f"link set {wire} master node{node}", f"link set {wire} up"])

    @contextlib.contextmanager
    def inside(self, pod):
        """Sockets made meanwhile are the pod's."""
        kernel.enter(self._pods[pod.name], kernel.CLONE_NEWNET)
        try:
            yield
        finally:
            kernel.enter(self._router, kernel.CLONE_NEWNET)

    def wait_reachable(self, pod):
        """A wire drops what it is given in its first moments: an agent's first try would be that."""
        def answers():
            with socket.socket(socket.AF_INET6 if ":" in pod.address else socket.AF_INET) as probe:
                probe.settimeout(0.1)
                return probe.connect_ex((pod.address, DISCARD_PORT)) == errno.ECONNREFUSED
        wait_until(answers, 20, f"the wire to {pod.address} carries packets")

    def remove(self, pod):
        """Its address may be another pod's right away, so its neighbours forget it, as a network
        plugin makes them."""
        if pod.name in self._pods:
            super().remove(pod)
            subprocess.run(["ip", "neigh", "flush", "to", pod.address], capture_output=True,
                           check=False)

    # --- the Service ---

    def set_service(self, addresses):
        """Gives the Service's address to these pods, in one step."""
        table, service = self.family.table, self.service
        to_service = f"{table} daddr {service}"
        rules = [f"add table {table} kube_proxy", f"delete table {table} kube_proxy",
                 f"table {table} kube_proxy {{"]
        if addresses:
            choices = ", ".join(f"{i} : {address}" for i, address in enumerate(addresses))
            itself = ", ".join(f"{address} . {address}" for address in addresses)
            led_back = (f"ct original {table} daddr {service} "
                        f"{table} saddr . {table} daddr {{ {itself} }}")
            rules.append(f"""
    chain services {{
        type nat hook prerouting priority dstnat;
        {to_service} meta l4proto {{ tcp, udp }} th dport {PORT} \
            dnat to numgen random mod {len(addresses)} map {{ {choices} }}
    }}
    chain hairpin {{
        type nat hook postrouting priority srcnat;
        {led_back} masquerade
    }}""")
            if not self.hairpin:
                rules.append(f"""
    chain no_hairpin {{
        type filter hook forward priority filter;
        {led_back} drop
    }}""")
        rules.append(f"""
    chain no_endpoints {{
        type filter hook input priority filter;
        {to_service} meta l4proto {{ tcp, udp }} th dport {PORT} \
            reject with {self.family.unreachable}
    }}
}}""")
        self._run(["nft", "-f", "-"], "\n".join(rules) + "\n")

    # --- faults ---

    def cut_node(self, node, names_too=True):
        """The node's uplink goes down: its pods have each other, and nobody else, and unless told
        otherwise no name service and no API server. (Probes of this process still reach every pod.)"""
        bridge, table = f"node{node}", self.family.table
        addresses = ", ".join(self._local_addresses() if names_too else [self.service])
        self._run(["nft", "-f", "-"], f"""
table inet faults {{
    chain forward {{
        type filter hook forward priority -10;
        iifname {bridge} oifname != {bridge} drop
        iifname != {bridge} oifname {bridge} drop
    }}
    chain input {{
        type filter hook input priority -10;
        iifname {bridge} {table} daddr {{ {addresses} }} drop
    }}
}}
""")

    def heal(self):
        """Ends what cut_node began."""
        self._run(["nft", "-f", "-"], "delete table inet faults\nadd table inet faults\n")

    def unplug_node(self, node):
        """The bridge itself goes down: its pods have nobody, not even each other."""
        self._ip([f"link set node{node} down"])

    def plug_node(self, node):
        self._ip([f"link set node{node} up"])
