/* Timers of one state machine, ordered by deadline. A timer lives inside the thing it times; the
 * heap holds pointers. Time is nanoseconds on a clock that the host passes in and never goes back.
 * Timers with equal deadlines fire in the order in which they were set. */
#ifndef BASE_TIMER_HEAP_H
#define BASE_TIMER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMER_NEVER UINT64_MAX

struct timer {
    uint64_t deadline;
    uint64_t order;    /* set when armed: ties go to the older */
    uint32_t position; /* in the heap, 1-based; 0 when not armed */
    uint32_t kind;     /* the owner's: says what to do, and of what struct this timer is a part */
};

struct timer_heap {
    struct timer **timers; /* owned array of borrowed timers */
    uint32_t count;
    uint32_t capacity;
    uint64_t next_order;
};

void timer_heap_init(struct timer_heap *heap);
void timer_heap_fini(struct timer_heap *heap);

/* Makes room for `more` timers beyond those armed; false when memory is out. A caller that arms a
 * new timer as part of a change reserves first, so that the change can't fail half-way. */
bool timer_heap_reserve(struct timer_heap *heap, uint32_t more);

/* Arms the timer, or moves it. Arming needs a place: false when memory is out (never after a
 * reserve, never when moving). */
bool timer_set(struct timer_heap *heap, struct timer *timer, uint64_t deadline);
void timer_cancel(struct timer_heap *heap, struct timer *timer);

static inline bool timer_armed(const struct timer *timer)
{
    return timer->position != 0;
}

/* The earliest deadline, or TIMER_NEVER. */
uint64_t timer_heap_next(const struct timer_heap *heap);

/* Takes out and returns the earliest timer that is due at `now`; NULL when none is. */
struct timer *timer_heap_expire(struct timer_heap *heap, uint64_t now);

#endif
