"""A cluster on the faulty network, and the one assertion that ends every test of it."""

import signal
import time

from agents import OURS, REFERENCE, Agent, Cluster, wait_until

RPC_ADDRESS = "127.0.0.1:7373"
# Bounds, not expectations: agents get there in seconds, but a reference agent that gossip missed
# waits for two push/pulls (30 s apart), or for a reconnect (30 s apart), on a machine that is busy.
HEALED_SECONDS = 150
KINDS = {"ours": [OURS] * 4, "reference": [REFERENCE] * 4,
         "mixed": [OURS, REFERENCE, OURS, REFERENCE]}


class HostedAgent(Agent):
    """An agent on a host of its own; `host` is the address of one that there is already."""

    def __init__(self, cluster, program, name, *extra, host=None, **options):
        host = host or cluster.network.new_address()
        super().__init__(cluster, program, name, *extra, host=host, **options)
        self.launcher = cluster.network.launcher(host)
        self.stopped = False

    @property
    def rpc_address(self):
        return RPC_ADDRESS

    def stop(self):
        self.stopped = True
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.stopped = False
        self.process.send_signal(signal.SIGCONT)

    def failures_it_saw(self):
        return self.log_lines("EventMemberFailed: ")

    def dispose(self):
        if self.running and self.stopped:
            self.go_on()  # to hear the SIGTERM
        super().dispose()


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

    def healthy_after(self, agents=None, gone=None, seconds=HEALED_SECONDS):
        """Within that time nothing is lost and no false failure left: every agent that no test
        has ended (or every one of `agents`, where they are not one cluster) runs, answers, and
        lists all of them as alive at their addresses, those in `gone` as what they are, and
        nobody else. Where it took long, how long is shown with the result."""
        began = time.monotonic()
        agents = self.should_run() if agents is None else agents
        gone = self.gone if gone is None else gone
        wanted = {**{agent.name: f"alive {agent.address}" for agent in agents}, **gone}

        def agreed():
            self.nobody_died()
            for agent in agents:
                seen = {name: entry["status"] if name in gone else
                        f"{entry['status']} {entry['addr']}"
                        for name, entry in agent.members().items()}
                if seen != wanted:
                    return False, f"{agent} has {seen}"
            return True
        wait_until(agreed, seconds, f"all agents list {wanted}")
        took = time.monotonic() - began
        if took > 1:
            self.note("all agree after seconds:", round(took, 1))

    def wait_failed(self, members, agents):
        """All of `agents` list these members as failed."""
        for member in members:
            self.wait_status(member.name, "failed", HEALED_SECONDS, agents)
