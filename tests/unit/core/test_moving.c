/* Members that come back at another address without having left. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "packet.h"
#include "serf_message.h"
#include "virtual_network.h"

#include <stdio.h>

enum { SIZE = 6 };

static struct network *cluster(uint64_t seed)
{
    struct network *network = network_new(seed);
    for (uint32_t i = 0; i < SIZE; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, NULL);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    return network;
}

/* The last byte of the address at which the host has this member. */
static unsigned place(const struct host *host, const char *name)
{
    struct member_view view;
    assert_true(serf_find_member(host->serf, span_text(name), &view));
    return view.endpoint.address[3];
}

static bool all_have_n3_at_its_new_place(struct network *network)
{
    for (uint32_t i = 0; i < SIZE; i++)
        if (place(&network->hosts[i], "n3") != 99)
            return false;
    return network_agrees(network);
}

static void come_back_elsewhere(struct network *network)
{
    network_move(network, &network->hosts[2], "10.0.0.99");
    network_start(network, 2, "n3", NULL);
    host_join(network, &network->hosts[2], "10.0.0.1");
}

static void who_vanished_is_alive_at_its_new_address_in_seconds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct network *network = cluster(seed);
        network_kill(network, &network->hosts[2]);
        network_run(network, seed * SECONDS(3)); /* held alive, suspect, dead, or forgotten */
        come_back_elsewhere(network);
        assert_true(network_run_until(network, SECONDS(5), all_have_n3_at_its_new_place));
        network_run(network, SECONDS(60));
        assert_true(all_have_n3_at_its_new_place(network));
        network_free(network);
    }
}

struct parting { /* what the one who comes back says of its former life */
    struct network *network;
    struct wire_codec codec;
    uint64_t intents, goodbyes;
    uint64_t last_intent, first_goodbye, last_goodbye;
    uint64_t first_welcome; /* the first join intent after a leave intent */
    bool above; /* whoever sees it now has a higher incarnation than the life that is gone */
};

static bool has_risen_above(const struct host *host, struct span goodbye)
{
    struct suspect_message left;
    struct serf_stats stats;
    assert_true(message_read(span_from(goodbye, 1), &suspect_structure, &left));
    serf_stats(host->serf, &stats);
    return stats.incarnation > left.incarnation;
}

static void look_for_parting(void *context, const struct host *from, const struct effect *effect)
{
    struct parting *seen = context;
    struct packet_reader reader;
    struct packet_problem problem = packet_open(&reader, &seen->codec, effect->packet.datagram);
    struct span message;
    assert_int_equal(problem.error, PACKET_OK);
    while (from->number == 2 && packet_next(&reader, &message, &problem)) {
        if (message.data[0] == MESSAGE_USER && message.data[1] == SERF_LEAVE) {
            seen->last_intent = seen->network->now;
            seen->intents++;
        } else if (message.data[0] == MESSAGE_USER && message.data[1] == SERF_JOIN) {
            if (seen->intents > 0 && seen->first_welcome == 0)
                seen->first_welcome = seen->network->now;
        } else if (message.data[0] == MESSAGE_DEAD) {
            if (seen->goodbyes++ == 0)
                seen->first_goodbye = seen->network->now;
            seen->last_goodbye = seen->network->now;
            seen->above = seen->above && has_risen_above(from, message);
        }
    }
}

static void watch_for_parting(struct parting *seen, struct network *network)
{
    *seen = (struct parting){.network = network, .above = true};
    wire_codec_init(&seen->codec, &network->random);
    network->look = look_for_parting;
    network->look_context = seen;
}

static void end_watch(struct parting *seen)
{
    seen->network->look = NULL;
    wire_codec_fini(&seen->codec);
    network_free(seen->network);
}

/* For the reference a member has failed that goes without an intent, or whose intent it handles
 * after the goodbye, which it does with what comes in one datagram. */
static void a_former_life_says_that_it_will_leave_before_it_has_left(void **state)
{
    (void)state;
    struct network *network = cluster(4);
    struct parting seen;
    watch_for_parting(&seen, network);
    network_kill(network, &network->hosts[2]);
    come_back_elsewhere(network);
    assert_true(network_run_until(network, SECONDS(6), all_have_n3_at_its_new_place));
    network_run(network, SECONDS(30));
    assert_true(seen.intents >= SIZE - 1 && seen.goodbyes >= SIZE - 1);
    assert_true(seen.first_goodbye >= seen.last_intent + SECONDS(1) / 5);
    assert_false(host_logged(&network->hosts[2], "Refuting an older leave intent"));
    for (uint32_t i = 0; i < SIZE; i++)
        assert_int_equal(host_sees(&network->hosts[i], "n3"), STATUS_ALIVE);
    end_watch(&seen);
}

static bool a_goodbye_was_said(struct network *network)
{
    const struct parting *seen = network->look_context;
    return seen->goodbyes > 0;
}

/* While it moves it may join others, and hears its own departure from who has taken that in. Who
 * has not would take its welcome for the end of a leave, and the departure for a failure. */
static void nothing_that_comes_in_during_a_move_makes_it_say_that_it_is_back(void **state)
{
    (void)state;
    struct network *network = cluster(5);
    struct host *reborn = &network->hosts[2];
    struct parting seen;
    watch_for_parting(&seen, network);
    network_kill(network, reborn);
    come_back_elsewhere(network);
    assert_true(network_run_until(network, SECONDS(6), a_goodbye_was_said));
    host_join(network, reborn, "10.0.0.4");
    struct buffer message;
    buffer_init(&message, 256);
    struct leave_intent again = {.ltime = 1000, .node = span_text("n3")};
    buffer_append_u8(&message, MESSAGE_USER);
    serf_message_write(&message, SERF_LEAVE, &leave_intent_structure, &again);
    host_deliver(network, reborn, buffer_span(&message));
    assert_false(host_logged(reborn, "Refuting an older leave intent"));
    assert_true(network_run_until(network, SECONDS(6), all_have_n3_at_its_new_place));
    network_run(network, SECONDS(10));
    assert_true(seen.first_welcome > seen.last_goodbye);
    host_deliver(network, &network->hosts[0], buffer_span(&message));
    for (uint32_t i = 0; i < SIZE; i++) /* what was said after it counts */
        assert_int_equal(host_sees(&network->hosts[i], "n3"), STATUS_ALIVE);
    buffer_fini(&message);
    end_watch(&seen);
}

static void packets_that_are_lost_do_not_keep_it_from_moving(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct network *network = cluster(seed);
        network_kill(network, &network->hosts[2]);
        network->packet_loss = 0.3;
        come_back_elsewhere(network);
        network_run(network, SECONDS(10));
        network_heal(network);
        assert_true(network_run_until(network, SECONDS(70), all_have_n3_at_its_new_place));
        network_free(network);
    }
}

static void expect_the_name_to_stay(struct network *network)
{
    struct host *thief = network_start(network, SIZE, "n3", NULL);
    host_join(network, thief, "10.0.0.1");
    network_run(network, SECONDS(40));
    for (uint32_t i = 0; i < SIZE; i++) {
        assert_int_equal(host_sees(&network->hosts[i], "n3"), STATUS_ALIVE);
        assert_int_equal(place(&network->hosts[i], "n3"), 3);
        assert_false(host_logged(&network->hosts[i], "EventMemberLeave"));
        assert_false(host_logged(&network->hosts[i], "EventMemberFailed"));
    }
    assert_true(host_logged(thief, "Node name conflicts with another node at 10.0.0.3:7946"));
    assert_false(host_logged(thief, "nobody answers to that name"));
    network_free(network);
}

static void a_name_that_is_answered_to_is_not_moved(void **state)
{
    (void)state;
    expect_the_name_to_stay(cluster(1));
}

static void an_answer_through_helpers_counts_as_well(void **state)
{
    (void)state;
    struct network *network = cluster(2);
    struct host *thief = network_start(network, SIZE, "thief", NULL);
    network_kill(network, thief);
    network_cut(network, thief, &network->hosts[2], true, true);
    expect_the_name_to_stay(network);
}

static void a_member_that_leaves_moves_no_more(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    network_kill(network, &network->hosts[2]);
    come_back_elsewhere(network);
    network_run(network, SECONDS(1));
    host_leave(network, &network->hosts[2]);
    network_run(network, SECONDS(20));
    assert_false(host_logged(&network->hosts[2], "nobody answers to that name"));
    network_free(network);
}

/* Tells one member who is alive at this address, as gossip would. */
static void claim_name(struct network *network, struct host *told, const char *name,
                       const char *address)
{
    static const uint8_t versions[] = {1, 5, 2, 2, 5, 4};
    struct endpoint where;
    struct buffer message;
    endpoint_from_text(&where, address, 7946);
    struct alive_message alive = {.incarnation = 1,
                                  .node = span_text(name),
                                  .address = span_make(where.address, 4),
                                  .port = where.port,
                                  .versions = span_make(versions, sizeof versions)};
    buffer_init(&message, 1024);
    message_write(&message, MESSAGE_ALIVE, &alive_structure, &alive);
    host_deliver(network, told, buffer_span(&message));
    buffer_fini(&message);
}

static void claim(struct network *network, struct host *told, const char *address)
{
    claim_name(network, told, "n3", address);
}

/* Among members of the reference, which look into no claim: nobody raises it. One that learns from
 * gossip or a push/pull where it is now, while the old life's departure is still being told, would
 * else take that for its own. */
static void whoever_moves_is_above_the_life_that_it_says_goodbye_for(void **state)
{
    (void)state;
    struct network *network = cluster(36);
    struct host *reborn = &network->hosts[2];
    struct parting seen;
    watch_for_parting(&seen, network);
    for (uint32_t i = 0; i < SIZE; i++)
        network_kill(network, &network->hosts[i]);
    network_move(network, reborn, "10.0.0.99");
    network_start(network, 2, "n3", NULL);
    claim_name(network, reborn, "n1", "10.0.0.1");
    claim(network, reborn, "10.0.0.3");
    network_run(network, SECONDS(5));
    assert_true(seen.goodbyes > 0);
    assert_true(seen.above);
    end_watch(&seen);
}

/* Its former life is held alive, suspect or failed. */
static void a_name_moves_when_the_old_address_is_silent_and_the_new_one_answers(void **state)
{
    (void)state;
    static const uint64_t since[] = {0, 4, 30};
    for (uint32_t i = 0; i < 3; i++) {
        struct network *network = cluster(30 + i);
        struct host *told = &network->hosts[0];
        network_kill(network, &network->hosts[2]);
        network_run(network, SECONDS(since[i]));
        network_move(network, &network->hosts[2], "10.0.0.99");
        network_start(network, 2, "n3", NULL); /* it knows nobody, and does nothing itself */
        claim(network, told, "10.0.0.99");
        network_run(network, SECONDS(1) / 2);
        assert_int_equal(place(told, "n3"), 3);
        network_run(network, SECONDS(1));
        assert_int_equal(place(told, "n3"), 99);
        assert_int_equal(host_sees(told, "n3"), STATUS_ALIVE);
        assert_true(host_logged(told, "nobody answers to the name n3 at 10.0.0.3:7946: it has "
                                      "moved to 10.0.0.99:7946"));
        /* It learns of the others when one of them makes a push/pull with it. */
        assert_true(network_run_until(network, SECONDS(150), all_have_n3_at_its_new_place));
        network_free(network);
    }
}

static void a_name_moves_to_no_address_that_is_silent_itself(void **state)
{
    (void)state;
    struct network *network = cluster(34);
    network_kill(network, &network->hosts[2]);
    claim(network, &network->hosts[0], "10.0.0.77");
    network_run(network, SECONDS(3));
    assert_int_equal(place(&network->hosts[0], "n3"), 3);
    network_free(network);
}

static void a_name_stays_where_it_is_answered_to_and_nobody_asks_again_at_once(void **state)
{
    (void)state;
    struct network *network = cluster(35);
    struct host *told = &network->hosts[0];
    network->tracing = true;
    claim(network, told, "10.0.0.77");
    network_run(network, SECONDS(3));
    size_t asked = network->trace.size;
    for (int i = 0; i < 10; i++) {
        claim(network, told, "10.0.0.77");
        network_run(network, SECONDS(1));
    }
    assert_true(network->trace.size - asked < 10 * asked); /* what runs anyway */
    assert_int_equal(place(told, "n3"), 3);
    assert_true(network_agrees(network));
    assert_false(host_logged(told, "it has moved"));
    network_free(network);
}

/* How many answers to a query about n3 name this last byte of an address, 10.0.0.x. */
static uint32_t votes_for(const struct host *asker, uint8_t last)
{
    const uint8_t address[] = {10, 0, 0, last};
    uint32_t votes = 0;
    struct span rest = buffer_span(&asker->answers);
    const uint8_t *found;
    while (rest.size > 0 && (found = memmem(rest.data, rest.size, address, sizeof address))) {
        votes++;
        rest = span_from(rest, (size_t)(found - rest.data) + sizeof address);
    }
    return votes;
}

static void who_asks_which_life_is_meant_gets_the_vote_when_the_other_is_silent(void **state)
{
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        struct network *network = cluster(40);
        struct buffer error;
        buffer_init(&error, 256);
        struct host *asker;
        if (silent) {
            network_kill(network, &network->hosts[2]);
            network_move(network, &network->hosts[2], "10.0.0.99");
            asker = network_start(network, 2, "n3", NULL);
        } else {
            asker = network_start(network, SIZE, "n3", NULL);
        }
        host_join(network, asker, "10.0.0.1");
        network_run(network, SECONDS(1) / 5); /* nobody has looked into it yet */
        struct serf_query_parameters parameters = {.name = span_text("_serf_conflict"),
                                                   .payload = span_text("n3")};
        assert_true(serf_query(asker->serf, network->now, &parameters, &error) > 0);
        host_drain(network, asker);
        network_run(network, SECONDS(3));
        assert_true(votes_for(asker, silent ? 99 : 3) >= SIZE - 2);
        assert_int_equal(votes_for(asker, silent ? 3 : 99), 0);
        buffer_fini(&error);
        network_free(network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_vanished_is_alive_at_its_new_address_in_seconds),
        cmocka_unit_test(a_former_life_says_that_it_will_leave_before_it_has_left),
        cmocka_unit_test(nothing_that_comes_in_during_a_move_makes_it_say_that_it_is_back),
        cmocka_unit_test(whoever_moves_is_above_the_life_that_it_says_goodbye_for),
        cmocka_unit_test(packets_that_are_lost_do_not_keep_it_from_moving),
        cmocka_unit_test(a_name_that_is_answered_to_is_not_moved),
        cmocka_unit_test(a_name_moves_when_the_old_address_is_silent_and_the_new_one_answers),
        cmocka_unit_test(a_name_moves_to_no_address_that_is_silent_itself),
        cmocka_unit_test(a_name_stays_where_it_is_answered_to_and_nobody_asks_again_at_once),
        cmocka_unit_test(who_asks_which_life_is_meant_gets_the_vote_when_the_other_is_silent),
        cmocka_unit_test(an_answer_through_helpers_counts_as_well),
        cmocka_unit_test(a_member_that_leaves_moves_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
