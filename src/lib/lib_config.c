/* Setters return nothing, so that a program's configuration is a list of lines; the first failure
 * is kept for cserf_member_new. */
#include "lib_config.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base64.h"
#include "lib_error.h"

struct cserf_config *cserf_config_new(void)
{
    struct cserf_config *config = calloc(1, sizeof *config);
    if (config)
        config->bind.port = BIND_PORT_DEFAULT;
    return config;
}

void cserf_config_free(struct cserf_config *config)
{
    if (!config)
        return;
    free(config->name);
    free(config->label);
    free(config->snapshot_path);
    for (size_t i = 0; i < config->tag_count; i++) {
        free(config->tags[i].key);
        free(config->tags[i].value);
    }
    keyring_free(config->keyring);
    free(config);
}

static void fail(struct cserf_config *config, enum cserf_code code, const char *text)
{
    if (config->error.code == CSERF_OK)
        lib_fail(&config->error, code, text);
}

static void set_text(struct cserf_config *config, char **place, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy) {
        fail(config, CSERF_NO_MEMORY, "out of memory");
        return;
    }
    free(*place);
    *place = copy;
}

void cserf_config_set_name(struct cserf_config *config, const char *name)
{
    set_text(config, &config->name, name);
}

void cserf_config_set_label(struct cserf_config *config, const char *label)
{
    set_text(config, &config->label, label);
}

void cserf_config_set_snapshot(struct cserf_config *config, const char *path,
                               bool rejoin_after_leave)
{
    set_text(config, &config->snapshot_path, path);
    config->rejoin_after_leave = rejoin_after_leave;
}

void cserf_config_set_retry_watch(struct cserf_config *config, bool watch)
{
    config->retry_watch = watch;
}

void cserf_config_set_profile(struct cserf_config *config, enum cserf_profile profile)
{
    if (profile > CSERF_PROFILE_LOCAL)
        fail(config, CSERF_INVALID, "the profile is none of CSERF_PROFILE_LAN, _WAN and _LOCAL");
    else
        config->profile = profile;
}

void cserf_config_set_coalescing(struct cserf_config *config, uint32_t period_ms, uint32_t quiet_ms)
{
    config->coalesce_period_ms = period_ms;
    config->coalesce_quiet_ms = quiet_ms;
}

void cserf_config_on_event(struct cserf_config *config, cserf_event_callback *callback,
                           void *context)
{
    config->on_event = callback;
    config->event_context = context;
}

void cserf_config_on_log(struct cserf_config *config, enum cserf_log_level level,
                         cserf_log_callback *callback, void *context)
{
    config->log_level = level > CSERF_LOG_NONE ? CSERF_LOG_NONE : level;
    config->on_log = callback;
    config->log_context = context;
}

void cserf_config_on_keys(struct cserf_config *config, cserf_keys_callback *callback, void *context)
{
    config->on_keys = callback;
    config->keys_context = context;
}

/* --- addresses --- */

static bool parse_port(const char *text, uint16_t *port)
{
    char *end;
    if (strspn(text, "0123456789") == 0)
        return false;
    unsigned long number = strtoul(text, &end, 10);
    *port = (uint16_t)number;
    return *end == '\0' && number <= UINT16_MAX;
}

/* "ADDRESS", "ADDRESS:PORT", ":PORT", "[ADDRESS]", "[ADDRESS]:PORT". No address: address_size 0. */
static bool parse_endpoint(const char *text, uint16_t port, struct endpoint *endpoint)
{
    char address[ADDRESS_TEXT_SIZE];
    const char *start = text, *end, *rest;
    *endpoint = (struct endpoint){.port = port};
    if (endpoint_from_text(endpoint, text, port))
        return true;
    if (*text == '[') {
        start = text + 1;
        end = strchr(text, ']');
        rest = end ? end + 1 : NULL;
    } else {
        end = rest = strchr(text, ':');
    }
    if (!end || (size_t)(end - start) >= sizeof address)
        return false;
    memcpy(address, start, (size_t)(end - start));
    address[end - start] = '\0';
    if (*rest != '\0' && (*rest != ':' || !parse_port(rest + 1, &port)))
        return false;
    if (*address != '\0')
        return endpoint_from_text(endpoint, address, port);
    *endpoint = (struct endpoint){.port = port};
    return true;
}

/* False when it is wrong, which is then noted. */
static bool set_endpoint(struct cserf_config *config, struct endpoint *place, const char *what,
                         const char *text, uint16_t port)
{
    if (!text) {
        *place = (struct endpoint){.port = port};
        return true;
    }
    if (parse_endpoint(text, port, place))
        return true;
    struct buffer error;
    buffer_init(&error, 1024);
    buffer_printf(&error,
                  "the %s address %s is no numeric address with or without a port, such as "
                  "10.0.0.1:7946, [fd00::1]:7946 or :7946",
                  what, text);
    fail(config, CSERF_INVALID, buffer_text(&error));
    buffer_fini(&error);
    return false;
}

void cserf_config_set_bind(struct cserf_config *config, const char *address)
{
    set_endpoint(config, &config->bind, "bind", address, BIND_PORT_DEFAULT);
}

void cserf_config_set_advertise(struct cserf_config *config, const char *address)
{
    struct endpoint *place = &config->advertise;
    if (set_endpoint(config, place, "advertise", address, 0) && address && place->address_size == 0)
        fail(config, CSERF_INVALID, "the advertise address has a port and no address");
}

/* --- tags and keys --- */

void cserf_config_set_tag(struct cserf_config *config, const char *key, const char *value)
{
    struct config_tag *tag = config->tags, *end = tag + config->tag_count;
    while (tag < end && strcmp(tag->key, key) != 0)
        tag++;
    if (tag == end && config->tag_count == CONFIG_TAGS_MAX) {
        fail(config, CSERF_INVALID, "more than 256 tags; all together have at most 512 bytes");
        return;
    }
    char *new_key = tag == end ? strdup(key) : NULL, *new_value = strdup(value ? value : "");
    if ((tag == end && !new_key) || !new_value) {
        free(new_key);
        free(new_value);
        fail(config, CSERF_NO_MEMORY, "out of memory");
        return;
    }
    if (tag == end) {
        *tag = (struct config_tag){.key = new_key};
        config->tag_count++;
    }
    free(tag->value);
    tag->value = new_value;
}

static enum keyring_status add_key(struct keyring *keyring, struct span key)
{
    /* With its own settings, as the program that we are in would have it. */
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
    return keyring_add(keyring, key);
}

void cserf_config_add_key(struct cserf_config *config, const char *text)
{
    struct buffer key;
    size_t offset;
    if (!config->keyring)
        config->keyring = keyring_new();
    if (!config->keyring) {
        fail(config, CSERF_NO_MEMORY, "out of memory");
        return;
    }
    buffer_init(&key, 4 * KEY_SIZE_MAX);
    if (!base64_decode(span_text(text), &key, &offset)) {
        fail(config, CSERF_INVALID, "a key is no base64; `serf keygen` prints a good one");
    } else {
        enum keyring_status status = add_key(config->keyring, buffer_span(&key));
        if (status != KEYRING_OK)
            fail(config, status == KEYRING_OUT_OF_MEMORY ? CSERF_NO_MEMORY : CSERF_INVALID,
                 keyring_status_text(status));
    }
    if (key.size > 0)
        OPENSSL_cleanse(key.data, key.size);
    buffer_fini(&key);
}

struct keyring *keyring_copy(const struct keyring *keyring)
{
    struct keyring *copy = keyring_new();
    for (size_t i = 0; copy && i < keyring_count(keyring); i++)
        if (keyring_add(copy, keyring_key(keyring, i)) != KEYRING_OK) {
            keyring_free(copy);
            return NULL;
        }
    return copy;
}
