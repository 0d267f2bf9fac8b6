"""Fixtures of the fault tests. Agents, and the private namespace that becomes the router, are those
of the interoperability tests; the wires are those of the local cluster."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "interop"), str(ROOT / "tools")]

import namespace  # noqa: E402
from agents import OURS, REFERENCE  # noqa: E402
from faultcluster import KINDS, FaultCluster  # noqa: E402
from localcluster.namespaces import NamespacesImpossible  # noqa: E402
from network import FaultyNetwork  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "control: all agents of this test are the reference's")


@pytest.fixture(scope="session")
def faulty_network():
    if not os.access(OURS.path, os.X_OK):
        pytest.fail(f"{OURS.path} does not exist: build it first, or set CSERF_BINARY")
    reason = namespace.enter()
    if reason:
        pytest.skip(reason)
    try:
        return FaultyNetwork()
    except NamespacesImpossible as impossible:
        pytest.skip(f"no network of namespaces can be made here: {impossible}")


@pytest.fixture
def network(faulty_network):
    yield faulty_network
    faulty_network.clear()


@pytest.fixture
def cluster(tmp_path, network, record_property):
    started = FaultCluster(tmp_path, network, record_property)
    try:
        yield started
    finally:
        network.heal()
        started.dispose()


@pytest.fixture
def reference():
    if not os.access(REFERENCE.path, os.X_OK):
        pytest.skip(f"{REFERENCE.path} is not here: apt-get install serf")


@pytest.fixture(params=KINDS)
def kind(request):
    """Of what programs a cluster is, in turn: a key of KINDS."""
    if request.param != "ours":
        request.getfixturevalue("reference")
    return request.param


def is_control(item):
    """Whether all agents of this test are the reference's."""
    return item.callspec.params.get("kind") == "reference" if hasattr(item, "callspec") \
        else item.get_closest_marker("control") is not None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What reference agents do among themselves is the control of an experiment: it shows what the
    fault does, and is told as a skip with its reason where they do not get over it this time."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when == "call" and is_control(item):
        report.outcome = "skipped"
        reason = f"the reference alone did not get over it: {call.excinfo.exconly().splitlines()[0]}"
        report.longrepr = (str(item.path), item.location[1], reason[:300])
    if report.failed and "cluster" in getattr(item, "funcargs", {}):
        report.sections.extend(item.funcargs["cluster"].logs())
