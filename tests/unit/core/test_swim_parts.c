/* The parts of the membership core on their own: queue, suspicion, table, probe order, versions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "broadcast_queue.h"
#include "member_table.h"
#include "suspicion.h"
#include "swim.h"

#include <stdio.h>
#include <stdlib.h>

/* --- broadcast queue --- */

struct drawn {
    uint32_t members[600];
    size_t count, limit;
};

static uint32_t finished_count;

static void count_finished(void *context, const struct broadcast *item)
{
    (void)context;
    (void)item;
    finished_count++;
}

static bool note(void *context, const struct broadcast *item)
{
    struct drawn *drawn = context;
    if (drawn->count == drawn->limit)
        return false;
    drawn->members[drawn->count++] = item->member;
    return true;
}

static uint32_t add(struct broadcast_queue *queue, uint32_t member, unsigned size)
{
    struct broadcast item = {.member = member, .size = size & 0x7ff, .kind = 1};
    return broadcast_queue_add(queue, &item);
}

static void draw(struct broadcast_queue *queue, size_t limit, uint32_t transmits,
                 struct drawn *drawn)
{
    drawn->count = 0;
    drawn->limit = 600;
    broadcast_queue_draw(queue, 2, limit, transmits, note, drawn);
}

static void what_was_sent_least_goes_first_then_what_is_longest(void **state)
{
    (void)state;
    struct broadcast_queue queue;
    struct drawn drawn;
    broadcast_queue_init(&queue, count_finished, NULL);
    add(&queue, 1, 40);
    draw(&queue, 1000, 9, &drawn); /* 1 has now been sent once */
    add(&queue, 2, 60);
    add(&queue, 3, 100);
    draw(&queue, 1000, 9, &drawn);
    assert_int_equal(drawn.count, 3);
    assert_int_equal(drawn.members[0], 3);
    assert_int_equal(drawn.members[1], 2);
    assert_int_equal(drawn.members[2], 1);
    broadcast_queue_fini(&queue, NULL);
}

static void equal_messages_go_newest_first(void **state)
{
    (void)state;
    struct broadcast_queue queue;
    struct drawn drawn;
    broadcast_queue_init(&queue, count_finished, NULL);
    for (uint32_t i = 1; i <= 3; i++)
        add(&queue, i, 50);
    draw(&queue, 1000, 9, &drawn);
    assert_int_equal(drawn.members[0], 3);
    assert_int_equal(drawn.members[2], 1);
    broadcast_queue_fini(&queue, NULL);
}

static void a_draw_fills_the_rest_with_what_fits(void **state)
{
    (void)state;
    struct broadcast_queue queue;
    struct drawn drawn;
    broadcast_queue_init(&queue, count_finished, NULL);
    add(&queue, 1, 500);
    add(&queue, 2, 400);
    add(&queue, 3, 90);
    draw(&queue, 600, 9, &drawn); /* 502 used: 98 left, 96 of them for a message */
    assert_int_equal(drawn.count, 2);
    assert_int_equal(drawn.members[0], 1);
    assert_int_equal(drawn.members[1], 3);
    draw(&queue, 91, 9, &drawn);
    assert_int_equal(drawn.count, 0);
    draw(&queue, 92, 9, &drawn);
    assert_int_equal(drawn.count, 1);
    broadcast_queue_fini(&queue, NULL);
}

static void a_message_is_finished_after_its_transmissions_and_not_twice_in_one_draw(void **state)
{
    (void)state;
    struct broadcast_queue queue;
    struct drawn drawn;
    broadcast_queue_init(&queue, count_finished, NULL);
    finished_count = 0;
    add(&queue, 1, 50);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(finished_count, 0);
        draw(&queue, 1000, 4, &drawn);
        assert_int_equal(drawn.count, 1);
    }
    assert_int_equal(finished_count, 1);
    assert_int_equal(queue.count, 0);
    draw(&queue, 1000, 4, &drawn);
    assert_int_equal(drawn.count, 0);
    broadcast_queue_fini(&queue, NULL);
}

static void a_writer_that_is_full_loses_nothing(void **state)
{
    (void)state;
    struct broadcast_queue queue;
    struct drawn drawn = {.limit = 1};
    broadcast_queue_init(&queue, count_finished, NULL);
    add(&queue, 1, 50);
    add(&queue, 2, 50);
    broadcast_queue_draw(&queue, 2, 1000, 9, note, &drawn);
    assert_int_equal(drawn.count, 1);
    assert_int_equal(queue.count, 2);
    draw(&queue, 1000, 9, &drawn);
    assert_int_equal(drawn.count, 2);
    broadcast_queue_fini(&queue, NULL);
}

static void pruning_drops_what_was_sent_most_then_shortest_then_oldest(void **state)
{
    (void)state;
    struct broadcast_queue queue;
    struct drawn drawn;
    broadcast_queue_init(&queue, count_finished, NULL);
    add(&queue, 1, 500);
    draw(&queue, 1000, 9, &drawn);
    add(&queue, 2, 40);
    add(&queue, 3, 100);
    add(&queue, 4, 100);
    broadcast_queue_prune(&queue, 3); /* 1 was sent */
    broadcast_queue_prune(&queue, 2); /* 2 is the shortest */
    broadcast_queue_prune(&queue, 1); /* 3 is the older */
    draw(&queue, 1000, 9, &drawn);
    assert_int_equal(drawn.count, 1);
    assert_int_equal(drawn.members[0], 4);
    broadcast_queue_fini(&queue, NULL);
}

static void replacing_one_message_for_ever_does_not_grow_the_queue(void **state)
{
    (void)state;
    struct broadcast_queue queue;
    broadcast_queue_init(&queue, count_finished, NULL);
    uint32_t last = add(&queue, 1, 50);
    for (int i = 0; i < 10000; i++) {
        broadcast_queue_cancel(&queue, last);
        last = add(&queue, 1, 50);
    }
    assert_int_equal(queue.count, 1);
    assert_true(queue.item_capacity < 300);
    broadcast_queue_fini(&queue, NULL);
}

static void every_message_is_sent_equally_often_under_load(void **state)
{
    (void)state;
    struct broadcast_queue queue;
    struct drawn drawn;
    uint32_t times[500] = {0};
    broadcast_queue_init(&queue, count_finished, NULL);
    for (uint32_t i = 0; i < 500; i++)
        add(&queue, i, 40 + i % 90);
    while (queue.count > 0) {
        draw(&queue, 1398, 8, &drawn);
        for (size_t i = 0; i < drawn.count; i++)
            times[drawn.members[i]]++;
    }
    for (uint32_t i = 0; i < 500; i++)
        assert_int_equal(times[i], 8);
    broadcast_queue_fini(&queue, NULL);
}

/* --- suspicion (memberlist specification, tables B.2 and B.3) --- */

static void suspicion_minimum_is_table_b2(void **state)
{
    (void)state;
    static const struct {
        uint32_t members, lan_ms, wan_ms, local_ms;
    } rows[] = {{1, 4000, 30000, 3000},     {10, 4000, 30000, 3000},      {20, 5204, 39030, 3903},
                {50, 6792, 50940, 5094},    {99, 7980, 59850, 5985},      {100, 8000, 60000, 6000},
                {1000, 12000, 90000, 9000}, {10000, 16000, 120000, 12000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t n = rows[i].members;
        assert_int_equal(suspicion_minimum(4, n, NANOSECONDS_PER_S),
                         rows[i].lan_ms * NANOSECONDS_PER_MS);
        assert_int_equal(suspicion_minimum(6, n, 5 * NANOSECONDS_PER_S),
                         rows[i].wan_ms * NANOSECONDS_PER_MS);
        assert_int_equal(suspicion_minimum(3, n, NANOSECONDS_PER_S),
                         rows[i].local_ms * NANOSECONDS_PER_MS);
    }
}

static void suspicion_shrinks_with_independent_confirmations_as_table_b3(void **state)
{
    (void)state;
    const uint64_t ms = NANOSECONDS_PER_MS;
    assert_int_equal(suspicion_timeout(0, 2, 4000 * ms, 24000 * ms), 24000 * ms);
    assert_int_equal(suspicion_timeout(1, 2, 4000 * ms, 24000 * ms), 11381 * ms);
    assert_int_equal(suspicion_timeout(2, 2, 4000 * ms, 24000 * ms), 4000 * ms);
    assert_int_equal(suspicion_timeout(1, 3, 2000 * ms, 30000 * ms), 16000 * ms);
    assert_int_equal(suspicion_timeout(2, 3, 2000 * ms, 30000 * ms), 7810 * ms);
    assert_int_equal(suspicion_timeout(1, 4, 30000 * ms, 180000 * ms), 115398 * ms);
    assert_int_equal(suspicion_timeout(2, 4, 30000 * ms, 180000 * ms), 77609 * ms);
    assert_int_equal(suspicion_timeout(3, 4, 30000 * ms, 180000 * ms), 50797 * ms);
    assert_int_equal(suspicion_timeout(4, 4, 30000 * ms, 180000 * ms), 30000 * ms);
}

static void small_clusters_wait_for_no_confirmations(void **state)
{
    (void)state;
    assert_int_equal(suspicion_wanted(4, 3), 0);
    assert_int_equal(suspicion_wanted(4, 4), 2);
    assert_int_equal(suspicion_wanted(6, 6), 4);
    assert_int_equal(suspicion_timeout(0, 0, 7, 42), 7);
}

static void an_accuser_counts_once(void **state)
{
    (void)state;
    struct siphash_key key = {3, 4};
    struct intern_pool pool;
    intern_init(&pool, &key);
    struct atom *a = intern(&pool, span_text("a")), *b = intern(&pool, span_text("b"));
    struct suspicion *suspicion = calloc(1, sizeof *suspicion);
    suspicion->wanted = 2;
    suspicion->accusers[0] = intern_retain(a);
    assert_false(suspicion_confirm(suspicion, a));
    assert_true(suspicion_confirm(suspicion, b));
    assert_false(suspicion_confirm(suspicion, b));
    assert_int_equal(suspicion->confirmations, 1);
    suspicion_free(suspicion, &pool);
    intern_release(&pool, a);
    intern_release(&pool, b);
    intern_fini(&pool);
}

/* --- member table --- */

static const uint8_t versions[VERSIONS_SIZE] = {1, 5, 2, 2, 5, 5};

static uint32_t add_member(struct member_table *table, uint32_t number)
{
    char name[16];
    uint8_t address[4] = {10, 0, (uint8_t)(number >> 8), (uint8_t)number};
    snprintf(name, sizeof name, "m%u", number);
    struct atom *identity = identity_intern(table->pool, span_text(name), span_make(address, 4),
                                            7946, SPAN_EMPTY, versions);
    uint32_t member = member_table_add(table, identity);
    if (member == MEMBER_NONE)
        intern_release(table->pool, identity);
    else
        member_set_state(table, member, NODE_ALIVE);
    return member;
}

static bool accept_even(const void *context, uint32_t member)
{
    (void)context;
    return member % 2 == 0;
}

static void with_table(uint32_t members, void (*test)(struct member_table *table))
{
    struct siphash_key key = {5, 6};
    struct intern_pool pool;
    struct member_table table;
    intern_init(&pool, &key);
    member_table_init(&table, &pool, 5000);
    for (uint32_t i = 0; i < members; i++)
        assert_int_equal(add_member(&table, i), i);
    test(&table);
    member_table_fini(&table);
    intern_fini(&pool);
}

static void check_limit(struct member_table *table)
{
    assert_int_equal(add_member(table, 5000), MEMBER_NONE);
    assert_int_equal(table->record_count, 5000);
}

static void a_table_holds_no_more_than_its_limit(void **state)
{
    (void)state;
    with_table(5000, check_limit);
}

static void check_round(struct member_table *table)
{
    struct random random;
    uint8_t seed[RANDOM_SEED_SIZE] = {9};
    random_init(&random, seed);
    uint32_t previous_first = MEMBER_NONE, same = 0;
    for (int round = 0; round < 20; round++) {
        uint8_t seen[1000] = {0};
        struct probe_order order;
        probe_order_begin(&order, &random, table->slot_count);
        uint32_t first = probe_order_next(&order, table->slot_count), member = first;
        for (; member != MEMBER_NONE; member = probe_order_next(&order, table->slot_count))
            seen[member]++;
        for (uint32_t i = 0; i < table->slot_count; i++)
            assert_int_equal(seen[i], 1);
        same += first == previous_first;
        previous_first = first;
    }
    assert_true(same < 3 || table->slot_count == 1);
}

static void a_probe_round_visits_everybody_once_in_an_order_of_its_own(void **state)
{
    (void)state;
    with_table(1, check_round);
    with_table(100, check_round);
    with_table(1000, check_round);
}

static void check_pick(struct member_table *table)
{
    struct random random;
    uint8_t seed[RANDOM_SEED_SIZE] = {7};
    random_init(&random, seed);
    uint32_t times[300] = {0};
    for (int i = 0; i < 3000; i++) {
        uint32_t picked[3];
        uint32_t count = member_table_pick(table, &random, 3, picked, accept_even, NULL);
        assert_int_equal(count, 3);
        assert_true(picked[0] != picked[1] && picked[1] != picked[2] && picked[0] != picked[2]);
        for (uint32_t k = 0; k < count; k++) {
            assert_int_equal(picked[k] % 2, 0);
            times[picked[k]]++;
        }
    }
    /* 9000 picks, all equally likely: within a factor of two of the mean */
    uint32_t mean = 9000 / ((table->slot_count + 1) / 2);
    for (uint32_t i = 0; i < table->slot_count; i += 2)
        assert_in_range(times[i], mean / 2, mean * 2);
}

static bool accept_two(const void *context, uint32_t member)
{
    (void)context;
    return member == 3 || member == 1777;
}

static void check_sparse_pick(struct member_table *table)
{
    struct random random;
    uint8_t seed[RANDOM_SEED_SIZE] = {8};
    random_init(&random, seed);
    uint32_t first = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t picked[3];
        assert_int_equal(member_table_pick(table, &random, 3, picked, accept_two, NULL), 2);
        assert_int_equal(member_table_pick(table, &random, 1, picked, accept_two, NULL), 1);
        first += picked[0] == 3;
    }
    assert_in_range(first, 400, 600);
}

static void the_few_who_are_left_are_found_among_the_slots_of_the_gone(void **state)
{
    (void)state;
    with_table(2000, check_sparse_pick);
}

static void picks_are_distinct_eligible_and_even(void **state)
{
    (void)state;
    with_table(9, check_pick);
    with_table(200, check_pick);
}

static void check_slots(struct member_table *table)
{
    uint32_t member = member_table_find(table, span_text("m7"));
    assert_int_equal(member, 7);
    member_set_status(table, member, STATUS_FAILED);
    member_leave_swim(table, member);
    member_free_if_unknown(table, member); /* Serf remembers it */
    assert_int_equal(member_table_find(table, span_text("m7")), 7);
    assert_int_equal(table->swim_count, 19);
    member_leave_serf(table, member);
    member_free_if_unknown(table, member);
    assert_int_equal(member_table_find(table, span_text("m7")), MEMBER_NONE);
    assert_int_equal(add_member(table, 99), 7); /* the slot is used again */
}

static void a_record_lives_as_long_as_one_layer_knows_it(void **state)
{
    (void)state;
    with_table(20, check_slots);
}

static void an_identity_tells_the_same_as_the_table_of_the_message(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 512};
    static const uint32_t numbers[] = {0, 1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX};
    static const uint8_t six[VERSIONS_SIZE] = {1, 5, 2, 2, 5, 4};
    static const uint8_t text[512] = "0123456789abcdefghijklmnopqrstuvwxyz";
    struct siphash_key key = {1, 2};
    struct intern_pool pool;
    struct buffer by_table, by_identity;
    intern_init(&pool, &key);
    buffer_init(&by_table, 4096);
    buffer_init(&by_identity, 4096);
    for (size_t m = 0; m < 7; m++)
        for (size_t n = 1; n < 5; n++)
            for (size_t i = 0; i < 9; i++) {
                struct alive_message alive = {
                    .incarnation = numbers[i],
                    .node = span_make(text, sizes[n]),
                    .address = span_make(text, i % 2 ? 4 : 16),
                    .port = (uint16_t)numbers[8 - i],
                    .meta = span_make(text, sizes[m]),
                    .versions = span_make(six, VERSIONS_SIZE),
                };
                struct atom *atom =
                    identity_intern(&pool, alive.node, alive.address, alive.port, alive.meta, six);
                assert_non_null(atom);
                const struct identity *identity = identity_of(atom);
                buffer_reset(&by_table);
                buffer_reset(&by_identity);
                message_write(&by_table, MESSAGE_ALIVE, &alive_structure, &alive);
                identity_write_alive(identity, alive.incarnation, &by_identity);
                assert_true(span_equal(buffer_span(&by_table), buffer_span(&by_identity)));
                assert_true(span_equal(identity_name(identity), alive.node));
                assert_true(span_equal(identity_meta(identity), alive.meta));
                assert_true(span_equal(identity_address(identity), alive.address));
                intern_release(&pool, atom);
            }
    buffer_fini(&by_table);
    buffer_fini(&by_identity);
    intern_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_tells_the_same_as_the_table_of_the_message),
        cmocka_unit_test(what_was_sent_least_goes_first_then_what_is_longest),
        cmocka_unit_test(equal_messages_go_newest_first),
        cmocka_unit_test(a_draw_fills_the_rest_with_what_fits),
        cmocka_unit_test(a_message_is_finished_after_its_transmissions_and_not_twice_in_one_draw),
        cmocka_unit_test(a_writer_that_is_full_loses_nothing),
        cmocka_unit_test(pruning_drops_what_was_sent_most_then_shortest_then_oldest),
        cmocka_unit_test(replacing_one_message_for_ever_does_not_grow_the_queue),
        cmocka_unit_test(every_message_is_sent_equally_often_under_load),
        cmocka_unit_test(suspicion_minimum_is_table_b2),
        cmocka_unit_test(suspicion_shrinks_with_independent_confirmations_as_table_b3),
        cmocka_unit_test(small_clusters_wait_for_no_confirmations),
        cmocka_unit_test(an_accuser_counts_once),
        cmocka_unit_test(a_table_holds_no_more_than_its_limit),
        cmocka_unit_test(a_probe_round_visits_everybody_once_in_an_order_of_its_own),
        cmocka_unit_test(the_few_who_are_left_are_found_among_the_slots_of_the_gone),
        cmocka_unit_test(picks_are_distinct_eligible_and_even),
        cmocka_unit_test(a_record_lives_as_long_as_one_layer_knows_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
