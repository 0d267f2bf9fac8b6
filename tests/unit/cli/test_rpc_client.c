/* The client against an agent that says what the test prepared. */
#include "scripted_agent.h"

static void say_join_answer(struct script *script, int64_t num)
{
    const struct rpc_join_response response = {num};
    msgpack_write_structure(&script->said, &rpc_join_response_structure, MSGPACK_RPC, &response);
}

/* Opens a client; with `wanted`, opening must fail with these words. */
static struct rpc_client *open_client(struct script *script, const char *token, const char *wanted)
{
    struct buffer error;
    buffer_init(&error, 4096);
    script_start(script);
    struct rpc_client *client = rpc_client_open(script->address, token, &error);
    assert_string_equal(buffer_text(&error), wanted ? wanted : "");
    assert_true((client == NULL) == (wanted != NULL));
    buffer_fini(&error);
    return client;
}

/* A join on a client whose handshake goes well; `wanted`: the error, "" when there is none. */
static void join_ends_with(struct script *script, const char *wanted)
{
    struct rpc_client *client = open_client(script, "", NULL);
    const struct rpc_join body = {0};
    struct span answer;
    struct buffer error;
    buffer_init(&error, 4096);
    bool good = rpc_client_call(client, RPC_JOIN, &body, RPC_WAIT, &answer, &error);
    assert_string_equal(buffer_text(&error), wanted);
    assert_true(good == (*wanted == '\0'));
    if (good)
        assert_memory_equal(answer.data, "\x81\xa3Num", 5);
    buffer_fini(&error);
    rpc_client_free(client);
    script_end(script);
}

static void an_answer_comes_byte_by_byte(void **state)
{
    (void)state;
    struct script script;
    script_init(&script);
    say_header(&script, "", 1);
    say_header(&script, "", 2);
    say_join_answer(&script, 3);
    join_ends_with(&script, "");
}

static void an_error_is_the_agents_words_with_or_without_a_body(void **state)
{
    (void)state;
    struct script script;
    script_init(&script);
    say_header(&script, "", 1);
    say_header(&script, "nobody there", 2);
    say_join_answer(&script, 0);
    join_ends_with(&script, "nobody there");
    script_init(&script);
    say_header(&script, "", 1);
    say_header(&script, "nobody there", 2);
    join_ends_with(&script, "nobody there");
    script_init(&script);
    say_header(&script, "", 1);
    say_header(&script, "Authentication required", 2);
    join_ends_with(&script, "Authentication required");
}

static void a_lost_connection_is_client_closed_or_eof(void **state)
{
    (void)state;
    struct script script;
    script_init(&script);
    say_header(&script, "", 1);
    join_ends_with(&script, "client closed");
    script_init(&script);
    say_header(&script, "", 1);
    say_header(&script, "", 2);
    join_ends_with(&script, "EOF");
}

static void opening_fails_in_the_references_words(void **state)
{
    (void)state;
    struct script script;
    script_init(&script);
    open_client(&script, "", "client closed");
    script_end(&script);
    script_init(&script);
    buffer_append_text(&script.said, "SSH-2.0-x\r\n");
    open_client(&script, "", "client closed");
    script_end(&script);
    script_init(&script);
    say_header(&script, "Unsupported IPC version", 1);
    open_client(&script, "", "Unsupported IPC version");
    script_end(&script);
    script_init(&script);
    say_header(&script, "", 1);
    say_header(&script, "Invalid authentication token", 2);
    open_client(&script, "x", "Invalid authentication token");
    script_end(&script);
}

static void count_record(void *context, uint64_t seq, struct span body)
{
    unsigned *count = context;
    assert_int_equal(seq, 9);
    assert_int_equal(body.size, 6);
    ++*count;
}

static void records_may_come_before_the_answer(void **state)
{
    (void)state;
    struct script script;
    script_init(&script);
    say_header(&script, "", 1);
    say_header(&script, "", 9);
    say_join_answer(&script, 7);
    say_header(&script, "", 2);
    say_join_answer(&script, 1);
    say_header(&script, "", 9);
    say_join_answer(&script, 8);
    struct rpc_client *client = open_client(&script, "", NULL);
    unsigned count = 0;
    rpc_client_on_record(client, count_record, &count);
    const struct rpc_join body = {0};
    struct span answer;
    struct buffer error;
    buffer_init(&error, 4096);
    assert_true(rpc_client_call(client, RPC_JOIN, &body, RPC_WAIT, &answer, &error));
    assert_memory_equal(answer.data, "\x81\xa3Num\x01", 6);
    assert_int_equal(count, 1);
    rpc_client_listen(client);
    assert_int_equal(count, 2);
    buffer_fini(&error);
    rpc_client_free(client);
    script_end(&script);
}

static void nobody_listening_is_connection_refused(void **state)
{
    (void)state;
    int bound = socket(AF_INET, SOCK_STREAM, 0); /* bound, so that nobody else takes the port */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(bound, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(bound, (struct sockaddr *)&address, &size), 0);
    char text[32], wanted[128];
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.sin_port));
    snprintf(wanted, sizeof wanted, "dial tcp %s: connect: connection refused", text);
    struct buffer error;
    buffer_init(&error, 4096);
    assert_null(rpc_client_open(text, "", &error));
    assert_string_equal(buffer_text(&error), wanted);
    buffer_fini(&error);
    close(bound);
}

/* An agent that keeps the connection open and says nothing more: a deadline that is over at once
 * ends the wait. */
static void a_silent_agent_is_given_up(void **state)
{
    (void)state;
    struct script script;
    script_init(&script);
    say_header(&script, "", 1);
    script.silent = true;
    struct rpc_client *client = open_client(&script, "", NULL);
    struct span answer;
    struct buffer error;
    char wanted[128];
    snprintf(wanted, sizeof wanted, "no answer from %s within 0 s", script.address);
    buffer_init(&error, 4096);
    assert_false(rpc_client_call(client, RPC_STATS, NULL, 0, &answer, &error));
    assert_string_equal(buffer_text(&error), wanted);
    buffer_fini(&error);
    rpc_client_free(client);
    script_end(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_byte_by_byte),
        cmocka_unit_test(an_error_is_the_agents_words_with_or_without_a_body),
        cmocka_unit_test(a_lost_connection_is_client_closed_or_eof),
        cmocka_unit_test(opening_fails_in_the_references_words),
        cmocka_unit_test(records_may_come_before_the_answer),
        cmocka_unit_test(nobody_listening_is_connection_refused),
        cmocka_unit_test(a_silent_agent_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
