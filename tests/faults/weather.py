"""Loss, duplication and reordering, in one of two ways.

Netem does it in the kernel, on the router's wires. Not every kernel has it: then packets take a
detour through this process, which reads them from a TUN interface and writes them back late, twice
or not at all. (nftables alone can lose and double packets, but let none overtake another.)
test_network.py measures whichever is used."""

import fcntl
import functools
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

import pytest

TUNSETIFF = 0x400454ca
IFF_TUN, IFF_NO_PI = 0x1, 0x1000
PACKET_MAX = 65536
DELAY_S, JITTER_S = 0.020, 0.015
DEVICE = "detour"
MARK, TABLE = 1, 100


def _sh(*words, text=None):
    subprocess.run(words, input=text, text=True, check=True, capture_output=True)


@functools.cache
def has_netem():
    """Asked of the router's loopback interface, which carries nothing."""
    try:
        done = subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "1%"],
                              capture_output=True, check=False)
    except FileNotFoundError:
        return False
    if done.returncode == 0:
        _sh("tc", "qdisc", "del", "dev", "lo", "root")
    return done.returncode == 0


class Netem:
    def __init__(self, wires):
        self.wires = wires

    def begin(self, loss, duplication):
        for wire in self.wires:  # with a jitter above the time between packets they overtake
            _sh("tc", "qdisc", "add", "dev", wire, "root", "netem", "limit", "10000", "delay",
                f"{DELAY_S * 1000}ms", f"{JITTER_S * 1000}ms", "loss", f"{loss}%", "duplicate",
                f"{duplication}%")

    def end(self):
        for wire in self.wires:
            subprocess.run(["tc", "qdisc", "del", "dev", wire, "root"], capture_output=True,
                           check=False)


class Detour:
    """What comes over a wire for another host is marked, and a mark leads to the detour. What comes
    out of the detour is not marked and goes on to its host."""

    def __init__(self, hosts):
        self.hosts, self.device, self.thread, self.over = hosts, None, None, threading.Event()

    def begin(self, loss, duplication):
        try:
            self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            pytest.skip(f"no weather here: this kernel has no netem, and {error}")
        fcntl.ioctl(self.device, TUNSETIFF,
                    struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
        for name in ("all", DEVICE):
            with open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "w", encoding="ascii") as file:
                file.write("0")
        _sh("ip", "-batch", "-", text=f"link set {DEVICE} up txqueuelen 10000\n"
                                      f"route add default dev {DEVICE} table {TABLE}\n"
                                      f"rule add fwmark {MARK} lookup {TABLE}\n")
        self.thread = threading.Thread(target=self._carry, args=(loss, duplication), daemon=True)
        self.thread.start()
        _sh("nft", "-f", "-", text=f"""
table ip detour {{
    chain in {{
        type filter hook prerouting priority mangle;
        iifname "pod*" ip saddr {self.hosts} ip daddr {self.hosts} meta mark set {MARK}
    }}
}}
""")

    def end(self):
        _sh("nft", "delete", "table", "ip", "detour")
        time.sleep(2 * (DELAY_S + JITTER_S))  # what is still under way arrives
        self.over.set()
        self.thread.join()
        os.close(self.device)
        _sh("ip", "rule", "del", "fwmark", str(MARK), "lookup", str(TABLE))

    def _carry(self, loss, duplication):
        luck = random.Random()
        under_way, order = [], 0
        while not self.over.is_set():
            wait = under_way[0][0] - time.monotonic() if under_way else 0.1
            if select.select([self.device], [], [], min(max(wait, 0), 0.1))[0]:
                for packet in self._arrived():
                    copies = 0 if luck.random() * 100 < loss else 1
                    copies += luck.random() * 100 < duplication and copies
                    for _ in range(copies):
                        order += 1
                        late = DELAY_S + luck.uniform(-JITTER_S, JITTER_S)
                        heapq.heappush(under_way, (time.monotonic() + late, order, packet))
            now = time.monotonic()
            while under_way and under_way[0][0] <= now:
                self._deliver(heapq.heappop(under_way)[2])

    def _arrived(self):
        for _ in range(64):
            try:
                yield os.read(self.device, PACKET_MAX)
            except BlockingIOError:
                return

    def _deliver(self, packet):
        try:
            os.write(self.device, packet)
        except OSError:
            pass  # a host that is gone: one more loss
