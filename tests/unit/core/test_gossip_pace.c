/* When gossip goes out: at once after a silence, and never more often than once an interval. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "virtual_network.h"

#include <stdio.h>
#include <string.h>

enum { MEMBERS = 12 };

/* Members that have told each other everything. They do not probe, so every datagram is gossip. */
static struct network *settled(uint64_t seed)
{
    struct network *network = network_new(seed);
    struct serf_config config = network_config();
    config.swim.probe_interval = 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(news_after_a_silence_is_told_at_once),
        cmocka_unit_test(a_flood_of_news_goes_out_once_an_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
