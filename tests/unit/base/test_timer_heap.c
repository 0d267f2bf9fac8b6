#include "random.h"
#include "timer_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TIMERS = 200 };

static struct timer_heap heap;
static struct timer timers[TIMERS];

static int begin(void **state)
{
    (void)state;
    memset(timers, 0, sizeof timers);
    timer_heap_init(&heap);
    return 0;
}

static int end(void **state)
{
    (void)state;
    timer_heap_fini(&heap);
    return 0;
}

static void an_empty_heap_is_never_due(void **state)
{
    (void)state;
    assert_true(timer_heap_next(&heap) == TIMER_NEVER);
    assert_null(timer_heap_expire(&heap, TIMER_NEVER));
    timer_cancel(&heap, &timers[0]); /* not armed: nothing happens */
}

static void a_timer_is_due_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    assert_true(timer_set(&heap, &timers[0], 100));
    assert_true(timer_armed(&timers[0]));
    assert_true(timer_heap_next(&heap) == 100);
    assert_null(timer_heap_expire(&heap, 99));
    assert_ptr_equal(timer_heap_expire(&heap, 100), &timers[0]);
    assert_false(timer_armed(&timers[0]));
    assert_null(timer_heap_expire(&heap, 100));
}

static void equal_deadlines_fire_in_the_order_in_which_they_were_set(void **state)
{
    (void)state;
    for (int i = 0; i < TIMERS; i++)
        assert_true(timer_set(&heap, &timers[i], 5));
    for (int i = 0; i < TIMERS; i += 2) /* set again: now the youngest */
        assert_true(timer_set(&heap, &timers[i], 5));
    for (int i = 1; i < TIMERS; i += 2)
        assert_ptr_equal(timer_heap_expire(&heap, 5), &timers[i]);
    for (int i = 0; i < TIMERS; i += 2)
        assert_ptr_equal(timer_heap_expire(&heap, 5), &timers[i]);
    assert_null(timer_heap_expire(&heap, 5));
}

static void a_timer_can_be_moved_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_true(timer_set(&heap, &timers[i], (uint64_t)(10 + i)));
    assert_true(timer_set(&heap, &timers[9], 1));
    assert_true(timer_set(&heap, &timers[0], 50));
    assert_int_equal(heap.count, 10);
    assert_ptr_equal(timer_heap_expire(&heap, 100), &timers[9]);
    for (int i = 1; i < 9; i++)
        assert_ptr_equal(timer_heap_expire(&heap, 100), &timers[i]);
    assert_ptr_equal(timer_heap_expire(&heap, 100), &timers[0]);
}

static void after_a_reserve_arming_needs_no_memory(void **state)
{
    (void)state;
    assert_true(timer_heap_reserve(&heap, TIMERS));
    struct timer **places = heap.timers;
    for (int i = 0; i < TIMERS; i++)
        assert_true(timer_set(&heap, &timers[i], (uint64_t)i));
    assert_ptr_equal(heap.timers, places);
    assert_true(timer_heap_reserve(&heap, 1000));
    for (int i = 0; i < TIMERS; i++)
        assert_ptr_equal(timer_heap_expire(&heap, 1000), &timers[i]);
}

/* What the heap must give next: the armed timer with the least (deadline, order). */
static struct timer *model_next(void)
{
    struct timer *next = NULL;
    for (int i = 0; i < TIMERS; i++)
        if (timer_armed(&timers[i]) &&
            (!next || timers[i].deadline < next->deadline ||
             (timers[i].deadline == next->deadline && timers[i].order < next->order)))
            next = &timers[i];
    return next;
}

static void churn_agrees_with_a_model(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){8});
    uint64_t now = 0;
    for (int step = 0; step < 20000; step++) {
        struct timer *timer = &timers[random_below(&random, TIMERS)];
        uint64_t choice = random_below(&random, 4);
        if (choice < 2) {
            assert_true(timer_set(&heap, timer, now + random_below(&random, 50)));
        } else if (choice == 2) {
            timer_cancel(&heap, timer);
            assert_false(timer_armed(timer));
        } else {
            now += random_below(&random, 5);
            struct timer *expected = model_next();
            assert_true(timer_heap_next(&heap) == (expected ? expected->deadline : TIMER_NEVER));
            if (expected && expected->deadline > now)
                expected = NULL;
            assert_ptr_equal(timer_heap_expire(&heap, now), expected);
        }
        for (uint32_t i = 0; i < heap.count; i++)
            assert_int_equal(heap.timers[i]->position, i + 1);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(an_empty_heap_is_never_due),
        test(a_timer_is_due_at_its_deadline_and_not_before),
        test(equal_deadlines_fire_in_the_order_in_which_they_were_set),
        test(a_timer_can_be_moved_both_ways),
        test(after_a_reserve_arming_needs_no_memory),
        test(churn_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
