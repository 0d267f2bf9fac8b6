#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "interfaces.h"

static struct endpoint address(const char *text)
{
    struct endpoint endpoint;
    assert_true(endpoint_from_text(&endpoint, text, 0));
    return endpoint;
}

static struct interface_address entry(const char *interface, const char *text, uint8_t length,
                                      bool up, bool default_route)
{
    struct interface_address result = {.address = address(text),
                                       .prefix_length = length,
                                       .up = up,
                                       .default_route = default_route};
    snprintf(result.interface, sizeof result.interface, "%s", interface);
    return result;
}

static const char *chosen(struct interface_address *entries, size_t count)
{
    static char text[ADDRESS_TEXT_SIZE];
    struct interface_table table = {entries, count};
    struct endpoint choice;
    if (!private_address_choose(&table, &choice))
        return "none";
    return endpoint_address_text(&choice, text);
}

static void the_interface_of_the_default_route_comes_first(void **state)
{
    (void)state;
    struct interface_address entries[] = {
        entry("lo", "127.0.0.1", 8, true, false),
        entry("docker0", "172.17.0.1", 16, true, false),
        entry("eth0", "fd00::2", 64, true, true),
        entry("eth0", "192.168.1.5", 24, true, true),
    };
    assert_string_equal(chosen(entries, 4), "192.168.1.5");
}

static void ipv4_comes_before_ipv6_and_the_larger_network_before_the_smaller(void **state)
{
    (void)state;
    struct interface_address entries[] = {
        entry("a", "fd00::2", 7, true, false),
        entry("b", "192.168.1.5", 24, true, false),
        entry("c", "10.0.0.5", 8, true, false),
        entry("d", "10.0.0.6", 8, true, false),
    };
    assert_string_equal(chosen(entries, 4), "10.0.0.5");
    assert_string_equal(chosen(entries, 2), "192.168.1.5");
    assert_string_equal(chosen(entries, 1), "fd00::2");
}

static void public_unforwardable_and_downed_addresses_are_passed_over(void **state)
{
    (void)state;
    struct interface_address entries[] = {
        entry("lo", "127.0.0.1", 8, true, false),     entry("eth0", "8.8.8.8", 24, true, true),
        entry("eth0", "169.254.7.7", 16, true, true), entry("eth0", "fe80::1", 64, true, true),
        entry("eth0", "192.0.2.2", 24, true, true),   entry("eth1", "10.0.0.1", 8, false, false),
    };
    assert_string_equal(chosen(entries, 6), "none");
}

static void private_is_what_rfc_6890_lists(void **state)
{
    (void)state;
    const char *inside[] = {"10.255.0.1",  "100.64.0.1", "100.127.255.255", "172.31.0.1",
                            "192.168.0.9", "198.19.0.1", "240.0.0.1",       "127.0.0.1",
                            "::1",         "fd12::1",    "fe80::1",         "64:ff9b::1"};
    const char *outside[] = {"8.8.8.8",    "11.0.0.1",  "100.128.0.1", "172.32.0.1",
                             "198.20.0.1", "223.0.0.1", "2600::1",     "::2"};
    struct endpoint endpoint;
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        endpoint = address(inside[i]);
        assert_true(address_is_private(&endpoint));
    }
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        endpoint = address(outside[i]);
        assert_false(address_is_private(&endpoint));
    }
}

static void an_interface_gives_its_first_address_that_is_not_link_local(void **state)
{
    (void)state;
    struct interface_address entries[] = {
        entry("eth0", "169.254.1.1", 16, true, false),
        entry("eth1", "10.0.0.1", 8, true, false),
        entry("eth0", "10.0.0.2", 8, true, false),
    };
    struct interface_table table = {entries, 3};
    struct endpoint found, wanted = address("10.0.0.2"), other = address("10.0.0.1");
    assert_true(interface_first_address(&table, "eth0", &found));
    assert_true(endpoint_equal(&found, &wanted));
    assert_true(interface_has_address(&table, "eth0", &wanted));
    assert_false(interface_has_address(&table, "eth0", &other));
    assert_true(interface_has_address(&table, "eth0", NULL));
    assert_false(interface_has_address(&table, "eth2", NULL));
    assert_false(interface_first_address(&table, "eth2", &found));
}

static const char ipv4_routes[] =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT    \n"
    "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0  \n"
    "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0  \n"
    "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0  \n"
    "down0\t00000000\t010200C0\t0002\t0\t0\t1\t00000000\t0\t0\t0  \n"
    "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0  \n";

static const char ipv6_routes[] =
    "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth5\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth6\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";

static void the_default_route_with_the_lowest_metric_names_the_interface(void **state)
{
    char interface[IF_NAMESIZE];
    (void)state;
    assert_true(default_route_interface(span_text(ipv4_routes), span_text(ipv6_routes), interface));
    assert_string_equal(interface, "eth0");
    assert_true(default_route_interface(SPAN_EMPTY, span_text(ipv6_routes), interface));
    assert_string_equal(interface, "eth6");
    assert_false(default_route_interface(SPAN_EMPTY, SPAN_EMPTY, interface));
    assert_false(default_route_interface(span_text("a 0 0"), span_text("\n\n x"), interface));
}

static void the_machine_has_a_loopback_interface(void **state)
{
    struct interface_table table;
    struct buffer error;
    struct endpoint loopback = address("127.0.0.1");
    (void)state;
    buffer_init(&error, 256);
    assert_true(interface_table_read(&table, &error));
    assert_true(interface_has_address(&table, "lo", &loopback));
    assert_true(interface_exists("lo"));
    assert_false(interface_exists("no-such-one"));
    interface_table_fini(&table);
    buffer_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interface_of_the_default_route_comes_first),
        cmocka_unit_test(ipv4_comes_before_ipv6_and_the_larger_network_before_the_smaller),
        cmocka_unit_test(public_unforwardable_and_downed_addresses_are_passed_over),
        cmocka_unit_test(private_is_what_rfc_6890_lists),
        cmocka_unit_test(an_interface_gives_its_first_address_that_is_not_link_local),
        cmocka_unit_test(the_default_route_with_the_lowest_metric_names_the_interface),
        cmocka_unit_test(the_machine_has_a_loopback_interface),
    };
    return cmocka_run_group_tests_name("interfaces", tests, NULL, NULL);
}
