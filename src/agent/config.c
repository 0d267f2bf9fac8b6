/* The table of keys is the configuration's one description. A reader who looks for a key starts
 * here and finds its flag, its type and its fate on a reload; the flag parser's table is made from
 * it, and config_file.c decodes by it, so that a new key is one new line. */
#include "config.h"

#include "config_environment.h"
#include "duration.h"
#include "flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* clang-format off */
#define KEY(name, flag, type, member, reload) \
    {name, flag, type, offsetof(struct agent_config, member), reload, false, false}
#define KEY_SECRET(name, flag, type, member) \
    {name, flag, type, offsetof(struct agent_config, member), RELOAD_RESTART, false, true}

const struct config_key config_keys[] = {
    KEY("node_name", "node", CONFIG_STRING, node_name, RELOAD_RESTART),
    KEY("bind", "bind", CONFIG_STRING, bind, RELOAD_RESTART),
    KEY("interface", "iface", CONFIG_STRING, interface, RELOAD_RESTART),
    KEY("advertise", "advertise", CONFIG_STRING, advertise, RELOAD_RESTART),
    KEY("discover", "discover", CONFIG_STRING, discover, RELOAD_RESTART),
    KEY("mdns", NULL, CONFIG_SECTION, mdns_interface, RELOAD_SILENT),
    KEY("mdns.interface", "mdns-iface", CONFIG_STRING, mdns_interface, RELOAD_RESTART),
    KEY("mdns.disable_ipv4", "mdns-disable-ipv4", CONFIG_BOOL, mdns_disable_ipv4, RELOAD_RESTART),
    KEY("mdns.disable_ipv6", "mdns-disable-ipv6", CONFIG_BOOL, mdns_disable_ipv6, RELOAD_RESTART),
    KEY_SECRET("encrypt_key", "encrypt", CONFIG_STRING, encrypt_key),
    KEY("keyring_file", "keyring-file", CONFIG_STRING, keyring_file, RELOAD_RESTART),
    KEY("keyring_source", NULL, CONFIG_STRING, keyring_source, RELOAD_RESTART),
    KEY("encrypt_verify_incoming", "encrypt-verify-incoming", CONFIG_BOOL, encrypt_verify_incoming,
        RELOAD_RESTART),
    KEY("encrypt_verify_outgoing", "encrypt-verify-outgoing", CONFIG_BOOL, encrypt_verify_outgoing,
        RELOAD_RESTART),
    KEY("label", "label", CONFIG_STRING, label, RELOAD_RESTART),
    KEY("label_mode", "label-mode", CONFIG_STRING, label_mode, RELOAD_RESTART),
    KEY("event_handlers", "event-handler", CONFIG_LIST, event_handlers, RELOAD_APPLIES),
    KEY("handler_concurrency", "handler-concurrency", CONFIG_INTEGER, handler_concurrency,
        RELOAD_APPLIES),
    KEY("handler_timeout", "handler-timeout", CONFIG_DURATION, handler_timeout, RELOAD_APPLIES),
    KEY("start_join", "join", CONFIG_LIST, start_join, RELOAD_RESTART),
    KEY("replay_on_join", "replay", CONFIG_BOOL, replay_on_join, RELOAD_RESTART),
    KEY("retry_join", "retry-join", CONFIG_LIST, retry_join, RELOAD_APPLIES),
    KEY("retry_interval", "retry-interval", CONFIG_DURATION, retry_interval, RELOAD_APPLIES),
    KEY("retry_max_attempts", "retry-max", CONFIG_INTEGER, retry_max_attempts, RELOAD_APPLIES),
    KEY("retry_watch", "retry-watch", CONFIG_BOOL, retry_watch, RELOAD_APPLIES),
    KEY("rejoin_after_leave", "rejoin", CONFIG_BOOL, rejoin_after_leave, RELOAD_RESTART),
    KEY("snapshot_path", "snapshot", CONFIG_STRING, snapshot_path, RELOAD_RESTART),
    KEY("log_level", "log-level", CONFIG_STRING, log_level, RELOAD_APPLIES),
    KEY("log_format", "log-format", CONFIG_STRING, log_format, RELOAD_RESTART),
    KEY("enable_syslog", "syslog", CONFIG_BOOL, enable_syslog, RELOAD_RESTART),
    KEY("syslog_facility", NULL, CONFIG_STRING, syslog_facility, RELOAD_RESTART),
    KEY("profile", "profile", CONFIG_STRING, profile, RELOAD_RESTART),
    KEY("protocol", "protocol", CONFIG_INTEGER, protocol, RELOAD_RESTART),
    KEY("role", "role", CONFIG_STRING, role, RELOAD_APPLIES),
    KEY("tags", "tag", CONFIG_MAP, tags, RELOAD_APPLIES),
    KEY("tags_file", "tags-file", CONFIG_STRING, tags_file, RELOAD_RESTART),
    KEY("rpc_addr", "rpc-addr", CONFIG_STRING, rpc_addr, RELOAD_RESTART),
    KEY_SECRET("rpc_auth", NULL, CONFIG_STRING, rpc_auth),
    {"enable_compression", "disable-compression", CONFIG_BOOL,
     offsetof(struct agent_config, enable_compression), RELOAD_RESTART, true, false},
    KEY("broadcast_timeout", "broadcast-timeout", CONFIG_DURATION, broadcast_timeout,
        RELOAD_RESTART),
    KEY("leave_timeout", "leave-timeout", CONFIG_DURATION, leave_timeout, RELOAD_RESTART),
    KEY("leave_on_terminate", NULL, CONFIG_BOOL, leave_on_terminate, RELOAD_APPLIES),
    KEY("skip_leave_on_interrupt", NULL, CONFIG_BOOL, skip_leave_on_interrupt, RELOAD_APPLIES),
    KEY("reconnect_interval", NULL, CONFIG_DURATION, reconnect_interval, RELOAD_RESTART),
    KEY("reconnect_timeout", NULL, CONFIG_DURATION, reconnect_timeout, RELOAD_RESTART),
    KEY("tombstone_timeout", NULL, CONFIG_DURATION, tombstone_timeout, RELOAD_RESTART),
    KEY("reconnect_timeout_tag", NULL, CONFIG_STRING, reconnect_timeout_tag, RELOAD_RESTART),
    KEY("disable_name_resolution", NULL, CONFIG_BOOL, disable_name_resolution, RELOAD_RESTART),
    KEY("query_size_limit", NULL, CONFIG_INTEGER, query_size_limit, RELOAD_RESTART),
    KEY("query_response_size_limit", NULL, CONFIG_INTEGER, query_response_size_limit,
        RELOAD_RESTART),
    KEY("user_event_size_limit", NULL, CONFIG_INTEGER, user_event_size_limit, RELOAD_RESTART),
    KEY("queue_depth_warning", NULL, CONFIG_INTEGER, queue_depth_warning, RELOAD_RESTART),
    KEY("max_queue_depth", NULL, CONFIG_INTEGER, max_queue_depth, RELOAD_RESTART),
    KEY("min_queue_depth", NULL, CONFIG_INTEGER, min_queue_depth, RELOAD_RESTART),
    KEY("statsite_addr", NULL, CONFIG_STRING, statsite_addr, RELOAD_RESTART),
    KEY("statsd_addr", NULL, CONFIG_STRING, statsd_addr, RELOAD_RESTART),
    KEY("http_addr", "http-addr", CONFIG_STRING, http_addr, RELOAD_RESTART),
    KEY("metrics_per_peer", "metrics-per-peer", CONFIG_BOOL, metrics_per_peer, RELOAD_APPLIES),
    KEY("disable_coordinates", NULL, CONFIG_BOOL, disable_coordinates, RELOAD_RESTART),
    KEY("validate_node_names", NULL, CONFIG_BOOL, validate_node_names, RELOAD_RESTART),
    KEY("MsgpackUseNewTimeFormat", NULL, CONFIG_BOOL, msgpack_use_new_time_format, RELOAD_SILENT),
};

enum { CONFIG_KEY_COUNT = sizeof(config_keys) / sizeof(config_keys[0]) };
const size_t config_key_count = CONFIG_KEY_COUNT;

const char agent_help[] =
    "Usage: serf agent [options]\n"
    "\n"
    "  Starts the Serf agent and runs until an interrupt is received. The agent\n"
    "  represents a single member in a cluster.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -bind=0.0.0.0:7946        Address to bind the network listeners to: IP, IP:port,\n"
    "                            [IPv6]:port or a host name. Port 0 lets the system choose.\n"
    "  -iface=eth0               Network interface to bind to; its first address is used.\n"
    "  -advertise=IP[:port]      Address that the other members are told to use.\n"
    "  -config-file=FILE         JSON file, or directory of .json files, to read; repeatable.\n"
    "  -config-dir=DIR           The same as -config-file.\n"
    "  -check-config             Print the configuration and where each value comes from,\n"
    "                            say whether it is good, and start nothing.\n"
    "  -disable-compression      Do not compress gossip messages; they are by default.\n"
    "  -discover=CLUSTER         Discover members with mDNS under this cluster name.\n"
    "  -mdns-iface=eth0          Interface for mDNS.\n"
    "  -mdns-disable-ipv4        No mDNS over IPv4.\n"
    "  -mdns-disable-ipv6        No mDNS over IPv6.\n"
    "  -encrypt=KEY              Base64 key of 16, 24 or 32 bytes that encrypts the gossip;\n"
    "                            `serf keygen` makes one.\n"
    "  -keyring-file=FILE        JSON list of base64 keys, the first one primary.\n"
    "  -encrypt-verify-incoming=true  With a key: refuse gossip that is not encrypted.\n"
    "  -encrypt-verify-outgoing=true  With a key: encrypt what is sent.\n"
    "  -label=LABEL              Label of the cluster: only members that have it can join;\n"
    "                            Serf itself knows no labels.\n"
    "  -label-mode=strict        strict; or, while a running cluster gets its label: accept\n"
    "                            (gossip with it or without, and send none), then send.\n"
    "  -event-handler=SPEC       Script to run when events occur, as in\n"
    "                            member-join,user:deploy=SCRIPT; repeatable.\n"
    "  -handler-concurrency=1    Event handlers that may run side by side.\n"
    "  -handler-timeout=DURATION Stop an event handler that runs longer; never by default.\n"
    "  -join=ADDRESS             Member to join at start; the agent exits when none of the\n"
    "                            addresses can be joined; repeatable.\n"
    "  -retry-join=ADDRESS       Member to join in the background, again and again until it\n"
    "                            works; repeatable. ADDRESS is HOST, HOST:PORT, srv+NAME for\n"
    "                            SRV records, or \"provider=k8s ...\" for pods in Kubernetes.\n"
    "  -retry-interval=30s       Longest time between attempts of -retry-join.\n"
    "  -retry-max=0              Give up, and exit, after this many more attempts; 0: never.\n"
    "  -retry-watch              Look for life, now and then, whether other members are behind\n"
    "                            the addresses of -retry-join; a label or a key has it so too.\n"
    "  -replay                   Ask for past user events when joining.\n"
    "  -log-level=info           trace, debug, info, warn or err.\n"
    "  -log-format=text          text, or json for one JSON object a line.\n"
    "  -node=HOSTNAME            Name of this member, unique in the cluster.\n"
    "  -profile=lan              Timing profile: lan, wan or local.\n"
    "  -protocol=5               Serf protocol version to speak, 2 to 5.\n"
    "  -rejoin                   Rejoin after a leave; needs -snapshot.\n"
    "  -role=ROLE                Deprecated: the tag \"role\".\n"
    "  -rpc-addr=127.0.0.1:7373  Address to bind the RPC listener to, unix:/path for a Unix\n"
    "                            socket, or none.\n"
    "  -http-addr=HOST[:7374]    Address to serve health, metrics and members over HTTP at.\n"
    "  -metrics-per-peer         Tell of each other member on the page of metrics, too.\n"
    "  -snapshot=FILE            Snapshot file that remembers the members.\n"
    "  -tag key=value            Tag of this member; repeatable.\n"
    "  -tags-file=FILE           File that keeps tags changed at run time.\n"
    "  -syslog                   Log to the system log too.\n"
    "  -leave-timeout=15s        How long a graceful leave may take in all.\n"
    "  -broadcast-timeout=5s     How long a leave or a change of tags may take to be sent.\n"
    "\n"
    "Environment:\n"
    "\n"
    "  SERF_AGENT_KEY sets the key of a configuration file, as in SERF_AGENT_NODE_NAME;\n"
    "  it stands between files and flags. SERF_AGENT_ENCRYPT_KEY_FILE names a file that\n"
    "  holds the key, SERF_AGENT_TAG_ZONE=a sets the tag \"zone\".\n"
    "\n"
    "Signals:\n"
    "\n"
    "  INT leaves the cluster and stops. TERM stops at once, or leaves first with\n"
    "  \"leave_on_terminate\" in a file. HUP reads the configuration again.";
/* clang-format on */

/* --- texts --- */

static char *copy_span(struct span text)
{
    char *copy = malloc(text.size + 1);
    if (!copy)
        return NULL;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static bool replace_text(char **text, const char *value)
{
    char *copy = strdup(value);
    if (!copy)
        return false;
    free(*text);
    *text = copy;
    return true;
}

static bool list_append(struct text_list *list, const char *value)
{
    char **values = realloc(list->values, (list->count + 1) * sizeof(*values));
    if (!values)
        return false;
    list->values = values;
    values[list->count] = strdup(value);
    if (!values[list->count])
        return false;
    list->count++;
    return true;
}

static void list_fini(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->values[i]);
    free(list->values);
    *list = (struct text_list){NULL, 0};
}

static bool lists_equal(const struct text_list *a, const struct text_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->values[i], b->values[i]) != 0)
            return false;
    return true;
}

static bool map_find(const struct text_map *map, struct span key, size_t *position)
{
    for (*position = 0; *position < map->count; ++*position) {
        struct span present = span_text(map->pairs[*position].key);
        size_t shorter = present.size < key.size ? present.size : key.size;
        int order = shorter > 0 ? memcmp(present.data, key.data, shorter) : 0;
        if (order == 0 && present.size == key.size)
            return true;
        if (order > 0 || (order == 0 && present.size > key.size))
            return false;
    }
    return false;
}

bool text_map_set(struct text_map *map, struct span key, struct span value)
{
    size_t position;
    bool found = map_find(map, key, &position);
    char *value_copy = copy_span(value);
    if (!value_copy)
        return false;
    if (found) {
        free(map->pairs[position].value);
        map->pairs[position].value = value_copy;
        return true;
    }
    char *key_copy = copy_span(key);
    struct text_pair *pairs =
        key_copy ? realloc(map->pairs, (map->count + 1) * sizeof(*pairs)) : NULL;
    if (!pairs) {
        free(key_copy);
        free(value_copy);
        return false;
    }
    map->pairs = pairs;
    memmove(pairs + position + 1, pairs + position, (map->count - position) * sizeof(*pairs));
    pairs[position] = (struct text_pair){key_copy, value_copy};
    map->count++;
    return true;
}

void text_map_remove(struct text_map *map, struct span key)
{
    size_t position;
    if (!map_find(map, key, &position))
        return;
    free(map->pairs[position].key);
    free(map->pairs[position].value);
    map->count--;
    memmove(map->pairs + position, map->pairs + position + 1,
            (map->count - position) * sizeof(*map->pairs));
}

void text_map_fini(struct text_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        free(map->pairs[i].key);
        free(map->pairs[i].value);
    }
    free(map->pairs);
    *map = (struct text_map){NULL, 0};
}

bool text_map_copy(struct text_map *to, const struct text_map *from)
{
    *to = (struct text_map){NULL, 0};
    for (size_t i = 0; i < from->count; i++) {
        if (!text_map_set(to, span_text(from->pairs[i].key), span_text(from->pairs[i].value))) {
            text_map_fini(to);
            return false;
        }
    }
    return true;
}

static bool maps_equal(const struct text_map *a, const struct text_map *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->pairs[i].key, b->pairs[i].key) != 0 ||
            strcmp(a->pairs[i].value, b->pairs[i].value) != 0)
            return false;
    return true;
}

/* --- values by key --- */

static void *value_of(const struct agent_config *config, const struct config_key *key)
{
    return (char *)(uintptr_t)config + key->offset;
}

const void *agent_config_value(const struct config_key *key, const struct agent_config *config)
{
    return value_of(config, key);
}

/* Remembers that the value comes from the present origin; when memory is out, it does not. A list
 * and tags may come from several. */
static void note_source(struct agent_config *config, const struct config_key *key)
{
    if (!config->origin)
        return;
    if (!config->sources)
        config->sources = calloc(config_key_count, sizeof(*config->sources));
    if (!config->sources)
        return;
    struct text_list *sources = &config->sources[key - config_keys];
    if (sources->count > 0 && strcmp(sources->values[sources->count - 1], config->origin) == 0)
        return;
    if (key->type != CONFIG_LIST && key->type != CONFIG_MAP)
        list_fini(sources);
    list_append(sources, config->origin);
}

void agent_config_append_source(const struct config_key *key, const struct agent_config *config,
                                struct buffer *out)
{
    const struct text_list *sources = config->sources ? &config->sources[key - config_keys] : NULL;
    if (!sources || sources->count == 0)
        buffer_append_text(out, "default");
    for (size_t i = 0; sources && i < sources->count; i++)
        buffer_printf(out, "%s%s", i > 0 ? ", " : "", sources->values[i]);
}

bool config_set_string(struct agent_config *config, const struct config_key *key, const char *value)
{
    if (!*value)
        return true;
    note_source(config, key);
    return replace_text(value_of(config, key), value);
}

bool config_append(struct agent_config *config, const struct config_key *key, const char *value)
{
    note_source(config, key);
    return list_append(value_of(config, key), value);
}

bool config_set_pair(struct agent_config *config, const struct config_key *key, struct span name,
                     struct span value)
{
    note_source(config, key);
    return text_map_set(value_of(config, key), name, value);
}

void config_set_bool(struct agent_config *config, const struct config_key *key, bool value)
{
    note_source(config, key);
    *(bool *)value_of(config, key) = value;
}

void config_set_number(struct agent_config *config, const struct config_key *key, int64_t value)
{
    if (value == 0)
        return;
    note_source(config, key);
    *(int64_t *)value_of(config, key) = value;
}

bool agent_config_differs(const struct config_key *key, const struct agent_config *a,
                          const struct agent_config *b)
{
    const void *x = value_of(a, key), *y = value_of(b, key);
    switch (key->type) {
    case CONFIG_STRING:
        return strcmp(text_or_empty(*(char *const *)x), text_or_empty(*(char *const *)y)) != 0;
    case CONFIG_BOOL:
        return *(const bool *)x != *(const bool *)y;
    case CONFIG_INTEGER:
    case CONFIG_DURATION:
        return *(const int64_t *)x != *(const int64_t *)y;
    case CONFIG_LIST:
        return !lists_equal(x, y);
    case CONFIG_MAP:
        return !maps_equal(x, y);
    case CONFIG_SECTION:
        break;
    }
    return false;
}

void agent_config_init(struct agent_config *config)
{
    const int64_t second = INT64_C(1000000000);
    *config = (struct agent_config){
        .retry_interval = 30 * second,
        .handler_concurrency = 1,
        .enable_compression = true,
        .broadcast_timeout = 5 * second,
        .leave_timeout = 15 * second,
        .encrypt_verify_incoming = true,
        .encrypt_verify_outgoing = true,
        .reconnect_interval = 30 * second,
        .reconnect_timeout = 24 * 3600 * second,
        .tombstone_timeout = 24 * 3600 * second,
        .protocol = 5,
        .query_size_limit = 1024,
        .query_response_size_limit = 1024,
        .user_event_size_limit = 512,
        .queue_depth_warning = 128,
        .max_queue_depth = 4096,
    };
}

/* The defaults that are texts; false when memory is out. */
static bool set_default_texts(struct agent_config *config)
{
    return replace_text(&config->bind, "0.0.0.0") && replace_text(&config->log_level, "INFO") &&
           replace_text(&config->log_format, "text") &&
           replace_text(&config->syslog_facility, "LOCAL0") &&
           replace_text(&config->profile, "lan") &&
           replace_text(&config->rpc_addr, "127.0.0.1:7373");
}

static void free_value(struct agent_config *config, const struct config_key *key)
{
    void *value = value_of(config, key);
    if (key->type == CONFIG_STRING)
        free(*(char **)value);
    else if (key->type == CONFIG_LIST)
        list_fini(value);
    else if (key->type == CONFIG_MAP)
        text_map_fini(value);
}

static size_t value_size(enum config_type type)
{
    switch (type) {
    case CONFIG_STRING:
        return sizeof(char *);
    case CONFIG_BOOL:
        return sizeof(bool);
    case CONFIG_INTEGER:
    case CONFIG_DURATION:
        return sizeof(int64_t);
    case CONFIG_LIST:
        return sizeof(struct text_list);
    case CONFIG_MAP:
        return sizeof(struct text_map);
    case CONFIG_SECTION:
        break;
    }
    return 0;
}

bool config_reset(struct agent_config *config, const struct config_key *key)
{
    struct agent_config defaults;
    agent_config_init(&defaults);
    bool good = set_default_texts(&defaults);
    if (good) {
        free_value(config, key);
        memcpy(value_of(config, key), value_of(&defaults, key), value_size(key->type));
        memset(value_of(&defaults, key), 0, value_size(key->type));
        if (config->sources)
            list_fini(&config->sources[key - config_keys]);
        note_source(config, key);
    }
    agent_config_fini(&defaults);
    return good;
}

void agent_config_fini(struct agent_config *config)
{
    for (size_t i = 0; i < config_key_count; i++) {
        free_value(config, &config_keys[i]);
        if (config->sources)
            list_fini(&config->sources[i]);
    }
    free(config->sources);
    memset(config, 0, sizeof(*config));
}

/* --- flags --- */

struct flag_value {
    bool given;
    bool boolean;
    int64_t number;
    const char *text;
    struct flag_list list;
};

struct agent_flags {
    struct flag_value values[CONFIG_KEY_COUNT];
    struct flag_list files; /* -config-file and -config-dir in their common order */
    bool check_only;
};

static struct flag flag_of(const struct config_key *key, struct flag_value *value)
{
    struct flag flag = {.name = key->flag, .given = &value->given};
    switch (key->type) {
    case CONFIG_BOOL:
        flag.type = FLAG_BOOL;
        flag.value = &value->boolean;
        break;
    case CONFIG_INTEGER:
        flag.type = FLAG_INTEGER;
        flag.value = &value->number;
        break;
    case CONFIG_LIST:
    case CONFIG_MAP:
        flag.type = FLAG_LIST;
        flag.value = &value->list;
        break;
    case CONFIG_STRING:
    case CONFIG_DURATION: /* checked after the tags, with an error of its own */
    case CONFIG_SECTION:
        flag.type = FLAG_STRING;
        flag.value = &value->text;
        break;
    }
    return flag;
}

static bool parse_flags(struct agent_flags *given, int argc, char **argv, struct buffer *error)
{
    struct flag flags[CONFIG_KEY_COUNT + 3];
    size_t count = 0;
    for (size_t i = 0; i < config_key_count; i++)
        if (config_keys[i].flag)
            flags[count++] = flag_of(&config_keys[i], &given->values[i]);
    flags[count++] = (struct flag){"config-file", FLAG_LIST, &given->files, NULL};
    flags[count++] = (struct flag){"config-dir", FLAG_LIST, &given->files, NULL};
    flags[count++] = (struct flag){"check-config", FLAG_BOOL, &given->check_only, NULL};
    return flags_parse(flags, count, argc, argv, error) >= 0;
}

static void agent_flags_fini(struct agent_flags *given)
{
    for (size_t i = 0; i < config_key_count; i++)
        flag_list_fini(&given->values[i].list);
    flag_list_fini(&given->files);
}

void config_duration_error(struct buffer *error, const char *text)
{
    const char *number = text + (*text == '-' || *text == '+');
    bool bare = *number && strspn(number, "0123456789.") == strlen(number);
    buffer_printf(error,
                  "time: %s duration \"%s\"; write a number and a unit, such as 30s or 1m30s",
                  bare ? "missing unit in" : "invalid", text);
}

/* The text for a flag's value, or NULL when it is good. */
static bool check_flag(const struct config_key *key, const struct flag_value *value,
                       struct buffer *error)
{
    if (key->type == CONFIG_MAP) {
        for (size_t i = 0; i < value->list.count; i++) {
            const char *equals = strchr(value->list.values[i], '=');
            if (!equals || equals == value->list.values[i]) {
                buffer_printf(error, "Error: Invalid tag: '%s'; write it as -%s key=value",
                              value->list.values[i], key->flag);
                return false;
            }
        }
    } else if (key->type == CONFIG_DURATION && value->text && *value->text) {
        int64_t duration;
        if (!duration_parse(value->text, &duration)) {
            buffer_append_text(error, "Error: ");
            config_duration_error(error, value->text);
            buffer_printf(error, " (flag -%s)", key->flag);
            return false;
        }
    }
    return true;
}

static bool check_flags(const struct agent_flags *given, struct buffer *error)
{
    static const enum config_type order[] = {CONFIG_MAP, CONFIG_DURATION};
    for (size_t step = 0; step < sizeof(order) / sizeof(order[0]); step++)
        for (size_t i = 0; i < config_key_count; i++)
            if (config_keys[i].type == order[step] && config_keys[i].flag &&
                !check_flag(&config_keys[i], &given->values[i], error))
                return false;
    return true;
}

static bool apply_flag(struct agent_config *config, const struct config_key *key,
                       const struct flag_value *value)
{
    int64_t duration = 0;
    switch (key->type) {
    case CONFIG_STRING:
        return config_set_string(config, key, text_or_empty(value->text));
    case CONFIG_BOOL:
        config_set_bool(config, key, value->boolean != key->flag_is_opposite);
        break;
    case CONFIG_INTEGER:
        config_set_number(config, key, value->number);
        break;
    case CONFIG_DURATION:
        if (duration_parse(text_or_empty(value->text), &duration))
            config_set_number(config, key, duration);
        break;
    case CONFIG_LIST:
        for (size_t i = 0; i < value->list.count; i++)
            if (!config_append(config, key, value->list.values[i]))
                return false;
        break;
    case CONFIG_MAP:
        for (size_t i = 0; i < value->list.count; i++) {
            const char *text = value->list.values[i], *equals = strchr(text, '=');
            if (!config_set_pair(config, key, span_make(text, (size_t)(equals - text)),
                                 span_text(equals + 1)))
                return false;
        }
        break;
    case CONFIG_SECTION:
        break;
    }
    return true;
}

static bool apply_flags(struct agent_config *config, const struct agent_flags *given)
{
    bool applied = true;
    for (size_t i = 0; applied && i < config_key_count; i++) {
        char origin[64];
        if (!config_keys[i].flag || !given->values[i].given)
            continue;
        snprintf(origin, sizeof(origin), "flag -%s", config_keys[i].flag);
        config->origin = origin;
        applied = apply_flag(config, &config_keys[i], &given->values[i]);
    }
    config->origin = NULL;
    config->check_only = given->check_only;
    return applied;
}

static const struct config_key *key_named(const char *name)
{
    size_t i = 0;
    while (strcmp(config_keys[i].name, name) != 0)
        i++;
    return &config_keys[i];
}

static bool add_role_tag(struct agent_config *config)
{
    config->origin = "role";
    bool added =
        config_set_pair(config, key_named("tags"), span_text("role"), span_text(config->role));
    config->origin = NULL;
    return added;
}

/* A protocol of 0 or less means "unset", and a role is a tag that beats tags.role. */
static bool finish(struct agent_config *config, struct buffer *error)
{
    if (config->protocol <= 0)
        config->protocol = 5;
    if (config->role && !add_role_tag(config))
        return false;
    if (config->node_name)
        return true;
    char name[256] = "";
    if (gethostname(name, sizeof(name) - 1) != 0 || !name[0]) {
        buffer_append_text(error, "Error determining the host name; name this node with -node");
        return false;
    }
    config->origin = "host name";
    bool set = config_set_string(config, key_named("node_name"), name);
    config->origin = NULL;
    return set;
}

static bool help_wanted(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "-help") == 0 ||
            strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

static bool load(struct agent_config *config, const struct agent_flags *given, struct buffer *error)
{
    if (!check_flags(given, error) || !set_default_texts(config))
        return false;
    for (size_t i = 0; i < given->files.count; i++)
        if (!agent_config_read_path(config, given->files.values[i], error))
            return false;
    return agent_config_read_environment(config, environ, error) && apply_flags(config, given) &&
           finish(config, error);
}

enum config_status agent_config_load(struct agent_config *config, int argc, char **argv,
                                     struct buffer *error)
{
    if (help_wanted(argc, argv))
        return CONFIG_HELP;
    struct agent_flags given = {0};
    enum config_status status = CONFIG_USAGE;
    if (parse_flags(&given, argc, argv, error)) {
        agent_config_init(config);
        status = load(config, &given, error) ? CONFIG_OK : CONFIG_FAILED;
        if (status != CONFIG_OK) {
            agent_config_fini(config);
            if (error->size == 0)
                buffer_append_text(error, "Error: out of memory while reading the configuration");
        }
    }
    agent_flags_fini(&given);
    return status;
}
