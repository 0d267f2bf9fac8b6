#include "bare_address.h"
#include "rpc_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void parses(const char *text, const char *host, unsigned port)
{
    struct rpc_address address;
    struct buffer error;
    buffer_init(&error, 1024);
    assert_true(rpc_address_parse(&address, text, &error));
    assert_int_equal(address.kind, RPC_OVER_TCP);
    assert_string_equal(address.host, host);
    assert_int_equal(address.port, port);
    buffer_fini(&error);
}

static void refuses(const char *text, const char *reason)
{
    struct rpc_address address;
    struct buffer error;
    buffer_init(&error, 1024);
    assert_false(rpc_address_parse(&address, text, &error));
    assert_string_equal(buffer_text(&error), reason);
    buffer_fini(&error);
}

static void hosts_and_ports_are_taken_apart(void **state)
{
    (void)state;
    parses("127.0.0.1:7373", "127.0.0.1", 7373);
    parses("[::1]:7373", "::1", 7373);
    parses("localhost:1", "localhost", 1);
    parses(":65535", "", 65535);
}

static void an_ipv6_address_bare_or_in_brackets_may_leave_its_port_out(void **state)
{
    (void)state;
    parses("::1", "::1", 7373);
    parses("[::1]", "::1", 7373);
    parses("fd00:0:0:0:0:0:0:1234", "fd00:0:0:0:0:0:0:1234", 7373);
    parses("::ffff:10.0.0.1", "::ffff:10.0.0.1", 7373);
    parses("::", "::", 7373);
}

/* Guessed wrongly, it would be an address that nobody has. */
static void a_bare_address_that_may_end_in_a_port_is_none(void **state)
{
    (void)state;
    const struct {
        const char *text;
        enum bare_address bare;
    } cases[] = {
        {"::1", BARE_ADDRESS_YES},
        {"fd00::1", BARE_ADDRESS_YES},
        {"fd00::1234", BARE_ADDRESS_YES},
        {"fd00::ab12", BARE_ADDRESS_YES},
        {"1:2:3:4:5:6:7:8000", BARE_ADDRESS_YES},
        {"::1:80", BARE_ADDRESS_YES},
        {"::1:7946", BARE_ADDRESS_OR_PORT},
        {"fd00::5:7373", BARE_ADDRESS_OR_PORT},
        {"1:2:3:4:5:6:7:8:7946", BARE_ADDRESS_OR_PORT},
        {"::1:12345", BARE_ADDRESS_OR_PORT},
        {"[::1]", BARE_ADDRESS_NO},
        {"127.0.0.1:7946", BARE_ADDRESS_NO},
        {"name", BARE_ADDRESS_NO},
        {"a:b:c", BARE_ADDRESS_NO},
        {"", BARE_ADDRESS_NO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (bare_address_look(cases[i].text) != cases[i].bare)
            fail_msg("%s is not taken as %d", cases[i].text, (int)cases[i].bare);
}

static void a_unix_socket_is_a_path_behind_its_prefix(void **state)
{
    (void)state;
    struct rpc_address address;
    struct buffer error;
    char path[200];
    buffer_init(&error, 1024);
    assert_true(rpc_address_parse(&address, "unix:/run/serf.sock", &error));
    assert_int_equal(address.kind, RPC_OVER_UNIX);
    assert_string_equal(address.path, "/run/serf.sock");
    assert_true(rpc_address_parse(&address, "unix:serf:1", &error));
    assert_string_equal(address.path, "serf:1");
    parses("unix:7373", "unix", 7373); /* the reference's: a host of that name */
    refuses("unix:", "address unix:: missing path; write unix:/path/of/the/socket");

    memset(path, 'x', sizeof path);
    memcpy(path, "unix:", 5);
    path[5 + 107] = '\0';
    assert_true(rpc_address_parse(&address, path, &error));
    path[5 + 107] = 'x';
    path[5 + 108] = '\0';
    assert_false(rpc_address_parse(&address, path, &error));
    assert_non_null(
        strstr(buffer_text(&error), "108 bytes; that of a Unix socket has at most 107"));
    buffer_fini(&error);
}

static void none_switches_rpc_off(void **state)
{
    (void)state;
    struct rpc_address address;
    struct buffer error;
    buffer_init(&error, 1024);
    assert_true(rpc_address_parse(&address, "none", &error));
    assert_int_equal(address.kind, RPC_NOWHERE);
    parses("none:1", "none", 1);
    buffer_fini(&error);
}

static void what_is_wrong_is_said_in_the_references_words(void **state)
{
    (void)state;
    refuses("", "missing address");
    refuses("foo", "address foo: missing port in address");
    refuses("127.0.0.1", "address 127.0.0.1: missing port in address");
    refuses("::1:7373", "address ::1:7373: too many colons in address; write an IPv6 address and "
                        "its port as [::1]:7373");
    refuses("[::1:7373", "address [::1:7373: missing ']' in address");
    refuses("foo:99999", "address 99999: invalid port");
    refuses("foo:99999999999999999999999", "address 99999999999999999999999: invalid port");
    refuses("foo:-1", "address -1: invalid port");
    refuses("foo:-", "lookup tcp/-: unknown port");
    refuses("foo:abc", "lookup tcp/abc: unknown port");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports_are_taken_apart),
        cmocka_unit_test(an_ipv6_address_bare_or_in_brackets_may_leave_its_port_out),
        cmocka_unit_test(a_bare_address_that_may_end_in_a_port_is_none),
        cmocka_unit_test(a_unix_socket_is_a_path_behind_its_prefix),
        cmocka_unit_test(none_switches_rpc_off),
        cmocka_unit_test(what_is_wrong_is_said_in_the_references_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
