#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void formats(const char *const *rows, size_t count, const char *wanted)
{
    struct table table;
    struct buffer out;
    table_init(&table);
    buffer_init(&out, 4096);
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(&table.text, rows[i]);
        table_end_row(&table);
    }
    assert_true(table_format(&table, &out));
    assert_string_equal(buffer_text(&out), wanted);
    buffer_fini(&out);
    table_fini(&table);
}

#define FORMATS(wanted, ...)                                                                       \
    formats((const char *const[]){__VA_ARGS__},                                                    \
            sizeof(const char *const[]){__VA_ARGS__} / sizeof(char *), (wanted))

static void columns_are_as_wide_as_their_longest_field(void **state)
{
    (void)state;
    FORMATS("n1   127.0.0.1:7946   alive\nn10  127.0.0.10:7946  left", "n1|127.0.0.1:7946|alive",
            "n10|127.0.0.10:7946|left");
}

static void an_empty_last_field_leaves_two_spaces_but_not_at_the_end(void **state)
{
    (void)state;
    FORMATS("n1  127.0.0.1:7946  alive  \nn2  127.0.0.2:7946  alive", "n1|127.0.0.1:7946|alive|",
            "n2|127.0.0.2:7946|alive|");
}

static void rows_may_differ_in_length_and_bars_split(void **state)
{
    (void)state;
    FORMATS("a                b\nlonger than all\nab               x  y", "a|b", "longer than all",
            "ab|x|y");
}

static void fields_are_trimmed_and_measured_in_code_points(void **state)
{
    (void)state;
    FORMATS("\xc3\xa9\xc3\xa9   x\nabc  y", " \xc3\xa9\xc3\xa9 | x", "abc\t|y ");
}

static void no_rows_are_no_text(void **state)
{
    (void)state;
    formats(NULL, 0, "");
    FORMATS("", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_longest_field),
        cmocka_unit_test(an_empty_last_field_leaves_two_spaces_but_not_at_the_end),
        cmocka_unit_test(rows_may_differ_in_length_and_bars_split),
        cmocka_unit_test(fields_are_trimmed_and_measured_in_code_points),
        cmocka_unit_test(no_rows_are_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
