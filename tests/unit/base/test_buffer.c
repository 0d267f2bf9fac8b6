#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void assert_holds(const struct buffer *buffer, const char *text)
{
    assert_true(span_equal_text(buffer_span(buffer), text));
}

static void appending_past_the_maximum_changes_nothing_but_failed(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 10);
    assert_true(buffer_append_text(&buffer, "1234567"));
    assert_false(buffer_append_text(&buffer, "8901"));
    assert_true(buffer.failed);
    assert_holds(&buffer, "1234567");
    assert_true(buffer_append_text(&buffer, "890")); /* what fits is taken; failed stays */
    assert_true(buffer.failed);
    assert_holds(&buffer, "1234567890");
    assert_null(buffer_extend(&buffer, 1));
    assert_null(buffer_extend(&buffer, SIZE_MAX));
    assert_false(buffer_append_u8(&buffer, 1));
    assert_true(buffer.capacity <= 10);
    buffer_reset(&buffer);
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 0);
    buffer_fini(&buffer);
}

static void a_buffer_of_maximum_0_takes_nothing(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 0);
    assert_true(buffer_append(&buffer, NULL, 0));
    assert_true(buffer_append_span(&buffer, SPAN_EMPTY));
    assert_false(buffer.failed);
    assert_false(buffer_append_u8(&buffer, 0));
    assert_null(buffer_detach(&buffer));
    buffer_fini(&buffer);
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                       0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append_u8(&buffer, 0x01);
    buffer_append_u16(&buffer, 0x0203);
    buffer_append_u32(&buffer, 0x04050607);
    buffer_append_u64(&buffer, UINT64_C(0x08090a0b0c0d0e0f));
    assert_int_equal(buffer.size, sizeof expected);
    assert_memory_equal(buffer.data, expected, sizeof expected);
    assert_int_equal(read_u16(buffer.data + 1), 0x0203);
    assert_int_equal(read_u32(buffer.data + 3), 0x04050607);
    assert_true(read_u64(buffer.data + 7) == UINT64_C(0x08090a0b0c0d0e0f));
    buffer_fini(&buffer);
}

static void printed_text_may_fill_the_buffer_to_the_last_byte_but_one(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 8);
    assert_true(buffer_printf(&buffer, "%s-%d", "abc", 42));
    assert_holds(&buffer, "abc-42");
    assert_false(buffer_printf(&buffer, "%s", "xyz"));
    assert_holds(&buffer, "abc-42");
    buffer_fini(&buffer);
}

static void text_ends_in_a_nul_that_is_not_counted(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 4);
    assert_string_equal(buffer_text(&buffer), "");
    assert_int_equal(buffer.size, 0);
    assert_true(buffer_append_text(&buffer, "full"));
    assert_string_equal(buffer_text(&buffer), "full");
    assert_int_equal(buffer.size, 4);
    assert_false(buffer_append_u8(&buffer, 'x')); /* the room for the NUL is not for data */
    assert_string_equal(buffer_text(&buffer), "full");
    buffer_fini(&buffer);
}

static void consuming_drops_the_front(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append_text(&buffer, "abcdef");
    buffer_consume(&buffer, 0);
    assert_holds(&buffer, "abcdef");
    buffer_consume(&buffer, 2);
    assert_holds(&buffer, "cdef");
    buffer_consume(&buffer, 100);
    assert_int_equal(buffer.size, 0);
    buffer_append_text(&buffer, "abc");
    buffer_truncate(&buffer, 1);
    assert_holds(&buffer, "a");
    buffer_fini(&buffer);
}

static void a_detached_block_belongs_to_the_caller(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append_text(&buffer, "abc");
    uint8_t *data = buffer_detach(&buffer);
    assert_memory_equal(data, "abc", 3);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer.maximum, 100);
    assert_true(buffer_append_text(&buffer, "def"));
    assert_memory_equal(data, "abc", 3);
    buffer_reset(&buffer);
    assert_null(buffer_detach(&buffer));
    free(data);
    buffer_fini(&buffer);
}

static void growth_keeps_what_is_there(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100000);
    for (uint32_t i = 0; i < 25000; i++)
        assert_true(buffer_append_u32(&buffer, i));
    assert_false(buffer_append_u8(&buffer, 0));
    for (uint32_t i = 0; i < 25000; i++)
        assert_int_equal(read_u32(buffer.data + (size_t)4 * i), i);
    assert_true(buffer.capacity <= 100000);
    buffer_fini(&buffer);
}

static void spans_compare_by_their_bytes(void **state)
{
    (void)state;
    assert_true(span_equal(SPAN_EMPTY, span_text("")));
    assert_true(span_equal(SPAN_EMPTY, span_text(NULL)));
    assert_true(span_equal_text(span_make("a\0b", 1), "a"));
    assert_false(span_equal(span_make("a\0b", 3), span_make("a\0c", 3)));
    assert_false(span_equal_text(span_text("ab"), "a"));
    assert_true(span_equal_text(span_from(span_text("abc"), 1), "bc"));
    assert_int_equal(span_from(span_text("abc"), 3).size, 0);
    assert_int_equal(span_from(span_text("abc"), SIZE_MAX).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appending_past_the_maximum_changes_nothing_but_failed),
        cmocka_unit_test(a_buffer_of_maximum_0_takes_nothing),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(printed_text_may_fill_the_buffer_to_the_last_byte_but_one),
        cmocka_unit_test(text_ends_in_a_nul_that_is_not_counted),
        cmocka_unit_test(consuming_drops_the_front),
        cmocka_unit_test(a_detached_block_belongs_to_the_caller),
        cmocka_unit_test(growth_keeps_what_is_there),
        cmocka_unit_test(spans_compare_by_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
