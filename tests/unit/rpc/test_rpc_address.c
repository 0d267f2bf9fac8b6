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

static void what_is_wrong_is_said_in_the_references_words(void **state)
{
    (void)state;
    refuses("", "missing address");
    refuses("foo", "address foo: missing port in address");
    refuses("[::1]", "address [::1]: missing port in address");
    refuses("::1:7373", "address ::1:7373: too many colons in address");
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
        cmocka_unit_test(what_is_wrong_is_said_in_the_references_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
