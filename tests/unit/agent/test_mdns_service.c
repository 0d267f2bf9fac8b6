/* What an agent says and reads by multicast DNS. */
#include "support.h"

#include "mdns_service.h"

static struct mdns_service service;
static struct buffer out;

static struct mdns_service service_of(const char *node, const char *address)
{
    struct mdns_service made;
    struct endpoint endpoint;
    assert_true(endpoint_from_text(&endpoint, address, 7946));
    buffer_reset(&out);
    assert_true(mdns_service_init(&made, span_text("blue"), span_text(node), span_text("box"),
                                  &endpoint, &out));
    return made;
}

static int begin(void **state)
{
    (void)state;
    buffer_init(&out, MDNS_MESSAGE_SIZE_MAX);
    service = service_of("web.1", "10.0.0.5");
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_fini(&out);
    return 0;
}

/* Asks `name` for `type`; the answer is in `out`. */
static enum mdns_reply ask(const char *name, uint16_t type, uint16_t class, uint16_t port)
{
    struct buffer query;
    struct dns_writer writer;
    struct dns_question question = {.type = type, .class = class};
    assert_true(dns_name_from_text(&question.name, span_text(name)));
    buffer_init(&query, 512);
    dns_begin(&writer, &query, 77, 0);
    dns_write_question(&writer, &question);
    assert_true(dns_end(&writer));
    buffer_reset(&out);
    enum mdns_reply reply = mdns_write_reply(&service, buffer_span(&query), port, &out);
    buffer_fini(&query);
    return reply;
}

static void assert_types(const uint16_t *types, size_t count)
{
    struct dns_reader reader;
    struct dns_record record;
    assert_true(dns_open(&reader, buffer_span(&out)));
    for (size_t i = 0; i < count; i++) {
        assert_true(dns_next_record(&reader, &record));
        assert_int_equal(record.type, types[i]);
        assert_int_equal(record.ttl, MDNS_TTL_S);
    }
    assert_false(dns_next_record(&reader, &record));
    assert_false(reader.failed);
}

#define ASSERT_TYPES(...)                                                                          \
    assert_types((const uint16_t[]){__VA_ARGS__},                                                  \
                 sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))

static void the_question_is_answered_with_everything_at_once(void **state)
{
    (void)state;
    struct mdns_host hosts[MDNS_HOSTS_MAX];
    struct buffer query, name;
    char text[ENDPOINT_TEXT_SIZE];
    buffer_init(&query, 512);
    buffer_init(&name, 512);
    assert_true(mdns_write_query(&service, &query));
    buffer_reset(&out);
    assert_int_equal(mdns_write_reply(&service, buffer_span(&query), 40000, &out),
                     MDNS_REPLY_TO_ASKER);
    ASSERT_TYPES(DNS_TYPE_PTR, DNS_TYPE_SRV, DNS_TYPE_A, DNS_TYPE_TXT);
    assert_int_equal(mdns_read_hosts(&service, buffer_span(&out), hosts), 1);
    assert_string_equal(endpoint_text(&hosts[0].endpoint, text), "10.0.0.5:7946");
    mdns_host_name(&service, &hosts[0], &name);
    assert_string_equal(buffer_text(&name), "web.1");
    buffer_fini(&query);
    buffer_fini(&name);
}

static void an_ipv6_address_is_told_as_one(void **state)
{
    (void)state;
    struct mdns_host hosts[MDNS_HOSTS_MAX];
    char text[ENDPOINT_TEXT_SIZE];
    service = service_of("a", "fd00::5");
    assert_int_equal(ask("_serf_blue._tcp.local", DNS_TYPE_PTR, DNS_CLASS_IN, 40000),
                     MDNS_REPLY_TO_ASKER);
    ASSERT_TYPES(DNS_TYPE_PTR, DNS_TYPE_SRV, DNS_TYPE_AAAA, DNS_TYPE_TXT);
    assert_int_equal(mdns_read_hosts(&service, buffer_span(&out), hosts), 1);
    assert_string_equal(endpoint_text(&hosts[0].endpoint, text), "[fd00::5]:7946");
}

static void each_name_is_answered_with_what_it_has(void **state)
{
    (void)state;
    const char *instance = "web.1._serf_blue._tcp.local";
    ask(instance, DNS_TYPE_SRV, DNS_CLASS_IN, 1);
    ASSERT_TYPES(DNS_TYPE_SRV, DNS_TYPE_A, DNS_TYPE_TXT);
    ask(instance, DNS_TYPE_TXT, DNS_CLASS_IN, 1);
    ASSERT_TYPES(DNS_TYPE_TXT);
    ask("BOX", DNS_TYPE_A, DNS_CLASS_IN, 1);
    ASSERT_TYPES(DNS_TYPE_A);
    ask("_services._dns-sd._udp.local", DNS_TYPE_PTR, DNS_CLASS_IN, 1);
    ASSERT_TYPES(DNS_TYPE_PTR);
    assert_int_equal(ask("box", DNS_TYPE_AAAA, DNS_CLASS_IN, 1), MDNS_NO_REPLY);
    assert_int_equal(ask("_serf_red._tcp.local", DNS_TYPE_PTR, DNS_CLASS_IN, 1), MDNS_NO_REPLY);
    assert_int_equal(ask("_serf_blue._tcp.local", DNS_TYPE_PTR, 3, 1), MDNS_NO_REPLY);
}

static void a_full_querier_is_answered_for_all_to_hear(void **state)
{
    (void)state;
    const char *name = "_serf_blue._tcp.local";
    assert_int_equal(ask(name, DNS_TYPE_PTR, DNS_CLASS_IN, 5353), MDNS_REPLY_TO_GROUP);
    assert_int_equal(out.data[5], 0); /* no question comes back */
    assert_int_equal(ask(name, DNS_TYPE_PTR, DNS_CLASS_IN | DNS_CLASS_TOP_BIT, 5353),
                     MDNS_REPLY_TO_ASKER);
    assert_int_equal(ask(name, DNS_TYPE_PTR, DNS_CLASS_IN, 5354), MDNS_REPLY_TO_ASKER);
    assert_int_equal(out.data[1], 77); /* the id and the question do */
    assert_int_equal(out.data[5], 1);
}

static void a_response_is_never_answered(void **state)
{
    (void)state;
    ask("_serf_blue._tcp.local", DNS_TYPE_PTR, DNS_CLASS_IN, 1);
    struct buffer reply;
    buffer_init(&reply, 512);
    assert_int_equal(mdns_write_reply(&service, buffer_span(&out), 1, &reply), MDNS_NO_REPLY);
    assert_int_equal(mdns_write_reply(&service, span_make("x", 1), 1, &reply), MDNS_NO_REPLY);
    buffer_fini(&reply);
}

static void write_found(uint16_t flags, const char *instance, const char *target,
                        const char *address)
{
    struct dns_writer writer;
    struct dns_record srv = {.type = DNS_TYPE_SRV, .class = DNS_CLASS_IN, .ttl = 1, .port = 1};
    struct dns_record a = {.type = DNS_TYPE_A, .class = DNS_CLASS_IN, .ttl = 1};
    assert_true(dns_name_from_text(&srv.name, span_text(instance)));
    assert_true(dns_name_from_text(&srv.target, span_text(target)));
    assert_true(dns_name_from_text(&a.name, span_text("box")));
    assert_true(endpoint_from_text(&a.address, address, 0));
    a.type = a.address.address_size == 16 ? DNS_TYPE_AAAA : DNS_TYPE_A;
    buffer_reset(&out);
    dns_begin(&writer, &out, 0, flags);
    dns_write_record(&writer, &srv);
    dns_write_record(&writer, &a);
    assert_true(dns_end(&writer));
}

static void only_addresses_of_this_cluster_are_found(void **state)
{
    (void)state;
    const char *ours = "n._serf_blue._tcp.local";
    const struct {
        uint16_t flags;
        const char *instance, *target, *address;
        size_t found;
    } cases[] = {
        {DNS_FLAG_RESPONSE, ours, "box", "10.0.0.1", 1},
        {0, ours, "box", "10.0.0.1", 0},
        {DNS_FLAG_RESPONSE, "n._serf_red._tcp.local", "box", "10.0.0.1", 0},
        {DNS_FLAG_RESPONSE, "_serf_blue._tcp.local", "box", "10.0.0.1", 0},
        {DNS_FLAG_RESPONSE, ours, "other", "10.0.0.1", 0},
        {DNS_FLAG_RESPONSE, ours, "box", "224.0.0.1", 0},
        {DNS_FLAG_RESPONSE, ours, "box", "0.0.0.0", 0},
        {DNS_FLAG_RESPONSE, ours, "box", "fe80::1", 0},
        {DNS_FLAG_RESPONSE, ours, "box", "ff02::1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mdns_host hosts[MDNS_HOSTS_MAX];
        write_found(cases[i].flags, cases[i].instance, cases[i].target, cases[i].address);
        assert_int_equal(mdns_read_hosts(&service, buffer_span(&out), hosts), cases[i].found);
    }
}

static void names_that_fit_no_dns_name_are_refused_or_cut(void **state)
{
    (void)state;
    struct mdns_service made;
    struct endpoint endpoint = service.address;
    char name[301];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    buffer_reset(&out);
    assert_false(mdns_service_init(&made, span_text(name), span_text("n"), span_text("box"),
                                   &endpoint, &out));
    assert_contains(buffer_text(&out), "can't be part of a DNS name");
    made = service_of(name, "10.0.0.1");
    assert_int_equal(made.instance.bytes[0], DNS_LABEL_SIZE_MAX);
    assert_true(dns_name_is_below(&made.instance, &made.service, NULL));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(the_question_is_answered_with_everything_at_once),
        TEST(an_ipv6_address_is_told_as_one),
        TEST(each_name_is_answered_with_what_it_has),
        TEST(a_full_querier_is_answered_for_all_to_hear),
        TEST(a_response_is_never_answered),
        TEST(only_addresses_of_this_cluster_are_found),
        TEST(names_that_fit_no_dns_name_are_refused_or_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
