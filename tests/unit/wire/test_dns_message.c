/* DNS messages: what is written can be read, and nothing hostile can be. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "dns_message.h"

/* A question, then a record whose names are pointers: "a.b" PTR "c.a.b". */
static const uint8_t compressed[] = {
    0x12, 0x34, 0x84, 0,   0, 1, 0,  1, 0, 0,   0, 0, /* header */
    1,    'a',  1,    'b', 0, 0, 12, 0, 1,            /* question at 12 */
    0xc0, 12,   0,    12,  0, 1, 0,  0, 0, 120, 0, 4, /* record */
    1,    'c',  0xc0, 12,                             /* its data */
};

static struct dns_name name_of(const char *text)
{
    struct dns_name name;
    assert_true(dns_name_from_text(&name, span_text(text)));
    return name;
}

static void assert_name(const struct dns_name *name, const char *text)
{
    struct dns_name wanted = name_of(text);
    assert_true(dns_name_equal(name, &wanted));
}

static void names_are_labels_between_dots(void **state)
{
    (void)state;
    struct dns_name name = name_of("ab.c.");
    assert_int_equal(name.size, 6);
    assert_memory_equal(name.bytes, "\2ab\1c\0", 6);
    struct buffer text;
    buffer_init(&text, 255);
    dns_name_text(span_make(name.bytes, name.size), &text);
    assert_string_equal(buffer_text(&text), "ab.c");
    buffer_fini(&text);
}

static void names_that_are_too_long_are_refused(void **state)
{
    (void)state;
    struct dns_name name;
    char text[300];
    memset(text, 'x', sizeof text);
    assert_true(dns_name_from_text(&name, span_make(text, 63)));
    assert_false(dns_name_from_text(&name, span_make(text, 64)));
    for (size_t i = 49; i < sizeof text; i += 50)
        text[i] = '.';
    assert_true(dns_name_from_text(&name, span_make(text, 253)));
    assert_int_equal(name.size, 255);
    assert_false(dns_name_from_text(&name, span_make(text, 254)));
    assert_false(dns_name_from_text(&name, span_text("a..b")));
}

static void names_compare_without_case(void **state)
{
    (void)state;
    struct dns_name a = name_of("_Serf_X._tcp.LOCAL"), b = name_of("_serf_x._tcp.local");
    struct dns_name c = name_of("_serf_x._udp.local");
    assert_true(dns_name_equal(&a, &b));
    assert_false(dns_name_equal(&a, &c));
}

static void only_whole_labels_are_a_parent(void **state)
{
    (void)state;
    struct dns_name parent = name_of("b.c"), child = name_of("x.y.B.c"), other = name_of("ab.c");
    size_t front = 0;
    assert_true(dns_name_is_below(&child, &parent, &front));
    assert_int_equal(front, 4);
    assert_false(dns_name_is_below(&other, &parent, &front));
    assert_false(dns_name_is_below(&parent, &parent, &front));
}

static void pointers_are_followed(void **state)
{
    (void)state;
    struct dns_reader reader;
    struct dns_question question;
    struct dns_record record;
    assert_true(dns_open(&reader, span_make(compressed, sizeof compressed)));
    assert_int_equal(reader.id, 0x1234);
    assert_true(dns_next_question(&reader, &question));
    assert_name(&question.name, "a.b");
    assert_false(dns_next_question(&reader, &question));
    assert_true(dns_next_record(&reader, &record));
    assert_name(&record.name, "a.b");
    assert_name(&record.target, "c.a.b");
    assert_int_equal(record.ttl, 120);
    assert_false(dns_next_record(&reader, &record));
    assert_false(reader.failed);
}

static void every_cut_message_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof compressed; size++) {
        struct dns_reader reader;
        struct dns_record record;
        if (!dns_open(&reader, span_make(compressed, size)))
            continue;
        assert_false(dns_next_record(&reader, &record));
        assert_true(reader.failed);
    }
}

static void a_pointer_that_does_not_lead_back_is_refused(void **state)
{
    (void)state;
    const uint8_t targets[] = {21, 22, 23, 40, 3};
    for (size_t i = 0; i < sizeof targets; i++) {
        uint8_t bytes[sizeof compressed];
        struct dns_reader reader;
        struct dns_record record;
        memcpy(bytes, compressed, sizeof bytes);
        bytes[22] = targets[i]; /* the record's name, which begins at 21 */
        assert_true(dns_open(&reader, span_make(bytes, sizeof bytes)));
        assert_false(dns_next_record(&reader, &record));
        assert_true(reader.failed);
    }
}

static void data_of_the_wrong_size_is_refused(void **state)
{
    (void)state;
    const struct {
        uint16_t type;
        const char *data;
        size_t size;
    } wrong[] = {{DNS_TYPE_A, "123", 3},
                 {DNS_TYPE_AAAA, "1234", 4},
                 {DNS_TYPE_SRV, "123456", 6},
                 {DNS_TYPE_PTR, "\0x", 2}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buffer out;
        struct dns_writer writer;
        struct dns_reader reader;
        struct dns_record record = {.name = name_of("a"), .type = 99, .class = DNS_CLASS_IN};
        record.data = span_make(wrong[i].data, wrong[i].size);
        buffer_init(&out, 512);
        dns_begin(&writer, &out, 1, DNS_FLAG_RESPONSE);
        dns_write_record(&writer, &record);
        assert_true(dns_end(&writer));
        out.data[12 + 3 + 1] = (uint8_t)wrong[i].type;
        assert_true(dns_open(&reader, buffer_span(&out)));
        assert_false(dns_next_record(&reader, &record));
        assert_true(reader.failed);
        buffer_fini(&out);
    }
}

static void what_is_written_can_be_read(void **state)
{
    (void)state;
    struct buffer out;
    struct dns_writer writer;
    struct dns_reader reader;
    struct dns_record record;
    struct dns_question question = {name_of("q.local"), DNS_TYPE_SRV, DNS_CLASS_IN};
    buffer_init(&out, 512);
    buffer_append_text(&out, "in front"); /* a writer begins where the buffer ends */
    dns_begin(&writer, &out, 7, DNS_FLAG_RESPONSE);
    dns_write_question(&writer, &question);
    struct dns_record service = {.name = name_of("x.q.local"),
                                 .type = DNS_TYPE_SRV,
                                 .class = DNS_CLASS_IN,
                                 .ttl = 120,
                                 .target = name_of("host"),
                                 .priority = 10,
                                 .weight = 1,
                                 .port = 7946};
    struct dns_record address = {.section = DNS_ADDITIONAL,
                                 .name = name_of("host"),
                                 .type = DNS_TYPE_AAAA,
                                 .class = DNS_CLASS_IN,
                                 .ttl = 5};
    assert_true(endpoint_from_text(&address.address, "fd00::1", 0));
    dns_write_record(&writer, &service);
    dns_write_record(&writer, &address);
    assert_true(dns_end(&writer));
    assert_true(dns_open(&reader, span_from(buffer_span(&out), 8)));
    assert_true(dns_next_record(&reader, &record)); /* questions are skipped */
    assert_int_equal(record.section, DNS_ANSWER);
    assert_name(&record.name, "x.q.local");
    assert_name(&record.target, "host");
    assert_int_equal(record.priority, 10);
    assert_int_equal(record.weight, 1);
    assert_int_equal(record.port, 7946);
    assert_true(dns_next_record(&reader, &record));
    assert_int_equal(record.section, DNS_ADDITIONAL);
    assert_true(endpoint_address_equal(&record.address, &address.address));
    assert_false(dns_next_record(&reader, &record));
    assert_false(reader.failed);
    buffer_fini(&out);
}

/* ::ffff:10.0.0.3 is kept as the IPv4 address that it is, and told as it came. */
static void an_ipv4_address_in_ipv6_is_written_as_it_was_read(void **state)
{
    (void)state;
    struct buffer out;
    struct dns_writer writer;
    struct dns_reader reader;
    struct dns_record again, record = {.name = name_of("host"), .type = DNS_TYPE_AAAA};
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 3};
    assert_true(endpoint_from_bytes(&record.address, span_make(mapped, sizeof mapped), 0));
    buffer_init(&out, 512);
    dns_begin(&writer, &out, 7, DNS_FLAG_RESPONSE);
    dns_write_record(&writer, &record);
    assert_true(dns_end(&writer));
    assert_true(dns_open(&reader, buffer_span(&out)));
    assert_true(dns_next_record(&reader, &again));
    assert_true(span_equal(again.data, span_make(mapped, sizeof mapped)));
    assert_true(endpoint_address_equal(&again.address, &record.address));
    buffer_fini(&out);
}

static void a_buffer_that_is_too_small_is_told(void **state)
{
    (void)state;
    struct buffer out;
    struct dns_writer writer;
    struct dns_question question = {name_of("q.local"), DNS_TYPE_PTR, DNS_CLASS_IN};
    for (size_t maximum = 0; maximum < 12 + 9 + 4; maximum++) {
        buffer_init(&out, maximum);
        dns_begin(&writer, &out, 7, 0);
        dns_write_question(&writer, &question);
        assert_false(dns_end(&writer));
        buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_labels_between_dots),
        cmocka_unit_test(names_that_are_too_long_are_refused),
        cmocka_unit_test(names_compare_without_case),
        cmocka_unit_test(only_whole_labels_are_a_parent),
        cmocka_unit_test(pointers_are_followed),
        cmocka_unit_test(every_cut_message_is_refused),
        cmocka_unit_test(a_pointer_that_does_not_lead_back_is_refused),
        cmocka_unit_test(data_of_the_wrong_size_is_refused),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(an_ipv4_address_in_ipv6_is_written_as_it_was_read),
        cmocka_unit_test(a_buffer_that_is_too_small_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
