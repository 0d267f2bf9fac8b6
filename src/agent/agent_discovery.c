#include "agent_state.h"

bool agent_discover(void *context, struct span settings, uint16_t port, resolver_done *done,
                    void *done_context)
{
    struct agent *agent = context;
    struct serf_stats stats;
    if (!agent->discovery)
        agent->discovery = kube_discovery_new(agent->loop, NULL);
    if (!agent->discovery)
        return false;
    serf_stats(node_serf(agent->node), &stats);
    bool joined = stats.members - stats.failed - stats.left > 1;
    return kube_discover(agent->discovery, settings, port, joined, done, done_context);
}
