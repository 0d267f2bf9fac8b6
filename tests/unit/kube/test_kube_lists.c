#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kube_lists.h"

static struct kube_addresses addresses;
static struct buffer more, error;

static int set_up(void **state)
{
    (void)state;
    addresses = (struct kube_addresses){0};
    buffer_init(&more, KUBE_CONTINUE_SIZE_MAX);
    buffer_init(&error, 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kube_addresses_fini(&addresses);
    buffer_fini(&more);
    buffer_fini(&error);
    return 0;
}

static void read_pods(const char *page, bool host_network)
{
    kube_addresses_fini(&addresses);
    assert_true(kube_read_pods(span_text(page), host_network, &addresses, &more, &error));
}

static void assert_address(size_t place, const char *expected)
{
    char text[ENDPOINT_TEXT_SIZE];
    assert_true(place < addresses.count);
    assert_string_equal(endpoint_text(&addresses.endpoints[place], text), expected);
}

static void pods_count_ready_or_not(void **state)
{
    (void)state;
    read_pods("{\"items\": ["
              "{\"status\": {\"phase\": \"Running\", \"podIP\": \"10.0.0.1\"}},"
              "{\"status\": {\"phase\": \"Pending\", \"podIP\": \"10.0.0.2\", \"conditions\":"
              " [{\"type\": \"Ready\", \"status\": \"False\"}]}},"
              "{\"status\": {\"phase\": \"Unknown\", \"podIP\": \"10.0.0.3\"}}]}",
              false);
    assert_int_equal(addresses.count, 3);
    assert_address(0, "10.0.0.1:0");
    assert_address(1, "10.0.0.2:0");
    assert_int_equal(more.size, 0);
}

static void pods_that_ended_end_or_have_no_address_do_not(void **state)
{
    (void)state;
    read_pods("{\"items\": ["
              "{\"status\": {\"phase\": \"Succeeded\", \"podIP\": \"10.0.0.1\"}},"
              "{\"status\": {\"phase\": \"Failed\", \"podIP\": \"10.0.0.2\"}},"
              "{\"status\": {\"phase\": \"Pending\"}}, {}, 7, null,"
              "{\"status\": {\"phase\": \"Running\", \"podIP\": \"\"}},"
              "{\"status\": {\"phase\": \"Running\", \"podIP\": \"serf.example\"}},"
              "{\"metadata\": {\"deletionTimestamp\": \"2026-01-01T00:00:00Z\"},"
              " \"status\": {\"phase\": \"Running\", \"podIP\": \"10.0.0.3\"}}]}",
              false);
    assert_int_equal(addresses.count, 0);
}

static void a_pod_has_addresses_of_both_families_and_each_counts_once(void **state)
{
    (void)state;
    read_pods("{\"items\": [{\"status\": {\"podIP\": \"10.0.0.1\", \"podIPs\":"
              " [{\"ip\": \"10.0.0.1\"}, {\"ip\": \"fd00::1\"}, {\"ip\": 5}, {}]}},"
              "{\"status\": {\"podIP\": \"10.0.0.1\"}}]}",
              false);
    assert_int_equal(addresses.count, 2);
    assert_address(1, "[fd00::1]:0");
}

static void on_the_host_s_network_the_node_s_address_counts(void **state)
{
    (void)state;
    read_pods("{\"items\": [{\"status\": {\"podIP\": \"10.0.0.1\", \"hostIP\": \"192.168.0.1\","
              " \"hostIPs\": [{\"ip\": \"192.168.0.1\"}, {\"ip\": \"fd01::1\"}]}}]}",
              true);
    assert_int_equal(addresses.count, 2);
    assert_address(0, "192.168.0.1:0");
    assert_address(1, "[fd01::1]:0");
}

static void read_port(const char *annotation, bool host_network)
{
    char page[1024];
    snprintf(
        page, sizeof page,
        "{\"items\": [{\"metadata\": {\"annotations\":"
        " {\"consul.hashicorp.com/auto-join-port\": %s}},"
        " \"spec\": {\"containers\": [{\"ports\": [{\"name\": \"http\", \"containerPort\": 80}]},"
        " {\"ports\": [{\"name\": \"gossip\", \"containerPort\": 7000, \"hostPort\": 7001}]}]},"
        " \"status\": {\"podIP\": \"10.0.0.1\", \"hostIP\": \"192.168.0.1\"}}]}",
        annotation);
    read_pods(page, host_network);
}

static void an_annotation_names_the_port(void **state)
{
    (void)state;
    read_port("\"gossip\"", false);
    assert_address(0, "10.0.0.1:7000");
    read_port("\"gossip\"", true);
    assert_address(0, "192.168.0.1:7001");
    read_port("\"17946\"", false);
    assert_address(0, "10.0.0.1:17946");
    /* What names no port changes nothing. */
    const char *wrong[] = {"\"\"", "\"nobody\"", "\"70000\"", "\"0\"", "\"123456\"", "7", "null"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        read_port(wrong[i], false);
        assert_address(0, "10.0.0.1:0");
    }
    read_port("\"http\"", true);
    assert_address(0, "192.168.0.1:0");
}

static void a_page_says_where_the_next_begins(void **state)
{
    (void)state;
    read_pods("{\"metadata\": {\"continue\": \"mark\"}, \"items\": []}", false);
    assert_string_equal(buffer_text(&more), "mark");
    static char page[KUBE_CONTINUE_SIZE_MAX + 100];
    int size = snprintf(page, sizeof page, "{\"items\": [], \"metadata\": {\"continue\": \"");
    memset(page + size, 'x', KUBE_CONTINUE_SIZE_MAX + 1);
    memcpy(page + size + KUBE_CONTINUE_SIZE_MAX + 1, "\"}}", 4);
    buffer_reset(&more);
    assert_false(kube_read_pods(span_text(page), false, &addresses, &more, &error));
    assert_string_equal(buffer_text(&error), "the mark of the next page is too long");
}

static void assert_no_list(const char *page, const char *reason)
{
    buffer_reset(&error);
    assert_false(kube_read_pods(span_text(page), false, &addresses, &more, &error));
    assert_non_null(strstr(buffer_text(&error), reason));
    buffer_reset(&error);
    assert_false(kube_read_slices(span_text(page), &addresses, &more, &error));
    assert_non_null(strstr(buffer_text(&error), reason));
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    assert_no_list("", "no JSON");
    assert_no_list("<html>", "no JSON");
    assert_no_list("{\"items\": [", "no JSON");
    assert_no_list("[]", "no list");
    assert_no_list("{\"kind\": \"Pod\"}", "no list");
    assert_no_list("{\"items\": {}}", "no list");
    assert_int_equal(addresses.count, 0);
}

static void more_addresses_than_the_limit_are_left_out(void **state)
{
    struct buffer page;
    (void)state;
    buffer_init(&page, 1024 * 1024);
    for (unsigned count = KUBE_ADDRESSES_MAX; count < KUBE_ADDRESSES_MAX + 10; count += 9) {
        buffer_reset(&page);
        kube_addresses_fini(&addresses);
        buffer_append_text(&page, "{\"items\": [{\"status\": {\"podIP\": \"10.1.0.0\"}}");
        for (unsigned i = 0; i < count; i++)
            buffer_printf(&page, ",{\"status\": {\"podIP\": \"10.1.%u.%u\"}}", i / 250, i % 250);
        buffer_append_text(&page, ",{\"status\": {\"podIP\": \"10.1.0.0\"}}]}");
        assert_true(kube_read_pods(buffer_span(&page), false, &addresses, &more, &error));
        assert_int_equal(addresses.count, KUBE_ADDRESSES_MAX);
        assert_int_equal(addresses.left_out, count > KUBE_ADDRESSES_MAX);
    }
    assert_address(0, "10.1.0.0:0"); /* the first ones stay */
    assert_address(KUBE_ADDRESSES_MAX - 1, "10.1.4.23:0");
    buffer_fini(&page);
}

static void slices_name_endpoints_ready_or_not(void **state)
{
    (void)state;
    assert_true(kube_read_slices(
        span_text("{\"metadata\": {\"continue\": \"\"}, \"items\": ["
                  "{\"addressType\": \"IPv4\", \"endpoints\": ["
                  " {\"addresses\": [\"10.0.0.1\"], \"conditions\": {\"ready\": false}},"
                  " {\"addresses\": [\"10.0.0.2\", \"10.0.0.3\"]},"
                  " {\"addresses\": [\"10.0.0.4\"], \"conditions\": {\"terminating\": true}},"
                  " {\"addresses\": null}, 5]},"
                  "{\"addressType\": \"IPv6\", \"endpoints\": [{\"addresses\": [\"fd00::1\"],"
                  " \"conditions\": {\"terminating\": false}}]},"
                  "{\"addressType\": \"FQDN\", \"endpoints\": [{\"addresses\": [\"a.test\"]}]},"
                  "{\"endpoints\": null}, {}]}"),
        &addresses, &more, &error));
    assert_int_equal(addresses.count, 4);
    assert_address(0, "10.0.0.1:0");
    assert_address(2, "10.0.0.3:0");
    assert_address(3, "[fd00::1]:0");
    assert_int_equal(more.size, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pods_count_ready_or_not),
        TEST(pods_that_ended_end_or_have_no_address_do_not),
        TEST(a_pod_has_addresses_of_both_families_and_each_counts_once),
        TEST(on_the_host_s_network_the_node_s_address_counts),
        TEST(an_annotation_names_the_port),
        TEST(a_page_says_where_the_next_begins),
        TEST(what_is_no_list_is_refused),
        TEST(more_addresses_than_the_limit_are_left_out),
        TEST(slices_name_endpoints_ready_or_not),
    };
    return cmocka_run_group_tests_name("kube_lists", tests, NULL, NULL);
}
