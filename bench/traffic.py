"""The other side: members that exist only as an address which answers pings, senders of gossip, and
exchanges of state that tell an agent about thousands of members."""

import socket
import subprocess
from functools import lru_cache

from clusters import ROOT
import protocol  # of the interop tests, whose folder `clusters` has put on the path

PEER_PORT = 7947
TOOL = ROOT / "build-release" / "bench" / "gossip_traffic"
EXCHANGE_SECONDS = 120


class Traffic:
    """One gossip_traffic process (see its source)."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([TOOL, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def send_all(self):
        """Sends the traffic to its end; returns what the tool counted."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._counts()

    def acks(self):
        """Ends the tool; how many of its pings were answered."""
        self.process.stdin.close()
        return int(self._counts()["acks"])

    def _counts(self):
        words = self.process.stdout.readline().split()
        return dict(zip(words[::2], map(float, words[1::2])))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def address_of(number):
    """127.16.0.0 and on: one address for each member that there is only the name of."""
    return f"127.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def node(number):
    return protocol.node_state(f"member-{number:06}", address_of(number), port=PEER_PORT)


def source_node(number):
    return protocol.node_state(f"source-{number:03}", f"127.2.0.{number + 1}", port=PEER_PORT)


@lru_cache(maxsize=None)
def exchange_of(first, count):
    """The push/pull, compressed as every peer does by default, of a peer that knows these."""
    nodes = [node(number) for number in range(first, first + count)]
    state = protocol.serf_state(statuses={state["Name"]: 1 for state in nodes})
    return protocol.compress(protocol.push_pull(nodes, state))


@lru_cache(maxsize=None)
def exchange_of_sources(count):
    return protocol.push_pull([source_node(number) for number in range(count)],
                              protocol.serf_state())


def exchange(agent, request):
    """Hands the agent a push/pull; returns when it has answered."""
    with protocol.StreamPeer(agent) as stream:
        stream.socket.settimeout(EXCHANGE_SECONDS)
        stream.socket.sendall(request)
        stream.read(1)
        stream.socket.shutdown(socket.SHUT_WR)


def handshake():
    """What an RPC client says first."""
    return protocol.pack({"Command": "handshake", "Seq": 1}) + protocol.pack({"Version": 1})
