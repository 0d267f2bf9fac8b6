"""Fixtures of the Kubernetes tests. Agents outside containers, and the private network that all
run in, are those of the interoperability tests."""

import itertools
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "interop"), str(ROOT / "tools")]

import namespace  # noqa: E402
from agents import OURS, REFERENCE, Cluster  # noqa: E402
from bed.bed import Bed  # noqa: E402


@pytest.fixture(scope="session")
def private_network():
    reason = namespace.enter()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def program():
    if not os.access(OURS.path, os.X_OK):
        pytest.fail(f"{OURS.path} does not exist: build it first, or set CSERF_BINARY")


@pytest.fixture
def reference():
    if not os.access(REFERENCE.path, os.X_OK):
        pytest.skip(f"{REFERENCE.path} is not here: apt-get install serf")


@pytest.fixture
def cluster(tmp_path, private_network, program):
    started = Cluster(tmp_path)
    yield started
    started.dispose()


class Beds:
    """The beds of one test, of which one is there at a time."""

    def __init__(self, directory):
        self.directory, self.beds, self._serial = directory, [], itertools.count(1)

    def make(self, flavour, **options):
        self.dispose()
        self.beds.append(Bed(self.directory / f"bed-{next(self._serial)}", flavour, **options))
        return self.beds[-1]

    def dispose(self):
        while self.beds and not self.beds[-1].disposed:
            self.beds[-1].dispose()

    def logs(self):
        return list(self.beds[-1].logs()) if self.beds else []


@pytest.fixture
def beds(tmp_path, private_network, program):
    made = Beds(tmp_path)
    yield made
    made.dispose()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name in ("beds", "cluster", "containers"):
            if name in getattr(item, "funcargs", {}):
                report.sections.extend(item.funcargs[name].logs())
