#include "siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct siphash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static void equal_input_gives_equal_hashes_at_any_alignment(void **state)
{
    (void)state;
    uint8_t bytes[64];
    for (size_t start = 0; start < 8; start++) {
        memcpy(bytes + start, "the quick brown fox", 19);
        assert_true(siphash(&key, span_make(bytes + start, 19)) ==
                    siphash(&key, span_text("the quick brown fox")));
    }
}

static void length_and_key_make_the_difference(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    uint64_t hashes[65];
    for (size_t size = 0; size <= 64; size++) {
        hashes[size] = siphash(&key, span_make(zeros, size));
        for (size_t i = 0; i < size; i++)
            assert_true(hashes[i] != hashes[size]);
    }
    struct siphash_key other = key;
    other.k0 ^= 1;
    assert_true(siphash(&other, span_text("a")) != siphash(&key, span_text("a")));
    other = key;
    other.k1 ^= UINT64_C(1) << 63;
    assert_true(siphash(&other, span_text("a")) != siphash(&key, span_text("a")));
}

static void a_change_of_one_bit_changes_about_half_of_the_hash(void **state)
{
    (void)state;
    unsigned changed = 0;
    unsigned tries = 0;
    for (size_t size = 1; size <= 32; size++)
        for (size_t bit = 0; bit < size * 8; bit++) {
            uint8_t bytes[32] = "0123456789abcdef0123456789abcde";
            uint64_t before = siphash(&key, span_make(bytes, size));
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            uint64_t difference = before ^ siphash(&key, span_make(bytes, size));
            unsigned bits = (unsigned)__builtin_popcountll(difference);
            assert_in_range(bits, 8, 56);
            changed += bits;
            tries++;
        }
    assert_in_range(changed * 100 / tries, 3100, 3300);
}

static void the_value_is_the_same_on_every_machine(void **state)
{
    (void)state;
    /* SipHash-1-3 with the key 00..0f over 00..: as other implementations give it. */
    static const uint64_t expected[] = {UINT64_C(0xabac0158050fc4dc), UINT64_C(0xc9f49bf37d57ca93),
                                        UINT64_C(0x82cb9b024dc7d44d)};
    static const uint8_t bytes[] = {0, 1};
    for (size_t size = 0; size < 3; size++)
        assert_true(siphash(&key, span_make(bytes, size)) == expected[size]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_input_gives_equal_hashes_at_any_alignment),
        cmocka_unit_test(length_and_key_make_the_difference),
        cmocka_unit_test(a_change_of_one_bit_changes_about_half_of_the_hash),
        cmocka_unit_test(the_value_is_the_same_on_every_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
