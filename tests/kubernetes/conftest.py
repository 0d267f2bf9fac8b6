"""Fixtures of the Kubernetes tests. Agents outside containers, and the private network that all
run in, are those of the interoperability tests."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "interop")]

import namespace  # noqa: E402
from agents import OURS, Cluster  # noqa: E402


@pytest.fixture(scope="session")
def private_network():
    reason = namespace.enter()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def cluster(tmp_path, private_network):
    if not os.access(OURS.path, os.X_OK):
        pytest.fail(f"{OURS.path} does not exist: build it first, or set CSERF_BINARY")
    started = Cluster(tmp_path)
    yield started
    started.dispose()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name in ("cluster", "containers"):
            if name in getattr(item, "funcargs", {}):
                report.sections.extend(item.funcargs[name].logs())
