/* The agent's event handlers: what happens in the cluster becomes runs of scripts, their output log
 * lines and answers to queries (agent specification, section 4). */
#ifndef AGENT_EVENT_HANDLERS_H
#define AGENT_EVENT_HANDLERS_H

#include "config.h"
#include "log.h"
#include "loop.h"
#include "member.h"
#include "process.h"

enum { HANDLER_CONCURRENCY_MAX = 256 };

struct event_handlers;

struct event_handlers_config {
    struct loop *loop;
    struct reaper *reaper;
    struct agent_log *log;
    const char *self_name;       /* borrowed */
    const struct text_map *tags; /* borrowed; this member's, as they are at each time */
    void *context;
    /* Answers a query; false with the reference's words in `error`. Called from the loop. */
    bool (*respond)(void *context, uint32_t query, struct span payload, struct buffer *error);
    struct agent_metrics *metrics; /* NULL: nobody wants to know */
};

struct event_handlers_settings {
    const struct text_list *handlers;
    int64_t concurrency; /* handlers that run side by side, each of them one event at a time */
    int64_t time_limit;  /* nanoseconds; 0: none */
};

/* NULL when memory is out. There are no handlers yet. */
struct event_handlers *event_handlers_new(const struct event_handlers_config *config);

/* Leaves running scripts to themselves. NULL is ignored. */
void event_handlers_free(struct event_handlers *handlers);

/* Replaces the handlers; see handler_queue_set. Scripts that run keep their time limit. */
bool event_handlers_set(struct event_handlers *handlers,
                        const struct event_handlers_settings *settings, struct buffer *error);

/* Never run anything from inside; the loop does, soon. */
void event_handlers_members(struct event_handlers *handlers, enum member_event_type type,
                            const struct member_view *members, size_t count);
void event_handlers_user(struct event_handlers *handlers, uint64_t ltime, struct span name,
                         struct span payload);
void event_handlers_query(struct event_handlers *handlers, uint32_t query, uint64_t ltime,
                          uint64_t deadline, struct span name, struct span payload);

/* Scripts that run at present. */
size_t event_handlers_running(const struct event_handlers *handlers);

/* Calls back from the loop, once, when nothing runs and nothing waits any more. */
void event_handlers_when_idle(struct event_handlers *handlers, loop_callback *idle, void *context);

/* Appends the section "event_handlers" of `serf info`: a map from "user:deploy" to the script, the
 * last script where several have one filter. */
void event_handlers_describe(const struct event_handlers *handlers, struct buffer *out);

#endif
