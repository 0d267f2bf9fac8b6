"""The cluster's name service: it names the endpoints of the headless Service, and nobody else.

Two dnsmasq are the one that behaves: an authority that reads its names again when they change, and,
where what is not there shall be remembered, a cache in front of it. OddNameService misbehaves in the
ways of odd_dns.py, and takes its place at the same address."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from agents import wait_until
from localcluster import kernel

DOMAIN = "cluster.local"
NAMESPACE = "default"
SEARCH = [f"{NAMESPACE}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN]
GOSSIP_PORT_NAME = "serf-tcp"  # in kubernetes/base/service.yaml
AUTHORITY_PORT = 5300  # of the one behind a cache
TYPE_A, TYPE_AAAA, TYPE_SRV = 1, 28, 33


def dnsmasq():
    """The command, without its addresses."""
    program = shutil.which("dnsmasq", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        pytest.skip("dnsmasq is not here: apt-get install dnsmasq-base")
    # It would change its groups, which a user's namespace forbids, unless it is debugged.
    may_change = Path("/proc/self/setgroups").read_text("ascii").strip() == "allow"
    return [program, "--keep-in-foreground" if may_change else "--no-daemon", "--user=root",
            "--conf-file=/dev/null", "--no-resolv", "--pid-file=", "--log-facility=-",
            "--bind-interfaces"]


def full_name(service):
    return f"{service}.{NAMESPACE}.svc.{DOMAIN}"


def service_records(service, addresses):
    """{name of a pod: address}: what the Service's SRV records name."""
    return {f"{address.replace('.', '-').replace(':', '-')}.{full_name(service)}": address
            for address in addresses}


def srv_name(service):
    return f"_{GOSSIP_PORT_NAME}._tcp.{full_name(service)}"


def write_resolver_file(path, address):
    path.write_text(f"search {' '.join(SEARCH)}\nnameserver {address}\noptions ndots:5\n", "ascii")


class _Server:
    """A process that answers at address:53."""

    def __init__(self, directory, address):
        self.directory, self.address = Path(directory), address
        self._processes = []

    def _start(self, *command):
        with open(self.directory / "name-service.log", "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, preexec_fn=kernel.die_with_parent)
        self._processes.append(process)
        return process

    def _wait_answers(self, process, address, port):
        def answers():
            assert process.poll() is None, (self.directory / "name-service.log").read_text("utf-8")
            return ask(address, f"nobody.{DOMAIN}", TYPE_A, port=port) is not None
        wait_until(answers, 20, f"the name service answers at {address}")

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()


class NameService(_Server):
    """`remember` is for how many seconds the answer that there is nobody is remembered; with
    `records` there are SRV records too. `services` have an address of their own, which stays."""

    def __init__(self, directory, address, remember=0, records=False, services=()):
        super().__init__(directory, address)
        self._command = dnsmasq()
        self.records = records
        self.fixed = [f"{place} {full_name(service)}" for service, place in dict(services).items()]
        self.hosts = self.directory / "endpoints"
        self.hosts.write_text("", "ascii")
        self._place = ("127.0.0.53", AUTHORITY_PORT) if remember else (address, 53)
        self._authority = None
        self._begin([])
        if remember:
            cache = self._dnsmasq(address, 53, "--no-hosts", f"--neg-ttl={remember}",
                                  f"--server={self._place[0]}#{self._place[1]}")
            self._wait_answers(cache, address, 53)

    def _dnsmasq(self, address, port, *options):
        return self._start(*self._command, f"--listen-address={address}", f"--port={port}", *options)

    def _begin(self, options):
        self._authority = self._dnsmasq(
            *self._place, "--no-hosts", f"--addn-hosts={self.hosts}", f"--local=/{DOMAIN}/",
            "--cache-size=0", "--local-ttl=5", *options)
        self._wait_answers(self._authority, *self._place)

    def publish(self, service, addresses):
        """From now on these are the endpoints."""
        pods = service_records(service, addresses) if self.records else {}
        lines = [*self.fixed, *(f"{address} {full_name(service)}" for address in addresses)]
        lines += [f"{address} {name}" for name, address in pods.items()]
        fresh = self.hosts.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in lines), "ascii")
        os.replace(fresh, self.hosts)
        if self.records:  # which are read at the start alone
            self._authority.kill()
            self._authority.wait()
            self._processes.remove(self._authority)
            self._begin([f"--srv-host={srv_name(service)},{name},7946" for name in pods])
        else:
            self._authority.send_signal(signal.SIGHUP)


class OddNameService(_Server):
    """Answers from the endpoints until told otherwise: behave(mode, ...) of odd_dns.py."""

    def __init__(self, directory, address):
        super().__init__(directory, address)
        self.state = self.directory / "odd-name-service.json"
        self._said = {"mode": "right", "names": {}, "records": {}}
        self._write()
        program = Path(__file__).with_name("odd_dns.py")
        self._wait_answers(self._start(sys.executable, str(program), address, str(self.state)),
                           address, 53)

    def _write(self):
        fresh = self.state.with_suffix(".new")
        fresh.write_text(json.dumps(self._said), "ascii")
        os.replace(fresh, self.state)

    def publish(self, service, addresses):
        pods = service_records(service, addresses)
        self._said["names"] = {full_name(service): addresses,
                               **{name: [address] for name, address in pods.items()}}
        self._said["records"] = {srv_name(service): list(pods)}
        self._write()

    def behave(self, mode, **more):
        self._said = {**self._said, "mode": mode, **more}
        self._write()


# --- a question of the tests' own ---


def ask(address, name, kind, port=53, stream=False, timeout=1):
    """(response code, truncated, [data of the answers of that kind]), or None: no answer. Data is an
    address, or the target of an SRV record."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">x2H", kind, 1)
    try:
        with socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as client:
            client.settimeout(timeout)
            client.connect((address, port))
            if not stream:
                client.send(question)
                return _read(client.recv(65536), kind)
            client.sendall(struct.pack(">H", len(question)) + question)
            with client.makefile("rb") as answer:
                return _read(answer.read(struct.unpack(">H", answer.read(2))[0]), kind)
    except (OSError, struct.error):
        return None


def _name_at(packet, place):
    """(name, place behind it)"""
    labels, behind = [], None
    while packet[place]:
        if packet[place] & 0xc0:
            behind = behind or place + 2
            place = struct.unpack_from(">H", packet, place)[0] & 0x3fff
            continue
        labels.append(packet[place + 1:place + 1 + packet[place]].decode())
        place += packet[place] + 1
    return ".".join(labels), behind or place + 1


def _read(packet, kind):
    _, flags, _, count, _, _ = struct.unpack_from(">6H", packet)
    place, found = _name_at(packet, 12)[1] + 4, []
    for _ in range(count):
        place = _name_at(packet, place)[1]
        this, _, _, size = struct.unpack_from(">HHIH", packet, place)
        data = packet[place + 10:place + 10 + size]
        if this == kind == TYPE_SRV:
            found.append(_name_at(packet, place + 16)[0])
        elif this == kind:
            found.append(socket.inet_ntop(
                socket.AF_INET if kind == TYPE_A else socket.AF_INET6, data))
        place += 10 + size
    return flags & 0xf, bool(flags & 0x200), found
