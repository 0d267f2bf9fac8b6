#include "flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct values {
    bool detailed, detailed_given;
    const char *address;
    int64_t factor;
    int64_t timeout;
    struct flag_list tags;
    char error[256];
};

#define PARSE(values, ...) parse((values), (const char *[]){"serf", __VA_ARGS__, NULL})

static int parse(struct values *values, const char **argv)
{
    const struct flag flags[] = {
        {"detailed", FLAG_BOOL, &values->detailed, &values->detailed_given},
        {"rpc-addr", FLAG_STRING, &values->address, NULL},
        {"relay-factor", FLAG_INTEGER, &values->factor, NULL},
        {"timeout", FLAG_DURATION, &values->timeout, NULL},
        {"tag", FLAG_LIST, &values->tags, NULL},
    };
    int argc = 0;
    while (argv[argc])
        argc++;
    struct buffer error;
    buffer_init(&error, 255);
    int first = flags_parse(flags, 5, argc, (char **)argv, &error);
    strncpy(values->error, buffer_text(&error), sizeof values->error - 1);
    buffer_fini(&error);
    return first;
}

static void one_dash_or_two_with_or_without_equals(void **state)
{
    (void)state;
    struct values v = {0};
    assert_int_equal(PARSE(&v, "-rpc-addr=a", "--timeout=5s", "-relay-factor", "0x10", "x"), 5);
    assert_string_equal(v.address, "a");
    assert_int_equal(v.timeout, 5000000000);
    assert_int_equal(v.factor, 16);
    assert_false(v.detailed_given);
    assert_int_equal(PARSE(&v, "--rpc-addr", "b", "-rpc-addr="), 4);
    assert_string_equal(v.address, "");
}

static void a_boolean_never_takes_the_next_word(void **state)
{
    (void)state;
    struct values v = {0};
    assert_int_equal(PARSE(&v, "-detailed", "false"), 2);
    assert_true(v.detailed);
    assert_true(v.detailed_given);
    assert_int_equal(PARSE(&v, "-detailed=False"), 2);
    assert_false(v.detailed);
    assert_int_equal(PARSE(&v, "-detailed=T"), 2);
    assert_true(v.detailed);
}

static void a_lone_dash_a_word_or_two_dashes_end_the_flags(void **state)
{
    (void)state;
    struct values v = {0};
    assert_int_equal(PARSE(&v, "-", "-bogus"), 1);
    assert_int_equal(PARSE(&v, "x", "-bogus"), 1);
    assert_int_equal(PARSE(&v, "-detailed", "--", "-bogus"), 3);
    assert_int_equal(PARSE(&v, "-detailed"), 2);
}

static void lists_append_and_scalars_keep_the_last(void **state)
{
    (void)state;
    struct values v = {0};
    assert_int_equal(PARSE(&v, "-tag", "a=1", "-tag=b=2", "-rpc-addr", "x", "-rpc-addr", "y"), 8);
    assert_int_equal(v.tags.count, 2);
    assert_string_equal(v.tags.values[0], "a=1");
    assert_string_equal(v.tags.values[1], "b=2");
    assert_string_equal(v.address, "y");
    flag_list_fini(&v.tags);
}

static void errors_name_the_flag_and_the_value(void **state)
{
    (void)state;
    struct values v = {0};
    assert_int_equal(PARSE(&v, "--bogus=3"), -1);
    assert_string_equal(v.error, "flag provided but not defined: -bogus");
    assert_int_equal(PARSE(&v, "-rpc-addr"), -1);
    assert_string_equal(v.error, "flag needs an argument: -rpc-addr");
    assert_int_equal(PARSE(&v, "-detailed=x"), -1);
    assert_string_equal(v.error, "invalid boolean value \"x\" for -detailed: parse error");
    assert_int_equal(PARSE(&v, "-relay-factor", "x\"\n"), -1);
    assert_string_equal(v.error, "invalid value \"x\\\"\\n\" for flag -relay-factor: parse error");
    assert_int_equal(PARSE(&v, "-relay-factor", " 5"), -1);
    assert_int_equal(PARSE(&v, "-relay-factor", "99999999999999999999"), -1);
    assert_string_equal(
        v.error,
        "invalid value \"99999999999999999999\" for flag -relay-factor: value out of range");
    assert_int_equal(PARSE(&v, "-timeout=5"), -1);
    assert_string_equal(v.error, "invalid value \"5\" for flag -timeout: parse error");
    assert_int_equal(PARSE(&v, "---x"), -1);
    assert_string_equal(v.error, "bad flag syntax: ---x");
    assert_int_equal(PARSE(&v, "-=x"), -1);
    assert_string_equal(v.error, "bad flag syntax: -=x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_dash_or_two_with_or_without_equals),
        cmocka_unit_test(a_boolean_never_takes_the_next_word),
        cmocka_unit_test(a_lone_dash_a_word_or_two_dashes_end_the_flags),
        cmocka_unit_test(lists_append_and_scalars_keep_the_last),
        cmocka_unit_test(errors_name_the_flag_and_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
