"""From the seed's controller to the base, and from one release to another, by the steps of
docs/kubernetes.md: one cluster at each."""

from agents import OURS, wait_until
from manifests import FOLDER, must, parse, require_tools

LABEL = {"SERF_AGENT_LABEL": "default/serf", "SERF_AGENT_LEAVE_ON_TERMINATE": "true"}


def wait_one_cluster(agents, seconds=70):
    """Every agent sees all of them alive, and nobody else."""
    expected = {agent.name for agent in agents}

    def agreed():
        seen = {agent.name: {name for name, status in agent.statuses().items()
                             if status == "alive"} for agent in agents}
        return all(view == expected for view in seen.values()), seen
    wait_until(agreed, seconds, f"{sorted(expected)} are one cluster")


def start(cluster, name, peers, **variables):
    agent = cluster.prepare(OURS, name)
    agent.variables = {"SERF_AGENT_RETRY_JOIN": "\n".join(peer.address for peer in peers),
                       **variables}
    return agent.start()


def roll(cluster, pods, name, **variables):
    """As a Deployment with maxUnavailable 0: one more, and then one less."""
    fresh = []
    for old in list(pods):
        pod = start(cluster, f"{name}-{len(fresh) + 1}", [*pods, *fresh], **LABEL, **variables)
        fresh.append(pod)
        wait_one_cluster(pods + fresh)
        old.left = True
        old.process.terminate()
        assert old.wait_exit() == 0
        pods.remove(old)
        wait_one_cluster(pods + fresh)
    return fresh


def test_the_seed_s_members_give_way_to_those_of_the_base(cluster):
    seed = [cluster.agent(OURS, "seed-1", config={"leave_on_terminate": True})]
    seed.append(cluster.agent(OURS, "seed-2", join=[seed[0]], config={"leave_on_terminate": True}))
    wait_one_cluster(seed)
    base = []
    for i in (1, 2):
        base.append(start(cluster, f"accept-{i}", seed, SERF_AGENT_LABEL_MODE="accept", **LABEL))
    wait_one_cluster(seed + base)
    for old in seed:
        assert old.terminate(20) == 0
    wait_one_cluster(base)
    base = roll(cluster, base, "send", SERF_AGENT_LABEL_MODE="send")
    base = roll(cluster, base, "strict")
    wait_one_cluster(base)
    assert not [status for agent in base for status in agent.statuses().values()
                if status == "failed"]


def label_of(objects):
    data = next(item for item in objects if item["kind"] == "ConfigMap")["data"]
    return data["SERF_AGENT_LABEL"], data["SERF_AGENT_RETRY_JOIN"]


def test_another_release_takes_over_with_the_old_one_s_label(cluster):
    """By the two values that docs/kubernetes.md names; without them it is a cluster of its own."""
    require_tools()
    chart = FOLDER / "helm/serf"
    old, _ = label_of(parse(must("helm", "template", "old", chart)))
    own, _ = label_of(parse(must("helm", "template", "new", chart)))
    kept, search = label_of(parse(must("helm", "template", "new", chart, f"--set=label={old}",
                                       "--set-string=settings.retry_join=old-serf-members")))
    assert own != old == kept and search == "old-serf-members"
    before = [start(cluster, "old-1", [], **{**LABEL, "SERF_AGENT_LABEL": old})]
    before.append(start(cluster, "old-2", before, **{**LABEL, "SERF_AGENT_LABEL": old}))
    wait_one_cluster(before)
    stranger = start(cluster, "stranger", before, **{**LABEL, "SERF_AGENT_LABEL": own})
    after = [start(cluster, "new-1", before, **{**LABEL, "SERF_AGENT_LABEL": kept})]
    after.append(start(cluster, "new-2", before, **{**LABEL, "SERF_AGENT_LABEL": kept}))
    wait_one_cluster(before + after)
    assert set(stranger.statuses()) == {"stranger"}
    for agent in before:
        agent.left = True
        agent.process.terminate()
        assert agent.wait_exit() == 0
    wait_one_cluster(after)
    assert not [status for agent in after for status in agent.statuses().values()
                if status == "failed"]
