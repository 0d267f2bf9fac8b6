"""30 % of all packets lost, every tenth doubled, many overtaken (weather.py)."""

import time

import pytest

STORM = {"loss": 30, "duplication": 10}
STORM_SECONDS = 15
OPTIONS = {"config": {"reconnect_interval": "5s"}}


def test_a_cluster_gets_through_a_storm(cluster, kind):
    cluster.four(kind, **OPTIONS)
    cluster.network.storm(**STORM)
    time.sleep(STORM_SECONDS)
    cluster.network.heal()
    for agent in cluster.agents:  # it rained on everybody
        assert agent.log_lines(r"memberlist: Failed (UDP )?ping: ")
    cluster.healthy_after()


@pytest.mark.parametrize("kind", ["ours", "mixed"], indirect=True)
def test_who_leaves_in_a_storm_has_left_and_not_failed(cluster, kind):
    first, *_ = cluster.four(kind, **OPTIONS)
    leaver = cluster.grow(first.program, "leaver", join=[first], **OPTIONS)
    cluster.network.storm(**STORM)
    assert leaver.interrupt(30) == 0
    cluster.gone["leaver"] = "left"
    cluster.network.heal()
    cluster.healthy_after()
    assert cluster.failures_logged("leaver") == []
