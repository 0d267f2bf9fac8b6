/* The numbers, and the lines that statsd and statsite get of them. */
#include "support.h"

#include "metric_lines.h"

#define S UINT64_C(1000000000)

static struct swim_metrics swim;
static struct serf_metrics serf;
static struct node_metrics node;
static struct agent_metrics agent;
static struct serf_stats stats;
static struct metric_lines lines;
static struct buffer out;

static int begin(void **state)
{
    (void)state;
    swim = (struct swim_metrics){0};
    serf = (struct serf_metrics){0};
    node = (struct node_metrics){0};
    agent = (struct agent_metrics){0};
    stats = (struct serf_stats){0};
    metric_lines_init(&lines, "box");
    buffer_init(&out, METRIC_LINES_SIZE_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    name_counts_fini(&serf.events_by_name);
    name_counts_fini(&serf.queries_by_name);
    agent_metrics_fini(&agent);
    buffer_fini(&out);
    return 0;
}

static const char *write_at(uint64_t now)
{
    struct metric_sources sources = {
        .swim = &swim, .serf = &serf, .node = &node, .agent = &agent, .stats = stats};
    buffer_reset(&out);
    metric_lines_write(&lines, &sources, now, &out);
    return buffer_text(&out);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

static void counters_are_told_as_the_difference_since_the_last_time(void **state)
{
    (void)state;
    swim.alive = 3;
    assert_contains(write_at(S), "serf-agent.memberlist.msg.alive:3.000000|c\n");
    assert_int_equal(count_of(write_at(S), "msg.alive"), 0);
    swim.alive = 5;
    assert_contains(write_at(S), "serf-agent.memberlist.msg.alive:2.000000|c\n");
}

static void measurements_are_told_one_by_one_in_milliseconds(void **state)
{
    (void)state;
    measure(&swim.probes, 1500000);
    measure(&swim.probes, 2000000);
    measure(&serf.messages_sent, 17);
    const char *text = write_at(S);
    assert_contains(text, "serf-agent.memberlist.probeNode:1.500000|ms\n"
                          "serf-agent.memberlist.probeNode:2.000000|ms\n");
    assert_contains(text, "serf-agent.serf.msgs.sent:17.000000|ms\n");
    assert_int_equal(count_of(write_at(S), "probeNode"), 0);
}

static void more_measurements_than_are_kept_are_told_with_their_share(void **state)
{
    (void)state;
    for (int i = 0; i < 4 * MEASUREMENTS_KEPT; i++)
        measure(&serf.messages_received, (uint64_t)i);
    const char *text = write_at(S);
    assert_int_equal(count_of(text, "serf.msgs.received:"), MEASUREMENTS_KEPT);
    assert_int_equal(count_of(text, "|ms|@0.250000\n"), MEASUREMENTS_KEPT);
    assert_contains(text, ":127.000000|ms|@");
    assert_int_equal(count_of(text, ":95.000000|ms"), 0);
}

static void only_gauges_carry_the_host_name(void **state)
{
    (void)state;
    swim.dead = 1;
    const char *text = write_at(S);
    assert_contains(text, "serf-agent.box.memberlist.health.score:0.000000|g\n");
    assert_contains(text, "serf-agent.memberlist.msg.dead:");
    assert_int_equal(count_of(text, "box.memberlist.msg"), 0);
}

static void gauges_are_told_when_they_change_and_every_ten_seconds(void **state)
{
    (void)state;
    write_at(S);
    stats.health_score = 2;
    assert_int_equal(count_of(write_at(S + S / 2), "health.score"), 0);
    assert_contains(write_at(2 * S), "health.score:2.000000|g\n");
    assert_int_equal(count_of(write_at(4 * S), "health.score"), 0);
    assert_contains(write_at(12 * S), "health.score:2.000000|g\n");
}

static void names_from_peers_cannot_break_a_line(void **state)
{
    (void)state;
    name_counts_add(&serf.events_by_name, span_text("a b:c|d\ne@f#g"));
    assert_contains(write_at(S), "serf-agent.serf.events.a_b_c_d_e_f_g:1.000000|c\n");
}

static void beyond_a_hundred_names_all_others_count_together(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < NAME_COUNTS_MAX + 7; i++) {
        snprintf(name, sizeof name, "n%d", i);
        name_counts_add(&serf.events_by_name, span_text(name));
    }
    name_counts_add(&serf.events_by_name, span_text("n3"));
    const char *text = write_at(S);
    assert_contains(text, "serf.events.n3:2.000000|c\n");
    assert_contains(text, "serf.events.n99:1.000000|c\n");
    assert_contains(text, "serf.events.other:7.000000|c\n");
    assert_int_equal(count_of(text, "serf.events.n100"), 0);
}

static void a_long_name_counts_as_other(void **state)
{
    (void)state;
    char name[COUNTED_NAME_SIZE_MAX + 1];
    memset(name, 'x', sizeof name);
    name_counts_add(&serf.queries_by_name, span_make(name, sizeof name));
    name_counts_add(&serf.queries_by_name, span_make(name, sizeof name - 1));
    assert_int_equal(serf.queries_by_name.other, 1);
    assert_int_equal(serf.queries_by_name.count, 1);
}

static void scripts_have_a_time_for_each_run(void **state)
{
    (void)state;
    agent_metrics_script_ran(&agent, span_text("echo hi; true"), 5000000);
    assert_contains(write_at(S), "serf-agent.agent.invoke.echo_hi;_true:5.000000|ms\n");
}

static void packets_end_between_two_lines(void **state)
{
    (void)state;
    struct span text = span_text("aaa\nbbb\nccc\n");
    assert_int_equal(metric_lines_packet(text, 8).size, 8);
    assert_int_equal(metric_lines_packet(text, 11).size, 8);
    assert_int_equal(metric_lines_packet(text, 12).size, 12);
    assert_int_equal(metric_lines_packet(text, 2).size, 4); /* a line is never cut */
    assert_int_equal(metric_lines_packet(span_text("half"), 12).size, 0);
}

static void note_page_name(void *context, const struct metric *metric)
{
    const char **last = context;
    assert_true(metric->slot < METRIC_SLOTS);
    if (metric->page_name && *last && strcmp(metric->page_name, *last) == 0)
        assert_non_null(metric->page_label ? metric->page_label : metric->member_key);
    else if (metric->page_name)
        assert_non_null(metric->help);
    *last = metric->page_name ? metric->page_name : *last;
}

static void what_is_on_a_page_says_what_it_is(void **state)
{
    (void)state;
    const char *last = NULL;
    struct metric_sources sources = {
        .swim = &swim, .serf = &serf, .node = &node, .agent = &agent, .stats = stats};
    name_counts_add(&serf.events_by_name, span_text("deploy"));
    metrics_visit(&sources, note_page_name, &last);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(counters_are_told_as_the_difference_since_the_last_time),
        TEST(measurements_are_told_one_by_one_in_milliseconds),
        TEST(more_measurements_than_are_kept_are_told_with_their_share),
        TEST(only_gauges_carry_the_host_name),
        TEST(gauges_are_told_when_they_change_and_every_ten_seconds),
        TEST(names_from_peers_cannot_break_a_line),
        TEST(beyond_a_hundred_names_all_others_count_together),
        TEST(a_long_name_counts_as_other),
        TEST(scripts_have_a_time_for_each_run),
        TEST(packets_end_between_two_lines),
        TEST(what_is_on_a_page_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
