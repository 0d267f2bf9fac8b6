#include "loop_fixture.h"

#include <stdio.h>

#include "resolver.h"
#include "tcp.h"
#include "udp.h"

/* A name server on the test's own loop, over UDP and TCP. It answers by the first label of the
 * name. */
struct name_server {
    struct udp *udp;
    struct listener *listener;
    struct connection *connection; /* the last one */
    unsigned questions;
    unsigned streamed; /* questions over TCP */
    unsigned extended; /* questions with EDNS */
    bool changed;      /* "one" has moved */
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
static unsigned warnings;
static char warning[256];

enum {
    TYPE_A = 1,
    TYPE_AAAA = 28,
    TYPE_SRV = 33,
    NAME_ERROR = 3,
    SERVER_FAILURE = 2,
    MANY_ADDRESSES = 300,
    MANY_TARGETS = RESOLVER_TARGETS_MAX + 6,
    DATAGRAM_MAX = 1232,
    PORT_TRIES = 100,
};

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

static void add_address(struct buffer *reply, uint16_t type, unsigned number)
{
    buffer_append_u16(reply, 0xc00c);
    buffer_append_u16(reply, type);
    buffer_append_u16(reply, 1);
    buffer_append_u32(reply, 60);
    buffer_append_u16(reply, 4);
    buffer_append_u32(reply, 0x0a000000u | number);
}

/* `target` is one label below "test"; NULL is the root. */
static void add_service(struct buffer *reply, uint16_t priority, uint16_t port, const char *target)
{
    size_t size = target ? strlen(target) : 0;
    buffer_append_u16(reply, 0xc00c);
    buffer_append_u16(reply, TYPE_SRV);
    buffer_append_u16(reply, 1);
    buffer_append_u32(reply, 60);
    buffer_append_u16(reply, (uint16_t)(target ? 6 + 1 + size + 6 : 7));
    buffer_append_u16(reply, priority);
    buffer_append_u16(reply, 0);
    buffer_append_u16(reply, port);
    if (target) {
        buffer_append_u8(reply, (uint8_t)size);
        buffer_append_text(reply, target);
        buffer_append(reply, "\4test", 5);
    }
    buffer_append_u8(reply, 0);
}

/* Returns the number of records. */
static unsigned add_services(struct buffer *reply, struct span question)
{
    if (label_is(question, "services")) {
        add_service(reply, 20, 7003, "one");
        add_service(reply, 10, 7002, "nohost");
        add_service(reply, 10, 7001, "both");
        add_service(reply, 10, 0, "two");
        return 4;
    }
    if (label_is(question, "lost")) {
        add_service(reply, 1, 7001, "nohost");
        return 1;
    }
    if (label_is(question, "late")) {
        add_service(reply, 1, 7001, "mute");
        add_service(reply, 2, 7002, "one");
        return 2;
    }
    if (label_is(question, "none")) {
        add_service(reply, 0, 0, NULL);
        return 1;
    }
    if (!label_is(question, "crowd"))
        return 0;
    for (unsigned i = 0; i < MANY_TARGETS; i++) {
        char target[16];
        snprintf(target, sizeof target, "n%u", i);
        add_service(reply, 1, (uint16_t)(1000 + i), target);
    }
    return MANY_TARGETS;
}

static unsigned add_addresses(struct buffer *reply, struct span question, uint16_t type)
{
    bool one = label_is(question, "one"), two = label_is(question, "two"),
         both = label_is(question, "both");
    bool many = label_is(question, "many"), full = label_is(question, "full"),
         over = label_is(question, "over");
    if (type == TYPE_A && (many || full || over)) {
        unsigned count = many ? MANY_ADDRESSES : RESOLVER_ADDRESSES_MAX + over;
        for (unsigned i = 0; i < count; i++)
            add_address(reply, TYPE_A, i);
        return count;
    }
    if (type == TYPE_A && question.data[13] == 'n' && question.data[14] >= '0' &&
        question.data[14] <= '9') {
        add_address(reply, TYPE_A, name_server.questions);
        return 1;
    }
    if (type == TYPE_A && (one || two || both)) {
        add_record(reply, TYPE_A, two ? "10.1.2.9" : name_server.changed ? "10.1.2.4" : "10.1.2.3");
        return 1;
    }
    if (type != TYPE_AAAA || !both)
        return 0;
    add_record(reply, TYPE_AAAA, "fd00::7");
    return 1;
}

/* The answer to `question`, with the truncation bit and no records where it would be larger than
 * `maximum`. False for a name that is not answered. */
static bool make_reply(struct buffer *reply, struct span question, size_t maximum)
{
    name_server.questions++;
    if (question.size < 17 || label_is(question, "mute"))
        return false;
    size_t end = 12;
    while (end < question.size && question.data[end] != 0)
        end += question.data[end] + 1u;
    end += 5;
    assert_true(end <= question.size);
    name_server.extended += question.size > end && read_u16(question.data + 10) == 1;
    uint16_t type = read_u16(question.data + end - 4);
    bool known =
        label_is(question, "one") || label_is(question, "both") || label_is(question, "two");
    struct buffer records;
    buffer_init(&records, 65535);
    unsigned count = type == TYPE_SRV ? add_services(&records, question)
                                      : add_addresses(&records, question, type);
    uint16_t status = count > 0 || known             ? 0
                      : label_is(question, "broken") ? SERVER_FAILURE
                                                     : NAME_ERROR;
    bool cut = records.size + end > maximum;
    buffer_append(reply, question.data, 2);
    buffer_append_u16(reply, (uint16_t)(0x8180 | (cut ? 0x0200 : 0) | status));
    buffer_append_u16(reply, 1);
    buffer_append_u16(reply, (uint16_t)(cut ? 0 : count));
    buffer_append_u32(reply, 0);
    buffer_append(reply, question.data + 12, end - 12);
    if (!cut)
        buffer_append_span(reply, buffer_span(&records));
    buffer_fini(&records);
    return true;
}

static void on_question(void *context, const struct endpoint *from, struct span datagram)
{
    struct buffer reply;
    (void)context;
    buffer_init(&reply, DATAGRAM_MAX);
    if (make_reply(&reply, datagram, DATAGRAM_MAX))
        udp_send(name_server.udp, from, buffer_span(&reply));
    buffer_fini(&reply);
}

/* c-ares sends a question with its length at once. */
static void on_streamed(void *context, struct span bytes)
{
    struct buffer reply, framed;
    (void)context;
    assert_true(bytes.size > 2 && read_u16(bytes.data) == bytes.size - 2);
    name_server.streamed++;
    buffer_init(&reply, 65535);
    buffer_init(&framed, 65537);
    if (make_reply(&reply, span_from(bytes, 2), 65535)) {
        buffer_append_u16(&framed, (uint16_t)reply.size);
        buffer_append_span(&framed, buffer_span(&reply));
        connection_write(name_server.connection, buffer_span(&framed));
    }
    buffer_fini(&framed);
    buffer_fini(&reply);
}

static void on_accepted(void *context, struct connection *connection)
{
    struct connection_callbacks callbacks = {.received = on_streamed};
    (void)context;
    connection_free(name_server.connection);
    name_server.connection = connection;
    connection_start(connection, &callbacks);
}

static void on_done(void *context, const struct endpoint *endpoints, size_t count,
                    const char *error)
{
    struct answer *to = context;
    to->count++;
    to->endpoint_count = count;
    assert_true(count > 0 || error);
    if (count > 0)
        memcpy(to->endpoints, endpoints, count * sizeof *endpoints);
    snprintf(to->error, sizeof to->error, "%s", error ? error : "");
}

/* A port that is free for both; one that the system chose for UDP may be in use for TCP. */
static bool open_name_server(struct loop *loop)
{
    struct udp_callbacks callbacks = {NULL, on_question, NULL};
    struct listener_callbacks listening = {.accepted = on_accepted};
    name_server = (struct name_server){0};
    for (unsigned tries = 0; tries < PORT_TRIES && !name_server.listener; tries++) {
        struct endpoint at;
        struct buffer error;
        buffer_init(&error, 256);
        endpoint_from_text(&at, "127.0.0.1", 0);
        udp_free(name_server.udp);
        name_server.udp = udp_new(loop, &at, &callbacks, &error);
        if (name_server.udp) {
            at = udp_bound(name_server.udp);
            name_server.listener = listener_new(loop, &at, &listening, &error);
        }
        buffer_fini(&error);
    }
    return name_server.listener != NULL;
}

static void on_warning(void *context, const char *text)
{
    (void)context;
    warnings++;
    snprintf(warning, sizeof warning, "%s", text);
}

static int set_up(void **state)
{
    char text[ENDPOINT_TEXT_SIZE];
    struct loop *loop = loop_new();
    *state = loop;
    warnings = 0;
    answer = (struct answer){0};
    if (!loop || !open_name_server(loop))
        return -1;
    struct endpoint at = udp_bound(name_server.udp);
    snprintf(servers, sizeof servers, "%s", endpoint_text(&at, text));
    struct resolver_config config = {.servers = servers,
                                     .try_timeout = PATIENCE_NS / 2,
                                     .tries = 1,
                                     .timeout = PATIENCE_NS,
                                     .warn = on_warning};
    resolver = resolver_new(loop, &config);
    return resolver ? 0 : -1;
}

static int tear_down(void **state)
{
    resolver_free(resolver);
    udp_free(name_server.udp);
    listener_free(name_server.listener);
    connection_free(name_server.connection);
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

static void look_up_service(struct loop *loop, const char *name)
{
    unsigned before = answer.count;
    assert_true(resolver_lookup_service(resolver, span_text(name), 7946, on_done, &answer));
    assert_int_equal(answer.count, before);
    assert_true(loop_until(loop, &answer.count, before + 1));
}

static void assert_found_at(const char *address, uint16_t port)
{
    struct endpoint expected;
    assert_true(endpoint_from_text(&expected, address, port));
    for (size_t i = 0; i < answer.endpoint_count; i++) {
        if (endpoint_equal(&answer.endpoints[i], &expected))
            return;
    }
    fail_msg("%s is not among the answers", address);
}

static void assert_found(const char *address)
{
    assert_found_at(address, 7946);
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

static void questions_allow_large_answers_over_udp(void **state)
{
    look_up(*state, "both.test");
    assert_int_equal(name_server.extended, name_server.questions);
}

static void an_answer_that_was_cut_is_asked_for_over_tcp(void **state)
{
    look_up(*state, "many.test");
    assert_true(name_server.streamed > 0);
    assert_int_equal(answer.endpoint_count, MANY_ADDRESSES);
}

static void a_service_gives_the_addresses_of_its_hosts_with_its_ports(void **state)
{
    look_up_service(*state, "services.test");
    assert_int_equal(answer.endpoint_count, 4); /* one host has no address: it is left out */
    assert_found_at("10.1.2.3", 7001);
    assert_found_at("fd00::7", 7001);
    assert_found_at("10.1.2.9", 7946); /* the record says 0 */
    assert_found_at("10.1.2.3", 7003);
    assert_int_equal(answer.endpoints[3].port, 7003); /* of the lowest priority */
    assert_string_equal(answer.error, "lookup nohost.test: no such host"); /* nor is it concealed */
}

static void a_service_s_failures_name_what_failed(void **state)
{
    look_up_service(*state, "nohost.test");
    assert_string_equal(answer.error, "lookup nohost.test: no such host");
    look_up_service(*state, "none.test");
    assert_string_equal(answer.error, "lookup none.test: no such host");
    look_up_service(*state, "lost.test");
    assert_string_equal(answer.error, "lookup nohost.test: no such host");
    look_up_service(*state, "broken.test");
    assert_string_equal(answer.error, "lookup broken.test: server misbehaving");
    look_up_service(*state, "");
    assert_string_equal(answer.error, "lookup : no such host");
}

static void a_host_that_is_late_does_not_hold_back_the_others(void **state)
{
    const struct resolver_config impatient = {
        .servers = servers, .try_timeout = PATIENCE_NS, .tries = 1, .timeout = 2000000000};
    resolver_free(resolver);
    resolver = resolver_new(*state, &impatient);
    look_up_service(*state, "late.test");
    assert_int_equal(answer.endpoint_count, 1);
    assert_found_at("10.1.2.3", 7002);
    assert_string_equal(answer.error, "lookup mute.test: i/o timeout");
}

static void of_many_hosts_some_are_looked_up(void **state)
{
    look_up_service(*state, "crowd.test");
    assert_int_equal(answer.endpoint_count, RESOLVER_TARGETS_MAX);
    assert_string_equal(answer.error, "");
}

static void that_addresses_are_left_out_is_told_once(void **state)
{
    look_up(*state, "full.test");
    assert_int_equal(answer.endpoint_count, RESOLVER_ADDRESSES_MAX);
    assert_int_equal(warnings, 0);
    for (unsigned i = 0; i < 3; i++)
        look_up(*state, "over.test");
    assert_int_equal(answer.endpoint_count, RESOLVER_ADDRESSES_MAX);
    assert_int_equal(warnings, 1);
    assert_string_equal(warning,
                        "lookup over.test: more than 1024 addresses: the rest is left out");
}

static void that_services_are_left_out_is_told(void **state)
{
    look_up_service(*state, "crowd.test");
    assert_int_equal(warnings, 1);
    assert_string_equal(warning, "lookup crowd.test: more than 64 services: the rest is left out");
}

static void freeing_the_resolver_silences_services_too(void **state)
{
    assert_true(resolver_lookup_service(resolver, span_text("late.test"), 1, on_done, &answer));
    while (name_server.questions < 4) /* the service, mute's two, one's first */
        loop_turn(*state, true);
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
        TEST(questions_allow_large_answers_over_udp),
        TEST(an_answer_that_was_cut_is_asked_for_over_tcp),
        TEST(a_service_gives_the_addresses_of_its_hosts_with_its_ports),
        TEST(a_service_s_failures_name_what_failed),
        TEST(a_host_that_is_late_does_not_hold_back_the_others),
        TEST(of_many_hosts_some_are_looked_up),
        TEST(that_addresses_are_left_out_is_told_once),
        TEST(that_services_are_left_out_is_told),
        TEST(freeing_the_resolver_silences_services_too),
        TEST(waiting_resolves_too),
    };
    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
