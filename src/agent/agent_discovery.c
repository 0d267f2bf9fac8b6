#include "agent_state.h"

static void warn(void *context, const char *text)
{
    struct agent *agent = context;
    agent_log_printf(agent->log, LOG_LEVEL_WARN, "agent: discovery: %s", text);
}

bool agent_discover(void *context, struct span settings, uint16_t port, resolver_done *done,
                    void *done_context)
{
    struct agent *agent = context;
    struct serf_stats stats;
    if (!agent->discovery)
        agent->discovery = kube_discovery_new(agent->loop, NULL, warn, agent);
    if (!agent->discovery)
        return false;
    serf_stats(node_serf(agent->node), &stats);
    bool joined = stats.members - stats.failed - stats.left > 1;
    return kube_discover(agent->discovery, settings, port, joined, done, done_context);
}
