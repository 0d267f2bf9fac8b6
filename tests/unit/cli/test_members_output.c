#include "members_output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* {"Members": [...]} with n2 (no tags) before n1 (two tags, not in order). */
static void append_answer(struct buffer *out)
{
    static const uint8_t address[] = {127, 0, 0, 1};
    static const uint8_t address6[16] = {[15] = 1};
    struct rpc_member member = {
        .addr = span_make(address6, 16),
        .delegate_cur = 5,
        .delegate_max = 5,
        .delegate_min = 2,
        .name = span_text("n2"),
        .port = 7946,
        .status = span_text("left"),
        .tags = span_make("\x80", 1),
    };
    msgpack_write_map(out, 1);
    msgpack_write_string_text(out, "Members");
    msgpack_write_array(out, 2);
    msgpack_write_structure(out, &rpc_member_structure, MSGPACK_RPC, &member);
    member.name = span_text("n1");
    member.addr = span_make(address, 4);
    member.status = span_text("alive");
    member.tags = span_make("\x82\xa4role\xa3web\xa2"
                            "dc\xa4"
                            "e<st",
                            19);
    msgpack_write_structure(out, &rpc_member_structure, MSGPACK_RPC, &member);
}

static void prints(bool json, bool detailed, const char *wanted)
{
    struct buffer answer, out, error;
    struct member_list list;
    buffer_init(&answer, 4096);
    buffer_init(&out, 4096);
    buffer_init(&error, 4096);
    append_answer(&answer);
    assert_true(member_list_read(&list, buffer_span(&answer), &error));
    assert_true(json ? members_json(&list, &out) : members_text(&list, detailed, &out));
    assert_string_equal(buffer_text(&out), wanted);
    member_list_fini(&list);
    buffer_fini(&answer);
    buffer_fini(&out);
    buffer_fini(&error);
}

static void members_and_tags_are_sorted(void **state)
{
    (void)state;
    prints(false, false, "n1  127.0.0.1:7946  alive  dc=e<st,role=web\nn2  [::1]:7946      left\n");
    prints(false, true,
           "n1  127.0.0.1:7946  alive  dc=e<st,role=web  Protocol Version: 5  Available Protocol "
           "Range: [2, 5]\n"
           "n2  [::1]:7946      left                     Protocol Version: 5  Available Protocol "
           "Range: [2, 5]\n");
}

static void json_is_the_references(void **state)
{
    (void)state;
    prints(true, false,
           "{\n  \"members\": [\n    {\n      \"name\": \"n1\",\n"
           "      \"addr\": \"127.0.0.1:7946\",\n      \"port\": 7946,\n      \"tags\": {\n"
           "        \"dc\": \"e\\u003cst\",\n        \"role\": \"web\"\n      },\n"
           "      \"status\": \"alive\",\n      \"protocol\": {\n        \"max\": 5,\n"
           "        \"min\": 2,\n        \"version\": 5\n      }\n    },\n    {\n"
           "      \"name\": \"n2\",\n      \"addr\": \"[::1]:7946\",\n      \"port\": 7946,\n"
           "      \"tags\": {},\n      \"status\": \"left\",\n      \"protocol\": {\n"
           "        \"max\": 5,\n        \"min\": 2,\n        \"version\": 5\n      }\n    }\n"
           "  ]\n}\n");
}

static void nobody_is_an_empty_line_or_null(void **state)
{
    (void)state;
    struct member_list list = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    assert_true(members_text(&list, false, &out));
    assert_string_equal(buffer_text(&out), "\n");
    buffer_reset(&out);
    assert_true(members_json(&list, &out));
    assert_string_equal(buffer_text(&out), "{\n  \"members\": null\n}\n");
    buffer_fini(&out);
}

static void malformed_answers_are_refused(void **state)
{
    (void)state;
    static const struct span bad[] = {
        {(const uint8_t *)"\xc1", 1},
        {(const uint8_t *)"\x81\xa7Members\x91\x01", 11},
        {(const uint8_t *)"\x81\xa7Members\x01", 10},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct member_list list;
        struct buffer error;
        buffer_init(&error, 256);
        assert_false(member_list_read(&list, bad[i], &error));
        assert_string_equal(buffer_text(&error), "malformed answer");
        buffer_fini(&error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_tags_are_sorted),
        cmocka_unit_test(json_is_the_references),
        cmocka_unit_test(nobody_is_an_empty_line_or_null),
        cmocka_unit_test(malformed_answers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
