/* What systemd is told of the agent. "Ready" means that the log streams: the RPC listener is open
 * and -join has found somebody, so a unit that is ordered behind this one finds a member of the
 * cluster. A leave that a signal asked for ends in a stop whatever comes; one that an RPC client
 * asked for can fail, so it is only a status until it is done. */
#include "agent_state.h"

#include <stdlib.h>

/* Members that come by hundreds are one new status. */
#define STATUS_INTERVAL_NS NANOSECONDS_PER_S

static void append_members(struct agent *agent, struct buffer *status)
{
    struct serf_stats stats;
    serf_stats(node_serf(agent->node), &stats);
    buffer_printf(status, "%s: %u alive", agent->config.node_name,
                  stats.members - stats.failed - stats.left);
    if (stats.failed > 0)
        buffer_printf(status, ", %u failed", stats.failed);
    if (stats.left > 0)
        buffer_printf(status, ", %u left", stats.left);
}

static enum service_state state_of(const struct agent *agent)
{
    if (agent->phase == AGENT_STARTING)
        return SERVICE_STARTING;
    if (agent->phase == AGENT_STOPPING || (agent->phase == AGENT_LEAVING && !agent->leave_done))
        return SERVICE_STOPPING;
    return SERVICE_READY;
}

void agent_service_tell(struct agent *agent)
{
    struct buffer status;
    if (!agent->service)
        return;
    loop_timer_cancel(&agent->service_timer);
    buffer_init(&status, SERVICE_STATUS_SIZE_MAX);
    if (agent->phase == AGENT_STARTING)
        buffer_append_text(&status, agent->node ? "Joining the cluster" : "Starting");
    else if (agent->phase == AGENT_RUNNING)
        append_members(agent, &status);
    else
        buffer_append_text(&status,
                           agent->phase == AGENT_LEAVING ? "Leaving the cluster" : "Shutting down");
    service_manager_tell(agent->service, state_of(agent), buffer_text(&status));
    buffer_fini(&status);
}

void agent_service_reloading(struct agent *agent)
{
    service_manager_tell(agent->service, SERVICE_RELOADING, "Reloading the configuration");
}

void agent_service_members_changed(struct agent *agent)
{
    if (agent->service && agent->phase == AGENT_RUNNING &&
        !timer_armed(&agent->service_timer.timer))
        loop_timer_set(&agent->service_timer, loop_now() + STATUS_INTERVAL_NS);
}

static void on_timer(void *context)
{
    agent_service_tell(context);
}

void agent_service_open(struct agent *agent)
{
    agent->service = service_manager_new(agent->loop, getenv("NOTIFY_SOCKET"));
    unsetenv("NOTIFY_SOCKET"); /* event handlers do not speak for the agent */
    if (agent->service && !loop_timer_init(&agent->service_timer, agent->loop, on_timer, agent)) {
        service_manager_free(agent->service);
        agent->service = NULL;
    }
    agent_service_tell(agent);
}

void agent_service_close(struct agent *agent)
{
    if (!agent->service)
        return;
    loop_timer_fini(&agent->service_timer);
    service_manager_free(agent->service);
    agent->service = NULL;
}
