#include "loop_fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* What happened, in order: one letter each. */
struct diary {
    char text[64];
    size_t length;
    unsigned count;
};

static struct diary diary;
static char letters[] = "abcdefghijklmnopqrstuvwxyz";

static void note(char letter)
{
    if (diary.length + 1 < sizeof diary.text)
        diary.text[diary.length++] = letter;
    diary.count++;
}

static int open_loop(void **state)
{
    diary = (struct diary){0};
    *state = loop_new();
    return *state ? 0 : -1;
}

static int close_loop(void **state)
{
    loop_free(*state);
    return 0;
}

static void on_letter(void *context)
{
    note(*(char *)context);
}

static void timers_fire_in_order_and_never_early(void **state)
{
    struct loop *loop = *state;
    struct loop_timer a, b, c;
    assert_true(loop_timer_init(&a, loop, on_letter, letters + ('a' - 'a')));
    assert_true(loop_timer_init(&b, loop, on_letter, letters + ('b' - 'a')));
    assert_true(loop_timer_init(&c, loop, on_letter, letters + ('c' - 'a')));
    uint64_t start = loop_now();
    loop_timer_set(&b, start + 3000000);
    loop_timer_set(&a, start + 2000000);
    loop_timer_set(&c, start + 1000000);
    loop_timer_cancel(&c);
    assert_true(loop_until(loop, &diary.count, 2));
    assert_true(loop_now() >= start + 3000000);
    assert_string_equal(diary.text, "ab");
    loop_timer_fini(&a);
    loop_timer_fini(&b);
    loop_timer_fini(&c);
}

static void on_again(void *context)
{
    note('r');
    loop_timer_set(context, 0);
}

static void a_timer_that_is_always_late_starves_nobody(void **state)
{
    struct loop *loop = *state;
    struct loop_timer again, once;
    assert_true(loop_timer_init(&again, loop, on_again, &again));
    assert_true(loop_timer_init(&once, loop, on_letter, letters + ('o' - 'a')));
    loop_timer_set(&again, 0);
    loop_timer_set(&once, 0);
    loop_turn(loop, true);
    assert_string_equal(diary.text, "ro");
    loop_turn(loop, true);
    assert_string_equal(diary.text, "ror");
    loop_timer_fini(&again);
    loop_timer_fini(&once);
}

static void on_readable(void *context, int ready)
{
    char byte;
    struct loop_watch *watch = context;
    assert_int_equal(ready, LOOP_READ);
    assert_int_equal(read(watch->descriptor, &byte, 1), 1);
    note('s');
}

static void a_turn_is_sockets_then_deferred_work_then_timers_then_its_end(void **state)
{
    struct loop *loop = *state;
    int ends[2];
    struct loop_watch watch;
    struct loop_timer timer;
    struct loop_task deferred, last;
    assert_int_equal(pipe(ends), 0);
    assert_true(loop_watch_init(&watch, loop, ends[0], on_readable, &watch));
    assert_true(loop_watch_set(&watch, LOOP_READ));
    assert_true(loop_timer_init(&timer, loop, on_letter, letters + ('t' - 'a')));
    loop_task_init(&deferred, loop, on_letter, letters + ('d' - 'a'));
    loop_task_init(&last, loop, on_letter, letters + ('e' - 'a'));
    loop_timer_set(&timer, 0);
    loop_defer(&deferred);
    assert_int_equal(write(ends[1], "x", 1), 1);
    /* Finished work of the time before the turn comes first of all. */
    loop_finish_turn(&last);
    loop_turn(loop, true);
    assert_string_equal(diary.text, "esdt");
    loop_watch_fini(&watch);
    loop_timer_fini(&timer);
    close(ends[0]);
    close(ends[1]);
}

struct chain {
    struct loop_task task;
    unsigned runs;
};

static void on_chain(void *context)
{
    struct chain *chain = context;
    chain->runs++;
    loop_defer(&chain->task);
}

static void deferring_again_waits_for_the_next_turn(void **state)
{
    struct loop *loop = *state;
    struct chain chain = {.runs = 0};
    loop_task_init(&chain.task, loop, on_chain, &chain);
    loop_defer(&chain.task);
    loop_defer(&chain.task);
    loop_turn(loop, true);
    assert_int_equal(chain.runs, 1);
    loop_turn(loop, true);
    assert_int_equal(chain.runs, 2);
    loop_task_cancel(&chain.task);
    loop_turn(loop, false);
    assert_int_equal(chain.runs, 2);
}

static void on_signal(void *context, int number)
{
    assert_ptr_equal(context, &diary);
    assert_int_equal(number, SIGUSR1);
    note('u');
}

static void signals_arrive_on_the_loop(void **state)
{
    struct loop *loop = *state;
    struct loop_signal watch;
    assert_true(loop_signal_init(&watch, loop, SIGUSR1, on_signal, &diary));
    assert_int_equal(raise(SIGUSR1), 0);
    assert_true(loop_until(loop, &diary.count, 1));
    loop_signal_fini(&watch);
}

static void on_stop(void *context)
{
    loop_stop(context);
}

static void running_ends_with_stop_or_when_nothing_is_left(void **state)
{
    struct loop *loop = *state;
    struct loop_timer stop, never;
    loop_run(loop);
    assert_true(loop_timer_init(&never, loop, on_letter, letters + ('n' - 'a')));
    assert_true(loop_timer_init(&stop, loop, on_stop, loop));
    loop_timer_set(&never, loop_now() + PATIENCE_NS);
    loop_timer_set(&stop, 0);
    loop_run(loop);
    assert_string_equal(diary.text, "");
    loop_timer_fini(&stop);
    loop_timer_fini(&never);
}

static bool is_readable(int descriptor, int patience)
{
    struct pollfd wait = {descriptor, POLLIN, 0};
    return poll(&wait, 1, patience) > 0;
}

static void on_byte(void *context, int ready)
{
    char byte;
    assert_int_equal(ready, LOOP_READ);
    assert_int_equal(read(*(int *)context, &byte, 1), 1);
    note('s');
}

/* Somebody else's poll, for as long as it takes: what is waited for comes by itself. */
static void a_descriptor_tells_another_loop_of_sockets_timers_and_work(void **state)
{
    struct loop *loop = *state;
    struct loop_timer timer;
    struct loop_task task;
    struct loop_watch watch;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int descriptor = loop_descriptor(loop);
    assert_true(descriptor >= 0);
    assert_int_equal(loop_descriptor(loop), descriptor);
    assert_true(loop_timer_init(&timer, loop, on_letter, letters + ('t' - 'a')));
    loop_task_init(&task, loop, on_letter, letters + ('w' - 'a'));
    assert_true(loop_watch_init(&watch, loop, ends[0], on_byte, &ends[0]));
    assert_true(loop_watch_set(&watch, LOOP_READ));
    loop_arm(loop);
    assert_false(is_readable(descriptor, 0));

    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(is_readable(descriptor, -1));
    loop_turn(loop, false);
    loop_arm(loop);
    assert_string_equal(diary.text, "s");
    assert_false(is_readable(descriptor, 0));

    loop_timer_set(&timer, loop_now() + 1000000);
    loop_arm(loop);
    while (diary.count < 2) {
        assert_true(is_readable(descriptor, -1));
        loop_turn(loop, false);
        loop_arm(loop);
    }
    assert_string_equal(diary.text, "st");
    assert_false(is_readable(descriptor, 0));

    loop_defer(&task);
    loop_arm(loop);
    assert_true(is_readable(descriptor, 0));
    loop_turn(loop, false);
    loop_arm(loop);
    assert_string_equal(diary.text, "stw");
    assert_false(is_readable(descriptor, 0));

    /* What is no longer watched wakes nobody. */
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(loop_watch_set(&watch, 0));
    assert_false(is_readable(descriptor, 0));
    assert_true(loop_watch_set(&watch, LOOP_READ));
    assert_true(is_readable(descriptor, 0));
    loop_watch_fini(&watch);
    assert_false(is_readable(descriptor, 0));
    loop_timer_fini(&timer);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order_and_never_early, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(a_timer_that_is_always_late_starves_nobody, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(
            a_turn_is_sockets_then_deferred_work_then_timers_then_its_end, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(deferring_again_waits_for_the_next_turn, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(a_descriptor_tells_another_loop_of_sockets_timers_and_work,
                                        open_loop, close_loop),
        cmocka_unit_test_setup_teardown(signals_arrive_on_the_loop, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(running_ends_with_stop_or_when_nothing_is_left, open_loop,
                                        close_loop),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
