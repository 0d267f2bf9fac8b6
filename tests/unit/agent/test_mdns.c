/* Whom discovery joins: on a link and a node that are made up here. */
#include "support.h"

#include <fcntl.h>

#include "loop.h"
#include "mdns.h"
#include "mdns_service.h"
#include "multicast.h"

/* --- the link --- */

static struct multicast_callbacks heard;
static int questions, answers;
static size_t interfaces;

struct multicast *multicast_new(const struct multicast_config *config, struct buffer *error)
{
    static int unused;
    (void)error;
    heard = config->callbacks;
    return (struct multicast *)(void *)&unused;
}

void multicast_free(struct multicast *multicast)
{
    (void)multicast;
}

size_t multicast_refresh(struct multicast *multicast)
{
    (void)multicast;
    return interfaces;
}

static struct loop *loop;

void multicast_ask(struct multicast *multicast, struct span datagram)
{
    (void)multicast;
    (void)datagram;
    questions++;
    loop_stop(loop);
}

void multicast_answer(struct multicast *multicast, const struct multicast_peer *to, bool group,
                      struct span datagram)
{
    (void)multicast;
    (void)to;
    (void)group;
    (void)datagram;
    answers++;
}

/* --- the node --- */

static struct serf_stats stats;
static struct endpoint known; /* where the member "known" lives */
static char joined[1024];     /* every address that was to be joined, with a blank behind it */
static int joins;
static node_done *join_done;
static void *join_context;

void node_join(struct node *node, const struct span *addresses, size_t count, bool replay,
               node_done *done, void *context)
{
    (void)node;
    (void)replay;
    for (size_t i = 0; i < count; i++)
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%.*s ",
                 SPAN_PRINT(addresses[i]));
    joins++;
    join_done = done;
    join_context = context;
    loop_stop(loop);
}

const struct serf *node_serf(const struct node *node)
{
    (void)node;
    return NULL;
}

struct endpoint node_advertised(const struct node *node)
{
    struct endpoint self;
    (void)node;
    endpoint_from_text(&self, "10.0.0.1", 7946);
    return self;
}

bool serf_find_member(const struct serf *serf, struct span name, struct member_view *member)
{
    (void)serf;
    *member = (struct member_view){.endpoint = known, .status = STATUS_ALIVE};
    return span_equal_text(name, "known");
}

enum serf_state serf_state(const struct serf *serf)
{
    (void)serf;
    return SERF_ALIVE;
}

void serf_stats(const struct serf *serf, struct serf_stats *out)
{
    (void)serf;
    *out = stats;
}

/* --- the tests' words --- */

static struct agent_log *log_;
static struct mdns *mdns;

static int begin(void **state)
{
    (void)state;
    struct buffer error;
    struct mdns_config config = {.cluster = "blue", .node_name = "me", .ipv4 = true};
    buffer_init(&error, 512);
    loop = loop_new();
    log_ = agent_log_new(open("/dev/null", O_WRONLY), LOG_LEVEL_NONE);
    questions = answers = joins = 0;
    interfaces = 1;
    joined[0] = '\0';
    stats = (struct serf_stats){.members = 2};
    known = (struct endpoint){0};
    config.loop = loop;
    config.log = log_;
    config.poll_interval = 20000000;
    mdns = mdns_new(&config, &error);
    assert_non_null(mdns);
    buffer_fini(&error);
    return 0;
}

static int end(void **state)
{
    (void)state;
    mdns_free(mdns);
    agent_log_free(log_);
    loop_free(loop);
    return 0;
}

static void wait_question(void)
{
    int before = questions;
    while (questions == before)
        loop_run(loop);
}

static struct mdns_service service_at(const char *node, const char *address)
{
    struct mdns_service service;
    struct endpoint endpoint;
    struct buffer error;
    buffer_init(&error, 512);
    assert_true(endpoint_from_text(&endpoint, address, 7946));
    assert_true(mdns_service_init(&service, span_text("blue"), span_text(node), span_text("box"),
                                  &endpoint, &error));
    buffer_fini(&error);
    return service;
}

static void hear_from(const char *node, const char *address)
{
    struct mdns_service service = service_at(node, address);
    struct multicast_peer from = {0};
    struct buffer query, reply;
    buffer_init(&query, 512);
    buffer_init(&reply, 1400);
    assert_true(mdns_write_query(&service, &query));
    assert_int_equal(mdns_write_reply(&service, buffer_span(&query), 1, &reply),
                     MDNS_REPLY_TO_ASKER);
    heard.received(heard.context, &from, buffer_span(&reply), true);
    buffer_fini(&query);
    buffer_fini(&reply);
}

/* A question, the answer to it, and the join that follows, which reaches `count`. */
static void round_of(const char *node, const char *address, uint32_t count)
{
    int before = joins;
    wait_question();
    while (joins == before) {
        hear_from(node, address);
        loop_run(loop);
    }
    join_done(join_context, count > 0, count, count > 0 ? SPAN_EMPTY : span_text("refused"));
}

/* Asks and is answered; nothing may be joined, even when the next question comes. */
static void idle_round(const char *node, const char *address)
{
    int before = joins;
    wait_question();
    hear_from(node, address);
    for (int i = 0; i < 10; i++)
        wait_question();
    assert_int_equal(joins, before);
}

static void what_was_joined_is_not_joined_again(void **state)
{
    (void)state;
    round_of("a", "10.0.0.2", 1);
    idle_round("a", "10.0.0.2");
    assert_string_equal(joined, "10.0.0.2:7946 ");
}

static void what_could_not_be_joined_is_tried_again(void **state)
{
    (void)state;
    round_of("a", "10.0.0.2", 0);
    round_of("a", "10.0.0.2", 0);
    round_of("a", "10.0.0.2", 1);
    assert_string_equal(joined, "10.0.0.2:7946 10.0.0.2:7946 10.0.0.2:7946 ");
}

static void a_live_member_is_not_joined(void **state)
{
    (void)state;
    assert_true(endpoint_from_text(&known, "10.0.0.2", 7946));
    idle_round("known", "10.0.0.2");
    round_of("known", "10.0.0.3", 1); /* another address is another matter */
}

static void who_is_alone_joins_again_but_never_itself(void **state)
{
    (void)state;
    round_of("me", "10.0.0.1", 1);
    round_of("a", "10.0.0.2", 1);
    stats.members = 1;
    idle_round("me", "10.0.0.1");
    round_of("a", "10.0.0.2", 1);
}

static void addresses_found_together_are_joined_together(void **state)
{
    (void)state;
    wait_question();
    hear_from("a", "10.0.0.2");
    hear_from("b", "10.0.0.3");
    hear_from("a", "10.0.0.2");
    while (joins == 0)
        loop_run(loop);
    assert_string_equal(joined, "10.0.0.2:7946 10.0.0.3:7946 ");
}

static void a_flood_of_addresses_stops_at_the_limit(void **state)
{
    (void)state;
    wait_question();
    for (int i = 0; i < 2 * MDNS_BATCH_MAX; i++) {
        char address[32];
        snprintf(address, sizeof address, "10.1.%d.%d", i / 256, i % 256);
        hear_from("a", address);
    }
    joined[sizeof joined - 1] = '\0';
    while (joins == 0)
        loop_run(loop);
    join_done(join_context, true, MDNS_BATCH_MAX, SPAN_EMPTY);
    assert_int_equal(joins, 1);
}

static void replies_have_a_limit(void **state)
{
    (void)state;
    struct mdns_service service = service_at("a", "10.0.0.2");
    struct multicast_peer from = {.address.v4 = {.sin_family = AF_INET, .sin_port = 1}};
    struct buffer query;
    buffer_init(&query, 512);
    assert_true(mdns_write_query(&service, &query));
    uint64_t begun = loop_now();
    for (int i = 0; i < 10 * MDNS_REPLIES_PER_SECOND; i++)
        heard.received(heard.context, &from, buffer_span(&query), false);
    uint64_t seconds = (loop_now() - begun) / NANOSECONDS_PER_S;
    assert_in_range(answers, MDNS_REPLIES_PER_SECOND, MDNS_REPLIES_PER_SECOND * (seconds + 2));
    buffer_fini(&query);
}

static void who_hears_nothing_but_itself_is_the_first(void **state)
{
    (void)state;
    wait_question();
    hear_from("me", "10.0.0.1");
    wait_question();
    assert_true(mdns_found_nobody_else(mdns));
}

static void silence_says_nothing_about_others(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        wait_question();
    assert_false(mdns_found_nobody_else(mdns));
}

static void who_has_heard_somebody_is_not_the_first(void **state)
{
    (void)state;
    wait_question();
    hear_from("me", "10.0.0.1");
    hear_from("a", "10.0.0.2");
    wait_question();
    assert_false(mdns_found_nobody_else(mdns));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_was_joined_is_not_joined_again),
        TEST(what_could_not_be_joined_is_tried_again),
        TEST(a_live_member_is_not_joined),
        TEST(who_is_alone_joins_again_but_never_itself),
        TEST(addresses_found_together_are_joined_together),
        TEST(a_flood_of_addresses_stops_at_the_limit),
        TEST(replies_have_a_limit),
        TEST(who_hears_nothing_but_itself_is_the_first),
        TEST(silence_says_nothing_about_others),
        TEST(who_has_heard_somebody_is_not_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
