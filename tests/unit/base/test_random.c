#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void the_generator_is_chacha20_of_rfc_8439(void **state)
{
    (void)state;
    /* Section 2.3.2: key 00..1f, counter 1, nonce 00:00:00:09:00:00:00:4a:00:00:00:00. */
    static const uint8_t expected[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
    };
    uint8_t seed[RANDOM_SEED_SIZE];
    uint8_t block[64];
    struct random random;
    for (uint8_t i = 0; i < sizeof seed; i++)
        seed[i] = i;
    random_init(&random, seed);
    random.state[12] = 1;
    random.state[13] = 0x09000000;
    random.state[14] = 0x4a000000;
    random.state[15] = 0;
    random_bytes(&random, block, sizeof block);
    assert_memory_equal(block, expected, sizeof block);
}

static void the_first_block_of_a_zero_seed_is_known(void **state)
{
    (void)state;
    /* Appendix A.1, test vector 1. */
    static const uint8_t expected[16] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
                                         0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
    struct random random;
    uint8_t bytes[16];
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){0});
    random_bytes(&random, bytes, sizeof bytes);
    assert_memory_equal(bytes, expected, sizeof bytes);
}

static void the_stream_does_not_depend_on_how_it_is_drawn(void **state)
{
    (void)state;
    uint8_t whole[1000];
    uint8_t pieces[1000];
    struct random random;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){1});
    random_bytes(&random, whole, sizeof whole);
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){1});
    for (size_t at = 0, size = 0; at < sizeof pieces; at += size) {
        size = at % 97 + 1;
        if (size > sizeof pieces - at)
            size = sizeof pieces - at;
        random_bytes(&random, pieces + at, size);
    }
    assert_memory_equal(whole, pieces, sizeof whole);
}

static void seeds_make_the_difference(void **state)
{
    (void)state;
    struct random a;
    struct random b;
    random_init(&a, (const uint8_t[RANDOM_SEED_SIZE]){1});
    random_init(&b, (const uint8_t[RANDOM_SEED_SIZE]){[31] = 1});
    assert_true(random_u64(&a) != random_u64(&b));
}

static void draws_stay_below_the_bound(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1,
                                      2,
                                      3,
                                      7,
                                      1000,
                                      0x80000001,
                                      UINT32_MAX,
                                      UINT64_C(0x100000000),
                                      UINT64_C(0x8000000000000001),
                                      UINT64_MAX};
    struct random random;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){2});
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        for (int k = 0; k < 2000; k++)
            assert_true(random_below(&random, bounds[i]) < bounds[i]);
}

/* A chi-square test with a fixed seed: the limit is that of one in a million for the degrees of
 * freedom at hand. */
static void assert_uniform(uint64_t bound, unsigned cells, double limit)
{
    enum { DRAWS = 60000 };
    unsigned counts[16] = {0};
    struct random random;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){3});
    for (int i = 0; i < DRAWS; i++)
        counts[random_below(&random, bound) / (bound / cells)]++;
    double expected = (double)DRAWS / cells;
    double chi_square = 0;
    for (unsigned i = 0; i < cells; i++)
        chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    assert_true(chi_square < limit);
}

static void draws_are_uniform(void **state)
{
    (void)state;
    assert_uniform(3, 3, 27.7);
    assert_uniform(10, 10, 46.9);
    assert_uniform(UINT64_C(3) << 30, 3, 27.7); /* a bias of taking the remainder would show here */
    assert_uniform(UINT64_C(3) << 62, 3, 27.7);
}

static void units_lie_in_0_to_1(void **state)
{
    (void)state;
    struct random random;
    double sum = 0;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){4});
    for (int i = 0; i < 20000; i++) {
        double unit = random_unit(&random);
        assert_true(unit >= 0.0 && unit < 1.0);
        sum += unit;
    }
    assert_true(sum > 9700 && sum < 10300);
}

static void the_counter_carries_into_the_next_word(void **state)
{
    (void)state;
    struct random random;
    uint8_t block[64];
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){5});
    random.state[12] = UINT32_MAX;
    random_bytes(&random, block, sizeof block);
    assert_int_equal(random.state[12], 0);
    assert_int_equal(random.state[13], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_chacha20_of_rfc_8439),
        cmocka_unit_test(the_first_block_of_a_zero_seed_is_known),
        cmocka_unit_test(the_stream_does_not_depend_on_how_it_is_drawn),
        cmocka_unit_test(seeds_make_the_difference),
        cmocka_unit_test(draws_stay_below_the_bound),
        cmocka_unit_test(draws_are_uniform),
        cmocka_unit_test(units_lie_in_0_to_1),
        cmocka_unit_test(the_counter_carries_into_the_next_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
