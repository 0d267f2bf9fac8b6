"""Clocks that are set, forth and back, under a running agent: libfaketime stands between it and the
wall clock, and leaves the monotonic one alone. (The reference, being linked statically, can't be
lied to this way, and is a witness here.)"""

import glob
import re
import time
from datetime import datetime, timedelta

import pytest

from agents import OURS, REFERENCE

WATCH_SECONDS = 7  # longer than a probe round and the shortest suspicion together
HOUR = 3600


class Clock:
    """A wall clock of its own for each agent that is given it."""

    def __init__(self, directory):
        libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not libraries:
            pytest.skip("libfaketime is not here: apt-get install libfaketime")
        self.file, self.offset = directory / "clock", 0
        self.set(0)
        self.variables = {"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": str(self.file),
                          "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                          "FAKETIME_DONT_RESET": "1"}

    def set(self, offset):
        """So many seconds before or behind the machine's clock. In one step."""
        self.offset = offset
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset:+d}\n", encoding="ascii")
        new.rename(self.file)

    def shows(self, line):
        """Whether a log line's time is about what this clock says."""
        stamp = re.match(r" *(\d+/\d+/\d+ \d+:\d+:\d+) ", line)[1]
        away = datetime.strptime(stamp, "%Y/%m/%d %H:%M:%S") - (
            datetime.utcfromtimestamp(time.time()) + timedelta(seconds=self.offset))
        return abs(away.total_seconds()) < 300


@pytest.mark.parametrize("kind", ["ours", "mixed"], indirect=True)
def test_nobody_minds_a_clock_that_is_set(cluster, kind, tmp_path):
    if OURS.is_sanitized:
        pytest.skip("a sanitized program must load its sanitizer before libfaketime")
    clock = Clock(tmp_path)
    others = OURS if kind == "ours" else REFERENCE
    steady = cluster.agent(OURS, "steady")
    cluster.grow(others, "witness", join=[steady])
    moved = cluster.prepare(OURS, "moved", join=[steady])
    moved.variables = clock.variables
    moved.start()
    cluster.healthy_after(30)
    for offset in (2 * HOUR, -24 * HOUR, 365 * 24 * HOUR, 0):
        clock.set(offset)
        mark = moved.log_mark()
        time.sleep(WATCH_SECONDS if offset else 1)
        moved.cli("join", steady.address)
        line = moved.wait_log(r"agent: joining: ", 10, mark)[0]
        assert clock.shows(line), f"{line} is not {offset} s away"
        cluster.healthy_after(30)
    assert cluster.failures_logged() == []
