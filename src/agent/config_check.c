/* The order of the checks is the reference's, since people fix one message at a time and scripts
 * look for the first. Where its message names a mistake but no way out, one is added behind it. */
#include "config_check.h"

#include "agent_address.h"
#include "duration.h"
#include "event_handlers.h"
#include "handler_spec.h"
#include "interfaces.h"
#include "invoke.h"
#include "keyring_file.h"
#include "kube_provider.h"
#include "log.h"
#include "resolver.h"
#include "system_log.h"

#include <ctype.h>
#include <net/if.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <unistd.h>

enum { ERROR_SIZE_MAX = 64 * 1024, SERVICE_NAME_SIZE_MAX = 253 };

/* --- event handlers --- */

static bool check_handler(const char *text, struct buffer *error)
{
    struct handler_spec spec;
    struct buffer reason;
    buffer_init(&reason, ERROR_SIZE_MAX);
    bool good = handler_spec_parse(&spec, text, &reason);
    if (good)
        handler_spec_fini(&spec);
    else
        buffer_printf(error, "Invalid event script: %s", buffer_text(&reason));
    buffer_fini(&reason);
    return good;
}

static bool check_handlers(const struct agent_config *config, struct buffer *error)
{
    const struct text_list *handlers = &config->event_handlers;
    for (size_t i = 0; i < handlers->count; i++)
        if (!check_handler(handlers->values[i], error))
            return false;
    if (handlers->count > 0 && access(INVOKE_SHELL, X_OK) != 0) {
        buffer_printf(error,
                      "Invalid event script: '%s' needs a shell, and there is no %s here that can "
                      "be run; install one, use an image that has one, or take the event handlers "
                      "out",
                      handlers->values[0], INVOKE_SHELL);
        return false;
    }
    if (config->handler_concurrency < 1 || config->handler_concurrency > HANDLER_CONCURRENCY_MAX) {
        buffer_printf(error, "Invalid handler_concurrency: %lld; it is a number from 1 to %d",
                      (long long)config->handler_concurrency, HANDLER_CONCURRENCY_MAX);
        return false;
    }
    return true;
}

/* --- interfaces --- */

static bool check_interface(const char *label, const char *interface, struct buffer *error)
{
    if (!interface || interface_exists(interface))
        return true;
    buffer_printf(error,
                  "Invalid %snetwork interface: route ip+net: no such network interface: "
                  "'%s'; `ip link` lists those of this machine",
                  label, interface);
    return false;
}

static bool check_mdns(const struct agent_config *config, struct buffer *error)
{
    if (!config->mdns_interface)
        return true;
    if (!config->discover) {
        buffer_append_text(error, "mDNS interface specified without enabling mDNS discovery");
        return false;
    }
    if (!check_interface("mDNS ", config->mdns_interface, error))
        return false;
    if (config->mdns_disable_ipv4 && config->mdns_disable_ipv6) {
        buffer_append_text(error, "Invalid mDNS configuration: both IPv4 and IPv6 are disabled");
        return false;
    }
    return true;
}

static bool check_durations(const struct agent_config *config, struct buffer *error)
{
    const struct {
        const char *key;
        int64_t value;
    } durations[] = {
        {"handler_timeout", config->handler_timeout},
        {"reconnect_interval", config->reconnect_interval},
        {"reconnect_timeout", config->reconnect_timeout},
        {"tombstone_timeout", config->tombstone_timeout},
    };
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        char text[DURATION_TEXT_SIZE];
        if (durations[i].value >= 0)
            continue;
        buffer_printf(error, "Invalid %s: %s is negative", durations[i].key,
                      duration_text(durations[i].value, text));
        return false;
    }
    return true;
}

/* --- what keeps strangers out --- */

enum label_mode agent_config_label_mode(const struct agent_config *config)
{
    if (config->label_mode && strcmp(config->label_mode, "accept") == 0)
        return LABEL_ACCEPT;
    return config->label_mode && strcmp(config->label_mode, "send") == 0 ? LABEL_SEND
                                                                         : LABEL_STRICT;
}

static bool check_label(const struct agent_config *config, struct buffer *error)
{
    const char *mode = config->label_mode ? config->label_mode : "strict";
    struct span label = span_text(text_or_empty(config->label));
    if (label.size > LABEL_SIZE_MAX) {
        buffer_append_text(error, "Invalid label: could not use ");
        buffer_append_quoted(error, label);
        buffer_printf(error, " as a label: too long; it has %zu bytes, of %d at most", label.size,
                      LABEL_SIZE_MAX);
        return false;
    }
    if (strcmp(mode, "accept") != 0 && strcmp(mode, "send") != 0 && strcmp(mode, "strict") != 0) {
        buffer_printf(error, "Invalid label_mode: %s; it is accept, send or strict, in lower case",
                      mode);
        return false;
    }
    if (label.size == 0 && config->label_mode) {
        buffer_printf(error,
                      "Invalid label_mode: %s without a label; set label, or take label_mode out",
                      mode);
        return false;
    }
    return true;
}

static bool check_verification(const struct agent_config *config, struct buffer *error)
{
    if (config->encrypt_verify_outgoing || !config->encrypt_verify_incoming ||
        !(config->encrypt_key || config->keyring_file))
        return true;
    buffer_append_text(error,
                       "Invalid encrypt_verify_outgoing: false while encrypt_verify_incoming is "
                       "true: members with these settings would refuse each other; set both to "
                       "false, or encrypt_verify_outgoing to true");
    return false;
}

static bool check_keyring_source(const struct agent_config *config, struct buffer *error)
{
    if (!config->keyring_source || config->keyring_file)
        return true;
    buffer_append_text(error,
                       "Invalid keyring_source: without a keyring_file there is no place for "
                       "keys that change; set keyring_file, too");
    return false;
}

/* --- join addresses --- */

/* Those in words of their own; what is wrong with the others shows when they are asked. */
static bool check_address(const char *key, const char *address, struct buffer *error)
{
    struct kube_provider provider;
    struct buffer reason;
    buffer_init(&reason, ERROR_SIZE_MAX);
    if (strncmp(address, "provider=", 9) == 0) {
        if (kube_provider_parse(&provider, span_text(address), &reason))
            kube_provider_fini(&provider);
    } else if (strncmp(address, "srv+", 4) == 0 &&
               (!address[4] || strlen(address + 4) > SERVICE_NAME_SIZE_MAX)) {
        buffer_printf(&reason, "srv+ is followed by the name of a service, of %d bytes at most",
                      SERVICE_NAME_SIZE_MAX);
    }
    bool good = reason.size == 0;
    if (!good)
        buffer_printf(error, "Invalid %s: %s: %s", key, address, buffer_text(&reason));
    buffer_fini(&reason);
    return good;
}

static bool check_addresses(const char *key, const struct text_list *addresses,
                            struct buffer *error)
{
    if (addresses->count > JOIN_ADDRESSES_MAX) {
        buffer_printf(error,
                      "Invalid %s: it has %zu addresses, of %d at most; a name may stand for "
                      "many",
                      key, addresses->count, JOIN_ADDRESSES_MAX);
        return false;
    }
    for (size_t i = 0; i < addresses->count; i++)
        if (!check_address(key, addresses->values[i], error))
            return false;
    return true;
}

/* Whether the host exists is seen when the server starts. */
static bool check_http(const struct agent_config *config, struct buffer *error)
{
    struct buffer host, reason;
    uint16_t port;
    if (!config->http_addr)
        return true;
    buffer_init(&host, HOST_NAME_SIZE_MAX);
    buffer_init(&reason, ERROR_SIZE_MAX);
    bool good = address_split(config->http_addr, &host, &port, &reason);
    if (!good)
        buffer_printf(error, "Invalid http_addr: %s", buffer_text(&reason));
    buffer_fini(&host);
    buffer_fini(&reason);
    return good;
}

bool agent_config_check(const struct agent_config *config, struct buffer *error)
{
    if (!check_label(config, error) || !check_verification(config, error) ||
        !check_keyring_source(config, error))
        return false;
    return check_handlers(config, error) && check_interface("", config->interface, error) &&
           check_mdns(config, error) && check_durations(config, error) &&
           check_addresses("start_join", &config->start_join, error) &&
           check_addresses("retry_join", &config->retry_join, error) && check_http(config, error);
}

/* --- notices --- */

static void raise_to_second(int64_t *duration, const char *name, config_notice *notice,
                            void *context)
{
    const int64_t second = INT64_C(1000000000);
    char text[96];
    if (*duration >= second)
        return;
    snprintf(text, sizeof(text), "Warning: '%s' is too low. Setting to 1s", name);
    notice(context, text);
    *duration = second;
}

void agent_config_notices(struct agent_config *config, config_notice *notice, void *context)
{
    if (config->role)
        notice(context, "Deprecation warning: 'Role' has been replaced with 'Tags'");
    raise_to_second(&config->retry_interval, "RetryInterval", notice, context);
    raise_to_second(&config->broadcast_timeout, "BroadcastTimeout", notice, context);
    raise_to_second(&config->leave_timeout, "LeaveTimeout", notice, context);
    if (!(config->encrypt_verify_incoming && config->encrypt_verify_outgoing) &&
        !(config->encrypt_key || config->keyring_file))
        notice(context, "Warning: 'encrypt_verify_incoming' and 'encrypt_verify_outgoing' have no "
                        "effect without an encryption key");
    if (config->rejoin_after_leave && !config->snapshot_path)
        notice(context, "Warning: 'RejoinAfterLeave' enabled without snapshot file");
}

/* --- single values --- */

static void append_upper_case(struct buffer *out, const char *text)
{
    for (const char *p = text; *p; p++)
        buffer_append_u8(out, (uint8_t)toupper((unsigned char)*p));
}

bool agent_config_log_level(const struct agent_config *config, enum log_level *level,
                            struct buffer *error)
{
    const char *text = text_or_empty(config->log_level);
    if (log_level_parse(span_text(text), level))
        return true;
    buffer_append_text(error, "Invalid log level: ");
    append_upper_case(error, text);
    buffer_append_text(error, ". Valid log levels are: [TRACE DEBUG INFO WARN ERR]");
    return false;
}

bool agent_config_log_format(const struct agent_config *config, enum log_format *format,
                             struct buffer *error)
{
    if (log_format_parse(text_or_empty(config->log_format), format))
        return true;
    buffer_printf(error, "Invalid log format: %s; it is text or json", config->log_format);
    return false;
}

bool agent_config_check_syslog(const struct agent_config *config, struct buffer *error)
{
    const char *facility = text_or_empty(config->syslog_facility);
    int number;
    if (!config->enable_syslog || system_log_facility(facility, &number))
        return true;
    buffer_append_text(error, "Syslog setup failed: invalid syslog facility: ");
    append_upper_case(error, facility);
    buffer_append_text(error, "; it is one such as LOCAL0 or DAEMON");
    return false;
}

static void append_source_of(const char *key, const struct agent_config *config, struct buffer *out)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].name, key) == 0)
            agent_config_append_source(&config_keys[i], config, out);
}

bool agent_config_check_key(const struct agent_config *config, struct buffer *error)
{
    if (!config->encrypt_key)
        return true;
    struct buffer key, reason;
    buffer_init(&key, 1024);
    buffer_init(&reason, 128);
    bool good = key_decode(config->encrypt_key, &key, &reason);
    if (!good) {
        buffer_printf(error, "Invalid encryption key: %s; `serf keygen` prints a good one; from: ",
                      buffer_text(&reason));
        append_source_of("encrypt_key", config, error);
    }
    if (key.size > 0)
        OPENSSL_cleanse(key.data, key.size);
    buffer_fini(&key);
    buffer_fini(&reason);
    return good;
}

profile_settings *agent_config_profile(const struct agent_config *config, struct buffer *error)
{
    const char *profile = text_or_empty(config->profile);
    if (strcmp(profile, "lan") == 0)
        return swim_config_lan;
    if (strcmp(profile, "wan") == 0)
        return swim_config_wan;
    if (strcmp(profile, "local") == 0)
        return swim_config_local;
    buffer_printf(error, "Unknown profile: %s; it is lan, wan or local, in lower case", profile);
    return NULL;
}

static bool check_size(const char *key, int64_t size, struct buffer *error)
{
    if (size >= 0 && size <= INT32_MAX)
        return true;
    buffer_printf(error, "%s is %lld, which is no number of bytes from 0 to %d", key,
                  (long long)size, INT32_MAX);
    return false;
}

/* Of each of the three queues: intents, queries and user events. */
static bool check_depth(const char *key, int64_t depth, int64_t smallest, struct buffer *error)
{
    if (depth >= smallest && depth <= QUEUE_DEPTH_MAX)
        return true;
    buffer_printf(error, "%s is %lld; it is a number of messages from %lld to %d", key,
                  (long long)depth, (long long)smallest, QUEUE_DEPTH_MAX);
    return false;
}

static bool check_depths(const struct agent_config *config, struct buffer *error)
{
    return check_depth("queue_depth_warning", config->queue_depth_warning, 1, error) &&
           check_depth("max_queue_depth", config->max_queue_depth, 1, error) &&
           check_depth("min_queue_depth", config->min_queue_depth, 0, error);
}

bool agent_config_check_limits(const struct agent_config *config, struct buffer *error)
{
    bool low = config->protocol < SERF_PROTOCOL_MIN;
    if (low || config->protocol > SERF_PROTOCOL_MAX) {
        buffer_printf(error, "Protocol version '%lld' too %s. Must be in range: [%d, %d]",
                      (long long)config->protocol, low ? "low" : "high", SERF_PROTOCOL_MIN,
                      SERF_PROTOCOL_MAX);
        return false;
    }
    if (config->user_event_size_limit > USER_EVENT_SIZE_MAX) {
        buffer_printf(error, "user event size limit exceeds limit of %d bytes",
                      USER_EVENT_SIZE_MAX);
        return false;
    }
    return check_size("user_event_size_limit", config->user_event_size_limit, error) &&
           check_size("query_size_limit", config->query_size_limit, error) &&
           check_size("query_response_size_limit", config->query_response_size_limit, error) &&
           check_depths(config, error);
}
