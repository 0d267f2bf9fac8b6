"""Fixtures of the interoperability tests, and the logs of all agents when one fails."""

import os

import pytest

import namespace
from agents import OURS, REFERENCE, Cluster


@pytest.fixture(scope="session", autouse=True)
def private_network():
    reason = namespace.enter()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def programs():
    if not os.access(OURS.path, os.X_OK):
        pytest.fail(f"{OURS.path} does not exist: build it first, or set CSERF_BINARY")


@pytest.fixture
def reference():
    if not os.access(REFERENCE.path, os.X_OK):
        pytest.skip(f"{REFERENCE.path} is not here: apt-get install serf")


@pytest.fixture
def cluster(tmp_path):
    started = Cluster(tmp_path)
    yield started
    started.dispose()


@pytest.fixture
def mixed_cluster(cluster, reference):
    """An empty cluster for a test that needs the reference too."""
    return cluster


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and "cluster" in getattr(item, "funcargs", {}):
        report.sections.extend(item.funcargs["cluster"].logs())
