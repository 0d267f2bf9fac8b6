"""What the kernel says about one process: its memory and its processor time."""

import os
import socket
import time
from pathlib import Path

CPU_CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED in the kernel's encoding of clock ids
MEGABYTE = 1e6
PIECE_SIZE = 1 << 20


def cpu_seconds(pid):
    """User and system time of all the process's threads, also those that ended, in nanosecond
    resolution: the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime((~pid << 3) | CPU_CLOCK_OF_PROCESS)


def memory(pid):
    """Bytes by kind: Rss, Pss, Anonymous and the others of /proc/PID/smaps_rollup."""
    figures = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]:
        kind, kib, _ = line.split()
        figures[kind.rstrip(":")] = int(kib) * 1024
    return figures


def datagrams_lost(port):
    """Datagrams that the sockets on this port had no room for."""
    lost = 0
    for line in Path("/proc/net/udp").read_text("ascii").splitlines()[1:]:
        words = line.split()
        if int(words[1].split(":")[1], 16) == port:
            lost += int(words[-1])
    return lost


def private_copy(image, target):
    """A program file on the disk that nobody else has mapped. It is in the page cache in pieces of
    a megabyte, as somebody left it who writes so much at a time: where the cache has such pieces,
    a kernel maps a whole one for each page that is touched, so this is when a program needs most.
    """
    with open(target, "wb", buffering=0) as file:
        for start in range(0, len(image), PIECE_SIZE):
            file.write(image[start:start + PIECE_SIZE])
        os.fsync(file.fileno())
    os.chmod(target, 0o755)


def drop_from_page_cache(path):
    """The next reader gets the file from the disk, in the pieces that read-ahead chooses."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seconds_until_answer(host, port, request, seconds):
    """How long until somebody accepts a connection there and answers the request."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(seconds)
            if client.connect_ex((host, port)) == 0:
                client.sendall(request)
                if client.recv(1):
                    return time.monotonic() - start
        time.sleep(0.0001)
    raise TimeoutError(f"nobody answers at {host}:{port} after {seconds} s")
