/* The reference rewrites this file in place, and a crash in between loses all tags; here it is
 * replaced in one step. The bytes are the same, so that either program can take the other's file.
 */
#include "tags_file.h"

#include "files.h"
#include "json_text.h"

#include <errno.h>
#include <jansson.h>
#include <unistd.h>

/* --- writing --- */

void tags_file_format(struct buffer *out, const struct text_map *tags)
{
    buffer_append_u8(out, '{');
    for (size_t i = 0; i < tags->count; i++) {
        buffer_append_text(out, i > 0 ? ",\n  " : "\n  ");
        json_append_string(out, span_text(tags->pairs[i].key));
        buffer_append_text(out, ": ");
        json_append_string(out, span_text(tags->pairs[i].value));
    }
    buffer_append_text(out, tags->count > 0 ? "\n}" : "}");
}

bool tags_file_write(const char *path, const struct text_map *tags, struct buffer *error)
{
    struct buffer text;
    buffer_init(&text, TAGS_FILE_SIZE_MAX);
    tags_file_format(&text, tags);
    bool good = !text.failed;
    if (!good)
        buffer_printf(error, "write %s: the tags need more than %d bytes", path,
                      TAGS_FILE_SIZE_MAX);
    else
        good = file_write(path, buffer_span(&text), 0600, error);
    buffer_fini(&text);
    return good;
}

/* --- reading --- */

static bool take_tags(struct text_map *tags, json_t *object, struct buffer *error)
{
    const char *key;
    json_t *value;
    if (json_is_null(object))
        return true;
    if (!json_is_object(object)) {
        buffer_append_text(error, "Failed to decode tags file: expected an object of strings, such "
                                  "as {\"role\": \"web\"}");
        return false;
    }
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value)) {
            buffer_printf(error,
                          "Failed to decode tags file: the value of '%s' is no string; put "
                          "it in double quotes",
                          key);
            return false;
        }
        if (!text_map_set(tags, span_text(key), span_text(json_string_value(value)))) {
            buffer_append_text(error, "Failed to decode tags file: out of memory");
            return false;
        }
    }
    return true;
}

static bool decode(struct span text, struct text_map *tags, struct buffer *error)
{
    json_error_t at = {0};
    json_t *object = json_loadb((const char *)text.data, text.size, JSON_DECODE_ANY, &at);
    if (!object) {
        bool ended = text.size == 0 || json_error_code(&at) == json_error_premature_end_of_input;
        buffer_printf(error, "Failed to decode tags file: %s",
                      ended ? "unexpected end of JSON input" : at.text);
        if (at.line > 0)
            buffer_printf(error, " (line %d, column %d)", at.line, at.column);
        return false;
    }
    bool good = take_tags(tags, object, error);
    json_decref(object);
    return good;
}

bool tags_file_load(const char *path, struct text_map *tags, bool *found, struct buffer *error)
{
    *found = access(path, F_OK) == 0 || errno != ENOENT;
    if (!*found)
        return true;
    struct buffer text, reason;
    buffer_init(&text, TAGS_FILE_SIZE_MAX);
    buffer_init(&reason, 1024);
    bool good = file_read(path, &text, &reason);
    if (!good)
        buffer_printf(error, "Failed to read tags file: %s", buffer_text(&reason));
    good = good && decode(buffer_span(&text), tags, error);
    if (!good)
        text_map_fini(tags);
    buffer_fini(&text);
    buffer_fini(&reason);
    return good;
}
