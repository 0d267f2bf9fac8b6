/* From an event to log lines and answers. */
#include "support.h"

#include "event_handlers.h"

#include <signal.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(20000000000)

static struct loop *loop;
static struct reaper *reaper;
static struct agent_log *log_;
static struct event_handlers *handlers;
static struct log_subscriber subscriber;
static struct buffer lines, answers, error;
static struct text_map tags;
static bool idle;
static int log_output;

static void on_line(void *context, enum log_level level, struct span text)
{
    (void)context;
    (void)level;
    buffer_append_span(&lines, span_from(text, strlen("2026/11/22 13:44:42 ")));
    buffer_append_u8(&lines, '\n');
}

static bool respond(void *context, uint32_t query, struct span payload, struct buffer *reason)
{
    (void)context;
    if (answers.size > 0) {
        buffer_append_text(reason, "response already sent");
        return false;
    }
    return buffer_printf(&answers, "%u: %.*s", query, SPAN_PRINT(payload));
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    close(ends[0]);
    log_output = ends[1];
    loop = loop_new();
    reaper = reaper_new(loop, false);
    log_ =
        agent_log_new(log_output, LOG_LEVEL_INFO); /* it holds its lines back, and streams none */
    subscriber = (struct log_subscriber){.line = on_line};
    agent_log_subscribe(log_, &subscriber);
    struct event_handlers_config config = {.loop = loop,
                                           .reaper = reaper,
                                           .log = log_,
                                           .self_name = "n1",
                                           .tags = &tags,
                                           .respond = respond};
    handlers = event_handlers_new(&config);
    buffer_init(&lines, 1024 * 1024);
    buffer_init(&answers, 1024);
    buffer_init(&error, 1024);
    idle = false;
    return handlers ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    event_handlers_free(handlers);
    agent_log_unsubscribe(log_, &subscriber);
    agent_log_free(log_);
    reaper_free(reaper);
    loop_free(loop);
    buffer_fini(&lines);
    buffer_fini(&answers);
    buffer_fini(&error);
    close(log_output);
    return 0;
}

static void set(char **texts, int64_t concurrency)
{
    struct text_list list = {.values = texts};
    while (texts[list.count])
        list.count++;
    struct event_handlers_settings settings = {&list, concurrency, 0};
    assert_true(event_handlers_set(handlers, &settings, &error));
}

#define SET(...) set((char *[]){__VA_ARGS__, NULL}, 1)

static void on_idle(void *context)
{
    (void)context;
    idle = true;
}

static void nothing(void *context)
{
    (void)context;
}

static void wait_until_idle(void)
{
    struct loop_timer guard;
    uint64_t end = loop_now() + PATIENCE_NS;
    idle = false;
    event_handlers_when_idle(handlers, on_idle, NULL);
    assert_true(loop_timer_init(&guard, loop, nothing, NULL));
    loop_timer_set(&guard, end);
    while (!idle && loop_now() < end)
        loop_turn(loop, true);
    loop_timer_fini(&guard);
    assert_true(idle);
}

static void user(const char *name)
{
    event_handlers_user(handlers, 1, span_text(name), SPAN_EMPTY);
}

static size_t count(const char *part)
{
    size_t found = 0;
    for (const char *p = buffer_text(&lines); (p = strstr(p, part)); p++)
        found++;
    return found;
}

static void output_and_endings_are_logged(void **state)
{
    (void)state;
    SET("user=echo hi", "user=exit 3", "user=printf 'a\\nb\\n'", "query=echo no");
    user("x");
    wait_until_idle();
    assert_string_equal(buffer_text(&lines),
                        "[DEBUG] agent: Event 'user' script output: hi\n"
                        "[DEBUG] agent: Event 'user' script output: \n"
                        "[ERR] agent: Error invoking script 'exit 3': exit status 3\n"
                        "[DEBUG] agent: Event 'user' script output: a\\nb\n");
}

static void output_that_was_cut_is_told_and_so_is_input_that_nobody_read(void **state)
{
    (void)state;
    static char payload[300 * 1024];
    SET("user=exec 0<&-; head -c 10000 /dev/zero");
    event_handlers_user(handlers, 1, span_text("x"), span_make(payload, sizeof(payload)));
    wait_until_idle();
    assert_starts_with(buffer_text(&lines),
                       "[ERR] Error writing payload: write |1: broken pipe\n"
                       "[WARN] agent: Script 'exec 0<&-; head -c 10000 /dev/zero' generated 10000 "
                       "bytes of output, truncated to 8192\n"
                       "[DEBUG] agent: Event 'user' script output: ");
}

static void the_first_output_with_status_0_answers_a_query(void **state)
{
    (void)state;
    SET("query=echo bad; exit 1", "query=true", "query=printf 'an\\nswer\\n'", "query=echo late");
    event_handlers_query(handlers, 7, 1, UINT64_MAX, span_text("q"), SPAN_EMPTY);
    assert_int_equal(event_handlers_running(handlers), 0); /* never from inside the call */
    wait_until_idle();
    assert_string_equal(buffer_text(&answers), "7: an\nswer\n");
    assert_contains(buffer_text(&lines),
                    "[WARN] agent: Failed to respond to query 'query: q': response already sent\n");
}

static void what_is_dropped_is_told_in_few_lines(void **state)
{
    (void)state;
    SET("user=true");
    for (int i = 0; i < 4096 + 100; i++)
        user("x");
    loop_turn(loop, false);
    for (int i = 0; i < 100; i++)
        user("x");
    loop_turn(loop, false);
    assert_int_equal(count("too slow"), 1);
    assert_contains(buffer_text(&lines),
                    "[WARN] agent: Event handlers are too slow: dropped the oldest 100 user events "
                    "and 0 queries (100 in all); at most 4096 events wait for a handler\n");
}

static void as_many_handlers_run_as_may_run(void **state)
{
    (void)state;
    char *texts[] = {"user=cat /proc/sys/kernel/ostype; sleep 3", "user=sleep 3", "user=sleep 3",
                     NULL};
    set(texts, 2);
    user("x");
    user("y");
    for (int i = 0; i < 20; i++)
        loop_turn(loop, false);
    assert_int_equal(event_handlers_running(handlers), 2);
}

static void a_script_that_can_not_be_started_does_not_stop_the_next(void **state)
{
    (void)state;
    SET("user=true", "*=echo next");
    event_handlers_user(handlers, 1, span_make("a\0b", 3), SPAN_EMPTY);
    SET("user=true", "*=echo next");
    wait_until_idle();
    assert_int_equal(count("[ERR] agent: Error invoking script 'true': exec: environment variable "
                           "contains NUL\n"),
                     1);
    event_handlers_members(handlers, MEMBER_EVENT_JOIN, NULL, 0);
    wait_until_idle();
    assert_int_equal(count("Event 'member-join' script output: next"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output_and_endings_are_logged),
        TEST(output_that_was_cut_is_told_and_so_is_input_that_nobody_read),
        TEST(the_first_output_with_status_0_answers_a_query),
        TEST(what_is_dropped_is_told_in_few_lines),
        TEST(as_many_handlers_run_as_may_run),
        TEST(a_script_that_can_not_be_started_does_not_stop_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
