/* The parts of the virtual world: the order of events, memory of what is in flight, links, sets of
 * members, bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bounds.h"
#include "event_queue.h"
#include "links.h"
#include "scenario.h"
#include "sim_memory.h"

#include <string.h>

static struct random seeded(uint8_t seed)
{
    struct random random;
    uint8_t bytes[RANDOM_SEED_SIZE] = {seed};
    random_init(&random, bytes);
    return random;
}

static void events_happen_in_order_of_time_then_of_adding(void **state)
{
    (void)state;
    enum { EVENTS = 5000 };
    struct random random = seeded(1);
    struct event_queue queue;
    event_queue_init(&queue);
    for (uint32_t i = 0; i < EVENTS; i++)
        event_queue_push_number(&queue, random_below(&random, 100), 7, i, 0);
    struct event last = {0};
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct event event = event_queue_pop(&queue);
        assert_int_equal(event_kind(&event), 7);
        assert_true(event.time > last.time ||
                    (event.time == last.time && event.order >= last.order));
        last = event;
    }
    assert_true(event_queue_next(&queue) == TIME_NEVER);
    event_queue_fini(&queue);
}

static void a_slab_gives_blocks_that_do_not_overlap_and_takes_them_back(void **state)
{
    (void)state;
    enum { BLOCKS = 600 };
    static uint8_t *blocks[BLOCKS];
    struct random random = seeded(2);
    struct slab slab;
    slab_init(&slab);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        size_t size = 1 + i * 7;
        blocks[i] = slab_take(&slab, size);
        assert_true((uintptr_t)blocks[i] % 16 == 0);
        memset(blocks[i], (int)(i & 0xff), size);
    }
    for (uint32_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < 1 + i * 7; k++)
            assert_int_equal(blocks[i][k], i & 0xff);
    for (uint32_t i = 0; i < BLOCKS; i++)
        slab_give(&slab, blocks[i], 1 + i * 7);
    size_t size = 1 + random_below(&random, 60);
    uint8_t *again = slab_take(&slab, size);
    slab_give(&slab, again, size);
    assert_int_equal(slab.blocks_in_use, 0);
    slab_fini(&slab);
}

static const struct link plain = {.delay_min = 1000, .delay_max = 2000};

static void a_partition_cuts_its_sides_off_from_each_other_only(void **state)
{
    (void)state;
    struct links links;
    links_init(&links, 4, &plain);
    links_set_group(&links, (const uint8_t[]){1, 0, 0, 0}, 1);
    links_set_group(&links, (const uint8_t[]){0, 1, 1, 0}, 2);
    assert_true(links_blocked(&links, 0, 1));
    assert_true(links_blocked(&links, 2, 0));
    assert_false(links_blocked(&links, 1, 2));
    assert_false(links_blocked(&links, 0, 3)); /* on no side: it talks to all */
    assert_false(links_are_healthy(&links));
    links_heal(&links);
    assert_false(links_blocked(&links, 0, 1));
    assert_true(links_are_healthy(&links));
    links_fini(&links);
}

static void a_block_is_one_way(void **state)
{
    (void)state;
    struct links links;
    links_init(&links, 2, &plain);
    assert_true(links_block(&links, (const uint8_t[]){1, 0}, (const uint8_t[]){0, 1}));
    assert_true(links_blocked(&links, 0, 1));
    assert_false(links_blocked(&links, 1, 0));
    links_fini(&links);
}

static void datagrams_are_lost_and_doubled_as_often_as_asked(void **state)
{
    (void)state;
    enum { DATAGRAMS = 100000 };
    struct link link = plain;
    struct random random = seeded(3);
    struct links links;
    uint32_t lost = 0, twice = 0;
    links_init(&links, 2, &plain);
    link.loss = 300000;
    link.duplicate = 50000;
    links_degrade(&links, &link, NULL);
    for (int i = 0; i < DATAGRAMS; i++) {
        uint64_t delays[2];
        uint32_t copies = links_send(&links, &random, 0, 1, delays);
        lost += copies == 0;
        twice += copies == 2;
        for (uint32_t k = 0; k < copies; k++)
            assert_in_range(delays[k], 1000, 2000);
    }
    assert_in_range(lost, 29000, 31000);
    assert_in_range(twice, 3200, 3800);
    links_fini(&links);
}

static void only_the_links_of_the_chosen_members_are_degraded(void **state)
{
    (void)state;
    struct link dead = plain;
    struct random random = seeded(4);
    struct links links;
    uint64_t delays[2];
    dead.loss = CHANCE_CERTAIN;
    links_init(&links, 3, &plain);
    links_degrade(&links, &dead, (const uint8_t[]){0, 0, 1});
    assert_int_equal(links_send(&links, &random, 0, 1, delays), 1);
    assert_int_equal(links_send(&links, &random, 0, 2, delays), 0);
    assert_int_equal(links_send(&links, &random, 2, 0, delays), 0);
    links_fini(&links);
}

static void random_sets_hold_distinct_members_that_run(void **state)
{
    (void)state;
    const uint32_t up[] = {1, 3, 5, 7};
    struct random random = seeded(5);
    struct member_set set = {.items = {{.kind = SET_RANDOM_COUNT, .from = 3}}, .count = 1};
    for (int i = 0; i < 100; i++) {
        uint8_t members[10];
        uint32_t count = 0;
        assert_true(member_set_resolve(&set, 10, up, 4, &random, members));
        for (uint32_t k = 0; k < 10; k++) {
            count += members[k];
            assert_true(!members[k] || k % 2 == 1);
        }
        assert_int_equal(count, 3);
    }
}

static void a_share_in_order_grows_with_the_members(void **state)
{
    (void)state;
    uint8_t members[200];
    struct member_set set = {.items = {{SET_SHARE, 50, 100}}, .count = 1};
    assert_true(member_set_resolve(&set, 200, NULL, 0, NULL, members));
    assert_false(members[99]);
    assert_true(members[100] && members[199]);
}

static void bounds_are_the_sum_of_their_steps(void **state)
{
    (void)state;
    struct serf_config config;
    serf_config_init(&config, swim_config_lan);
    struct bounds bounds = bounds_for(&config, 100, 0);
    /* log2(100) + 4 * log10(101) = 7 + 12 gossip intervals, and the drain of 10 datagrams by
     * three; probes 20 + 8, suspicion 6 * 4 * 2 */
    assert_true(bounds.spread == 23 * config.swim.gossip_interval);
    assert_true(bounds.repair == 3 * config.swim.push_pull_interval + config.swim.tcp_timeout);
    assert_true(bounds.crash == 76 * NANOSECONDS_PER_S + bounds.spread);
    assert_true(bounds.healing == 2 * (bounds.spread + bounds.repair));
    assert_true(bounds.reconnect == 20 * config.reconnect_interval);
    assert_true(bounds_for(&config, 1000, 0).crash > bounds.crash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_happen_in_order_of_time_then_of_adding),
        cmocka_unit_test(a_slab_gives_blocks_that_do_not_overlap_and_takes_them_back),
        cmocka_unit_test(a_partition_cuts_its_sides_off_from_each_other_only),
        cmocka_unit_test(a_block_is_one_way),
        cmocka_unit_test(datagrams_are_lost_and_doubled_as_often_as_asked),
        cmocka_unit_test(only_the_links_of_the_chosen_members_are_degraded),
        cmocka_unit_test(random_sets_hold_distinct_members_that_run),
        cmocka_unit_test(a_share_in_order_grows_with_the_members),
        cmocka_unit_test(bounds_are_the_sum_of_their_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
