/* Expressions of peers: what they match, what is refused, and how many stay compiled. The language
 * itself is tested with the filters of members. */
#include "support.h"

#include "expression.h"

static void matches(const char *pattern, const char *text, bool wanted)
{
    struct buffer error;
    buffer_init(&error, 4096);
    if (expression_matches(span_text(pattern), span_text(text), &error) != wanted)
        fail_msg("'%s' %s '%s'", pattern, wanted ? "does not match" : "matches", text);
    assert_int_equal(error.size, 0);
    buffer_fini(&error);
}

static void refuses(const char *pattern, const char *reason)
{
    struct buffer error;
    buffer_init(&error, 4096);
    assert_false(expression_matches(span_text(pattern), span_text("aaaa"), &error));
    assert_string_equal(buffer_text(&error), reason);
    buffer_fini(&error);
}

static void an_expression_matches_where_it_is_found(void **state)
{
    (void)state;
    matches("eb", "web", true);
    matches("^eb", "web", false);
    matches("^w|x$", "web", true);
    matches("^$", "", true);
    matches("^$", "web", false);
    matches("", "web", true);
    matches("web$", "web\n", false);
    expressions_forget();
}

static void a_place_may_be_repeated_as_in_re2(void **state)
{
    (void)state;
    matches("^*web", "a web", true);
    matches("^+web", "a web", false);
    matches("^+web", "web", true);
    matches("web$?", "webs", true);
    matches("\\b{2}eb", "web", false);
    matches("\\B*eb", "web", true);
    matches("[$]*^{x", "^{x", false);
    matches("\\Q^*\\E", "a^*", true);
    refuses("^**", "error parsing regexp: invalid nested repetition operator: `^**`");
    refuses("*a", "error parsing regexp: quantifier does not follow a repeatable item: `*a`");
    expressions_forget();
}

static void what_is_no_expression_is_refused_each_time_it_comes(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        refuses("(", "error parsing regexp: missing closing parenthesis: `(`");
        refuses("(a)\\1", "error parsing regexp: references back are not supported: `(a)\\1`");
        refuses("a(?=b)", "error parsing regexp: invalid or unsupported Perl syntax: `a(?=b)`");
    }
    char large[EXPRESSION_SIZE_MAX + 2];
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    refuses(large, "longer than 1024 bytes");
    expressions_forget();
}

static void one_that_takes_too_many_steps_matches_nobody_and_says_so(void **state)
{
    (void)state;
    struct buffer error;
    buffer_init(&error, 4096);
    const char *text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
    assert_false(expression_matches(span_text("^(a|aa|a?)*$"), span_text(text), &error));
    assert_string_equal(buffer_text(&error), "it takes too many steps to match");
    buffer_fini(&error);
    expressions_forget();
}

/* More than stay compiled, twice over: each is matched by its own expression. */
static void however_many_come_each_is_matched_by_its_own(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 3 * EXPRESSIONS_KNOWN; i++) {
            char pattern[32], text[32], other[32];
            snprintf(pattern, sizeof pattern, "^n%d$", i);
            snprintf(text, sizeof text, "n%d", i);
            snprintf(other, sizeof other, "n%d", i + 1);
            matches(pattern, text, true);
            matches(pattern, other, false);
        }
    expressions_forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_expression_matches_where_it_is_found),
        cmocka_unit_test(a_place_may_be_repeated_as_in_re2),
        cmocka_unit_test(what_is_no_expression_is_refused_each_time_it_comes),
        cmocka_unit_test(one_that_takes_too_many_steps_matches_nobody_and_says_so),
        cmocka_unit_test(however_many_come_each_is_matched_by_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
