#include "crc32.h"
#include "hex.h"
#include "lzw.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct lzw_table *table;

static int make_table(void **state)
{
    (void)state;
    table = lzw_table_new();
    return table ? 0 : -1;
}

static int free_table(void **state)
{
    (void)state;
    lzw_table_free(table);
    return 0;
}

static void assert_compresses_to(struct span plain, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    assert_true(lzw_compress(table, plain, &out));
    assert_bytes(buffer_span(&out), hex(expected));
    buffer_reset(&out);
    assert_int_equal(lzw_decompress(hex(expected), &out), LZW_OK);
    assert_bytes(buffer_span(&out), plain);
    buffer_fini(&out);
}

static void vectors_of_the_specification_both_ways(void **state)
{
    (void)state;
    assert_compresses_to(SPAN_EMPTY, "000302");
    assert_compresses_to(span_text("a"), "00c30404");
    assert_compresses_to(span_text("hello hello hello hello hello hello hello"),
                         "00d19461c3e60d0881040d222c787020c3850a1d464c1810");
    assert_compresses_to(
        repeated(0, 1000),
        "0001081c48b0a0c18308132a5cc8b0a1c38710234a9c48b1a2c58b18336adcc8b1a3c78f20"
        "438a1c49b2a4c9932853aa5cc9526140");
}

static void assert_round_trip(struct span plain)
{
    struct buffer packed;
    struct buffer unpacked;
    buffer_init(&packed, 1 << 24);
    buffer_init(&unpacked, plain.size);
    assert_true(lzw_compress(table, plain, &packed));
    assert_int_equal(lzw_decompress(buffer_span(&packed), &unpacked), LZW_OK);
    assert_bytes(buffer_span(&unpacked), plain);
    buffer_fini(&packed);
    buffer_fini(&unpacked);
}

static void random_input_of_any_alphabet_comes_back(void **state)
{
    (void)state;
    static uint8_t bytes[30000];
    struct random random;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){7});
    for (unsigned alphabet = 1; alphabet <= 256; alphabet *= 2)
        for (int i = 0; i < 12; i++) {
            size_t size = (size_t)random_below(&random, sizeof bytes);
            for (size_t k = 0; k < size; k++)
                bytes[k] = (uint8_t)random_below(&random, alphabet);
            assert_round_trip(span_make(bytes, size));
        }
}

static void every_length_around_the_width_changes_comes_back(void **state)
{
    (void)state;
    static uint8_t bytes[4400];
    uint32_t x = 5;
    for (size_t i = 0; i < sizeof bytes; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(x >> 24);
    }
    for (size_t size = 0; size < 300; size++)
        assert_round_trip(span_make(bytes, size));
    for (size_t size = 750; size < 790; size++)
        assert_round_trip(span_make(bytes, size));
    for (size_t size = 3800; size < sizeof bytes; size++) /* the dictionary fills and is cleared */
        assert_round_trip(span_make(bytes, size));
}

static void pathological_input_comes_back(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 20];
    assert_round_trip(span_make(bytes, sizeof bytes)); /* the newest code is used all the time */
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 251);
    assert_round_trip(span_make(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i >> 8 ^ i);
    assert_round_trip(span_make(bytes, sizeof bytes));
}

static void one_table_serves_many_calls_without_a_trace(void **state)
{
    (void)state;
    static uint8_t bytes[50000]; /* one that fills the whole table, and one that fills some of it */
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    for (int i = 0; i < 20; i++) {
        assert_compresses_to(span_text("hello hello hello hello hello hello hello"),
                             "00d19461c3e60d0881040d222c787020c3850a1d464c1810");
        assert_round_trip(span_make(bytes, i % 2 ? 1000 : sizeof bytes));
    }
}

static void output_stays_what_it_is_across_full_dictionaries(void **state)
{
    (void)state;
    /* The sum was taken from the encoder that had given, byte for byte, the 42 kB into which the
     * reference packed a state of 53 kB, with the dictionary filled seven times. */
    static uint8_t bytes[50000];
    struct buffer packed;
    struct random random;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){1});
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_below(&random, i % 2 ? 8 : 64);
    buffer_init(&packed, 1 << 17);
    assert_true(lzw_compress(table, span_make(bytes, sizeof bytes), &packed));
    assert_int_equal(packed.size, 39212);
    assert_int_equal(crc32_ieee(buffer_span(&packed)), 0xc20f0a58);
    buffer_fini(&packed);
}

static void bytes_after_the_end_code_are_ignored(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 100);
    assert_int_equal(lzw_decompress(hex("00c30404ffffffff"), &out), LZW_OK);
    assert_bytes_text(buffer_span(&out), "a");
    buffer_fini(&out);
}

static void a_missing_initial_clear_is_fine(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 100);
    /* 'a' and the end code, 9 bits each */
    assert_int_equal(lzw_decompress(hex("610202"), &out), LZW_OK);
    assert_bytes_text(buffer_span(&out), "a");
    buffer_fini(&out);
}

static void input_that_ends_before_the_end_code_is_refused(void **state)
{
    (void)state;
    struct span whole = hex("00d19461c3e60d0881040d222c787020c3850a1d464c1810");
    for (size_t size = 0; size < whole.size; size++) {
        struct buffer out;
        buffer_init(&out, 100);
        /* a copy of its own, so that a sanitizer sees a read past the end */
        assert_int_equal(lzw_decompress(joined(span_make(whole.data, size), SPAN_EMPTY), &out),
                         LZW_TRUNCATED);
        buffer_fini(&out);
    }
}

static void a_code_that_is_not_in_the_table_is_refused(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 100);
    /* clear, 'a', 300 */
    assert_int_equal(lzw_decompress(hex("00c3b004000000"), &out), LZW_INVALID);
    /* 258 as the first code: there is no string before it */
    buffer_reset(&out);
    assert_int_equal(lzw_decompress(hex("0201"), &out), LZW_INVALID);
    buffer_fini(&out);
}

static void output_is_capped_while_decoding(void **state)
{
    (void)state;
    struct buffer packed;
    struct buffer out;
    buffer_init(&packed, 1 << 20);
    assert_true(lzw_compress(table, repeated(0, 1 << 20), &packed));
    assert_true(packed.size < 4096);
    buffer_init(&out, 5000);
    assert_int_equal(lzw_decompress(buffer_span(&packed), &out), LZW_TOO_LARGE);
    assert_true(out.size <= 5000 && out.capacity <= 5000);
    buffer_fini(&out);
    buffer_fini(&packed);
}

static void a_full_table_without_a_clear_goes_on(void **state)
{
    (void)state;
    /* The code for 'a' until all codes are made, as a lazy encoder may send: the decoder must
     * follow the widths, and make no more codes from then on. So the last code, 4095, is still "aa"
     * behind a 'b', and behind itself. */
    enum { LETTERS = 6000 };
    static const unsigned last[] = {'b', 4095, 4095, 257};
    struct buffer packed;
    struct buffer out;
    buffer_init(&packed, 1 << 16);
    buffer_init(&out, 1 << 16);
    uint64_t bits = 0;
    unsigned bit_count = 0;
    unsigned width = 9;
    unsigned high = 257;
    for (int i = 0; i < LETTERS + 4; i++) {
        bits |= (uint64_t)(i < LETTERS ? 'a' : last[i - LETTERS]) << bit_count;
        for (bit_count += width; bit_count >= 8; bit_count -= 8, bits >>= 8)
            buffer_append_u8(&packed, (uint8_t)bits);
        if (high < 4095 && ++high == 1u << width && width < 12)
            width++;
    }
    buffer_append_u8(&packed, (uint8_t)bits);
    assert_int_equal(lzw_decompress(buffer_span(&packed), &out), LZW_OK);
    assert_bytes(buffer_span(&out), joined(repeated('a', LETTERS), span_text("baaaa")));
    buffer_fini(&out);
    buffer_fini(&packed);
}

static void random_bytes_never_do_harm(void **state)
{
    (void)state;
    struct random random;
    struct buffer out;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){9});
    buffer_init(&out, 10000);
    for (int i = 0; i < 3000; i++) {
        uint8_t bytes[200];
        size_t size = (size_t)random_below(&random, sizeof bytes);
        random_bytes(&random, bytes, size);
        if (size > 0)
            bytes[0] = 0;
        buffer_reset(&out);
        lzw_decompress(span_make(bytes, size), &out);
        assert_true(out.size <= 10000);
    }
    buffer_fini(&out);
}

static void compressing_past_the_maximum_appends_nothing(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 10);
    buffer_append_text(&out, "xy");
    assert_false(lzw_compress(table, span_text("a text that takes more than eight bytes"), &out));
    assert_true(out.failed);
    assert_bytes_text(buffer_span(&out), "xy");
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_specification_both_ways),
        cmocka_unit_test(random_input_of_any_alphabet_comes_back),
        cmocka_unit_test(every_length_around_the_width_changes_comes_back),
        cmocka_unit_test(pathological_input_comes_back),
        cmocka_unit_test(one_table_serves_many_calls_without_a_trace),
        cmocka_unit_test(output_stays_what_it_is_across_full_dictionaries),
        cmocka_unit_test(bytes_after_the_end_code_are_ignored),
        cmocka_unit_test(a_missing_initial_clear_is_fine),
        cmocka_unit_test(input_that_ends_before_the_end_code_is_refused),
        cmocka_unit_test(a_code_that_is_not_in_the_table_is_refused),
        cmocka_unit_test(output_is_capped_while_decoding),
        cmocka_unit_test(a_full_table_without_a_clear_goes_on),
        cmocka_unit_test(random_bytes_never_do_harm),
        cmocka_unit_test(compressing_past_the_maximum_appends_nothing),
    };
    return cmocka_run_group_tests(tests, make_table, free_table);
}
