"""Fixtures of the system tests."""

import os

import pytest

from local_cluster import BINARY, LocalCluster


@pytest.fixture
def cluster(tmp_path):
    """A cluster of our own that is not started yet; whatever runs of it at the end is killed."""
    if not os.access(BINARY, os.X_OK):
        pytest.fail(f"{BINARY} does not exist: build it first, or set CSERF_BINARY")
    made = LocalCluster(tmp_path / "cluster")
    yield made
    made.command("down", "--kill")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """When a test with a cluster fails, its report carries every replica's log."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and "cluster" in getattr(item, "funcargs", {}):
        report.sections.append(("logs of the replicas", item.funcargs["cluster"].logs()))
