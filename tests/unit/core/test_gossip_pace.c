/* When gossip goes out (at once after a silence, and never more often than once an interval), what
 * goes first, and what is not told on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "swim.h"
#include "virtual_network.h"

#include <stdio.h>
#include <string.h>

enum { MEMBERS = 12 };

/* Members that have told each other everything. They do not probe, so every datagram is gossip, as
 * it is: not compressed. */
static struct network *settled(uint64_t seed)
{
    struct network *network = network_new(seed);
    struct serf_config config = network_config();
    config.swim.probe_interval = 0;
    config.swim.compress = false;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, &config);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(70), network_agrees));
    network_run(network, SECONDS(20));
    return network;
}

static void tell(struct network *network, struct host *host, const char *name)
{
    struct buffer error;
    buffer_init(&error, 256);
    assert_true(
        serf_user_event(host->serf, network->now, span_text(name), SPAN_EMPTY, false, &error));
    host_drain(network, host);
    buffer_fini(&error);
}

static uint32_t count_who_know(struct network *network)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < network->host_count; i++)
        count += strstr(buffer_text(&network->hosts[i].events), "user deploy") != NULL;
    return count;
}

/* A quarter of an interval: with a clock of its own on every hop, hardly anybody would know. */
static void news_after_a_silence_is_told_at_once(void **state)
{
    (void)state;
    uint64_t interval = network_config().swim.gossip_interval;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct network *network = settled(seed);
        tell(network, &network->hosts[0], "deploy");
        network_run(network, interval / 4);
        assert_true(count_who_know(network) >= MEMBERS * 3 / 4);
        network_free(network);
    }
}

struct ticks {
    const struct network *network;
    uint64_t last, shortest;
    uint32_t count;
};

static void look_for_ticks(void *context, const struct host *from, const struct effect *effect)
{
    struct ticks *ticks = context;
    (void)effect;
    if (from->number != 0 || ticks->network->now == ticks->last)
        return;
    uint64_t pause = ticks->network->now - ticks->last;
    if (ticks->count > 0 && pause < ticks->shortest)
        ticks->shortest = pause;
    ticks->last = ticks->network->now;
    ticks->count++;
}

static void a_flood_of_news_goes_out_once_an_interval(void **state)
{
    (void)state;
    uint64_t interval = network_config().swim.gossip_interval;
    struct network *network = settled(1);
    struct ticks ticks = {.network = network, .shortest = UINT64_MAX};
    network->look = look_for_ticks;
    network->look_context = &ticks;
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "e%d", i);
        tell(network, &network->hosts[0], name);
        network_run(network, interval / 10);
    }
    assert_in_range(ticks.count, 9, 11);
    assert_true(ticks.shortest >= interval);
    network_free(network);
}

static uint32_t waiting(const struct host *host)
{
    struct serf_stats stats;
    serf_stats(host->serf, &stats);
    return stats.membership_queue;
}

static void deliver(struct network *network, struct host *host, enum message_type type,
                    const struct msgpack_structure *structure, const void *message)
{
    struct buffer packet;
    buffer_init(&packet, 4096);
    message_write(&packet, type, structure, message);
    host_deliver(network, host, buffer_span(&packet));
    buffer_fini(&packet);
}

static void tell_of_a_crowd(struct network *network, struct host *host, uint32_t count)
{
    static const uint8_t versions[VERSIONS_SIZE] = {1, 5, 2, 2, 5, 4};
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        uint8_t address[4] = {10, 1, (uint8_t)(i >> 8), (uint8_t)i};
        snprintf(name, sizeof name, "crowd%u", i);
        struct alive_message alive = {.incarnation = 1,
                                      .node = span_text(name),
                                      .address = span_make(address, 4),
                                      .port = 7946,
                                      .versions = span_make(versions, VERSIONS_SIZE)};
        deliver(network, host, MESSAGE_ALIVE, &alive_structure, &alive);
    }
}

enum { CROWD = 2 * FIRST_STATE_TOLD };

/* Host MEMBERS, which is in no cluster yet. */
static struct host *start_another(struct network *network)
{
    struct serf_config config = network_config();
    config.swim.probe_interval = 0;
    network_start(network, MEMBERS, "another", &config);
    return &network->hosts[MEMBERS];
}

static bool both_know_all(struct network *network)
{
    return host_count(&network->hosts[0], STATUS_ALIVE) == MEMBERS + 1 + CROWD &&
           host_count(&network->hosts[MEMBERS], STATUS_ALIVE) == MEMBERS + 1 + CROWD;
}

static void a_newcomer_does_not_repeat_a_large_cluster_to_it(void **state)
{
    (void)state;
    struct network *network = settled(1);
    tell_of_a_crowd(network, &network->hosts[0], CROWD);
    struct host *newcomer = start_another(network);
    host_join(network, newcomer, "10.0.0.1");
    assert_true(network_run_until(network, SECONDS(1), both_know_all));
    assert_in_range(waiting(newcomer), FIRST_STATE_TOLD, FIRST_STATE_TOLD + 1);
    network_free(network);
}

static void who_has_company_tells_it_all_of_a_state(void **state)
{
    (void)state;
    struct network *network = settled(1);
    tell_of_a_crowd(network, start_another(network), CROWD);
    host_join(network, &network->hosts[0], "10.0.0.13");
    assert_true(network_run_until(network, SECONDS(1), both_know_all));
    assert_in_range(waiting(&network->hosts[0]), CROWD, CROWD + 1);
    network_free(network);
}

static void a_crowd_that_arrives_fills_the_queue_to_its_limit_only(void **state)
{
    (void)state;
    struct network *network = settled(1);
    struct host *host = &network->hosts[0];
    tell_of_a_crowd(network, host, 2 * ARRIVALS_MAX);
    assert_int_equal(host_count(host, STATUS_ALIVE), MEMBERS + 2 * ARRIVALS_MAX);
    assert_in_range(waiting(host), ARRIVALS_MAX, ARRIVALS_MAX + ARRIVALS_SLACK);
    network_free(network);
}

struct first_datagram {
    bool seen;
    uint32_t failures; /* that it tells of */
};

static void look_into_the_first(void *context, const struct host *from, const struct effect *effect)
{
    struct first_datagram *first = context;
    if (from->number != 0 || first->seen)
        return;
    struct span datagram = effect->packet.datagram;
    first->seen = true;
    static const char key[] = "\xa4"
                              "From";
    struct span rest = datagram;
    const uint8_t *found;
    while ((found = memmem(rest.data, rest.size, key, sizeof key - 1))) {
        first->failures++;
        rest = span_from(datagram, (size_t)(found + 1 - datagram.data));
    }
}

/* More than would fit into what arrivals leave of a datagram. */
enum { FAILURES = 8 };

static void failures_are_told_before_the_arrivals_of_a_crowd(void **state)
{
    (void)state;
    struct network *network = settled(1);
    struct host *host = &network->hosts[0];
    struct first_datagram first = {0};
    network_run(network, 1);
    tell_of_a_crowd(network, host, 500);
    for (int i = 2; i < 2 + FAILURES; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        struct suspect_message dead = {
            .incarnation = 100, .node = span_text(name), .from = span_text("n12")};
        deliver(network, host, MESSAGE_DEAD, &suspect_structure, &dead);
    }
    network->look = look_into_the_first;
    network->look_context = &first;
    network_run(network, SECONDS(1));
    assert_true(first.seen);
    assert_int_equal(first.failures, FAILURES);
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(news_after_a_silence_is_told_at_once),
        cmocka_unit_test(a_flood_of_news_goes_out_once_an_interval),
        cmocka_unit_test(a_newcomer_does_not_repeat_a_large_cluster_to_it),
        cmocka_unit_test(who_has_company_tells_it_all_of_a_state),
        cmocka_unit_test(a_crowd_that_arrives_fills_the_queue_to_its_limit_only),
        cmocka_unit_test(failures_are_told_before_the_arrivals_of_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
