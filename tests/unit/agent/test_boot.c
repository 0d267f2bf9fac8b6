#include "support.h"

#include "banner.h"
#include "boot_arguments.h"

static struct buffer out;

static int set_up(void **state)
{
    const char *names[] = {"SERF_DISCOVERY_ADDRESS", "SERF_SERVICE_HOST", "SERF_SERVICE_PORT"};
    for (size_t i = 0; i < 3; i++)
        unsetenv(names[i]);
    setenv("SERF_CONFDIR", "/nonexistent", 1);
    /* What Kubernetes injects for a Service called serf. */
    setenv("SERF_PORT", "tcp://10.3.0.48:7946", 1);
    setenv("SERF_SERVICE_PORT_SERF_TCP", "7946", 1);
    setenv("SERF_PORT_7946_TCP_ADDR", "10.3.0.48", 1);
    buffer_init(&out, 64 * 1024);
    return make_directory(state);
}

static int tear_down(void **state)
{
    buffer_fini(&out);
    return remove_directory(state);
}

/* The arguments that these words, behind "boot", give. */
static const char *arguments_of(int argc, char **argv)
{
    struct boot_arguments arguments;
    assert_true(boot_arguments_make(&arguments, argc, argv));
    assert_null(arguments.words[arguments.count]);
    buffer_reset(&out);
    boot_print_arguments(&out, arguments.count, arguments.words);
    boot_arguments_fini(&arguments);
    return buffer_text(&out);
}

static const char *plain_arguments(void)
{
    char *argv[] = {"boot", NULL};
    return arguments_of(1, argv);
}

static void the_seed_s_environment_gives_its_arguments(void **state)
{
    (void)state;
    char expected[256];
    setenv("SERF_CONFDIR", test_directory, 1);
    setenv("SERF_SERVICE_HOST", "10.3.0.48", 1);
    setenv("SERF_SERVICE_PORT", "7946", 1);
    write_test_file("agent.json", "{\"leave_on_terminate\": true}");
    snprintf(expected, sizeof(expected),
             "serf: starting args(agent -config-dir %s -retry-join 10.3.0.48)\n", test_directory);
    assert_string_equal(plain_arguments(), expected);
}

static void what_only_looks_like_ours_does_no_harm(void **state)
{
    (void)state;
    assert_string_equal(plain_arguments(), "serf: starting args(agent)\n");
    setenv("SERF_SERVICE_HOST", "10.3.0.48", 1);
    setenv("SERF_SERVICE_PORT", "tcp://10.3.0.48:7946", 1);
    assert_string_equal(plain_arguments(), "serf: starting args(agent -retry-join 10.3.0.48)\n");
    setenv("SERF_SERVICE_PORT", "70000", 1);
    assert_string_equal(plain_arguments(), "serf: starting args(agent -retry-join 10.3.0.48)\n");
}

static void the_service_port_is_added_when_it_is_not_the_default(void **state)
{
    (void)state;
    setenv("SERF_SERVICE_HOST", "10.3.0.48", 1);
    setenv("SERF_SERVICE_PORT", "8000", 1);
    assert_string_equal(plain_arguments(),
                        "serf: starting args(agent -retry-join 10.3.0.48:8000)\n");
    setenv("SERF_SERVICE_HOST", "fd00::1", 1);
    assert_string_equal(plain_arguments(),
                        "serf: starting args(agent -retry-join [fd00::1]:8000)\n");
    unsetenv("SERF_SERVICE_PORT");
    assert_string_equal(plain_arguments(), "serf: starting args(agent -retry-join [fd00::1])\n");
}

static void the_discovery_address_comes_first_and_empty_is_unset(void **state)
{
    (void)state;
    setenv("SERF_SERVICE_HOST", "10.3.0.48", 1);
    setenv("SERF_DISCOVERY_ADDRESS", "serf-headless", 1);
    assert_string_equal(plain_arguments(),
                        "serf: starting args(agent -retry-join serf-headless)\n");
    setenv("SERF_DISCOVERY_ADDRESS", "", 1);
    assert_string_equal(plain_arguments(), "serf: starting args(agent -retry-join 10.3.0.48)\n");
}

static void extra_words_come_last(void **state)
{
    (void)state;
    char *argv[] = {"boot", "-tag", "a=b", NULL};
    setenv("SERF_SERVICE_HOST", "10.3.0.48", 1);
    assert_string_equal(arguments_of(3, argv),
                        "serf: starting args(agent -retry-join 10.3.0.48 -tag a=b)\n");
}

static void no_address_is_added_to_one_that_is_given(void **state)
{
    (void)state;
    setenv("SERF_SERVICE_HOST", "10.3.0.48", 1);
    char *join[] = {"boot", "-join=a", NULL};
    char *retry[] = {"boot", "--retry-join", "b", NULL};
    assert_string_equal(arguments_of(2, join), "serf: starting args(agent -join=a)\n");
    assert_string_equal(arguments_of(3, retry), "serf: starting args(agent --retry-join b)\n");
    setenv("SERF_CONFDIR", test_directory, 1);
    write_test_file("a.json", "{\"retry_join\": [\"c\"]}");
    assert_null(strstr(plain_arguments(), "-retry-join"));
}

static void a_named_configuration_replaces_the_directory(void **state)
{
    (void)state;
    char *argv[] = {"boot", "-config-file", "/nonexistent/x", NULL};
    setenv("SERF_CONFDIR", test_directory, 1);
    assert_string_equal(arguments_of(3, argv),
                        "serf: starting args(agent -config-file /nonexistent/x)\n");
}

static void secrets_are_masked(void **state)
{
    (void)state;
    char *environment[] = {"HOME=/root",
                           "SERF_ENCRYPT_KEY=aaa",
                           "MY_PASSWORD=bbb",
                           "api_Token=ccc",
                           "Client_Secret=ddd",
                           "SERF_RPC_AUTH=eee",
                           "DISK_ENCRYPTION=fff",
                           "EMPTY_KEY=",
                           "odd",
                           "TWO=a\nb",
                           NULL};
    boot_print_environment(&out, environment);
    assert_string_equal(buffer_text(&out),
                        "HOME=/root\nSERF_ENCRYPT_KEY=********\nMY_PASSWORD=********\n"
                        "api_Token=********\nClient_Secret=********\nSERF_RPC_AUTH=********\n"
                        "DISK_ENCRYPTION=********\n"
                        "EMPTY_KEY=\nodd\nTWO=a\\nb\n");
}

static void the_encryption_key_is_masked_among_the_arguments(void **state)
{
    (void)state;
    char *words[] = {"agent", "-encrypt", "abc", "--encrypt=def", "-node", "n", NULL};
    boot_print_arguments(&out, 6, words);
    assert_string_equal(buffer_text(&out), "serf: starting args(agent -encrypt ******** "
                                           "--encrypt=******** -node n)\n");
}

/* --- banner --- */

static const char *banner_text(const struct banner *banner)
{
    static char text[4096];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct agent_log *log = agent_log_new(ends[1], LOG_LEVEL_INFO);
    banner_print(log, banner);
    agent_log_free(log);
    close(ends[1]);
    text[read(ends[0], text, sizeof(text) - 1)] = '\0';
    close(ends[0]);
    return text;
}

static void the_banner_has_the_reference_s_columns(void **state)
{
    (void)state;
    struct banner banner = {.node_name = "n1",
                            .rpc_address = "127.0.0.1:7373",
                            .encrypted = true,
                            .snapshot = true,
                            .profile = "wan",
                            .compression = true,
                            .mdns_cluster = "mycl"};
    endpoint_from_text(&banner.bind, "127.0.0.1", 7946);
    endpoint_from_text(&banner.advertise, "127.0.0.9", 1234);
    assert_string_equal(banner_text(&banner), "==> Serf agent running!\n"
                                              "                      Node name: 'n1'\n"
                                              "                      Bind addr: '127.0.0.1:7946'\n"
                                              "    Advertise addr: '127.0.0.9:1234'\n"
                                              "                       RPC addr: '127.0.0.1:7373'\n"
                                              "                      Encrypted: true\n"
                                              "                       Snapshot: true\n"
                                              "                        Profile: wan\n"
                                              "    Message Compression Enabled: true\n"
                                              "                   mDNS cluster: mycl\n");
}

static void a_bind_without_address_shows_its_port(void **state)
{
    (void)state;
    struct banner banner = {.node_name = "n1",
                            .bind = {.port = 7946},
                            .rpc_address = ":7373",
                            .profile = "lan",
                            .mdns_cluster = ""};
    const char *text = banner_text(&banner);
    assert_contains(text, "                      Bind addr: ':7946'\n");
    assert_null(strstr(text, "Advertise"));
    assert_null(strstr(text, "mDNS"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_seed_s_environment_gives_its_arguments),
        TEST(what_only_looks_like_ours_does_no_harm),
        TEST(the_service_port_is_added_when_it_is_not_the_default),
        TEST(the_discovery_address_comes_first_and_empty_is_unset),
        TEST(extra_words_come_last),
        TEST(no_address_is_added_to_one_that_is_given),
        TEST(a_named_configuration_replaces_the_directory),
        TEST(secrets_are_masked),
        TEST(the_encryption_key_is_masked_among_the_arguments),
        TEST(the_banner_has_the_reference_s_columns),
        TEST(a_bind_without_address_shows_its_port),
    };
    return cmocka_run_group_tests_name("boot and banner", tests, NULL, NULL);
}
