#include "json_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void writes_string(struct span text, const char *wanted)
{
    struct json_writer writer;
    struct buffer out;
    buffer_init(&out, 4096);
    json_writer_init(&writer, &out);
    json_write_string(&writer, text);
    assert_string_equal(buffer_text(&out), wanted);
    buffer_fini(&out);
}

static void objects_and_lists_are_indented_by_two(void **state)
{
    (void)state;
    struct json_writer writer;
    struct buffer out;
    buffer_init(&out, 4096);
    json_writer_init(&writer, &out);
    json_write_open(&writer, '{');
    json_write_key(&writer, span_text("empty"));
    json_write_open(&writer, '{');
    json_write_close(&writer, '}');
    json_write_key(&writer, span_text("list"));
    json_write_open(&writer, '[');
    json_write_string(&writer, span_text("a"));
    json_write_unsigned(&writer, 7946);
    json_write_close(&writer, ']');
    json_write_key(&writer, span_text("none"));
    json_write_null(&writer);
    json_write_close(&writer, '}');
    assert_string_equal(buffer_text(&out), "{\n  \"empty\": {},\n  \"list\": [\n    \"a\",\n"
                                           "    7946\n  ],\n  \"none\": null\n}");
    buffer_fini(&out);
}

static void strings_are_escaped_for_html_too(void **state)
{
    (void)state;
    writes_string(span_text("<a&b>\"\\/"), "\"\\u003ca\\u0026b\\u003e\\\"\\\\/\"");
    writes_string(span_text("\n\r\t\b\x01\x7f"), "\"\\n\\r\\t\\u0008\\u0001\x7f\"");
    writes_string(span_make("\0", 1), "\"\\u0000\"");
    writes_string(span_text("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\"");
}

static void valid_utf8_stays_and_the_rest_is_replaced(void **state)
{
    (void)state;
    writes_string(span_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    writes_string(span_text("a\xff"
                            "b"),
                  "\"a\\ufffdb\"");
    writes_string(span_text("\xc0\x80"), "\"\\ufffd\\ufffd\"");            /* overlong */
    writes_string(span_text("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
    writes_string(span_text("\xe2\x82"), "\"\\ufffd\\ufffd\"");            /* cut short */
    writes_string(span_text("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_and_lists_are_indented_by_two),
        cmocka_unit_test(strings_are_escaped_for_html_too),
        cmocka_unit_test(valid_utf8_stays_and_the_rest_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
