"""Replicas where namespaces are not to be had: each on a loopback address of its own.

A forwarder process holds the service address and passes each TCP connection, and the datagrams of
each sender, to a random replica. The kernel sees every address as the machine's own, so what a
replica sends has its address only where the agent binds it; everything else is as in namespaces.
"""

import json
import os
import random
import selectors
import signal
import socket
import subprocess
import sys

from . import kernel, pods

UDP_SENDERS_MAX = 1024
CHUNK = 65536


class LoopbackNetwork:
    mode = "loopback"

    def __init__(self):
        # Clusters beside each other take different pairs of prefixes; whoever holds the service
        # address holds the pair.
        for second in range(2, 250, 2):
            self.pod_prefix = f"127.{second}"
            self.service = f"127.{second + 1}.0.48"
            self.api_server = f"127.{second + 1}.0.1"
            sockets = _bind_service(self.service)
            if sockets:
                break
        else:
            raise OSError("no loopback address is free for the service")
        descriptors = [each.fileno() for each in sockets]
        self._forwarder = subprocess.Popen(
            [sys.executable, sys.argv[0], "forward", *map(str, descriptors)],
            stdin=subprocess.PIPE, pass_fds=descriptors, start_new_session=True, text=True,
            preexec_fn=kernel.die_with_parent)
        for each in sockets:
            each.close()

    def add(self, pod):
        pass

    def remove(self, pod):
        pass

    def set_service(self, addresses):
        self._forwarder.stdin.write(json.dumps(addresses) + "\n")
        self._forwarder.stdin.flush()

    def start(self, pod, command, environment, log_path, stdin=subprocess.DEVNULL):
        with open(log_path, "ab") as log:
            return subprocess.Popen(command, env=environment, cwd="/", stdin=stdin, stdout=log,
                                    stderr=subprocess.STDOUT, start_new_session=True,
                                    preexec_fn=kernel.die_with_parent)

    def agent_arguments(self, pod):
        return ["-node", pod.name, "-bind", pod.address, "-rpc-addr", f"{pod.address}:7373"]


def _bind_service(address):
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        tcp.bind((address, pods.PORT))
        udp.bind((address, pods.PORT))
    except OSError:
        tcp.close()
        udp.close()
        return None
    return [tcp, udp]


class Forwarder:
    """Reads the list of replicas from standard input, a line each time it changes, and forwards
    until that ends."""

    def __init__(self, tcp_fd, udp_fd):
        self._tcp = socket.socket(fileno=tcp_fd)
        self._udp = socket.socket(fileno=udp_fd)
        self._addresses = []
        self._listening = False
        self._selector = selectors.DefaultSelector()
        self._by_sender = {}
        self._input = b""

    def run(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(sys.stdin.buffer.raw, selectors.EVENT_READ, self._read_addresses)
        self._selector.register(self._udp, selectors.EVENT_READ, self._pass_datagram)
        while True:
            for key, _ in self._selector.select():
                try:
                    key.data(key.fileobj)
                except OSError:
                    continue

    def _read_addresses(self, file):
        data = os.read(file.fileno(), CHUNK)
        if not data:
            sys.exit(0)
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            self._addresses = json.loads(line)
        if self._addresses and not self._listening:
            # Until there is a replica a connection is refused, as by a Service without one.
            self._tcp.listen(128)
            self._selector.register(self._tcp, selectors.EVENT_READ, self._accept)
            self._listening = True

    def _accept(self, listener):
        client, _ = listener.accept()
        if not self._addresses:
            client.close()
            return
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            server.settimeout(1)
            server.connect((random.choice(self._addresses), pods.PORT))
        except OSError:
            client.close()
            server.close()
            return
        for one, other in ((client, server), (server, client)):
            one.settimeout(10)
            self._selector.register(one, selectors.EVENT_READ,
                                    lambda source, target=other: self._pump(source, target))

    def _pump(self, source, target):
        try:
            data = source.recv(CHUNK)
            if data:
                target.sendall(data)
                return
            target.shutdown(socket.SHUT_WR)
            self._selector.unregister(source)
            if target not in self._selector.get_map():
                source.close()
                target.close()
        except OSError:
            for each in (source, target):
                if each.fileno() >= 0 and each in self._selector.get_map():
                    self._selector.unregister(each)
                each.close()

    def _pass_datagram(self, service):
        data, sender = service.recvfrom(CHUNK)
        outgoing = self._by_sender.get(sender)
        if outgoing is None:
            if not self._addresses:
                return
            if len(self._by_sender) >= UDP_SENDERS_MAX:
                self._forget_sender(next(iter(self._by_sender)))
            outgoing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            outgoing.connect((random.choice(self._addresses), pods.PORT))
            self._by_sender[sender] = outgoing
            self._selector.register(
                outgoing, selectors.EVENT_READ,
                lambda reply: service.sendto(reply.recv(CHUNK), sender))
        outgoing.send(data)

    def _forget_sender(self, sender):
        outgoing = self._by_sender.pop(sender)
        self._selector.unregister(outgoing)
        outgoing.close()
