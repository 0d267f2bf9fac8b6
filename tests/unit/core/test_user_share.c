/* A user's message in a storm of membership news: it has its share of what is sent, and no more. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "packet.h"
#include "serf_message.h"
#include "virtual_network.h"

#include <stdio.h>

enum { STORM = 3000 };

struct seen {
    struct wire_codec codec;
    uint32_t datagrams;
    uint32_t first; /* the datagram that had the first user message */
    size_t user_bytes, other_bytes;
};

static bool is_of_a_user(struct span message)
{
    return message.data[0] == MESSAGE_USER && message.size > 1 &&
           (message.data[1] == SERF_USER_EVENT || message.data[1] == SERF_QUERY);
}

static void look(void *context, const struct host *from, const struct effect *effect)
{
    struct seen *seen = context;
    struct packet_reader reader;
    struct packet_problem problem;
    struct span message;
    if (from->number != 0)
        return;
    problem = packet_open(&reader, &seen->codec, effect->packet.datagram);
    assert_int_equal(problem.error, PACKET_OK);
    assert_true(effect->packet.datagram.size <= 1405);
    seen->datagrams++;
    while (packet_next(&reader, &message, &problem)) {
        if (!is_of_a_user(message)) {
            seen->other_bytes += message.size + COMPOUND_PART_OVERHEAD;
            continue;
        }
        if (seen->first == 0)
            seen->first = seen->datagrams;
        seen->user_bytes += message.size + COMPOUND_PART_OVERHEAD;
    }
}

/* Two members, the first of which is told of so many others, and of their join intents, that it
 * has enough to gossip for minutes. */
static struct network *storm(struct seen *seen)
{
    struct network *network = network_new(5);
    struct serf_config config = network_config();
    struct buffer message;
    buffer_init(&message, 1024);
    config.swim.compress = false;
    network_start(network, 0, "a", &config);
    network_start(network, 1, "b", &config);
    host_join(network, &network->hosts[1], "10.0.0.1");
    network_run(network, SECONDS(3));
    for (uint32_t i = 0; i < STORM; i++) {
        static const uint8_t versions[6] = {1, 5, 2, 2, 5, 5};
        const uint8_t address[4] = {10, 7, (uint8_t)(i >> 8), (uint8_t)i};
        char name[16];
        snprintf(name, sizeof name, "m%u", i);
        struct alive_message alive = {.incarnation = 1,
                                      .node = span_text(name),
                                      .address = span_make(address, 4),
                                      .port = 7946,
                                      .versions = span_make(versions, 6)};
        struct join_intent join = {.ltime = 3, .node = span_text(name)};
        buffer_reset(&message);
        message_write(&message, MESSAGE_ALIVE, &alive_structure, &alive);
        host_deliver(network, &network->hosts[0], buffer_span(&message));
        buffer_reset(&message);
        buffer_append_u8(&message, MESSAGE_USER);
        serf_message_write(&message, SERF_JOIN, &join_intent_structure, &join);
        host_deliver(network, &network->hosts[0], buffer_span(&message));
    }
    buffer_fini(&message);
    *seen = (struct seen){0};
    wire_codec_init(&seen->codec, &network->random);
    network->look = look;
    network->look_context = seen;
    return network;
}

static void end(struct network *network, struct seen *seen)
{
    network_free(network);
    wire_codec_fini(&seen->codec);
}

static void send_event(struct network *network, const char *name, size_t size)
{
    static const uint8_t payload[512];
    struct buffer error;
    buffer_init(&error, 256);
    assert_true(serf_user_event(network->hosts[0].serf, network->now, span_text(name),
                                span_make(payload, size), false, &error));
    host_drain(network, &network->hosts[0]);
    buffer_fini(&error);
}

static void a_user_event_goes_out_amid_a_storm_of_membership(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 450};
    for (size_t i = 0; i < 3; i++) {
        struct seen seen;
        struct network *network = storm(&seen);
        send_event(network, "deploy", sizes[i]);
        network_run(network, SECONDS(1));
        assert_in_range(seen.first, 1, 4); /* a message of half a datagram waits for its share */
        end(network, &seen);
    }
}

static void a_query_of_nearly_a_datagram_goes_out_amid_a_storm(void **state)
{
    (void)state;
    static const uint8_t payload[900];
    struct seen seen;
    struct network *network = storm(&seen);
    struct serf_query_parameters question = {.name = span_text("load"),
                                             .payload = span_make(payload, sizeof payload)};
    struct buffer error;
    buffer_init(&error, 256);
    assert_true(serf_query(network->hosts[0].serf, network->now, &question, &error) != 0);
    host_drain(network, &network->hosts[0]);
    network_run(network, SECONDS(2));
    assert_in_range(seen.first, 1, 10);
    buffer_fini(&error);
    end(network, &seen);
}

static void a_flood_of_user_events_leaves_membership_its_part(void **state)
{
    (void)state;
    struct seen seen;
    struct network *network = storm(&seen);
    for (uint32_t i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "e%u", i);
        send_event(network, name, 60 + i % 300);
    }
    network_run(network, SECONDS(10));
    size_t all = seen.user_bytes + seen.other_bytes;
    assert_true(seen.datagrams > 100);
    assert_in_range(seen.user_bytes * 100 / all, 15, 35);
    assert_true(all > seen.datagrams * 1000); /* what is kept free is used */
    end(network, &seen);
}

static void one_user_event_takes_no_more_room_than_it_needs(void **state)
{
    (void)state;
    struct seen seen;
    struct network *network = storm(&seen);
    send_event(network, "deploy", 60);
    network_run(network, SECONDS(1));
    assert_true(seen.first > 0 && seen.datagrams > 5);
    assert_true(seen.user_bytes + seen.other_bytes > seen.datagrams * 1200);
    end(network, &seen);
}

static void without_user_messages_membership_fills_the_datagrams(void **state)
{
    (void)state;
    struct seen seen;
    struct network *network = storm(&seen);
    network_run(network, SECONDS(5));
    assert_true(seen.datagrams > 50);
    assert_true(seen.other_bytes > seen.datagrams * 1200);
    end(network, &seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_event_goes_out_amid_a_storm_of_membership),
        cmocka_unit_test(a_query_of_nearly_a_datagram_goes_out_amid_a_storm),
        cmocka_unit_test(a_flood_of_user_events_leaves_membership_its_part),
        cmocka_unit_test(one_user_event_takes_no_more_room_than_it_needs),
        cmocka_unit_test(without_user_messages_membership_fills_the_datagrams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
