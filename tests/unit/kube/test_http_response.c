#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "http_response.h"

enum { BODY_MAX = 1000 };

/* Feeds `text` in pieces of `piece` bytes; `ended`: the connection ends behind it. */
static void feed(struct http_response *response, const char *text, size_t piece, bool ended)
{
    struct span rest = span_text(text);
    bool open = true;
    http_response_init(response, BODY_MAX);
    while (open && rest.size > 0) {
        size_t size = rest.size < piece ? rest.size : piece;
        open = http_response_feed(response, span_make(rest.data, size));
        rest = span_from(rest, size);
    }
    if (open && ended)
        http_response_end(response);
}

static void assert_body(const char *text, bool ended, unsigned status, const char *body)
{
    const size_t pieces[] = {1, 2, 7, 100000};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct http_response response;
        feed(&response, text, pieces[i], ended);
        assert_int_equal(response.state, HTTP_RESPONSE_DONE);
        assert_int_equal(response.status, status);
        assert_int_equal(response.body.size, strlen(body));
        assert_memory_equal(response.body.data ? response.body.data : (const uint8_t *)"", body,
                            strlen(body));
        http_response_fini(&response);
    }
}

static void assert_wrong(const char *text, const char *wrong)
{
    const size_t pieces[] = {1, 100000};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct http_response response;
        feed(&response, text, pieces[i], true);
        assert_int_equal(response.state, HTTP_RESPONSE_WRONG);
        assert_string_equal(response.wrong, wrong);
        http_response_fini(&response);
    }
}

static void a_body_has_its_length(void **state)
{
    (void)state;
    assert_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", false, 200, "hello");
    assert_body("HTTP/1.1 404 Not Found\r\ncontent-LENGTH:0\r\n\r\n", false, 404, "");
    assert_body("HTTP/1.1 200\nContent-Length: \t2 \n\nhi", false, 200, "hi");
}

static void a_body_comes_in_chunks(void **state)
{
    (void)state;
    assert_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "5\r\nhello\r\n1;name=value\r\n \r\n00A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
                false, 200, "hello 0123456789");
    /* Where both are said, chunks are meant (RFC 9112, 6.3). */
    assert_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 999\r\n\r\n"
                "2\r\nhi\r\n0\r\n\r\n",
                false, 200, "hi");
}

static void a_body_without_a_length_ends_with_the_connection(void **state)
{
    (void)state;
    assert_body("HTTP/1.0 200 OK\r\n\r\nhello", true, 200, "hello");
}

static void some_answers_have_no_body(void **state)
{
    (void)state;
    assert_body("HTTP/1.1 204 No Content\r\n\r\n", false, 204, "");
    assert_body("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false, 304, "");
}

static void interim_answers_are_passed_over(void **state)
{
    (void)state;
    assert_body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                false, 200, "hi");
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    assert_wrong("SSH-2.0-OpenSSH\r\n\r\n", "the answer does not begin as one of HTTP/1.1 does");
    assert_wrong("HTTP/2.0 200 OK\r\n\r\n", "the answer does not begin as one of HTTP/1.1 does");
    assert_wrong("HTTP/1.1 999 Odd\r\n\r\n", "the answer does not begin as one of HTTP/1.1 does");
    assert_wrong("HTTP/1.1 2000 OK\r\n\r\n", "the answer does not begin as one of HTTP/1.1 does");
    assert_wrong("HTTP/1.1 200 OK\r\n: no name\r\n\r\n", "a header of the answer has no name");
    assert_wrong("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "a header of the answer has no name");
}

static void lengths_are_believed_only_whole(void **state)
{
    const char *length = "the answer's Content-Length is not one number";
    (void)state;
    assert_wrong("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", length);
    assert_wrong("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", length);
    assert_wrong("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", length);
    assert_wrong("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", length);
    assert_wrong("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", length);
    assert_wrong("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                 "the answer's Transfer-Encoding is not chunked");
    assert_wrong("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfg\r\n",
                 "a chunk of the answer has no size");
    assert_wrong("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
                 "a chunk of the answer has no size");
    assert_wrong("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
                 "a chunk of the answer is longer than its size");
}

static void limits_hold(void **state)
{
    (void)state;
    char text[3 * HTTP_RESPONSE_LINE_MAX];
    assert_wrong("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
                 "the answer is larger than the limit");
    assert_wrong("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
                 "the answer is larger than the limit");
    memset(text, 'x', sizeof text);
    memcpy(text, "HTTP/1.1 200 OK\r\n\r\n", 19);
    text[19 + BODY_MAX + 1] = '\0';
    assert_wrong(text, "the answer is larger than the limit");
    memset(text, 'x', sizeof text);
    memcpy(text, "HTTP/1.1 200 OK\r\na:", 19);
    text[sizeof text - 1] = '\0';
    assert_wrong(text, "the answer has too many or too long headers");
}

static void headers_without_end_are_refused(void **state)
{
    struct http_response response;
    size_t lines = 0;
    (void)state;
    http_response_init(&response, BODY_MAX);
    assert_true(http_response_feed(&response, span_text("HTTP/1.1 200 OK\r\n")));
    while (http_response_feed(&response, span_text("a: b\r\n")))
        assert_true(++lines < HTTP_RESPONSE_HEAD_MAX);
    assert_int_equal(response.state, HTTP_RESPONSE_WRONG);
    http_response_fini(&response);
}

static void an_answer_that_is_cut_is_wrong(void **state)
{
    const char *cut = "the connection ended before the answer did";
    (void)state;
    assert_wrong("", cut);
    assert_wrong("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", cut);
    assert_wrong("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", cut);
    assert_wrong("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", cut);
    assert_wrong("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_has_its_length),
        cmocka_unit_test(a_body_comes_in_chunks),
        cmocka_unit_test(a_body_without_a_length_ends_with_the_connection),
        cmocka_unit_test(some_answers_have_no_body),
        cmocka_unit_test(interim_answers_are_passed_over),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(lengths_are_believed_only_whole),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(headers_without_end_are_refused),
        cmocka_unit_test(an_answer_that_is_cut_is_wrong),
    };
    return cmocka_run_group_tests_name("http_response", tests, NULL, NULL);
}
