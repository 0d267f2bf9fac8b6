#include "loop_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include "tcp.h"

struct side {
    struct connection *connection;
    unsigned opened, ended, failed, drained, events;
    size_t received;
    uint8_t last[64]; /* the first bytes of what came last */
    char reason[256];
    bool free_on_data;
};

static struct side client, server;
static struct listener *listener;
static struct endpoint at;
static unsigned accepted;
static bool start_accepted;
static unsigned accept_failures;
static char accept_reason[128];
static struct buffer error;

static void on_opened(void *context)
{
    struct side *side = context;
    side->opened++;
}

static void on_received(void *context, struct span bytes)
{
    struct side *side = context;
    side->received += bytes.size;
    side->events++;
    memset(side->last, 0, sizeof side->last);
    memcpy(side->last, bytes.data, bytes.size < 63 ? bytes.size : 63);
    if (side->free_on_data) {
        connection_free(side->connection);
        side->connection = NULL;
    }
}

static void on_ended(void *context)
{
    ((struct side *)context)->ended++;
}

static void on_failed(void *context, const char *reason)
{
    struct side *side = context;
    side->failed++;
    snprintf(side->reason, sizeof side->reason, "%s", reason);
}

static void on_drained(void *context)
{
    ((struct side *)context)->drained++;
}

static struct connection_callbacks callbacks_for(struct side *side)
{
    return (struct connection_callbacks){side,     on_opened, on_received,
                                         on_ended, on_failed, on_drained};
}

static void on_accepted(void *context, struct connection *connection)
{
    struct connection_callbacks callbacks = callbacks_for(&server);
    (void)context;
    accepted++;
    connection_free(server.connection);
    server.connection = connection;
    if (start_accepted)
        connection_start(connection, &callbacks);
}

static void on_accept_failed(void *context, const char *reason)
{
    (void)context;
    accept_failures++;
    snprintf(accept_reason, sizeof accept_reason, "%s", reason);
}

static int set_up(void **state)
{
    struct loop *loop = loop_new();
    struct listener_callbacks callbacks = {NULL, on_accepted, on_accept_failed};
    *state = loop;
    buffer_init(&error, 512);
    client = server = (struct side){0};
    accepted = accept_failures = 0;
    start_accepted = true;
    endpoint_from_text(&at, "127.0.0.1", 0);
    listener = loop ? listener_new(loop, &at, &callbacks, &error) : NULL;
    if (!listener)
        return -1;
    at = listener_bound(listener);
    return 0;
}

static int tear_down(void **state)
{
    connection_free(client.connection);
    connection_free(server.connection);
    listener_free(listener);
    loop_free(*state);
    buffer_fini(&error);
    return 0;
}

static void dial(struct loop *loop, const struct endpoint *to, uint64_t deadline)
{
    struct connection_callbacks callbacks = callbacks_for(&client);
    client.connection = connection_open(loop, to, deadline, &callbacks);
    assert_non_null(client.connection);
}

static void meet(struct loop *loop)
{
    dial(loop, &at, TIMER_NEVER);
    assert_true(loop_until(loop, &client.opened, 1));
    assert_true(loop_until(loop, &accepted, 1));
}

static void both_sides_talk_and_know_their_addresses(void **state)
{
    struct loop *loop = *state;
    meet(loop);
    struct endpoint here = connection_local(client.connection);
    struct endpoint there = connection_remote(server.connection);
    assert_true(endpoint_equal(&here, &there));
    here = connection_remote(client.connection);
    assert_true(endpoint_equal(&here, &at));
    here = connection_local(server.connection);
    assert_true(endpoint_equal(&here, &at));
    assert_true(connection_write(client.connection, span_text("hello ")));
    assert_true(connection_write(client.connection, span_text("there")));
    assert_true(loop_until(loop, &server.events, 1));
    assert_string_equal(server.last, "hello there");
    assert_int_equal(client.drained, 1);
    assert_true(connection_write(server.connection, span_text("hi")));
    assert_true(loop_until(loop, &client.events, 1));
    assert_string_equal(client.last, "hi");
}

static void bytes_written_before_the_connection_stands_are_sent(void **state)
{
    struct loop *loop = *state;
    dial(loop, &at, TIMER_NEVER);
    assert_true(connection_write(client.connection, span_text("early")));
    assert_true(loop_until(loop, &server.events, 1));
    assert_string_equal(server.last, "early");
}

static void a_refused_connect_is_told_in_the_references_words(void **state)
{
    struct loop *loop = *state;
    char expected[128], address[ENDPOINT_TEXT_SIZE];
    listener_free(listener);
    listener = NULL;
    dial(loop, &at, TIMER_NEVER);
    assert_int_equal(client.failed, 0);
    assert_true(loop_until(loop, &client.failed, 1));
    snprintf(expected, sizeof expected, "dial tcp %s: connect: connection refused",
             endpoint_text(&at, address));
    assert_string_equal(client.reason, expected);
    assert_int_equal(client.opened, 0);
}

/* A listener whose queue is full lets further connects hang, as a silent host does. */
static void a_connect_that_hangs_ends_at_its_deadline(void **state)
{
    struct loop *loop = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fillers[4];
    assert_int_equal(bind(full, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(full, 0), 0);
    assert_int_equal(getsockname(full, (struct sockaddr *)&address, &size), 0);
    for (size_t i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int status = connect(fillers[i], (struct sockaddr *)&address, size);
        (void)status;
    }
    struct endpoint to;
    char expected[128], text[ENDPOINT_TEXT_SIZE];
    assert_true(endpoint_from_text(&to, "127.0.0.1", ntohs(address.sin_port)));
    uint64_t deadline = loop_now() + 20000000;
    dial(loop, &to, deadline);
    assert_true(loop_until(loop, &client.failed, 1));
    assert_true(loop_now() >= deadline);
    snprintf(expected, sizeof expected, "dial tcp %s: i/o timeout", endpoint_text(&to, text));
    assert_string_equal(client.reason, expected);
    for (size_t i = 0; i < 4; i++)
        close(fillers[i]);
    close(full);
}

static void the_end_of_the_peer_is_told_once_and_writing_goes_on(void **state)
{
    struct loop *loop = *state;
    meet(loop);
    /* Closing with something written ends our side first and waits for the other. */
    assert_true(connection_write(client.connection, span_text("last words")));
    connection_close(client.connection, PATIENCE_NS);
    client.connection = NULL;
    assert_true(loop_until(loop, &server.ended, 1));
    assert_string_equal(server.last, "last words");
    assert_true(connection_write(server.connection, span_text("too late")));
    assert_true(loop_until(loop, &server.drained, 1));
    assert_int_equal(server.failed, 0);
    assert_int_equal(server.ended, 1);
}

static void closing_delivers_everything_although_the_peer_still_sends(void **state)
{
    struct loop *loop = *state;
    size_t size = 3 * 1024 * 1024;
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    meet(loop);
    assert_true(connection_write(client.connection, span_text("unread by the server")));
    assert_true(loop_until(loop, &client.drained, 1));
    connection_set_reading(client.connection, true);
    assert_true(connection_write(server.connection, span_make(bytes, size)));
    connection_close(server.connection, PATIENCE_NS);
    server.connection = NULL;
    assert_true(loop_until(loop, &client.ended, 1));
    assert_int_equal(client.received, size);
    assert_int_equal(client.failed, 0);
    free(bytes);
}

static void closing_is_over_when_patience_is(void **state)
{
    struct loop *loop = *state;
    size_t size = 8 * 1024 * 1024;
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    meet(loop);
    connection_set_reading(client.connection, false);
    assert_true(connection_write(server.connection, span_make(bytes, size)));
    connection_close(server.connection, 1000000);
    server.connection = NULL;
    /* What fits the kernel's buffers arrives, and then the reset. */
    uint64_t end = loop_now() + 5000000;
    struct loop_timer wake;
    assert_true(loop_timer_init(&wake, loop, nothing, NULL));
    loop_timer_set(&wake, end);
    while (loop_now() < end)
        loop_turn(loop, true);
    loop_timer_fini(&wake);
    connection_set_reading(client.connection, true);
    while (client.ended + client.failed == 0)
        loop_turn(loop, true);
    assert_true(client.received < size);
    free(bytes);
}

static void more_than_the_write_limit_is_refused_whole(void **state)
{
    meet(*state);
    connection_set_write_limit(client.connection, 10);
    assert_true(connection_write(client.connection, span_text("12345678")));
    assert_false(connection_write(client.connection, span_text("abc")));
    assert_int_equal(connection_unsent(client.connection), 8);
    assert_true(connection_write(client.connection, span_text("ab")));
    assert_true(loop_until(*state, &server.events, 1));
    assert_string_equal(server.last, "12345678ab");
    assert_true(connection_write(client.connection, span_text("1234567890")));
}

static void a_reset_is_told_with_both_addresses(void **state)
{
    struct loop *loop = *state;
    char expected[200], here[ENDPOINT_TEXT_SIZE], there[ENDPOINT_TEXT_SIZE];
    start_accepted = false;
    meet(loop);
    assert_true(connection_write(client.connection, span_text("never read")));
    assert_true(loop_until(loop, &client.drained, 1));
    struct endpoint local = connection_local(client.connection);
    snprintf(expected, sizeof expected, "read tcp %s->%s: read: connection reset by peer",
             endpoint_text(&local, here), endpoint_text(&at, there));
    /* Closing over unread bytes resets. */
    connection_free(server.connection);
    server.connection = NULL;
    assert_true(loop_until(loop, &client.failed, 1));
    assert_string_equal(client.reason, expected);
}

static void a_paused_connection_is_not_read(void **state)
{
    struct loop *loop = *state;
    meet(loop);
    connection_set_reading(server.connection, false);
    assert_true(connection_write(client.connection, span_text("wait")));
    assert_true(loop_until(loop, &client.drained, 1));
    loop_turn(loop, false);
    assert_false(connection_receive(server.connection));
    assert_int_equal(server.events, 0);
    connection_set_reading(server.connection, true);
    connection_receive(server.connection);
    assert_string_equal(server.last, "wait");
}

static void freeing_inside_a_callback_is_allowed(void **state)
{
    struct loop *loop = *state;
    meet(loop);
    server.free_on_data = true;
    assert_true(connection_write(client.connection, span_text("bye")));
    assert_true(loop_until(loop, &client.ended, 1));
    assert_null(server.connection);
}

static void a_loop_that_is_freed_takes_lingering_connections_along(void **state)
{
    meet(*state);
    assert_true(connection_write(client.connection, span_text("bye")));
    connection_close(client.connection, PATIENCE_NS);
    client.connection = NULL;
    /* tear_down frees the loop; the leak checker is the judge. */
}

static void a_port_in_use_is_named_in_the_references_words(void **state)
{
    char expected[128], address[ENDPOINT_TEXT_SIZE];
    struct listener_callbacks callbacks = {0};
    assert_null(listener_new(*state, &at, &callbacks, &error));
    snprintf(expected, sizeof expected, "listen tcp %s: bind: address already in use",
             endpoint_text(&at, address));
    assert_string_equal(buffer_text(&error), expected);
}

static void accept_errors_back_off_from_five_milliseconds_to_a_second(void **state)
{
    (void)state;
    const unsigned expected_ms[] = {5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000};
    uint64_t pause = 0;
    for (size_t i = 0; i < sizeof expected_ms / sizeof *expected_ms; i++) {
        pause = accept_backoff_next(pause);
        assert_int_equal(pause, expected_ms[i] * UINT64_C(1000000));
    }
}

static void accept_errors_are_told_ten_times_in_ten_seconds(void **state)
{
    (void)state;
    const uint64_t second = UINT64_C(1000000000), start = 7 * second;
    struct accept_reports reports = {0};
    for (unsigned i = 0; i < 15; i++)
        assert_int_equal(accept_report_allowed(&reports, start + i), i < 10);
    assert_false(accept_report_allowed(&reports, start + 10 * second - 1));
    assert_int_equal(reports.left_out, 6);
    assert_true(accept_report_allowed(&reports, start + 10 * second));
}

static void without_descriptors_a_listener_waits_and_then_accepts(void **state)
{
    struct loop *loop = *state;
    struct rlimit before, tight;
    char expected[128], address[ENDPOINT_TEXT_SIZE];
    dial(loop, &at, TIMER_NEVER);
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){(rlim_t)next, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    bool failed = loop_until(loop, &accept_failures, 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(failed);
    assert_int_equal(accepted, 0);
    snprintf(expected, sizeof expected, "accept tcp %s: accept4: too many open files",
             endpoint_text(&at, address));
    assert_string_equal(accept_reason, expected);
    assert_true(loop_until(loop, &accepted, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_sides_talk_and_know_their_addresses),
        TEST(bytes_written_before_the_connection_stands_are_sent),
        TEST(a_refused_connect_is_told_in_the_references_words),
        TEST(a_connect_that_hangs_ends_at_its_deadline),
        TEST(the_end_of_the_peer_is_told_once_and_writing_goes_on),
        TEST(closing_delivers_everything_although_the_peer_still_sends),
        TEST(closing_is_over_when_patience_is),
        TEST(more_than_the_write_limit_is_refused_whole),
        TEST(a_reset_is_told_with_both_addresses),
        TEST(a_paused_connection_is_not_read),
        TEST(freeing_inside_a_callback_is_allowed),
        TEST(a_loop_that_is_freed_takes_lingering_connections_along),
        TEST(a_port_in_use_is_named_in_the_references_words),
        TEST(without_descriptors_a_listener_waits_and_then_accepts),
        cmocka_unit_test(accept_errors_back_off_from_five_milliseconds_to_a_second),
        cmocka_unit_test(accept_errors_are_told_ten_times_in_ten_seconds),
    };
    return cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
}
