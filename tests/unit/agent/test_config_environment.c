#include "support.h"

#include "config_environment.h"
#include "handler_event.h"

static struct agent_config config;
static struct buffer error, notices;

static int set_up(void **state)
{
    buffer_init(&error, 8192);
    buffer_init(&notices, 8192);
    return make_directory(state);
}

static int tear_down(void **state)
{
    buffer_fini(&error);
    buffer_fini(&notices);
    return remove_directory(state);
}

/* Loads a configuration whose environment has this variable as well. */
static enum config_status load_with(const char *name, const char *value, int argc, char **argv)
{
    buffer_reset(&error);
    setenv(name, value, 1);
    enum config_status status = agent_config_load(&config, argc, argv, &error);
    unsetenv(name);
    return status;
}

/* The same with a file of these contents. */
static void load_over(const char *file, const char *name, const char *value)
{
    char *argv[] = {"agent", "-config-file", (char *)write_test_file("a.json", file), NULL};
    if (load_with(name, value, ARGUMENT_COUNT(argv), argv) != CONFIG_OK)
        fail_msg("refused: %s", buffer_text(&error));
}

static const char *refusal(const char *name, const char *value)
{
    char *argv[] = {"agent", NULL};
    assert_int_equal(load_with(name, value, 1, argv), CONFIG_FAILED);
    assert_starts_with(buffer_text(&error), "Error in the environment: ");
    assert_null(strchr(buffer_text(&error), '\n'));
    return buffer_text(&error) + strlen("Error in the environment: ");
}

static void take_notice(void *context, const char *text)
{
    (void)context;
    buffer_append_text(&notices, text);
    buffer_append_u8(&notices, '\n');
}

static void every_key_has_a_variable(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        static const char *const samples[] = {
            [CONFIG_STRING] = "x",    [CONFIG_BOOL] = "true", [CONFIG_INTEGER] = "77",
            [CONFIG_DURATION] = "7s", [CONFIG_LIST] = "x",    [CONFIG_MAP] = "x=y",
        };
        char name[80] = "SERF_AGENT_";
        struct agent_config nothing;
        char *argv[] = {"agent", NULL};
        if (key->type == CONFIG_SECTION)
            continue;
        for (size_t n = strlen(name), k = 0; key->name[k]; k++, n++)
            name[n] = (char)(key->name[k] == '.'                          ? '_'
                             : key->name[k] >= 'a' && key->name[k] <= 'z' ? key->name[k] - 32
                                                                          : key->name[k]);
        const char *value = samples[key->type];
        assert_int_equal(agent_config_load(&nothing, 1, argv, &error), CONFIG_OK);
        if (key->type == CONFIG_BOOL && *(const bool *)agent_config_value(key, &nothing))
            value = "false";
        assert_int_equal(load_with(name, value, 1, argv), CONFIG_OK);
        if (!agent_config_differs(key, &nothing, &config))
            fail_msg("%s changes nothing", name);
        agent_config_fini(&nothing);
        agent_config_fini(&config);
    }
}

static void the_environment_stands_between_files_and_flags(void **state)
{
    (void)state;
    load_over("{\"profile\": \"wan\"}", "SERF_AGENT_PROFILE", "local");
    assert_string_equal(config.profile, "local");
    agent_config_fini(&config);
    char *argv[] = {"agent", "-profile=wan", NULL};
    assert_int_equal(load_with("SERF_AGENT_PROFILE", "local", 2, argv), CONFIG_OK);
    assert_string_equal(config.profile, "wan");
    agent_config_fini(&config);
}

static void a_list_is_appended_one_element_a_line(void **state)
{
    (void)state;
    load_over("{\"retry_join\": [\"a\"]}", "SERF_AGENT_RETRY_JOIN", "\n b:7946 \n\n[::1]:7946");
    assert_int_equal(config.retry_join.count, 3);
    assert_string_equal(config.retry_join.values[0], "a");
    assert_string_equal(config.retry_join.values[1], "b:7946");
    assert_string_equal(config.retry_join.values[2], "[::1]:7946");
    agent_config_fini(&config);
    load_over("{}", "SERF_AGENT_EVENT_HANDLERS", "member-join,user:deploy=cat a b");
    assert_int_equal(config.event_handlers.count, 1);
    assert_string_equal(config.event_handlers.values[0], "member-join,user:deploy=cat a b");
    agent_config_fini(&config);
}

static void the_source_of_a_value_is_its_variable(void **state)
{
    (void)state;
    load_over("{\"profile\": \"wan\"}", "SERF_AGENT_PROFILE", "local");
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].name, "profile") == 0)
            agent_config_append_source(&config_keys[i], &config, &error);
    assert_string_equal(buffer_text(&error), "SERF_AGENT_PROFILE");
    agent_config_fini(&config);
    load_over("{}", "SERF_AGENT_ENCRYPT_KEY_FILE", write_test_file("key", "wrong"));
    buffer_reset(&error);
    assert_false(agent_config_check_key(&config, &error));
    assert_contains(buffer_text(&error), "; from: SERF_AGENT_ENCRYPT_KEY_FILE");
    assert_null(strstr(buffer_text(&error), "wrong"));
    agent_config_fini(&config);
}

static void a_pod_s_address_is_advertised_whatever_it_looks_like(void **state)
{
    (void)state;
    load_over("{}", "SERF_AGENT_ADVERTISE", "fd00::5:7946");
    assert_string_equal(config.advertise, "[fd00::5:7946]");
    agent_config_fini(&config);
    load_over("{}", "SERF_AGENT_ADVERTISE", "10.2.6.17");
    assert_string_equal(config.advertise, "10.2.6.17");
    agent_config_fini(&config);
    load_over("{}", "SERF_AGENT_ADVERTISE", "[fd00::5]:8000");
    assert_string_equal(config.advertise, "[fd00::5]:8000");
    agent_config_fini(&config);
}

static void empty_takes_back_what_a_file_said(void **state)
{
    (void)state;
    load_over("{\"retry_join\": [\"a\"]}", "SERF_AGENT_RETRY_JOIN", "");
    assert_int_equal(config.retry_join.count, 0);
    agent_config_fini(&config);
    load_over("{\"encrypt_key\": \"abc\"}", "SERF_AGENT_ENCRYPT_KEY", "");
    assert_null(config.encrypt_key);
    agent_config_fini(&config);
    load_over("{\"rpc_addr\": \"10.0.0.1:1\"}", "SERF_AGENT_RPC_ADDR", "");
    assert_string_equal(config.rpc_addr, "127.0.0.1:7373");
    agent_config_fini(&config);
    load_over("{\"tags\": {\"a\": \"b\"}}", "SERF_AGENT_TAGS", "");
    assert_int_equal(config.tags.count, 0);
    agent_config_fini(&config);
    load_over("{\"enable_compression\": false}", "SERF_AGENT_ENABLE_COMPRESSION", "");
    assert_true(config.enable_compression);
    agent_config_fini(&config);
}

static void false_and_zero_take_back_what_a_file_said(void **state)
{
    (void)state;
    load_over("{\"leave_on_terminate\": true}", "SERF_AGENT_LEAVE_ON_TERMINATE", "False");
    assert_false(config.leave_on_terminate);
    agent_config_fini(&config);
    load_over("{\"handler_timeout\": \"9s\"}", "SERF_AGENT_HANDLER_TIMEOUT", "0s");
    assert_int_equal(config.handler_timeout, 0);
    agent_config_fini(&config);
    load_over("{\"protocol\": 4}", "SERF_AGENT_PROTOCOL", "0");
    assert_int_equal(config.protocol, 5);
    agent_config_fini(&config);
}

static void a_tag_has_a_variable_and_an_empty_one_sets_none(void **state)
{
    (void)state;
    load_over("{\"tags\": {\"dc\": \"east\"}}", "SERF_AGENT_TAG_ZONE", "a=b");
    assert_int_equal(config.tags.count, 2);
    assert_string_equal(config.tags.pairs[1].key, "zone");
    assert_string_equal(config.tags.pairs[1].value, "a=b");
    agent_config_fini(&config);
    load_over("{\"tags\": {\"dc\": \"east\"}}", "SERF_AGENT_TAG_ZONE", "");
    assert_int_equal(config.tags.count, 1);
    agent_config_fini(&config);
}

static void a_tag_of_its_own_beats_the_tags_in_any_order(void **state)
{
    (void)state;
    char *environment[] = {"SERF_AGENT_TAG_A=one", "SERF_AGENT_TAGS=a=many\nb=many", NULL};
    agent_config_init(&config);
    assert_true(agent_config_read_environment(&config, environment, &error));
    assert_int_equal(config.tags.count, 2);
    assert_string_equal(config.tags.pairs[0].value, "one");
    assert_string_equal(config.tags.pairs[1].value, "many");
    agent_config_fini(&config);
}

static void a_secret_may_be_in_a_file(void **state)
{
    (void)state;
    const char *path = write_test_file("key", "c2VjcmV0\n");
    load_over("{\"encrypt_key\": \"abc\"}", "SERF_AGENT_ENCRYPT_KEY_FILE", path);
    assert_string_equal(config.encrypt_key, "c2VjcmV0");
    agent_config_fini(&config);
    load_over("{}", "SERF_AGENT_RPC_AUTH_FILE", path);
    assert_string_equal(config.rpc_auth, "c2VjcmV0");
    agent_config_fini(&config);
}

static void a_secret_that_cannot_be_had_is_an_error_without_its_value(void **state)
{
    (void)state;
    assert_starts_with(refusal("SERF_AGENT_RPC_AUTH_FILE", "/nonexistent/key"),
                       "SERF_AGENT_RPC_AUTH_FILE: open /nonexistent/key: no such file");
    assert_contains(refusal("SERF_AGENT_RPC_AUTH_FILE", write_test_file("none", " \n")),
                    "is empty");
    setenv("SERF_AGENT_ENCRYPT_KEY", "precious", 1);
    const char *text = refusal("SERF_AGENT_ENCRYPT_KEY_FILE", write_test_file("key", "jewel"));
    unsetenv("SERF_AGENT_ENCRYPT_KEY");
    assert_starts_with(text, "SERF_AGENT_ENCRYPT_KEY_FILE and SERF_AGENT_ENCRYPT_KEY are both set");
    assert_null(strstr(text, "precious"));
    assert_null(strstr(text, "jewel"));
}

static void a_value_of_the_wrong_kind_is_named(void **state)
{
    (void)state;
    assert_string_equal(refusal("SERF_AGENT_REPLAY_ON_JOIN", "maybe"),
                        "SERF_AGENT_REPLAY_ON_JOIN: expected true or false, got \"maybe\"");
    assert_string_equal(refusal("SERF_AGENT_PROTOCOL", "5x"),
                        "SERF_AGENT_PROTOCOL: expected a whole number, got \"5x\"");
    assert_string_equal(refusal("SERF_AGENT_PROTOCOL", "99999999999999999999"),
                        "SERF_AGENT_PROTOCOL: expected a whole number, got "
                        "\"99999999999999999999\"");
    assert_starts_with(refusal("SERF_AGENT_RETRY_INTERVAL", "30"),
                       "SERF_AGENT_RETRY_INTERVAL: time: missing unit in duration \"30\"");
    assert_string_equal(refusal("SERF_AGENT_TAGS", "a=b\nc"),
                        "SERF_AGENT_TAGS: expected lines of the form key=value, got \"a=b\\nc\"");
}

/* What Kubernetes sets for Services called serf, serf-agent, serf-agent-tag and serf-agent-bind. */
static char *of_services[] = {
    "SERF_PORT=tcp://10.3.0.48:7946",
    "SERF_SERVICE_HOST=10.3.0.48",
    "SERF_AGENT_SERVICE_HOST=10.3.0.48",
    "SERF_AGENT_SERVICE_PORT=7946",
    "SERF_AGENT_SERVICE_PORT_SERF_TCP=7946",
    "SERF_AGENT_PORT=tcp://10.3.0.48:7946",
    "SERF_AGENT_PORT_7946_TCP=tcp://10.3.0.48:7946",
    "SERF_AGENT_PORT_7946_TCP_PROTO=tcp",
    "SERF_AGENT_PORT_7946_TCP_PORT=7946",
    "SERF_AGENT_PORT_7946_TCP_ADDR=10.3.0.48",
    "SERF_AGENT_PORT_7946_SCTP=sctp://10.3.0.48:7946",
    "SERF_AGENT_TAG_SERVICE_HOST=10.3.0.49",
    "SERF_AGENT_TAG_PORT=udp://10.3.0.49:7946",
    "SERF_AGENT_TAG_PORT_7946_UDP=udp://10.3.0.49:7946",
    "SERF_AGENT_TAG_PORT_7946_UDP_ADDR=10.3.0.49",
    "SERF_AGENT_BIND_SERVICE_PORT=7946",
    NULL,
};

static void what_kubernetes_sets_for_services_is_ignored(void **state)
{
    (void)state;
    agent_config_init(&config);
    assert_true(agent_config_read_environment(&config, of_services, &error));
    assert_int_equal(config.tags.count, 0);
    for (size_t i = 0; i < config_key_count; i++) {
        struct agent_config defaults;
        agent_config_init(&defaults);
        assert_false(agent_config_differs(&config_keys[i], &defaults, &config));
        agent_config_fini(&defaults);
    }
    agent_config_fini(&config);
    agent_config_environment_notices(of_services, take_notice, NULL);
    assert_string_equal(buffer_text(&notices), "");
}

static void a_tag_may_be_called_port(void **state)
{
    (void)state;
    char *environment[] = {"SERF_AGENT_TAG_PORT=8080", "SERF_AGENT_TAG_PORT_HTTP=80", NULL};
    agent_config_init(&config);
    assert_true(agent_config_read_environment(&config, environment, &error));
    assert_int_equal(config.tags.count, 2);
    agent_config_fini(&config);
}

static void unknown_names_are_told_in_one_line(void **state)
{
    (void)state;
    char *environment[] = {"SERF_AGENT_RETRY_JION=a",
                           "SERF_AGENT_BIND=b",
                           "SERF_AGENT_BIND_FILE=b",
                           "SERF_AGENT_RPC_AUTH_FILE=c",
                           "SERF_AGENT_TAG_X=",
                           "SERF_AGENT_TAG_=",
                           "SERF_AGENT=1",
                           "SERF_ENCRYPT_KEY=x",
                           NULL};
    agent_config_environment_notices(environment, take_notice, NULL);
    assert_starts_with(buffer_text(&notices),
                       "Warning: unknown in the environment: SERF_AGENT_RETRY_JION, "
                       "SERF_AGENT_BIND_FILE, SERF_AGENT_TAG_; ");
    assert_ptr_equal(strchr(buffer_text(&notices), '\n'), buffer_text(&notices) + notices.size - 1);
}

static void the_name_of_a_flag_is_answered_with_that_of_its_key(void **state)
{
    (void)state;
    char *environment[] = {"SERF_AGENT_ENCRYPT=x",   "SERF_AGENT_ENCRYPT_FILE=/x",
                           "SERF_AGENT_NODE=a",      "SERF_AGENT_NODE_FILE=a",
                           "SERF_AGENT_RETRY_MAX=1", NULL};
    agent_config_environment_notices(environment, take_notice, NULL);
    assert_starts_with(
        buffer_text(&notices),
        "Warning: unknown in the environment: SERF_AGENT_ENCRYPT (-encrypt is "
        "SERF_AGENT_ENCRYPT_KEY), SERF_AGENT_ENCRYPT_FILE (-encrypt is "
        "SERF_AGENT_ENCRYPT_KEY_FILE), SERF_AGENT_NODE (-node is SERF_AGENT_NODE_NAME), "
        "SERF_AGENT_NODE_FILE, SERF_AGENT_RETRY_MAX (-retry-max is "
        "SERF_AGENT_RETRY_MAX_ATTEMPTS); ");
}

static void no_secret_of_the_agent_reaches_a_handler(void **state)
{
    (void)state;
    struct text_map tags = {NULL, 0};
    setenv("SERF_AGENT_ENCRYPT_KEY", "precious", 1);
    setenv("SERF_AGENT_RPC_AUTH", "jewel", 1);
    setenv("SERF_AGENT_ENCRYPT", "gold", 1); /* which is no setting, but was meant to be one */
    setenv("SERF_AGENT_NODE_NAME", "n1", 1);
    struct handler_event *event = handler_event_empty(MEMBER_EVENT_JOIN);
    char **environment = handler_environment(event, "n1", &tags, &error);
    bool name_seen = false;
    for (char **variable = environment; *variable; variable++) {
        assert_null(strstr(*variable, "precious"));
        assert_null(strstr(*variable, "jewel"));
        assert_null(strstr(*variable, "gold"));
        name_seen |= strcmp(*variable, "SERF_AGENT_NODE_NAME=n1") == 0;
    }
    assert_true(name_seen);
    free(environment);
    handler_event_release(event);
    unsetenv("SERF_AGENT_ENCRYPT_KEY");
    unsetenv("SERF_AGENT_RPC_AUTH");
    unsetenv("SERF_AGENT_ENCRYPT");
    unsetenv("SERF_AGENT_NODE_NAME");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_key_has_a_variable),
        TEST(the_environment_stands_between_files_and_flags),
        TEST(a_list_is_appended_one_element_a_line),
        TEST(the_source_of_a_value_is_its_variable),
        TEST(a_pod_s_address_is_advertised_whatever_it_looks_like),
        TEST(empty_takes_back_what_a_file_said),
        TEST(false_and_zero_take_back_what_a_file_said),
        TEST(a_tag_has_a_variable_and_an_empty_one_sets_none),
        TEST(a_tag_of_its_own_beats_the_tags_in_any_order),
        TEST(a_secret_may_be_in_a_file),
        TEST(a_secret_that_cannot_be_had_is_an_error_without_its_value),
        TEST(a_value_of_the_wrong_kind_is_named),
        TEST(what_kubernetes_sets_for_services_is_ignored),
        TEST(a_tag_may_be_called_port),
        TEST(unknown_names_are_told_in_one_line),
        TEST(the_name_of_a_flag_is_answered_with_that_of_its_key),
        TEST(no_secret_of_the_agent_reaches_a_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
