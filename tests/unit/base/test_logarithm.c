#include "logarithm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static void ceilings_of_log10_are_exact_at_powers_of_ten(void **state)
{
    (void)state;
    assert_int_equal(log10_ceiling(0), 0);
    assert_int_equal(log10_ceiling(1), 0);
    assert_int_equal(log10_ceiling(2), 1);
    uint64_t power = 10;
    for (uint32_t digits = 1; digits <= 19; digits++) {
        assert_int_equal(log10_ceiling(power - 1), digits);
        assert_int_equal(log10_ceiling(power), digits);
        assert_int_equal(log10_ceiling(power + 1), digits + 1);
        power *= digits < 19 ? 10 : 1;
    }
    assert_int_equal(log10_ceiling(UINT64_MAX), 20);
}

static void retransmit_limits_are_those_of_the_specification(void **state)
{
    (void)state;
    static const struct {
        uint64_t first, last;
        uint32_t mult_4, mult_2;
    } rows[] = {{0, 0, 0, 0},      {1, 9, 4, 2},        {10, 99, 8, 4},
                {100, 999, 12, 6}, {1000, 9999, 16, 8}, {10000, 99998, 20, 10}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint64_t members[] = {rows[i].first, rows[i].last};
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(4 * log10_ceiling(members[k] + 1), rows[i].mult_4);
            assert_int_equal(2 * log10_ceiling(members[k] + 1), rows[i].mult_2);
        }
    }
}

static void suspicion_minima_are_those_of_the_specification(void **state)
{
    (void)state;
    static const struct {
        uint64_t members;
        uint32_t thousandths;
    } rows[] = {{10, 1000},  {20, 1301},   {50, 1698},   {99, 1995},
                {100, 2000}, {1000, 3000}, {10000, 4000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(log10_thousandths(rows[i].members), rows[i].thousandths);
    assert_int_equal(log10_thousandths(0), 0);
    assert_int_equal(log10_thousandths(1), 0);
    assert_int_equal(log10_thousandths(2), 301);
    assert_int_equal(log10_thousandths(UINT64_MAX), 19265);
}

/* By another route, the digit-by-digit logarithm: a number is brought below ten, each division a
 * count; its tenth power brought below ten gives the next decimal place. */
static uint32_t thousandths_digit_by_digit(uint64_t n)
{
    long double x = (long double)n;
    uint32_t whole = 0;
    while (x >= 10.0L) {
        x /= 10.0L;
        whole++;
    }
    for (int digit = 0; digit < 3; digit++) {
        long double power = 1.0L;
        for (int i = 0; i < 10; i++)
            power *= x;
        uint32_t value = 0;
        while (power >= 10.0L) {
            power /= 10.0L;
            value++;
        }
        whole = whole * 10 + value;
        x = power;
    }
    return whole;
}

static void thousandths_agree_with_another_method(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 100000; n++)
        if (log10_thousandths(n) != thousandths_digit_by_digit(n))
            fail_msg("log10_thousandths(%llu) is %u, not %u", (unsigned long long)n,
                     log10_thousandths(n), thousandths_digit_by_digit(n));
}

static void ceilings_of_log2_are_exact_at_powers_of_two(void **state)
{
    (void)state;
    assert_int_equal(log2_ceiling(0), 0);
    assert_int_equal(log2_ceiling(1), 0);
    assert_int_equal(log2_ceiling(2), 1);
    for (uint32_t bits = 2; bits < 64; bits++) {
        assert_int_equal(log2_ceiling((UINT64_C(1) << bits) - 1), bits);
        assert_int_equal(log2_ceiling(UINT64_C(1) << bits), bits);
        assert_int_equal(log2_ceiling((UINT64_C(1) << bits) + 1), bits + 1);
    }
    assert_int_equal(log2_ceiling(UINT64_MAX), 64);
}

/* The interval is 30 s times ceil(log2(N) - log2(32)) + 1 above 32 members. */
static void push_pull_scales_are_those_of_the_specification(void **state)
{
    (void)state;
    static const struct {
        uint64_t members;
        uint32_t seconds;
    } rows[] = {{33, 60},   {64, 60},   {65, 90},    {128, 90},
                {129, 120}, {256, 120}, {1000, 180}, {10000, 300}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(30 * (log2_ceiling(rows[i].members) - 5 + 1), rows[i].seconds);
}

static void assert_close(double actual, double expected)
{
    double difference = actual > expected ? actual - expected : expected - actual;
    assert_true(difference <= expected * 4e-16);
}

static void natural_logarithms_are_right_to_the_last_place(void **state)
{
    (void)state;
    assert_true(natural_logarithm(1.0) == 0.0);
    assert_close(natural_logarithm(2.0), 0.69314718055994530942);
    assert_close(natural_logarithm(10.0), 2.30258509299404568402);
    assert_close(natural_logarithm(1.4142135623730951), 0.34657359027997269);
    assert_close(natural_logarithm(5.0), 1.60943791243410037460);
    assert_close(natural_logarithm(1e15), 34.53877639491068526);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ceilings_of_log10_are_exact_at_powers_of_ten),
        cmocka_unit_test(retransmit_limits_are_those_of_the_specification),
        cmocka_unit_test(suspicion_minima_are_those_of_the_specification),
        cmocka_unit_test(thousandths_agree_with_another_method),
        cmocka_unit_test(ceilings_of_log2_are_exact_at_powers_of_two),
        cmocka_unit_test(push_pull_scales_are_those_of_the_specification),
        cmocka_unit_test(natural_logarithms_are_right_to_the_last_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
