/* Turns of a loop, bounded: a test waits for a condition, and gives up after ten seconds. */
#ifndef TESTS_LOOP_FIXTURE_H
#define TESTS_LOOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "loop.h"

#define PATIENCE_NS UINT64_C(10000000000)

static inline void nothing(void *context)
{
    (void)context;
}

/* Wakes the loop so that the turn returns. */
static inline bool loop_until(struct loop *loop, const unsigned *counter, unsigned wanted)
{
    struct loop_timer guard;
    uint64_t end = loop_now() + PATIENCE_NS;
    assert_true(loop_timer_init(&guard, loop, nothing, NULL));
    loop_timer_set(&guard, end);
    while (*counter < wanted && loop_now() < end)
        loop_turn(loop, true);
    loop_timer_fini(&guard);
    return *counter >= wanted;
}

#endif
