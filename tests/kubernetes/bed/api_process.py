#!/usr/bin/python3
"""The API server of tests/kubernetes as a process of its own: api_process.py ADDRESS FOLDER

It listens at ADDRESS:443, writes a service account's files into FOLDER, and then takes calls, one JSON
list a line on standard input, each answered by a line of JSON:

["pods", {label: value}, {name: address}]     these pods are there, not ready, all with these labels
["allow", [[verb, resource, name or null]]]   this much is allowed, and nothing else
["set secret", name, {key: text}]             a Secret
["secret", name]                              what is in it: {key: text}
["annotations", name]                         and its annotations
["fault", name, arguments...]                 a function of api_server.py; ["fault"] ends it"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[0] = str(Path(__file__).resolve().parents[1])

import api_server  # noqa: E402

NAMESPACE = "default"


class Calls:
    def __init__(self, server):
        self.server = server

    def pods(self, labels, addresses):
        self.server.clear("pods", NAMESPACE)
        for name, address in addresses.items():
            self.server.set_pod(NAMESPACE, name, address, labels=labels, ready=False)

    def allow(self, rules):
        self.server.allow = [(verb, resource, NAMESPACE, name) for verb, resource, name in rules]

    def set_secret(self, name, data):
        self.server.set_secret(NAMESPACE, name, {key: text.encode() for key, text in data.items()})

    def secret(self, name):
        return {key: data.decode() for key, data in self.server.secret(NAMESPACE, name).items()}

    def annotations(self, name):
        return self.server.annotations("secrets", NAMESPACE, name)

    def fault(self, name=None, *arguments):
        self.server.fault = getattr(api_server, name)(*arguments) if name else None


def main(address, folder):
    server = api_server.ApiServer(host=address, port=443, names=(address,))
    server.write_account(folder, NAMESPACE)
    calls = Calls(server)
    print("null", flush=True)
    for line in sys.stdin:
        call, *arguments = json.loads(line)
        print(json.dumps(getattr(calls, call.replace(" ", "_"))(*arguments)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
