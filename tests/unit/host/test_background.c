#include "background.h"
#include "loop_fixture.h"

#include <pthread.h>
#include <unistd.h>

struct job {
    pthread_t thread;
    unsigned worked, done;
};

static void work(void *context)
{
    struct job *job = context;
    usleep(20000);
    job->thread = pthread_self();
    job->worked++;
}

static void on_done(void *context)
{
    struct job *job = context;
    assert_int_equal(job->worked, 1);
    job->done++;
}

static void the_end_of_work_comes_back_through_the_loop(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct job job = {0};
    assert_non_null(background_start(loop, work, on_done, &job));
    assert_int_equal(job.done, 0);
    assert_true(loop_until(loop, &job.done, 1));
    assert_false(pthread_equal(job.thread, pthread_self()));
    loop_free(loop);
}

static void who_finishes_it_waits_and_is_not_called_back(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct job job = {0};
    struct background *background = background_start(loop, work, on_done, &job);
    assert_non_null(background);
    background_finish(background);
    assert_int_equal(job.worked, 1);
    loop_turn(loop, false);
    assert_int_equal(job.done, 0);
    loop_free(loop);
    background_finish(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_work_comes_back_through_the_loop),
        cmocka_unit_test(who_finishes_it_waits_and_is_not_called_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
