#include "support.h"

#include "config.h"
#include "config_report.h"

static struct agent_config config;
static struct buffer error;

static int set_up(void **state)
{
    buffer_init(&error, 8192);
    return make_directory(state);
}

static int tear_down(void **state)
{
    buffer_fini(&error);
    return remove_directory(state);
}

static void load(int argc, char **argv)
{
    if (agent_config_load(&config, argc, argv, &error) != CONFIG_OK)
        fail_msg("refused: %s", buffer_text(&error));
}

/* Loads `agent -config-file FILE` with these contents. */
static void load_text(const char *contents)
{
    char *argv[] = {"agent", "-config-file", (char *)write_test_file("one.json", contents), NULL};
    load(ARGUMENT_COUNT(argv), argv);
}

/* The error of a file with these contents, without the part up to the path. */
static const char *refusal(const char *contents)
{
    const char *path = write_test_file("bad.json", contents);
    char start[300];
    char *argv[] = {"agent", "-config-file", (char *)path, NULL};
    buffer_reset(&error);
    assert_int_equal(agent_config_load(&config, ARGUMENT_COUNT(argv), argv, &error), CONFIG_FAILED);
    snprintf(start, sizeof(start), "Error decoding '%s': ", path);
    assert_starts_with(buffer_text(&error), start);
    assert_null(strchr(buffer_text(&error), '\n'));
    return buffer_text(&error) + strlen(start);
}

static void defaults_are_those_of_the_reference(void **state)
{
    (void)state;
    char *argv[] = {"agent", NULL};
    load(1, argv);
    char host[256];
    gethostname(host, sizeof(host));
    assert_string_equal(config.node_name, host);
    assert_string_equal(config.bind, "0.0.0.0");
    assert_string_equal(config.rpc_addr, "127.0.0.1:7373");
    assert_string_equal(config.log_level, "INFO");
    assert_string_equal(config.profile, "lan");
    assert_int_equal(config.protocol, 5);
    assert_int_equal(config.retry_interval, 30000000000);
    assert_int_equal(config.broadcast_timeout, 5000000000);
    assert_int_equal(config.reconnect_timeout, 86400000000000);
    assert_true(config.enable_compression);
    assert_true(config.encrypt_verify_incoming && config.encrypt_verify_outgoing);
    assert_null(config.label);
    assert_false(config.leave_on_terminate);
    agent_config_fini(&config);
}

static void every_type_of_key_is_read_from_a_file(void **state)
{
    (void)state;
    load_text("{\"node_name\": \"n1\", \"protocol\": 4.7, \"leave_on_terminate\": true,\n"
              " \"retry_join\": [\"a\", \"b\"], \"tags\": {\"role\": \"web\", \"dc\": \"east\"},\n"
              " \"retry_interval\": \"1.5s\", \"mdns\": {\"disable_ipv4\": true}}");
    assert_string_equal(config.node_name, "n1");
    assert_int_equal(config.protocol, 4);
    assert_true(config.leave_on_terminate);
    assert_int_equal(config.retry_join.count, 2);
    assert_string_equal(config.retry_join.values[1], "b");
    assert_int_equal(config.tags.count, 2);
    assert_string_equal(config.tags.pairs[0].key, "dc");
    assert_int_equal(config.retry_interval, 1500000000);
    assert_true(config.mdns_disable_ipv4);
    agent_config_fini(&config);
}

static void keys_match_in_any_case_and_the_last_duplicate_wins(void **state)
{
    (void)state;
    load_text("{\"NODE_NAME\": \"a\", \"node_name\": \"b\", \"Profile\": \"wan\"}");
    assert_string_equal(config.node_name, "b");
    assert_string_equal(config.profile, "wan");
    agent_config_fini(&config);
}

static void null_is_absent_and_what_follows_the_first_value_is_ignored(void **state)
{
    (void)state;
    load_text("{\"bind\": null, \"node_name\": \"n1\"} {\"node_name\": 4");
    assert_string_equal(config.bind, "0.0.0.0");
    assert_string_equal(config.node_name, "n1");
    agent_config_fini(&config);
    load_text("null");
    agent_config_fini(&config);
}

static void later_files_and_then_flags_win(void **state)
{
    (void)state;
    const char *first = write_test_file("1.json", "{\"node_name\": \"one\", \"profile\": \"wan\","
                                                  "\"retry_join\": [\"a\"], \"bind\": \"1.1.1.1\","
                                                  "\"tags\": {\"x\": \"1\", \"y\": \"1\"}}");
    const char *second = write_test_file("2.json", "{\"node_name\": \"two\", \"profile\": \"\","
                                                   "\"retry_join\": [\"b\"], \"protocol\": 0,"
                                                   "\"tags\": {\"y\": \"2\"}}");
    char *argv[] = {"agent", "-bind=3.3.3.3", "-tag",        "z=3",         "-retry-join",
                    "c",     "-config-file",  (char *)first, "-config-dir", (char *)second,
                    NULL};
    load(ARGUMENT_COUNT(argv), argv);
    assert_string_equal(config.node_name, "two");
    assert_string_equal(config.profile, "wan");
    assert_string_equal(config.bind, "3.3.3.3");
    assert_int_equal(config.protocol, 5);
    assert_int_equal(config.retry_join.count, 3);
    assert_string_equal(config.retry_join.values[0], "a");
    assert_string_equal(config.retry_join.values[2], "c");
    assert_int_equal(config.tags.count, 3);
    assert_string_equal(config.tags.pairs[1].value, "2");
    agent_config_fini(&config);
}

static void a_later_false_switches_a_boolean_off(void **state)
{
    (void)state;
    const char *on = write_test_file("on.json", "{\"leave_on_terminate\": true, "
                                                "\"replay_on_join\": true}");
    const char *off = write_test_file("off.json", "{\"leave_on_terminate\": false}");
    char *argv[] = {"agent",     "-config-file",  (char *)on, "-config-file",
                    (char *)off, "-replay=false", NULL};
    load(ARGUMENT_COUNT(argv), argv);
    assert_false(config.leave_on_terminate);
    assert_false(config.replay_on_join);
    agent_config_fini(&config);
}

static void compression_is_switched_off_by_key_or_by_flag(void **state)
{
    (void)state;
    load_text("{\"enable_compression\": false}");
    assert_false(config.enable_compression);
    agent_config_fini(&config);
    char *argv[] = {"agent", "-disable-compression", NULL};
    load(2, argv);
    assert_false(config.enable_compression);
    agent_config_fini(&config);
}

static void a_role_is_a_tag_and_beats_the_tags(void **state)
{
    (void)state;
    const char *path = write_test_file("role.json", "{\"role\": \"db\"}");
    char *argv[] = {"agent", "-tag", "role=web", "-config-file", (char *)path, NULL};
    load(ARGUMENT_COUNT(argv), argv);
    assert_int_equal(config.tags.count, 1);
    assert_string_equal(config.tags.pairs[0].value, "db");
    agent_config_fini(&config);
}

static void a_directory_gives_its_json_files_in_byte_order(void **state)
{
    (void)state;
    char directory[128];
    snprintf(directory, sizeof(directory), "%s/c.json", test_directory);
    write_test_file("9.json", "{\"node_name\": \"nine\"}");
    write_test_file("10.json", "{\"node_name\": \"ten\"}");
    write_test_file("z.JSON", "{\"node_name\": \"no\"}");
    write_test_file("z.conf", "no json");
    assert_int_equal(mkdir(directory, 0700), 0);
    char *argv[] = {"agent", "-config-dir", test_directory, NULL};
    load(ARGUMENT_COUNT(argv), argv);
    assert_string_equal(config.node_name, "nine");
    agent_config_fini(&config);
}

static void a_file_that_is_missing_is_named(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-config-file", "/nonexistent/x.json", NULL};
    assert_int_equal(agent_config_load(&config, 3, argv, &error), CONFIG_FAILED);
    assert_string_equal(buffer_text(&error),
                        "Error reading '/nonexistent/x.json': open /nonexistent/x.json: no such "
                        "file or directory");
}

static void a_dangling_link_in_a_directory_is_an_error(void **state)
{
    (void)state;
    char link[128];
    snprintf(link, sizeof(link), "%s/a.json", test_directory);
    assert_int_equal(symlink("/nonexistent/target", link), 0);
    char *argv[] = {"agent", "-config-dir", test_directory, NULL};
    assert_int_equal(agent_config_load(&config, 3, argv, &error), CONFIG_FAILED);
    assert_starts_with(buffer_text(&error), "Error reading '");
    assert_contains(buffer_text(&error), "no such file or directory");
}

static void a_syntax_error_tells_line_and_column(void **state)
{
    (void)state;
    assert_starts_with(refusal("{\n  \"bind\": \"1.2.3.4\",\n}"), "line 3, column 1: ");
    assert_starts_with(refusal("{bad}"), "line 1, column ");
    assert_starts_with(refusal(""), "EOF");
    assert_starts_with(refusal("{\"bind\": "), "unexpected EOF");
    assert_contains(refusal("\xef\xbb\xbf{}"), "byte order mark");
    assert_contains(refusal("// comment\n{}"), "no comments");
}

static void unknown_keys_are_listed_alphabetically_with_their_lines(void **state)
{
    (void)state;
    const char *text = refusal("{\"zeta\": 1,\n \"bind\": \"x\",\n \"alpha\": 2,\n"
                               "\"mdns\": {\"beta\": 1}}");
    assert_starts_with(text, "has invalid keys: alpha (line 3), mdns.beta (line 4), zeta (line 1)");
}

static void types_are_strict_and_the_error_shows_key_line_and_value(void **state)
{
    (void)state;
    assert_string_equal(refusal("{\n\"protocol\": \"4\"}"),
                        "line 2: 'protocol' expected a whole number without quotes, got the "
                        "string \"4\"");
    assert_contains(refusal("{\"node_name\": 4}"), "expected a string in double quotes, got the "
                                                   "number 4");
    assert_contains(refusal("{\"replay_on_join\": 1}"), "expected true or false without quotes");
    assert_contains(refusal("{\"start_join\": \"a\"}"), "expected a list of strings");
    assert_contains(refusal("{\"start_join\": [1]}"), "expected a list of strings");
    assert_contains(refusal("{\"tags\": {\"a\": 1}}"), "expected an object of strings");
    assert_contains(refusal("{\"mdns\": true}"), "expected an object, got true");
    assert_contains(refusal("[]"), "expected one object in braces");
    assert_contains(refusal("{\"protocol\": 1e300}"), "expected a whole number");
}

static void a_bad_duration_says_what_is_missing(void **state)
{
    (void)state;
    assert_contains(refusal("{\"retry_interval\": \"5\"}"),
                    "'retry_interval' can't be used: time: missing unit in duration \"5\"");
    assert_contains(refusal("{\"reconnect_timeout\": \"bogus\"}"),
                    "time: invalid duration \"bogus\"");
    char *argv[] = {"agent", "-retry-interval", "5", NULL};
    buffer_reset(&error);
    assert_int_equal(agent_config_load(&config, 3, argv, &error), CONFIG_FAILED);
    assert_starts_with(buffer_text(&error), "Error: time: missing unit in duration \"5\"");
}

static void a_tag_without_a_key_is_refused_before_any_file_is_read(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-config-file", "/nonexistent", "-tag", "foo", NULL};
    assert_int_equal(agent_config_load(&config, ARGUMENT_COUNT(argv), argv, &error), CONFIG_FAILED);
    assert_starts_with(buffer_text(&error), "Error: Invalid tag: 'foo'");
}

static void help_is_found_before_the_double_dash_only(void **state)
{
    (void)state;
    char *help[] = {"agent", "-bind", "x", "--help", NULL};
    char *none[] = {"agent", "--", "-h", NULL};
    char *unknown[] = {"agent", "-bogus", NULL};
    assert_int_equal(agent_config_load(&config, 4, help, &error), CONFIG_HELP);
    load(3, none);
    agent_config_fini(&config);
    assert_int_equal(agent_config_load(&config, 2, unknown, &error), CONFIG_USAGE);
    assert_string_equal(buffer_text(&error), "flag provided but not defined: -bogus");
}

static void an_empty_node_flag_gives_the_host_name(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-node", "", NULL};
    load(3, argv);
    assert_true(strlen(config.node_name) > 0);
    agent_config_fini(&config);
}

static void a_file_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    size_t size = CONFIG_FILE_SIZE_MAX + 1;
    char *text = malloc(size + 1);
    memset(text, ' ', size);
    text[size] = '\0';
    const char *path = write_test_file("large.json", text);
    free(text);
    agent_config_init(&config);
    assert_false(agent_config_read_file(&config, path, &error));
    assert_contains(buffer_text(&error), "limit");
    agent_config_fini(&config);
}

static void differences_are_found_for_every_key(void **state)
{
    (void)state;
    struct agent_config other;
    char *argv[] = {"agent",      "-node",   "b",         "-join",        "x",
                    "-retry-max", "3",       "-tag",      "a=b",          "-log-level",
                    "warn",       "-replay", "-snapshot", "/nonexistent", NULL};
    load(1, argv);
    assert_int_equal(agent_config_load(&other, ARGUMENT_COUNT(argv), argv, &error), CONFIG_OK);
    char names[512] = "";
    for (size_t i = 0; i < config_key_count; i++)
        if (agent_config_differs(&config_keys[i], &config, &other)) {
            strncat(names, config_keys[i].name, sizeof(names) - strlen(names) - 2);
            strncat(names, " ", 2);
        }
    assert_string_equal(names, "node_name start_join replay_on_join retry_max_attempts "
                               "snapshot_path log_level tags ");
    agent_config_fini(&config);
    agent_config_fini(&other);
}

static const char *source_of(const char *name)
{
    static struct buffer source;
    buffer_fini(&source);
    buffer_init(&source, 1024);
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].name, name) == 0)
            agent_config_append_source(&config_keys[i], &config, &source);
    return buffer_text(&source);
}

static void each_value_knows_where_it_comes_from(void **state)
{
    (void)state;
    const char *one = write_test_file("1.json", "{\"bind\": \"a\", \"profile\": \"wan\", "
                                                "\"retry_join\": [\"x\", \"y\"], "
                                                "\"retry_max_attempts\": 0, \"log_level\": \"\"}");
    const char *two = write_test_file("2.json", "{\"bind\": \"b\", \"replay_on_join\": false, "
                                                "\"mdns\": {\"interface\": \"lo\"}}");
    char both[600];
    char *argv[] = {"agent",     "-retry-join",  "z",         "-profile", "lan", "-config-file",
                    (char *)one, "-config-file", (char *)two, "-role",    "db",  NULL};
    load(ARGUMENT_COUNT(argv), argv);
    assert_string_equal(source_of("bind"), two);
    assert_string_equal(source_of("profile"), "flag -profile");
    snprintf(both, sizeof(both), "%s, flag -retry-join", one);
    assert_string_equal(source_of("retry_join"), both);
    assert_string_equal(source_of("replay_on_join"), two);
    assert_string_equal(source_of("mdns.interface"), two);
    assert_string_equal(source_of("tags"), "role");
    assert_string_equal(source_of("node_name"), "host name");
    assert_string_equal(source_of("log_level"), "default"); /* "" changes nothing */
    assert_string_equal(source_of("retry_max_attempts"), "default");
    agent_config_fini(&config);
}

static void the_report_has_every_key_and_no_secret(void **state)
{
    (void)state;
    load_text("{\"encrypt_key\": \"hush\", \"rpc_auth\": \"hush\", \"tags\": {\"a\": \"1\"}, "
              "\"handler_timeout\": \"90s\", \"event_handlers\": [\"echo \\\"x\\\"\"]}");
    struct buffer report;
    buffer_init(&report, CONFIG_REPORT_SIZE_MAX);
    agent_config_report(&config, &report);
    const char *text = buffer_text(&report);
    for (size_t i = 0; i < config_key_count; i++)
        if (config_keys[i].type != CONFIG_SECTION)
            assert_contains(text, config_keys[i].name);
    assert_null(strstr(text, "hush"));
    assert_contains(text, "\"(secret)\"");
    assert_contains(text, "{\"a\": \"1\"}");
    assert_contains(text, "\"1m30s\"");
    assert_contains(text, "[\"echo \\\"x\\\"\"]");
    buffer_fini(&report);
    agent_config_fini(&config);
}

static void every_key_and_flag_is_in_the_manual(void **state)
{
    (void)state;
    static char text[128 * 1024];
    const char *files[] = {DOCS_DIRECTORY "/configuration.md", DOCS_DIRECTORY "/man/serf-agent.8"};
    for (size_t f = 0; f < 2; f++) {
        FILE *file = fopen(files[f], "r");
        assert_non_null(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        for (size_t i = 0; i < config_key_count; i++) {
            char word[64];
            const char *dot = strrchr(config_keys[i].name, '.');
            snprintf(word, sizeof(word), "%s", dot ? dot + 1 : config_keys[i].name);
            if (f == 0)
                assert_contains(text, word);
            if (config_keys[i].flag) {
                snprintf(word, sizeof(word), "%s%s", f == 0 ? "`-" : "Fl ", config_keys[i].flag);
                assert_contains(text, word);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_those_of_the_reference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_type_of_key_is_read_from_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_match_in_any_case_and_the_last_duplicate_wins, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(null_is_absent_and_what_follows_the_first_value_is_ignored,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(later_files_and_then_flags_win, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_later_false_switches_a_boolean_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compression_is_switched_off_by_key_or_by_flag, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_role_is_a_tag_and_beats_the_tags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_gives_its_json_files_in_byte_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_missing_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dangling_link_in_a_directory_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_syntax_error_tells_line_and_column, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_keys_are_listed_alphabetically_with_their_lines,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(types_are_strict_and_the_error_shows_key_line_and_value,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_duration_says_what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tag_without_a_key_is_refused_before_any_file_is_read,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(help_is_found_before_the_double_dash_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_empty_node_flag_gives_the_host_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_beyond_the_limit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(differences_are_found_for_every_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_value_knows_where_it_comes_from, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_report_has_every_key_and_no_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_key_and_flag_is_in_the_manual, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("agent configuration", tests, NULL, NULL);
}
