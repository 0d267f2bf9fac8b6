/* One run of a script: what it gets, what is kept of what it says, and how it ends. */
#include "support.h"

#include "invoke.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(20000000000)

static struct loop *loop;
static struct reaper *reaper;
static struct buffer output, error;
static char ending[64], input_error[INVOKE_ERROR_SIZE_MAX];
static bool ended, success;
static uint64_t output_size;
static unsigned slow_count, overdue_count;

static int set_up(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    loop = loop_new();
    reaper = loop ? reaper_new(loop, false) : NULL;
    buffer_init(&output, INVOKE_OUTPUT_SIZE_MAX);
    buffer_init(&error, 1024);
    ended = success = false;
    ending[0] = input_error[0] = '\0';
    slow_count = overdue_count = 0;
    return reaper ? make_directory(state) : -1;
}

static int tear_down(void **state)
{
    reaper_free(reaper);
    loop_free(loop);
    buffer_fini(&output);
    buffer_fini(&error);
    return remove_directory(state);
}

static void on_slow(void *context)
{
    (void)context;
    slow_count++;
}

static void on_overdue(void *context)
{
    (void)context;
    overdue_count++;
}

static void on_ended(void *context, const struct invocation_result *result)
{
    (void)context;
    assert_false(ended);
    ended = true;
    success = result->success;
    snprintf(ending, sizeof(ending), "%s", result->ending);
    snprintf(input_error, sizeof(input_error), "%s",
             result->input_error ? result->input_error : "");
    buffer_append_span(&output, result->output);
    output_size = result->output_size;
}

static struct invocation *start(const char *script, struct span input, uint64_t time_limit)
{
    char *environment[] = {"PATH=/usr/bin:/bin", "MARK=here", NULL};
    struct invocation_config config = {
        .loop = loop,
        .reaper = reaper,
        .script = script,
        .environment = environment,
        .input = input,
        .slow_after = 200000000,
        .time_limit = time_limit,
        .grace = 200000000,
        .slow = on_slow,
        .overdue = on_overdue,
        .ended = on_ended,
    };
    struct invocation *invocation = invocation_start(&config, &error);
    assert_non_null(invocation);
    assert_false(ended);
    return invocation;
}

static void nothing(void *context)
{
    (void)context;
}

static void wait_until_ended(void)
{
    struct loop_timer guard;
    uint64_t end = loop_now() + PATIENCE_NS;
    assert_true(loop_timer_init(&guard, loop, nothing, NULL));
    loop_timer_set(&guard, end);
    while (!ended && loop_now() < end)
        loop_turn(loop, true);
    loop_timer_fini(&guard);
    assert_true(ended);
}

static void run(const char *script, struct span input)
{
    start(script, input, 0);
    wait_until_ended();
}

static void a_script_gets_its_input_and_its_output_is_kept(void **state)
{
    (void)state;
    run("cat; echo \"$MARK\" >&2; echo \"$0\"", span_text("input\n"));
    assert_true(success);
    assert_string_equal(ending, "");
    assert_string_equal(input_error, "");
    assert_string_equal(buffer_text(&output), "input\nhere\n/bin/sh\n");
}

static void silence_is_an_empty_output(void **state)
{
    (void)state;
    run("true", SPAN_EMPTY);
    assert_true(success);
    assert_int_equal(output_size, 0);
}

static void an_exit_status_and_a_signal_are_told_in_the_references_words(void **state)
{
    (void)state;
    run("exit 3", SPAN_EMPTY);
    assert_false(success);
    assert_string_equal(ending, "exit status 3");
    ended = false;
    run("kill -9 $$", SPAN_EMPTY);
    assert_false(success);
    assert_string_equal(ending, "signal: killed");
    ended = false;
    run("kill -40 $$", SPAN_EMPTY);
    assert_string_equal(ending, "signal: signal 40");
}

static void of_a_flood_the_last_bytes_are_kept(void **state)
{
    (void)state;
    run("head -c 3000000 /dev/zero | tr '\\0' x; printf END", SPAN_EMPTY);
    assert_true(success);
    assert_int_equal(output_size, 3000003);
    assert_int_equal(output.size, INVOKE_OUTPUT_SIZE_MAX);
    assert_string_equal(buffer_text(&output) + INVOKE_OUTPUT_SIZE_MAX - 5, "xxEND");
}

static void a_full_ring_is_in_order_at_every_size(void **state)
{
    (void)state;
    static const unsigned sizes[] = {8191, 8192, 8193, 16384, 20000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char script[64];
        snprintf(script, sizeof(script), "seq 1 9999 | head -c %u", sizes[i]);
        ended = false;
        buffer_reset(&output);
        run(script, SPAN_EMPTY);
        assert_int_equal(output_size, sizes[i]);
        size_t kept = sizes[i] < INVOKE_OUTPUT_SIZE_MAX ? sizes[i] : INVOKE_OUTPUT_SIZE_MAX;
        assert_int_equal(output.size, kept);
        /* Lines go on counting: no part is missing or in the wrong place. */
        const char *line = strchr(buffer_text(&output), '\n') + 1;
        unsigned long expected = strtoul(line, NULL, 10);
        for (const char *end; (end = strchr(line, '\n')); line = end + 1)
            assert_int_equal(strtoul(line, NULL, 10), expected++);
    }
}

static void input_beyond_what_a_pipe_holds_is_written_as_it_is_read(void **state)
{
    (void)state;
    static char input[1024 * 1024];
    memset(input, 'i', sizeof(input));
    run("sleep 0.1; wc -c", span_make(input, sizeof(input)));
    assert_true(success);
    assert_string_equal(buffer_text(&output), "1048576\n");
    assert_string_equal(input_error, "");
}

static void a_script_that_closes_its_input_early_does_no_harm(void **state)
{
    (void)state;
    static char input[1024 * 1024];
    run("exec 0<&-; echo fine", span_make(input, sizeof(input)));
    assert_true(success);
    assert_string_equal(buffer_text(&output), "fine\n");
    assert_string_equal(input_error, "write |1: broken pipe");
}

static void a_background_child_that_keeps_the_output_is_waited_for(void **state)
{
    (void)state;
    run("(sleep 0.3; echo late) & echo early", SPAN_EMPTY);
    assert_true(success);
    assert_string_equal(buffer_text(&output), "early\nlate\n");
}

static void a_background_child_that_has_let_go_is_not_waited_for(void **state)
{
    (void)state;
    run("sleep 30 >/dev/null 2>&1 & echo $!", SPAN_EMPTY);
    kill((pid_t)strtol(buffer_text(&output), NULL, 10), SIGKILL);
}

static void a_slow_script_is_told_once(void **state)
{
    (void)state;
    run("sleep 0.5", SPAN_EMPTY);
    assert_int_equal(slow_count, 1);
    assert_int_equal(overdue_count, 0);
    assert_true(success);
}

static void a_time_limit_ends_the_whole_group(void **state)
{
    (void)state;
    start("echo before; sleep 60 & sleep 60; echo never", SPAN_EMPTY, 100000000);
    wait_until_ended();
    assert_int_equal(overdue_count, 1);
    assert_string_equal(ending, "signal: terminated");
    assert_string_equal(buffer_text(&output), "before\n");
}

static void what_ignores_term_is_killed_and_kept_output_is_not_waited_for(void **state)
{
    (void)state;
    start("trap '' TERM; setsid sleep 60 & echo $!; while :; do sleep 60; done", SPAN_EMPTY,
          100000000);
    wait_until_ended();
    assert_int_equal(overdue_count, 1);
    assert_string_equal(ending, "signal: killed");
    kill((pid_t)strtol(buffer_text(&output), NULL, 10), SIGKILL);
}

/* Gone, or dead and not collected yet. */
static bool is_dead(pid_t pid)
{
    char stat[256] = "", name[64];
    snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(name, "r");
    if (!file)
        return true;
    stat[fread(stat, 1, sizeof(stat) - 1, file)] = '\0';
    fclose(file);
    const char *state = strstr(stat, ") ");
    return !state || state[2] == 'Z' || state[2] == 'X';
}

static void
what_ignores_term_is_killed_though_the_script_is_gone_and_the_output_closed(void **state)
{
    (void)state;
    start("(trap '' TERM; exec sh -c 'echo $$; exec >/dev/null 2>&1; while :; do sleep 0.05; "
          "done') & "
          "wait",
          SPAN_EMPTY, 300000000);
    wait_until_ended();
    pid_t pid = (pid_t)strtol(buffer_text(&output), NULL, 10);
    assert_true(pid > 0);
    for (int i = 0; i < 2000 && !is_dead(pid); i++)
        usleep(10000);
    bool dead = is_dead(pid);
    kill(pid, SIGKILL);
    assert_true(dead);
    assert_int_equal(overdue_count, 1);
}

static void an_abandoned_script_runs_on_and_nothing_is_called_back(void **state)
{
    (void)state;
    char script[256];
    snprintf(script, sizeof(script), "sleep 0.2; touch %s/done", test_directory);
    struct invocation *invocation = start(script, SPAN_EMPTY, 0);
    invocation_abandon(invocation);
    assert_int_equal(waitpid(-1, NULL, 0) > 0, 1);
    snprintf(script, sizeof(script), "%s/done", test_directory);
    assert_int_equal(access(script, F_OK), 0);
    assert_false(ended);
}

static void a_start_that_fails_says_why(void **state)
{
    (void)state;
    static char script[200 * 1024]; /* longer than one argument may be */
    memset(script, 'x', sizeof(script) - 1);
    char *environment[] = {NULL};
    struct invocation_config config = {
        .loop = loop, .reaper = reaper, .script = script, .environment = environment};
    assert_null(invocation_start(&config, &error));
    assert_string_equal(buffer_text(&error), "fork/exec /bin/sh: argument list too long");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_script_gets_its_input_and_its_output_is_kept),
        TEST(silence_is_an_empty_output),
        TEST(an_exit_status_and_a_signal_are_told_in_the_references_words),
        TEST(of_a_flood_the_last_bytes_are_kept),
        TEST(a_full_ring_is_in_order_at_every_size),
        TEST(input_beyond_what_a_pipe_holds_is_written_as_it_is_read),
        TEST(a_script_that_closes_its_input_early_does_no_harm),
        TEST(a_background_child_that_keeps_the_output_is_waited_for),
        TEST(a_background_child_that_has_let_go_is_not_waited_for),
        TEST(a_slow_script_is_told_once),
        TEST(a_time_limit_ends_the_whole_group),
        TEST(what_ignores_term_is_killed_and_kept_output_is_not_waited_for),
        TEST(what_ignores_term_is_killed_though_the_script_is_gone_and_the_output_closed),
        TEST(an_abandoned_script_runs_on_and_nothing_is_called_back),
        TEST(a_start_that_fails_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
