"""The gossip protocol, written down a second time and without care for safety, so that the tests
can say things no well-behaved peer would say. From the memberlist and Serf specifications."""

import socket
import struct
import time
import zlib

PING, INDIRECT_PING, ACK, SUSPECT, ALIVE, DEAD, PUSH_PULL, COMPOUND = range(8)
USER, COMPRESS, ENCRYPT, NACK, CRC, ERR = range(8, 14)
LABEL = 244
STATE_ALIVE, STATE_SUSPECT, STATE_DEAD, STATE_LEFT = range(4)
SERF_LEAVE, SERF_JOIN, SERF_PUSH_PULL, SERF_EVENT, SERF_QUERY, SERF_RESPONSE = range(6)
SERF_CONFLICT, SERF_KEY, SERF_KEY_RESPONSE, SERF_RELAY = range(6, 10)
VERSIONS = bytes([1, 5, 2, 2, 5, 5])
EMPTY_TAGS = b"\xff\x80"
PORT = 7946
U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1


class Raw(bytes):
    """Bytes that are msgpack already."""


# --- msgpack, the old dialect ---

def pack(value):
    if isinstance(value, Raw):
        return bytes(value)
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return pack_integer(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, (str, bytes)):
        data = value.encode() if isinstance(value, str) else value
        return _head(len(data), 0xa0, 32, b"\xda", b"\xdb") + data
    if isinstance(value, (list, tuple)):
        return _head(len(value), 0x90, 16, b"\xdc", b"\xdd") + b"".join(map(pack, value))
    if isinstance(value, dict):
        return (_head(len(value), 0x80, 16, b"\xde", b"\xdf") +
                b"".join(pack(key) + pack(value[key]) for key in sorted(value)))
    raise TypeError(type(value))


def pack_integer(value):
    if value < 0:
        return b"\xd3" + struct.pack(">q", value)
    for limit, head, form in ((0x80, b"", ">B"), (0x100, b"\xcc", ">B"), (0x10000, b"\xcd", ">H"),
                              (2**32, b"\xce", ">I"), (2**64, b"\xcf", ">Q")):
        if value < limit:
            return head + struct.pack(form, value)
    raise ValueError(value)


def _head(count, fix, fix_limit, head16, head32):
    if count < fix_limit:
        return bytes([fix + count])
    if count < 0x10000:
        return head16 + struct.pack(">H", count)
    return head32 + struct.pack(">I", count)


class Reader:
    """Decodes msgpack from a function that returns exactly n bytes."""

    FIXED = {0xc0: None, 0xc2: False, 0xc3: True}
    NUMBERS = {0xca: ">f", 0xcb: ">d", 0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q", 0xd0: ">b",
               0xd1: ">h", 0xd2: ">i", 0xd3: ">q"}
    LENGTHS = {0xc4: ">B", 0xc5: ">H", 0xc6: ">I", 0xd9: ">B", 0xda: ">H", 0xdb: ">I"}

    def __init__(self, read):
        self.read = read

    @classmethod
    def over(cls, data):
        position = 0

        def read(count):
            nonlocal position
            if position + count > len(data):
                raise EOFError
            position += count
            return data[position - count:position]
        return cls(read)

    def number(self, form):
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def value(self):
        head = self.read(1)[0]
        if head < 0x80:
            return head
        if head >= 0xe0:
            return head - 256
        if head in self.FIXED:
            return self.FIXED[head]
        if head in self.NUMBERS:
            return self.number(self.NUMBERS[head])
        if 0xa0 <= head < 0xc0:
            return self.read(head - 0xa0)
        if head in self.LENGTHS:
            return self.read(self.number(self.LENGTHS[head]))
        if 0x80 <= head < 0x90:
            return self.map(head - 0x80)
        if 0x90 <= head < 0xa0:
            return [self.value() for _ in range(head - 0x90)]
        if head in (0xdc, 0xdd):
            return [self.value() for _ in range(self.number(">H" if head == 0xdc else ">I"))]
        if head in (0xde, 0xdf):
            return self.map(self.number(">H" if head == 0xde else ">I"))
        raise ValueError(f"byte {head:#x}")

    def map(self, count):
        return {self.value().decode(): self.value() for _ in range(count)}


# --- messages ---

def address(host):
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def message(kind, body):
    return bytes([kind]) + pack(body)


def ping(name, sequence=1, **more):
    return message(PING, {"Node": name, "SeqNo": sequence, **more})


def alive(name, host, incarnation=1, meta=EMPTY_TAGS, port=PORT, versions=VERSIONS, **more):
    host = address(host) if isinstance(host, str) else host
    return message(ALIVE, {"Addr": host, "Incarnation": incarnation, "Meta": meta, "Node": name,
                           "Port": port, "Vsn": versions, **more})


def suspect(name, incarnation=1, accuser="liar"):
    return message(SUSPECT, {"From": accuser, "Incarnation": incarnation, "Node": name})


def dead(name, incarnation=1, accuser="liar"):
    return message(DEAD, {"From": accuser, "Incarnation": incarnation, "Node": name})


def user(kind, body):
    return bytes([USER, kind]) + pack(body)


def leave_intent(name, time_, prune=False):
    return user(SERF_LEAVE, {"LTime": time_, "Node": name, "Prune": prune})


def join_intent(name, time_):
    return user(SERF_JOIN, {"LTime": time_, "Node": name})


def user_event(name, time_, payload=b""):
    return user(SERF_EVENT, {"CC": False, "LTime": time_, "Name": name, "Payload": payload})


def query(name, time_, host, port, filters=None, flags=0, payload=b"", number=7):
    return user(SERF_QUERY, {
        "Addr": address(host), "Filters": filters, "Flags": flags, "ID": number, "LTime": time_,
        "Name": name, "Payload": payload, "Port": port, "RelayFactor": 0, "SourceNode": "asker",
        "Timeout": 2 * 10**9})


def compound(*parts, count=None, lengths=None):
    count = len(parts) if count is None else count
    lengths = [len(part) for part in parts] if lengths is None else lengths
    return (bytes([COMPOUND, count]) + b"".join(struct.pack(">H", length) for length in lengths) +
            b"".join(parts))


def compress(data, algorithm=0):
    return compress_raw(lzw(data), algorithm)


def compress_raw(packed, algorithm=0):
    return message(COMPRESS, {"Algo": algorithm, "Buf": packed})


def with_crc(data, wrong=0):
    return bytes([CRC]) + struct.pack(">I", zlib.crc32(data) ^ wrong) + data


# --- LZW, least significant bit first, literal width 8 ---

class CodeWriter:
    """Packs codes the way the decoder counts them."""
    CLEAR, END = 256, 257

    def __init__(self):
        self.bits = self.bit_count = 0
        self.out = bytearray()
        self.reset()
        self.put(self.CLEAR)

    def reset(self):
        self.width, self.high, self.overflow = 9, 257, 512

    def put(self, code):
        self.bits |= code << self.bit_count
        self.bit_count += self.width
        while self.bit_count >= 8:
            self.out.append(self.bits & 0xff)
            self.bits >>= 8
            self.bit_count -= 8

    def step(self):
        """After a finished match. True when the table was cleared."""
        self.high += 1
        if self.high == self.overflow:
            self.width += 1
            self.overflow *= 2
        if self.high == 4095:
            self.put(self.CLEAR)
            self.reset()
            return True
        return False

    def finish(self):
        self.put(self.END)
        if self.bit_count:
            self.out.append(self.bits & 0xff)
        return bytes(self.out)


def lzw(data):
    writer, table, match = CodeWriter(), {}, None
    for byte in data:
        if match is None:
            match = byte
            continue
        known = table.get((match, byte))
        if known is not None:
            match = known
            continue
        writer.put(match)
        if writer.step():
            table.clear()
        else:
            table[match, byte] = writer.high
        match = byte
    if match is not None:
        writer.put(match)
        writer.step()
    return writer.finish()


def lzw_zeros(count):
    """What lzw(bytes(count)) gives, without looking at every byte."""
    writer, longest = CodeWriter(), 1
    code = 0
    while count > 0:
        if count < longest:
            # The rest is shorter than the match that would come next: codes of exactly that length.
            code, longest = (0 if count == 1 else 256 + count), count
        writer.put(code)
        count -= longest
        if writer.step():
            code, longest = 0, 1
        else:
            code, longest = writer.high, longest + 1
    return writer.finish()


# --- sockets ---

class DatagramPeer:
    """A peer without an agent: sends any datagram, and tells by a ping when it was handled."""

    def __init__(self, agent, host):
        self.agent = agent
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, PORT))
        self.socket.settimeout(5)
        self.sequence = 1000

    def send(self, *datagrams):
        for datagram in datagrams:
            self.socket.sendto(datagram, (self.agent.host, self.agent.port))

    def receive(self, seconds=5):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(65536)
        except (TimeoutError, socket.timeout):
            return None

    def wait_handled(self, seconds=5):
        """Datagrams are handled in order, so the answer to a ping says that all before it were."""
        self.sequence += 1
        wanted = self.sequence
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.send(ping(self.agent.name, wanted))
            again = time.monotonic() + 0.5
            while time.monotonic() < again:
                for part in parts_of(self.receive(0.5) or b""):
                    if part[0] == ACK and Reader.over(part[1:]).value()["SeqNo"] == wanted:
                        return
        raise AssertionError(f"{self.agent} does not answer a ping within {seconds} s")

    def close(self):
        self.socket.close()


def parts_of(datagram):
    """The plain messages of a datagram that was neither encrypted nor compressed."""
    if not datagram:
        return []
    if datagram[0] == CRC:
        return parts_of(datagram[5:])
    if datagram[0] != COMPOUND:
        return [datagram]
    count, parts = datagram[1], []
    position = 2 + 2 * count
    for index in range(count):
        length = struct.unpack_from(">H", datagram, 2 + 2 * index)[0]
        parts.append(datagram[position:position + length])
        position += length
    return [part for part in parts if part]


class StreamPeer:
    """One TCP connection to an agent's gossip port."""

    def __init__(self, agent, port=None):
        family = socket.AF_INET6 if ":" in agent.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(5)
        self.socket.connect((agent.host, port or agent.port))

    def send(self, data):
        """Sends as much as the other side takes; a refusal in the middle is an answer too."""
        try:
            self.socket.sendall(data)
            return True
        except (ConnectionError, TimeoutError):
            return False

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def read_to_end(self, seconds=5):
        """All that comes until the other side closes; None when it does not close in time."""
        data, deadline = b"", time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                piece = self.socket.recv(65536)
            except ConnectionError:
                return data
            except (TimeoutError, socket.timeout):
                return None
            if not piece:
                return data
            data += piece

    def end(self):
        """No more will be sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def node_state(name, host, incarnation=1, state=STATE_ALIVE, meta=EMPTY_TAGS, port=PORT,
               versions=VERSIONS, **more):
    host = address(host) if isinstance(host, str) else host
    return {"Addr": host, "Incarnation": incarnation, "Meta": meta, "Name": name, "Port": port,
            "State": state, "Vsn": versions, **more}


def serf_state(time_=1, statuses=None, left=(), event_time=1, query_time=1, events=()):
    return bytes([SERF_PUSH_PULL]) + pack({
        "EventLTime": event_time, "Events": list(events), "LTime": time_,
        "LeftMembers": list(left), "QueryLTime": query_time, "StatusLTimes": statuses or {}})


def push_pull(nodes, state=b"", join=False, node_count=None, state_size=None):
    header = {"Join": join, "Nodes": len(nodes) if node_count is None else node_count,
              "UserStateLen": len(state) if state_size is None else state_size}
    return message(PUSH_PULL, header) + b"".join(map(pack, nodes)) + state


def exchange(agent, request=None):
    """A push/pull with an agent that neither encrypts nor compresses: its {name: node}, and its
    Serf state."""
    with StreamPeer(agent) as stream:
        stream.send(request or push_pull([]))
        assert stream.read(1)[0] == PUSH_PULL
        reader = Reader(stream.read)
        header = reader.value()
        nodes = [reader.value() for _ in range(header["Nodes"])]
        state = stream.read(header["UserStateLen"])
        serf = Reader.over(state[1:]).value() if state else {}
        return {node["Name"].decode("utf-8", "replace"): node for node in nodes}, serf
