#!/usr/bin/python3
"""The API server of tests/kubernetes as a process of its own: api_process.py ADDRESS FOLDER

It listens at ADDRESS:443, writes a service account's files into FOLDER, and then takes calls, one JSON
list a line on standard input: ["pods", {name: address}], ["fault", name, arguments...] with a function
of api_server.py, or ["fault"] to end it. Each is answered by a line: what was asked of it so far."""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[0] = str(Path(__file__).resolve().parents[1])

import api_server  # noqa: E402

NAMESPACE = "default"
LABELS = {"app.kubernetes.io/name": "serf", "app.kubernetes.io/part-of": "serf"}


def carry_out(server, call, arguments):
    if call == "pods":
        server.clear("pods", NAMESPACE)
        for name, address in arguments[0].items():
            server.set_pod(NAMESPACE, name, address, labels=LABELS, ready=False)
    elif arguments:
        server.fault = getattr(api_server, arguments[0])(*arguments[1:])
    else:
        server.fault = None


def main(address, folder):
    server = api_server.ApiServer(host=address, port=443, names=(address,))
    server.write_account(folder, NAMESPACE)
    print("0", flush=True)
    for line in sys.stdin:
        call, *arguments = json.loads(line)
        carry_out(server, call, arguments)
        print(len(server.requests), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
