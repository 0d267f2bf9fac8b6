/* The page of metrics. */
#include "support.h"

#include "keyring.h"
#include "metric_page.h"

static struct swim_metrics swim;
static struct serf_metrics serf;
static struct node_metrics node;
static struct agent_metrics agent;
static struct serf_stats stats;
static struct keyring *keyring;
static struct buffer out;

static int begin(void **state)
{
    (void)state;
    swim = (struct swim_metrics){0};
    serf = (struct serf_metrics){0};
    agent = (struct agent_metrics){0};
    stats = (struct serf_stats){0};
    buffer_init(&out, METRIC_PAGE_SIZE_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    name_counts_fini(&serf.events_by_name);
    agent_metrics_fini(&agent);
    buffer_fini(&out);
    return 0;
}

static const char *page(void)
{
    struct metric_sources sources = {.swim = &swim,
                                     .serf = &serf,
                                     .node = &node,
                                     .agent = &agent,
                                     .stats = stats,
                                     .keyring = keyring};
    buffer_reset(&out);
    metric_page_write(&sources, &out);
    return buffer_text(&out);
}

static void times_are_in_seconds(void **state)
{
    (void)state;
    measure(&swim.probes, 1500000000);
    measure(&swim.probes, 500000000);
    assert_contains(page(), "# TYPE serf_memberlist_probe_seconds summary\n"
                            "serf_memberlist_probe_seconds_sum 2\n"
                            "serf_memberlist_probe_seconds_count 2\n");
}

static void the_classes_of_a_histogram_add_up(void **state)
{
    (void)state;
    swim_count_round_trip(&swim, 250000);     /* exactly a bound */
    swim_count_round_trip(&swim, 250001);     /* just above it */
    swim_count_round_trip(&swim, 9000000000); /* above all */
    const char *text = page();
    assert_contains(text, "_round_trip_seconds_bucket{le=\"0.00025\"} 1\n");
    assert_contains(text, "_round_trip_seconds_bucket{le=\"0.0005\"} 2\n");
    assert_contains(text, "_round_trip_seconds_bucket{le=\"0.5\"} 2\n");
    assert_contains(text, "_round_trip_seconds_bucket{le=\"+Inf\"} 3\n");
    assert_contains(text, "_round_trip_seconds_count 3\n");
}

static void names_from_peers_stay_within_their_quotes(void **state)
{
    (void)state;
    name_counts_add(&serf.events_by_name, span_text("a\"} 1\n\\b"));
    assert_contains(page(), "serf_events_total{name=\"a\\\"} 1\\n\\\\b\"} 1\n");
}

static void what_is_no_text_in_a_name_is_shown_by_its_number(void **state)
{
    (void)state;
    name_counts_add(&serf.events_by_name, span_text("\xc3\xbc \xff\x01\x7f \xe2\x82"));
    assert_contains(page(), "serf_events_total{name=\"\xc3\xbc \\\\xff\\\\x01\\\\x7f "
                            "\\\\xe2\\\\x82\"} 1\n");
}

static void scripts_are_numbered_and_not_shown(void **state)
{
    (void)state;
    agent_metrics_script_ran(&agent, span_text("curl --token=s3cret"), 1000000000);
    agent_metrics_script_ran(&agent, span_text("true"), 1000000000);
    const char *text = page();
    assert_contains(text, "serf_agent_invoke_seconds_count{handler=\"1\"} 1\n");
    assert_null(strstr(text, "s3cret"));
}

static void members_that_are_neither_failed_nor_gone_are_alive(void **state)
{
    (void)state;
    stats = (struct serf_stats){.members = 7, .failed = 2, .left = 1, .encrypted = true};
    const char *text = page();
    assert_contains(text, "serf_members{status=\"alive\"} 4\n");
    assert_contains(text, "serf_members{status=\"failed\"} 2\n");
    assert_contains(text, "serf_encrypted 1\n");
}

static void keys_are_told_apart_and_not_told(void **state)
{
    (void)state;
    static const uint8_t first[16] = {1}, second[32] = {2};
    char text[KEY_FINGERPRINT_SIZE], line[96];
    keyring = keyring_new();
    keyring_add(keyring, span_make(first, sizeof first));
    keyring_add(keyring, span_make(second, sizeof second));
    snprintf(line, sizeof line, "serf_key_info{key=\"%s\",primary=\"true\"} 1\n",
             key_fingerprint(span_make(first, sizeof first), text));
    assert_contains(page(), line);
    snprintf(line, sizeof line, "serf_key_info{key=\"%s\",primary=\"false\"} 1\n",
             key_fingerprint(span_make(second, sizeof second), text));
    assert_contains(page(), line);
    keyring_free(keyring);
    keyring = NULL;
    assert_null(strstr(page(), "serf_key_info"));
}

static void a_door_that_is_open_to_plaintext_shows(void **state)
{
    (void)state;
    struct metric_sources sources = {.swim = &swim,
                                     .serf = &serf,
                                     .node = &node,
                                     .agent = &agent,
                                     .accepts_plaintext = true,
                                     .sends_unlabelled = true};
    assert_contains(page(), "\nserf_accepts_plaintext 0\n");
    buffer_reset(&out);
    metric_page_write(&sources, &out);
    const char *text = buffer_text(&out);
    assert_contains(text, "\nserf_accepts_plaintext 1\n");
    assert_contains(text, "\nserf_sends_plaintext 0\n");
    assert_contains(text, "\nserf_sends_unlabelled 1\n");
    assert_contains(text, "\nserf_accepts_unlabelled 0\n");
    assert_null(strstr(text, "serf_peer"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(times_are_in_seconds),
        TEST(the_classes_of_a_histogram_add_up),
        TEST(names_from_peers_stay_within_their_quotes),
        TEST(what_is_no_text_in_a_name_is_shown_by_its_number),
        TEST(scripts_are_numbered_and_not_shown),
        TEST(members_that_are_neither_failed_nor_gone_are_alive),
        TEST(keys_are_told_apart_and_not_told),
        TEST(a_door_that_is_open_to_plaintext_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
