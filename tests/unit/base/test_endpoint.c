#include "endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void both_spellings_of_an_ipv4_address_are_one_endpoint(void **state)
{
    (void)state;
    static const uint8_t plain[4] = {10, 0, 0, 1};
    static const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
    struct endpoint a;
    struct endpoint b;
    assert_true(endpoint_from_bytes(&a, span_make(plain, 4), 7946));
    assert_true(endpoint_from_bytes(&b, span_make(mapped, 16), 7946));
    assert_int_equal(b.address_size, 4);
    assert_true(endpoint_equal(&a, &b));
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(endpoint_from_text(&b, "::ffff:10.0.0.1", 7946));
    assert_true(endpoint_equal(&a, &b));
}

static void port_and_address_make_the_difference(void **state)
{
    (void)state;
    struct endpoint a;
    struct endpoint b;
    assert_true(endpoint_from_text(&a, "10.0.0.1", 1));
    assert_true(endpoint_from_text(&b, "10.0.0.1", 2));
    assert_true(endpoint_address_equal(&a, &b));
    assert_false(endpoint_equal(&a, &b));
    assert_true(endpoint_from_text(&b, "10.0.0.2", 1));
    assert_false(endpoint_address_equal(&a, &b));
    assert_true(endpoint_from_text(&b, "a00:1::", 1)); /* begins with the same bytes */
    assert_false(endpoint_address_equal(&a, &b));
}

static void other_lengths_are_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[32];
    struct endpoint endpoint;
    for (size_t size = 0; size <= sizeof bytes; size++)
        assert_int_equal(endpoint_from_bytes(&endpoint, span_make(bytes, size), 1),
                         size == 4 || size == 16);
    assert_false(endpoint_from_bytes(&endpoint, SPAN_EMPTY, 1));
}

static void what_is_no_numeric_address_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",          "localhost", "10.0.0",       "10.0.0.256",
                                        "10.0.0.1 ", "[::1]",     "fe80::1%eth0", "10.0.0.1:7946"};
    struct endpoint endpoint;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(endpoint_from_text(&endpoint, texts[i], 1));
}

static void assert_texts(const char *address, uint16_t port, const char *expected)
{
    struct endpoint endpoint;
    char text[ENDPOINT_TEXT_SIZE];
    char address_text[ADDRESS_TEXT_SIZE];
    assert_true(endpoint_from_text(&endpoint, address, port));
    assert_string_equal(endpoint_text(&endpoint, text), expected);
    assert_string_equal(endpoint_address_text(&endpoint, address_text), address);
}

static void ipv6_addresses_are_bracketed_before_a_port(void **state)
{
    (void)state;
    assert_texts("10.0.0.1", 7946, "10.0.0.1:7946");
    assert_texts("255.255.255.255", 65535, "255.255.255.255:65535");
    assert_texts("fd00::1", 0, "[fd00::1]:0");
    assert_texts("::", 7946, "[::]:7946");
    assert_texts("1111:2222:3333:4444:5555:6666:7777:8888", 65535,
                 "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}

static void no_address_has_no_text(void **state)
{
    (void)state;
    struct endpoint none = {.port = 7946};
    char text[ENDPOINT_TEXT_SIZE];
    char address_text[ADDRESS_TEXT_SIZE];
    assert_string_equal(endpoint_address_text(&none, address_text), "");
    assert_string_equal(endpoint_text(&none, text), ":7946");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_spellings_of_an_ipv4_address_are_one_endpoint),
        cmocka_unit_test(port_and_address_make_the_difference),
        cmocka_unit_test(other_lengths_are_refused),
        cmocka_unit_test(what_is_no_numeric_address_is_refused),
        cmocka_unit_test(ipv6_addresses_are_bracketed_before_a_port),
        cmocka_unit_test(no_address_has_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
