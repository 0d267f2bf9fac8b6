"""A client of an agent's RPC, for what the command lines can't do: answer queries, and see each
field of a record. Requests, responses and records as the specification has them (agent
specification, section 5)."""

import socket
import threading
import time

import protocol

# Commands whose answer has a body.
ANSWERED = {"join", "members", "members-filtered", "stats", "get-coordinate", "install-key",
            "use-key", "remove-key", "list-keys"}


class RpcError(AssertionError):
    pass


class RpcClient:
    def __init__(self, agent, seconds=30):
        self.agent, self.seq, self.records = agent, 0, []
        self.socket = socket.create_connection((agent.host, agent.rpc_port), seconds)
        self.reader = protocol.Reader(self._read)
        self.call("handshake", {"Version": 1})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _read(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError(f"{self.agent} closed the connection")
            data += piece
        return data

    def send(self, command, body=None):
        """Sends a request; returns its Seq."""
        self.seq += 1
        request = protocol.pack({"Command": command, "Seq": self.seq})
        self.socket.sendall(request + (b"" if body is None else protocol.pack(body)))
        return self.seq

    def ask(self, command, body=None):
        """Sends a request and returns the error text and the body of its response. Records that
        come first are kept for next_record."""
        seq = self.send(command, body)
        while True:
            header = self.reader.value()
            if header["Seq"] == seq:
                answer = self.reader.value() if command in ANSWERED else None
                return header["Error"].decode(), answer
            self.records.append((header["Seq"], self.reader.value()))

    def call(self, command, body=None):
        error, answer = self.ask(command, body)
        if error:
            raise RpcError(error)
        return answer

    def next_record(self, seconds=70):
        """The next record of a stream or query."""
        if not self.records:
            self.socket.settimeout(seconds)
            header = self.reader.value()
            assert header["Error"] == b"", header
            self.records.append((header["Seq"], self.reader.value()))
        return self.records.pop(0)[1]

    def stream(self, kinds):
        self.call("stream", {"Type": kinds})
        return self

    def respond(self, number, payload):
        return self.ask("respond", {"ID": number, "Payload": payload})[0]

    def begin_query(self, name, payload=b"", nodes=(), tags=None, timeout=2.0, acks=True, relay=0):
        self.call("query", {"FilterNodes": list(nodes), "FilterTags": tags or {}, "Name": name,
                            "Payload": payload, "RequestAck": acks, "RelayFactor": relay,
                            "Timeout": int(timeout * 1e9)})

    def end_query(self):
        """The names that acknowledged and the answers by name, when the query is done."""
        acked, answers = [], {}
        while True:
            record = self.next_record()
            kind, sender = record["Type"], record["From"].decode()
            if kind == b"done":
                return acked, answers
            if not sender:
                continue  # the reference's at its deadline
            if kind == b"ack":
                acked.append(sender)
            else:
                answers[sender] = record["Payload"]

    def query(self, name, **parameters):
        self.begin_query(name, **parameters)
        return self.end_query()


class Responder:
    """Answers every query of one name on one agent with "AGENT NAME:PAYLOAD"."""

    def __init__(self, agent, name):
        self.agent, self.seen = agent, []
        self.client = RpcClient(agent).stream(f"query:{name}")
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        try:
            while True:
                record = self.client.next_record(3600)
                self.seen.append(record)
                answer = self.agent.name.encode() + b":" + (record["Payload"] or b"")
                self.client.respond(record["ID"], answer)
        except (OSError, EOFError, ValueError):
            pass

    def close(self):
        self.client.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.client.socket.close()


class Load:
    """Tells events from several agents, in turn, until it is stopped."""

    def __init__(self, agents, interval=0.05):
        self.names, self.failed, self._stop = [], [], threading.Event()
        self.thread = threading.Thread(target=self._run, args=(agents, interval), daemon=True)
        self.thread.start()

    def _run(self, agents, interval):
        clients = [RpcClient(agent) for agent in agents]
        number = 0
        while not self._stop.is_set():
            name = f"load-{number:05}"
            error, _ = clients[number % len(clients)].ask(
                "event", {"Name": name, "Payload": b"x" * 50, "Coalesce": False})
            self.names.append(name)
            if error:
                self.failed.append((name, error))
            number += 1
            time.sleep(interval)
        for client in clients:
            client.socket.close()

    def stop(self):
        self._stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive() and self.failed == []
        return self.names
