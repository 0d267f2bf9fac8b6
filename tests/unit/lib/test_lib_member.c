/* Members as a program has them: by the public header, each in poll loops of the test's own. */
#include <cserf/cserf.h>

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "node.h"

enum { PATIENCE_SECONDS = 70 };

#define KEY   "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8="
#define KEY_2 "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="

struct program {
    struct cserf_member *member;
    unsigned events[CSERF_EVENT_STOPPED + 1];
    char last_user[64], last_update_role[64], log[256], report[256], last_keys[128];
    unsigned done, contacted, acks, responses, answers_done, keys_kept;
    enum cserf_code code;
    enum cserf_code dispatched;
    bool frees_itself, keeps_keys;
};

static struct program a, b;

/* --- what the library asks of its node; the linker puts this in front --- */

static struct retry_join searched;

void __real_node_retry_join(struct node *node, const struct span *addresses, size_t count,
                            const struct retry_join *options);
void __wrap_node_retry_join(struct node *node, const struct span *addresses, size_t count,
                            const struct retry_join *options);

void __wrap_node_retry_join(struct node *node, const struct span *addresses, size_t count,
                            const struct retry_join *options)
{
    searched = *options;
    __real_node_retry_join(node, addresses, count, options);
}

/* --- the program --- */

static void on_event(void *context, const struct cserf_event *event)
{
    struct program *program = context;
    program->events[event->type]++;
    if (event->type == CSERF_EVENT_USER)
        snprintf(program->last_user, sizeof program->last_user, "%s=%.*s", event->name,
                 (int)event->payload_size, (const char *)event->payload);
    if (event->type == CSERF_EVENT_UPDATE)
        snprintf(program->last_update_role, sizeof program->last_update_role, "%s",
                 event->node->tag_count == 1 ? event->node->tags[0].value : "");
    if (event->type == CSERF_EVENT_QUERY) {
        /* The list may be asked for, and the event stays what it was. */
        assert_non_null(cserf_member_self(program->member));
        assert_string_equal(event->name, "who");
        assert_string_equal(event->source, "a");
        cserf_member_respond(program->member, event->query, "me", 2, NULL);
    }
    if (program->frees_itself)
        cserf_member_free(program->member);
}

static void on_log(void *context, enum cserf_log_level level, const char *line)
{
    struct program *program = context;
    (void)level;
    snprintf(program->log, sizeof program->log, "%s", line);
}

static void on_done(void *context, const struct cserf_error *error)
{
    struct program *program = context;
    program->done++;
    program->code = error->code;
}

static void on_joined(void *context, const struct cserf_error *error, unsigned contacted)
{
    on_done(context, error);
    ((struct program *)context)->contacted = contacted;
}

static void on_answer(void *context, const struct cserf_answer *answer)
{
    struct program *program = context;
    program->acks += answer->type == CSERF_ANSWER_ACK;
    program->responses += answer->type == CSERF_ANSWER_RESPONSE;
    program->answers_done += answer->type == CSERF_ANSWER_DONE;
    if (answer->type == CSERF_ANSWER_RESPONSE)
        assert_memory_equal(answer->payload, "me", answer->payload_size);
}

static bool on_keys(void *context, const char *const *keys, size_t count)
{
    struct program *program = context;
    size_t used = 0;
    program->keys_kept++;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(program->last_keys + used, sizeof program->last_keys - used, "%s ",
                                 keys[i]);
    return program->keeps_keys;
}

static struct cserf_config *config_of(struct program *program, const char *name)
{
    struct cserf_config *config = cserf_config_new();
    assert_non_null(config);
    cserf_config_set_name(config, name);
    cserf_config_set_bind(config, "127.0.0.1:0");
    cserf_config_set_profile(config, CSERF_PROFILE_LOCAL);
    cserf_config_set_tag(config, "role", "test");
    cserf_config_on_event(config, on_event, program);
    cserf_config_on_keys(config, on_keys, program);
    return config;
}

static void start_with(struct program *program, struct cserf_config *config)
{
    struct cserf_error error;
    program->member = cserf_member_new(config, &error);
    assert_string_equal(error.text, "");
    assert_non_null(program->member);
    cserf_config_free(config);
}

static void start(struct program *program, const char *name)
{
    *program = (struct program){0};
    start_with(program, config_of(program, name));
}

/* Polls the members until the counter has come so far. */
static bool until(const unsigned *counter, unsigned wanted)
{
    struct program *all[] = {&a, &b};
    time_t end = time(NULL) + PATIENCE_SECONDS;
    while (*counter < wanted && time(NULL) < end) {
        struct pollfd waits[2];
        for (int i = 0; i < 2; i++)
            waits[i] = (struct pollfd){
                all[i]->member ? cserf_member_descriptor(all[i]->member) : -1, POLLIN, 0};
        assert_true(poll(waits, 2, 1000) >= 0);
        for (int i = 0; i < 2; i++)
            if (waits[i].revents) {
                all[i]->dispatched = cserf_member_dispatch(all[i]->member, NULL);
                if (all[i]->frees_itself && all[i]->dispatched == CSERF_CLOSED)
                    all[i]->member = NULL;
            }
    }
    return *counter >= wanted;
}

static void join(struct program *program, const char *address)
{
    unsigned before = program->done;
    assert_int_equal(
        cserf_member_join(program->member, &address, 1, false, on_joined, program, NULL), CSERF_OK);
    assert_true(until(&program->done, before + 1));
}

static int start_both(void **state)
{
    (void)state;
    start(&a, "a");
    start(&b, "b");
    return 0;
}

static int stop_both(void **state)
{
    (void)state;
    cserf_member_free(a.member);
    cserf_member_free(b.member);
    a.member = b.member = NULL;
    return 0;
}

static void join_both(void)
{
    join(&b, cserf_member_advertised(a.member));
    assert_int_equal(b.code, CSERF_OK);
    assert_int_equal(b.contacted, 1);
    assert_true(until(&a.events[CSERF_EVENT_JOIN], 2));
    assert_true(until(&b.events[CSERF_EVENT_JOIN], 2));
}

/* --- tests --- */

static void the_version_is_the_projects(void **state)
{
    (void)state;
    assert_string_equal(cserf_version(), CSERF_VERSION);
    assert_string_equal(CSERF_VERSION_TEXT, CSERF_VERSION);
    int major = CSERF_VERSION_MAJOR, minor = CSERF_VERSION_MINOR, patch = CSERF_VERSION_PATCH;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    assert_string_equal(text, CSERF_VERSION);
    assert_int_equal(cserf_version_number(), CSERF_VERSION_NUMBER);
}

static void members_find_each_other_and_one_leaves(void **state)
{
    (void)state;
    join_both();
    uint32_t position = 0;
    unsigned count = 0;
    const struct cserf_node *node;
    while ((node = cserf_member_next(a.member, &position))) {
        assert_int_equal(node->status, CSERF_ALIVE);
        assert_string_equal(node->address, "127.0.0.1");
        assert_int_equal(node->tag_count, 1);
        assert_string_equal(node->tags[0].key, "role");
        assert_string_equal(node->tags[0].value, "test");
        count++;
    }
    assert_int_equal(count, 2);
    assert_string_equal(cserf_member_find(a.member, "b")->name, "b");
    assert_null(cserf_member_find(a.member, "c"));
    assert_int_equal(cserf_member_leave(b.member, on_done, &b, NULL), CSERF_OK);
    assert_true(until(&b.done, 2));
    assert_int_equal(b.code, CSERF_OK);
    assert_int_equal(cserf_member_status(b.member), CSERF_LEFT);
    assert_true(until(&a.events[CSERF_EVENT_LEAVE], 1));
    assert_int_equal(a.events[CSERF_EVENT_FAILED], 0);
}

static void user_events_reach_everybody_with_their_payload(void **state)
{
    struct cserf_error error;
    char large[600] = "";
    (void)state;
    join_both();
    assert_int_equal(cserf_member_user_event(a.member, "deploy", "v1", 2, false, &error), CSERF_OK);
    assert_true(until(&a.events[CSERF_EVENT_USER], 1));
    assert_true(until(&b.events[CSERF_EVENT_USER], 1));
    assert_string_equal(b.last_user, "deploy=v1");
    assert_int_equal(
        cserf_member_user_event(a.member, "deploy", large, sizeof large, false, &error),
        CSERF_REFUSED);
    assert_non_null(strstr(error.text, "512"));
}

static void a_query_is_answered_from_inside_the_callback(void **state)
{
    struct cserf_query_options options = CSERF_QUERY_OPTIONS;
    const struct cserf_tag role = {"role", "^te"};
    (void)state;
    join_both();
    options.acks = true;
    options.tags = &role;
    options.tag_count = 1;
    options.timeout_ms = 1000;
    for (unsigned asked = 1; a.responses < 2 || a.acks < 2; asked++) {
        assert_true(asked < PATIENCE_SECONDS);
        a.responses = a.acks = 0;
        assert_true(cserf_member_query(a.member, "who", NULL, 0, &options, on_answer, &a, NULL) >
                    0);
        assert_true(until(&a.answers_done, asked));
    }
    assert_int_equal(a.responses, 2);
    assert_int_equal(a.acks, 2);
}

static void a_cancelled_query_calls_nobody_back(void **state)
{
    struct cserf_query_options options = CSERF_QUERY_OPTIONS;
    (void)state;
    options.timeout_ms = 1;
    uint64_t query = cserf_member_query(a.member, "who", NULL, 0, &options, on_answer, &a, NULL);
    assert_true(query > 0);
    cserf_member_query_cancel(a.member, query);
    cserf_member_query_cancel(a.member, query);
    /* A second one that is done shows that the first one's time is up too. */
    struct program other = {0};
    assert_true(cserf_member_query(a.member, "who", NULL, 0, &options, on_answer, &other, NULL) >
                0);
    assert_true(until(&other.answers_done, 1));
    assert_int_equal(a.answers_done + a.responses, 0);
}

static void changed_tags_are_an_update(void **state)
{
    const struct cserf_tag tags[] = {{"role", "other"}};
    (void)state;
    join_both();
    assert_int_equal(cserf_member_set_tags(b.member, tags, 1, on_done, &b, NULL), CSERF_OK);
    assert_true(until(&b.done, 2));
    assert_int_equal(b.code, CSERF_OK);
    assert_true(until(&a.events[CSERF_EVENT_UPDATE], 1));
    assert_string_equal(a.last_update_role, "other");
}

static void a_callback_may_free_its_member(void **state)
{
    (void)state;
    a.frees_itself = true; /* its first event is its own join */
    assert_true(until(&a.events[CSERF_EVENT_JOIN], 1));
    assert_null(a.member);
    assert_int_equal(a.dispatched, CSERF_CLOSED);
}

static void a_member_that_gives_up_joining_says_so_last(void **state)
{
    const char *nobody = "127.0.0.1:1";
    struct cserf_error error;
    uint32_t position = 0;
    (void)state;
    assert_int_equal(cserf_member_retry_join(a.member, &nobody, 1, 1, 1, false, &error), CSERF_OK);
    assert_true(until(&a.events[CSERF_EVENT_STOPPED], 1));
    assert_int_equal(a.dispatched, CSERF_CLOSED);
    assert_int_equal(cserf_member_status(a.member), CSERF_NONE);
    assert_null(cserf_member_next(a.member, &position));
    assert_int_equal(cserf_member_leave(a.member, on_done, &a, &error), CSERF_CLOSED);
}

/* A program that learns of better addresses says so. */
static void a_search_begins_anew_with_other_addresses(void **state)
{
    const char *nobody = "127.0.0.1:1", *other = cserf_member_advertised(a.member);
    (void)state;
    assert_int_equal(cserf_member_retry_join(b.member, &nobody, 1, 1000, 0, false, NULL), CSERF_OK);
    assert_int_equal(cserf_member_retry_join(b.member, &other, 1, 1000, 0, false, NULL), CSERF_OK);
    assert_true(until(&b.events[CSERF_EVENT_JOIN], 2));
    /* And ends when there are none. */
    assert_int_equal(cserf_member_retry_join(b.member, NULL, 0, 1000, 0, false, NULL), CSERF_OK);
}

static void whether_a_search_goes_on_for_life_is_configured(void **state)
{
    const char *nobody = "127.0.0.1:1";
    (void)state;
    for (int watch = 0; watch <= 1; watch++) {
        struct cserf_config *config = config_of(&a, "a");
        cserf_config_set_retry_watch(config, watch == 1);
        cserf_member_free(a.member);
        start_with(&a, config);
        assert_int_equal(cserf_member_retry_join(a.member, &nobody, 1, 1000, 3, true, NULL),
                         CSERF_OK);
        assert_int_equal(searched.watch, watch);
        assert_int_equal(searched.max_attempts, 3);
        assert_true(searched.replay);
    }
}

static void a_join_of_nobody_is_refused_with_the_reason(void **state)
{
    struct cserf_error error;
    (void)state;
    join(&a, "127.0.0.1:1");
    assert_int_equal(a.code, CSERF_REFUSED);
    assert_int_equal(a.contacted, 0);
    assert_int_equal(cserf_member_join(a.member, NULL, 0, false, NULL, NULL, &error),
                     CSERF_INVALID);
}

/* What a setter refuses, cserf_member_new reports, and it keeps to the first. */
static void expect_refusal(struct cserf_config *config, enum cserf_code code, const char *word)
{
    struct cserf_error error;
    assert_null(cserf_member_new(config, &error));
    assert_int_equal(error.code, code);
    assert_non_null(strstr(error.text, word));
    assert_null(cserf_member_new(config, NULL));
    cserf_config_free(config);
}

static void a_wrong_setting_is_told_at_the_start(void **state)
{
    char large[600];
    (void)state;
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    struct cserf_config *config = config_of(&a, "c");
    cserf_config_set_bind(config, "localhost:7946");
    cserf_config_add_key(config, "!");
    expect_refusal(config, CSERF_INVALID, "localhost:7946");
    static const char *const wrong[] = {"10.0.0.1:70000", "[::1", "1:2:3:4", "10.0.0.1:", ":x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        config = config_of(&a, "c");
        cserf_config_set_bind(config, wrong[i]);
        expect_refusal(config, CSERF_INVALID, wrong[i]);
    }
    config = config_of(&a, "c");
    cserf_config_set_advertise(config, ":7946");
    expect_refusal(config, CSERF_INVALID, "no address");
    config = config_of(&a, "c");
    cserf_config_add_key(config, "c2hvcnQ=");
    expect_refusal(config, CSERF_INVALID, "16, 24 or 32 bytes");
    config = config_of(&a, "c");
    cserf_config_set_tag(config, "large", large);
    expect_refusal(config, CSERF_SYSTEM, "512");
    config = config_of(&a, "c");
    cserf_config_set_bind(config, cserf_member_bound(b.member));
    expect_refusal(config, CSERF_SYSTEM, "address already in use");
}

static void both_forms_of_ipv6_addresses_bind(void **state)
{
    static const char *const forms[] = {"[::1]:0", "[::1]"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct program program = {0};
        struct cserf_config *config = config_of(&program, "six");
        struct cserf_error error;
        cserf_config_set_bind(config, forms[i]);
        program.member = cserf_member_new(config, &error);
        cserf_config_free(config);
        if (!program.member && strstr(error.text, "cannot assign"))
            skip(); /* no IPv6 here */
        assert_non_null(program.member);
        assert_memory_equal(cserf_member_bound(program.member), "[::1]:", 6);
        cserf_member_free(program.member);
    }
}

static void a_descriptor_nests_in_another_epoll_set(void **state)
{
    (void)state;
    int outer = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    assert_int_equal(epoll_ctl(outer, EPOLL_CTL_ADD, cserf_member_descriptor(a.member), &event), 0);
    time_t end = time(NULL) + PATIENCE_SECONDS;
    assert_int_equal(cserf_member_user_event(a.member, "x", NULL, 0, false, NULL), CSERF_OK);
    while (a.events[CSERF_EVENT_USER] == 0 && time(NULL) < end)
        if (epoll_wait(outer, &event, 1, 1000) > 0)
            cserf_member_dispatch(a.member, NULL);
    assert_int_equal(a.events[CSERF_EVENT_USER], 1);
    /* And sleeps when there is nothing to do. */
    unsigned idle = 0;
    while (idle == 0 && time(NULL) < end) {
        idle = epoll_wait(outer, &event, 1, 0) == 0;
        if (!idle)
            cserf_member_dispatch(a.member, NULL);
    }
    assert_int_equal(idle, 1);
    close(outer);
}

static void start_labelled(struct program *program, const char *name, const char *label)
{
    cserf_member_free(program->member);
    *program = (struct program){0};
    struct cserf_config *config = config_of(program, name);
    cserf_config_set_label(config, label);
    start_with(program, config);
}

static void a_label_keeps_clusters_apart(void **state)
{
    (void)state;
    start_labelled(&a, "a", "blue");
    join(&b, cserf_member_advertised(a.member));
    assert_int_equal(b.code, CSERF_REFUSED);
    start_labelled(&b, "b", "blue");
    join_both();
}

/* "nodes responses errors", each key with its nodes, those that encrypt with it marked, and each
 * message. */
static void on_report(void *context, const struct cserf_error *error,
                      const struct cserf_key_report *report)
{
    struct program *program = context;
    size_t size = sizeof program->report;
    int used = snprintf(program->report, size, "%u %u %u", report->nodes, report->responses,
                        report->errors);
    for (size_t i = 0; i < report->key_count; i++)
        used +=
            snprintf(program->report + used, size - (size_t)used, " %.4s:%u/%u",
                     report->keys[i].text, report->keys[i].nodes, report->keys[i].primary_nodes);
    for (size_t i = 0; i < report->message_count; i++)
        used += snprintf(program->report + used, size - (size_t)used, " %s: %s",
                         report->messages[i].node, report->messages[i].text);
    program->done++;
    program->code = error->code;
}

/* Asks until all have answered, since gossip may miss one. */
static const char *keys(struct program *program, enum cserf_key_operation operation,
                        const char *key)
{
    for (int times = 0; times < 10; times++) {
        unsigned before = program->done;
        assert_int_equal(
            cserf_member_keys(program->member, operation, key, on_report, program, NULL), CSERF_OK);
        assert_true(until(&program->done, before + 1));
        if (strncmp(program->report, "2 2", 3) == 0)
            break;
    }
    return program->report;
}

static void start_encrypted(bool b_keeps_keys)
{
    stop_both(NULL);
    struct program *all[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        *all[i] = (struct program){.keeps_keys = i == 0 || b_keeps_keys};
        struct cserf_config *config = config_of(all[i], i == 0 ? "a" : "b");
        cserf_config_add_key(config, KEY);
        start_with(all[i], config);
    }
    join_both();
}

static void keys_of_the_cluster_are_handed_to_the_program(void **state)
{
    (void)state;
    start_encrypted(false);
    /* Whoever can't keep them is counted as an error. */
    assert_non_null(strstr(keys(&a, CSERF_KEY_INSTALL, KEY_2), "2 2 1 b: Failed to write keyring"));
    assert_int_equal(a.code, CSERF_REFUSED);
    assert_true(a.keys_kept >= 1 && b.keys_kept >= 1);
    assert_string_equal(a.last_keys, KEY " " KEY_2 " ");
    assert_string_equal(b.last_keys, KEY " " KEY_2 " ");
}

static void a_member_changes_the_keys_of_all(void **state)
{
    (void)state;
    start_encrypted(true);
    assert_string_equal(keys(&a, CSERF_KEY_INSTALL, KEY_2), "2 2 0");
    assert_string_equal(keys(&b, CSERF_KEY_LIST, NULL), "2 2 0 HvY8:2/2 T9jn:2/0");
    assert_string_equal(keys(&b, CSERF_KEY_USE, KEY_2), "2 2 0");
    assert_non_null(strstr(keys(&a, CSERF_KEY_REMOVE, KEY_2), "2 2 2 "));
    assert_int_equal(a.code, CSERF_REFUSED);
    assert_string_equal(keys(&a, CSERF_KEY_REMOVE, KEY), "2 2 0");
    assert_string_equal(keys(&a, CSERF_KEY_LIST, NULL), "2 2 0 T9jn:2/2");
    assert_int_equal(a.code, CSERF_OK);
    assert_string_equal(b.last_keys, KEY_2 " ");
}

static void what_is_no_key_and_a_member_without_keys_are_told(void **state)
{
    struct cserf_error error;
    (void)state;
    assert_int_equal(cserf_member_keys(a.member, CSERF_KEY_INSTALL, "!", NULL, NULL, &error),
                     CSERF_INVALID);
    assert_int_equal(cserf_member_keys(a.member, CSERF_KEY_USE, NULL, NULL, NULL, &error),
                     CSERF_INVALID);
    assert_int_equal(cserf_member_keys(a.member, 0, KEY, NULL, NULL, &error), CSERF_INVALID);
    assert_int_equal(cserf_member_keys(a.member, CSERF_KEY_LIST, NULL, NULL, NULL, &error),
                     CSERF_OK); /* nobody wants to know */
    assert_int_equal(cserf_member_keys(a.member, CSERF_KEY_LIST, NULL, on_report, &a, &error),
                     CSERF_OK);
    assert_true(until(&a.done, 1));
    assert_int_equal(a.code, CSERF_REFUSED);
    assert_non_null(strstr(a.report, "1 1 1 a: "));
}

/* Coordinates come with the answers to probes, which come once a second. */
static void a_round_trip_is_estimated_without_asking(void **state)
{
    double there = 0, back = 0;
    struct cserf_error error;
    time_t end = time(NULL) + PATIENCE_SECONDS;
    (void)state;
    assert_int_equal(cserf_member_rtt(a.member, "b", NULL, &there, &error), CSERF_REFUSED);
    join_both();
    while (cserf_member_rtt(a.member, "b", NULL, &there, &error) != CSERF_OK) {
        assert_true(time(NULL) < end);
        unsigned before = a.answers_done;
        assert_true(cserf_member_query(a.member, "who", NULL, 0, NULL, on_answer, &a, NULL) > 0);
        assert_true(until(&a.answers_done, before + 1));
    }
    assert_int_equal(cserf_member_rtt(a.member, "a", "b", &back, &error), CSERF_OK);
    assert_true(there > 0 && there < 60000);
    assert_true(there == back);
    assert_int_equal(cserf_member_rtt(a.member, "c", "b", &back, &error), CSERF_REFUSED);
}

static void a_snapshot_brings_a_member_back(void **state)
{
    char path[] = "/tmp/cserf-lib-XXXXXX";
    (void)state;
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    cserf_member_free(b.member);
    for (unsigned life = 0; life < 2; life++) {
        b = (struct program){0};
        struct cserf_config *config = config_of(&b, "b");
        cserf_config_set_snapshot(config, path, false);
        start_with(&b, config);
        if (life == 0)
            join(&b, cserf_member_advertised(a.member));
        assert_true(until(&b.events[CSERF_EVENT_JOIN], 2)); /* the second time by itself */
        if (life == 0)
            cserf_member_free(b.member);
    }
    unlink(path);
}

static void log_lines_come_at_the_level_asked_for(void **state)
{
    (void)state;
    cserf_member_free(a.member);
    a = (struct program){0};
    struct cserf_config *config = config_of(&a, "a");
    cserf_config_on_log(config, CSERF_LOG_INFO, on_log, &a);
    start_with(&a, config);
    assert_true(until(&a.events[CSERF_EVENT_JOIN], 1));
    assert_string_equal(a.log, "serf: EventMemberJoin: a 127.0.0.1");
}

static void stats_are_written_as_far_as_the_caller_knows_them(void **state)
{
    struct cserf_stats stats;
    (void)state;
    assert_true(until(&a.events[CSERF_EVENT_JOIN], 1));
    memset(&stats, 0xff, sizeof stats);
    stats.size = offsetof(struct cserf_stats, failed);
    cserf_member_stats(a.member, &stats);
    assert_int_equal(stats.members, 1);
    assert_int_equal(stats.failed, UINT32_MAX);
    stats.size = sizeof stats;
    cserf_member_stats(a.member, &stats);
    assert_int_equal(stats.failed, 0);
    assert_false(stats.encrypted);
}

/* A thread with a pair of its own. */
struct pair {
    pthread_t thread;
    const char *first, *second;
    bool met;
};

static void *run_pair(void *argument)
{
    struct pair *pair = argument;
    struct program programs[2] = {{0}, {0}};
    const char *names[] = {pair->first, pair->second};
    time_t end = time(NULL) + PATIENCE_SECONDS;
    for (int i = 0; i < 2; i++) {
        struct cserf_config *config = config_of(&programs[i], names[i]);
        programs[i].member = cserf_member_new(config, NULL);
        cserf_config_free(config);
    }
    const char *address = programs[0].member ? cserf_member_advertised(programs[0].member) : "";
    if (programs[0].member && programs[1].member)
        cserf_member_join(programs[1].member, &address, 1, false, NULL, NULL, NULL);
    while (!pair->met && time(NULL) < end && programs[0].member && programs[1].member) {
        for (int i = 0; i < 2; i++)
            cserf_member_dispatch(programs[i].member, NULL);
        poll(NULL, 0, 1);
        pair->met =
            programs[0].events[CSERF_EVENT_JOIN] == 2 && programs[1].events[CSERF_EVENT_JOIN] == 2;
    }
    for (int i = 0; i < 2; i++)
        cserf_member_free(programs[i].member);
    return NULL;
}

static void members_of_different_threads_do_not_meet(void **state)
{
    struct pair pairs[] = {{.first = "a", .second = "b"}, {.first = "c", .second = "d"}};
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&pairs[i].thread, NULL, run_pair, &pairs[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(pairs[i].thread, NULL);
        assert_true(pairs[i].met);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_both, stop_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_the_projects),
        TEST(members_find_each_other_and_one_leaves),
        TEST(user_events_reach_everybody_with_their_payload),
        TEST(a_query_is_answered_from_inside_the_callback),
        TEST(a_cancelled_query_calls_nobody_back),
        TEST(changed_tags_are_an_update),
        TEST(a_callback_may_free_its_member),
        TEST(a_member_that_gives_up_joining_says_so_last),
        TEST(a_join_of_nobody_is_refused_with_the_reason),
        TEST(a_wrong_setting_is_told_at_the_start),
        cmocka_unit_test(both_forms_of_ipv6_addresses_bind),
        TEST(a_descriptor_nests_in_another_epoll_set),
        TEST(a_label_keeps_clusters_apart),
        TEST(keys_of_the_cluster_are_handed_to_the_program),
        TEST(a_member_changes_the_keys_of_all),
        TEST(what_is_no_key_and_a_member_without_keys_are_told),
        TEST(a_round_trip_is_estimated_without_asking),
        TEST(a_search_begins_anew_with_other_addresses),
        TEST(whether_a_search_goes_on_for_life_is_configured),
        TEST(a_snapshot_brings_a_member_back),
        TEST(log_lines_come_at_the_level_asked_for),
        TEST(stats_are_written_as_far_as_the_caller_knows_them),
        cmocka_unit_test(members_of_different_threads_do_not_meet),
    };
    return cmocka_run_group_tests_name("lib_member", tests, NULL, NULL);
}
