/* What the core counts while a cluster lives. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serf_metrics.h"
#include "virtual_network.h"

#include <stdio.h>

static struct network *three(void)
{
    struct network *network = network_new(7);
    network_start(network, 0, "a", NULL);
    network_start(network, 1, "b", NULL);
    network_start(network, 2, "c", NULL);
    host_join(network, &network->hosts[1], "10.0.0.1");
    host_join(network, &network->hosts[2], "10.0.0.1");
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    return network;
}

static const struct serf_metrics *serf_of(struct network *network, uint32_t host)
{
    return serf_metrics(network->hosts[host].serf);
}

static const struct swim_metrics *swim_of(struct network *network, uint32_t host)
{
    return serf_swim_metrics(network->hosts[host].serf);
}

static void changes_of_members_are_counted_one_by_one(void **state)
{
    (void)state;
    struct network *network = three();
    assert_int_equal(serf_of(network, 0)->joined, 3); /* itself, too */
    assert_int_equal(swim_of(network, 0)->alive, 3);
    host_leave(network, &network->hosts[1]);
    network_run(network, SECONDS(10));
    assert_int_equal(serf_of(network, 0)->left, 1);
    network_kill(network, &network->hosts[1]);
    network_kill(network, &network->hosts[2]);
    network_run(network, SECONDS(60));
    assert_int_equal(serf_of(network, 0)->failed, 1);
    assert_int_equal(serf_of(network, 0)->left, 1);
    assert_int_equal(swim_of(network, 0)->suspect, 1);
    assert_int_equal(swim_of(network, 0)->dead, 2);
    network_free(network);
}

static bool c_has_failed(struct network *network)
{
    return host_sees(&network->hosts[0], "c") == STATUS_FAILED;
}

static uint64_t flaps_after(uint64_t wait)
{
    struct network *network = three();
    network_kill(network, &network->hosts[2]);
    assert_true(network_run_until(network, SECONDS(120), c_has_failed));
    network_run(network, wait);
    network_start(network, 2, "c", NULL);
    host_join(network, &network->hosts[2], "10.0.0.1");
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    uint64_t flaps = swim_of(network, 0)->flapped;
    network_free(network);
    return flaps;
}

static void a_return_within_a_minute_is_a_flap(void **state)
{
    (void)state;
    assert_int_equal(flaps_after(SECONDS(5)), 1);
    assert_int_equal(flaps_after(SECONDS(25)), 1);
    assert_int_equal(flaps_after(SECONDS(120)), 0);
}

static void events_and_queries_are_counted_once_and_by_name(void **state)
{
    (void)state;
    struct network *network = three();
    struct buffer error;
    buffer_init(&error, 512);
    for (int i = 0; i < 2; i++)
        assert_true(serf_user_event(network->hosts[0].serf, network->now, span_text("deploy"),
                                    span_text("x"), false, &error));
    struct serf_query_parameters query = {.name = span_text("load"), .acknowledge = true};
    network->hosts[1].answer = "1";
    assert_true(serf_query(network->hosts[0].serf, network->now, &query, &error) > 0);
    host_drain(network, &network->hosts[0]);
    network_run(network, SECONDS(20));
    for (uint32_t i = 0; i < 3; i++) {
        const struct serf_metrics *metrics = serf_of(network, i);
        assert_int_equal(metrics->events, 2);
        assert_int_equal(metrics->queries, 1);
        assert_int_equal(metrics->events_by_name.count, 1);
        assert_int_equal(name_counts_value(&metrics->events_by_name, 0), 2);
        assert_true(span_equal_text(name_counts_name(&metrics->queries_by_name, 0), "load"));
    }
    assert_int_equal(serf_of(network, 0)->query_acks, 3);
    assert_int_equal(serf_of(network, 0)->query_responses, 1);
    assert_true(serf_of(network, 1)->messages_received.count > 0);
    assert_true(serf_of(network, 0)->messages_sent.count > 0);
    buffer_fini(&error);
    network_free(network);
}

static void names_beyond_a_hundred_are_counted_together(void **state)
{
    (void)state;
    struct name_counts counts = {0};
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < NAME_COUNTS_MAX + 50; i++) {
            char name[16];
            snprintf(name, sizeof name, "e%d", i);
            name_counts_add(&counts, span_text(name));
        }
    assert_int_equal(counts.count, NAME_COUNTS_MAX);
    assert_int_equal(name_counts_value(&counts, NAME_COUNTS_MAX - 1), 2);
    assert_int_equal(counts.other, 2 * 50);
    name_counts_fini(&counts);
}

static void bytes_and_packets_are_what_went_over_the_links(void **state)
{
    (void)state;
    struct network *network = three();
    network_run(network, SECONDS(60));
    uint64_t sent = 0, received = 0, sent_bytes = 0, received_bytes = 0, answered = 0;
    for (uint32_t i = 0; i < 3; i++) {
        const struct swim_metrics *metrics = swim_of(network, i);
        sent += metrics->packets_sent;
        received += metrics->packets_received;
        sent_bytes += metrics->packet_bytes_sent;
        received_bytes += metrics->packet_bytes_received;
        uint64_t in_time = 0;
        for (size_t class = 0; class <= ROUND_TRIP_BOUNDS; class ++)
            in_time += metrics->round_trips[class];
        assert_true(metrics->probes.count >= in_time && in_time > 0);
        assert_true(metrics->push_pulls_begun > 0 && metrics->push_pulls.count > 0);
        assert_int_equal(metrics->degraded_probes, 0);
        answered += in_time;
    }
    assert_true(received <= sent && received + 16 >= sent); /* some are under way */
    assert_true(received_bytes <= sent_bytes && received_bytes > 0);
    assert_true(answered > 100);
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_members_are_counted_one_by_one),
        cmocka_unit_test(a_return_within_a_minute_is_a_flap),
        cmocka_unit_test(events_and_queries_are_counted_once_and_by_name),
        cmocka_unit_test(names_beyond_a_hundred_are_counted_together),
        cmocka_unit_test(bytes_and_packets_are_what_went_over_the_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
