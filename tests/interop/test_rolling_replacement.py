"""A cluster of five is replaced by the other kind, one agent at a time under the same names and
addresses. Nobody ever sees a member fail."""

import pytest

from agents import OURS, REFERENCE

SIZE = 5


def replace_all(cluster, agents, program):
    """Each agent in turn leaves gracefully, and one of the other kind takes its name and address
    and joins through its neighbour. Returns the new agents."""
    agents = list(agents)
    for place, old in enumerate(agents):
        assert old.interrupt() == 0
        cluster.wait_left(old)
        neighbour = agents[(place + 1) % len(agents)]
        agents[place] = cluster.grow(program, old.name, host=old.host, join=[neighbour])
    return agents


@pytest.mark.parametrize("before, after", [(REFERENCE, OURS), (OURS, REFERENCE)],
                         ids=["reference-to-ours", "ours-to-reference"])
def test_no_member_fails_while_five_agents_are_replaced_one_by_one(mixed_cluster, before, after):
    agents = [mixed_cluster.grow(before, "node-1")]
    for number in range(2, SIZE + 1):
        agents.append(mixed_cluster.grow(before, f"node-{number}", join=[agents[0]]))

    agents = replace_all(mixed_cluster, agents, after)

    assert {agent.program for agent in mixed_cluster.running()} == {after}
    mixed_cluster.wait_members({f"node-{number}": "alive" for number in range(1, SIZE + 1)})
    tables = [agent.members() for agent in agents]
    assert all(table == tables[0] for table in tables)
    assert mixed_cluster.failures_logged() == []


def test_a_cluster_of_five_is_replaced_and_then_replaced_back(mixed_cluster):
    agents = [mixed_cluster.grow(REFERENCE, "node-1", "-tag=round=0")]
    for number in range(2, SIZE + 1):
        agents.append(mixed_cluster.grow(REFERENCE, f"node-{number}", join=[agents[0]]))
    for program in (OURS, REFERENCE):
        agents = replace_all(mixed_cluster, agents, program)
        assert {agent.program for agent in mixed_cluster.running()} == {program}
    mixed_cluster.wait_all_alive()
    assert mixed_cluster.failures_logged() == []
