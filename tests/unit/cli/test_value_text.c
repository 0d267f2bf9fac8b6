#include "value_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void prints(const char *bytes, size_t size, const char *wanted)
{
    struct buffer out;
    buffer_init(&out, 4096);
    assert_true(value_text(span_make(bytes, size), &out));
    assert_string_equal(buffer_text(&out), wanted);
    buffer_fini(&out);
}

#define PRINTS(bytes, wanted) prints((bytes), sizeof(bytes) - 1, (wanted))

static void scalars_are_go_literals(void **state)
{
    (void)state;
    PRINTS("\xa3"
           "a\"b",
           "\"a\\\"b\"");
    PRINTS("\xc4\x02pp", "[]byte{0x70, 0x70}");
    PRINTS("\xc3", "true");
    PRINTS("\x07", "7");
    PRINTS("\xff", "-1");
    PRINTS("\xcd\x1f\x0a", "0x1f0a");
    PRINTS("\xc0", "interface {}(nil)");
}

static void lists_and_maps_nest(void **state)
{
    (void)state;
    PRINTS("\x90", "[]interface {}{}");
    PRINTS("\x92\x82\xa4"
           "Addr\xc4\x01\x7f\xa4Tags\x81\xa1x\xa1y\x01",
           "[]interface {}{map[interface {}]interface {}{\"Addr\":[]uint8{0x7f}, "
           "\"Tags\":map[interface {}]interface {}{\"x\":\"y\"}}, 1}");
}

static void what_does_not_decode_is_refused(void **state)
{
    (void)state;
    struct buffer out;
    uint8_t deep[40];
    buffer_init(&out, 4096);
    memset(deep, 0x91, sizeof deep);
    assert_false(value_text(span_make(deep, sizeof deep), &out));
    assert_false(value_text(span_text("\xc1"), &out));
    assert_false(value_text(span_text("\x92\x01"), &out));
    assert_false(value_text(SPAN_EMPTY, &out));
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_go_literals),
        cmocka_unit_test(lists_and_maps_nest),
        cmocka_unit_test(what_does_not_decode_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
