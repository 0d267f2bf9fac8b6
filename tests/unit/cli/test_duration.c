#include "duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int64_t parsed(const char *text)
{
    int64_t value = -1;
    assert_true(duration_parse(text, &value));
    return value;
}

static void units_and_fractions_add_up(void **state)
{
    (void)state;
    assert_int_equal(parsed("30s"), 30000000000);
    assert_int_equal(parsed("1.5h2m"), 5520000000000);
    assert_int_equal(parsed("100ms"), 100000000);
    assert_int_equal(parsed("1us2ns"), 1002);
    assert_int_equal(parsed("3\xc2\xb5s"), 3000);
    assert_int_equal(parsed("3\xce\xbcs"), 3000);
    assert_int_equal(parsed(".5s"), 500000000);
    assert_int_equal(parsed("5.s"), 5000000000);
    assert_int_equal(parsed("-1m"), -60000000000);
    assert_int_equal(parsed("+1m"), 60000000000);
    assert_int_equal(parsed("0.100000000000000000000000001s"), 100000000);
}

static void zero_needs_no_unit(void **state)
{
    (void)state;
    assert_int_equal(parsed("0"), 0);
    assert_int_equal(parsed("-0"), 0);
    assert_int_equal(parsed("0s"), 0);
}

static void malformed_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "5",  "-",  ".",    ".s",  "s",     "1x",  "1s2",
                                      "1 s", "00", "1d", "--1s", "1s ", "bogus", "1e3s"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t value;
        assert_false(duration_parse(bad[i], &value));
    }
}

static void the_range_is_that_of_64_bits(void **state)
{
    (void)state;
    int64_t value;
    assert_int_equal(parsed("9223372036854775807ns"), INT64_MAX);
    assert_int_equal(parsed("-9223372036854775808ns"), INT64_MIN);
    assert_false(duration_parse("9223372036854775808ns", &value));
    assert_false(duration_parse("99999999999999999999ns", &value));
    assert_false(duration_parse("2562048h", &value));
    assert_false(duration_parse("9223372036854775807ns1ns", &value));
}

static void text_is_shortest_and_starts_at_the_largest_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {1500, "1.5\xc2\xb5s"},
        {100000000, "100ms"},
        {1500000000, "1.5s"},
        {30000000000, "30s"},
        {60000000000, "1m0s"},
        {90000000000, "1m30s"},
        {3600000000000, "1h0m0s"},
        {86400000000000, "24h0m0s"},
        {-1500000000, "-1.5s"},
        {INT64_MAX, "2562047h47m16.854775807s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    char text[DURATION_TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(duration_text(cases[i].value, text), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_and_fractions_add_up),
        cmocka_unit_test(zero_needs_no_unit),
        cmocka_unit_test(malformed_text_is_refused),
        cmocka_unit_test(the_range_is_that_of_64_bits),
        cmocka_unit_test(text_is_shortest_and_starts_at_the_largest_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
