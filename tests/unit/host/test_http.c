/* The small HTTP server, and the parser of what its clients say. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "http_server.h"
#include "tcp.h"

/* --- the parser --- */

static enum http_verdict parse(const char *text, struct http_request *request)
{
    return http_request_parse(span_text(text), request);
}

static void a_request_is_a_line_and_headers_up_to_an_empty_line(void **state)
{
    (void)state;
    struct http_request request;
    assert_int_equal(parse("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", &request), HTTP_READY);
    assert_true(span_equal_text(request.path, "/a"));
    assert_false(request.head || request.old);
    assert_int_equal(parse("HEAD / HTTP/1.0\n\n", &request), HTTP_READY);
    assert_true(request.head && request.old);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: x\r\n", &request), HTTP_SHORT);
    assert_int_equal(parse("", &request), HTTP_SHORT);
}

static void what_is_not_understood_is_refused_with_a_status(void **state)
{
    (void)state;
    const struct {
        const char *text;
        unsigned status;
    } cases[] = {
        {"POST / HTTP/1.1\r\n\r\n", 405}, {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET /\r\n\r\n", 400},           {"GET x HTTP/1.1\r\n\r\n", 400},
        {"hello\r\n\r\n", 400},           {"GET  / HTTP/1.1\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\n\r\n", 400}, {"GET / HTTP/1.1 \r\n\r\n", 505},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_request request;
        assert_int_equal(parse(cases[i].text, &request), HTTP_REFUSED);
        assert_int_equal(request.status, cases[i].status);
    }
}

static void a_head_has_at_most_eight_kibibytes(void **state)
{
    (void)state;
    static char text[HTTP_HEAD_SIZE_MAX + 4];
    struct http_request request;
    memset(text, 'x', sizeof text);
    memcpy(text, "GET / HTTP/1.1\n", 15);
    assert_int_equal(http_request_parse(span_make(text, HTTP_HEAD_SIZE_MAX - 1), &request),
                     HTTP_SHORT);
    assert_int_equal(http_request_parse(span_make(text, HTTP_HEAD_SIZE_MAX), &request),
                     HTTP_REFUSED);
    assert_int_equal(request.status, 431);
    memcpy(text + HTTP_HEAD_SIZE_MAX, "\n\n", 2); /* an end that comes too late */
    assert_int_equal(http_request_parse(span_make(text, HTTP_HEAD_SIZE_MAX + 2), &request),
                     HTTP_REFUSED);
    assert_int_equal(request.status, 431);
}

/* --- the server --- */

enum { PARTS = 5, LONG_PARTS = 4096, LONG_PART_SIZE = 16 * 1024, PAGE_SIZE = 2 * HTTP_UNSENT_MAX };

/* The clock that the server sees: the linker puts this in front of the library's. */
static time_t clock_offset_s;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = __real_clock_gettime(clock, now);
    now->tv_sec += clock_offset_s;
    return result;
}

static struct loop *loop;
static struct http_server *server;
static struct buffer answer;
static int ended, requests, long_parts;
static uint8_t page[PAGE_SIZE];
static size_t received; /* by all clients */

static bool more(void *state, struct buffer *out)
{
    int *left = state;
    buffer_append_text(out, "part");
    return --*left > 0;
}

/* Longer than what the kernel takes for a client that does not read. */
static bool more_of_much(void *state, struct buffer *out)
{
    int *left = state;
    buffer_append(out, page, LONG_PART_SIZE);
    long_parts++;
    return --*left > 0;
}

static void requested(void *context, struct http_exchange *exchange,
                      const struct http_request *request)
{
    (void)context;
    requests++;
    bool is_long = span_equal_text(request->path, "/long");
    if (is_long || span_equal_text(request->path, "/list")) {
        int *left = malloc(sizeof *left);
        assert_non_null(left);
        *left = is_long ? LONG_PARTS : PARTS;
        http_answer_in_parts(exchange, "text/plain", is_long ? more_of_much : more, left);
    } else if (span_equal_text(request->path, "/page")) {
        http_answer(exchange, 200, "text/plain", span_make(page, sizeof page));
    } else {
        http_answer(exchange, 200, "text/plain", request->path);
    }
}

static int begin(void **state)
{
    (void)state;
    struct buffer error;
    struct http_server_config config = {.requested = requested};
    buffer_init(&error, 512);
    buffer_init(&answer, 65536);
    loop = loop_new();
    config.loop = loop;
    assert_true(endpoint_from_text(&config.address, "127.0.0.1", 0));
    server = http_server_new(&config, &error);
    assert_non_null(server);
    buffer_fini(&error);
    ended = requests = long_parts = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    http_server_free(server);
    loop_free(loop);
    buffer_fini(&answer);
    return 0;
}

static void on_received(void *context, struct span bytes)
{
    (void)context;
    received += bytes.size;
    buffer_append_span(&answer, bytes);
}

static void on_ended(void *context)
{
    int *counter = context;
    ++*counter;
    loop_stop(loop);
}

static void on_failed(void *context, const char *reason)
{
    (void)reason;
    on_ended(context);
}

/* The end of the connection is counted. */
static struct connection *connect_to_server(int *counter)
{
    struct endpoint to = http_server_bound(server);
    struct connection_callbacks callbacks = {
        .context = counter, .received = on_received, .ended = on_ended, .failed = on_failed};
    struct connection *connection = connection_open(loop, &to, TIMER_NEVER, &callbacks);
    assert_non_null(connection);
    return connection;
}

/* What the server says to this, up to the end of the connection. */
static const char *ask(const char *text)
{
    int answered = 0;
    struct connection *connection = connect_to_server(&answered);
    buffer_reset(&answer);
    assert_true(connection_write(connection, span_text(text)));
    while (answered == 0)
        loop_run(loop);
    connection_free(connection);
    return buffer_text(&answer);
}

static const char *body_of(const char *text)
{
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    return body + 4;
}

static void an_answer_tells_its_length_and_ends_the_connection(void **state)
{
    (void)state;
    const char *text = ask("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(text, "Content-Length: 6\r\n"));
    assert_string_equal(body_of(text), "/hello");
    assert_string_equal(body_of(ask("HEAD /hello HTTP/1.1\r\n\r\n")), "");
}

static void a_long_answer_comes_in_chunks(void **state)
{
    (void)state;
    const char *text = ask("GET /list HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(text, "Transfer-Encoding: chunked\r\n"));
    assert_string_equal(body_of(text), "4\r\npart\r\n4\r\npart\r\n4\r\npart\r\n4\r\npart\r\n"
                                       "4\r\npart\r\n0\r\n\r\n");
    text = ask("GET /list HTTP/1.0\r\n\r\n"); /* knows no chunks */
    assert_null(strstr(text, "chunked"));
    assert_string_equal(body_of(text), "partpartpartpartpart");
    assert_string_equal(body_of(ask("HEAD /list HTTP/1.1\r\n\r\n")), "");
}

static void a_refused_request_reaches_nobody(void **state)
{
    (void)state;
    const char *text = ask("DELETE / HTTP/1.1\r\n\r\n");
    assert_memory_equal(text, "HTTP/1.1 405 ", 13);
    assert_non_null(strstr(text, "Allow: GET, HEAD\r\n"));
    assert_int_equal(requests, 0);
}

static void the_oldest_connections_make_room_for_new_ones(void **state)
{
    (void)state;
    struct connection *idle[HTTP_CONNECTIONS_MAX + 3];
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        idle[i] = connect_to_server(&ended);
    while (ended < 3)
        loop_run(loop);
    for (int turn = 0; turn < 10; turn++)
        loop_turn(loop, false);
    assert_int_equal(ended, 3);
    assert_non_null(strstr(ask("GET /hello HTTP/1.1\r\n\r\n"), "/hello"));
    while (ended < 4)
        loop_run(loop);
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        connection_free(idle[i]);
}

/* --- who does not read --- */

/* Has asked, and reads nothing. */
static struct connection *ask_and_wait(const char *text)
{
    struct connection *connection = connect_to_server(&ended);
    int before = requests;
    connection_set_reading(connection, false);
    assert_true(connection_write(connection, span_text(text)));
    while (requests == before)
        loop_turn(loop, true);
    return connection;
}

static void turn_until_quiet(void)
{
    for (int before = -1; before != long_parts;) {
        before = long_parts;
        for (int turn = 0; turn < 50; turn++)
            loop_turn(loop, false);
    }
}

static void who_stops_reading_a_long_answer_is_dropped_after_ten_seconds(void **state)
{
    (void)state;
    struct connection *client = ask_and_wait("GET /long HTTP/1.1\r\n\r\n");
    turn_until_quiet();
    int made = long_parts;
    assert_in_range(made, 1, LONG_PARTS / 2); /* what it does not take is not made */
    assert_non_null(
        strstr(ask("GET /hello HTTP/1.1\r\n\r\n"), "/hello")); /* nor is the loop held */
    clock_offset_s += 9;
    turn_until_quiet();
    connection_set_reading(client, true); /* so far it only has to go on */
    while (long_parts == made)
        loop_turn(loop, true);
    connection_set_reading(client, false);
    turn_until_quiet();
    made = long_parts;
    clock_offset_s += 11;
    turn_until_quiet();
    connection_set_reading(client, true); /* there is nothing behind what the kernel took */
    while (ended == 0)
        loop_turn(loop, true);
    assert_int_equal(long_parts, made);
    connection_free(client);
}

static void who_reads_a_long_answer_slowly_gets_all_of_it(void **state)
{
    (void)state;
    struct connection *client = ask_and_wait("GET /long HTTP/1.1\r\n\r\n");
    while (ended == 0) {
        turn_until_quiet();
        clock_offset_s += 9;
        connection_set_reading(client, true);
        for (int before = long_parts; ended == 0 && long_parts < before + 200;)
            loop_turn(loop, true);
        connection_set_reading(client, false);
    }
    assert_int_equal(long_parts, LONG_PARTS);
    connection_free(client);
}

static void what_is_not_read_is_limited_in_all(void **state)
{
    (void)state;
    struct connection *clients[3];
    for (int i = 0; i < 3; i++)
        clients[i] = ask_and_wait("GET /page HTTP/1.1\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        received = 0;
        connection_set_reading(clients[i], true);
        while (ended <= i)
            loop_run(loop);
        assert_int_equal(received > sizeof page, i == 2); /* the newest has all */
        connection_free(clients[i]);
    }
}

int main(void)
{
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_a_line_and_headers_up_to_an_empty_line),
        cmocka_unit_test(what_is_not_understood_is_refused_with_a_status),
        cmocka_unit_test(a_head_has_at_most_eight_kibibytes),
        SERVER_TEST(an_answer_tells_its_length_and_ends_the_connection),
        SERVER_TEST(a_long_answer_comes_in_chunks),
        SERVER_TEST(a_refused_request_reaches_nobody),
        SERVER_TEST(the_oldest_connections_make_room_for_new_ones),
        SERVER_TEST(who_stops_reading_a_long_answer_is_dropped_after_ten_seconds),
        SERVER_TEST(who_reads_a_long_answer_slowly_gets_all_of_it),
        SERVER_TEST(what_is_not_read_is_limited_in_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
