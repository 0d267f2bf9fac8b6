"""Half of a cluster that does not hear the other half, or neither the other, and then does again.
How long healing takes depends on the reconnect interval, of which it takes up to two once the
gossip to the dead is over: the first exchange tells both sides that they are held failed, and
the next brings their refutations. Here it is 5 s instead of 30."""

OPTIONS = {"profile": "local", "config": {"reconnect_interval": "5s"}}
GOSSIP_TO_THE_DEAD_SECONDS = 15


def halves(cluster, kind):
    """In a mixed cluster either half has both kinds."""
    agents = cluster.four(kind, **OPTIONS)
    return agents[:2], agents[2:]


def wait_until_each_half_is_alone(cluster, left, right):
    cluster.wait_failed(right, left)
    cluster.wait_failed(left, right)


def test_a_full_partition_heals(cluster, kind):
    left, right = halves(cluster, kind)
    cluster.network.cut_both_ways(left, right)
    wait_until_each_half_is_alone(cluster, left, right)
    cluster.network.heal()
    cluster.healthy_after()


def test_a_one_way_partition_heals(cluster, kind):
    left, right = halves(cluster, kind)
    cluster.network.cut(left, right)
    wait_until_each_half_is_alone(cluster, left, right)
    cluster.network.heal()
    cluster.healthy_after()


def test_datagrams_lost_one_way_are_made_up_for_by_streams(cluster, kind):
    left, right = halves(cluster, kind)
    cluster.network.cut_datagrams(left, right)
    for agent in cluster.agents:
        agent.wait_log(r"\[WARN\] memberlist: Was able to connect to ", 40)
    cluster.network.heal()
    cluster.healthy_after()
    assert cluster.failures_logged() == []
