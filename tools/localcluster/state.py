"""The files of one cluster, all in its state directory. Two clusters share none."""

import contextlib
import fcntl
import json
import os
import shutil
import socket


class Unreachable(Exception):
    """No supervisor answers."""


class State:
    def __init__(self, directory):
        self.directory = os.path.abspath(directory)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def log_path(self, pod_name):
        return self.path(pod_name + ".log")

    def prepare(self, binary):
        """A fresh directory: no logs of an earlier cluster, the binary under both its names."""
        os.makedirs(self.directory, exist_ok=True)
        for entry in os.scandir(self.directory):
            if entry.name.endswith(".log"):
                os.unlink(entry.path)
        for folder in ("bin", "config"):
            shutil.rmtree(self.path(folder), ignore_errors=True)
            os.makedirs(self.path(folder))
        for name in ("boot", "serf"):
            os.symlink(os.path.abspath(binary), self.path("bin", name))
        with open(self.path("config", "serf.json"), "w", encoding="utf-8") as file:
            json.dump({"leave_on_terminate": True}, file)
            file.write("\n")

    @contextlib.contextmanager
    def lock(self, tell):
        """One command that changes the cluster at a time; a second one says so, and waits."""
        os.makedirs(self.directory, exist_ok=True)
        with open(self.path("lock"), "w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell(f"another command is at work on {self.directory}; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def save(self, content):
        temporary = self.path("state.json.new")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
        os.replace(temporary, self.path("state.json"))

    def load(self):
        with open(self.path("state.json"), encoding="utf-8") as file:
            return json.load(file)

    def forget(self):
        for name in ("socket", "state.json"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(name))

    def _short_socket_path(self, directory_fd):
        # A socket's path has room for 107 bytes, and a test's directory may be longer.
        return f"/proc/self/fd/{directory_fd}/socket"

    def listen(self):
        directory_fd = os.open(self.directory, os.O_PATH)
        listener = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("socket"))
        listener.bind(self._short_socket_path(directory_fd))
        listener.listen(16)
        os.close(directory_fd)
        return listener

    def ask(self, request, tell=None, timeout=120):
        """Sends the supervisor one request; passes its progress lines to `tell`; returns its
        answer. Unreachable when there is none, RuntimeError with its reason when it refuses."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            directory_fd = os.open(self.directory, os.O_PATH)
            try:
                connection.connect(self._short_socket_path(directory_fd))
            finally:
                os.close(directory_fd)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    message = json.loads(line)
                    if "progress" in message:
                        if tell:
                            tell(message["progress"])
                    elif "error" in message:
                        raise RuntimeError(message["error"])
                    else:
                        return message["answer"]
        except OSError as error:
            raise Unreachable(str(error)) from error
        finally:
            connection.close()
        raise Unreachable("the supervisor ended before it answered")

    def is_running(self):
        try:
            self.ask({"do": "status"})
        except Unreachable:
            return False
        return True
