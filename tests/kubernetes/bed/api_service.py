"""The cluster's API server, as the bed runs it: api_server.py in a process of its own (api_process.py),
since a process with threads is none to fork pods from."""

import json
import subprocess
import sys
from pathlib import Path

from localcluster import kernel

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class ApiService:
    def __init__(self, directory, address):
        self.account = directory / "account"
        self.account.mkdir()
        self._log = open(directory / "api-server.log", "ab")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("api_process.py")), address,
             str(self.account)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True, preexec_fn=kernel.die_with_parent)
        self._take_answer()

    def _take_answer(self):
        line = self._process.stdout.readline()
        assert line, f"the API server ended: see {self._log.name}"
        return json.loads(line)

    def _call(self, *words):
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return self._take_answer()

    def publish(self, labels, pods):
        """From now on these pods are there, not ready: {name: address}. All have these labels."""
        self._call("pods", labels, pods)

    def allow(self, rules):
        """The account may do this, and nothing else: [(verb, resource, name or None)]."""
        self._call("allow", rules)

    def set_secret(self, name, data):
        """`data` is {key: text}."""
        self._call("set secret", name, data)

    def secret(self, name):
        return self._call("secret", name)

    def annotations(self, name):
        """Those of a Secret."""
        return self._call("annotations", name)

    def misbehave(self, fault, *arguments):
        """From now on it does to each request what this function of api_server.py says."""
        self._call("fault", fault, *arguments)

    def behave(self):
        self._call("fault")

    def mounts(self):
        """The service account, where containers look for it."""
        return [(str(self.account), MOUNT)]

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()
