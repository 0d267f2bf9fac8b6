/* The public RPC client against an agent that says what the test prepared. */
#include "../cli/scripted_agent.h"

#include <cserf/rpc.h>

#include <poll.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_SECONDS = 70 };

static char seen[4096];
static unsigned calls;

static int forget(void **state)
{
    (void)state;
    seen[0] = '\0';
    calls = 0;
    return 0;
}

static void note(const char *text)
{
    calls++;
    strncat(seen, text, sizeof seen - strlen(seen) - 1);
    strncat(seen, ";", sizeof seen - strlen(seen) - 1);
}

static void on_node(void *context, const struct cserf_node *node)
{
    char text[256];
    (void)context;
    snprintf(text, sizeof text, "%s %s %u %s %zu", node->name, node->address, node->port,
             cserf_status_name(node->status), node->tag_count);
    note(text);
    for (size_t i = 0; i < node->tag_count; i++) {
        note(node->tags[i].key);
        note(node->tags[i].value);
    }
}

static void on_event(void *context, const struct cserf_event *event)
{
    char text[256];
    (void)context;
    snprintf(text, sizeof text, "%s %s %zu", cserf_event_name(event->type),
             event->node ? event->node->name : event->name, event->payload_size);
    note(text);
}

static void on_answer(void *context, const struct cserf_answer *answer)
{
    (void)context;
    note(answer->from ? answer->from : "done");
}

/* --- what the agent says --- */

static void say_answer(struct script *script, const char *error, uint64_t seq)
{
    hear_request(script);
    say_header(script, error, seq);
}

static void begin(struct script *script)
{
    script_init(script);
    say_answer(script, "", 1); /* the handshake */
}

static void say_structure(struct script *script, const struct msgpack_structure *structure,
                          const void *value)
{
    msgpack_write_structure(&script->said, structure, MSGPACK_RPC, value);
}

static void append_member(struct buffer *list, struct span name, const char *status)
{
    static const uint8_t tags[] = {0x81, 0xa4, 'r', 'o', 'l', 'e', 0xa3, 'w', 'e', 'b'};
    const struct rpc_member member = {
        .addr = span_make("\x0a\x00\x00\x01", 4),
        .name = name,
        .port = 7946,
        .status = span_text(status),
        .tags = span_make(tags, sizeof tags),
    };
    msgpack_write_structure(list, &rpc_member_structure, MSGPACK_RPC, &member);
}

static void say_members(struct script *script)
{
    struct buffer list;
    buffer_init(&list, 4096);
    msgpack_write_array(&list, 2);
    append_member(&list, span_text("web-2"), "failed");
    append_member(&list,
                  span_make("web\0"
                            "1",
                            5),
                  "alive");
    const struct rpc_members_response response = {buffer_span(&list)};
    say_structure(script, &rpc_members_response_structure, &response);
    buffer_fini(&list);
}

static void say_user_event(struct script *script, uint64_t seq, size_t payload_size)
{
    static uint8_t payload[3000];
    const struct rpc_user_event_record record = {.event = span_text("user"),
                                                 .name = span_text("deploy"),
                                                 .payload = span_make(payload, payload_size)};
    say_header(script, "", seq);
    say_structure(script, &rpc_user_event_record_structure, &record);
}

static void say_query_record(struct script *script, uint64_t seq, const char *type,
                             const char *from)
{
    const struct rpc_query_record record = {.from = span_text(from), .type = span_text(type)};
    say_header(script, "", seq);
    say_structure(script, &rpc_query_record_structure, &record);
}

static struct cserf_rpc *open_client(struct script *script)
{
    struct cserf_error error;
    script_start(script);
    struct cserf_rpc *rpc = cserf_rpc_new(script->address, NULL, &error);
    assert_string_equal(error.text, "");
    assert_non_null(rpc);
    return rpc;
}

static void end(struct script *script, struct cserf_rpc *rpc)
{
    cserf_rpc_free(rpc);
    script_end(script);
}

/* Only what the descriptor tells of is handed over. */
static enum cserf_code dispatch_until(struct cserf_rpc *rpc, unsigned wanted)
{
    time_t patience = time(NULL) + PATIENCE_SECONDS;
    enum cserf_code code = CSERF_OK;
    while (calls < wanted && code == CSERF_OK && time(NULL) < patience) {
        struct pollfd wait = {cserf_rpc_descriptor(rpc), POLLIN, 0};
        if (poll(&wait, 1, 1000) > 0)
            code = cserf_rpc_dispatch(rpc, NULL);
    }
    return code;
}

/* --- tests --- */

static void members_come_in_order_with_their_tags(void **state)
{
    struct script script;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2);
    say_members(&script);
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_members(rpc, on_node, NULL, NULL), CSERF_OK);
    /* A zero byte in a name does not end it. */
    assert_string_equal(seen, "web?1 10.0.0.1 7946 alive 1;role;web;"
                              "web-2 10.0.0.1 7946 failed 1;role;web;");
    end(&script, rpc);
}

static void records_are_handed_over_around_answers_and_between(void **state)
{
    struct script script;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2); /* the stream */
    say_user_event(&script, 2, 1);
    say_answer(&script, "", 3); /* the event */
    say_user_event(&script, 2, 3000);
    say_user_event(&script, 9, 5); /* nobody's */
    say_user_event(&script, 2, 7);
    script.silent = true;
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_stream(rpc, NULL, on_event, NULL, NULL), 2);
    assert_int_equal(cserf_rpc_user_event(rpc, "deploy", "x", 1, false, NULL), CSERF_OK);
    assert_int_equal(dispatch_until(rpc, 3), CSERF_OK);
    assert_string_equal(seen, "user deploy 1;user deploy 3000;user deploy 7;");
    end(&script, rpc);
}

static void a_record_that_came_with_an_answer_waits_for_no_other(void **state)
{
    struct script script;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2);
    say_answer(&script, "", 3);
    say_user_event(&script, 2, 1);
    script.silent = script.whole = true;
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_stream(rpc, NULL, on_event, NULL, NULL), 2);
    assert_int_equal(cserf_rpc_user_event(rpc, "deploy", "x", 1, false, NULL), CSERF_OK);
    assert_string_equal(seen, "user deploy 1;");
    end(&script, rpc);
}

static void a_stopped_stream_is_silent(void **state)
{
    struct script script;
    struct cserf_error error;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2);
    say_user_event(&script, 2, 1);
    say_answer(&script, "", 3); /* the stop */
    say_user_event(&script, 2, 2);
    say_answer(&script, "", 4);
    say_members(&script);
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_stream(rpc, NULL, on_event, NULL, NULL), 2);
    assert_int_equal(cserf_rpc_stop(rpc, 2, NULL), CSERF_OK);
    assert_int_equal(cserf_rpc_stop(rpc, 2, &error), CSERF_INVALID);
    assert_int_equal(cserf_rpc_members(rpc, on_node, NULL, NULL), CSERF_OK);
    assert_null(strstr(seen, "user deploy 2"));
    end(&script, rpc);
}

static void a_query_is_over_when_the_agent_says_so(void **state)
{
    struct script script;
    struct cserf_query_options options = CSERF_QUERY_OPTIONS;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2);
    say_query_record(&script, 2, "ack", "a");
    say_query_record(&script, 2, "response", "b");
    say_query_record(&script, 2, "response", ""); /* some agents do at the deadline */
    say_query_record(&script, 2, "done", "");
    struct cserf_rpc *rpc = open_client(&script);
    options.acks = true;
    assert_int_equal(cserf_rpc_query(rpc, "who", NULL, 0, &options, on_answer, NULL, NULL),
                     CSERF_OK);
    assert_string_equal(seen, "a;b;done;");
    end(&script, rpc);
}

static void a_query_whose_agent_goes_away_is_closed(void **state)
{
    struct script script;
    struct cserf_error error;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2);
    say_query_record(&script, 2, "ack", "a");
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_query(rpc, "who", NULL, 0, NULL, on_answer, NULL, &error),
                     CSERF_CLOSED);
    assert_int_equal(cserf_rpc_leave(rpc, &error), CSERF_CLOSED);
    assert_int_equal(cserf_rpc_dispatch(rpc, &error), CSERF_CLOSED);
    end(&script, rpc);
}

static void a_refusal_is_the_agents_words_and_the_connection_goes_on(void **state)
{
    struct script script;
    struct cserf_error error;
    unsigned contacted = 7;
    const char *peer = "10.0.0.9";
    const struct rpc_join_response one = {1};
    (void)state;
    begin(&script);
    say_answer(&script, "nobody there", 2);
    say_structure(&script, &rpc_join_response_structure, &(struct rpc_join_response){0});
    say_answer(&script, "", 3);
    say_structure(&script, &rpc_join_response_structure, &one);
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_join(rpc, &peer, 1, false, &contacted, &error), CSERF_REFUSED);
    assert_string_equal(error.text, "nobody there");
    assert_int_equal(contacted, 0);
    assert_int_equal(cserf_rpc_join(rpc, &peer, 1, false, &contacted, &error), CSERF_OK);
    assert_string_equal(error.text, "");
    assert_int_equal(contacted, 1);
    end(&script, rpc);
}

static void a_silent_agent_costs_the_time_limit_and_the_connection(void **state)
{
    struct script script;
    struct cserf_error error;
    (void)state;
    begin(&script);
    script.silent = true;
    struct cserf_rpc *rpc = open_client(&script);
    cserf_rpc_set_time_limit(rpc, 1);
    assert_int_equal(cserf_rpc_stats(rpc, NULL, NULL, &error), CSERF_TIMED_OUT);
    assert_int_equal(cserf_rpc_stats(rpc, NULL, NULL, &error), CSERF_CLOSED);
    end(&script, rpc);
}

static void nobody_listening_is_told(void **state)
{
    struct cserf_error error;
    (void)state;
    assert_null(cserf_rpc_new("127.0.0.1:1", NULL, &error));
    assert_int_equal(error.code, CSERF_SYSTEM);
    assert_string_equal(error.text, "dial tcp 127.0.0.1:1: connect: connection refused");
    assert_null(cserf_rpc_new("nonsense", NULL, NULL));
}

static void call_inside(void *context, const struct cserf_node *node)
{
    (void)node;
    calls += cserf_rpc_leave(context, NULL) == CSERF_BUSY;
}

static void inside_a_callback_the_client_is_busy(void **state)
{
    struct script script;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2);
    say_members(&script);
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_members(rpc, call_inside, rpc, NULL), CSERF_OK);
    assert_int_equal(calls, 2);
    end(&script, rpc);
}

static void on_stat(void *context, const char *section, const char *key, const char *value)
{
    char text[128];
    (void)context;
    snprintf(text, sizeof text, "%s.%s=%s", section, key, value);
    note(text);
}

static void stats_are_flat_lines(void **state)
{
    struct script script;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2);
    msgpack_write_map(&script.said, 1);
    msgpack_write_string_text(&script.said, "serf");
    msgpack_write_map(&script.said, 2);
    for (int i = 0; i < 2; i++) {
        msgpack_write_string_text(&script.said, i == 0 ? "members" : "failed");
        msgpack_write_string_text(&script.said, i == 0 ? "3" : "0");
    }
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_stats(rpc, on_stat, NULL, NULL), CSERF_OK);
    assert_string_equal(seen, "serf.failed=0;serf.members=3;");
    end(&script, rpc);
}

static void on_report(void *context, const struct cserf_error *error,
                      const struct cserf_key_report *report)
{
    char text[256];
    (void)context;
    snprintf(text, sizeof text, "%d %u %u %u", error->code, report->nodes, report->responses,
             report->errors);
    note(text);
    for (size_t i = 0; i < report->key_count; i++) {
        snprintf(text, sizeof text, "%s %u", report->keys[i].text, report->keys[i].nodes);
        note(text);
    }
    for (size_t i = 0; i < report->message_count; i++) {
        snprintf(text, sizeof text, "%s: %s", report->messages[i].node, report->messages[i].text);
        note(text);
    }
}

static void say_key_response(struct script *script, const char *key, const char *node)
{
    struct buffer keys, messages;
    buffer_init(&keys, 256);
    buffer_init(&messages, 256);
    msgpack_write_map(&keys, key ? 1 : 0);
    if (key) {
        msgpack_write_string_text(&keys, key);
        msgpack_write_unsigned(&keys, 3);
    }
    msgpack_write_map(&messages, node ? 1 : 0);
    if (node) {
        msgpack_write_string_text(&messages, node);
        msgpack_write_string_text(&messages, "no");
    }
    const struct rpc_key_response response = {.keys = buffer_span(&keys),
                                              .messages = buffer_span(&messages),
                                              .num_err = node ? 1 : 0,
                                              .num_nodes = 3,
                                              .num_resp = 3};
    say_structure(script, &rpc_key_response_structure, &response);
    buffer_fini(&keys);
    buffer_fini(&messages);
}

static void keys_are_reported_whether_all_went_well_or_not(void **state)
{
    struct script script;
    struct cserf_error error;
    (void)state;
    begin(&script);
    say_answer(&script, "", 2);
    say_key_response(&script, "a2V5", NULL);
    say_answer(&script, "1/3 nodes reported failure", 3);
    say_key_response(&script, NULL, "b");
    say_answer(&script, "", 4);
    say_key_response(&script, NULL, NULL);
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_keys(rpc, CSERF_KEY_LIST, NULL, on_report, NULL, NULL), CSERF_OK);
    assert_int_equal(cserf_rpc_keys(rpc, CSERF_KEY_REMOVE, "a2V5", on_report, NULL, &error),
                     CSERF_REFUSED);
    assert_string_equal(error.text, "1/3 nodes reported failure");
    assert_int_equal(cserf_rpc_keys(rpc, CSERF_KEY_USE, "a2V5", NULL, NULL, &error), CSERF_OK);
    assert_int_equal(cserf_rpc_keys(rpc, 9, "a2V5", NULL, NULL, &error), CSERF_INVALID);
    assert_string_equal(seen, "0 3 3 0;a2V5 3;3 3 3 1;b: no;");
    end(&script, rpc);
}

static void say_coordinate(struct script *script, uint64_t seq, double height, bool known)
{
    struct buffer coordinate, vector;
    buffer_init(&coordinate, 256);
    buffer_init(&vector, 256);
    msgpack_write_array(&vector, 2);
    msgpack_write_double(&vector, 0);
    msgpack_write_double(&vector, 0);
    const struct rpc_coordinate message = {.height = height, .vec = buffer_span(&vector)};
    msgpack_write_structure(&coordinate, &rpc_coordinate_structure, MSGPACK_RPC, &message);
    const struct rpc_coordinate_response response = {
        .coord = known ? buffer_span(&coordinate) : SPAN_EMPTY, .ok = known};
    say_answer(script, "", seq);
    say_structure(script, &rpc_coordinate_response_structure, &response);
    buffer_fini(&coordinate);
    buffer_fini(&vector);
}

static void a_round_trip_is_the_distance_of_two_coordinates(void **state)
{
    struct script script;
    struct cserf_error error;
    double rtt_ms = 0;
    (void)state;
    begin(&script);
    say_coordinate(&script, 2, 0.001, true);
    say_coordinate(&script, 3, 0.002, true);
    say_answer(&script, "", 4); /* who the agent is */
    msgpack_write_map(&script.said, 1);
    msgpack_write_string_text(&script.said, "agent");
    msgpack_write_map(&script.said, 1);
    msgpack_write_string_text(&script.said, "name");
    msgpack_write_string_text(&script.said, "me");
    say_coordinate(&script, 5, 0.001, true);
    say_coordinate(&script, 6, 0, false);
    struct cserf_rpc *rpc = open_client(&script);
    assert_int_equal(cserf_rpc_rtt(rpc, "a", "b", &rtt_ms, &error), CSERF_OK);
    assert_true(rtt_ms > 2.999 && rtt_ms < 3.001);
    assert_int_equal(cserf_rpc_rtt(rpc, "a", NULL, &rtt_ms, &error), CSERF_REFUSED);
    assert_string_equal(error.text, "the agent has no coordinate for a member 'me'");
    end(&script, rpc);
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_come_in_order_with_their_tags),
        TEST(records_are_handed_over_around_answers_and_between),
        TEST(a_record_that_came_with_an_answer_waits_for_no_other),
        TEST(a_stopped_stream_is_silent),
        TEST(a_query_is_over_when_the_agent_says_so),
        TEST(a_query_whose_agent_goes_away_is_closed),
        TEST(a_refusal_is_the_agents_words_and_the_connection_goes_on),
        TEST(a_silent_agent_costs_the_time_limit_and_the_connection),
        TEST(nobody_listening_is_told),
        TEST(inside_a_callback_the_client_is_busy),
        TEST(stats_are_flat_lines),
        TEST(keys_are_reported_whether_all_went_well_or_not),
        TEST(a_round_trip_is_the_distance_of_two_coordinates),
    };
    return cmocka_run_group_tests_name("lib_rpc", tests, NULL, NULL);
}
