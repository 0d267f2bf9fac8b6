/* Two real members on loopback, driven by one loop: the core and the operating system together. */
#include "../host/loop_fixture.h"
#include "node.h"

#include <stdio.h>

struct member {
    struct node *node;
    unsigned events[MEMBER_EVENT_REAP + 1];
    unsigned done;
    bool ok;
    uint32_t count;
    char error[256];
};

static struct member a, b;
static struct loop *loop;

static void on_member_event(void *context, enum member_event_type type,
                            const struct member_view *members, size_t count)
{
    (void)members;
    ((struct member *)context)->events[type] += (unsigned)count;
}

static void on_done(void *context, bool ok, uint32_t count, struct span error)
{
    struct member *member = context;
    member->done++;
    member->ok = ok;
    member->count = count;
    snprintf(member->error, sizeof member->error, "%.*s", SPAN_PRINT(error));
}

static void start(struct member *member, const char *name)
{
    struct node_config config = {.bind_address = "127.0.0.1"};
    struct buffer error;
    buffer_init(&error, 1024);
    serf_config_init(&config.serf, swim_config_local);
    config.serf.swim.name = span_text(name);
    config.serf.coalesce_period = 0;
    config.serf.leave_propagate_delay = NANOSECONDS_PER_MS;
    config.serf.swim.probe_interval = 400 * NANOSECONDS_PER_MS;
    config.serf.swim.log_level = LOG_LEVEL_NONE;
    config.callbacks.context = member;
    config.callbacks.member_event = on_member_event;
    *member = (struct member){0};
    member->node = node_new(loop, &config, &error);
    assert_string_equal(buffer_text(&error), "");
    assert_non_null(member->node);
    buffer_fini(&error);
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    start(&a, "a");
    start(&b, "b");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    node_free(a.node);
    node_free(b.node);
    loop_free(loop);
    return 0;
}

static void join(struct member *member, const struct endpoint *to)
{
    char text[ENDPOINT_TEXT_SIZE];
    struct span address = span_text(endpoint_text(to, text));
    unsigned before = member->done;
    node_join(member->node, &address, 1, false, on_done, member);
    assert_true(loop_until(loop, &member->done, before + 1));
}

static void two_members_join_and_one_leaves(void **state)
{
    struct endpoint to = node_advertised(a.node);
    (void)state;
    join(&b, &to);
    assert_string_equal(b.error, "");
    assert_true(b.ok);
    assert_int_equal(b.count, 1);
    /* Each sees itself and the other. */
    assert_true(loop_until(loop, &a.events[MEMBER_EVENT_JOIN], 2));
    assert_true(loop_until(loop, &b.events[MEMBER_EVENT_JOIN], 2));
    node_leave(b.node, on_done, &b);
    assert_true(loop_until(loop, &b.done, 2));
    assert_true(b.ok);
    assert_true(loop_until(loop, &a.events[MEMBER_EVENT_LEAVE], 1));
    assert_int_equal(a.events[MEMBER_EVENT_FAILED], 0);
}

static void a_member_that_is_gone_is_failed_by_the_other(void **state)
{
    struct endpoint to = node_advertised(a.node);
    (void)state;
    join(&b, &to);
    assert_true(loop_until(loop, &a.events[MEMBER_EVENT_JOIN], 2));
    node_free(b.node);
    b.node = NULL;
    assert_true(loop_until(loop, &a.events[MEMBER_EVENT_FAILED], 1));
}

static void a_join_that_is_refused_says_so(void **state)
{
    struct endpoint to = node_advertised(b.node);
    char expected[128], text[ENDPOINT_TEXT_SIZE];
    (void)state;
    node_free(b.node);
    b.node = NULL;
    join(&a, &to);
    assert_false(a.ok);
    snprintf(expected, sizeof expected, "dial tcp %s: connect: connection refused",
             endpoint_text(&to, text));
    assert_non_null(strstr(a.error, expected));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_members_join_and_one_leaves),
        TEST(a_member_that_is_gone_is_failed_by_the_other),
        TEST(a_join_that_is_refused_says_so),
    };
    return cmocka_run_group_tests_name("node_pair", tests, NULL, NULL);
}
