/* What strangers and broken peers may send: each pitfall of memberlist specification, section 11,
 * and Serf specification, section 14, that the core has to withstand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serf_message.h"
#include "virtual_network.h"

#include <stdio.h>
#include <stdlib.h>

static struct network *pair(void)
{
    struct network *network = network_new(4);
    network_start(network, 0, "a", NULL);
    network_start(network, 1, "b", NULL);
    host_join(network, &network->hosts[1], "10.0.0.1");
    network_run(network, SECONDS(3));
    assert_true(network_agrees(network));
    return network;
}

static void send(struct network *network, uint32_t type, const struct msgpack_structure *structure,
                 const void *message)
{
    struct buffer bytes;
    buffer_init(&bytes, 65536);
    message_write(&bytes, (enum message_type)type, structure, message);
    host_deliver(network, &network->hosts[0], buffer_span(&bytes));
    buffer_fini(&bytes);
}

static void send_user(struct network *network, enum serf_message_type type,
                      const struct msgpack_structure *structure, const void *message)
{
    struct buffer bytes;
    buffer_init(&bytes, 65536);
    buffer_append_u8(&bytes, MESSAGE_USER);
    serf_message_write(&bytes, type, structure, message);
    host_deliver(network, &network->hosts[0], buffer_span(&bytes));
    buffer_fini(&bytes);
}

static struct alive_message valid_alive(const char *name)
{
    static const uint8_t address[4] = {10, 7, 7, 7};
    static const uint8_t versions[6] = {1, 5, 2, 2, 5, 5};
    return (struct alive_message){.incarnation = 1,
                                  .node = span_text(name),
                                  .address = span_make(address, 4),
                                  .port = 7946,
                                  .versions = span_make(versions, 6)};
}

static void expect_unknown(struct network *network, const char *name)
{
    assert_int_equal(host_sees(&network->hosts[0], name), STATUS_NONE);
    assert_int_equal(host_count(&network->hosts[0], STATUS_ALIVE), 2);
}

static void a_valid_alive_message_is_believed(void **state)
{
    (void)state; /* so that the refusals below are refusals of what is wrong */
    struct network *network = pair();
    struct alive_message alive = valid_alive("x");
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    assert_int_equal(host_sees(&network->hosts[0], "x"), STATUS_ALIVE);
    network_free(network);
}

static void an_alive_message_without_a_usable_address_is_refused(void **state)
{
    (void)state;
    struct network *network = pair();
    for (size_t size = 0; size <= 16; size++) {
        if (size == 4 || size == 16)
            continue;
        struct alive_message alive = valid_alive("x");
        static const uint8_t bytes[16] = {1, 2, 3};
        alive.address = span_make(bytes, size);
        send(network, MESSAGE_ALIVE, &alive_structure, &alive);
        expect_unknown(network, "x");
    }
    assert_true(host_logged(&network->hosts[0], "its address must have 4 or 16 bytes"));
    network_free(network);
}

static void an_alive_message_about_a_new_name_needs_six_version_bytes(void **state)
{
    (void)state;
    struct network *network = pair();
    for (size_t size = 0; size < 6; size++) {
        struct alive_message alive = valid_alive("x");
        alive.versions.size = size;
        send(network, MESSAGE_ALIVE, &alive_structure, &alive);
        expect_unknown(network, "x");
    }
    network_free(network);
}

static void incarnation_zero_leaves_no_phantom(void **state)
{
    (void)state;
    struct network *network = pair();
    struct alive_message alive = valid_alive("x");
    alive.incarnation = 0;
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    expect_unknown(network, "x");
    network_run(network, SECONDS(40));
    expect_unknown(network, "x");
    network_free(network);
}

static void metadata_and_names_that_no_datagram_has_room_for_are_refused(void **state)
{
    (void)state;
    struct network *network = pair();
    static char large[2000];
    memset(large, 'm', sizeof large - 1);
    struct alive_message alive = valid_alive("x");
    alive.meta = span_make(large, 513);
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    expect_unknown(network, "x");
    alive = valid_alive(large);
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    expect_unknown(network, large);
    alive = valid_alive("");
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    expect_unknown(network, "");
    network_free(network);
}

static void nobody_is_accused_beyond_what_he_could_refute(void **state)
{
    (void)state;
    struct network *network = pair();
    struct suspect_message accusation = {
        .incarnation = UINT32_MAX, .node = span_text("a"), .from = span_text("b")};
    send(network, MESSAGE_SUSPECT, &suspect_structure, &accusation);
    send(network, MESSAGE_DEAD, &suspect_structure, &accusation);
    accusation.node = span_text("b");
    send(network, MESSAGE_SUSPECT, &suspect_structure, &accusation);
    send(network, MESSAGE_DEAD, &suspect_structure, &accusation);
    network_run(network, SECONDS(60));
    assert_true(network_agrees(network));
    assert_false(host_logged(&network->hosts[0], "EventMemberFailed"));
    assert_true(host_logged(&network->hosts[0], "incarnation 4294967295 is far above the"));
    network_free(network);
}

static void the_highest_incarnation_that_is_believed_can_be_refuted(void **state)
{
    (void)state;
    struct network *network = pair();
    struct suspect_message accusation = {
        .incarnation = 0x7fffffff, .node = span_text("b"), .from = span_text("x")};
    send(network, MESSAGE_SUSPECT, &suspect_structure, &accusation);
    network_run(network, SECONDS(60));
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_ALIVE);
    network_kill(network, &network->hosts[1]); /* and a real death is still seen */
    network_run(network, SECONDS(60));
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_FAILED);
    network_free(network);
}

static void a_member_that_was_forged_against_restarts_as_any_other(void **state)
{
    (void)state;
    struct network *network = pair();
    struct suspect_message accusation = {
        .incarnation = 0x7fffffff, .node = span_text("b"), .from = span_text("x")};
    send(network, MESSAGE_SUSPECT, &suspect_structure, &accusation);
    network_run(network, SECONDS(5));
    network_kill(network, &network->hosts[1]);
    network_start(network, 1, "b", NULL); /* counts from 1 again */
    host_join(network, &network->hosts[1], "10.0.0.1");
    network_run(network, SECONDS(2));
    struct tag tag = {span_text("k"), span_text("v")};
    serf_set_tags(network->hosts[1].serf, network->now, &tag, 1);
    host_drain(network, &network->hosts[1]);
    network_run(network, SECONDS(2));
    struct member_view b;
    assert_true(serf_find_member(network->hosts[0].serf, span_text("b"), &b));
    assert_int_equal(b.status, STATUS_ALIVE);
    assert_true(b.meta.size > 2);
    network_free(network);
}

static void a_name_that_nobody_knows_has_no_last_incarnation(void **state)
{
    (void)state;
    struct network *network = pair();
    struct alive_message alive = valid_alive("x");
    alive.incarnation = UINT32_MAX;
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    expect_unknown(network, "x");
    network_free(network);
}

static void forged_news_about_oneself_is_refuted_without_a_flood_of_lines(void **state)
{
    (void)state;
    struct network *network = pair();
    struct alive_message alive = valid_alive("a");
    static const uint8_t own_address[4] = {10, 0, 0, 1};
    alive.address = span_make(own_address, 4);
    for (uint32_t i = 2; i < 1000; i++) {
        alive.incarnation = i * 2;
        send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    }
    assert_in_range(host_logged_times(&network->hosts[0], "Refuting an alive message"), 1, 20);
    network_free(network);
}

static void an_answer_sent_to_a_third_party_carries_no_gossip(void **state)
{
    (void)state;
    struct network *network = pair();
    network->tracing = true;
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "new-%d", i);
        struct alive_message alive = valid_alive(name);
        send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    }
    static const uint8_t victim[4] = {192, 0, 2, 1};
    struct ping_message ping = {.sequence = 1,
                                .node = span_text("a"),
                                .source_port = 53,
                                .source_address = span_make(victim, 4)};
    send(network, MESSAGE_PING, &ping_structure, &ping);
    const char *answer = strstr(buffer_text(&network->trace), "a 192.0.2.1:53 ");
    assert_non_null(answer);
    assert_true(atol(answer + strlen("a 192.0.2.1:53 ")) < 64);
    network_free(network);
}

static uint32_t answers_withheld(struct network *network)
{
    struct serf_stats stats;
    serf_stats(network->hosts[0].serf, &stats);
    return (uint32_t)stats.answers_withheld;
}

static uint32_t traced(struct network *network, const char *text)
{
    uint32_t times = 0;
    for (const char *p = buffer_text(&network->trace); (p = strstr(p, text)); p++)
        times++;
    return times;
}

static void answers_to_third_parties_are_few(void **state)
{
    (void)state;
    struct network *network = pair();
    static const uint8_t victim[4] = {192, 0, 2, 1};
    struct ping_message ping = {.sequence = 1,
                                .node = span_text("a"),
                                .source_port = 53,
                                .source_address = span_make(victim, 4)};
    struct ping_message honest = {.sequence = 2, .node = span_text("a")};
    network->tracing = true;
    for (uint32_t second = 1; second <= 3; second++) {
        for (int i = 0; i < 1000; i++)
            send(network, MESSAGE_PING, &ping_structure, &ping);
        send(network, MESSAGE_PING, &ping_structure, &honest);
        assert_int_equal(traced(network, "a 192.0.2.1:53 "), second * 128);
        assert_int_equal(answers_withheld(network), second * (1000 - 128));
        assert_int_equal(traced(network, "a 10.9.9.9:7946 "), second); /* who asks is answered */
        network_run(network, SECONDS(1));
    }
    assert_in_range(host_logged_times(&network->hosts[0], "Not answering 192.0.2.1:53"), 1, 10);
    network_free(network);
}

static void a_leave_from_behind_a_full_queue_still_ends(void **state)
{
    (void)state;
    struct serf_config config = network_config();
    config.max_queue_depth = 8;
    struct network *network = network_new(21);
    network_start(network, 0, "a", &config);
    network_start(network, 1, "b", &config);
    host_join(network, &network->hosts[1], "10.0.0.1");
    network_run(network, SECONDS(3));
    for (int i = 0; i < 264 + 8; i++) { /* longer than ours: they are kept, ours would be dropped */
        char name[64];
        snprintf(name, sizeof name, "a-stranger-with-quite-a-long-name-%d", i);
        struct join_intent join = {.ltime = 50, .node = span_text(name)};
        send_user(network, SERF_JOIN, &join_intent_structure, &join);
        if (i >= 260) {
            host_force_leave(network, &network->hosts[0], "b", false);
        }
    }
    uint32_t command = host_leave(network, &network->hosts[0]);
    network_run(network, SECONDS(12));
    assert_int_equal(network->hosts[0].done_command, command);
    assert_true(network->hosts[0].done_ok);
    network_free(network);
}

static uint32_t depth_after_a_storm(const struct serf_config *config, uint32_t members)
{
    struct network *network = network_new(22);
    struct serf_stats stats;
    network_start(network, 0, "a", config);
    for (uint32_t i = 1; i < members; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%u", i);
        struct alive_message alive = valid_alive(name);
        send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    }
    for (int i = 0; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof name, "stranger-%d", i);
        struct join_intent join = {.ltime = 50, .node = span_text(name)};
        send_user(network, SERF_JOIN, &join_intent_structure, &join);
    }
    serf_stats(network->hosts[0].serf, &stats);
    network_free(network);
    return (uint32_t)stats.intent_queue;
}

static void a_queue_holds_what_its_limits_say(void **state)
{
    (void)state;
    struct serf_config config = network_config();
    config.max_queue_depth = 100;
    assert_in_range(depth_after_a_storm(&config, 2), 100, 100 + QUEUE_SLACK);
    config.min_queue_depth = 700; /* more than twice the members, and the other counts no more */
    assert_in_range(depth_after_a_storm(&config, 2), 700, 700 + QUEUE_SLACK);
    assert_in_range(depth_after_a_storm(&config, 600), 1200, 1200 + QUEUE_SLACK);
}

static void two_spellings_of_one_ipv4_address_are_one_address(void **state)
{
    (void)state;
    struct network *network = pair();
    static const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 7, 7, 7};
    struct alive_message alive = valid_alive("x");
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    alive.address = span_make(mapped, 16);
    alive.incarnation = 2;
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    assert_false(host_logged(&network->hosts[0], "Conflicting address"));
    network_free(network);
}

static void versions_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    struct network *network = pair();
    static const uint8_t wrong[6] = {3, 2, 2, 2, 5, 5};
    struct alive_message alive = valid_alive("x");
    alive.versions = span_make(wrong, 6);
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    expect_unknown(network, "x");
    assert_true(host_logged(&network->hosts[0], "Ignoring an alive message for 'x' "
                                                "(10.7.7.7:7946) because protocol version(s) are "
                                                "wrong: 3 <= 2 <= 2 should be >0"));
    network_free(network);
}

static void lamport_times_that_would_stop_a_clock_are_refused(void **state)
{
    (void)state;
    struct network *network = pair();
    struct join_intent join = {.ltime = UINT64_MAX, .node = span_text("b")};
    struct leave_intent leave = {.ltime = UINT64_MAX, .node = span_text("b")};
    struct user_event_message event = {.ltime = UINT64_MAX, .name = span_text("e")};
    struct query_message query = {.ltime = UINT64_MAX, .name = span_text("q")};
    send_user(network, SERF_JOIN, &join_intent_structure, &join);
    send_user(network, SERF_LEAVE, &leave_intent_structure, &leave);
    send_user(network, SERF_USER_EVENT, &user_event_structure, &event);
    send_user(network, SERF_QUERY, &query_structure, &query);
    struct serf_stats stats;
    serf_stats(network->hosts[0].serf, &stats);
    assert_true(stats.member_time < 10 && stats.event_time == 1 && stats.query_time == 1);
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_ALIVE);
    network_free(network);
}

static void the_highest_lamport_time_that_is_believed_leaves_room(void **state)
{
    (void)state;
    struct network *network = pair();
    struct join_intent join = {.ltime = (UINT64_C(1) << 61) - 1, .node = span_text("x")};
    send_user(network, SERF_JOIN, &join_intent_structure, &join);
    network_run(network, SECONDS(40));
    host_leave(network, &network->hosts[1]);
    network_run(network, SECONDS(8));
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_LEFT);
    network_free(network);
}

static void who_said_goodbye_has_left_although_the_intent_was_lost(void **state)
{
    (void)state;
    struct network *network = pair();
    struct alive_message alive = valid_alive("x");
    struct suspect_message goodbye = {
        .incarnation = 1, .node = span_text("x"), .from = span_text("x")};
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    send(network, MESSAGE_DEAD, &suspect_structure, &goodbye);
    assert_int_equal(host_sees(&network->hosts[0], "x"), STATUS_LEFT);
    network_free(network);
}

static void ten_thousand_bad_datagrams_are_a_few_log_lines(void **state)
{
    (void)state;
    struct network *network = pair();
    for (int i = 0; i < 10000; i++) {
        uint8_t bytes[64];
        random_bytes(&network->random, bytes, sizeof bytes);
        bytes[0] = (uint8_t)(i % 16);
        host_deliver(network, &network->hosts[0],
                     span_make(bytes, 1 + (size_t)(i % (int)sizeof bytes)));
    }
    assert_true(host_logged_times(&network->hosts[0], "\n") < 200);
    network_run(network, SECONDS(10));
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_ALIVE);
    network_free(network);
}

static void intents_about_strangers_are_bounded_and_forgotten(void **state)
{
    (void)state;
    struct network *network = pair();
    size_t before = network->pool.bytes;
    for (int i = 0; i < 70000; i++) {
        char name[32];
        snprintf(name, sizeof name, "stranger-%d", i);
        struct join_intent join = {.ltime = 5, .node = span_text(name)};
        send_user(network, SERF_JOIN, &join_intent_structure, &join);
    }
    assert_true(network->pool.bytes < before + 8 * 1024 * 1024);
    assert_true(host_logged(&network->hosts[0], "such names are remembered, the limit"));
    network_run(network, SECONDS(400));
    assert_true(network->pool.bytes < before + 2 * 1024 * 1024);
    network_free(network);
}

static uint32_t intents_queued(struct network *network)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < network->host_count; i++) {
        struct serf_stats stats;
        serf_stats(network->hosts[i].serf, &stats);
        count += stats.intent_queue;
    }
    return count;
}

/* Earlier releases of the reference passed on for ever what two intents of different times said
 * about one member. */
static void intents_that_disagree_do_not_circulate_for_ever(void **state)
{
    (void)state;
    struct network *network = pair();
    struct alive_message alive = valid_alive("x");
    struct suspect_message death = {
        .incarnation = 1, .node = span_text("x"), .from = span_text("a")};
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    send(network, MESSAGE_DEAD, &suspect_structure, &death);
    for (uint64_t ltime = 20; ltime < 24; ltime++) {
        const char *const names[] = {"x", "stranger"};
        for (size_t i = 0; i < 2; i++) {
            struct leave_intent leave = {.ltime = 64 - ltime, .node = span_text(names[i])};
            struct join_intent join = {.ltime = ltime, .node = span_text(names[i])};
            send_user(network, SERF_LEAVE, &leave_intent_structure, &leave);
            send_user(network, SERF_JOIN, &join_intent_structure, &join);
        }
    }
    assert_true(intents_queued(network) > 0);
    network_run(network, SECONDS(20));
    assert_int_equal(intents_queued(network), 0);
    network_free(network);
}

static void user_messages_are_queued_up_to_a_limit(void **state)
{
    (void)state;
    struct network *network = pair();
    for (uint64_t i = 1; i <= 20000; i++) {
        struct user_event_message event = {
            .ltime = i, .name = span_text("e"), .payload = span_text("payload")};
        send_user(network, SERF_USER_EVENT, &user_event_structure, &event);
    }
    struct serf_stats stats;
    serf_stats(network->hosts[0].serf, &stats);
    assert_true(stats.event_queue <= 4096 + QUEUE_SLACK);
    network_free(network);
}

/* --- streams --- */

static uint32_t connect_stranger(struct network *network)
{
    struct endpoint stranger;
    endpoint_from_text(&stranger, "10.9.9.9", 40000);
    uint32_t stream = serf_stream_accepted(network->hosts[0].serf, network->now, &stranger);
    host_drain(network, &network->hosts[0]);
    return stream;
}

static void feed(struct network *network, uint32_t stream, struct span bytes)
{
    serf_stream_data(network->hosts[0].serf, network->now, stream, bytes);
    host_drain(network, &network->hosts[0]);
}

static void a_push_pull_that_announces_too_much_is_refused_at_once(void **state)
{
    (void)state;
    struct network *network = pair();
    int64_t counts[] = {-1, 1048577, INT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct push_pull_header header = {.nodes = counts[i], .join = true};
        struct buffer bytes;
        buffer_init(&bytes, 4096);
        message_write(&bytes, MESSAGE_PUSH_PULL, &push_pull_header_structure, &header);
        uint32_t stream = connect_stranger(network);
        assert_int_not_equal(stream, 0);
        feed(network, stream, buffer_span(&bytes));
        buffer_fini(&bytes);
    }
    assert_true(host_logged_times(&network->hosts[0], "exceeds limit") >= 3);
    network_free(network);
}

static void a_silent_connection_gives_its_place_to_a_new_one(void **state)
{
    (void)state;
    struct network *network = pair();
    for (int i = 0; i < 400; i++)
        assert_int_not_equal(connect_stranger(network), 0);
    host_join(network, &network->hosts[1], "10.0.0.1"); /* comes in beside the idle ones */
    host_join(network, &network->hosts[0], "10.0.0.2"); /* and our own go out */
    network_run(network, SECONDS(2));
    assert_true(network->hosts[0].done_ok);
    assert_true(network->hosts[1].done_ok);
    network_free(network);
}

static void connections_that_began_to_talk_keep_their_places_up_to_a_limit(void **state)
{
    (void)state;
    struct network *network = pair();
    static const uint8_t beginning[] = {MESSAGE_PUSH_PULL, 0x83};
    uint32_t accepted = 0;
    for (int i = 0; i < 400; i++) {
        uint32_t stream = connect_stranger(network);
        accepted += stream != 0;
        if (stream)
            feed(network, stream, span_make(beginning, sizeof beginning));
    }
    assert_int_equal(accepted, 192); /* three quarters of 256 */
    assert_true(host_logged(&network->hosts[0], "Refusing a stream"));
    host_join(network, &network->hosts[0], "10.0.0.2");
    network_run(network, SECONDS(2));
    assert_true(network->hosts[0].done_ok);
    network_run(network, SECONDS(11)); /* the others' time is up */
    assert_int_not_equal(connect_stranger(network), 0);
    network_free(network);
}

static void a_state_with_bad_members_teaches_only_the_good_ones(void **state)
{
    (void)state;
    struct network *network = pair();
    struct push_pull_header header = {.nodes = 3, .join = true};
    static const uint8_t address[4] = {10, 7, 7, 7};
    static const uint8_t versions[6] = {1, 5, 2, 2, 5, 5};
    struct push_node_state nodes[3] = {
        {.name = span_text("good"),
         .incarnation = 1,
         .port = 1,
         .address = span_make(address, 4),
         .versions = span_make(versions, 6)},
        {.name = span_text("bad"),
         .incarnation = 1,
         .port = 1,
         .address = span_make(address, 3),
         .versions = span_make(versions, 6)},
        {.name = span_text("dead-and-old"),
         .incarnation = 1,
         .port = 1,
         .state = NODE_DEAD,
         .address = span_make(address, 4)},
    };
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    message_write(&bytes, MESSAGE_PUSH_PULL, &push_pull_header_structure, &header);
    for (int i = 0; i < 3; i++)
        msgpack_write_structure(&bytes, &push_node_state_structure, MSGPACK_GOSSIP, &nodes[i]);
    feed(network, connect_stranger(network), buffer_span(&bytes));
    assert_int_equal(host_sees(&network->hosts[0], "good"), STATUS_ALIVE);
    assert_int_equal(host_sees(&network->hosts[0], "bad"), STATUS_NONE);
    buffer_fini(&bytes);
    network_free(network);
}

/* A state of one member and a Serf part, as a stranger's push/pull. */
static void exchange(struct network *network, const struct push_node_state *node, struct span serf)
{
    struct push_pull_header header = {
        .nodes = 1, .user_state_size = (int64_t)serf.size, .join = true};
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    message_write(&bytes, MESSAGE_PUSH_PULL, &push_pull_header_structure, &header);
    msgpack_write_structure(&bytes, &push_node_state_structure, MSGPACK_GOSSIP, node);
    buffer_append_span(&bytes, serf);
    feed(network, connect_stranger(network), buffer_span(&bytes));
    buffer_fini(&bytes);
}

static void a_state_accuses_nobody_beyond_what_he_could_refute(void **state)
{
    (void)state;
    struct network *network = pair();
    static const uint8_t address[4] = {10, 0, 0, 2};
    static const uint8_t versions[6] = {1, 5, 2, 2, 5, 5};
    struct push_node_state node = {.name = span_text("b"),
                                   .incarnation = UINT32_MAX,
                                   .port = 7946,
                                   .address = span_make(address, 4),
                                   .versions = span_make(versions, 6)};
    for (node.state = NODE_ALIVE; node.state <= NODE_LEFT; node.state++)
        exchange(network, &node, SPAN_EMPTY);
    network_run(network, SECONDS(60));
    assert_true(network_agrees(network));
    for (uint32_t i = 0; i < 2; i++)
        assert_false(host_logged(&network->hosts[i], "EventMemberFailed"));
    network_free(network);
}

static void a_departure_in_a_state_counts_although_its_time_is_known(void **state)
{
    (void)state; /* otherwise a leave that was only heard of in an exchange would never arrive */
    struct network *network = pair();
    struct alive_message alive = valid_alive("x");
    struct join_intent join = {.ltime = 5, .node = span_text("x")};
    struct push_node_state node = {.name = alive.node,
                                   .incarnation = 1,
                                   .port = alive.port,
                                   .address = alive.address,
                                   .versions = alive.versions};
    static const char serf[] = "\x02\x83\xabLeftMembers\x91\xa1x\xa5LTime\x07"
                               "\xacStatusLTimes\x81\xa1x\x05";
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    send_user(network, SERF_JOIN, &join_intent_structure, &join);
    assert_int_equal(host_sees(&network->hosts[0], "x"), STATUS_ALIVE);
    exchange(network, &node, span_make(serf, sizeof serf - 1));
    assert_int_equal(host_sees(&network->hosts[0], "x"), STATUS_LEAVING);
    network_free(network);
}

static void a_stale_list_of_those_who_left_is_refuted(void **state)
{
    (void)state;
    struct network *network = pair();
    static const char serf[] = "\x02\x83\xabLeftMembers\x91\xa1"
                               "b\xa5LTime\x21"
                               "\xacStatusLTimes\x81\xa1"
                               "b\x20";
    struct alive_message alive = valid_alive("x");
    struct push_node_state node = {.name = alive.node,
                                   .incarnation = 1,
                                   .port = alive.port,
                                   .address = alive.address,
                                   .versions = alive.versions};
    exchange(network, &node, span_make(serf, sizeof serf - 1));
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_LEAVING);
    network_run(network, SECONDS(3));
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_ALIVE);
    assert_true(host_logged(&network->hosts[1], "Refuting an older leave intent"));
    network_free(network);
}

static void the_end_of_an_earlier_life_is_none_of_this_one(void **state)
{
    (void)state;
    struct network *network = pair();
    static const uint8_t elsewhere[4] = {10, 0, 0, 77};
    struct alive_message alive = valid_alive("b");
    struct push_node_state node = {.name = span_text("b"),
                                   .incarnation = 9,
                                   .port = 7946,
                                   .address = span_make(elsewhere, 4),
                                   .versions = alive.versions};
    node.state = NODE_LEFT;
    exchange(network, &node, SPAN_EMPTY);
    node.state = NODE_DEAD;
    exchange(network, &node, SPAN_EMPTY);
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_ALIVE);
    network_run(network, SECONDS(60));
    assert_false(host_logged(&network->hosts[0], "EventMemberLeave"));
    assert_false(host_logged(&network->hosts[0], "EventMemberFailed"));
    assert_false(host_logged(&network->hosts[1], "Refuting"));
    network_free(network);
}

static void a_state_that_is_broken_in_the_middle_changes_nothing(void **state)
{
    (void)state;
    struct network *network = pair();
    struct alive_message alive = valid_alive("x");
    struct push_node_state node = {.name = alive.node,
                                   .incarnation = 1,
                                   .port = alive.port,
                                   .address = alive.address,
                                   .versions = alive.versions};
    send(network, MESSAGE_ALIVE, &alive_structure, &alive);
    struct serf_stats before, after;
    serf_stats(network->hosts[0].serf, &before);
    static const char serf[] = "\x02\x83\xabLeftMembers\x91\xa1x\xa5LTime\x64"
                               "\xacStatusLTimes\x82\xa1x\x05\xa1y\xa3off";
    exchange(network, &node, span_make(serf, sizeof serf - 1));
    serf_stats(network->hosts[0].serf, &after);
    assert_true(host_logged(&network->hosts[0], "serf: Failed to decode remote state"));
    assert_int_equal(host_sees(&network->hosts[0], "x"), STATUS_ALIVE);
    assert_int_equal(before.member_time, after.member_time);
    network_free(network);
}

static void a_name_that_would_break_addresses_or_logs_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"a/b", "a\nb", "a\x7f", "\x01"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct network *network = network_new(1);
        struct serf_config config = network_config();
        config.swim.name = span_text(names[i]);
        endpoint_from_text(&config.swim.advertise, "10.0.0.1", 7946);
        struct buffer error;
        buffer_init(&error, 1024);
        static const uint8_t seed[RANDOM_SEED_SIZE];
        assert_null(serf_new(&config, &network->pool, seed, 0, &error));
        assert_non_null(strstr(buffer_text(&error), "Node name contains invalid characters"));
        buffer_fini(&error);
        network_free(network);
    }
}

static void a_member_of_another_time_is_told_why_it_may_not_join(void **state)
{
    (void)state;
    struct network *network = pair();
    struct push_pull_header header = {.nodes = 1, .join = true};
    static const uint8_t address[4] = {10, 7, 7, 7};
    static const uint8_t versions[6] = {1, 5, 2, 2, 4, 4};
    struct push_node_state node = {.name = span_text("old"),
                                   .incarnation = 1,
                                   .port = 1,
                                   .address = span_make(address, 4),
                                   .versions = span_make(versions, 6)};
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    message_write(&bytes, MESSAGE_PUSH_PULL, &push_pull_header_structure, &header);
    msgpack_write_structure(&bytes, &push_node_state_structure, MSGPACK_GOSSIP, &node);
    feed(network, connect_stranger(network), buffer_span(&bytes));
    assert_int_equal(host_sees(&network->hosts[0], "old"), STATUS_NONE);
    assert_true(host_logged(&network->hosts[0], "delegate protocol version (5) is incompatible: "
                                                "[2, 4]"));
    buffer_fini(&bytes);
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_alive_message_is_believed),
        cmocka_unit_test(an_alive_message_without_a_usable_address_is_refused),
        cmocka_unit_test(an_alive_message_about_a_new_name_needs_six_version_bytes),
        cmocka_unit_test(incarnation_zero_leaves_no_phantom),
        cmocka_unit_test(metadata_and_names_that_no_datagram_has_room_for_are_refused),
        cmocka_unit_test(nobody_is_accused_beyond_what_he_could_refute),
        cmocka_unit_test(the_highest_incarnation_that_is_believed_can_be_refuted),
        cmocka_unit_test(a_member_that_was_forged_against_restarts_as_any_other),
        cmocka_unit_test(a_name_that_nobody_knows_has_no_last_incarnation),
        cmocka_unit_test(forged_news_about_oneself_is_refuted_without_a_flood_of_lines),
        cmocka_unit_test(an_answer_sent_to_a_third_party_carries_no_gossip),
        cmocka_unit_test(answers_to_third_parties_are_few),
        cmocka_unit_test(a_leave_from_behind_a_full_queue_still_ends),
        cmocka_unit_test(a_queue_holds_what_its_limits_say),
        cmocka_unit_test(two_spellings_of_one_ipv4_address_are_one_address),
        cmocka_unit_test(versions_that_contradict_themselves_are_refused),
        cmocka_unit_test(lamport_times_that_would_stop_a_clock_are_refused),
        cmocka_unit_test(the_highest_lamport_time_that_is_believed_leaves_room),
        cmocka_unit_test(who_said_goodbye_has_left_although_the_intent_was_lost),
        cmocka_unit_test(ten_thousand_bad_datagrams_are_a_few_log_lines),
        cmocka_unit_test(intents_about_strangers_are_bounded_and_forgotten),
        cmocka_unit_test(intents_that_disagree_do_not_circulate_for_ever),
        cmocka_unit_test(user_messages_are_queued_up_to_a_limit),
        cmocka_unit_test(a_push_pull_that_announces_too_much_is_refused_at_once),
        cmocka_unit_test(a_silent_connection_gives_its_place_to_a_new_one),
        cmocka_unit_test(connections_that_began_to_talk_keep_their_places_up_to_a_limit),
        cmocka_unit_test(a_state_with_bad_members_teaches_only_the_good_ones),
        cmocka_unit_test(a_state_accuses_nobody_beyond_what_he_could_refute),
        cmocka_unit_test(a_departure_in_a_state_counts_although_its_time_is_known),
        cmocka_unit_test(a_stale_list_of_those_who_left_is_refuted),
        cmocka_unit_test(the_end_of_an_earlier_life_is_none_of_this_one),
        cmocka_unit_test(a_state_that_is_broken_in_the_middle_changes_nothing),
        cmocka_unit_test(a_name_that_would_break_addresses_or_logs_is_refused),
        cmocka_unit_test(a_member_of_another_time_is_told_why_it_may_not_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
