/* Which handler gets which event, and what a full queue gives up. */
#include "support.h"

#include "handler_queue.h"

#include <stdio.h>

static struct handler_queue *queue;
static struct buffer error, ran;

static int set_up(void **state)
{
    (void)state;
    queue = handler_queue_new();
    buffer_init(&error, 1024);
    buffer_init(&ran, 1024 * 1024);
    return queue ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    handler_queue_free(queue);
    buffer_fini(&error);
    buffer_fini(&ran);
    return 0;
}

#define SET(...) set((char *[]){__VA_ARGS__, NULL})

static void set(char **texts)
{
    struct text_list list = {.values = texts};
    while (texts[list.count])
        list.count++;
    assert_true(handler_queue_set(queue, &list, &error));
}

static void user(const char *name)
{
    handler_queue_push(queue, handler_event_user(1, span_text(name), SPAN_EMPTY), 0);
}

static void query(const char *name, uint64_t deadline)
{
    handler_queue_push(queue, handler_event_query(1, 1, deadline, span_text(name), SPAN_EMPTY), 0);
}

/* One member, with a line as handlers get it. */
static void change(enum member_event_type type, const char *name, const char *rest)
{
    struct handler_event *event = handler_event_empty(type);
    buffer_printf(&event->input, "%s\t%s\n", name, rest);
    handler_queue_push(queue, event, 0);
}

static void describe(const struct handler_run *run)
{
    struct handler_event *event = run->event;
    buffer_printf(&ran, "%s:%s", run->script, handler_event_word(event));
    if (event->subject == HANDLER_MEMBER) {
        buffer_append_u8(&ran, '(');
        for (size_t i = 0; i < event->input.size; i++)
            buffer_append_u8(&ran, event->input.data[i] == '\t'   ? ' '
                                   : event->input.data[i] == '\n' ? ';'
                                                                  : event->input.data[i]);
        buffer_append_u8(&ran, ')');
    } else {
        buffer_printf(&ran, "-%s", buffer_text(&event->name));
    }
    buffer_append_u8(&ran, ' ');
}

/* Starts the next one and describes it; NULL when none may start. */
static struct handler *begin(uint64_t now)
{
    struct handler_run run;
    if (!handler_queue_next(queue, now, &run))
        return NULL;
    describe(&run);
    handler_event_release(run.event);
    return run.handler;
}

static const char *run_all(void)
{
    struct handler *handler;
    buffer_reset(&ran);
    while ((handler = begin(0)))
        handler_queue_finished(queue, handler);
    assert_true(handler_queue_idle(queue));
    return buffer_text(&ran);
}

static void events_run_in_order_and_each_through_the_list(void **state)
{
    (void)state;
    SET("user=A", "query=B", "*=C");
    user("1");
    query("2", 10);
    user("3");
    assert_string_equal(run_all(), "A:user-1 C:user-1 B:query-2 C:query-2 A:user-3 C:user-3 ");
}

static void a_filter_that_matches_again_runs_the_script_again(void **state)
{
    (void)state;
    SET("*,user:x=A", "user=B");
    user("x");
    user("y");
    assert_string_equal(run_all(), "A:user-x A:user-x B:user-x A:user-y B:user-y ");
}

static void a_handler_never_runs_twice_at_once(void **state)
{
    (void)state;
    SET("user=A", "user=B");
    user("1");
    user("2");
    struct handler *a = begin(0), *b = begin(0);
    assert_true(a && b && a != b);
    assert_null(begin(0));
    handler_queue_finished(queue, b);
    assert_ptr_equal(begin(0), b); /* though A is still at the first event */
    assert_string_equal(buffer_text(&ran), "A:user-1 B:user-1 B:user-2 ");
    handler_queue_finished(queue, b);
    handler_queue_finished(queue, a);
    assert_string_equal(run_all(), "A:user-2 ");
}

static void a_query_past_its_deadline_is_not_run(void **state)
{
    (void)state;
    SET("query=A");
    query("late", 10);
    query("in-time", 11);
    assert_non_null(begin(10));
    assert_string_equal(buffer_text(&ran), "A:query-in-time ");
    assert_int_equal(handler_queue_counts(queue).late_queries, 1);
}

static void fill_with_users(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%zu", i);
        user(name);
    }
}

static void a_full_queue_drops_the_oldest_user_events(void **state)
{
    (void)state;
    SET("*=A");
    fill_with_users(HANDLER_QUEUE_EVENTS_MAX + 2);
    assert_int_equal(handler_queue_length(queue, 0), HANDLER_QUEUE_EVENTS_MAX);
    assert_int_equal(handler_queue_counts(queue).dropped_user_events, 2);
    assert_starts_with(run_all(), "A:user-2 A:user-3 ");
}

static void bytes_fill_a_queue_too(void **state)
{
    (void)state;
    static char payload[1024 * 1024];
    SET("*=A");
    for (size_t i = 0; i < 20; i++)
        handler_queue_push(
            queue, handler_event_user(1, span_text("big"), span_make(payload, sizeof(payload))), 0);
    assert_true(handler_queue_length(queue, 0) < 17);
    assert_int_equal(handler_queue_counts(queue).dropped_user_events,
                     20 - handler_queue_length(queue, 0));
}

static void late_queries_go_before_user_events_and_those_before_other_queries(void **state)
{
    (void)state;
    SET("*=A");
    query("late", 5);
    query("open", 100);
    fill_with_users(HANDLER_QUEUE_EVENTS_MAX - 2);
    handler_queue_push(queue, handler_event_user(1, span_text("last"), SPAN_EMPTY), 7);
    assert_int_equal(handler_queue_counts(queue).late_queries, 1);
    assert_int_equal(handler_queue_counts(queue).dropped_user_events, 0);
    user("more");
    assert_int_equal(handler_queue_counts(queue).dropped_user_events, 1);
    assert_int_equal(handler_queue_counts(queue).dropped_queries, 0);
    assert_starts_with(run_all(), "A:query-open A:user-1 ");
}

static void a_queue_of_open_queries_drops_the_oldest(void **state)
{
    (void)state;
    SET("*=A");
    for (size_t i = 0; i <= HANDLER_QUEUE_EVENTS_MAX; i++)
        query(i == 0 ? "first" : i == 1 ? "second" : "later", 100);
    assert_int_equal(handler_queue_counts(queue).dropped_queries, 1);
    assert_starts_with(run_all(), "A:query-second ");
}

static void a_full_queue_keeps_the_latest_change_of_every_member(void **state)
{
    (void)state;
    SET("*=A");
    change(MEMBER_EVENT_JOIN, "a", "1");
    change(MEMBER_EVENT_JOIN, "b", "1");
    change(MEMBER_EVENT_FAILED, "a", "2");
    change(MEMBER_EVENT_UPDATE, "b", "2"); /* whoever joined and was updated has joined */
    change(MEMBER_EVENT_UPDATE, "c", "1");
    change(MEMBER_EVENT_LEAVE, "d", "1");
    change(MEMBER_EVENT_REAP, "d", "2");
    fill_with_users(HANDLER_QUEUE_EVENTS_MAX);
    const char *text = run_all();
    assert_null(strstr(text, "(a 1;)"));
    assert_contains(text, "A:member-join(b 2;) ");
    assert_contains(text, "A:member-failed(a 2;) ");
    assert_contains(text, "A:member-update(c 1;) ");
    assert_contains(text, "A:member-reap(d 2;) ");
    assert_null(strstr(text, "member-leave"));
}

static void a_storm_of_changes_loses_no_member(void **state)
{
    (void)state;
    enum { MEMBERS = 3 * HANDLER_QUEUE_EVENTS_MAX };
    SET("member-join=A");
    for (size_t i = 0; i < MEMBERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%zu", i);
        change(MEMBER_EVENT_JOIN, name, "x");
    }
    assert_true(handler_queue_length(queue, 0) <= HANDLER_QUEUE_EVENTS_MAX);
    const char *text = run_all();
    size_t members = 0;
    for (const char *p = text; *p; p++)
        members += *p == ';';
    assert_int_equal(members, MEMBERS);
    assert_true(handler_queue_counts(queue).coalesced > 0);
}

static void a_slow_handler_loses_only_its_own_events(void **state)
{
    (void)state;
    SET("user=A", "user=B");
    user("0");
    struct handler *a = begin(0);
    for (size_t i = 0; i < HANDLER_QUEUE_EVENTS_MAX + 5; i++) {
        user("x");
        struct handler *b = begin(0);
        assert_true(b && b != a);
        handler_queue_finished(queue, b);
    }
    assert_int_equal(handler_queue_length(queue, 0), HANDLER_QUEUE_EVENTS_MAX);
    assert_int_equal(handler_queue_length(queue, 1), 1);
    assert_int_equal(handler_queue_counts(queue).dropped_user_events, 5);
    handler_queue_finished(queue, a);
}

static void new_handlers_get_what_no_handler_has_got(void **state)
{
    (void)state;
    SET("user=old", "user=older");
    user("1");
    user("2");
    struct handler *running = begin(0);
    SET("user=new", "query=other");
    assert_int_equal(handler_queue_handlers(queue), 2);
    handler_queue_finished(queue, running);
    /* The first event is under way, and goes to the end of its old list. */
    assert_string_equal(buffer_text(&ran), "old:user-1 ");
    assert_string_equal(run_all(), "older:user-1 new:user-2 ");
}

static void a_handler_that_stays_does_not_run_beside_itself(void **state)
{
    (void)state;
    SET("user=same");
    user("1");
    struct handler *running = begin(0);
    SET("user=same", "user=new");
    user("2");
    struct handler *other = begin(0);
    assert_non_null(other);
    assert_null(begin(0));
    handler_queue_finished(queue, running);
    handler_queue_finished(queue, other);
    assert_string_equal(buffer_text(&ran), "same:user-1 new:user-2 ");
    assert_string_equal(run_all(), "same:user-2 ");
}

static void folded_changes_are_told_once_after_a_reload(void **state)
{
    (void)state;
    SET("*=A", "*=B");
    for (int i = 0; i < 20; i++)
        change(MEMBER_EVENT_JOIN, "a", "1");
    fill_with_users(HANDLER_QUEUE_EVENTS_MAX);
    SET("member-join=C");
    assert_string_equal(run_all(), "C:member-join(a 1;) ");
}

static void handlers_that_can_not_be_read_change_nothing(void **state)
{
    (void)state;
    char *texts[] = {"user=new", "bogus=x"};
    struct text_list list = {texts, 2};
    SET("user=A");
    user("1");
    assert_false(handler_queue_set(queue, &list, &error));
    assert_starts_with(buffer_text(&error), "Event 'bogus' invoking 'x'");
    assert_string_equal(run_all(), "A:user-1 ");
}

static void an_event_for_which_memory_was_out_is_counted(void **state)
{
    (void)state;
    SET("user=A");
    handler_queue_push(queue, NULL, 0);
    assert_int_equal(handler_queue_counts(queue).lost, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_run_in_order_and_each_through_the_list),
        TEST(a_filter_that_matches_again_runs_the_script_again),
        TEST(a_handler_never_runs_twice_at_once),
        TEST(a_query_past_its_deadline_is_not_run),
        TEST(a_full_queue_drops_the_oldest_user_events),
        TEST(bytes_fill_a_queue_too),
        TEST(late_queries_go_before_user_events_and_those_before_other_queries),
        TEST(a_queue_of_open_queries_drops_the_oldest),
        TEST(a_full_queue_keeps_the_latest_change_of_every_member),
        TEST(a_storm_of_changes_loses_no_member),
        TEST(a_slow_handler_loses_only_its_own_events),
        TEST(new_handlers_get_what_no_handler_has_got),
        TEST(a_handler_that_stays_does_not_run_beside_itself),
        TEST(folded_changes_are_told_once_after_a_reload),
        TEST(handlers_that_can_not_be_read_change_nothing),
        TEST(an_event_for_which_memory_was_out_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
