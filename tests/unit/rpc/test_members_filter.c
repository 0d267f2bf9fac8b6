#include "members_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static enum expression_result match_name(const char *pattern, const char *name)
{
    struct buffer error;
    buffer_init(&error, 4096);
    struct members_filter *filter =
        members_filter_new(span_text(pattern), SPAN_EMPTY, NULL, 0, &error);
    if (!filter)
        fail_msg("%s", buffer_text(&error));
    struct member_view member = {.name = span_text(name), .status = STATUS_ALIVE};
    enum expression_result result = members_filter_match(filter, &member);
    members_filter_free(filter);
    buffer_fini(&error);
    return result;
}

static void refuses(const char *pattern, const char *reason)
{
    struct buffer error;
    buffer_init(&error, 4096);
    assert_null(members_filter_new(span_text(pattern), SPAN_EMPTY, NULL, 0, &error));
    if (!strstr(buffer_text(&error), reason))
        fail_msg("%s: '%s' instead of '%s'", pattern, buffer_text(&error), reason);
    assert_memory_equal(buffer_text(&error), "Failed to compile regex: ", 25);
    buffer_fini(&error);
}

static void expressions_are_anchored_without_a_group(void **state)
{
    (void)state;
    assert_int_equal(match_name("n1", "n1"), EXPRESSION_YES);
    assert_int_equal(match_name("n", "n1"), EXPRESSION_NO);
    assert_int_equal(match_name("1", "n1"), EXPRESSION_NO);
    assert_int_equal(match_name("n2|zz", "n2-anything"), EXPRESSION_YES);
    assert_int_equal(match_name("n2|zz", "anything-zz"), EXPRESSION_YES);
    assert_int_equal(match_name("n2|zz", "a-n2"), EXPRESSION_NO);
    assert_int_equal(match_name("n1", "n1\n"), EXPRESSION_NO);
}

static void an_empty_expression_matches_any_name_and_status(void **state)
{
    (void)state;
    assert_int_equal(match_name("", "whatever"), EXPRESSION_YES);
}

static void status_is_matched_by_its_word(void **state)
{
    (void)state;
    struct buffer error;
    buffer_init(&error, 1024);
    struct members_filter *filter =
        members_filter_new(SPAN_EMPTY, span_text("left|fa.*"), NULL, 0, &error);
    struct member_view member = {.name = span_text("n"), .status = STATUS_FAILED};
    assert_int_equal(members_filter_match(filter, &member), EXPRESSION_YES);
    member.status = STATUS_ALIVE;
    assert_int_equal(members_filter_match(filter, &member), EXPRESSION_NO);
    members_filter_free(filter);
    buffer_fini(&error);
}

static enum expression_result match_tag(const char *key, const char *pattern)
{
    static const uint8_t meta[] = {0xff, 0x81, 0xa4, 'r', 'o', 'l', 'e', 0xa2, 'd', 'b'};
    const struct tag tags[] = {{span_text("role"), span_text("d.")},
                               {span_text(key), span_text(pattern)}};
    struct buffer error;
    buffer_init(&error, 1024);
    struct members_filter *filter = members_filter_new(SPAN_EMPTY, SPAN_EMPTY, tags, 2, &error);
    const struct member_view member = {.name = span_text("n"),
                                       .meta = span_make(meta, sizeof meta)};
    enum expression_result result = members_filter_match(filter, &member);
    members_filter_free(filter);
    buffer_fini(&error);
    return result;
}

static void all_tags_must_match_and_an_absent_one_is_empty(void **state)
{
    (void)state;
    assert_int_equal(match_tag("role", "db"), EXPRESSION_YES);
    assert_int_equal(match_tag("role", "web"), EXPRESSION_NO);
    assert_int_equal(match_tag("nosuch", ".*"), EXPRESSION_YES);
    assert_int_equal(match_tag("nosuch", ""), EXPRESSION_YES);
    assert_int_equal(match_tag("nosuch", ".+"), EXPRESSION_NO);
}

static void re2_has_these(void **state)
{
    (void)state;
    assert_int_equal(match_name("(?i)N[0-9]+", "n12"), EXPRESSION_YES);
    assert_int_equal(match_name("(?P<x>a+?)(?:b)*", "aab"), EXPRESSION_YES);
    assert_int_equal(match_name("\\d{1,3}\\.\\w+", "12.x"), EXPRESSION_YES);
    assert_int_equal(match_name("[[:alpha:]]+[]a-]", "ab]"), EXPRESSION_YES);
    assert_int_equal(match_name("[^]]", "x"), EXPRESSION_YES);
    assert_int_equal(match_name("\\Qa.(b\\E+", "a.(bb"), EXPRESSION_YES);
    assert_int_equal(match_name("\\pL\\x{e9}", "a\xc3\xa9"), EXPRESSION_YES);
    assert_int_equal(match_name("a{,2}", "a{,2}"), EXPRESSION_YES);
    assert_int_equal(match_name("[*+?({]+", "*+?({"), EXPRESSION_YES);
    assert_int_equal(match_name("(?s:.)", "\n"), EXPRESSION_YES);
    assert_int_equal(match_name(".", "\n"), EXPRESSION_NO);
}

static void what_re2_does_not_have_is_refused(void **state)
{
    (void)state;
    refuses("(a)\\1", "references back");
    refuses("(?P<n>a)(?P=n)", "Perl syntax");
    refuses("(?<n>a)\\k<n>", "escape");
    refuses("(?=a)", "Perl syntax");
    refuses("(?!a)", "Perl syntax");
    refuses("(?<=a)", "Perl syntax");
    refuses("(?<!a)", "Perl syntax");
    refuses("(?>a)", "Perl syntax");
    refuses("(?R)", "Perl syntax");
    refuses("(?1)", "Perl syntax");
    refuses("(?x)a", "Perl syntax");
    refuses("(?#a)", "Perl syntax");
    refuses("(*ACCEPT)", "repetition operator");
    refuses("a++", "nested repetition");
    refuses("a{2}{3}", "nested repetition");
    refuses("a{1001}", "repeat count");
    refuses("\\G", "escape");
    refuses("[\\R]", "escape");
    refuses("\\Ka", "escape");
}

static void mistakes_are_named(void **state)
{
    (void)state;
    refuses("n(", "missing closing parenthesis");
    refuses("[a", "missing terminating ]");
    refuses("a|*", "repe");
    refuses("(?", "Perl syntax");
    char pattern[EXPRESSION_SIZE_MAX + 2];
    memset(pattern, 'a', sizeof pattern);
    pattern[sizeof pattern - 1] = '\0';
    refuses(pattern, "longer than 1024 bytes");
}

static void what_is_put_around_an_expression_belongs_to_it(void **state)
{
    (void)state;
    assert_int_equal(match_name("*na", "na"), EXPRESSION_YES);
    assert_int_equal(match_name("*na", "ana"), EXPRESSION_YES);
    assert_int_equal(match_name("na\\", "na$"), EXPRESSION_YES);
    assert_int_equal(match_name("na\\", "na"), EXPRESSION_NO);
}

static void a_match_that_explodes_is_given_up(void **state)
{
    (void)state;
    assert_int_equal(match_name("(a|aa)+[bc]", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad"),
                     EXPRESSION_TOO_COSTLY);
}

static void names_that_are_no_utf8_do_no_harm(void **state)
{
    (void)state;
    assert_int_equal(match_name("n.*|\xc3\xa9", "\xff\xfe"), EXPRESSION_NO);
    struct buffer error;
    buffer_init(&error, 1024);
    assert_null(members_filter_new(span_text("\xff"), SPAN_EMPTY, NULL, 0, &error));
    buffer_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_are_anchored_without_a_group),
        cmocka_unit_test(an_empty_expression_matches_any_name_and_status),
        cmocka_unit_test(status_is_matched_by_its_word),
        cmocka_unit_test(all_tags_must_match_and_an_absent_one_is_empty),
        cmocka_unit_test(re2_has_these),
        cmocka_unit_test(what_re2_does_not_have_is_refused),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(what_is_put_around_an_expression_belongs_to_it),
        cmocka_unit_test(a_match_that_explodes_is_given_up),
        cmocka_unit_test(names_that_are_no_utf8_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
