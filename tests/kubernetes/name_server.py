"""A name server for tests: A, AAAA and SRV records over UDP and TCP, set by calls.

    names = NameServer("127.0.0.1")
    names.services["_serf._tcp.test"] = [(priority, port, "pod-1.test"), ...]
    names.addresses["pod-1.test"] = ["10.0.0.1", "fd00::1"]
    names.stop()
"""

import ipaddress
import socketserver
import struct
import threading

A, AAAA, SRV = 1, 28, 33
DATAGRAM_MAX = 512


def encode(name):
    labels = [label.encode() for label in name.split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def decode(message, offset):
    labels = []
    while message[offset]:
        labels.append(message[offset + 1:offset + 1 + message[offset]].decode().lower())
        offset += 1 + message[offset]
    return ".".join(labels), offset + 1


class NameServer:
    def __init__(self, host, port=53):
        self.addresses, self.services, self.questions = {}, {}, []
        owner = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self):
                message, sender = self.request
                sender.sendto(owner.answer(message, DATAGRAM_MAX), self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self):
                while head := self.rfile.read(2):
                    answer = owner.answer(self.rfile.read(struct.unpack(">H", head)[0]), 65535)
                    self.wfile.write(struct.pack(">H", len(answer)) + answer)

        class Streams(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self._servers = [socketserver.ThreadingUDPServer((host, port), Datagram),
                         Streams((host, port), Stream)]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def records(self, name, kind):
        if kind == SRV:
            return [struct.pack(">HHH", priority, 0, port) + encode(target)
                    for priority, port, target in self.services.get(name, [])]
        version = 4 if kind == A else 6 if kind == AAAA else 0
        addresses = [ipaddress.ip_address(text) for text in self.addresses.get(name, [])]
        return [address.packed for address in addresses if address.version == version]

    def answer(self, message, size_max):
        name, end = decode(message, 12)
        kind = struct.unpack(">H", message[end:end + 2])[0]
        self.questions.append((name, kind, size_max))
        records = self.records(name, kind)
        known = name in self.addresses or name in self.services
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data
                        for data in records)
        question = message[12:end + 4]
        cut = 12 + len(question) + len(body) > size_max
        flags = 0x8180 | (0 if known else 3) | (0x0200 if cut else 0)
        head = message[:2] + struct.pack(">HHHHH", flags, 1, 0 if cut else len(records), 0, 0)
        return head + question + (b"" if cut else body)
