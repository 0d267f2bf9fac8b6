#!/usr/bin/python3
"""A name server that misbehaves on demand: odd_dns.py ADDRESS STATE

STATE is a JSON file, which is read again for each question: {"mode": ..., "names": {name:
[addresses]}, "records": {name: [targets of SRV records]}, ...}. Modes:

right      answers from `names` and `records`
slow       the same, `seconds` late
truncated  over UDP says that the answer is too long, and gives none; over TCP answers
empty      no error, and nothing else
wrong      whoever is asked for has the addresses in `addresses`
refusing   SERVFAIL
silent     no answer
"""

import json
import socket
import socketserver
import struct
import sys
import threading
import time

TYPE_A, TYPE_AAAA, TYPE_SRV = 1, 28, 33
RESPONSE, TRUNCATED = 0x8180, 0x0200
SERVER_FAILURE, NO_SUCH_NAME = 2, 3
TTL_S = 5


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split(".")) + b"\0"


def question_of(packet):
    """(name, type, the question's bytes)"""
    place, labels = 12, []
    while packet[place]:
        labels.append(packet[place + 1:place + 1 + packet[place]].decode("ascii").lower())
        place += packet[place] + 1
    return ".".join(labels), struct.unpack_from(">H", packet, place + 1)[0], packet[12:place + 5]


def data_of(state, name, kind):
    """The data of all records of that type that the name has."""
    if kind == TYPE_SRV:
        return [struct.pack(">3H", 0, 100, 7946) + encode(target)
                for target in state["records"].get(name, [])]
    wrong = state["mode"] == "wrong" and name in state["names"]
    addresses = state["addresses"] if wrong else state["names"].get(name, [])
    if kind == TYPE_A:
        return [socket.inet_aton(address) for address in addresses if ":" not in address]
    if kind == TYPE_AAAA:
        return [socket.inet_pton(socket.AF_INET6, address) for address in addresses
                if ":" in address]
    return []


def answer(packet, state, stream):
    """The answer, or None: silence."""
    name, kind, question = question_of(packet)
    mode, flags, found = state["mode"], RESPONSE, []
    if mode == "silent":
        return None
    if mode == "slow":
        time.sleep(state["seconds"])
    if mode == "refusing":
        flags |= SERVER_FAILURE
    elif mode == "truncated" and not stream:
        flags |= TRUNCATED
    elif mode != "empty":
        found = data_of(state, name, kind)
        if name not in state["names"] and name not in state["records"]:
            flags |= NO_SUCH_NAME
    records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, TTL_S, len(data)) + data
                       for data in found)
    return packet[:2] + struct.pack(">5H", flags, 1, len(found), 0, 0) + question + records


def state_now(path):
    with open(path, encoding="ascii") as file:
        return json.load(file)


class Datagrams(socketserver.BaseRequestHandler):
    def handle(self):
        packet, server = self.request
        said = answer(packet, state_now(self.server.state), False)
        if said:
            server.sendto(said, self.client_address)


class Streams(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.rfile.read(2):
            packet = self.rfile.read(struct.unpack(">H", head)[0])
            said = answer(packet, state_now(self.server.state), True)
            if not said:
                return
            self.wfile.write(struct.pack(">H", len(said)) + said)


def serve(kind, handler, address, state):
    class Server(kind):
        allow_reuse_address = True
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = Server((address, 53), handler)
    server.state = state
    threading.Thread(target=server.serve_forever, daemon=False).start()


if __name__ == "__main__":
    serve(socketserver.ThreadingUDPServer, Datagrams, *sys.argv[1:])
    serve(socketserver.ThreadingTCPServer, Streams, *sys.argv[1:])
