#include "support.h"

#include "agent_address.h"
#include "config_check.h"

#include "base64.h"
#include "files.h"
#include "keyring_file.h"
#include "tags_file.h"

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
    buffer_reset(&error);
    if (agent_config_load(&config, argc, argv, &error) != CONFIG_OK)
        fail_msg("refused: %s", buffer_text(&error));
}

/* One flag and its value. */
static void load_flag(const char *flag, const char *value)
{
    char *argv[] = {"agent", (char *)flag, (char *)value, NULL};
    load(3, argv);
}

static void assert_check_fails(const char *flag, const char *value, const char *start)
{
    load_flag(flag, value);
    assert_false(agent_config_check(&config, &error));
    assert_starts_with(buffer_text(&error), start);
    agent_config_fini(&config);
}

/* `values` end with NULL. */
static void assert_check_accepts(const char *flag, const char *const *values)
{
    for (; *values; values++) {
        load_flag(flag, *values);
        assert_true(agent_config_check(&config, &error));
        agent_config_fini(&config);
    }
}

static void event_filters_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = {
        "/bin/true",      "=x", "*=x", "member-join,user:a,query:b=x", "user:=x",
        "user,query=a=b", NULL};
    assert_check_accepts("-event-handler", good);
    assert_check_fails("-event-handler", "bogus=x",
                       "Invalid event script: Event 'bogus' invoking 'x'");
    assert_check_fails("-event-handler", "user,member-join:n=x",
                       "Invalid event script: Event 'member-join:n' invoking 'x'");
}

static void handler_settings_have_a_range(void **state)
{
    (void)state;
    load_flag("-handler-concurrency", "256");
    assert_true(agent_config_check(&config, &error));
    agent_config_fini(&config);
    assert_check_fails("-handler-concurrency", "257", "Invalid handler_concurrency: 257; it is");
    assert_check_fails("-handler-concurrency", "-1", "Invalid handler_concurrency: -1; it is");
    assert_check_fails("-handler-timeout", "-1s", "Invalid handler_timeout: -1s is negative");
}

static void labels_and_their_modes_are_checked(void **state)
{
    (void)state;
    static const char *const modes[] = {"accept", "send", "strict"};
    static const enum label_mode expected[] = {LABEL_ACCEPT, LABEL_SEND, LABEL_STRICT};
    char label[258] = "";
    for (int i = 0; i < 3; i++) {
        char *argv[] = {"agent", "-label", "blue", "-label-mode", (char *)modes[i], NULL};
        load(5, argv);
        assert_true(agent_config_check(&config, &error));
        assert_int_equal(agent_config_label_mode(&config), expected[i]);
        agent_config_fini(&config);
    }
    memset(label, 'a', 255);
    load_flag("-label", label);
    assert_true(agent_config_check(&config, &error));
    assert_int_equal(agent_config_label_mode(&config), LABEL_STRICT);
    agent_config_fini(&config);
    label[255] = 'a';
    assert_check_fails("-label", label, "Invalid label: could not use \"aaa");
    assert_non_null(strstr(buffer_text(&error), "it has 256 bytes, of 255 at most"));
    assert_check_fails("-label-mode", "Strict",
                       "Invalid label_mode: Strict; it is accept, send or");
    assert_check_fails("-label-mode", "send", "Invalid label_mode: send without a label; set");
}

static void join_addresses_with_words_of_their_own_are_checked(void **state)
{
    (void)state;
    const char *good[] = {"srv+_serf._tcp.example", "provider=k8s",
                          "provider=k8s label_selector=\"app in (a, b)\"", "a:b:c", "provider"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        load_flag("-join", good[i]);
        assert_true(agent_config_check(&config, &error));
        agent_config_fini(&config);
    }
    assert_check_fails("-join", "provider=aws",
                       "Invalid start_join: provider=aws: there is no provider \"aws\": the only");
    assert_check_fails(
        "-retry-join", "provider=k8s zone=a",
        "Invalid retry_join: provider=k8s zone=a: unknown key \"zone\": provider=k8s");
    assert_check_fails("-retry-join", "srv+", "Invalid retry_join: srv+: srv+ is followed by");
    char *many[JOIN_ADDRESSES_MAX + 3] = {"agent"};
    for (int i = 0; i <= JOIN_ADDRESSES_MAX; i++)
        many[i + 1] = "-retry-join=10.0.0.1";
    load(JOIN_ADDRESSES_MAX + 1, many);
    assert_true(agent_config_check(&config, &error));
    agent_config_fini(&config);
    load(JOIN_ADDRESSES_MAX + 2, many);
    assert_false(agent_config_check(&config, &error));
    assert_string_equal(buffer_text(&error),
                        "Invalid retry_join: it has 1025 addresses, of 1024 at "
                        "most; a name may stand for many");
    agent_config_fini(&config);
}

static void an_address_for_http_has_the_form_of_one(void **state)
{
    (void)state;
    static const char *const good[] = {":7374",   "127.0.0.1",   "[::1]:80",
                                       "fd00::1", "localhost:0", NULL};
    assert_check_accepts("-http-addr", good);
    assert_check_fails("-http-addr", "127.0.0.1:x",
                       "Invalid http_addr: address 127.0.0.1:x: unknown port");
    assert_check_fails("-http-addr", "[::1", "Invalid http_addr: address [::1: missing ']'");
}

static void who_encrypts_nothing_may_not_demand_it(void **state)
{
    (void)state;
    char *argv[] = {"agent",
                    "-encrypt",
                    "AAAAAAAAAAAAAAAAAAAAAA==",
                    "-encrypt-verify-outgoing=false",
                    "-encrypt-verify-incoming=false",
                    NULL};
    load(4, argv);
    assert_false(agent_config_check(&config, &error));
    assert_starts_with(buffer_text(&error), "Invalid encrypt_verify_outgoing: false while");
    agent_config_fini(&config);
    load(5, argv);
    assert_true(agent_config_check(&config, &error));
    agent_config_fini(&config);
}

static void an_interface_must_exist(void **state)
{
    (void)state;
    assert_check_fails("-iface", "nosuch0",
                       "Invalid network interface: route ip+net: no such network interface");
    assert_check_fails("-mdns-iface", "lo", "mDNS interface specified without enabling mDNS");
}

static void collect(void *context, const char *text)
{
    buffer_printf(context, "%s\n", text);
}

static void notices_warn_and_mend(void **state)
{
    (void)state;
    char *argv[] = {"agent",
                    "-role",
                    "web",
                    "-retry-interval",
                    "10ms",
                    "-broadcast-timeout",
                    "-5s",
                    "-rejoin",
                    "-leave-timeout=-1s",
                    "-encrypt-verify-incoming=false",
                    NULL};
    struct buffer notices;
    buffer_init(&notices, 4096);
    load(ARGUMENT_COUNT(argv), argv);
    agent_config_notices(&config, collect, &notices);
    assert_string_equal(buffer_text(&notices),
                        "Deprecation warning: 'Role' has been replaced with 'Tags'\n"
                        "Warning: 'RetryInterval' is too low. Setting to 1s\n"
                        "Warning: 'BroadcastTimeout' is too low. Setting to 1s\n"
                        "Warning: 'LeaveTimeout' is too low. Setting to 1s\n"
                        "Warning: 'encrypt_verify_incoming' and 'encrypt_verify_outgoing' have no "
                        "effect without an encryption key\n"
                        "Warning: 'RejoinAfterLeave' enabled without snapshot file\n");
    assert_int_equal(config.retry_interval, 1000000000);
    assert_int_equal(config.broadcast_timeout, 1000000000);
    assert_int_equal(config.leave_timeout, 1000000000);
    agent_config_fini(&config);
    buffer_fini(&notices);
}

static void a_plain_configuration_has_no_notices(void **state)
{
    (void)state;
    char *argv[] = {"agent", NULL};
    struct buffer notices;
    buffer_init(&notices, 4096);
    load(1, argv);
    agent_config_notices(&config, collect, &notices);
    assert_int_equal(notices.size, 0);
    agent_config_fini(&config);
    buffer_fini(&notices);
}

static void log_level_facility_profile_and_key_are_checked(void **state)
{
    (void)state;
    char *argv[] = {"agent",    "-log-level", "bogus",   "-profile", "LAN",
                    "-encrypt", "abcd!",      "-syslog", NULL};
    enum log_level level;
    load(ARGUMENT_COUNT(argv), argv);
    assert_false(agent_config_log_level(&config, &level, &error));
    assert_string_equal(buffer_text(&error), "Invalid log level: BOGUS. Valid log levels are: "
                                             "[TRACE DEBUG INFO WARN ERR]");
    buffer_reset(&error);
    assert_null(agent_config_profile(&config, &error));
    assert_starts_with(buffer_text(&error), "Unknown profile: LAN");
    buffer_reset(&error);
    assert_false(agent_config_check_key(&config, &error));
    assert_string_equal(
        buffer_text(&error),
        "Invalid encryption key: illegal base64 data at input byte 4; `serf keygen` "
        "prints a good one; from: flag -encrypt");
    assert_true(agent_config_check_syslog(&config, &error));
    free(config.syslog_facility);
    config.syslog_facility = strdup("bogus");
    buffer_reset(&error);
    assert_false(agent_config_check_syslog(&config, &error));
    assert_starts_with(buffer_text(&error), "Syslog setup failed: invalid syslog facility: BOGUS");
    agent_config_fini(&config);
}

static void the_protocol_has_a_range(void **state)
{
    (void)state;
    load_flag("-protocol", "6");
    assert_false(agent_config_check_limits(&config, &error));
    assert_string_equal(buffer_text(&error),
                        "Protocol version '6' too high. Must be in range: [2, 5]");
    agent_config_fini(&config);
    load_flag("-protocol", "1");
    assert_false(agent_config_check_limits(&config, &error));
    assert_string_equal(buffer_text(&error),
                        "Protocol version '1' too low. Must be in range: [2, 5]");
    agent_config_fini(&config);
    load_flag("-protocol", "-3");
    assert_true(agent_config_check_limits(&config, &error));
    agent_config_fini(&config);
}

static void queue_depths_have_a_range(void **state)
{
    (void)state;
    char *argv[] = {"agent", NULL};
    static const int64_t bad[] = {-1, 1048577};
    load(1, argv);
    for (int i = 0; i < 2; i++) {
        buffer_reset(&error);
        config.max_queue_depth = bad[i];
        assert_false(agent_config_check_limits(&config, &error));
        assert_starts_with(buffer_text(&error), "max_queue_depth is ");
        config.max_queue_depth = 1;
        config.queue_depth_warning = bad[i];
        assert_false(agent_config_check_limits(&config, &error));
        config.queue_depth_warning = 1048576;
        assert_true(agent_config_check_limits(&config, &error));
    }
    agent_config_fini(&config);
}

/* --- addresses --- */

static void assert_split(const char *text, const char *host, int port)
{
    struct buffer found;
    uint16_t found_port;
    buffer_init(&found, 256);
    buffer_reset(&error);
    if (!address_split(text, &found, &found_port, &error))
        fail_msg("%s: %s", text, buffer_text(&error));
    assert_string_equal(buffer_text(&found), host);
    assert_int_equal(found_port, port);
    buffer_fini(&found);
}

static void assert_no_split(const char *text, const char *reason)
{
    struct buffer found;
    uint16_t found_port;
    buffer_init(&found, 256);
    buffer_reset(&error);
    assert_false(address_split(text, &found, &found_port, &error));
    assert_starts_with(buffer_text(&error), reason);
    buffer_fini(&found);
}

static void addresses_have_the_forms_of_the_reference(void **state)
{
    (void)state;
    assert_split("10.0.0.1", "10.0.0.1", 7946);
    assert_split("10.0.0.1:1", "10.0.0.1", 1);
    assert_split("10.0.0.1:", "10.0.0.1", 0);
    assert_split("[::1]", "::1", 7946);
    assert_split("[::1]:80", "::1", 80);
    assert_split("host.example:80", "host.example", 80);
    assert_split(":80", "", 80);
    assert_split("::1", "::1", 7946);
    assert_split("fd00::1", "fd00::1", 7946);
    assert_no_split("::1:7946", "address ::1:7946: too many colons in address");
    assert_no_split("[::1", "address [::1: missing ']' in address");
    assert_no_split("1.2.3.4:99999", "address 1.2.3.4:99999: invalid port");
    assert_no_split("1.2.3.4:http", "address 1.2.3.4:http: unknown port");
    assert_no_split("[::1]80", "address [::1]80: expected a port");
}

static struct agent_addresses found;

static bool find(int argc, char **argv)
{
    load(argc, argv);
    bool good = agent_addresses_find(&found, &config, &error);
    agent_config_fini(&config);
    return good;
}

static void an_interface_alone_chooses_the_address(void **state)
{
    (void)state;
    char *argv[] = {"agent", "-iface", "lo", "-bind", "0.0.0.0:99", NULL};
    char text[ENDPOINT_TEXT_SIZE];
    assert_true(find(5, argv));
    assert_string_equal(endpoint_text(&found.bind, text), "127.0.0.1:99");
    assert_true(found.chose_interface);
}

static void an_interface_beside_an_address_must_have_it(void **state)
{
    (void)state;
    char *good[] = {"agent", "-iface", "lo", "-bind", "127.0.0.1", NULL};
    char *bad[] = {"agent", "-iface", "lo", "-bind", "192.0.2.1", NULL};
    assert_true(find(5, good));
    assert_false(found.chose_interface);
    assert_false(find(5, bad));
    assert_string_equal(buffer_text(&error), "Interface 'lo' has no '192.0.2.1' address");
}

static void ipv6_addresses_are_taken_bare_or_in_brackets(void **state)
{
    (void)state;
    const struct {
        char *text;
        const char *endpoint;
    } cases[] = {
        {"fd00::1", "[fd00::1]:7946"},
        {"[fd00::1]", "[fd00::1]:7946"},
        {"[fd00::1]:80", "[fd00::1]:80"},
        {"::ffff:10.0.0.1", "10.0.0.1:7946"},
        {"1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:7946"},
    };
    char text[ENDPOINT_TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *argv[] = {"agent", "-bind", cases[i].text, "-advertise", cases[i].text, NULL};
        assert_true(find(5, argv));
        assert_string_equal(endpoint_text(&found.bind, text), cases[i].endpoint);
        assert_string_equal(endpoint_text(&found.advertise, text), cases[i].endpoint);
    }
}

static void bind_and_advertise_are_named_in_their_errors(void **state)
{
    (void)state;
    char *bind[] = {"agent", "-bind", "::1:7946", NULL};
    char *advertise[] = {"agent", "-advertise", "::1:7946", NULL};
    char *any[] = {"agent", "-advertise", "0.0.0.0", NULL};
    char *good[] = {"agent", "-bind", ":5", "-advertise", "192.0.2.1:9", NULL};
    assert_false(find(3, bind));
    assert_starts_with(buffer_text(&error),
                       "Invalid bind address: address ::1:7946: too many colons");
    assert_false(find(3, advertise));
    assert_starts_with(buffer_text(&error), "Invalid advertise address: ");
    assert_false(find(3, any));
    assert_starts_with(buffer_text(&error), "Invalid advertise address: 0.0.0.0");
    assert_true(find(5, good));
    assert_int_equal(found.bind.address_size, 0);
    assert_int_equal(found.bind.port, 5);
    assert_int_equal(found.advertise.port, 9);
}

/* --- keys and tags --- */

static void base64_tells_where_it_is_wrong(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int offset; /* -1: good */
    } cases[] = {{"", -1},    {"aGk=", -1},    {"aGVsbG8=\n", -1}, {"aGVs\nbG8=", -1},
                 {"abc", 0},  {"abcd!", 4},    {"ab=c", 3},        {"abcde", 4},
                 {"=abc", 0}, {"aGk=aGk=", 4}, {"ab*d", 2},        {"a===", 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer out;
        size_t offset;
        buffer_init(&out, 64);
        bool good = base64_decode(span_text(cases[i].text), &out, &offset);
        assert_int_equal(good ? -1 : (int)offset, cases[i].offset);
        buffer_fini(&out);
    }
    struct buffer out;
    size_t offset;
    buffer_init(&out, 64);
    assert_true(base64_decode(span_text("aGVsbG8="), &out, &offset));
    assert_string_equal(buffer_text(&out), "hello");
    buffer_fini(&out);
}

static void sizes_are_numbers_of_bytes_with_a_limit(void **state)
{
    (void)state;
    load_flag("-protocol", "5");
    config.user_event_size_limit = 9217;
    assert_false(agent_config_check_limits(&config, &error));
    assert_string_equal(buffer_text(&error), "user event size limit exceeds limit of 9216 bytes");
    config.user_event_size_limit = 9216;
    assert_true(agent_config_check_limits(&config, &error));
    config.query_size_limit = -1;
    buffer_reset(&error);
    assert_false(agent_config_check_limits(&config, &error));
    assert_starts_with(buffer_text(&error), "query_size_limit is -1, ");
    config.query_size_limit = 0;
    config.query_response_size_limit = INT64_C(1) << 40;
    buffer_reset(&error);
    assert_false(agent_config_check_limits(&config, &error));
    assert_starts_with(buffer_text(&error), "query_response_size_limit is 1099511627776, ");
    agent_config_fini(&config);
}

static void assert_keyring(const char *contents, size_t keys, const char *reason)
{
    struct keyring *keyring = keyring_new();
    buffer_reset(&error);
    bool good = keyring_file_load(write_test_file("keys", contents), keyring, &error);
    if (reason)
        assert_starts_with(buffer_text(&error), reason);
    assert_int_equal(good, reason == NULL);
    if (good)
        assert_int_equal(keyring_count(keyring), keys);
    keyring_free(keyring);
}

static void a_keyring_file_is_replaced_in_the_references_form_and_private(void **state)
{
    (void)state;
    static const uint8_t first[16] = {1}, second[16];
    const char *path = write_test_file("keys", "[]");
    assert_int_equal(chmod(path, 0644), 0);
    struct keyring *keyring = keyring_new();
    keyring_add(keyring, span_make(first, 16));
    keyring_add(keyring, span_make(second, 16));
    assert_true(keyring_file_save(path, keyring, &error));
    struct buffer text;
    struct stat status;
    buffer_init(&text, 4096);
    assert_true(file_read(path, &text, &error));
    assert_string_equal(buffer_text(&text), "[\n  \"AQAAAAAAAAAAAAAAAAAAAA==\",\n"
                                            "  \"AAAAAAAAAAAAAAAAAAAAAA==\"\n]");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_false(keyring_file_save("/nonexistent/keys", keyring, &error));
    assert_string_equal(buffer_text(&error), "Failed to write keyring file: open "
                                             "/nonexistent/keys: no such file or directory");
    buffer_fini(&text);
    keyring_free(keyring);
}

static void a_keyring_file_is_taken_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_keyring("[\"AAAAAAAAAAAAAAAAAAAAAA==\", \"AQAAAAAAAAAAAAAAAAAAAA==\"]", 2, NULL);
    assert_keyring("[\"AAAAAAAAAAAAAAAAAAAAAA==\", \"AAAAAAAAAAAAAAAAAAAAAA==\"]", 1, NULL);
    assert_keyring("[]", 0, "Keyring file contains no keys");
    assert_keyring("null", 0, "Keyring file contains no keys");
    assert_keyring("", 0, "Failed to decode keyring file: unexpected end of JSON input");
    assert_keyring("{}", 0, "Failed to decode keyring file: ");
    assert_keyring("[1]", 0, "Failed to decode keyring file: ");
    assert_keyring("[\"!\"]", 0,
                   "Failed to decode key from keyring: illegal base64 data at input byte 0");
    assert_keyring("[\"aGk=\"]", 0,
                   "Failed to restore keyring: key size must be 16, 24 or 32 bytes");
    struct keyring *keyring = keyring_new();
    buffer_reset(&error);
    assert_false(keyring_file_load("/nonexistent/keys", keyring, &error));
    assert_string_equal(buffer_text(&error), "stat /nonexistent/keys: no such file or directory");
    keyring_free(keyring);
}

/* Loads the copy (which is not there when `copy` is NULL) of a mounted list. */
static struct keyring *renew(const char *source, const char *copy, const char **path)
{
    static char copied[4096];
    snprintf(copied, sizeof copied, "%s", write_test_file("copy", copy ? copy : ""));
    if (!copy)
        unlink(copied);
    *path = copied;
    struct keyring *keyring = keyring_new();
    buffer_reset(&error);
    bool good = keyring_file_renew(copied, write_test_file("source", source), keyring, &error);
    if (good)
        return keyring;
    keyring_free(keyring);
    return NULL;
}

static void a_keyring_s_source_comes_first_and_the_file_keeps_what_it_has_beside(void **state)
{
    (void)state;
    static const char one[] = "[\"AQAAAAAAAAAAAAAAAAAAAA==\"]";
    static const char two[] = "[\"AgAAAAAAAAAAAAAAAAAAAA==\", \"AQAAAAAAAAAAAAAAAAAAAA==\"]";
    const char *path;
    struct keyring *keyring = renew(one, NULL, &path);
    assert_int_equal(keyring_count(keyring), 1);
    keyring_free(keyring);
    keyring = renew(one, two, &path);
    assert_int_equal(keyring_count(keyring), 2);
    assert_int_equal(keyring_key(keyring, 0).data[0], 1);
    keyring_free(keyring);
    keyring = keyring_new();
    assert_true(keyring_file_load(path, keyring, &error));
    assert_int_equal(keyring_count(keyring), 2);
    assert_int_equal(keyring_key(keyring, 0).data[0], 1);
    keyring_free(keyring);
    assert_null(renew("[]", one, &path));
    assert_null(renew(one, "[", &path));
    keyring = keyring_new();
    assert_false(
        keyring_file_renew("/nonexistent/keys", write_test_file("source", one), keyring, &error));
    keyring_free(keyring);
}

static void a_keyring_source_needs_a_file_for_its_copy(void **state)
{
    (void)state;
    agent_config_init(&config);
    config.keyring_source = strdup("/secret/keys");
    buffer_reset(&error);
    assert_false(agent_config_check(&config, &error));
    assert_starts_with(buffer_text(&error), "Invalid keyring_source: ");
    config.keyring_file = strdup("/keyring/keys");
    assert_true(agent_config_check(&config, &error));
    agent_config_fini(&config);
}

static void a_tags_file_is_written_sorted_escaped_and_private(void **state)
{
    (void)state;
    struct text_map tags = {0};
    char path[128], text[256] = "";
    text_map_set(&tags, span_text("z"), span_text("<a&b>\"\\\n\x01"));
    text_map_set(&tags, span_text("a"), span_text("\xc3\xa9\xff\xe2\x80\xa8"));
    snprintf(path, sizeof(path), "%s/tags", test_directory);
    assert_true(tags_file_write(path, &tags, &error));
    FILE *file = fopen(path, "r");
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "{\n  \"a\": \"\xc3\xa9\\ufffd\\u2028\",\n"
                              "  \"z\": \"\\u003ca\\u0026b\\u003e\\\"\\\\\\n\\u0001\"\n}");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    text_map_fini(&tags);

    bool found_file;
    assert_true(tags_file_load(path, &tags, &found_file, &error));
    assert_true(found_file);
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.pairs[1].value, "<a&b>\"\\\n\x01");
    text_map_fini(&tags);
}

static void a_missing_tags_file_is_fine_and_a_bad_one_is_not(void **state)
{
    (void)state;
    struct text_map tags = {0};
    bool found_file;
    assert_true(tags_file_load("/nonexistent/tags", &tags, &found_file, &error));
    assert_false(found_file);
    assert_true(tags_file_load(write_test_file("null", "null"), &tags, &found_file, &error));
    assert_true(found_file);
    assert_false(tags_file_load(write_test_file("bad", "{\"a\": 1}"), &tags, &found_file, &error));
    assert_starts_with(buffer_text(&error), "Failed to decode tags file: ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(event_filters_are_checked),
        TEST(handler_settings_have_a_range),
        TEST(labels_and_their_modes_are_checked),
        TEST(join_addresses_with_words_of_their_own_are_checked),
        TEST(an_address_for_http_has_the_form_of_one),
        TEST(who_encrypts_nothing_may_not_demand_it),
        TEST(an_interface_must_exist),
        TEST(notices_warn_and_mend),
        TEST(a_plain_configuration_has_no_notices),
        TEST(log_level_facility_profile_and_key_are_checked),
        TEST(queue_depths_have_a_range),
        TEST(the_protocol_has_a_range),
        TEST(addresses_have_the_forms_of_the_reference),
        TEST(an_interface_alone_chooses_the_address),
        TEST(an_interface_beside_an_address_must_have_it),
        TEST(ipv6_addresses_are_taken_bare_or_in_brackets),
        TEST(bind_and_advertise_are_named_in_their_errors),
        TEST(base64_tells_where_it_is_wrong),
        TEST(sizes_are_numbers_of_bytes_with_a_limit),
        TEST(a_keyring_file_is_replaced_in_the_references_form_and_private),
        TEST(a_keyring_file_is_taken_whole_or_not_at_all),
        TEST(a_keyring_s_source_comes_first_and_the_file_keeps_what_it_has_beside),
        TEST(a_keyring_source_needs_a_file_for_its_copy),
        TEST(a_tags_file_is_written_sorted_escaped_and_private),
        TEST(a_missing_tags_file_is_fine_and_a_bad_one_is_not),
    };
    return cmocka_run_group_tests_name("agent checks", tests, NULL, NULL);
}
