"""A cluster on the faulty network, and the one assertion that ends every test of it."""

import time

from agents import OURS, REFERENCE, Agent, Cluster

RPC_ADDRESS = "127.0.0.1:7373"
KINDS = {"ours": [OURS] * 4, "reference": [REFERENCE] * 4,
         "mixed": [OURS, REFERENCE, OURS, REFERENCE]}


class HostedAgent(Agent):
    """An agent on a host of its own; `host` is the address of one that there is already."""

    def __init__(self, cluster, program, name, *extra, host=None, **options):
        host = host or cluster.network.new_address()
        super().__init__(cluster, program, name, *extra, host=host, **options)
        self.launcher = cluster.network.launcher(host)

    @property
    def rpc_address(self):
        return RPC_ADDRESS

    def failures_it_saw(self, since=0):
        return self.log_lines("EventMemberFailed: ", since)


class FaultCluster(Cluster):
    agent_type = HostedAgent

    def __init__(self, directory, network, note):
        super().__init__(directory)
        self.network, self.note = network, note
        self.gone = {}  # {name: the status that it must have in every table}

    def four(self, kind, **options):
        """Four agents that know each other; KINDS says of which programs."""
        for number, program in enumerate(KINDS[kind], 1):
            self.grow(program, f"{program.kind}-{number}", join=self.agents[:1], **options)
        return list(self.agents)

    def should_run(self):
        return [agent for agent in self.agents
                if agent.process and not agent.killed and agent.exit_status is None]

    def nobody_died(self):
        dead = [f"{agent} ended with status {agent.process.returncode}"
                for agent in self.should_run() if not agent.running]
        assert not dead, dead

    def healthy_after(self, seconds):
        """Within that time nothing is lost and no false failure left: every agent that no test
        has ended runs, answers, and lists all of them as alive, those in `gone` as what they are,
        and nobody else. How long it took is shown with the result."""
        began = time.monotonic()
        self.nobody_died()
        alive = {agent.name: "alive" for agent in self.should_run()}
        self.wait_members({**alive, **self.gone}, seconds, self.should_run())
        self.nobody_died()
        self.note("all agree after seconds:", round(time.monotonic() - began, 1))

    def wait_failed(self, members, seconds, agents):
        """All of `agents` list these members as failed."""
        for member in members:
            self.wait_status(member.name, "failed", seconds, agents)
