/* User events, queries, keys over the cluster, the vote on a name, and coordinates, on a small
 * network in virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "coordinate.h"
#include "keyring.h"
#include "serf_message.h"
#include "virtual_network.h"

#include <stdio.h>

/* Expressions of these tests are plain words that must occur; "(" is a bad one. */
static bool word_occurs(struct span expression, struct span text, struct buffer *error)
{
    if (span_equal_text(expression, "("))
        buffer_append_text(error, "missing closing )");
    else if (span_equal_text(expression, "^$"))
        return text.size == 0;
    else
        return text.size > 0 &&
               memmem(text.data, text.size, expression.data, expression.size) != NULL;
    return false;
}

static struct serf_config settings(void)
{
    struct serf_config config = network_config();
    config.expression_matches = word_occurs;
    config.user_coalesce_period = config.user_quiescent_period = 0;
    return config;
}

static struct network *cluster_of(uint32_t size, struct serf_config config)
{
    struct network *network = network_new(40 + size);
    for (uint32_t i = 0; i < size; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, &config);
        network->hosts[i].answer = network->hosts[i].name;
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(30), network_agrees));
    network_run(network, SECONDS(5));
    return network;
}

static struct network *cluster(uint32_t size)
{
    return cluster_of(size, settings());
}

static uint32_t occurrences(struct buffer *in, const char *text)
{
    uint32_t count = 0;
    for (const char *at = buffer_text(in); (at = strstr(at, text)); at += strlen(text))
        count++;
    return count;
}

/* --- user events --- */

static bool send_event(struct network *network, struct host *host, size_t payload_size,
                       struct buffer *error)
{
    static const char payload[10000] = {0};
    bool sent = serf_user_event(host->serf, network->now, span_text("deploy"),
                                span_make(payload, payload_size), false, error);
    host_drain(network, host);
    return sent;
}

static void an_event_is_told_to_everybody_once(void **state)
{
    (void)state;
    struct network *network = cluster(8);
    struct buffer error;
    buffer_init(&error, 256);
    for (int i = 0; i < 3; i++)
        assert_true(send_event(network, &network->hosts[2], 3, &error));
    assert_int_equal(occurrences(&network->hosts[2].events, "user deploy"), 3);
    network_run(network, SECONDS(10));
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(occurrences(&network->hosts[i].events, "user deploy"), 3);
    buffer_fini(&error);
    network_free(network);
}

static void an_event_that_is_too_long_is_refused_in_the_words_of_the_reference(void **state)
{
    (void)state;
    struct serf_config config = settings();
    struct network *network = cluster(1);
    struct host *host = &network->hosts[0];
    struct buffer error;
    buffer_init(&error, 256);
    assert_true(send_event(network, host, 482 - 6, &error)); /* 482 with the name */
    assert_false(send_event(network, host, 483 - 6, &error));
    assert_string_equal(buffer_text(&error),
                        "encoded user event exceeds configured limit of 512 bytes after encoding");
    buffer_reset(&error);
    assert_false(send_event(network, host, 513, &error));
    assert_string_equal(buffer_text(&error),
                        "user event exceeds configured limit of 512 bytes before encoding");
    network_free(network);
    config.user_event_size_limit = 20000;
    network = cluster_of(1, config);
    buffer_reset(&error);
    assert_false(send_event(network, &network->hosts[0], 9300, &error));
    assert_string_equal(buffer_text(&error),
                        "user event exceeds sane limit of 9216 bytes before encoding");
    buffer_fini(&error);
    network_free(network);
}

static void deliver_event(struct network *network, uint64_t ltime, const char *name)
{
    struct user_event_message event = {
        .ltime = ltime, .name = span_text(name), .payload = span_make(&ltime, 1), .coalesce = true};
    struct buffer bytes;
    buffer_init(&bytes, 1024);
    buffer_append_u8(&bytes, MESSAGE_USER);
    serf_message_write(&bytes, SERF_USER_EVENT, &user_event_structure, &event);
    host_deliver(network, &network->hosts[0], buffer_span(&bytes));
    buffer_fini(&bytes);
}

static void of_coalesced_events_the_newest_are_told(void **state)
{
    (void)state;
    struct serf_config config = settings();
    config.user_coalesce_period = SECONDS(3);
    config.user_quiescent_period = SECONDS(1);
    struct network *network = cluster_of(1, config);
    struct host *host = &network->hosts[0];
    deliver_event(network, '5', "e");
    deliver_event(network, '7', "e");
    deliver_event(network, '7', "f"); /* another name, the same time */
    deliver_event(network, '6', "e");
    network_run(network, SECONDS(1) - NANOSECONDS_PER_MS);
    assert_int_equal(occurrences(&host->events, "user"), 0);
    network_run(network, 2 * NANOSECONDS_PER_MS);
    assert_int_equal(occurrences(&host->events, "user e 7\n"), 1);
    assert_int_equal(occurrences(&host->events, "user f 7\n"), 1);
    assert_int_equal(occurrences(&host->events, "user"), 2);
    for (int i = 0; i < 10; i++) { /* never quiet: the quantum ends it */
        deliver_event(network, 'a' + (uint64_t)i, "g");
        network_run(network, SECONDS(1) / 2);
    }
    assert_true(occurrences(&host->events, "user g") >= 1);
    network_free(network);
}

/* --- queries --- */

static struct serf_query_parameters question(void)
{
    return (struct serf_query_parameters){
        .name = span_text("uptime"), .payload = span_text("x"), .acknowledge = true};
}

static uint32_t ask(struct network *network, struct host *host,
                    const struct serf_query_parameters *parameters)
{
    struct buffer error;
    buffer_init(&error, 256);
    uint32_t query = serf_query(host->serf, network->now, parameters, &error);
    assert_string_equal(buffer_text(&error), "");
    assert_true(query != 0);
    buffer_fini(&error);
    host_drain(network, host);
    return query;
}

static void a_query_is_acknowledged_and_answered_once_by_everybody(void **state)
{
    (void)state;
    for (uint8_t relays = 0; relays < 4; relays++) {
        struct network *network = cluster(6);
        struct host *host = &network->hosts[3];
        struct serf_query_parameters parameters = question();
        parameters.relay_factor = relays;
        uint32_t query = ask(network, host, &parameters);
        network_run(network, 3200 * NANOSECONDS_PER_MS - 1);
        assert_int_equal(occurrences(&host->answers, "done"), 0);
        network_run(network, 2);
        char text[64];
        for (uint32_t i = 0; i < 6; i++) {
            snprintf(text, sizeof text, "ack %u n%u\n", query, i + 1);
            assert_int_equal(occurrences(&host->answers, text), 1);
            snprintf(text, sizeof text, "answer %u n%u n%u\n", query, i + 1, i + 1);
            assert_int_equal(occurrences(&host->answers, text), 1);
            assert_int_equal(occurrences(&network->hosts[i].events, "query uptime x from n4\n"), 1);
        }
        snprintf(text, sizeof text, "done %u\n", query);
        assert_int_equal(occurrences(&host->answers, text), 1);
        network_free(network);
    }
}

/* In the reference two of them may take one Lamport time, and one then gets no answers. */
static void queries_asked_at_one_instant_each_have_their_answers(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    uint32_t queries[8];
    struct serf_query_parameters parameters = question();
    parameters.acknowledge = false;
    for (uint32_t i = 0; i < 8; i++)
        queries[i] = ask(network, &network->hosts[i % 3], &parameters);
    network_run(network, SECONDS(5));
    for (uint32_t i = 0; i < 8; i++)
        for (uint32_t j = 0; j < 3; j++) {
            char text[64];
            snprintf(text, sizeof text, "answer %u n%u n%u\n", queries[i], j + 1, j + 1);
            assert_int_equal(occurrences(&network->hosts[i % 3].answers, text), 1);
        }
    network_free(network);
}

static void relays_carry_an_answer_around_a_broken_path(void **state)
{
    (void)state;
    uint32_t answered = 0;
    for (uint8_t relays = 0; relays < 2; relays++) {
        struct network *network = cluster(6);
        struct serf_query_parameters parameters = question();
        parameters.relay_factor = relays ? 4 : 0;
        network_cut(network, &network->hosts[0], &network->hosts[5], true, false);
        ask(network, &network->hosts[0], &parameters);
        network_run(network, SECONDS(4));
        answered = occurrences(&network->hosts[0].answers, " n6 n6\n");
        assert_int_equal(answered, relays);
        network_free(network);
    }
}

static void only_the_named_nodes_answer(void **state)
{
    (void)state;
    struct network *network = cluster(5);
    struct span nodes[] = {span_text("n2"), span_text("n5"), span_text("nobody")};
    struct serf_query_parameters parameters = question();
    parameters.nodes = nodes;
    parameters.node_count = 3;
    ask(network, &network->hosts[0], &parameters);
    network_run(network, SECONDS(4));
    assert_int_equal(occurrences(&network->hosts[0].answers, "answer"), 2);
    assert_int_equal(occurrences(&network->hosts[0].answers, "ack"), 2);
    assert_int_equal(occurrences(&network->hosts[0].answers, " n5 n5\n"), 1);
    assert_int_equal(occurrences(&network->hosts[0].events, "query"), 0);
    network_free(network);
}

static void only_members_whose_tags_match_answer(void **state)
{
    (void)state;
    struct network *network = cluster(4);
    struct tag web[] = {{span_text("role"), span_text("web")},
                        {span_text("dc"), span_text("east")}};
    struct tag database[] = {{span_text("role"), span_text("db")}};
    serf_set_tags(network->hosts[1].serf, network->now, web, 2);
    serf_set_tags(network->hosts[2].serf, network->now, database, 1);
    host_drain(network, &network->hosts[1]);
    host_drain(network, &network->hosts[2]);
    network_run(network, SECONDS(3));
    static const struct {
        const char *tag, *expression;
        const char *who;
    } cases[] = {{"role", "web", "n2"},
                 {"role", "b", "n2n3"},
                 {"dc", "^$", "n1n3n4"},
                 {"role", "(", ""},
                 {"role", "x", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tag filter = {span_text(cases[i].tag), span_text(cases[i].expression)};
        struct serf_query_parameters parameters = question();
        parameters.tags = &filter;
        parameters.tag_count = 1;
        buffer_reset(&network->hosts[3].answers);
        ask(network, &network->hosts[3], &parameters);
        network_run(network, SECONDS(4));
        for (uint32_t n = 1; n <= 4; n++) {
            char name[8], text[32];
            snprintf(name, sizeof name, "n%u", n);
            snprintf(text, sizeof text, " n%u n%u\n", n, n);
            assert_int_equal(occurrences(&network->hosts[3].answers, text),
                             strstr(cases[i].who, name) != NULL);
        }
    }
    assert_true(host_logged(&network->hosts[0], "serf: failed to compile filter regex ((): "
                                                "missing closing )"));
    network_free(network);
}

/* A query from a stranger, with these filters. */
static void deliver_query(struct network *network, uint64_t ltime, struct span filters,
                          uint32_t flags)
{
    static const uint8_t address[4] = {10, 0, 0, 99};
    struct query_message query = {.ltime = ltime,
                                  .id = 77,
                                  .address = span_make(address, 4),
                                  .port = 7946,
                                  .source_node = span_text("stranger"),
                                  .filters = filters,
                                  .flags = flags,
                                  .timeout_ns = (int64_t)SECONDS(1),
                                  .name = span_text("q")};
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    buffer_append_u8(&bytes, MESSAGE_USER);
    serf_message_write(&bytes, SERF_QUERY, &query_structure, &query);
    host_deliver(network, &network->hosts[0], buffer_span(&bytes));
    buffer_fini(&bytes);
}

static void filters_that_make_no_sense_select_nobody_and_are_passed_on(void **state)
{
    (void)state;
    static const char *const filters[] = {"\x91\xa0",             /* one of no bytes */
                                          "\x91\xa1\x07",         /* unknown kind */
                                          "\x91\xa1\x01",         /* no body */
                                          "\x91\xa2\x01\xc1",     /* malformed */
                                          "\x91\xa3\x00\x92\xa1", /* malformed list */
                                          "\x93\xa0",             /* fewer than announced */
                                          "\x05"};
    struct network *network = cluster(2);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        deliver_query(network, 10 + i,
                      span_make(filters[i], i == 0 ? 2 : strlen(filters[i]) + (i == 4 ? 3 : 0)), 1);
    assert_int_equal(occurrences(&network->hosts[0].events, "query"), 0);
    struct serf_stats stats;
    serf_stats(network->hosts[0].serf, &stats);
    assert_true(stats.query_queue >= 6);
    deliver_query(network, 100, SPAN_EMPTY, 3); /* not to be broadcast */
    assert_int_equal(occurrences(&network->hosts[0].events, "query"), 1);
    network_free(network);
}

static void an_answer_is_sent_once_in_time_and_not_too_long(void **state)
{
    (void)state;
    struct network *network = cluster(1);
    struct host *host = &network->hosts[0];
    struct buffer error;
    static const char payload[2000] = {0};
    buffer_init(&error, 1024);
    host->answer = NULL;
    deliver_query(network, 10, SPAN_EMPTY, 0);
    assert_false(serf_respond(host->serf, network->now, 4242, SPAN_EMPTY, &error));
    assert_string_equal(buffer_text(&error),
                        "failed to respond to key query: response is past the deadline");
    buffer_reset(&error);
    assert_false(serf_respond(host->serf, network->now, 1, span_make(payload, 2000), &error));
    assert_string_equal(buffer_text(&error),
                        "failed to respond to key query: response exceeds limit of 1024 bytes");
    buffer_reset(&error);
    assert_true(serf_respond(host->serf, network->now, 1, span_make(payload, 900), &error));
    assert_false(serf_respond(host->serf, network->now, 1, span_make(payload, 9), &error));
    assert_string_equal(buffer_text(&error),
                        "failed to respond to key query: response already sent");
    buffer_reset(&error);
    host_drain(network, host);
    deliver_query(network, 11, SPAN_EMPTY, 0);
    network_run(network, SECONDS(2));
    assert_false(serf_respond(host->serf, network->now, 2, SPAN_EMPTY, &error));
    assert_string_equal(buffer_text(&error),
                        "failed to respond to key query: response is past the deadline");
    host_drain(network, host);
    buffer_fini(&error);
    network_free(network);
}

static void queries_that_cannot_be_asked_are_refused(void **state)
{
    (void)state;
    static const char payload[2000] = {0};
    struct serf_config config = settings();
    struct network *network = cluster(1);
    struct buffer error;
    buffer_init(&error, 256);
    struct serf_query_parameters parameters = question();
    parameters.payload = span_make(payload, 1000);
    assert_int_equal(serf_query(network->hosts[0].serf, network->now, &parameters, &error), 0);
    assert_string_equal(buffer_text(&error), "query exceeds limit of 1024 bytes");
    network_free(network);
    config.protocol_version = 3;
    network = cluster_of(1, config);
    buffer_reset(&error);
    parameters = question();
    assert_int_equal(serf_query(network->hosts[0].serf, network->now, &parameters, &error), 0);
    assert_string_equal(buffer_text(&error), "Feature not supported");
    buffer_fini(&error);
    network_free(network);
}

static void answers_to_nothing_are_a_warning(void **state)
{
    (void)state;
    struct network *network = cluster(1);
    struct query_response_message response = {.ltime = 9, .id = 8, .from = span_text("x")};
    struct buffer bytes;
    buffer_init(&bytes, 1024);
    buffer_append_u8(&bytes, MESSAGE_USER);
    serf_message_write(&bytes, SERF_QUERY_RESPONSE, &query_response_structure, &response);
    host_deliver(network, &network->hosts[0], buffer_span(&bytes));
    assert_true(host_logged(&network->hosts[0],
                            "serf: reply for non-running query (LTime: 9, ID: 8) From: x"));
    buffer_fini(&bytes);
    network_free(network);
}

static void forged_senders_fill_no_memory(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    struct serf_query_parameters parameters = question();
    ask(network, &network->hosts[0], &parameters);
    struct buffer bytes;
    buffer_init(&bytes, 1024);
    size_t before = network->pool.bytes;
    for (uint32_t id = 0; id < 5000; id++) {
        char name[32];
        snprintf(name, sizeof name, "forged-%u", id);
        struct query_response_message response = {.ltime = 1, .id = id, .from = span_text(name)};
        buffer_reset(&bytes);
        buffer_append_u8(&bytes, MESSAGE_USER);
        serf_message_write(&bytes, SERF_QUERY_RESPONSE, &query_response_structure, &response);
        host_deliver(network, &network->hosts[0], buffer_span(&bytes));
    }
    assert_true(network->pool.bytes < before + 10000);
    network_run(network, SECONDS(4));
    assert_int_equal(occurrences(&network->hosts[0].answers, "ack"), 3);
    buffer_fini(&bytes);
    network_free(network);
}

static void a_cancelled_query_tells_nothing_more(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    struct serf_query_parameters parameters = question();
    uint32_t query = ask(network, &network->hosts[0], &parameters);
    buffer_reset(&network->hosts[0].answers);
    serf_query_cancel(network->hosts[0].serf, query);
    network_run(network, SECONDS(5));
    assert_int_equal(network->hosts[0].answers.size, 0);
    network_free(network);
}

static void the_application_does_not_see_internal_queries(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    struct serf_query_parameters parameters = {.name = span_text("_serf_ping"),
                                               .acknowledge = true};
    ask(network, &network->hosts[0], &parameters);
    parameters.name = span_text("_serf_nonsense");
    ask(network, &network->hosts[0], &parameters);
    network_run(network, SECONDS(4));
    assert_int_equal(occurrences(&network->hosts[0].answers, "ack"), 6);
    assert_int_equal(occurrences(&network->hosts[0].answers, "answer"), 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(occurrences(&network->hosts[i].events, "query"), 0);
        assert_true(host_logged(&network->hosts[i], "serf: Unhandled internal query 'nonsense'"));
    }
    network_free(network);
}

/* --- keys --- */

static const char key_one[] = "0123456789abcdef", key_two[] = "fedcba9876543210";
#define ONE_TEXT "MDEyMzQ1Njc4OWFiY2RlZg=="
#define TWO_TEXT "ZmVkY2JhOTg3NjU0MzIxMA=="

/* Members with a keyring each. */
static struct network *locked_cluster(uint32_t size, struct keyring **keyrings)
{
    struct network *network = network_new(90);
    for (uint32_t i = 0; i < size; i++) {
        char name[16];
        struct serf_config config = settings();
        keyrings[i] = keyring_new();
        keyring_add(keyrings[i], span_text(key_one));
        config.swim.keyring = keyrings[i];
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, &config);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(30), network_agrees));
    return network;
}

static void unlock(struct network *network, struct keyring **keyrings)
{
    uint32_t size = network->host_count;
    network_free(network);
    for (uint32_t i = 0; i < size; i++)
        keyring_free(keyrings[i]);
}

static const char *key_command(struct network *network, enum key_operation operation,
                               const char *key)
{
    struct host *host = &network->hosts[0];
    buffer_reset(&host->answers);
    serf_keys(host->serf, network->now, operation, span_text(key), 0);
    host_drain(network, host);
    network_run(network, SECONDS(4));
    return buffer_text(&host->answers);
}

static void a_rotation_of_keys_loses_nobody(void **state)
{
    (void)state;
    struct keyring *keyrings[4];
    struct network *network = locked_cluster(4, keyrings);
    assert_non_null(strstr(key_command(network, KEY_INSTALL, key_two),
                           "nodes=4 responses=4 errors=0 error=\n"));
    assert_non_null(
        strstr(key_command(network, KEY_USE, key_two), "nodes=4 responses=4 errors=0 error=\n"));
    const char *list = key_command(network, KEY_LIST, "");
    assert_non_null(strstr(list, "nodes=4 responses=4 errors=0 error= "));
    assert_non_null(strstr(list, " " ONE_TEXT "=4"));
    assert_non_null(strstr(list, " " TWO_TEXT "=4"));
    assert_non_null(strstr(list, " primary " TWO_TEXT "=4\n"));
    assert_non_null(
        strstr(key_command(network, KEY_REMOVE, key_one), "nodes=4 responses=4 errors=0 error=\n"));
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(keyring_count(keyrings[i]), 1);
        assert_true(span_equal_text(keyring_key(keyrings[i], 0), key_two));
        assert_true(host_logged(&network->hosts[i], "serf: Received install-key query"));
    }
    network_run(network, SECONDS(60));
    assert_true(network_agrees(network));
    for (uint32_t i = 0; i < 4; i++)
        assert_false(host_logged(&network->hosts[i], "EventMemberFailed"));
    unlock(network, keyrings);
}

static void what_members_refuse_is_in_the_report(void **state)
{
    (void)state;
    struct keyring *keyrings[2];
    struct network *network = locked_cluster(2, keyrings);
    const char *report = key_command(network, KEY_USE, key_two);
    assert_non_null(
        strstr(report, "nodes=2 responses=2 errors=2 error=2/2 nodes reported failure"));
    assert_non_null(strstr(report, "[n1: requested key is not in the keyring]"));
    report = key_command(network, KEY_REMOVE, key_one);
    assert_non_null(strstr(report, "[n2: removing the primary key is not allowed]"));
    report = key_command(network, KEY_INSTALL, "short");
    assert_non_null(strstr(report, "[n2: key size must be 16, 24 or 32 bytes]"));
    network->hosts[1].keyring_error = "Failed to write keyring file: no space left on device";
    report = key_command(network, KEY_INSTALL, key_two);
    assert_non_null(
        strstr(report, "nodes=2 responses=2 errors=1 error=1/2 nodes reported failure"));
    assert_non_null(strstr(report, "[n2: Failed to write keyring file: no space left on device]"));
    unlock(network, keyrings);
}

static void members_without_encryption_have_no_keys(void **state)
{
    (void)state;
    struct network *network = cluster(2);
    const char *report = key_command(network, KEY_INSTALL, key_two);
    assert_non_null(strstr(report, "[n2: No keyring to modify (encryption not enabled)]"));
    report = key_command(network, KEY_LIST, "");
    assert_non_null(strstr(report, "[n1: Keyring is empty (encryption not enabled)]"));
    network_free(network);
}

static void a_member_that_is_silent_is_missed_in_the_report(void **state)
{
    (void)state;
    struct keyring *keyrings[3];
    struct network *network = locked_cluster(3, keyrings);
    network_kill(network, &network->hosts[2]);
    assert_non_null(strstr(key_command(network, KEY_INSTALL, key_two),
                           "nodes=3 responses=2 errors=0 error=2/3 nodes reported success\n"));
    unlock(network, keyrings);
}

static void a_list_of_many_keys_is_cut_to_fit(void **state)
{
    (void)state;
    struct keyring *keyrings[1];
    struct network *network = locked_cluster(1, keyrings);
    for (int i = 0; i < 59; i++) {
        char key[17];
        snprintf(key, sizeof key, "key number %05d", i);
        assert_int_equal(keyring_add(keyrings[0], span_make(key, 16)), KEYRING_OK);
    }
    const char *report = key_command(network, KEY_LIST, "");
    assert_non_null(strstr(report, "errors=0 error= [n1: truncated key list response, showing "
                                   "first 34 of 60 keys]"));
    assert_int_equal(occurrences(&network->hosts[0].answers, "==1"), 35); /* and the primary */
    unlock(network, keyrings);
}

static void commands_that_change_keys_run_one_after_the_other(void **state)
{
    (void)state;
    struct keyring *keyrings[2];
    struct network *network = locked_cluster(2, keyrings);
    struct host *host = &network->hosts[0];
    serf_keys(host->serf, network->now, KEY_INSTALL, span_text(key_two), 0);
    serf_keys(host->serf, network->now, KEY_USE, span_text(key_two), 0);
    serf_keys(host->serf, network->now, KEY_REMOVE, span_text(key_one), 0);
    host_drain(network, host);
    network_run(network, SECONDS(12));
    assert_int_equal(occurrences(&host->answers, "nodes=2 responses=2 errors=0 error=\n"), 3);
    assert_true(span_equal_text(keyring_key(keyrings[1], 0), key_two));
    assert_int_equal(keyring_count(keyrings[1]), 1);
    unlock(network, keyrings);
}

/* --- coordinates --- */

static void coordinates_tell_the_round_trip_time(void **state)
{
    (void)state;
    struct network *network = cluster(6);
    network->delay = 20 * NANOSECONDS_PER_MS; /* one way 20 to 40 ms: 60 there and back */
    network_run(network, SECONDS(300));
    for (uint32_t i = 0; i < 6; i++)
        for (uint32_t k = 0; k < 6; k++) {
            struct coordinate mine, other;
            assert_true(
                serf_coordinate(network->hosts[i].serf, span_text(network->hosts[i].name), &mine));
            assert_true(
                serf_coordinate(network->hosts[i].serf, span_text(network->hosts[k].name), &other));
            int64_t estimate = coordinate_distance(&mine, &other);
            assert_true(i == k || (estimate > 40000000 && estimate < 80000000));
        }
    struct coordinate unknown;
    assert_false(serf_coordinate(network->hosts[0].serf, span_text("nobody"), &unknown));
    network_free(network);
}

static void coordinates_can_be_switched_off(void **state)
{
    (void)state;
    struct serf_config config = settings();
    config.coordinates = false;
    struct network *network = cluster_of(2, config);
    struct coordinate coordinate;
    network_run(network, SECONDS(10));
    assert_false(serf_coordinate(network->hosts[0].serf, span_text("n1"), &coordinate));
    assert_false(serf_coordinate(network->hosts[0].serf, span_text("n2"), &coordinate));
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_told_to_everybody_once),
        cmocka_unit_test(an_event_that_is_too_long_is_refused_in_the_words_of_the_reference),
        cmocka_unit_test(of_coalesced_events_the_newest_are_told),
        cmocka_unit_test(a_query_is_acknowledged_and_answered_once_by_everybody),
        cmocka_unit_test(queries_asked_at_one_instant_each_have_their_answers),
        cmocka_unit_test(relays_carry_an_answer_around_a_broken_path),
        cmocka_unit_test(only_the_named_nodes_answer),
        cmocka_unit_test(only_members_whose_tags_match_answer),
        cmocka_unit_test(filters_that_make_no_sense_select_nobody_and_are_passed_on),
        cmocka_unit_test(an_answer_is_sent_once_in_time_and_not_too_long),
        cmocka_unit_test(queries_that_cannot_be_asked_are_refused),
        cmocka_unit_test(answers_to_nothing_are_a_warning),
        cmocka_unit_test(forged_senders_fill_no_memory),
        cmocka_unit_test(a_cancelled_query_tells_nothing_more),
        cmocka_unit_test(the_application_does_not_see_internal_queries),
        cmocka_unit_test(a_rotation_of_keys_loses_nobody),
        cmocka_unit_test(what_members_refuse_is_in_the_report),
        cmocka_unit_test(members_without_encryption_have_no_keys),
        cmocka_unit_test(a_member_that_is_silent_is_missed_in_the_report),
        cmocka_unit_test(a_list_of_many_keys_is_cut_to_fit),
        cmocka_unit_test(commands_that_change_keys_run_one_after_the_other),
        cmocka_unit_test(coordinates_tell_the_round_trip_time),
        cmocka_unit_test(coordinates_can_be_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
