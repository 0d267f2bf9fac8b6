/* A keyring file is a JSON list of base64 keys. A cluster that starts without one of its keys is
 * a split cluster, so nothing in it is skipped: one bad key refuses the whole file. */
#include "keyring_file.h"

#include "base64.h"
#include "files.h"
#include "socket_text.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

bool key_decode(const char *text, struct buffer *key, struct buffer *error)
{
    size_t offset;
    if (base64_decode(span_text(text), key, &offset))
        return true;
    buffer_printf(error, "illegal base64 data at input byte %zu", offset);
    return false;
}

static bool add_key(struct keyring *keyring, const char *text, struct buffer *error)
{
    struct buffer key, reason;
    buffer_init(&key, KEY_SIZE_MAX * 4);
    buffer_init(&reason, 128);
    bool good = key_decode(text, &key, &reason);
    if (!good) {
        buffer_printf(error, "Failed to decode key from keyring: %s", buffer_text(&reason));
    } else {
        enum keyring_status status = keyring_add(keyring, buffer_span(&key));
        good = status == KEYRING_OK;
        if (!good)
            buffer_printf(error, "Failed to restore keyring: %s", keyring_status_text(status));
    }
    if (key.size > 0)
        OPENSSL_cleanse(key.data, key.size);
    buffer_fini(&key);
    buffer_fini(&reason);
    return good;
}

static bool add_keys(struct keyring *keyring, const json_t *keys, struct buffer *error)
{
    size_t index;
    json_t *key;
    if (!json_is_array(keys) && !json_is_null(keys)) {
        buffer_append_text(error, "Failed to decode keyring file: expected a list of keys, such as "
                                  "[\"KEY\"]");
        return false;
    }
    if (json_array_size(keys) == 0) {
        buffer_append_text(error, "Keyring file contains no keys; `serf keygen` prints one");
        return false;
    }
    json_array_foreach(keys, index, key)
    {
        if (!json_is_string(key)) {
            buffer_append_text(error, "Failed to decode keyring file: every key in the list is a "
                                      "string in double quotes");
            return false;
        }
        if (!add_key(keyring, json_string_value(key), error))
            return false;
    }
    return true;
}

static bool decode(struct span text, struct keyring *keyring, struct buffer *error)
{
    json_error_t at = {0};
    json_t *keys = json_loadb((const char *)text.data, text.size, JSON_DECODE_ANY, &at);
    if (!keys) {
        bool ended = text.size == 0 || json_error_code(&at) == json_error_premature_end_of_input;
        buffer_printf(error, "Failed to decode keyring file: %s",
                      ended ? "unexpected end of JSON input" : at.text);
        if (at.line > 0)
            buffer_printf(error, " (line %d, column %d)", at.line, at.column);
        return false;
    }
    bool good = add_keys(keyring, keys, error);
    json_decref(keys);
    return good;
}

bool keyring_file_load(const char *path, struct keyring *keyring, struct buffer *error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        buffer_printf(error, "stat %s: %s", path, system_error_text(errno));
        return false;
    }
    struct buffer text;
    buffer_init(&text, KEYRING_FILE_SIZE_MAX);
    bool good = file_read(path, &text, error) && decode(buffer_span(&text), keyring, error);
    if (text.size > 0)
        OPENSSL_cleanse(text.data, text.size);
    buffer_fini(&text);
    return good;
}

bool keyring_file_renew(const char *path, const char *source, struct keyring *keyring,
                        struct buffer *error)
{
    if (!keyring_file_load(source, keyring, error))
        return false;
    bool there = access(path, F_OK) == 0 || errno != ENOENT;
    return (!there || keyring_file_load(path, keyring, error)) &&
           keyring_file_save(path, keyring, error);
}

/* A list of strings, two spaces a level, the primary key first, and no newline at the end: the
 * reference's bytes. */
static void encode(const struct keyring *keyring, struct buffer *out)
{
    size_t count = keyring_count(keyring);
    buffer_append_text(out, "[");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(out, i == 0 ? "\n  \"" : ",\n  \"");
        base64_encode(keyring_key(keyring, i), out);
        buffer_append_text(out, "\"");
    }
    buffer_append_text(out, count > 0 ? "\n]" : "]");
}

bool keyring_file_save(const char *path, const struct keyring *keyring, struct buffer *error)
{
    struct buffer text, reason;
    buffer_init(&text, KEYRING_FILE_SIZE_MAX);
    buffer_init(&reason, 4096);
    encode(keyring, &text);
    bool good = !text.failed && file_write(path, buffer_span(&text), 0600, &reason);
    if (!good)
        buffer_printf(error, "Failed to write keyring file: %s",
                      text.failed ? "out of memory" : buffer_text(&reason));
    if (text.size > 0)
        OPENSSL_cleanse(text.data, text.size);
    buffer_fini(&text);
    buffer_fini(&reason);
    return good;
}
