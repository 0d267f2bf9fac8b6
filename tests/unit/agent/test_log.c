#include "support.h"

#include "join_log.h"
#include "log.h"

#include <fcntl.h>
#include <jansson.h>
#include <regex.h>
#include <signal.h>
#include <time.h>

enum { OUTPUT_MAX = 256 * 1024 };

static int ends[2]; /* of the pipe that stands for standard output */
static struct agent_log *agent_log;
static char output[OUTPUT_MAX];

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (pipe(ends) != 0)
        return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    agent_log = agent_log_new(ends[1], LOG_LEVEL_INFO);
    return agent_log ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    agent_log_free(agent_log);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* What came out since the last call. */
static const char *read_output(void)
{
    size_t size = 0;
    ssize_t n;
    while ((n = read(ends[0], output + size, sizeof(output) - size - 1)) > 0)
        size += (size_t)n;
    output[size] = '\0';
    return output;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("\"%s\" does not match %s", text, pattern);
    regfree(&regex);
}

struct reader {
    struct log_subscriber subscriber;
    struct buffer text;
    unsigned lines;
};

static void take_line(void *context, enum log_level level, struct span text)
{
    struct reader *reader = context;
    buffer_printf(&reader->text, "%d|%.*s\n", level, SPAN_PRINT(text));
    reader->lines++;
}

static void reader_init(struct reader *reader)
{
    *reader = (struct reader){.subscriber = {.line = take_line, .context = reader}};
    buffer_init(&reader->text, 4 * 1024 * 1024);
}

static void reader_fini(struct reader *reader)
{
    agent_log_unsubscribe(agent_log, &reader->subscriber);
    buffer_fini(&reader->text);
}

static void a_line_has_local_time_level_and_four_spaces(void **state)
{
    (void)state;
    agent_log_stream(agent_log);
    setenv("TZ", "XYZ-9", 1);
    tzset();
    agent_log_printf(agent_log, LOG_LEVEL_WARN, "agent: hello %d", 7);
    const char *text = read_output();
    assert_matches(text, "^    [0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} \\[WARN\\] agent: hello 7\n$");
    time_t now = time(NULL);
    char hour[8];
    strftime(hour, sizeof(hour), " %H:", localtime(&now));
    int wall = atoi(text + 15);
    assert_in_range((wall - atoi(hour + 1) + 24) % 24 % 23, 0, 1);
    unsetenv("TZ");
    tzset();
}

static void lines_below_the_threshold_are_not_written(void **state)
{
    (void)state;
    agent_log_stream(agent_log);
    agent_log_printf(agent_log, LOG_LEVEL_DEBUG, "agent: quiet");
    assert_string_equal(read_output(), "");
    agent_log_set_level(agent_log, LOG_LEVEL_DEBUG);
    agent_log_printf(agent_log, LOG_LEVEL_DEBUG, "agent: loud");
    assert_contains(read_output(), "[DEBUG] agent: loud");
}

static void lines_wait_until_the_log_streams_and_notices_do_not(void **state)
{
    (void)state;
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: first");
    agent_log_notice(agent_log, "Starting");
    agent_log_info(agent_log, "detail");
    agent_log_info(agent_log, "%s", "");
    assert_string_equal(read_output(), "==> Starting\n    detail\n\n");
    agent_log_stream(agent_log);
    assert_contains(read_output(), "agent: first\n");
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: second");
    assert_contains(read_output(), "agent: second\n");
}

static void count_call(void *context)
{
    ++*(unsigned *)context;
}

static void gathered_lines_go_out_in_order_at_a_flush_a_warning_or_a_notice(void **state)
{
    (void)state;
    unsigned calls = 0;
    agent_log_stream(agent_log);
    agent_log_gather(agent_log, count_call, &calls);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: one");
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: two");
    assert_int_equal(calls, 1);
    assert_string_equal(read_output(), "");
    agent_log_flush(agent_log);
    assert_matches(read_output(), "^[^\n]* agent: one\n[^\n]* agent: two\n$");
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: three");
    assert_int_equal(calls, 2);
    agent_log_printf(agent_log, LOG_LEVEL_WARN, "agent: four");
    assert_matches(read_output(), "^[^\n]* agent: three\n[^\n]* agent: four\n$");
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: five");
    agent_log_notice(agent_log, "six");
    assert_matches(read_output(), "^[^\n]* agent: five\n==> six\n$");
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: seven");
    agent_log_gather(agent_log, NULL, NULL);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: eight");
    assert_matches(read_output(), "^[^\n]* agent: seven\n[^\n]* agent: eight\n$");
}

static void gathered_lines_that_nobody_takes_are_counted_one_by_one(void **state)
{
    (void)state;
    unsigned calls = 0;
    agent_log_stream(agent_log);
    fcntl(ends[1], F_SETPIPE_SZ, 2 * 4096);
    agent_log_gather(agent_log, count_call, &calls);
    char filler[LOG_GATHER_SIZE - 96];
    memset(filler, 'x', sizeof(filler));
    for (int i = 0; i < 2; i++) {
        agent_log_printf(agent_log, LOG_LEVEL_INFO, "%.*s", (int)sizeof(filler), filler);
        agent_log_flush(agent_log);
    }
    for (int i = 0; i < 3; i++)
        agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: lost");
    agent_log_flush(agent_log);
    read_output();
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: again");
    agent_log_flush(agent_log);
    assert_matches(read_output(), "3 lines were dropped here.*\n[^\n]* agent: again\n$");
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    agent_log_stream(agent_log);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "serf: a\nb\tc\x1b[31m\x7f\xc2\x9b \xc3\xa9");
    const char *text = read_output();
    assert_contains(text, "serf: a\\nb\\tc\\x1b[31m\\x7f\\x9b \xc3\xa9\n");
    agent_log_notice(agent_log, "1 error:\n\t* x\x1b");
    assert_string_equal(read_output(), "==> 1 error:\n\t* x\\x1b\n");
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    char text[2 * LOG_LINE_SIZE_MAX];
    memset(text, 'x', sizeof(text));
    agent_log_stream(agent_log);
    agent_log_write(agent_log, LOG_LEVEL_INFO, span_make(text, sizeof(text)));
    const char *line = read_output();
    assert_true(strlen(line) < LOG_LINE_SIZE_MAX + 100);
    assert_string_equal(line + strlen(line) - 4, "...\n");
}

static void a_subscriber_gets_the_ring_and_then_every_level(void **state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: one");
    agent_log_printf(agent_log, LOG_LEVEL_DEBUG, "agent: two");
    agent_log_subscribe(agent_log, &reader.subscriber);
    agent_log_printf(agent_log, LOG_LEVEL_TRACE, "agent: three");
    assert_matches(buffer_text(&reader.text), "^2\\|[0-9/]{10} [0-9:]{8} \\[INFO\\] agent: one\n"
                                              "1\\|[^\n]*\\[DEBUG\\] agent: two\n"
                                              "0\\|[^\n]*\\[TRACE\\] agent: three\n$");
    agent_log_unsubscribe(agent_log, &reader.subscriber);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: four");
    assert_int_equal(reader.lines, 3);
    reader_fini(&reader);
}

static void the_ring_keeps_the_last_lines_in_order(void **state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader);
    for (int i = 0; i < LOG_RING_LINES + 10; i++)
        agent_log_printf(agent_log, LOG_LEVEL_DEBUG, "agent: line %d", i);
    agent_log_subscribe(agent_log, &reader.subscriber);
    assert_int_equal(reader.lines, LOG_RING_LINES);
    assert_matches(buffer_text(&reader.text), "^1\\|[^\n]*agent: line 10\n");
    assert_contains(buffer_text(&reader.text), "agent: line 521\n");
    reader_fini(&reader);
}

static void the_ring_has_a_limit_of_bytes(void **state)
{
    (void)state;
    struct reader reader;
    char text[4096];
    memset(text, 'x', sizeof(text));
    reader_init(&reader);
    for (int i = 0; i < LOG_RING_LINES; i++)
        agent_log_write(agent_log, LOG_LEVEL_DEBUG, span_make(text, sizeof(text)));
    agent_log_subscribe(agent_log, &reader.subscriber);
    size_t replayed = reader.text.size;
    reader_fini(&reader);
    assert_in_range(replayed, LOG_RING_BYTES_MAX / 2, LOG_RING_BYTES_MAX + 1024);
}

struct complainer {
    struct log_subscriber subscriber;
    unsigned lines;
    bool leaves;
};

static void complain(void *context, enum log_level level, struct span text)
{
    struct complainer *complainer = context;
    (void)level;
    (void)text;
    complainer->lines++;
    agent_log_printf(agent_log, LOG_LEVEL_WARN, "agent.ipc: dropping");
    if (complainer->leaves)
        agent_log_unsubscribe(agent_log, &complainer->subscriber);
}

static void what_a_subscriber_logs_does_not_feed_itself(void **state)
{
    (void)state;
    struct complainer complainer = {.subscriber = {.line = complain, .context = &complainer}};
    agent_log_stream(agent_log);
    agent_log_subscribe(agent_log, &complainer.subscriber);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: hello");
    assert_int_equal(complainer.lines, 1);
    assert_contains(read_output(), "[WARN] agent.ipc: dropping\n");
    agent_log_unsubscribe(agent_log, &complainer.subscriber);
}

static void a_subscriber_may_leave_from_inside(void **state)
{
    (void)state;
    struct complainer first = {.subscriber = {.line = complain, .context = &first}};
    struct complainer second = {.subscriber = {.line = complain, .context = &second},
                                .leaves = true};
    agent_log_subscribe(agent_log, &first.subscriber);
    agent_log_subscribe(agent_log, &second.subscriber);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: one");
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: two");
    assert_int_equal(first.lines, 2);
    assert_int_equal(second.lines, 1);
    agent_log_unsubscribe(agent_log, &first.subscriber);
}

static void a_full_pipe_drops_lines_and_says_once_how_many(void **state)
{
    (void)state;
    agent_log_stream(agent_log);
    fcntl(ends[1], F_SETPIPE_SZ, 16384);
    for (int i = 0; i < 1000; i++)
        agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: line %d", i);
    unsigned written = 0;
    for (const char *p = read_output(); (p = strchr(p, '\n')); p++)
        written++;
    assert_in_range(written, 1, 999);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: after");
    char expected[128];
    snprintf(expected, sizeof(expected),
             "[WARN] agent: %u lines were dropped here: ", 1000 - written);
    const char *text = read_output();
    assert_contains(text, expected);
    assert_contains(text, "agent: after\n");
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: later");
    assert_null(strstr(read_output(), "dropped"));
}

static void a_full_disk_drops_lines_and_says_why_when_there_is_room_again(void **state)
{
    (void)state;
    int pipe_end = dup(ends[1]);
    int full = open("/dev/full", O_WRONLY);
    agent_log_stream(agent_log);
    assert_true(dup2(full, ends[1]) >= 0);
    for (int i = 0; i < 3; i++)
        agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: line %d", i);
    assert_true(dup2(pipe_end, ends[1]) >= 0);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: after");
    close(full);
    close(pipe_end);
    const char *text = read_output();
    assert_contains(text, "[WARN] agent: 3 lines were dropped here: no space left on device\n");
    assert_contains(text, "agent: after\n");
}

static void level_names_are_read_in_any_case(void **state)
{
    (void)state;
    enum log_level level;
    assert_true(log_level_parse(span_text("wArN"), &level));
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_false(log_level_parse(span_text("error"), &level));
    assert_false(log_level_parse(SPAN_EMPTY, &level));
}

static void a_list_of_join_errors_becomes_one_line(void **state)
{
    (void)state;
    const struct {
        const char *error, *line;
    } cases[] = {{"2 errors occurred:\n\t* one\n\t* two\n\n", "one; two"},
                 {"1 error occurred:\n\t* one\n", "one"},
                 {"Leave in progress", "Leave in progress"},
                 {"", ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer line;
        buffer_init(&line, 256);
        join_error_line(&line, span_text(cases[i].error));
        assert_string_equal(buffer_text(&line), cases[i].line);
        buffer_fini(&line);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- JSON --- */

/* The next object of the output, which is a line of its own. */
static json_t *next_object(const char **text)
{
    const char *end = strchr(*text, '\n');
    assert_non_null(end);
    json_t *object =
        json_loadb(*text, (size_t)(end - *text), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (!object)
        fail_msg("no JSON: %s", *text);
    *text = end + 1;
    return object;
}

static void assert_member(const json_t *object, const char *key, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    assert_string_equal(text, wanted);
}

static void a_json_line_has_time_level_component_and_message(void **state)
{
    (void)state;
    agent_log_set_format(agent_log, LOG_FORMAT_JSON);
    agent_log_stream(agent_log);
    agent_log_printf(agent_log, LOG_LEVEL_WARN, "agent.ipc: hello: %d", 7);
    agent_log_printf(agent_log, LOG_LEVEL_ERR, "No component: here");
    const char *text = read_output();
    json_t *line = next_object(&text);
    assert_int_equal(json_object_size(line), 4);
    assert_matches(json_string_value(json_object_get(line, "time")),
                   "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{6}Z$");
    assert_member(line, "level", "WARN");
    assert_member(line, "component", "agent.ipc");
    assert_member(line, "message", "hello: 7");
    json_decref(line);
    line = next_object(&text);
    assert_member(line, "level", "ERR");
    assert_member(line, "component", "agent");
    assert_member(line, "message", "No component: here");
    json_decref(line);
    assert_string_equal(text, "");
}

static void json_fields_are_the_parts_of_an_event(void **state)
{
    (void)state;
    const struct log_field given[] = {{"event", span_text("query")}, {"name", span_text("a\"b")}};
    const struct {
        const char *text, *member, *address;
    } cases[] = {
        {"serf: EventMemberJoin: n 1 10.0.0.1", "n 1", "10.0.0.1"},
        {"serf: EventMemberReap (forced): n1 fd00::1", "n1", "fd00::1"},
        {"serf: EventMemberUpdate: n 1", "n 1", NULL},
        {"serf: EventMemberReap: n 1", "n 1", NULL},
    };
    agent_log_set_format(agent_log, LOG_FORMAT_JSON);
    agent_log_stream(agent_log);
    agent_log_write_fields(agent_log, LOG_LEVEL_INFO, span_text("agent: it"), given, 2);
    const char *text = read_output();
    json_t *line = next_object(&text);
    assert_member(json_object_get(line, "fields"), "event", "query");
    assert_member(json_object_get(line, "fields"), "name", "a\"b");
    json_decref(line);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        agent_log_write(agent_log, LOG_LEVEL_INFO, span_text(cases[i].text));
        text = read_output();
        line = next_object(&text);
        const json_t *fields = json_object_get(line, "fields");
        assert_member(fields, "member", cases[i].member);
        assert_int_equal(json_object_size(fields), cases[i].address ? 2 : 1);
        if (cases[i].address)
            assert_member(fields, "address", cases[i].address);
        json_decref(line);
    }
}

static void notices_are_json_lines_with_a_level_too(void **state)
{
    (void)state;
    const struct log_field field = {"profile", span_text("lan")};
    assert_false(agent_log_json_notice(agent_log, "text", &field, 1));
    agent_log_set_format(agent_log, LOG_FORMAT_JSON);
    agent_log_notice(agent_log, "Starting");
    agent_log_info(agent_log, "%s", "");
    agent_log_alarm(agent_log, LOG_LEVEL_ERR, "two\nlines");
    assert_true(agent_log_json_notice(agent_log, "running", &field, 1));
    const char *text = read_output();
    static const char *const wanted[][2] = {
        {"INFO", "Starting"}, {"ERR", "two\nlines"}, {"INFO", "running"}};
    for (size_t i = 0; i < 3; i++) {
        json_t *line = next_object(&text);
        assert_member(line, "level", wanted[i][0]);
        assert_member(line, "component", "agent");
        assert_member(line, "message", wanted[i][1]);
        if (i == 2)
            assert_member(json_object_get(line, "fields"), "profile", "lan");
        json_decref(line);
    }
    assert_string_equal(text, "");
}

static void any_bytes_make_valid_json_of_bounded_size(void **state)
{
    (void)state;
    char bytes[20000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    agent_log_set_format(agent_log, LOG_FORMAT_JSON);
    agent_log_stream(agent_log);
    agent_log_write(agent_log, LOG_LEVEL_INFO, span_make(bytes, sizeof(bytes)));
    const char *text = read_output();
    json_t *line = next_object(&text);
    json_decref(line);
    assert_string_equal(text, "");
}

static void subscribers_hear_text_whatever_the_format(void **state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader);
    agent_log_set_format(agent_log, LOG_FORMAT_JSON);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: before");
    agent_log_subscribe(agent_log, &reader.subscriber);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: after");
    assert_contains(buffer_text(&reader.text), "[INFO] agent: before\n");
    assert_contains(buffer_text(&reader.text), "[INFO] agent: after\n");
    reader_fini(&reader);
}

static void lost_lines_are_counted_in_json_too(void **state)
{
    (void)state;
    agent_log_set_format(agent_log, LOG_FORMAT_JSON);
    agent_log_stream(agent_log);
    for (int i = 0; i < 5000; i++)
        agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: line %d", i);
    size_t size = strlen(read_output());
    assert_true(size > 0);
    agent_log_printf(agent_log, LOG_LEVEL_INFO, "agent: last");
    const char *text = read_output();
    bool found = false, last = false;
    /* the rest of a line that was begun comes first */
    if (*text != '{')
        text = strchr(text, '\n') + 1;
    while (*text) {
        json_t *line = next_object(&text);
        const char *message = json_string_value(json_object_get(line, "message"));
        found = found || strstr(message, "lines were dropped here: nobody read");
        last = strcmp(message, "last") == 0;
        json_decref(line);
    }
    assert_true(found);
    assert_true(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_json_line_has_time_level_component_and_message),
        TEST(json_fields_are_the_parts_of_an_event),
        TEST(notices_are_json_lines_with_a_level_too),
        TEST(any_bytes_make_valid_json_of_bounded_size),
        TEST(subscribers_hear_text_whatever_the_format),
        TEST(lost_lines_are_counted_in_json_too),
        TEST(a_line_has_local_time_level_and_four_spaces),
        TEST(lines_below_the_threshold_are_not_written),
        TEST(lines_wait_until_the_log_streams_and_notices_do_not),
        TEST(gathered_lines_go_out_in_order_at_a_flush_a_warning_or_a_notice),
        TEST(gathered_lines_that_nobody_takes_are_counted_one_by_one),
        TEST(control_characters_are_escaped),
        TEST(a_long_line_is_cut),
        TEST(a_subscriber_gets_the_ring_and_then_every_level),
        TEST(the_ring_keeps_the_last_lines_in_order),
        TEST(the_ring_has_a_limit_of_bytes),
        TEST(what_a_subscriber_logs_does_not_feed_itself),
        TEST(a_subscriber_may_leave_from_inside),
        TEST(a_full_pipe_drops_lines_and_says_once_how_many),
        TEST(a_full_disk_drops_lines_and_says_why_when_there_is_room_again),
        TEST(level_names_are_read_in_any_case),
        TEST(a_list_of_join_errors_becomes_one_line),
    };
    return cmocka_run_group_tests_name("agent log", tests, NULL, NULL);
}
