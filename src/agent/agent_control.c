/* How an agent stops (agent specification, 3.8). INT leaves the cluster first; TERM does so only
 * with leave_on_terminate; a signal during the leave ends it at once. Status 0 means that the
 * cluster has been told, 3 that our name is somebody else's; everything else is 1. */
#include "agent_state.h"

#include <signal.h>
#include <unistd.h>

static const int signal_numbers[AGENT_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

void agent_stop(struct agent *agent, int status)
{
    if (agent->phase != AGENT_STOPPING)
        agent->status = status;
    agent->phase = AGENT_STOPPING;
    agent_service_tell(agent);
    loop_stop(agent->loop);
}

/* The cluster has been told; scripts that react to it may finish, within the time of the leave. */

static void on_drained(void *context)
{
    agent_stop(context, 0);
}

static void stop_when_drained(struct agent *agent)
{
    if (agent->phase == AGENT_STOPPING)
        return;
    agent->draining = true;
    loop_timer_set(&agent->leave_timer, agent->leave_deadline);
    event_handlers_when_idle(agent->handlers, on_drained, agent);
}

static void leave_timed_out(void *context)
{
    struct agent *agent = context;
    if (agent->draining) {
        agent_log_printf(agent->log, LOG_LEVEL_WARN,
                         "agent: %zu event handlers still run; not waiting any longer",
                         event_handlers_running(agent->handlers));
        agent_stop(agent, 0);
        return;
    }
    agent_log_printf(agent->log, LOG_LEVEL_WARN, "serf: timeout while waiting for graceful leave");
    agent_stop(agent, 1);
}

static void signal_leave_done(void *context, bool ok, uint32_t count, struct span error)
{
    struct agent *agent = context;
    (void)count;
    if (!ok)
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "Error: %.*s", SPAN_PRINT(error));
    if (ok)
        stop_when_drained(agent);
    else
        agent_stop(agent, 1);
}

static void leave_by_signal(struct agent *agent)
{
    agent_log_notice(agent->log, "Gracefully shutting down agent...");
    agent_log_printf(agent->log, LOG_LEVEL_INFO, "agent: requesting graceful leave from Serf");
    agent->phase = AGENT_LEAVING;
    agent->leave_deadline = loop_now() + (uint64_t)agent->config.leave_timeout;
    loop_timer_set(&agent->leave_timer, agent->leave_deadline);
    agent_service_tell(agent);
    node_leave(agent->node, signal_leave_done, agent);
}

static const char *signal_word(int number)
{
    return number == SIGINT ? "interrupt" : number == SIGTERM ? "terminated" : "hangup";
}

static void reload(struct agent *agent)
{
    agent_service_reloading(agent);
    agent_reload(agent);
    agent_service_tell(agent);
}

static void signalled(void *context, int number)
{
    struct agent *agent = context;
    if (agent->phase == AGENT_LEAVING || agent->phase == AGENT_STOPPING) {
        agent_stop(agent, 1);
        return;
    }
    agent_log_notice(agent->log, "Caught signal: %s", signal_word(number));
    if (agent->phase == AGENT_STARTING)
        agent_stop(agent, 1);
    else if (number == SIGHUP)
        reload(agent);
    else if (number == SIGINT ? !agent->config.skip_leave_on_interrupt
                              : agent->config.leave_on_terminate)
        leave_by_signal(agent);
    else
        agent_stop(agent, 1);
}

static void change_mask(int how)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < AGENT_SIGNALS; i++)
        sigaddset(&set, signal_numbers[i]);
    sigprocmask(how, &set, NULL);
}

void agent_signals_hold(void)
{
    if (getpid() == 1)
        change_mask(SIG_BLOCK);
}

bool agent_signals_init(struct agent *agent)
{
    /* A peer or a client that is gone is an error value; USR1 and USR2 mean nothing here, and
     * must not kill the process as they do by default. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    if (!loop_timer_init(&agent->leave_timer, agent->loop, leave_timed_out, agent))
        return false;
    for (size_t i = 0; i < AGENT_SIGNALS; i++)
        if (!loop_signal_init(&agent->signals[i], agent->loop, signal_numbers[i], signalled, agent))
            return false;
    change_mask(SIG_UNBLOCK);
    return true;
}

void agent_signals_fini(struct agent *agent)
{
    /* The agent is on its way out with a status of its own: no late signal may replace it. */
    change_mask(SIG_BLOCK);
    for (size_t i = 0; i < AGENT_SIGNALS; i++)
        if (agent->signals[i].event)
            loop_signal_fini(&agent->signals[i]);
    if (agent->leave_timer.loop)
        loop_timer_fini(&agent->leave_timer);
}

static void rpc_leave_done(void *context, bool ok, uint32_t count, struct span error)
{
    struct agent *agent = context;
    node_done *done = agent->leave_done;
    void *done_context = agent->leave_context;
    agent->leave_done = NULL;
    if (!ok && agent->phase == AGENT_LEAVING)
        agent->phase = AGENT_RUNNING;
    agent_service_tell(agent);
    done(done_context, ok, count, error);
}

void agent_rpc_leave(void *context, node_done *done, void *done_context)
{
    struct agent *agent = context;
    agent_log_printf(agent->log, LOG_LEVEL_INFO, "agent: requesting graceful leave from Serf");
    if (agent->phase != AGENT_RUNNING) { /* the node knows what to answer to a second leave */
        node_leave(agent->node, done, done_context);
        return;
    }
    agent->phase = AGENT_LEAVING;
    agent->leave_deadline = loop_now() + (uint64_t)agent->config.leave_timeout;
    agent->leave_done = done;
    agent->leave_context = done_context;
    agent_service_tell(agent);
    node_leave(agent->node, rpc_leave_done, agent);
}

void agent_rpc_left(void *context)
{
    stop_when_drained(context);
}

void agent_node_stopped(void *context, enum stop_reason reason)
{
    struct agent *agent = context;
    if (reason != STOP_RETRY_JOIN_EXHAUSTED)
        agent_log_printf(agent->log, LOG_LEVEL_WARN, "agent: Serf shutdown detected, quitting");
    agent_stop(agent, reason == STOP_NAME_CONFLICT ? EXIT_NAME_CONFLICT : 1);
}
