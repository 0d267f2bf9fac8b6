/* Four children a node: half the levels of a binary heap, and the children share a cache line or
 * two. An entry is 24 bytes. */
#include "event_queue.h"

#include "sim_memory.h"

#include <assert.h>
#include <stdlib.h>

enum { CHILDREN = 4 };

void event_queue_init(struct event_queue *queue)
{
    *queue = (struct event_queue){0};
}

void event_queue_fini(struct event_queue *queue)
{
    free(queue->events);
    *queue = (struct event_queue){0};
}

static bool before(const struct event *a, const struct event *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static void push(struct event_queue *queue, struct event event, uint8_t kind)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 1024;
        queue->events = sim_resize(queue->events, queue->capacity, sizeof *queue->events);
    }
    event.order = queue->next_order++ << 8 | kind;
    size_t i = queue->count++;
    while (i > 0 && before(&event, &queue->events[(i - 1) / CHILDREN])) {
        queue->events[i] = queue->events[(i - 1) / CHILDREN];
        i = (i - 1) / CHILDREN;
    }
    queue->events[i] = event;
}

void event_queue_push(struct event_queue *queue, uint64_t time, uint8_t kind, void *pointer)
{
    push(queue, (struct event){.time = time, .pointer = pointer}, kind);
}

void event_queue_push_number(struct event_queue *queue, uint64_t time, uint8_t kind,
                             uint32_t number, uint32_t detail)
{
    push(queue, (struct event){.time = time, .number = number, .detail = detail}, kind);
}

uint64_t event_queue_next(const struct event_queue *queue)
{
    return queue->count ? queue->events[0].time : TIME_NEVER;
}

struct event event_queue_pop(struct event_queue *queue)
{
    assert(queue->count > 0);
    struct event first = queue->events[0];
    struct event last = queue->events[--queue->count];
    size_t i = 0;
    for (;;) {
        size_t child = CHILDREN * i + 1, end = child + CHILDREN;
        if (child >= queue->count)
            break;
        size_t least = child;
        for (child++; child < end && child < queue->count; child++)
            if (before(&queue->events[child], &queue->events[least]))
                least = child;
        if (!before(&queue->events[least], &last))
            break;
        queue->events[i] = queue->events[least];
        i = least;
    }
    if (queue->count > 0)
        queue->events[i] = last;
    return first;
}
