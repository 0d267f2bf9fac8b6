/* Goodbyes that arrive, and news that gossip missed: what is not left to luck. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "packet.h"
#include "serf_message.h"
#include "swim.h"
#include "virtual_network.h"

#include <stdio.h>

/* `size` members that joined the first one, all at one moment. */
static struct network *joined_at_once(uint32_t size, const struct serf_config *config)
{
    struct network *network = network_new(size);
    for (uint32_t i = 0; i < size; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, config);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    return network;
}

/* No gossip, and no pings that it could ride on: members speak when they join and leave, and in
 * push/pulls. */
static struct serf_config without_gossip(void)
{
    struct serf_config config = network_config();
    config.swim.gossip_interval = 0;
    config.swim.probe_interval = 0;
    return config;
}

static void everybody_hears_a_goodbye_that_gossip_does_not_carry(void **state)
{
    (void)state;
    struct serf_config config = without_gossip();
    struct network *network = joined_at_once(12, &config);
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    host_leave(network, &network->hosts[5]);
    network_run(network, SECONDS(1) / 10);
    for (uint32_t i = 0; i < 12; i++) /* the intent comes first */
        assert_int_equal(host_sees(&network->hosts[i], "n6"), STATUS_LEAVING);
    network_run(network, config.broadcast_timeout);
    for (uint32_t i = 0; i < 12; i++) {
        assert_true(i == 5 || host_logged(&network->hosts[i], "EventMemberLeave: n6 10.0.0.6"));
        assert_false(host_logged(&network->hosts[i], "EventMemberFailed"));
    }
    network_free(network);
}

/* What a leaver sends of its leave: datagrams with the intent, and with the goodbye. */
struct leave_seen {
    struct network *network;
    struct wire_codec codec;
    uint32_t leaver;
    uint64_t last_intent, first_goodbye;
    uint32_t intents, goodbyes;
};

static void look_for_leave(void *context, const struct host *from, const struct effect *effect)
{
    struct leave_seen *seen = context;
    struct packet_reader reader;
    struct packet_problem problem = packet_open(&reader, &seen->codec, effect->packet.datagram);
    struct span message;
    bool intent = false, goodbye = false;
    assert_int_equal(problem.error, PACKET_OK);
    if (from->number != seen->leaver)
        return;
    while (packet_next(&reader, &message, &problem)) {
        intent = intent || (message.data[0] == MESSAGE_USER && message.data[1] == SERF_LEAVE);
        goodbye = goodbye || message.data[0] == MESSAGE_DEAD;
    }
    assert_false(intent && goodbye);
    if (intent)
        seen->last_intent = seen->network->now;
    if (goodbye && seen->goodbyes == 0)
        seen->first_goodbye = seen->network->now;
    seen->intents += intent;
    seen->goodbyes += goodbye;
}

static struct leave_seen leave_watched(struct network *network, uint32_t leaver)
{
    struct leave_seen seen = {.network = network, .leaver = leaver};
    wire_codec_init(&seen.codec, &network->random);
    network->look = look_for_leave;
    network->look_context = &seen;
    host_leave(network, &network->hosts[leaver]);
    for (int i = 0; i < 400 && serf_state(network->hosts[leaver].serf) != SERF_LEFT; i++)
        network_run(network, SECONDS(1) / 10);
    assert_int_equal(serf_state(network->hosts[leaver].serf), SERF_LEFT);
    network->look = NULL;
    wire_codec_fini(&seen.codec);
    return seen;
}

static void a_goodbye_follows_the_intent_after_a_gossip_interval_and_never_with_it(void **state)
{
    (void)state;
    struct serf_config config = network_config();
    for (uint32_t size = 2; size <= 40; size += 6) {
        struct network *network = joined_at_once(size, &config);
        assert_true(network_run_until(network, SECONDS(60), network_agrees));
        struct leave_seen seen = leave_watched(network, 1);
        assert_true(seen.intents >= size - 1 && seen.goodbyes >= size - 1);
        assert_true(seen.first_goodbye - seen.last_intent >= config.swim.gossip_interval);
        network_free(network);
    }
}

static void an_intent_that_nobody_could_be_told_is_taken_back_before_the_goodbye(void **state)
{
    (void)state;
    struct serf_config config = network_config();
    struct buffer error;
    buffer_init(&error, 256);
    /* What is told just before takes the tick of gossip: the next one comes in the time of the
     * goodbye, while that is repeated. */
    config.leave_timeout = config.swim.gossip_interval * 3 / 2;
    struct network *network = joined_at_once(5, &config);
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    network_run(network, SECONDS(20));
    assert_true(serf_user_event(network->hosts[1].serf, network->now, span_text("news"), SPAN_EMPTY,
                                false, &error));
    host_drain(network, &network->hosts[1]);
    network_run(network, NANOSECONDS_PER_MS);
    struct leave_seen seen = leave_watched(network, 1);
    assert_true(seen.intents > 0 && seen.goodbyes > 0);
    assert_true(seen.first_goodbye > seen.last_intent);
    buffer_fini(&error);
    network_free(network);
}

static void a_leave_ends_within_its_timeout_whatever_is_lost(void **state)
{
    (void)state;
    static const uint32_t timeouts[] = {1, 3, 15, 60};
    for (int i = 0; i < 4; i++) {
        struct serf_config config = without_gossip(); /* no broadcast ever ends */
        config.leave_timeout = SECONDS(timeouts[i]);
        config.broadcast_timeout = SECONDS(30);
        struct network *network = joined_at_once(5, &config);
        assert_true(network_run_until(network, SECONDS(60), network_agrees));
        uint32_t command = host_leave(network, &network->hosts[1]);
        network_run(network, config.leave_timeout);
        assert_int_equal(network->hosts[1].done_command, command);
        assert_int_equal(serf_state(network->hosts[1].serf), SERF_LEFT);
        network_run(network, SECONDS(1));
        for (uint32_t k = 0; k < 5; k++)
            assert_true(k == 1 || host_sees(&network->hosts[k], "n2") == STATUS_LEFT);
        network_free(network);
    }
}

static void a_goodbye_is_known_everywhere_within_one_or_two_seconds(void **state)
{
    (void)state;
    for (uint32_t size = 2; size <= 50; size += 8) {
        struct network *network = joined_at_once(size, NULL);
        assert_true(network_run_until(network, SECONDS(60), network_agrees));
        host_leave(network, &network->hosts[1]);
        network_run(network, size <= 10 ? SECONDS(1) : SECONDS(2));
        for (uint32_t i = 0; i < size; i++)
            assert_true(i == 1 || host_sees(&network->hosts[i], "n2") == STATUS_LEFT);
        network_free(network);
    }
}

static void a_leave_amid_a_join_is_heard_by_whom_it_reached(void **state)
{
    (void)state;
    for (uint64_t wait = 0; wait <= 60; wait++) {
        struct network *network = network_new(wait);
        struct host *a = network_start(network, 0, "a", NULL);
        struct host *b = network_start(network, 1, "b", NULL);
        network->delay = 10 * NANOSECONDS_PER_MS;
        host_join(network, b, "10.0.0.1");
        network_run(network, wait * 2 * NANOSECONDS_PER_MS);
        host_leave(network, b);
        for (int i = 0; i < 100 && serf_state(b->serf) != SERF_LEFT; i++)
            network_run(network, SECONDS(1) / 10);
        assert_int_equal(serf_state(b->serf), SERF_LEFT);
        network_kill(network, b);
        network_run(network, SECONDS(60));
        enum member_status seen = host_sees(a, "b");
        assert_true(seen == STATUS_LEFT || seen == STATUS_NONE);
        assert_false(host_logged(a, "EventMemberFailed"));
        network_free(network);
    }
}

static void a_leave_does_not_wait_for_a_join_that_hangs(void **state)
{
    (void)state;
    struct network *network = network_new(3);
    struct host *a = network_start(network, 0, "a", NULL);
    struct host *b = network_start(network, 1, "b", NULL);
    network_cut(network, a, b, true, true);
    uint32_t join = host_join(network, b, "10.0.0.1");
    network_run(network, SECONDS(1));
    uint32_t leave = host_leave(network, b);
    network_run(network, NANOSECONDS_PER_MS);
    assert_true(join != leave && b->done_command == leave && b->done_ok);
    assert_int_equal(serf_state(b->serf), SERF_LEFT);
    network_free(network);
}

static void a_leave_ends_when_whom_it_waited_for_is_gone(void **state)
{
    (void)state;
    struct network *network = network_new(4);
    struct host *a = network_start(network, 0, "a", NULL);
    struct host *b = network_start(network, 1, "b", NULL);
    network->delay = 20 * NANOSECONDS_PER_MS;
    host_join(network, b, "10.0.0.1");
    while (!host_logged(b, "Initiating push/pull sync"))
        network_run(network, NANOSECONDS_PER_MS);
    host_leave(network, b);
    assert_int_equal(serf_state(b->serf), SERF_LEAVING); /* it may have been heard of */
    network_kill(network, a);
    network_run(network, SECONDS(1) / 2);
    assert_int_equal(serf_state(b->serf), SERF_LEFT);
    network_free(network);
}

static void who_was_missed_by_gossip_catches_up_within_seconds(void **state)
{
    (void)state;
    struct serf_config config = without_gossip();
    for (uint32_t size = 3; size <= 15; size += 3) {
        struct network *network = joined_at_once(size, &config);
        assert_true(network_run_until(network, SECONDS(25), network_agrees));
        network_free(network);
    }
}

/* What one member sends another about suspicions. */
struct suspicion_seen {
    struct network *network;
    struct wire_codec codec;
    uint32_t from;
    const char *to;
    uint32_t answers, warnings; /* that it lives; that the other is about to be declared dead */
    uint64_t last_warning;
};

static void look_for_suspicion(void *context, const struct host *from, const struct effect *effect)
{
    struct suspicion_seen *seen = context;
    struct packet_reader reader;
    struct packet_problem problem = packet_open(&reader, &seen->codec, effect->packet.datagram);
    struct span message;
    struct endpoint to;
    bool alone = true, suspect = false, alive = false;
    endpoint_from_text(&to, seen->to, 7946);
    if (from->number != seen->from || !endpoint_equal(&to, &effect->packet.to))
        return;
    while (packet_next(&reader, &message, &problem)) {
        alone = alone && message.data[0] != MESSAGE_PING && message.data[0] != MESSAGE_ACK;
        suspect = suspect || message.data[0] == MESSAGE_SUSPECT;
        alive = alive || message.data[0] == MESSAGE_ALIVE;
    }
    seen->answers += alive && alone;
    if (suspect && alone) {
        seen->warnings++;
        seen->last_warning = seen->network->now;
    }
}

static void watch_suspicions(struct suspicion_seen *seen, struct network *network, uint32_t from,
                             const char *to)
{
    *seen = (struct suspicion_seen){.network = network, .from = from - 1, .to = to};
    wire_codec_init(&seen->codec, &network->random);
    network->look = look_for_suspicion;
    network->look_context = seen;
}

static void end_watch(struct suspicion_seen *seen)
{
    seen->network->look = NULL;
    wire_codec_fini(&seen->codec);
    network_free(seen->network);
}

static void accuse(struct network *network, struct host *told, const char *address,
                   enum message_type type, const char *node, const char *from)
{
    struct suspect_message suspect = {
        .incarnation = 1, .node = span_text(node), .from = span_text(from)};
    struct buffer message;
    buffer_init(&message, 256);
    message_write(&message, type, &suspect_structure, &suspect);
    host_deliver_from(network, told, address, buffer_span(&message));
    buffer_fini(&message);
}

static void suspect(struct network *network, struct host *told, const char *address,
                    const char *node, const char *from)
{
    accuse(network, told, address, MESSAGE_SUSPECT, node, from);
}

static void who_is_suspected_answers_the_accuser_itself_and_nobody_else(void **state)
{
    (void)state;
    struct suspicion_seen seen;
    struct serf_config config = without_gossip(); /* they say nothing but what they are asked */
    struct network *network = joined_at_once(3, &config);
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    watch_suspicions(&seen, network, 2, "10.0.0.1");
    struct host *accused = &network->hosts[1];
    suspect(network, accused, "10.0.0.1", "n2", "n1");
    assert_int_equal(seen.answers, 1);
    suspect(network, accused, "10.0.0.1", "n2", "n1"); /* refuted before, and not heard of */
    assert_int_equal(seen.answers, 2);
    suspect(network, accused, "10.0.0.3", "n2", "n1"); /* passed on */
    suspect(network, accused, "10.0.0.1", "n2", "n7");
    suspect(network, accused, "10.0.0.1", "n3", "n1");
    assert_int_equal(seen.answers, 2);
    accuse(network, accused, "10.0.0.1", MESSAGE_DEAD, "n2", "n1");
    assert_int_equal(seen.answers, 3);
    for (uint32_t i = 0; i < 2 * ACCUSERS_ANSWERED_MAX; i++)
        suspect(network, accused, "10.0.0.1", "n2", "n1");
    assert_int_equal(seen.answers, ACCUSERS_ANSWERED_MAX);
    host_leave(network, accused);
    network_run(network, SECONDS(10));
    uint32_t answers = seen.answers;
    suspect(network, accused, "10.0.0.1", "n2", "n1");
    assert_int_equal(seen.answers, answers);
    end_watch(&seen);
}

static bool n2_is_failed_to_n1(struct network *network)
{
    return host_sees(&network->hosts[0], "n2") == STATUS_FAILED;
}

static void a_suspect_is_warned_once_before_it_is_declared_dead(void **state)
{
    (void)state;
    struct suspicion_seen seen;
    struct serf_config config = network_config();
    config.swim.gossip_interval = 0;
    struct network *network = joined_at_once(2, &config);
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    watch_suspicions(&seen, network, 1, "10.0.0.2");
    network_kill(network, &network->hosts[1]);
    assert_true(network_run_until(network, SECONDS(60), n2_is_failed_to_n1));
    assert_int_equal(seen.warnings, 1);
    assert_true(seen.last_warning + config.swim.probe_timeout <= network->now);
    assert_true(seen.last_warning + 2 * config.swim.probe_timeout > network->now);
    end_watch(&seen);
}

/* It has refuted, and the accuser, which probes it late, has not heard of it. */
static void a_warned_suspect_that_lives_is_not_declared_dead(void **state)
{
    (void)state;
    static const char *const accusers[] = {"n3", "n4", "n5"};
    struct serf_config config = network_config();
    config.swim.gossip_interval = 0;
    for (uint32_t size = 30; size < 40; size++) {
        struct serf_stats stats;
        bool suspected = false;
        struct network *network = joined_at_once(size, &config);
        assert_true(network_run_until(network, SECONDS(60), network_agrees));
        suspect(network, &network->hosts[1], "10.0.0.3", "n2", "n3");
        for (uint32_t i = 2; i < size; i++) /* nor is it told by others */
            network_cut(network, &network->hosts[0], &network->hosts[i], true, true);
        for (uint32_t i = 0; i < 3; i++) {
            if (i == 2 && size % 2 == 1) /* too late for an end that is still to come */
                network_run(network, SECONDS(8));
            suspect(network, &network->hosts[0], "10.0.0.3", "n2", accusers[i]);
            serf_stats(network->hosts[0].serf, &stats);
            suspected = suspected || stats.suspicions > 0;
        }
        network_run(network, SECONDS(15));
        assert_true(suspected);
        assert_false(host_logged(&network->hosts[0], "Marking n2 as failed"));
        network_free(network);
    }
}

static void members_that_come_one_by_one_cause_fewer_and_fewer_extra_push_pulls(void **state)
{
    (void)state;
    enum { COME = 20 };
    struct network *network = network_new(61);
    struct host *first = network_start(network, 0, "n0", NULL);
    for (uint32_t i = 1; i <= COME; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        network_start(network, i, name, NULL);
        host_join(network, &network->hosts[i], "10.0.0.1");
        network_run(network, SECONDS(1) / 2);
    }
    assert_true(network_agrees(network));
    /* Within ten seconds, at 0, 1, 3 and 7. */
    assert_in_range(host_logged_times(first, "Initiating push/pull sync"), 3, 5);
    network_free(network);
}

static void intend(struct network *network, struct host *told, bool leave, uint64_t ltime)
{
    struct buffer message;
    struct join_intent join = {.ltime = ltime, .node = span_text("n2")};
    struct leave_intent goodbye = {.ltime = ltime, .node = span_text("n2")};
    buffer_init(&message, 256);
    buffer_append_u8(&message, MESSAGE_USER);
    if (leave)
        serf_message_write(&message, SERF_LEAVE, &leave_intent_structure, &goodbye);
    else
        serf_message_write(&message, SERF_JOIN, &join_intent_structure, &join);
    host_deliver(network, told, buffer_span(&message));
    buffer_fini(&message);
}

/* As a forced leave that an exchange of states overtakes. */
static void a_state_does_not_tell_a_leave_intent_as_if_it_were_a_join(void **state)
{
    (void)state;
    struct serf_config config = without_gossip();
    struct network *network = joined_at_once(3, &config);
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    intend(network, &network->hosts[0], true, 50);
    assert_int_equal(host_sees(&network->hosts[0], "n2"), STATUS_LEAVING);
    for (uint32_t i = 1; i < 3; i++) {
        host_join(network, &network->hosts[0], i == 1 ? "10.0.0.2" : "10.0.0.3");
        network_run(network, SECONDS(1));
        intend(network, &network->hosts[i], true, 50);
    }
    assert_true(host_logged(&network->hosts[1], "Refuting an older leave intent"));
    assert_int_equal(host_sees(&network->hosts[2], "n2"), STATUS_LEAVING);
    network_free(network);
}

static void who_hears_of_a_later_intent_than_its_own_says_that_it_is_here(void **state)
{
    (void)state;
    struct serf_config config = without_gossip();
    struct network *network = joined_at_once(3, &config);
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    struct serf_stats before, after;
    intend(network, &network->hosts[0], false, 50);
    serf_stats(network->hosts[1].serf, &before);
    host_join(network, &network->hosts[0], "10.0.0.2");
    network_run(network, SECONDS(1));
    serf_stats(network->hosts[1].serf, &after);
    assert_int_equal(after.intent_queue, before.intent_queue + 1);
    host_join(network, &network->hosts[1], "10.0.0.1"); /* which says it anyhow, once more */
    network_run(network, SECONDS(1));
    serf_stats(network->hosts[1].serf, &after);
    assert_int_equal(after.intent_queue, before.intent_queue + 2);
    network_free(network);
}

static void a_settled_cluster_makes_no_extra_push_pulls(void **state)
{
    (void)state;
    struct network *network = joined_at_once(5, NULL);
    network_run(network, SECONDS(10));
    assert_true(network_agrees(network));
    for (uint32_t i = 0; i < 5; i++)
        buffer_reset(&network->hosts[i].log);
    network_run(network, SECONDS(300));
    for (uint32_t i = 0; i < 5; i++) /* one every 30 s */
        assert_true(host_logged_times(&network->hosts[i], "Initiating push/pull sync") <= 11);
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_hears_a_goodbye_that_gossip_does_not_carry),
        cmocka_unit_test(a_goodbye_follows_the_intent_after_a_gossip_interval_and_never_with_it),
        cmocka_unit_test(an_intent_that_nobody_could_be_told_is_taken_back_before_the_goodbye),
        cmocka_unit_test(a_leave_ends_within_its_timeout_whatever_is_lost),
        cmocka_unit_test(a_goodbye_is_known_everywhere_within_one_or_two_seconds),
        cmocka_unit_test(a_leave_amid_a_join_is_heard_by_whom_it_reached),
        cmocka_unit_test(a_leave_does_not_wait_for_a_join_that_hangs),
        cmocka_unit_test(a_leave_ends_when_whom_it_waited_for_is_gone),
        cmocka_unit_test(who_was_missed_by_gossip_catches_up_within_seconds),
        cmocka_unit_test(who_is_suspected_answers_the_accuser_itself_and_nobody_else),
        cmocka_unit_test(a_suspect_is_warned_once_before_it_is_declared_dead),
        cmocka_unit_test(a_warned_suspect_that_lives_is_not_declared_dead),
        cmocka_unit_test(members_that_come_one_by_one_cause_fewer_and_fewer_extra_push_pulls),
        cmocka_unit_test(a_state_does_not_tell_a_leave_intent_as_if_it_were_a_join),
        cmocka_unit_test(who_hears_of_a_later_intent_than_its_own_says_that_it_is_here),
        cmocka_unit_test(a_settled_cluster_makes_no_extra_push_pulls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
