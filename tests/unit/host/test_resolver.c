#include "loop_fixture.h"

#include <stdio.h>

#include "resolver.h"
#include "udp.h"

/* A name server on the test's own loop. It answers by the first label of the name. */
struct name_server {
    struct udp *udp;
    unsigned questions;
    bool changed; /* "one" has moved */
};

struct answer {
    unsigned count;
    struct endpoint endpoints[RESOLVER_ADDRESSES_MAX];
    size_t endpoint_count;
    char error[256];
};

static struct name_server name_server;
static struct answer answer;
static struct resolver *resolver;
static char servers[64];

enum { TYPE_A = 1, TYPE_AAAA = 28, NAME_ERROR = 3, SERVER_FAILURE = 2 };

static void add_record(struct buffer *reply, uint16_t type, const char *address)
{
    struct endpoint endpoint;
    assert_true(endpoint_from_text(&endpoint, address, 0));
    buffer_append_u16(reply, 0xc00c); /* the name of the question */
    buffer_append_u16(reply, type);
    buffer_append_u16(reply, 1);
    buffer_append_u32(reply, 60);
    buffer_append_u16(reply, endpoint.address_size);
    buffer_append(reply, endpoint.address, endpoint.address_size);
}

static bool label_is(struct span datagram, const char *label)
{
    return datagram.data[12] == strlen(label) &&
           memcmp(datagram.data + 13, label, strlen(label)) == 0;
}

static void on_question(void *context, const struct endpoint *from, struct span datagram)
{
    (void)context;
    name_server.questions++;
    if (datagram.size < 17 || label_is(datagram, "mute"))
        return;
    size_t end = 12;
    while (end < datagram.size && datagram.data[end] != 0)
        end += datagram.data[end] + 1u;
    end += 5;
    assert_true(end <= datagram.size);
    uint16_t type = read_u16(datagram.data + end - 4);
    bool one = label_is(datagram, "one"), both = label_is(datagram, "both");
    uint16_t records = (one && type == TYPE_A) || both ? 1 : 0;
    uint16_t status = one || both ? 0 : label_is(datagram, "broken") ? SERVER_FAILURE : NAME_ERROR;
    struct buffer reply;
    buffer_init(&reply, 512);
    buffer_append(&reply, datagram.data, 2);
    buffer_append_u16(&reply, (uint16_t)(0x8180 | status));
    buffer_append_u16(&reply, 1);
    buffer_append_u16(&reply, records);
    buffer_append_u32(&reply, 0);
    buffer_append(&reply, datagram.data + 12, end - 12);
    if (records && type == TYPE_A)
        add_record(&reply, TYPE_A, name_server.changed ? "10.1.2.4" : "10.1.2.3");
    else if (records && type == TYPE_AAAA)
        add_record(&reply, TYPE_AAAA, "fd00::7");
    udp_send(name_server.udp, from, buffer_span(&reply));
    buffer_fini(&reply);
}

static void on_done(void *context, const struct endpoint *endpoints, size_t count,
                    const char *error)
{
    struct answer *to = context;
    to->count++;
    to->endpoint_count = count;
    assert_true((count > 0) == (error == NULL));
    if (count > 0)
        memcpy(to->endpoints, endpoints, count * sizeof *endpoints);
    snprintf(to->error, sizeof to->error, "%s", error ? error : "");
}

static int set_up(void **state)
{
    struct udp_callbacks callbacks = {NULL, on_question, NULL};
    struct endpoint at;
    struct buffer error;
    char text[ENDPOINT_TEXT_SIZE];
    struct loop *loop = loop_new();
    *state = loop;
    buffer_init(&error, 256);
    endpoint_from_text(&at, "127.0.0.1", 0);
    name_server = (struct name_server){.udp = loop ? udp_new(loop, &at, &callbacks, &error) : NULL};
    buffer_fini(&error);
    answer = (struct answer){0};
    if (!name_server.udp)
        return -1;
    at = udp_bound(name_server.udp);
    snprintf(servers, sizeof servers, "%s", endpoint_text(&at, text));
    struct resolver_config config = {
        .servers = servers, .try_timeout = PATIENCE_NS / 2, .tries = 1, .timeout = PATIENCE_NS};
    resolver = resolver_new(loop, &config);
    return resolver ? 0 : -1;
}

static int tear_down(void **state)
{
    resolver_free(resolver);
    udp_free(name_server.udp);
    loop_free(*state);
    return 0;
}

static void look_up(struct loop *loop, const char *host)
{
    unsigned before = answer.count;
    assert_true(resolver_lookup(resolver, span_text(host), 7946, on_done, &answer));
    assert_int_equal(answer.count, before);
    assert_true(loop_until(loop, &answer.count, before + 1));
}

static void assert_found(const char *address)
{
    struct endpoint expected;
    assert_true(endpoint_from_text(&expected, address, 7946));
    for (size_t i = 0; i < answer.endpoint_count; i++) {
        if (endpoint_equal(&answer.endpoints[i], &expected))
            return;
    }
    fail_msg("%s is not among the answers", address);
}

static void a_numeric_address_answers_itself(void **state)
{
    look_up(*state, "10.9.8.7");
    assert_int_equal(answer.endpoint_count, 1);
    assert_found("10.9.8.7");
    look_up(*state, "fd00::2");
    assert_found("fd00::2");
    assert_int_equal(name_server.questions, 0);
}

static void localhost_needs_no_name_server(void **state)
{
    look_up(*state, "localhost");
    assert_true(answer.endpoint_count > 0);
    assert_found("127.0.0.1");
    assert_int_equal(name_server.questions, 0);
}

static void a_name_gives_the_addresses_of_both_families(void **state)
{
    look_up(*state, "both.test");
    assert_int_equal(answer.endpoint_count, 2);
    assert_found("10.1.2.3");
    assert_found("fd00::7");
    look_up(*state, "one.test");
    assert_int_equal(answer.endpoint_count, 1);
    assert_found("10.1.2.3");
}

static void every_question_is_asked_anew(void **state)
{
    look_up(*state, "one.test");
    assert_found("10.1.2.3");
    name_server.changed = true;
    look_up(*state, "one.test");
    assert_int_equal(answer.endpoint_count, 1);
    assert_found("10.1.2.4");
}

static void failures_are_told_in_the_references_words(void **state)
{
    look_up(*state, "nohost.test");
    assert_string_equal(answer.error, "lookup nohost.test: no such host");
    look_up(*state, "broken.test");
    assert_string_equal(answer.error, "lookup broken.test: server misbehaving");
    look_up(*state, "");
    assert_string_equal(answer.error, "lookup : no such host");
}

static void a_lookup_ends_at_its_limit_whatever_the_servers_do(void **state)
{
    const struct resolver_config impatient[] = {
        {.servers = servers, .try_timeout = PATIENCE_NS, .tries = 5, .timeout = 20000000},
        {.servers = servers, .try_timeout = 20000000, .tries = 1, .timeout = PATIENCE_NS},
    };
    for (size_t i = 0; i < 2; i++) {
        resolver_free(resolver);
        resolver = resolver_new(*state, &impatient[i]);
        look_up(*state, "mute.test");
        assert_string_equal(answer.error, "lookup mute.test: i/o timeout");
    }
}

static void freeing_the_resolver_silences_its_lookups(void **state)
{
    assert_true(resolver_lookup(resolver, span_text("mute.test"), 1, on_done, &answer));
    assert_true(resolver_lookup(resolver, span_text("10.0.0.1"), 1, on_done, &answer));
    loop_turn(*state, false);
    answer.count = 0;
    assert_true(resolver_lookup(resolver, span_text("10.0.0.1"), 1, on_done, &answer));
    resolver_free(resolver);
    resolver = NULL;
    loop_turn(*state, false);
    assert_int_equal(answer.count, 0);
}

static void waiting_resolves_too(void **state)
{
    struct endpoint endpoints[4];
    struct buffer error;
    char text[ENDPOINT_TEXT_SIZE];
    (void)state;
    buffer_init(&error, 256);
    assert_int_equal(resolve_now(NULL, "127.0.0.9", 80, endpoints, 4, &error), 1);
    assert_string_equal(endpoint_text(&endpoints[0], text), "127.0.0.9:80");
    assert_int_equal(resolve_now(NULL, "", 80, endpoints, 4, &error), 0);
    assert_string_equal(buffer_text(&error), "lookup : no such host");
    buffer_fini(&error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_numeric_address_answers_itself),
        TEST(localhost_needs_no_name_server),
        TEST(a_name_gives_the_addresses_of_both_families),
        TEST(every_question_is_asked_anew),
        TEST(failures_are_told_in_the_references_words),
        TEST(a_lookup_ends_at_its_limit_whatever_the_servers_do),
        TEST(freeing_the_resolver_silences_its_lookups),
        TEST(waiting_resolves_too),
    };
    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
