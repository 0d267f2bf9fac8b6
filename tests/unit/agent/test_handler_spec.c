/* What an event handler is for, and what its script finds in its environment and on its input. */
#include "support.h"

#include "handler_event.h"
#include "handler_spec.h"
#include "serf.h"

static struct handler_spec spec;
static struct buffer error;

static int set_up(void **state)
{
    (void)state;
    buffer_init(&error, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    handler_spec_fini(&spec);
    buffer_fini(&error);
    return 0;
}

static void parse(const char *text)
{
    handler_spec_fini(&spec);
    assert_true(handler_spec_parse(&spec, text, &error));
}

static size_t matches_member(enum member_event_type type)
{
    struct handler_event_key key = {.subject = HANDLER_MEMBER, .type = type};
    return handler_spec_matches(&spec, &key);
}

static size_t matches(enum handler_subject subject, const char *name)
{
    struct handler_event_key key = {.subject = subject, .name = span_text(name)};
    return handler_spec_matches(&spec, &key);
}

static void without_filters_a_script_is_for_everything(void **state)
{
    (void)state;
    const char *texts[] = {"script", "=script", "*=script"};
    for (size_t i = 0; i < 3; i++) {
        parse(texts[i]);
        assert_string_equal(spec.script, "script");
        assert_int_equal(matches_member(MEMBER_EVENT_REAP), 1);
        assert_int_equal(matches(HANDLER_USER, "x"), 1);
        assert_int_equal(matches(HANDLER_QUERY, ""), 1);
    }
}

static void the_first_equals_sign_ends_the_filters(void **state)
{
    (void)state;
    parse("user=a=b");
    assert_string_equal(spec.script, "a=b");
}

static void each_filter_matches_its_own_events(void **state)
{
    (void)state;
    parse("member-join,user:deploy,query=x");
    assert_int_equal(matches_member(MEMBER_EVENT_JOIN), 1);
    assert_int_equal(matches_member(MEMBER_EVENT_LEAVE), 0);
    assert_int_equal(matches(HANDLER_USER, "deploy"), 1);
    assert_int_equal(matches(HANDLER_USER, "deploy2"), 0);
    assert_int_equal(matches(HANDLER_USER, ""), 0);
    assert_int_equal(matches(HANDLER_QUERY, "anything"), 1);
    parse("user:,query:q=x");
    assert_int_equal(matches(HANDLER_USER, "anything"), 1);
    assert_int_equal(matches(HANDLER_QUERY, "q"), 1);
    assert_int_equal(matches(HANDLER_QUERY, "p"), 0);
    parse("member-leave,member-failed,member-update,member-reap=x");
    for (int type = MEMBER_EVENT_LEAVE; type <= MEMBER_EVENT_REAP; type++)
        assert_int_equal(matches_member((enum member_event_type)type), 1);
    assert_int_equal(matches_member(MEMBER_EVENT_JOIN), 0);
}

static void a_script_runs_once_for_each_filter_that_matches(void **state)
{
    (void)state;
    parse("*,user,user:a,user:b=x");
    assert_int_equal(matches(HANDLER_USER, "a"), 3);
    assert_int_equal(matches(HANDLER_QUERY, "a"), 1);
}

static void what_is_no_event_is_refused_and_named(void **state)
{
    (void)state;
    const struct {
        const char *text, *start;
    } refusals[] = {
        {"bogus=x", "Event 'bogus' invoking 'x'"},
        {" user=x", "Event ' user' invoking 'x'"},
        {"user,,query=x", "Event '' invoking 'x'"},
        {"user,=x", "Event '' invoking 'x'"},
        {"member-join:n=x", "Event 'member-join:n' invoking 'x'"},
        {"member-jion=x", "Event 'member-jion' invoking 'x'"},
        {"member-join user=x", "Event 'member-join user' invoking 'x'"},
        {"member-join, user=x", "Event ' user' invoking 'x'"},
        {"users/all=x", "Event 'users/all' invoking 'x'"},
        {"FOO=bar command", "Event 'FOO' invoking 'bar command'"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        buffer_reset(&error);
        assert_false(handler_spec_parse(&spec, refusals[i].text, &error));
        assert_starts_with(buffer_text(&error), refusals[i].start);
    }
}

static void a_command_line_may_have_an_equals_sign_of_its_own(void **state)
{
    (void)state;
    const char *texts[] = {"/usr/bin/notify --to=ops", "notify --to=ops", "./run x=1", "/x=1"};
    for (size_t i = 0; i < 4; i++) {
        parse(texts[i]);
        assert_string_equal(spec.script, texts[i]);
        assert_int_equal(matches(HANDLER_USER, "x"), 1);
    }
}

static void a_list_of_filters_has_a_limit(void **state)
{
    (void)state;
    char text[4 * HANDLER_FILTERS_MAX + 8] = "*";
    for (size_t i = 0; i < HANDLER_FILTERS_MAX; i++)
        memcpy(text + 1 + 2 * i, ",*", 3);
    memcpy(text + strlen(text), "=x", 3);
    assert_false(handler_spec_parse(&spec, text, &error));
    parse(text + 2);
}

static void info_shows_filters_with_a_colon(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1024);
    parse("*,member-join,user,user:deploy,query:q=x");
    for (size_t i = 0; i < spec.filter_count; i++) {
        handler_filter_text(&out, &spec.filters[i]);
        buffer_append_u8(&out, ' ');
    }
    assert_string_equal(buffer_text(&out), "*: member-join: user: user:deploy query:q ");
    buffer_fini(&out);
}

/* --- input --- */

static void assert_input(struct handler_event *event, const char *expected)
{
    assert_non_null(event);
    assert_string_equal(buffer_text(&event->input), expected);
    handler_event_release(event);
}

static struct member_view member(const char *name, struct buffer *meta, const struct tag *tags,
                                 size_t count)
{
    struct member_view view = {.name = span_text(name)};
    assert_true(endpoint_from_text(&view.endpoint, "10.0.0.1", 7946));
    buffer_init(meta, 1024);
    assert_true(serf_encode_tags(meta, 5, tags, count));
    view.meta = buffer_span(meta);
    return view;
}

static void each_member_is_a_line_of_name_address_role_and_tags(void **state)
{
    (void)state;
    const struct tag tags[] = {{span_text("a\tb"), span_text("c\nd,e=f")},
                               {span_text("role"), span_text("db\t")}};
    struct buffer meta[2];
    struct member_view members[] = {member("n 2\t,x", &meta[0], tags, 2),
                                    member("n3", &meta[1], NULL, 0)};
    endpoint_from_text(&members[1].endpoint, "fd00::3", 7946);
    assert_input(handler_event_members(MEMBER_EVENT_JOIN, members, 2),
                 "n 2\\t,x\t10.0.0.1\tdb\\t\ta\\tb=c\\nd,e=f,role=db\\t\n"
                 "n3\tfd00::3\t\t\n");
    buffer_fini(&meta[0]);
    buffer_fini(&meta[1]);
}

static void a_payload_gets_a_newline_only_when_it_lacks_one(void **state)
{
    (void)state;
    assert_input(handler_event_user(1, span_text("e"), SPAN_EMPTY), "");
    assert_input(handler_event_user(1, span_text("e"), span_text("x")), "x\n");
    assert_input(handler_event_query(1, 1, 1, span_text("e"), span_text("x\n")), "x\n");
    assert_input(handler_event_query(1, 1, 1, span_text("e"), span_text("\n")), "\n");
}

/* --- environment --- */

static const char *find(char **environment, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; environment[i]; i++) {
        size_t size = strlen(name);
        if (strncmp(environment[i], name, size) != 0 || environment[i][size] != '=')
            continue;
        assert_null(found); /* each name once */
        found = environment[i] + size + 1;
    }
    return found;
}

static void assert_variable(char **environment, const char *name, const char *value)
{
    const char *found = find(environment, name);
    if (!found)
        fail_msg("no %s", name);
    assert_string_equal(found, value);
}

static void the_environment_describes_event_and_member(void **state)
{
    (void)state;
    struct text_map tags = {0};
    text_map_set(&tags, span_text("role"), span_text("web server"));
    text_map_set(&tags, span_text("data-center.1"), span_text("a=b\nc"));
    setenv("INHERITED", "yes", 1);
    setenv("SERF_EVENT", "of somebody else", 1);
    struct handler_event *event = handler_event_user(42, span_text("na me"), SPAN_EMPTY);
    char **environment = handler_environment(event, "n1", &tags, &error);
    assert_non_null(environment);
    assert_variable(environment, "INHERITED", "yes");
    assert_variable(environment, "SERF_EVENT", "user");
    assert_variable(environment, "SERF_SELF_NAME", "n1");
    assert_variable(environment, "SERF_SELF_ROLE", "web server");
    assert_variable(environment, "SERF_TAG_ROLE", "web server");
    assert_variable(environment, "SERF_TAG_DATA_CENTER_1", "a=b\nc");
    assert_variable(environment, "SERF_USER_EVENT", "na me");
    assert_variable(environment, "SERF_USER_LTIME", "42");
    assert_null(find(environment, "SERF_QUERY_NAME"));
    free(environment);
    handler_event_release(event);
    unsetenv("SERF_EVENT");
    text_map_fini(&tags);
}

static void a_query_has_its_own_variables_and_no_role_is_an_empty_one(void **state)
{
    (void)state;
    struct text_map tags = {0};
    struct handler_event *event =
        handler_event_query(1, UINT64_MAX, 1, span_text("load"), SPAN_EMPTY);
    char **environment = handler_environment(event, "n1", &tags, &error);
    assert_non_null(environment);
    assert_variable(environment, "SERF_EVENT", "query");
    assert_variable(environment, "SERF_SELF_ROLE", "");
    assert_variable(environment, "SERF_QUERY_NAME", "load");
    assert_variable(environment, "SERF_QUERY_LTIME", "18446744073709551615");
    assert_null(find(environment, "SERF_USER_EVENT"));
    free(environment);
    handler_event_release(event);
}

static void tag_names_become_upper_case_one_character_for_each_code_point(void **state)
{
    (void)state;
    const struct {
        const char *tag, *variable;
    } names[] = {
        {"9x", "SERF_TAG_9X"},
        {"\xc3\xa9", "SERF_TAG__"},           /* é */
        {"a\xe2\x82\xac-b", "SERF_TAG_A__B"}, /* € and - */
        {"x\xf0\x9f\x98\x80", "SERF_TAG_X_"}, /* an emoji */
        {"y\xff\xc3(", "SERF_TAG_Y___"},      /* bytes that are no UTF-8 */
        {"\xed\xa0\x80", "SERF_TAG____"},     /* a surrogate: three such bytes */
        {"\xc4\xb1\xc5\xbfS", "SERF_TAG_ISS"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct text_map tags = {0};
        text_map_set(&tags, span_text(names[i].tag), span_text("value"));
        struct handler_event *event = handler_event_empty(MEMBER_EVENT_REAP);
        char **environment = handler_environment(event, "n1", &tags, &error);
        assert_non_null(environment);
        assert_variable(environment, names[i].variable, "value");
        assert_variable(environment, "SERF_EVENT", "member-reap");
        free(environment);
        handler_event_release(event);
        text_map_fini(&tags);
    }
}

static void a_name_with_a_nul_can_not_be_a_variable(void **state)
{
    (void)state;
    struct text_map tags = {0};
    struct handler_event *event = handler_event_user(1, span_make("a\0b", 3), SPAN_EMPTY);
    assert_null(handler_environment(event, "n1", &tags, &error));
    assert_string_equal(buffer_text(&error), "exec: environment variable contains NUL");
    handler_event_release(event);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_filters_a_script_is_for_everything),
        TEST(the_first_equals_sign_ends_the_filters),
        TEST(each_filter_matches_its_own_events),
        TEST(a_script_runs_once_for_each_filter_that_matches),
        TEST(what_is_no_event_is_refused_and_named),
        TEST(a_command_line_may_have_an_equals_sign_of_its_own),
        TEST(a_list_of_filters_has_a_limit),
        TEST(info_shows_filters_with_a_colon),
        TEST(each_member_is_a_line_of_name_address_role_and_tags),
        TEST(a_payload_gets_a_newline_only_when_it_lacks_one),
        TEST(the_environment_describes_event_and_member),
        TEST(a_query_has_its_own_variables_and_no_role_is_an_empty_one),
        TEST(tag_names_become_upper_case_one_character_for_each_code_point),
        TEST(a_name_with_a_nul_can_not_be_a_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
