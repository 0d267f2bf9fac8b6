/* Virtual time: what will happen, in the order in which it will. Entries with the same time happen
 * in the order in which they were added, so that a run never depends on the heap's shape. */
#ifndef SIM_EVENT_QUEUE_H
#define SIM_EVENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_NEVER UINT64_MAX

struct event {
    uint64_t time;  /* virtual nanoseconds */
    uint64_t order; /* of adding, above the low byte; the low byte is the kind, the owner's */
    union {
        void *pointer;
        struct {
            uint32_t number, detail;
        };
    };
};

struct event_queue {
    struct event *events; /* owned; a heap with four children a node */
    size_t count, capacity;
    uint64_t next_order;
};

void event_queue_init(struct event_queue *queue);
void event_queue_fini(struct event_queue *queue);

/* Adds an event; `kind` is below 256. Ends the process when memory is out: a simulation that
 * forgot something would prove nothing. */
void event_queue_push(struct event_queue *queue, uint64_t time, uint8_t kind, void *pointer);
void event_queue_push_number(struct event_queue *queue, uint64_t time, uint8_t kind,
                             uint32_t number, uint32_t detail);

/* The time of the earliest event, or TIME_NEVER. */
uint64_t event_queue_next(const struct event_queue *queue);

/* Takes the earliest event out; the queue must not be empty. */
struct event event_queue_pop(struct event_queue *queue);

static inline uint8_t event_kind(const struct event *event)
{
    return (uint8_t)event->order;
}

#endif
