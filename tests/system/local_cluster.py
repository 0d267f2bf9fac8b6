"""tools/cluster as the tests use it."""

import json
import os
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BINARY = os.environ.get("CSERF_BINARY", os.path.join(ROOT, "build", "serf"))
TOOL = os.path.join(ROOT, "tools", "cluster")
TIMEOUT_S = 120


class LocalCluster:
    def __init__(self, directory):
        self.directory = str(directory)

    def words(self, *words):
        return [TOOL, "--state", self.directory, *words]

    def command(self, *words):
        return subprocess.run(self.words(*words), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=TIMEOUT_S, check=False)

    def must(self, *words):
        result = self.command(*words)
        assert result.returncode == 0, f"{' '.join(words)}: {result.stdout}\n{result.stderr}"
        return result.stdout

    def up(self, *options):
        return self.must("up", "--binary", BINARY, *options)

    def start(self, *words):
        """A command that goes on beside the test."""
        return subprocess.Popen(self.words(*words), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def look(self):
        return json.loads(self.must("members", "--json"))

    def replicas(self):
        return [pod["name"] for pod in self.look()["pods"] if not pod["by_hand"]]

    def statuses(self, observer):
        """{member: status} as the replica `observer` sees it."""
        for pod in self.look()["pods"]:
            if pod["name"] == observer:
                return {name: member["status"] for name, member in (pod["members"] or {}).items()}
        raise AssertionError(f"no replica {observer}")

    def log(self, name):
        with open(os.path.join(self.directory, name + ".log"), encoding="utf-8",
                  errors="replace") as file:
            return file.read()

    def logs(self):
        return self.command("logs").stdout


def wait_for(condition, what, timeout_s=30):
    """Waits until condition() is true, which it returns; fails naming `what` when it takes long."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.1)


def is_running(pid):
    """Whether the process is there and not a zombie that nobody has collected yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
