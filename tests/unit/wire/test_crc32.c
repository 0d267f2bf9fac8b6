#include "crc32.h"
#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void checksum_is_the_one_of_ieee(void **state)
{
    (void)state;
    assert_int_equal(crc32_ieee(SPAN_EMPTY), 0);
    assert_int_equal(crc32_ieee(span_text("a")), 0xe8b7be43);
    assert_int_equal(crc32_ieee(span_text("123456789")), 0xcbf43926);
    assert_int_equal(crc32_ieee(span_text("The quick brown fox jumps over the lazy dog")),
                     0x414fa339);
    assert_int_equal(crc32_ieee(repeated(0, 32)), 0x190a55ad);
    assert_int_equal(crc32_ieee(repeated(0xff, 32)), 0xff6cab0b);
}

static uint32_t bit_by_bit(struct span bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void checksum_agrees_with_the_definition_at_every_length_and_alignment(void **state)
{
    (void)state;
    uint8_t bytes[96];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(x >> 24);
    }
    for (size_t start = 0; start < 8; start++)
        for (size_t size = 0; size <= sizeof bytes - start; size++) {
            struct span part = span_make(bytes + start, size);
            assert_int_equal(crc32_ieee(part), bit_by_bit(part));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_is_the_one_of_ieee),
        cmocka_unit_test(checksum_agrees_with_the_definition_at_every_length_and_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
