"""Clocks that are set, forth and back, under a running agent: moved_clock.c stands between it
and the wall clock, and leaves the monotonic one alone. (The reference asks the kernel itself and
can't be lied to this way; it is a witness here.)"""

import re
import struct
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agents import OURS, REFERENCE

WATCH_SECONDS = 7  # longer than a probe round and the shortest suspicion together
HOUR = 3600


class Clock:
    """A wall clock of its own for each agent that is given it."""

    def __init__(self, directory):
        library, self.file = directory / "moved_clock.so", directory / "clock"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library,
                        Path(__file__).with_name("moved_clock.c")], check=True)
        self.file.write_bytes(bytes(8))
        self.offset = 0
        self.variables = {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(self.file)}

    def set(self, offset):
        """So many seconds before or behind the machine's clock."""
        self.offset = offset
        with open(self.file, "r+b", buffering=0) as file:
            file.write(struct.pack("=q", offset))

    def shows(self, line):
        """Whether a log line's time is about what this clock says."""
        stamp = re.match(r" *(\d+/\d+/\d+ \d+:\d+:\d+) ", line)[1]
        away = datetime.strptime(stamp, "%Y/%m/%d %H:%M:%S") - (
            datetime.utcfromtimestamp(time.time()) + timedelta(seconds=self.offset))
        return abs(away.total_seconds()) < 300


@pytest.mark.parametrize("kind", ["ours", "mixed"], indirect=True)
def test_nobody_minds_a_clock_that_is_set(cluster, kind, tmp_path):
    if OURS.is_sanitized:
        pytest.skip("a sanitized program must load its sanitizer first")
    clock = Clock(tmp_path)
    others = OURS if kind == "ours" else REFERENCE
    steady = cluster.agent(OURS, "steady")
    cluster.grow(others, "witness", join=[steady])
    moved = cluster.prepare(OURS, "moved", join=[steady])
    moved.variables = clock.variables
    moved.start()
    cluster.healthy_after()
    for offset in (2 * HOUR, -24 * HOUR, 365 * 24 * HOUR, 0):
        clock.set(offset)
        mark = moved.log_mark()
        time.sleep(WATCH_SECONDS if offset else 1)
        moved.cli("join", steady.address)
        line = moved.wait_log(r"agent: joining: ", 10, mark)[0]
        assert clock.shows(line), f"{line} is not {offset} s away"
        cluster.healthy_after()
    assert cluster.failures_logged() == []
