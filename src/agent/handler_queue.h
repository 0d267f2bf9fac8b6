/* Which handler gets which event next. Pure: it starts nothing and knows no clock.
 *
 * Every handler has a queue of its own, and never two events at once. Of the handlers that are free
 * the one whose next event is the oldest comes first, of one event's handlers the one that stands
 * first in the configuration: run one at a time, the order is the reference's, event by event and
 * within each handler by handler.
 *
 * A queue is bounded. When it is full, membership events in it become one for each type of change,
 * with the latest change of each member (a member that joined and was then updated has joined);
 * queries that are too late go; then the oldest user events; then the oldest queries. Membership
 * changes never do: they need no more room than the member table. */
#ifndef AGENT_HANDLER_QUEUE_H
#define AGENT_HANDLER_QUEUE_H

#include "handler_event.h"

enum {
    HANDLER_QUEUE_EVENTS_MAX = 4096, /* of one handler; likewise below */
    HANDLER_QUEUE_BYTES_MAX = 16 * 1024 * 1024,
};

struct handler_queue;
struct handler;

/* What has happened since the queue was made. */
struct handler_queue_counts {
    uint64_t dropped_user_events;
    uint64_t dropped_queries; /* though they could have been answered in time */
    uint64_t late_queries;    /* not run, since their time was up */
    uint64_t lost;            /* for want of memory */
    uint64_t coalesced;       /* how often membership events were folded */
};

/* NULL when memory is out. */
struct handler_queue *handler_queue_new(void);
void handler_queue_free(struct handler_queue *queue);

/* Replaces the handlers. Events that no handler has got yet are for the new ones; those that are
 * under way go to the end of their old list. A handler whose text stays the same does not run
 * twice at once. False, with nothing changed, when a text can't be parsed or memory is out. */
bool handler_queue_set(struct handler_queue *queue, const struct text_list *texts,
                       struct buffer *error);

/* Queues the event for every handler that it matches; the reference is taken over. NULL (memory was
 * out) is counted as lost. */
void handler_queue_push(struct handler_queue *queue, struct handler_event *event, uint64_t now);

struct handler_run {
    struct handler *handler;     /* valid until handler_queue_finished */
    const char *script;          /* likewise */
    struct handler_event *event; /* with a reference that becomes the caller's */
};

/* The next handler to start; false when there is none. It counts as running until
 * handler_queue_finished. */
bool handler_queue_next(struct handler_queue *queue, uint64_t now, struct handler_run *run);
void handler_queue_finished(struct handler_queue *queue, struct handler *handler);

/* Nothing waits, nothing runs. */
bool handler_queue_idle(const struct handler_queue *queue);
struct handler_queue_counts handler_queue_counts(const struct handler_queue *queue);
/* Events that wait for this handler, of the present list, by its place in it. */
size_t handler_queue_length(const struct handler_queue *queue, size_t place);

/* The present list. */
size_t handler_queue_handlers(const struct handler_queue *queue);
const struct handler_spec *handler_queue_spec(const struct handler_queue *queue, size_t place);

#endif
