"""A statsd and a statsite that remember what each line said."""

import re
import socket
import threading

from agents import next_port

LINE = re.compile(r"^([^:|\s]+):(-?\d+\.\d+)\|(c|g|ms)(?:\|@(0\.\d+))?$")


class Listener:
    """Receives datagrams (statsd) or one connection after the other (statsite) until closed. `seen`
    maps a metric's name to the set of its types, `sums` the counters' names to their sums; names are
    without their prefix and, for gauges, without the host's name."""

    def __init__(self, stream, port=None):
        self.stream, self.seen, self.sums, self.largest = stream, {}, {}, 0
        self.broken = []  # lines that are none
        self.open = True
        self.socket = socket.socket(socket.AF_INET,
                                    socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.address = ("127.0.0.1", port or next_port())
        self.socket.bind(self.address)
        self.socket.settimeout(0.2)
        if stream:
            self.socket.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def text(self):
        return f"{self.address[0]}:{self.address[1]}"

    def close(self):
        """Allowed more than once."""
        self.open = False
        self.thread.join()
        self.socket.close()

    def names(self):
        return set(self.seen)

    def _serve(self):
        while self.open:
            try:
                if self.stream:
                    connection, _ = self.socket.accept()
                    self._read(connection)
                else:
                    datagram = self.socket.recv(65536)
                    self.largest = max(self.largest, len(datagram))
                    self._take(datagram.decode())
            except TimeoutError:
                pass

    def _read(self, connection):
        rest = ""
        connection.settimeout(0.2)
        with connection:
            while self.open:
                try:
                    part = connection.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not part:
                    return
                lines, newline, rest = (rest + part.decode()).rpartition("\n")
                self._take(lines + newline)

    def _take(self, text):
        for line in text.splitlines():
            match = LINE.match(line)
            if not match:
                self.broken.append(line)
                continue
            name, value, kind, _ = match.groups()
            name = name.removeprefix("serf-agent.")
            if kind == "g":
                name = name.removeprefix(f"{socket.gethostname()}.")
            self.seen.setdefault(name, set()).add(kind)
            if kind == "c":
                self.sums[name] = self.sums.get(name, 0) + float(value)
