/* Events go into the queue at once and come out of it from a task of the loop: the node's
 * callbacks, which bring them, must not lead back into the node, as an answer to a query does.
 *
 * What was dropped is told at most once in ten seconds, with the sum: the log of an agent that has
 * too much to do is not the place for a line about each thing that it does not do. */
#include "event_handlers.h"

#include "duration.h"
#include "handler_queue.h"
#include "invoke.h"
#include "metrics.h"
#include "msgpack.h"

#include <inttypes.h>
#include <stdlib.h>

#define REPORT_INTERVAL_NS UINT64_C(10000000000)
#define SLOW_AFTER_NS      UINT64_C(1000000000) /* agent specification, 4.2 */
#define GRACE_NS           UINT64_C(5000000000)

struct handler_process {
    struct handler_process *next, **link;
    struct event_handlers *owner;
    struct handler *handler;
    struct handler_event *event; /* a reference */
    char *script;                /* owned, since a reload may take the handler away */
    struct invocation *invocation;
    uint64_t time_limit;
    uint64_t began;
};

struct event_handlers {
    struct event_handlers_config config;
    struct handler_queue *queue;
    struct handler_process *processes;
    size_t running;
    size_t concurrency;
    uint64_t time_limit;
    struct loop_task work;
    struct loop_timer report_timer; /* armed: the next report waits for it */
    struct handler_queue_counts reported;
    loop_callback *idle;
    void *idle_context;
};

/* --- reports --- */

static void report_drops(struct event_handlers *handlers, const struct handler_queue_counts *now)
{
    const struct handler_queue_counts *before = &handlers->reported;
    uint64_t user = now->dropped_user_events - before->dropped_user_events;
    uint64_t queries = now->dropped_queries - before->dropped_queries;
    uint64_t late = now->late_queries - before->late_queries;
    uint64_t lost = now->lost - before->lost;
    if (user + queries > 0)
        agent_log_printf(handlers->config.log, LOG_LEVEL_WARN,
                         "agent: Event handlers are too slow: dropped the oldest %" PRIu64
                         " user events and %" PRIu64 " queries (%" PRIu64
                         " in all); at most %d events wait for a handler",
                         user, queries, now->dropped_user_events + now->dropped_queries,
                         HANDLER_QUEUE_EVENTS_MAX);
    if (late > 0)
        agent_log_printf(handlers->config.log, LOG_LEVEL_WARN,
                         "agent: Event handlers are too slow: %" PRIu64
                         " queries were past their deadline before their handler could run "
                         "(%" PRIu64 " in all)",
                         late, now->late_queries);
    if (lost > 0)
        agent_log_printf(handlers->config.log, LOG_LEVEL_ERR,
                         "agent: Out of memory: %" PRIu64 " events reached no handler", lost);
}

static void report(struct event_handlers *handlers)
{
    struct handler_queue_counts now = handler_queue_counts(handlers->queue);
    const struct handler_queue_counts *before = &handlers->reported;
    bool news = now.dropped_user_events != before->dropped_user_events ||
                now.dropped_queries != before->dropped_queries ||
                now.late_queries != before->late_queries || now.lost != before->lost;
    if (!news || timer_armed(&handlers->report_timer.timer))
        return;
    report_drops(handlers, &now);
    handlers->reported = now;
    loop_timer_set(&handlers->report_timer, loop_now() + REPORT_INTERVAL_NS);
}

static void on_report_timer(void *context)
{
    report(context);
}

/* --- one run --- */

static void process_free(struct handler_process *process)
{
    *process->link = process->next;
    if (process->next)
        process->next->link = process->link;
    process->owner->running--;
    handler_event_release(process->event);
    free(process->script);
    free(process);
}

static void on_slow(void *context)
{
    struct handler_process *process = context;
    agent_log_printf(process->owner->config.log, LOG_LEVEL_WARN,
                     "agent: Script '%s' slow, execution exceeding 1s", process->script);
}

static void on_overdue(void *context)
{
    struct handler_process *process = context;
    char limit[DURATION_TEXT_SIZE];
    agent_log_printf(process->owner->config.log, LOG_LEVEL_WARN,
                     "agent: Script '%s' runs longer than handler_timeout (%s), stopping it",
                     process->script, duration_text((int64_t)process->time_limit, limit));
}

static void respond(struct handler_process *process, struct span output)
{
    const struct event_handlers_config *config = &process->owner->config;
    struct buffer error;
    buffer_init(&error, 1024);
    if (!config->respond(config->context, process->event->query, output, &error))
        agent_log_printf(config->log, LOG_LEVEL_WARN,
                         "agent: Failed to respond to query 'query: %.*s': %s",
                         SPAN_PRINT(buffer_span(&process->event->name)), buffer_text(&error));
    buffer_fini(&error);
}

static void log_failure(struct handler_process *process, const char *reason)
{
    agent_log_printf(process->owner->config.log, LOG_LEVEL_ERR,
                     "agent: Error invoking script '%s': %s", process->script, reason);
}

static void log_result(struct handler_process *process, const struct invocation_result *result)
{
    struct agent_log *log = process->owner->config.log;
    struct span output = result->output;
    if (result->input_error)
        agent_log_printf(log, LOG_LEVEL_ERR, "Error writing payload: %s", result->input_error);
    if (result->output_size > INVOKE_OUTPUT_SIZE_MAX)
        agent_log_printf(log, LOG_LEVEL_WARN,
                         "agent: Script '%s' generated %" PRIu64
                         " bytes of output, truncated to %d",
                         process->script, result->output_size, INVOKE_OUTPUT_SIZE_MAX);
    if (output.size > 0 && output.data[output.size - 1] == '\n')
        output.size--; /* the line ends with one of its own */
    agent_log_printf(log, LOG_LEVEL_DEBUG, "agent: Event '%s' script output: %.*s",
                     handler_event_word(process->event), SPAN_PRINT(output));
}

static void on_ended(void *context, const struct invocation_result *result)
{
    struct handler_process *process = context;
    struct event_handlers *handlers = process->owner;
    log_result(process, result);
    if (handlers->config.metrics)
        agent_metrics_script_ran(handlers->config.metrics, span_text(process->script),
                                 loop_now() - process->began);
    if (!result->success)
        log_failure(process, result->ending);
    else if (process->event->subject == HANDLER_QUERY && result->output.size > 0)
        respond(process, result->output);
    handler_queue_finished(handlers->queue, process->handler);
    process_free(process);
    loop_defer(&handlers->work);
}

static bool start(struct handler_process *process, struct buffer *error)
{
    const struct event_handlers_config *config = &process->owner->config;
    if (!process->script) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    char **environment =
        handler_environment(process->event, config->self_name, config->tags, error);
    if (!environment)
        return false;
    struct invocation_config invocation = {
        .loop = config->loop,
        .reaper = config->reaper,
        .script = process->script,
        .environment = environment,
        .input = buffer_span(&process->event->input),
        .slow_after = SLOW_AFTER_NS,
        .time_limit = process->time_limit,
        .grace = GRACE_NS,
        .context = process,
        .slow = on_slow,
        .overdue = on_overdue,
        .ended = on_ended,
    };
    process->invocation = invocation_start(&invocation, error);
    free(environment);
    return process->invocation != NULL;
}

static struct handler_process *process_new(struct event_handlers *handlers,
                                           const struct handler_run *run)
{
    struct handler_process *process = calloc(1, sizeof(*process));
    if (!process)
        return NULL;
    *process = (struct handler_process){
        .next = handlers->processes,
        .link = &handlers->processes,
        .owner = handlers,
        .handler = run->handler,
        .event = run->event,
        .script = strdup(run->script),
        .time_limit = handlers->time_limit,
        .began = loop_now(),
    };
    if (process->next)
        process->next->link = &process->next;
    handlers->processes = process;
    handlers->running++;
    return process;
}

static void run_one(struct event_handlers *handlers, const struct handler_run *run)
{
    struct buffer error;
    struct handler_process *process = process_new(handlers, run);
    if (!process) {
        agent_log_printf(handlers->config.log, LOG_LEVEL_ERR,
                         "agent: Error invoking script '%s': out of memory", run->script);
        handler_event_release(run->event);
        handler_queue_finished(handlers->queue, run->handler);
        return;
    }
    buffer_init(&error, 1024);
    if (!start(process, &error)) {
        log_failure(process, buffer_text(&error));
        handler_queue_finished(handlers->queue, process->handler);
        process_free(process);
    }
    buffer_fini(&error);
}

/* Starts what may start. One run a turn, since each start takes a while. */
static void work(void *context)
{
    struct event_handlers *handlers = context;
    struct handler_run run;
    if (handlers->running < handlers->concurrency &&
        handler_queue_next(handlers->queue, loop_now(), &run)) {
        run_one(handlers, &run);
        loop_defer(&handlers->work);
    }
    report(handlers);
    if (handlers->idle && handler_queue_idle(handlers->queue)) {
        loop_callback *idle = handlers->idle;
        handlers->idle = NULL;
        idle(handlers->idle_context);
    }
}

/* --- the whole --- */

struct event_handlers *event_handlers_new(const struct event_handlers_config *config)
{
    struct event_handlers *handlers = calloc(1, sizeof(*handlers));
    if (!handlers)
        return NULL;
    *handlers = (struct event_handlers){.config = *config, .concurrency = 1};
    handlers->queue = handler_queue_new();
    if (handlers->queue &&
        loop_timer_init(&handlers->report_timer, config->loop, on_report_timer, handlers)) {
        loop_task_init(&handlers->work, config->loop, work, handlers);
        return handlers;
    }
    handler_queue_free(handlers->queue);
    free(handlers);
    return NULL;
}

void event_handlers_free(struct event_handlers *handlers)
{
    if (!handlers)
        return;
    while (handlers->processes) {
        invocation_abandon(handlers->processes->invocation);
        process_free(handlers->processes);
    }
    loop_task_cancel(&handlers->work);
    loop_timer_fini(&handlers->report_timer);
    handler_queue_free(handlers->queue);
    free(handlers);
}

bool event_handlers_set(struct event_handlers *handlers,
                        const struct event_handlers_settings *settings, struct buffer *error)
{
    if (!handler_queue_set(handlers->queue, settings->handlers, error))
        return false;
    handlers->concurrency = settings->concurrency > 0 ? (size_t)settings->concurrency : 1;
    handlers->time_limit = settings->time_limit > 0 ? (uint64_t)settings->time_limit : 0;
    loop_defer(&handlers->work);
    return true;
}

static void push(struct event_handlers *handlers, struct handler_event *event)
{
    handler_queue_push(handlers->queue, event, loop_now());
    loop_defer(&handlers->work);
}

/* Most agents have no handlers, and make no events for them. */
static bool wanted(const struct event_handlers *handlers, const struct handler_event_key *key)
{
    for (size_t i = 0; i < handler_queue_handlers(handlers->queue); i++)
        if (handler_spec_matches(handler_queue_spec(handlers->queue, i), key) > 0)
            return true;
    return false;
}

void event_handlers_members(struct event_handlers *handlers, enum member_event_type type,
                            const struct member_view *members, size_t count)
{
    struct handler_event_key key = {.subject = HANDLER_MEMBER, .type = type};
    if (wanted(handlers, &key))
        push(handlers, handler_event_members(type, members, count));
}

void event_handlers_user(struct event_handlers *handlers, uint64_t ltime, struct span name,
                         struct span payload)
{
    struct handler_event_key key = {.subject = HANDLER_USER, .name = name};
    if (wanted(handlers, &key))
        push(handlers, handler_event_user(ltime, name, payload));
}

void event_handlers_query(struct event_handlers *handlers, uint32_t query, uint64_t ltime,
                          uint64_t deadline, struct span name, struct span payload)
{
    struct handler_event_key key = {.subject = HANDLER_QUERY, .name = name};
    if (wanted(handlers, &key))
        push(handlers, handler_event_query(query, ltime, deadline, name, payload));
}

size_t event_handlers_running(const struct event_handlers *handlers)
{
    return handlers->running;
}

void event_handlers_when_idle(struct event_handlers *handlers, loop_callback *idle, void *context)
{
    handlers->idle = idle;
    handlers->idle_context = context;
    loop_defer(&handlers->work);
}

/* --- serf info --- */

/* Whether a later handler has the same filter. */
static bool shown_later(const struct event_handlers *handlers, size_t place, size_t filter,
                        struct span text)
{
    struct buffer other;
    bool found = false;
    buffer_init(&other, CONFIG_FILE_SIZE_MAX);
    for (size_t i = place; !found && i < handler_queue_handlers(handlers->queue); i++) {
        const struct handler_spec *spec = handler_queue_spec(handlers->queue, i);
        for (size_t k = i == place ? filter + 1 : 0; !found && k < spec->filter_count; k++) {
            buffer_reset(&other);
            handler_filter_text(&other, &spec->filters[k]);
            found = span_equal(buffer_span(&other), text);
        }
    }
    buffer_fini(&other);
    return found;
}

/* Writes the entries, or only counts them where `out` is NULL. */
static uint32_t describe(const struct event_handlers *handlers, struct buffer *out)
{
    uint32_t count = 0;
    struct buffer text;
    buffer_init(&text, CONFIG_FILE_SIZE_MAX);
    for (size_t i = 0; i < handler_queue_handlers(handlers->queue); i++) {
        const struct handler_spec *spec = handler_queue_spec(handlers->queue, i);
        for (size_t k = 0; k < spec->filter_count; k++) {
            buffer_reset(&text);
            handler_filter_text(&text, &spec->filters[k]);
            if (shown_later(handlers, i, k, buffer_span(&text)))
                continue;
            count++;
            if (!out)
                continue;
            msgpack_write_string(out, buffer_span(&text));
            msgpack_write_string_text(out, spec->script);
        }
    }
    buffer_fini(&text);
    return count;
}

void event_handlers_describe(const struct event_handlers *handlers, struct buffer *out)
{
    msgpack_write_map(out, describe(handlers, NULL));
    describe(handlers, out);
}
