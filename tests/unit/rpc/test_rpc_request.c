#include "capture.h"
#include "rpc_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const char handshake_hex[] = "82a7436f6d6d616e64a968616e647368616b65a353657101"
                                    "81a756657273696f6e01";
static const char members_hex[] = "82a7436f6d6d616e64a76d656d62657273a353657102";
static const char join_hex[] =
    "82a7436f6d6d616e64a46a6f696ea353657103"
    "82a84578697374696e6792a93132372e302e302e31a93132372e302e302e39a65265706c6179c3";

static void requests_are_read_byte_by_byte(void **state)
{
    (void)state;
    struct buffer bytes;
    buffer_init(&bytes, 4096);
    append_hex(&bytes, handshake_hex);
    append_hex(&bytes, members_hex);
    append_hex(&bytes, join_hex);
    struct rpc_request_parser parser;
    rpc_request_parser_init(&parser, RPC_REQUEST_SIZE_MAX);
    size_t start = 0, found = 0, size;
    static const enum rpc_command wanted[] = {RPC_HANDSHAKE, RPC_MEMBERS, RPC_JOIN};
    for (size_t end = 1; end <= bytes.size; end++) {
        struct rpc_request request;
        /* a copy of its own, so that a read past the end is a read out of bounds */
        struct buffer piece;
        buffer_init(&piece, 4096);
        buffer_append(&piece, bytes.data + start, end - start);
        enum rpc_request_status status =
            rpc_request_parse(&parser, buffer_span(&piece), &request, &size);
        if (status == RPC_REQUEST_READY) {
            assert_int_equal(request.command, wanted[found++]);
            assert_int_equal(request.header.seq, found);
            assert_int_equal(size, end - start);
            start = end;
        } else {
            assert_int_equal(status, RPC_REQUEST_SHORT);
        }
        buffer_fini(&piece);
    }
    assert_int_equal(found, 3);
    assert_int_equal(start, bytes.size);
    buffer_fini(&bytes);
}

/* What a parser that got these bytes at once says. */
static enum rpc_request_status parse_bytes(struct span bytes, struct rpc_request *request)
{
    struct rpc_request_parser parser;
    size_t size;
    rpc_request_parser_init(&parser, RPC_REQUEST_SIZE_MAX);
    return rpc_request_parse(&parser, bytes, request, &size);
}

static enum rpc_request_status parse_hex(const char *hex)
{
    struct buffer bytes;
    struct rpc_request request;
    buffer_init(&bytes, 4096);
    append_hex(&bytes, hex);
    enum rpc_request_status status = parse_bytes(buffer_span(&bytes), &request);
    buffer_fini(&bytes);
    return status;
}

static void pipelined_requests_are_taken_one_at_a_time(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_request request;
    struct rpc_request_parser parser;
    size_t size;
    buffer_init(&bytes, 4096);
    append_hex(&bytes, members_hex);
    append_hex(&bytes, members_hex);
    rpc_request_parser_init(&parser, RPC_REQUEST_SIZE_MAX);
    assert_int_equal(rpc_request_parse(&parser, buffer_span(&bytes), &request, &size),
                     RPC_REQUEST_READY);
    assert_int_equal(size, bytes.size / 2);
    buffer_fini(&bytes);
}

static void garbage_is_refused_at_once(void **state)
{
    (void)state;
    struct rpc_request request;
    assert_int_equal(parse_bytes(span_text("GET / HTTP/1.1\r\n\r\n"), &request),
                     RPC_REQUEST_BAD_HEADER);
    assert_int_equal(parse_hex("c1"), RPC_REQUEST_BAD_HEADER);
    assert_int_equal(parse_hex("a3616263"), RPC_REQUEST_BAD_HEADER);       /* a string */
    assert_int_equal(parse_hex("81a353657101a0"), RPC_REQUEST_READY);      /* no command */
    assert_int_equal(parse_hex("81a3536571a178"), RPC_REQUEST_BAD_HEADER); /* Seq "x" */
    assert_int_equal(parse_hex("82a7436f6d6d616e64a968616e647368616b65a353657101"
                               "81a756657273696f6ea178"),
                     RPC_REQUEST_BAD_BODY); /* Version "x" */
}

static void announced_lengths_are_refused_before_they_arrive(void **state)
{
    (void)state;
    assert_int_equal(parse_hex("dbffffffff"), RPC_REQUEST_BAD_HEADER);
    assert_int_equal(parse_hex("82a7436f6d6d616e64dbffffffff"), RPC_REQUEST_BAD_HEADER);
    assert_int_equal(parse_hex("82a7436f6d6d616e64c600010001"), RPC_REQUEST_BAD_HEADER);
    assert_int_equal(parse_hex("82a7436f6d6d616e64c600010000"), RPC_REQUEST_SHORT);
    assert_int_equal(parse_hex("82a7436f6d6d616e64a46a6f696ea353657103"
                               "81a84578697374696e67dbffffffff"),
                     RPC_REQUEST_BAD_BODY);
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct rpc_request request;
    memset(bytes, 0x91, sizeof bytes);
    assert_int_equal(parse_bytes(span_make(bytes, sizeof bytes), &request), RPC_REQUEST_BAD_HEADER);
}

static void a_whole_request_is_limited(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_request request;
    buffer_init(&bytes, 4 * RPC_REQUEST_SIZE_MAX);
    append_hex(&bytes, "82a7436f6d6d616e64a46a6f696ea353657103"
                       "81a84578697374696e67ddffffffff");
    enum rpc_request_status status = RPC_REQUEST_SHORT;
    struct rpc_request_parser parser;
    size_t size;
    rpc_request_parser_init(&parser, RPC_REQUEST_SIZE_MAX);
    while (status == RPC_REQUEST_SHORT && bytes.size < 2 * RPC_REQUEST_SIZE_MAX) {
        uint8_t *piece = buffer_extend(&bytes, 64 * 1024);
        assert_non_null(piece);
        memset(piece, 0xa0, 64 * 1024);
        status = rpc_request_parse(&parser, buffer_span(&bytes), &request, &size);
    }
    assert_int_equal(status, RPC_REQUEST_BAD_BODY);
    assert_true(bytes.size <= RPC_REQUEST_SIZE_MAX + 2 * 64 * 1024);
    buffer_fini(&bytes);
}

static void nothing_is_inherited_from_the_request_before(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_request request;
    struct rpc_request_parser parser;
    size_t size;
    buffer_init(&bytes, 4096);
    append_hex(&bytes, members_hex);
    append_hex(&bytes, "81a7436f6d6d616e64a76d656d62657273"); /* no Seq */
    append_hex(&bytes, "81a353657105");                       /* no Command */
    rpc_request_parser_init(&parser, RPC_REQUEST_SIZE_MAX);
    size_t offset = 0;
    assert_int_equal(rpc_request_parse(&parser, buffer_span(&bytes), &request, &size),
                     RPC_REQUEST_READY);
    assert_int_equal(request.header.seq, 2);
    offset += size;
    assert_int_equal(
        rpc_request_parse(&parser, span_from(buffer_span(&bytes), offset), &request, &size),
        RPC_REQUEST_READY);
    assert_int_equal(request.header.seq, 0);
    offset += size;
    assert_int_equal(
        rpc_request_parse(&parser, span_from(buffer_span(&bytes), offset), &request, &size),
        RPC_REQUEST_READY);
    assert_int_equal(request.command, RPC_COMMAND_COUNT);
    buffer_fini(&bytes);
}

/* Every byte of a good request changed to every value: an answer, and no read out of bounds. */
static void no_single_byte_breaks_the_parser(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_request request;
    buffer_init(&bytes, 4096);
    append_hex(&bytes, join_hex);
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t right = bytes.data[i];
        for (unsigned value = 0; value < 256; value++) {
            bytes.data[i] = (uint8_t)value;
            (void)parse_bytes(buffer_span(&bytes), &request);
        }
        bytes.data[i] = right;
    }
    buffer_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read_byte_by_byte),
        cmocka_unit_test(pipelined_requests_are_taken_one_at_a_time),
        cmocka_unit_test(garbage_is_refused_at_once),
        cmocka_unit_test(announced_lengths_are_refused_before_they_arrive),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(a_whole_request_is_limited),
        cmocka_unit_test(nothing_is_inherited_from_the_request_before),
        cmocka_unit_test(no_single_byte_breaks_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
