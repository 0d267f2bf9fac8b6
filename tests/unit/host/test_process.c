#include <signal.h>
#include "loop_fixture.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

struct ending {
    struct child child;
    unsigned count;
    int status;
};

static void on_ended(void *context, int status)
{
    struct ending *ending = context;
    ending->count++;
    ending->status = status;
}

static int open_loop(void **state)
{
    *state = loop_new();
    return *state ? 0 : -1;
}

static int close_loop(void **state)
{
    loop_free(*state);
    return 0;
}

static pid_t child_that_exits(int status)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(status);
    assert_true(pid > 0);
    return pid;
}

static void each_watched_child_is_told_its_own_status(void **state)
{
    struct loop *loop = *state;
    struct ending endings[3] = {{.count = 0}};
    struct reaper *reaper = reaper_new(loop, false);
    assert_non_null(reaper);
    for (int i = 0; i < 3; i++)
        reaper_watch(reaper, &endings[i].child, child_that_exits(i + 1), on_ended, &endings[i]);
    for (int i = 0; i < 3; i++) {
        assert_true(loop_until(loop, &endings[i].count, 1));
        assert_int_equal(WEXITSTATUS(endings[i].status), i + 1);
    }
    reaper_free(reaper);
}

static void without_orphans_only_watched_children_are_collected(void **state)
{
    struct loop *loop = *state;
    struct ending ending = {.count = 0};
    struct reaper *reaper = reaper_new(loop, false);
    int status;
    pid_t other = child_that_exits(9);
    /* Ended, and still there to be waited for. */
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)other, &info, WEXITED | WNOWAIT), 0);
    reaper_watch(reaper, &ending.child, child_that_exits(1), on_ended, &ending);
    assert_true(loop_until(loop, &ending.count, 1));
    assert_int_equal(waitpid(other, &status, 0), other);
    reaper_free(reaper);
}

/* As process 1 of a container does: children of children that ended are inherited. */
static void orphans_are_collected(void **state)
{
    struct loop *loop = *state;
    struct ending ending = {.count = 0};
    struct reaper *reaper = reaper_new(loop, true);
    int ends[2];
    pid_t orphan = 0;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(0);
        _exit(write(ends[1], &grandchild, sizeof grandchild) == sizeof grandchild ? 0 : 1);
    }
    reaper_watch(reaper, &ending.child, parent, on_ended, &ending);
    assert_true(loop_until(loop, &ending.count, 1));
    assert_int_equal(read(ends[0], &orphan, sizeof orphan), sizeof orphan);
    uint64_t end = loop_now() + PATIENCE_NS;
    while (kill(orphan, 0) == 0 && loop_now() < end)
        loop_turn(loop, false);
    assert_int_equal(kill(orphan, 0), -1);
    assert_int_equal(errno, ESRCH);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    close(ends[0]);
    close(ends[1]);
    reaper_free(reaper);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_watched_child_is_told_its_own_status),
        TEST(without_orphans_only_watched_children_are_collected),
        TEST(orphans_are_collected),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
