#include "timer_heap.h"

#include <stdlib.h>

void timer_heap_init(struct timer_heap *heap)
{
    *heap = (struct timer_heap){0};
}

void timer_heap_fini(struct timer_heap *heap)
{
    free(heap->timers);
    *heap = (struct timer_heap){0};
}

bool timer_heap_reserve(struct timer_heap *heap, uint32_t more)
{
    if (heap->capacity - heap->count >= more)
        return true;
    uint32_t capacity = heap->capacity ? heap->capacity * 2 : 16;
    while (capacity - heap->count < more)
        capacity *= 2;
    struct timer **timers = realloc(heap->timers, capacity * sizeof *timers);
    if (!timers)
        return false;
    heap->timers = timers;
    heap->capacity = capacity;
    return true;
}

static bool earlier(const struct timer *a, const struct timer *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void put(struct timer_heap *heap, uint32_t position, struct timer *timer)
{
    heap->timers[position - 1] = timer;
    timer->position = position;
}

static void sift_up(struct timer_heap *heap, struct timer *timer, uint32_t position)
{
    while (position > 1 && earlier(timer, heap->timers[position / 2 - 1])) {
        put(heap, position, heap->timers[position / 2 - 1]);
        position /= 2;
    }
    put(heap, position, timer);
}

static void sift_down(struct timer_heap *heap, struct timer *timer, uint32_t position)
{
    for (;;) {
        uint32_t child = position * 2;
        if (child > heap->count)
            break;
        if (child < heap->count && earlier(heap->timers[child], heap->timers[child - 1]))
            child++;
        if (!earlier(heap->timers[child - 1], timer))
            break;
        put(heap, position, heap->timers[child - 1]);
        position = child;
    }
    put(heap, position, timer);
}

bool timer_set(struct timer_heap *heap, struct timer *timer, uint64_t deadline)
{
    if (!timer_armed(timer)) {
        if (!timer_heap_reserve(heap, 1))
            return false;
        heap->count++;
        timer->position = heap->count;
    }
    timer->deadline = deadline;
    timer->order = heap->next_order++;
    uint32_t position = timer->position;
    sift_up(heap, timer, position);
    if (timer->position == position)
        sift_down(heap, timer, position);
    return true;
}

void timer_cancel(struct timer_heap *heap, struct timer *timer)
{
    if (!timer_armed(timer))
        return;
    uint32_t position = timer->position;
    struct timer *last = heap->timers[heap->count - 1];
    heap->count--;
    timer->position = 0;
    if (last == timer)
        return;
    sift_up(heap, last, position);
    if (last->position == position)
        sift_down(heap, last, position);
}

uint64_t timer_heap_next(const struct timer_heap *heap)
{
    return heap->count ? heap->timers[0]->deadline : TIMER_NEVER;
}

struct timer *timer_heap_expire(struct timer_heap *heap, uint64_t now)
{
    if (heap->count == 0 || heap->timers[0]->deadline > now)
        return NULL;
    struct timer *timer = heap->timers[0];
    timer_cancel(heap, timer);
    return timer;
}
