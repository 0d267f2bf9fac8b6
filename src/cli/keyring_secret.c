/* The keys are the same list as in a keyring file. One bad key refuses the whole, since a Secret
 * that is written back without it could lock its users out. */
#include "keyring_secret.h"

#include "base64.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#define KEY_ANNOTATION   "serf/rotation-key"
#define SINCE_ANNOTATION "serf/rotation-since"
#define TIME_FORMAT      "%Y-%m-%dT%H:%M:%SZ"

enum { KEYRING_TEXT_SIZE_MAX = 64 * 1024 };

static void wipe(struct buffer *buffer)
{
    if (buffer->size > 0)
        explicit_bzero(buffer->data, buffer->size);
    buffer_fini(buffer);
}

/* --- reading --- */

static bool add_key(struct keyring *keys, const json_t *text, struct buffer *error)
{
    struct buffer key;
    size_t offset;
    buffer_init(&key, KEY_SIZE_MAX);
    bool good =
        json_is_string(text) && base64_decode(span_text(json_string_value(text)), &key, &offset);
    enum keyring_status status = good ? keyring_add(keys, buffer_span(&key)) : KEYRING_BAD_SIZE;
    wipe(&key);
    if (status != KEYRING_OK)
        buffer_printf(error, "key %zu of the list: %s", keyring_count(keys) + 1,
                      good ? keyring_status_text(status) : "not base64 of 16, 24 or 32 bytes");
    return status == KEYRING_OK;
}

static bool read_list(struct keyring *keys, struct span text, struct buffer *error)
{
    json_t *list = json_loadb((const char *)text.data, text.size, 0, NULL);
    bool good = json_array_size(list) > 0;
    if (!good)
        buffer_append_text(error, "expected a list of keys, such as [\"KEY\"]");
    for (size_t i = 0; good && i < json_array_size(list); i++)
        good = add_key(keys, json_array_get(list, i), error);
    json_decref(list);
    return good;
}

static bool read_keys(struct keyring_secret *secret, const json_t *object, const char *entry,
                      struct buffer *error)
{
    const char *encoded =
        json_string_value(json_object_get(json_object_get(object, "data"), entry));
    struct buffer text, reason;
    size_t offset;
    if (!encoded) {
        buffer_printf(error, "the Secret has no key %s", entry);
        return false;
    }
    buffer_init(&text, KEYRING_TEXT_SIZE_MAX);
    buffer_init(&reason, 256);
    bool good = base64_decode(span_text(encoded), &text, &offset);
    if (!good)
        buffer_printf(&reason, "larger than %d bytes, or not base64", KEYRING_TEXT_SIZE_MAX);
    good = good && read_list(secret->keys, buffer_span(&text), &reason);
    if (!good)
        buffer_printf(error, "%s of the Secret: %s", entry, buffer_text(&reason));
    wipe(&text);
    buffer_fini(&reason);
    return good;
}

static bool read_since(struct keyring_secret *secret, const char *text, struct buffer *error)
{
    struct tm parts = {0};
    const char *end = text ? strptime(text, TIME_FORMAT, &parts) : NULL;
    if (end && *end == '\0') {
        secret->since = timegm(&parts);
        return true;
    }
    buffer_append_text(error, "the Secret's annotation " SINCE_ANNOTATION " is ");
    buffer_append_quoted(error, span_text(text ? text : ""));
    buffer_append_text(error, ", expected a time such as 2026-01-31T12:00:00Z");
    return false;
}

static bool find_new_key(struct keyring_secret *secret, const char *name, struct buffer *error)
{
    char fingerprint[KEY_FINGERPRINT_SIZE];
    for (size_t i = 0; i < keyring_count(secret->keys); i++)
        if (strcmp(key_fingerprint(keyring_key(secret->keys, i), fingerprint), name) == 0) {
            secret->new_key = i;
            secret->place = i == 0 ? ROTATION_FIRST : ROTATION_LAST;
            return true;
        }
    buffer_append_text(error, "the Secret's annotation " KEY_ANNOTATION " names the new key ");
    buffer_append_quoted(error, span_text(name));
    buffer_append_text(error,
                       ", which is not in its list: somebody has changed the keys meanwhile; "
                       "see that they are those of the cluster, and take the annotation out");
    return false;
}

static bool read_object(struct keyring_secret *secret, const json_t *object, const char *entry,
                        struct buffer *error)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *annotations = json_object_get(metadata, "annotations");
    const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
    const char *name = json_string_value(json_object_get(annotations, KEY_ANNOTATION));
    const char *since = json_string_value(json_object_get(annotations, SINCE_ANNOTATION));
    if (!version || strlen(version) >= sizeof secret->version || strpbrk(version, "\"\\\n")) {
        buffer_append_text(error, "the API server's answer is no Secret");
        return false;
    }
    snprintf(secret->version, sizeof secret->version, "%s", version);
    return read_keys(secret, object, entry, error) &&
           (!name || (read_since(secret, since, error) && find_new_key(secret, name, error)));
}

bool keyring_secret_read(struct keyring_secret *secret, struct span object, const char *entry,
                         struct buffer *error)
{
    *secret = (struct keyring_secret){.keys = keyring_new()};
    json_t *root = json_loadb((const char *)object.data, object.size, 0, NULL);
    bool good = false;
    if (!secret->keys)
        buffer_append_text(error, "out of memory");
    else
        good = read_object(secret, root, entry, error);
    json_decref(root);
    if (!good)
        keyring_secret_fini(secret);
    return good;
}

void keyring_secret_fini(struct keyring_secret *secret)
{
    keyring_free(secret->keys);
    secret->keys = NULL;
}

/* --- writing --- */

/* The list with the key in its new place; NULL with the reason in `error`. */
static struct keyring *arrange(const struct keyring_secret *secret, struct span key,
                               enum rotation_place place, struct buffer *error)
{
    struct keyring *keys = keyring_new();
    enum keyring_status status = keys ? KEYRING_OK : KEYRING_OUT_OF_MEMORY;
    size_t others = place == ROTATION_NONE ? 0 : keyring_count(secret->keys);
    for (size_t i = 0; i < others && status == KEYRING_OK; i++)
        status = keyring_add(keys, keyring_key(secret->keys, i));
    if (status == KEYRING_OK)
        status = keyring_add(keys, key);
    if (status == KEYRING_OK && place == ROTATION_FIRST)
        status = keyring_use(keys, key);
    if (status == KEYRING_OK)
        return keys;
    buffer_append_text(error, keyring_status_text(status));
    keyring_free(keys);
    return NULL;
}

/* The text of a keyring file, as the reference writes it. */
static void append_list(struct buffer *out, const struct keyring *keys)
{
    for (size_t i = 0; i < keyring_count(keys); i++) {
        buffer_append_text(out, i == 0 ? "[\n  \"" : ",\n  \"");
        base64_encode(keyring_key(keys, i), out);
        buffer_append_text(out, "\"");
    }
    buffer_append_text(out, "\n]");
}

static void append_annotations(struct buffer *out, struct span key, enum rotation_place place,
                               int64_t now)
{
    char fingerprint[KEY_FINGERPRINT_SIZE], text[64];
    struct tm parts;
    time_t when = now;
    if (place == ROTATION_NONE) {
        buffer_append_text(out, "{\"" KEY_ANNOTATION "\":null,\"" SINCE_ANNOTATION "\":null}");
        return;
    }
    gmtime_r(&when, &parts);
    strftime(text, sizeof text, TIME_FORMAT, &parts);
    buffer_printf(out, "{\"" KEY_ANNOTATION "\":\"%s\",\"" SINCE_ANNOTATION "\":\"%s\"}",
                  key_fingerprint(key, fingerprint), text);
}

bool keyring_secret_patch(const struct keyring_secret *secret, struct span key,
                          enum rotation_place place, int64_t now, const char *entry,
                          struct buffer *out, struct buffer *error)
{
    struct keyring *keys = arrange(secret, key, place, error);
    struct buffer list;
    if (!keys)
        return false;
    buffer_init(&list, KEYRING_TEXT_SIZE_MAX);
    append_list(&list, keys);
    buffer_printf(out,
                  "{\"metadata\":{\"resourceVersion\":\"%s\",\"annotations\":", secret->version);
    append_annotations(out, key, place, now);
    buffer_printf(out, "},\"data\":{\"%s\":\"", entry);
    base64_encode(buffer_span(&list), out);
    buffer_append_text(out, "\"}}");
    if (list.failed || out->failed)
        buffer_append_text(error, "out of memory");
    bool good = !list.failed && !out->failed;
    wipe(&list);
    keyring_free(keys);
    return good;
}
