/* A query's course as its client sees it, and the members that it waits for. */
#include "scripted_agent.h"

#include "awaited.h"
#include "query_run.h"

struct seen {
    struct buffer text; /* what the observer was told */
    unsigned wanted;    /* responses after which it is satisfied; 0: never */
    unsigned responses;
};

static void told_dispatched(void *context)
{
    struct seen *seen = context;
    buffer_append_text(&seen->text, "dispatched;");
}

static void told_ack(void *context, struct span from)
{
    struct seen *seen = context;
    buffer_printf(&seen->text, "ack %.*s;", SPAN_PRINT(from));
}

static void told_response(void *context, struct span from, struct span payload)
{
    struct seen *seen = context;
    buffer_printf(&seen->text, "%.*s=%.*s;", SPAN_PRINT(from), SPAN_PRINT(payload));
    seen->responses++;
}

static void told_gone(void *context, struct span name)
{
    struct seen *seen = context;
    buffer_printf(&seen->text, "gone %.*s;", SPAN_PRINT(name));
}

static bool is_satisfied(void *context)
{
    const struct seen *seen = context;
    return seen->wanted > 0 && seen->responses >= seen->wanted;
}

static void say_record(struct script *script, const char *type, const char *from,
                       const char *payload)
{
    const struct rpc_query_record record = {
        .from = span_text(from), .payload = span_text(payload), .type = span_text(type)};
    say_header(script, "", 2);
    msgpack_write_structure(&script->said, &rpc_query_record_structure, MSGPACK_RPC, &record);
}

static void say_member(struct buffer *out, const char *name, const char *status)
{
    const struct rpc_member member = {.name = span_text(name), .status = span_text(status)};
    msgpack_write_structure(out, &rpc_member_structure, MSGPACK_RPC, &member);
}

/* Runs a query against the script; `told` is what the observer must have been told. */
static void query_ends(struct script *script, unsigned wanted, enum query_end end, const char *told,
                       const char *words)
{
    struct seen seen = {.wanted = wanted};
    struct buffer error;
    buffer_init(&error, 4096);
    buffer_init(&seen.text, 4096);
    const struct query_observer observer = {&seen,         told_dispatched, told_ack,
                                            told_response, told_gone,       is_satisfied};
    const struct rpc_query query = {.name = span_text("q")};
    script_start(script);
    struct rpc_client *client = rpc_client_open(script->address, "", &error);
    assert_non_null(client);
    assert_int_equal(query_run(client, &query, &observer, &error), end);
    assert_string_equal(buffer_text(&seen.text), told);
    assert_string_equal(buffer_text(&error), words);
    rpc_client_free(client);
    script_end(script);
    buffer_fini(&error);
    buffer_fini(&seen.text);
}

static void begin_script(struct script *script, const char *error)
{
    script_init(script);
    say_header(script, "", 1);
    say_header(script, error, 2);
}

static void answers_come_until_the_query_is_done(void **state)
{
    (void)state;
    struct script script;
    begin_script(&script, "");
    say_record(&script, "ack", "n1", NULL);
    say_record(&script, "response", "n1", "42");
    say_record(&script, "done", "", NULL);
    say_record(&script, "ack", "n2", NULL);
    query_ends(&script, 0, QUERY_DONE, "dispatched;ack n1;n1=42;", "");
}

static void records_without_a_sender_are_skipped(void **state)
{
    (void)state;
    struct script script;
    begin_script(&script, "");
    say_record(&script, "ack", "", NULL);
    say_record(&script, "response", "", NULL);
    say_record(&script, "response", "n1", "42");
    say_record(&script, "done", "", NULL);
    query_ends(&script, 0, QUERY_DONE, "dispatched;n1=42;", "");
}

static void a_query_that_is_satisfied_ends_early(void **state)
{
    (void)state;
    struct script script;
    begin_script(&script, "");
    say_record(&script, "response", "n1", "1");
    say_record(&script, "response", "n2", "2");
    say_record(&script, "response", "n3", "3");
    query_ends(&script, 2, QUERY_SATISFIED, "dispatched;n1=1;n2=2;", "");
}

static void a_refused_query_is_not_dispatched(void **state)
{
    (void)state;
    struct script script;
    begin_script(&script, "query exceeds limit of 1024 bytes");
    query_ends(&script, 0, QUERY_REFUSED, "", "query exceeds limit of 1024 bytes");
}

static void an_agent_that_goes_away_is_no_end_of_the_query(void **state)
{
    (void)state;
    struct script script;
    begin_script(&script, "");
    say_record(&script, "ack", "n1", NULL);
    query_ends(&script, 0, QUERY_LOST, "dispatched;ack n1;", "client closed");
}

static void members_that_go_are_told_between_the_answers(void **state)
{
    (void)state;
    struct script script;
    begin_script(&script, "");
    say_header(&script, "", 9);
    msgpack_write_map(&script.said, 2);
    msgpack_write_string_text(&script.said, "Event");
    msgpack_write_string_text(&script.said, "member-failed");
    msgpack_write_string_text(&script.said, "Members");
    msgpack_write_array(&script.said, 2);
    say_member(&script.said, "n7", "failed");
    say_member(&script.said, "n8", "failed");
    say_record(&script, "done", "", NULL);
    query_ends(&script, 0, QUERY_DONE, "dispatched;gone n7;gone n8;", "");
}

static void those_are_awaited_who_are_alive_and_named(void **state)
{
    (void)state;
    struct script script;
    struct awaited awaited;
    struct buffer error;
    script_init(&script);
    say_header(&script, "", 1);
    say_header(&script, "", 2);
    say_header(&script, "", 3);
    msgpack_write_map(&script.said, 1);
    msgpack_write_string_text(&script.said, "Members");
    msgpack_write_array(&script.said, 3);
    say_member(&script.said, "n3", "alive");
    say_member(&script.said, "n1", "alive");
    say_member(&script.said, "n2", "alive");
    script_start(&script);
    buffer_init(&error, 4096);
    struct rpc_client *client = rpc_client_open(script.address, "", &error);
    const struct rpc_query query = {.filter_nodes = span_make("\x93\xa2n1\xa2n3\xa2n9", 10)};
    assert_true(awaited_ask(&awaited, client, &query, &error));
    assert_int_equal(awaited.count, 2);
    awaited_remove(&awaited, span_text("n2"));
    awaited_remove(&awaited, span_text("n9"));
    assert_int_equal(awaited.count, 2);
    awaited_remove(&awaited, span_text("n1"));
    awaited_remove(&awaited, span_text("n1"));
    assert_int_equal(awaited.count, 1);
    awaited_remove(&awaited, span_text("n3"));
    assert_int_equal(awaited.count, 0);
    awaited_fini(&awaited);
    rpc_client_free(client);
    script_end(&script);
    buffer_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_until_the_query_is_done),
        cmocka_unit_test(records_without_a_sender_are_skipped),
        cmocka_unit_test(a_query_that_is_satisfied_ends_early),
        cmocka_unit_test(a_refused_query_is_not_dispatched),
        cmocka_unit_test(an_agent_that_goes_away_is_no_end_of_the_query),
        cmocka_unit_test(members_that_go_are_told_between_the_answers),
        cmocka_unit_test(those_are_awaited_who_are_alive_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
