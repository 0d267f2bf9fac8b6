#include "stream_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool wants(const char *list, enum stream_event event, const char *name)
{
    struct stream_filter filter;
    assert_int_equal(stream_filter_init(&filter, span_text(list)), STREAM_FILTER_OK);
    bool result = stream_filter_wants(&filter, event, span_text(name));
    stream_filter_fini(&filter);
    return result;
}

static void star_and_nothing_mean_everything(void **state)
{
    (void)state;
    assert_true(wants("*", STREAM_MEMBER_REAP, ""));
    assert_true(wants("", STREAM_USER, "x"));
    assert_true(wants("user:a,*", STREAM_QUERY, "x"));
}

static void words_select_their_events_only(void **state)
{
    (void)state;
    assert_true(wants("member-join,member-failed", STREAM_MEMBER_FAILED, ""));
    assert_false(wants("member-join,member-failed", STREAM_MEMBER_LEAVE, ""));
    assert_false(wants("user", STREAM_QUERY, "x"));
    assert_true(wants("user:", STREAM_USER, "anything"));
}

static void names_match_exactly(void **state)
{
    (void)state;
    assert_true(wants("user:deploy", STREAM_USER, "deploy"));
    assert_false(wants("user:deploy", STREAM_USER, "deploys"));
    assert_false(wants("user:deploy", STREAM_QUERY, "deploy"));
    assert_true(wants("query:a,user:b", STREAM_USER, "b"));
    assert_true(wants("user:a:b", STREAM_USER, "a:b"));
}

static void other_words_are_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {"member-join:x", " user", "user, query", "bogus",
                                      "user,",         ",",     "*:x",         "User"};
    struct stream_filter filter;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(stream_filter_init(&filter, span_text(bad[i])), STREAM_FILTER_INVALID);
    char many[2 * STREAM_FILTER_WORDS_MAX + 2];
    memset(many, ',', sizeof many);
    for (size_t i = 0; i < sizeof many; i += 2)
        many[i] = '*';
    many[sizeof many - 1] = '\0';
    assert_int_equal(stream_filter_init(&filter, span_text(many)), STREAM_FILTER_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(star_and_nothing_mean_everything),
        cmocka_unit_test(words_select_their_events_only),
        cmocka_unit_test(names_match_exactly),
        cmocka_unit_test(other_words_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
