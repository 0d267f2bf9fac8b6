/* The daemon in a process of its own, on a member that is a fake: what it prints, what it does on
 * signals, and with which status it ends. */
#include "support.h"

#include "agent.h"
#include "boot.h"
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static pid_t child;
static int child_output = -1;
static char text[64 * 1024];
static size_t text_size;

static int set_up(void **state)
{
    child = 0;
    text_size = 0;
    text[0] = '\0';
    return make_directory(state);
}

static int tear_down(void **state)
{
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    if (child_output >= 0)
        close(child_output);
    child_output = -1;
    return remove_directory(state);
}

static void start_program(int (*program)(int, char **), char **argv)
{
    int ends[2], argc = 0;
    while (argv[argc])
        argc++;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(program(argc, argv));
    }
    close(ends[1]);
    child_output = ends[0];
}

static void start_agent(char **argv)
{
    start_program(agent_main, argv);
}

/* False at the end of the output, or after ten seconds of silence. */
static bool read_more(void)
{
    struct pollfd ready = {.fd = child_output, .events = POLLIN};
    if (poll(&ready, 1, 10000) <= 0)
        return false;
    ssize_t n = read(child_output, text + text_size, sizeof(text) - text_size - 1);
    if (n <= 0)
        return false;
    text_size += (size_t)n;
    text[text_size] = '\0';
    return true;
}

static void wait_for(const char *part)
{
    while (!strstr(text, part))
        if (!read_more())
            fail_msg("no \"%s\" in:\n%s", part, text);
}

static int wait_for_end(void)
{
    int status;
    while (read_more())
        continue;
    assert_int_equal(waitpid(child, &status, 0), child);
    child = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_agent(char **argv)
{
    start_agent(argv);
    return wait_for_end();
}

static void start_and_wait(char **argv)
{
    start_agent(argv);
    wait_for("Log data will now stream in");
    wait_for("fake: meta");
}

static void start_prints_notices_banner_and_log_in_order(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-node", "n1", "-bind", "127.0.0.1:0", "-join", "peer", NULL};
    start_and_wait(argv);
    assert_starts_with(text, "==> Starting Serf agent...\n"
                             "==> Starting Serf agent RPC...\n"
                             "==> Serf agent running!\n"
                             "                      Node name: 'n1'\n"
                             "                      Bind addr: '127.0.0.1:4321'\n"
                             "                       RPC addr: '127.0.0.1:7373'\n"
                             "                      Encrypted: false\n"
                             "                       Snapshot: false\n"
                             "                        Profile: lan\n"
                             "    Message Compression Enabled: true\n"
                             "==> Joining cluster...(replay: false)\n"
                             "    Join completed. Synced with 1 initial agents\n"
                             "\n"
                             "==> Log data will now stream in as it occurs:\n"
                             "\n"
                             "    ");
    assert_contains(text, "[INFO] agent: Serf agent starting\n");
    assert_contains(text, "[INFO] agent: joining: [peer] replay: false\n");
    assert_contains(text, "[INFO] agent: joined: 1 nodes\n");
    kill(child, SIGINT);
    assert_int_equal(wait_for_end(), 0);
    assert_contains(text, "==> Caught signal: interrupt\n"
                          "==> Gracefully shutting down agent...\n");
    assert_contains(text, "[INFO] agent: requesting graceful leave from Serf\n");
    assert_contains(text, "[INFO] agent: requesting serf shutdown\n");
    assert_contains(text, "[INFO] agent: shutdown complete\n");
    assert_null(strstr(text, "Shutdown without a Leave"));
}

static void the_member_is_told_the_limits_of_events_and_queries(void **state)
{
    (void)state;
    const char *file =
        write_test_file("a.json", "{\"user_event_size_limit\": 700, \"query_size_limit\": 800, "
                                  "\"query_response_size_limit\": 900, \"queue_depth_warning\": 7, "
                                  "\"max_queue_depth\": 8, \"disable_coordinates\": true, "
                                  "\"disable_name_resolution\": true}");
    char *changed[] = {"agent", "-config-file", (char *)file, NULL};
    start_and_wait(changed);
    wait_for("fake: events 700, queries 800, answers 900, coordinates 0, vote 0, expressions 1, "
             "queues 7 8\n");
}

static void a_keyring_that_changes_is_written_to_its_file(void **state)
{
    (void)state;
    char *without[] = {"agent", "-node", "keyed", NULL};
    start_and_wait(without);
    wait_for("fake: keyring of query 7: saved\n");
    kill(child, SIGKILL);
    wait_for_end();
    const char *keys = write_test_file("keys", "[\"AAAAAAAAAAAAAAAAAAAAAA==\"]");
    char *with[] = {"agent", "-node", "keyed", "-keyring-file", (char *)keys, NULL};
    close(child_output);
    text_size = 0;
    text[0] = '\0';
    start_and_wait(with);
    wait_for("fake: keyring of query 7: saved\n");
    char contents[128] = "";
    FILE *file = fopen(keys, "r");
    assert_non_null(file);
    assert_true(fread(contents, 1, sizeof contents - 1, file) > 0);
    fclose(file);
    assert_string_equal(contents, "[\n  \"AAAAAAAAAAAAAAAAAAAAAA==\"\n]");
}

static void terminate_stops_without_a_leave(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-node", "n1", NULL};
    start_and_wait(argv);
    kill(child, SIGTERM);
    assert_int_equal(wait_for_end(), 1);
    assert_contains(text, "==> Caught signal: terminated\n");
    assert_null(strstr(text, "Gracefully"));
    assert_contains(text, "[WARN] serf: Shutdown without a Leave\n");
}

static void terminate_leaves_when_told_to(void **state)
{
    (void)state;
    const char *file = write_test_file("a.json", "{\"leave_on_terminate\": true}");
    char *argv[] = {"agent", "-config-file", (char *)file, NULL};
    start_and_wait(argv);
    kill(child, SIGTERM);
    assert_int_equal(wait_for_end(), 0);
    assert_contains(text, "Gracefully");
}

static void interrupt_may_skip_the_leave(void **state)
{
    (void)state;
    const char *file = write_test_file("a.json", "{\"skip_leave_on_interrupt\": true}");
    char *argv[] = {"agent", "-config-file", (char *)file, NULL};
    start_and_wait(argv);
    kill(child, SIGINT);
    assert_int_equal(wait_for_end(), 1);
    assert_null(strstr(text, "Gracefully"));
}

static void a_second_signal_ends_a_leave_at_once(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-node", "stuck", NULL};
    start_and_wait(argv);
    kill(child, SIGINT);
    wait_for("requesting graceful leave");
    kill(child, SIGTERM);
    assert_int_equal(wait_for_end(), 1);
    assert_null(strstr(text, "terminated"));
    assert_contains(text, "[WARN] serf: Shutdown without a Leave\n");
}

static void a_leave_that_takes_longer_than_leave_timeout_is_given_up(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-node", "stuck", "-leave-timeout", "1s", NULL};
    start_and_wait(argv);
    assert_contains(text, "fake: label '' mode 0, verify 1 1, leave within 1 s\n");
    kill(child, SIGINT);
    assert_int_equal(wait_for_end(), 1);
    assert_contains(text, "[WARN] serf: timeout while waiting for graceful leave\n");
}

static void an_open_door_is_passed_on_and_warned_of(void **state)
{
    (void)state;
    char *argv[] = {"agent",
                    "-label",
                    "blue",
                    "-label-mode",
                    "accept",
                    "-encrypt",
                    "AAAAAAAAAAAAAAAAAAAAAA==",
                    "-encrypt-verify-incoming=false",
                    "-encrypt-verify-outgoing=false",
                    NULL};
    start_and_wait(argv);
    assert_contains(text, "fake: label 'blue' mode 2, verify 0 0, leave within 15 s\n");
    wait_for("[WARN] agent: label_mode is accept: gossip without the label is accepted");
    assert_contains(text, "[WARN] agent: encrypt_verify_incoming is false: gossip that is not "
                          "encrypted is accepted, from anybody");
    assert_contains(text, "[WARN] agent: encrypt_verify_outgoing is false");
}

static void a_closed_door_is_no_warning(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-label", "blue", "-encrypt", "AAAAAAAAAAAAAAAAAAAAAA==", NULL};
    start_and_wait(argv);
    assert_contains(text, "fake: label 'blue' mode 0, verify 1 1, leave within 15 s\n");
    kill(child, SIGTERM);
    wait_for_end();
    assert_null(strstr(text, "label_mode"));
    assert_null(strstr(text, "encrypt_verify"));
}

static void hangup_applies_what_it_can_and_names_the_rest(void **state)
{
    (void)state;
    const char *file = write_test_file("a.json", "{\"tags\": {\"a\": \"1\"}}");
    char *argv[] = {"agent", "-config-file", (char *)file, NULL};
    start_and_wait(argv);
    write_test_file("a.json", "{\"tags\": {\"b\": \"2\"}, \"profile\": \"wan\", "
                              "\"retry_join\": [\"x\"], \"leave_on_terminate\": true, "
                              "\"log_level\": \"bogus\"}");
    kill(child, SIGHUP);
    wait_for("only a restart applies: profile\n");
    assert_contains(text, "==> Caught signal: hangup\n==> Reloading configuration...\n");
    assert_contains(text, "==> Invalid log level: BOGUS.");
    assert_contains(text, "fake: tags b=2\n");
    kill(child, SIGTERM);
    assert_int_equal(wait_for_end(), 0);
}

static void a_reload_takes_up_changed_addresses_to_join_and_only_those(void **state)
{
    (void)state;
    const char *file = write_test_file("a.json", "{\"retry_join\": [\"one\"]}");
    char *argv[] = {"agent", "-config-file", (char *)file, NULL};
    start_and_wait(argv);
    wait_for("fake: retry join one of 1, 30 s, 0 attempts, 0\n");
    write_test_file("a.json", "{\"retry_join\": [\"two\", \"three\"], \"retry_interval\": \"9s\", "
                              "\"retry_watch\": true}");
    kill(child, SIGHUP);
    wait_for("retry_join has changed: asking its 2 addresses\n");
    wait_for("fake: retry join two of 2, 9 s, 0 attempts, 0, for life\n");
    write_test_file("a.json", "{\"retry_join\": [\"two\", \"three\"], \"retry_interval\": \"9s\", "
                              "\"retry_watch\": true, \"protocol\": 4}");
    kill(child, SIGHUP);
    wait_for("only a restart applies: protocol\n");
    write_test_file("a.json", "{\"retry_interval\": \"9s\"}");
    kill(child, SIGHUP);
    wait_for("retry_join has changed: no address is asked any more\n");
    wait_for("fake: retry join  of 0, 9 s, 0 attempts, 0\n");
    kill(child, SIGTERM);
    wait_for_end();
    const char *asked = strstr(text, "fake: retry join two");
    assert_null(strstr(asked + 1, "fake: retry join two"));
}

/* Every key that a reload cannot apply is named when it changes, and no other. */
static void each_changed_key_that_waits_for_a_restart_is_named(void **state)
{
    (void)state;
    const char *file = write_test_file("a.json", "{}");
    char *argv[] = {"agent", "-config-file", (char *)file, NULL};
    struct agent_config defaults;
    agent_config_init(&defaults);
    start_and_wait(argv);
    for (size_t i = 0; i < config_key_count; i++) {
        static const char *const values[] = {
            [CONFIG_STRING] = "\"other\"", [CONFIG_BOOL] = "true",
            [CONFIG_INTEGER] = "2",        [CONFIG_DURATION] = "\"77s\"",
            [CONFIG_LIST] = "[\"other\"]", [CONFIG_MAP] = "{\"other\": \"1\"}"};
        const struct config_key *key = &config_keys[i];
        const char *dot = strchr(key->name, '.');
        char contents[160], line[160];
        if (key->type == CONFIG_SECTION || key->reload != RELOAD_RESTART || dot)
            continue;
        snprintf(
            contents, sizeof(contents), "{\"%s\": %s}", key->name,
            key->type == CONFIG_BOOL && *(const bool *)((char *)&defaults + key->offset) ? "false"
            : strcmp(key->name, "interface") == 0                                        ? "\"lo\""
            : strcmp(key->name, "label_mode") == 0     ? "\"send\", \"label\": \"a\""
            : strcmp(key->name, "keyring_source") == 0 ? "\"other\", \"keyring_file\": \"other\""
                                                       : values[key->type]);
        write_test_file("a.json", contents);
        text_size = 0;
        text[0] = '\0';
        kill(child, SIGHUP);
        snprintf(line, sizeof(line), "only a restart applies: %s\n",
                 strcmp(key->name, "label_mode") == 0       ? "label, label_mode"
                 : strcmp(key->name, "keyring_source") == 0 ? "keyring_file, keyring_source"
                                                            : key->name);
        wait_for(line);
    }
    kill(child, SIGTERM);
    wait_for_end();
    agent_config_fini(&defaults);
}

static void checking_the_configuration_starts_nothing(void **state)
{
    (void)state;
    const char *file = write_test_file(
        "a.json", "{\"tags\": {\"a\": \"1\"}, \"rpc_auth\": \"hush\", \"log_format\": \"json\"}");
    char *good[] = {"agent", "-check-config", "-config-file", (char *)file, "-protocol=4", NULL};
    char *bad[] = {"agent",      "-check-config",     "-config-file",
                   (char *)file, "-rpc-addr=nowhere", NULL};
    char *worse[] = {"agent", "-check-config", "-tag", "no", NULL};
    char *depth[] = {"agent", "-check-config", "-config-file",
                     (char *)write_test_file("b.json", "{\"max_queue_depth\": -5}"), NULL};
    assert_int_equal(run_agent(good), 0);
    assert_contains(text, "\n==> The configuration is good\n");
    assert_contains(text, "flag -protocol\n");
    assert_null(strstr(text, "hush"));
    assert_null(strstr(text, "Starting"));
    assert_int_equal(run_agent(bad), 1);
    assert_contains(text, "==> Error starting RPC listener: address nowhere: missing port");
    assert_int_equal(run_agent(worse), 1);
    assert_contains(text, "==> Error: Invalid tag: 'no'");
    assert_int_equal(run_agent(depth), 1);
    assert_contains(text, "max_queue_depth is -5; it is a number of messages from 1 to 1048576");
}

static void without_rpc_the_agent_starts_and_says_so(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-rpc-addr", "none", NULL};
    start_and_wait(argv);
    assert_contains(text, "RPC addr: 'none'\n");
    assert_null(strstr(text, "Starting Serf agent RPC"));
    kill(child, SIGINT);
    assert_int_equal(wait_for_end(), 0);
}

static void with_json_every_line_is_an_object(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-log-format=json", "-join", "peer", "-rejoin", NULL};
    start_agent(argv);
    wait_for("\"component\":\"fake\",\"message\":\"meta");
    kill(child, SIGINT);
    assert_int_equal(wait_for_end(), 0);
    assert_contains(text, "\"level\":\"WARN\",\"component\":\"agent\",\"message\":\"Warning: ");
    assert_contains(text, "\"message\":\"Serf agent running!\",\"fields\":{\"node_name\":");
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        assert_starts_with(line, "{\"time\":\"20");
}

static void a_reload_that_fails_changes_nothing(void **state)
{
    (void)state;
    const char *file = write_test_file("a.json", "{\"leave_on_terminate\": true}");
    char *argv[] = {"agent", "-config-file", (char *)file, NULL};
    start_and_wait(argv);
    write_test_file("a.json", "{");
    kill(child, SIGHUP);
    wait_for("==> Failed to reload configs\n");
    assert_contains(text, "==> Error decoding '");
    kill(child, SIGTERM);
    assert_int_equal(wait_for_end(), 0);
}

static void a_reload_leaves_the_tags_of_a_tags_file_alone(void **state)
{
    (void)state;
    const char *tags = write_test_file("tags", "{\"a\": \"1\"}");
    char *argv[] = {"agent", "-tags-file", (char *)tags, NULL};
    start_and_wait(argv);
    assert_contains(text, "[INFO] agent: Restored 1 tag(s) from ");
    kill(child, SIGHUP);
    wait_for("Reloading configuration");
    kill(child, SIGTERM);
    assert_int_equal(wait_for_end(), 1);
    assert_null(strstr(text, "fake: tags"));
}

static void retry_join_begins_when_the_log_streams(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-retry-join", "a", "-retry-join", "b", "-retry-interval",
                    "2s",    "-retry-max",  "3", "-replay",     NULL};
    start_and_wait(argv);
    wait_for("fake: retry join a of 2, 2 s, 3 attempts, 1\n");
    kill(child, SIGTERM);
    wait_for_end();
}

static void the_loser_of_a_name_conflict_exits_with_3(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-node", "loser", "-retry-join", "a", NULL};
    assert_int_equal(run_agent(argv), 3);
    assert_contains(text, "[WARN] agent: Serf shutdown detected, quitting\n");
}

static void a_start_that_fails_shows_its_log_and_then_why(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-rpc-addr", "busy:1", NULL};
    assert_int_equal(run_agent(argv), 1);
    assert_contains(text, "[INFO] agent: Serf agent starting\n");
    assert_contains(text, "\n==> Error starting RPC listener: listen tcp 127.0.0.1:1: bind: "
                          "address already in use\n");
    assert_null(strstr(text, "running!"));
}

static void a_join_at_start_that_fails_ends_the_agent(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-join", "nobody", NULL};
    assert_int_equal(run_agent(argv), 1);
    assert_contains(text, "==> 1 error occurred:\n\t* Failed to resolve nobody: lookup nobody: no "
                          "such host\n");
    assert_contains(text, "[WARN] agent: error joining: Failed to resolve nobody: lookup nobody: "
                          "no such host\n");
    assert_null(strstr(text, "Join completed"));
}

/* One line of the output, and status 1. */
static void assert_refused(char **argv, const char *line)
{
    text_size = 0;
    assert_int_equal(run_agent(argv), 1);
    assert_contains(text, line);
    close(child_output);
    child_output = -1;
}

static void every_refusal_is_one_line_and_status_1(void **state)
{
    (void)state;
    const char *keys = write_test_file("keys", "[\"AAAAAAAAAAAAAAAAAAAAAA==\"]");
    const char *tags = write_test_file("tags", "{}");
    char *level[] = {"agent", "-log-level", "x", NULL};
    char *profile[] = {"agent", "-profile", "LAN", NULL};
    char *protocol[] = {"agent", "-protocol", "6", NULL};
    char *size[] = {"agent", "-encrypt", "aGk=", NULL};
    char *both[] = {
        "agent", "-encrypt", "AAAAAAAAAAAAAAAAAAAAAA==", "-keyring-file", (char *)keys, NULL};
    char *tagged[] = {"agent", "-tags-file", (char *)tags, "-tag", "a=b", NULL};
    char *foreign[] = {"agent", "-bind", "192.0.2.1", NULL};
    char *missing[] = {"agent", "-config-file", "/nonexistent/x", NULL};
    assert_refused(level, "==> Invalid log level: X.");
    assert_refused(profile, "==> Unknown profile: LAN");
    assert_refused(protocol, "==> Failed to start the Serf agent: Error creating Serf: Protocol "
                             "version '6' too high.");
    assert_refused(size, "==> Failed to start the Serf agent: Error creating Serf: Failed to "
                         "create memberlist: key size must be 16, 24 or 32 bytes");
    assert_refused(both, "==> Failed to setup the Serf agent: Encryption key not allowed while "
                         "using a keyring");
    assert_refused(tagged, "==> Failed to setup the Serf agent: Tags config not allowed while "
                           "using tag files");
    assert_refused(foreign, "==> Failed to start the Serf agent: Error creating Serf: cannot "
                            "assign requested address");
    assert_refused(missing, "==> Error reading '/nonexistent/x': open /nonexistent/x: no such "
                            "file or directory\n");
}

static void tags_that_are_too_long_refuse_the_start(void **state)
{
    (void)state;
    static char tag[800] = "key=";
    memset(tag + 4, 'x', 600);
    char *argv[] = {"agent", "-tag", tag, NULL};
    assert_refused(argv, "Error creating Serf: Encoded length of tags exceeds limit of 512 bytes");
}

static void help_and_usage_have_their_places(void **state)
{
    (void)state;
    char *help[] = {"agent", "-h", NULL};
    char *bogus[] = {"agent", "-bogus", NULL};
    assert_int_equal(run_agent(help), 0);
    assert_starts_with(text, "Usage: serf agent [options]\n");
    close(child_output);
    text_size = 0;
    assert_int_equal(run_agent(bogus), 1);
    assert_starts_with(text, "flag provided but not defined: -bogus\n"
                             "==> Usage: serf agent [options]\n");
}

static void boot_prints_its_environment_and_becomes_the_agent(void **state)
{
    (void)state;
    char rule[72], expected[256];
    char *argv[] = {"boot", "-node", "n1", NULL};
    memset(rule, '=', 70);
    memcpy(rule + 70, "\n", 2);
    write_test_file("a.json", "{\"leave_on_terminate\": true}");
    setenv("SERF_CONFDIR", test_directory, 1);
    setenv("SERF_SERVICE_HOST", "10.3.0.48", 1);
    setenv("SERF_PORT", "tcp://10.3.0.48:7946", 1);
    setenv("MY_TOKEN", "hush", 1);
    start_program(boot_main, argv);
    wait_for("fake: retry join 10.3.0.48 of 1");
    snprintf(expected, sizeof(expected),
             "%sserf: starting args(agent -config-dir %s -retry-join 10.3.0.48 -node n1)\n"
             "==> Starting Serf agent...\n",
             rule, test_directory);
    assert_starts_with(text, rule);
    assert_contains(text, "\nMY_TOKEN=********\n");
    assert_contains(text, expected);
    kill(child, SIGTERM);
    assert_int_equal(wait_for_end(), 0);
    unsetenv("SERF_SERVICE_HOST");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_prints_notices_banner_and_log_in_order),
        TEST(the_member_is_told_the_limits_of_events_and_queries),
        TEST(a_keyring_that_changes_is_written_to_its_file),
        TEST(terminate_stops_without_a_leave),
        TEST(terminate_leaves_when_told_to),
        TEST(interrupt_may_skip_the_leave),
        TEST(a_second_signal_ends_a_leave_at_once),
        TEST(hangup_applies_what_it_can_and_names_the_rest),
        TEST(a_reload_takes_up_changed_addresses_to_join_and_only_those),
        TEST(each_changed_key_that_waits_for_a_restart_is_named),
        TEST(checking_the_configuration_starts_nothing),
        TEST(without_rpc_the_agent_starts_and_says_so),
        TEST(with_json_every_line_is_an_object),
        TEST(a_reload_that_fails_changes_nothing),
        TEST(a_reload_leaves_the_tags_of_a_tags_file_alone),
        TEST(retry_join_begins_when_the_log_streams),
        TEST(a_leave_that_takes_longer_than_leave_timeout_is_given_up),
        TEST(an_open_door_is_passed_on_and_warned_of),
        TEST(a_closed_door_is_no_warning),
        TEST(the_loser_of_a_name_conflict_exits_with_3),
        TEST(a_start_that_fails_shows_its_log_and_then_why),
        TEST(a_join_at_start_that_fails_ends_the_agent),
        TEST(every_refusal_is_one_line_and_status_1),
        TEST(tags_that_are_too_long_refuse_the_start),
        TEST(help_and_usage_have_their_places),
        TEST(boot_prints_its_environment_and_becomes_the_agent),
    };
    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
