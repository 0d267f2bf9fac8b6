/* An event as handlers get it: the text for their standard input, made when the event comes, and
 * the environment, made when a handler starts (agent specification, 4.3 and 4.4). */
#ifndef AGENT_HANDLER_EVENT_H
#define AGENT_HANDLER_EVENT_H

#include "config.h"
#include "handler_spec.h"
#include "member.h"

enum { HANDLER_INPUT_SIZE_MAX = 256 * 1024 * 1024 }; /* a cluster's worth of members */

/* Shared by the queues it waits in. */
struct handler_event {
    uint32_t references;
    uint64_t sequence; /* the queue's: older events have smaller numbers */
    bool started;      /* some handler has got it */
    enum handler_subject subject;
    enum member_event_type type; /* of HANDLER_MEMBER */
    uint64_t ltime;              /* of HANDLER_USER and HANDLER_QUERY */
    uint32_t query;              /* of HANDLER_QUERY */
    uint64_t deadline;           /* of HANDLER_QUERY, in the loop's time */
    struct buffer name;          /* of HANDLER_USER and HANDLER_QUERY */
    struct buffer input;         /* what the handler reads */
};

/* Each returns an event with one reference, or NULL when memory is out. */
struct handler_event *handler_event_members(enum member_event_type type,
                                            const struct member_view *members, size_t count);
struct handler_event *handler_event_user(uint64_t ltime, struct span name, struct span payload);
struct handler_event *handler_event_query(uint32_t query, uint64_t ltime, uint64_t deadline,
                                          struct span name, struct span payload);
/* A membership event whose lines are appended to `input` by the caller. */
struct handler_event *handler_event_empty(enum member_event_type type);

struct handler_event *handler_event_hold(struct handler_event *event);
void handler_event_release(struct handler_event *event);

/* The memory it takes. */
size_t handler_event_size(const struct handler_event *event);
struct handler_event_key handler_event_key(const struct handler_event *event);

/* "member-join", "user" or "query": SERF_EVENT, and what the log calls the event. */
const char *handler_event_word(const struct handler_event *event);

/* This process's environment without the agent's own secrets, and what describes the event and this
 * member. One block, NULL last, freed with free(). NULL with the reason in `error`. */
char **handler_environment(const struct handler_event *event, const char *self_name,
                           const struct text_map *tags, struct buffer *error);

#endif
