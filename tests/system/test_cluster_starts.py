"""However replicas start, they end in one cluster: `up` and `scale` fail on a split."""

import os
import re

import pytest

STARTS = int(os.environ.get("CLUSTER_STARTS", "2"))


def seconds(output):
    return float(re.findall(r"one cluster of \d+ after ([\d.]+) s", output)[-1])


@pytest.mark.parametrize("start", range(STARTS))
@pytest.mark.parametrize("replicas", [5, 20])
def test_started_at_once_they_become_one_cluster(cluster, record_property, replicas, start):
    output = cluster.up("--at-once", "--replicas", str(replicas))
    record_property("one cluster after seconds:", seconds(output))
    assert cluster.look()["one_cluster"]
    assert len(cluster.replicas()) == replicas


def test_started_one_after_another_they_become_one_cluster(cluster):
    cluster.up("--replicas", "1")
    for replicas in range(2, 6):
        cluster.must("scale", str(replicas))
    assert cluster.look()["one_cluster"]


def test_on_loopback_addresses_they_become_one_cluster(cluster):
    output = cluster.up("--mode", "loopback", "--at-once", "--replicas", "5")
    assert "loopback, service address 127." in output
    assert cluster.look()["one_cluster"]
