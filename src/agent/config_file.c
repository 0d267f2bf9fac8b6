/* Configuration files. The types are strict, as in the reference: a number in quotes is a mistake
 * that somebody wants to hear about, not a value to be guessed. Each error says where it is, what
 * was expected there and how to mend it. jansson tells the place of a mistake in the syntax; for a
 * value of the wrong type the line of its key is looked up in the text. */
#include "config.h"

#include "duration.h"
#include "files.h"
#include "socket_text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

enum { UNKNOWN_KEYS_NAMED_MAX = 16, VALUE_SHOWN_MAX = 40 };

/* --- syntax --- */

/* The line of `"key" :` in the text, or 0. */
static size_t line_of_key(struct span json, const char *key)
{
    size_t size = strlen(key), line = 1;
    for (size_t i = 0; i + size + 2 <= json.size; i++) {
        line += json.data[i] == '\n';
        if (json.data[i] != '"' || json.data[i + size + 1] != '"' ||
            strncasecmp((const char *)json.data + i + 1, key, size) != 0)
            continue;
        size_t colon = i + size + 2;
        while (colon < json.size && isspace(json.data[colon]))
            colon++;
        if (colon < json.size && json.data[colon] == ':')
            return line;
    }
    return 0;
}

static const char *hint_of(struct span json, enum json_error_code code)
{
    static const uint8_t byte_order_mark[] = {0xef, 0xbb, 0xbf};
    if (json.size >= 3 && memcmp(json.data, byte_order_mark, 3) == 0)
        return "; the file starts with a byte order mark, save it without one";
    if (code == json_error_invalid_utf8)
        return "; save the file as UTF-8";
    return "; JSON has no comments and no comma before a closing bracket, and its strings and keys "
           "are in double quotes";
}

static json_t *parse(struct span json, struct buffer *error)
{
    if (json.size == 0) {
        buffer_append_text(error, "EOF: the file is empty; write {} or take it away");
        return NULL;
    }
    json_error_t at;
    json_t *value = json_loadb((const char *)json.data, json.size,
                               JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &at);
    if (value)
        return value;
    enum json_error_code code = json_error_code(&at);
    if (code == json_error_premature_end_of_input)
        buffer_printf(error,
                      "unexpected EOF at line %d, column %d; something that was opened is "
                      "not closed",
                      at.line, at.column);
    else
        buffer_printf(error, "line %d, column %d: %s%s", at.line, at.column, at.text,
                      hint_of(json, code));
    return NULL;
}

/* --- values --- */

static void describe_value(struct buffer *out, const json_t *value)
{
    if (json_is_string(value)) {
        int size = (int)json_string_length(value);
        buffer_printf(out, "the string \"%.*s%s\"", size < VALUE_SHOWN_MAX ? size : VALUE_SHOWN_MAX,
                      json_string_value(value), size > VALUE_SHOWN_MAX ? "..." : "");
    } else if (json_is_integer(value)) {
        buffer_printf(out, "the number %lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        buffer_printf(out, "the number %g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        buffer_append_text(out, json_is_true(value) ? "true" : "false");
    } else {
        buffer_append_text(out, json_is_array(value)    ? "a list"
                                : json_is_object(value) ? "an object"
                                                        : "null");
    }
}

static const char *expectation(enum config_type type)
{
    switch (type) {
    case CONFIG_STRING:
        return "a string in double quotes";
    case CONFIG_BOOL:
        return "true or false without quotes";
    case CONFIG_INTEGER:
        return "a whole number without quotes";
    case CONFIG_DURATION:
        return "a duration in double quotes, such as \"30s\"";
    case CONFIG_LIST:
        return "a list of strings, such as [\"one\", \"two\"]";
    case CONFIG_MAP:
        return "an object of strings, such as {\"key\": \"value\"}";
    case CONFIG_SECTION:
        break;
    }
    return "an object";
}

static void name_place(struct buffer *error, struct span json, const char *key)
{
    const char *dot = strrchr(key, '.');
    size_t line = line_of_key(json, dot ? dot + 1 : key);
    if (line > 0)
        buffer_printf(error, "line %zu: ", line);
    buffer_printf(error, "'%s' ", key);
}

static bool wrong_type(struct buffer *error, struct span json, const struct config_key *key,
                       const json_t *value)
{
    name_place(error, json, key->name);
    buffer_printf(error, "expected %s, got ", expectation(key->type));
    describe_value(error, value);
    return false;
}

static bool out_of_memory(struct buffer *error)
{
    buffer_append_text(error, "out of memory");
    return false;
}

static bool decode_integer(struct agent_config *config, const struct config_key *key,
                           const json_t *value)
{
    if (json_is_integer(value)) {
        config_set_number(config, key, json_integer_value(value));
        return true;
    }
    /* A fraction is cut off, as the reference does. */
    double real = json_is_real(value) ? json_real_value(value) : 1e30;
    if (real <= -9e18 || real >= 9e18)
        return false;
    config_set_number(config, key, (int64_t)real);
    return true;
}

static bool decode_duration(struct agent_config *config, const struct config_key *key,
                            const json_t *value, struct span json, struct buffer *error)
{
    const char *text = json_string_value(value);
    int64_t duration = 0;
    if (*text && !duration_parse(text, &duration)) {
        name_place(error, json, key->name);
        buffer_append_text(error, "can't be used: ");
        config_duration_error(error, text);
        return false;
    }
    config_set_number(config, key, duration);
    return true;
}

static bool decode_list(struct agent_config *config, const struct config_key *key,
                        const json_t *value, struct span json, struct buffer *error)
{
    size_t index;
    json_t *element;
    json_array_foreach(value, index, element) if (!json_is_string(element)) return wrong_type(
        error, json, key, element);
    json_array_foreach(
        value, index,
        element) if (!config_append(config, key,
                                    json_string_value(element))) return out_of_memory(error);
    return true;
}

static bool decode_map(struct agent_config *config, const struct config_key *key, json_t *value,
                       struct span json, struct buffer *error)
{
    const char *name;
    json_t *element;
    json_object_foreach(value, name, element) if (!json_is_string(element)) return wrong_type(
        error, json, key, element);
    json_object_foreach(value, name,
                        element) if (!config_set_pair(config, key, span_text(name),
                                                      span_text(json_string_value(
                                                          element)))) return out_of_memory(error);
    return true;
}

static bool decode_value(struct agent_config *config, const struct config_key *key, json_t *value,
                         struct span json, struct buffer *error)
{
    switch (key->type) {
    case CONFIG_STRING:
        if (json_is_string(value))
            return config_set_string(config, key, json_string_value(value)) || out_of_memory(error);
        break;
    case CONFIG_BOOL:
        if (json_is_boolean(value)) {
            config_set_bool(config, key, json_is_true(value));
            return true;
        }
        break;
    case CONFIG_INTEGER:
        if (decode_integer(config, key, value))
            return true;
        break;
    case CONFIG_DURATION:
        if (json_is_string(value))
            return decode_duration(config, key, value, json, error);
        break;
    case CONFIG_LIST:
        if (json_is_array(value))
            return decode_list(config, key, value, json, error);
        break;
    case CONFIG_MAP:
        if (json_is_object(value))
            return decode_map(config, key, value, json, error);
        break;
    case CONFIG_SECTION: /* its keys are decoded by themselves */
        if (json_is_object(value))
            return true;
        break;
    }
    return wrong_type(error, json, key, value);
}

/* --- objects --- */

static const struct config_key *find_key(const char *section, const char *name)
{
    size_t prefix = strlen(section);
    for (size_t i = 0; i < config_key_count; i++) {
        const char *known = config_keys[i].name;
        if (strncmp(known, section, prefix) == 0 && !strchr(known + prefix, '.') &&
            strcasecmp(known + prefix, name) == 0)
            return &config_keys[i];
    }
    return NULL;
}

/* The objects of one file: itself, and its sections. */
struct section {
    char prefix[16]; /* "" or "mdns." */
    json_t *object;  /* borrowed */
};

enum { SECTIONS_MAX = 4 };

static size_t find_sections(json_t *root, struct section *sections)
{
    size_t count = 0;
    sections[count++] = (struct section){"", root};
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        const struct config_key *key = find_key("", name);
        if (!key || key->type != CONFIG_SECTION || !json_is_object(value) || count == SECTIONS_MAX)
            continue;
        snprintf(sections[count].prefix, sizeof(sections[count].prefix), "%s.", key->name);
        sections[count++].object = value;
    }
    return count;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool report_unknown(char **unknown, size_t count, struct span json, struct buffer *error)
{
    qsort(unknown, count, sizeof(*unknown), compare_names);
    buffer_append_text(error, "has invalid keys: ");
    for (size_t i = 0; i < count && i < UNKNOWN_KEYS_NAMED_MAX; i++) {
        const char *dot = strrchr(unknown[i], '.');
        size_t line = line_of_key(json, dot ? dot + 1 : unknown[i]);
        buffer_printf(error, "%s%s", i > 0 ? ", " : "", unknown[i]);
        if (line > 0)
            buffer_printf(error, " (line %zu)", line);
    }
    if (count > UNKNOWN_KEYS_NAMED_MAX)
        buffer_printf(error, " and %zu more", count - UNKNOWN_KEYS_NAMED_MAX);
    buffer_append_text(error, "; mend their spelling or take them out");
    return false;
}

static bool check_known(const struct section *sections, size_t section_count, struct span json,
                        struct buffer *error)
{
    size_t total = 0, count = 0;
    for (size_t i = 0; i < section_count; i++)
        total += json_object_size(sections[i].object);
    char **unknown = calloc(total + 1, sizeof(*unknown));
    if (!unknown)
        return out_of_memory(error);
    bool good = true;
    for (size_t i = 0; i < section_count; i++) {
        const char *name;
        json_t *value;
        json_object_foreach(sections[i].object, name, value)
        {
            if (find_key(sections[i].prefix, name))
                continue;
            if (asprintf(&unknown[count], "%s%s", sections[i].prefix, name) < 0)
                unknown[count] = NULL;
            else
                count++;
        }
    }
    if (count > 0)
        good = report_unknown(unknown, count, json, error);
    for (size_t i = 0; i < count; i++)
        free(unknown[i]);
    free(unknown);
    return good;
}

static bool decode_section(struct agent_config *config, const struct section *section,
                           struct span json, struct buffer *error)
{
    const char *name;
    json_t *value;
    json_object_foreach(section->object, name, value)
    {
        if (json_is_null(value))
            continue;
        if (!decode_value(config, find_key(section->prefix, name), value, json, error))
            return false;
    }
    return true;
}

static bool decode_root(struct agent_config *config, json_t *root, struct span json,
                        struct buffer *error)
{
    if (json_is_null(root))
        return true;
    if (!json_is_object(root)) {
        buffer_append_text(error, "expected one object in braces, such as "
                                  "{\"node_name\": \"n1\"}, got ");
        describe_value(error, root);
        return false;
    }
    struct section sections[SECTIONS_MAX];
    size_t count = find_sections(root, sections);
    if (!check_known(sections, count, json, error))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!decode_section(config, &sections[i], json, error))
            return false;
    return true;
}

bool agent_config_decode(struct agent_config *config, struct span json, struct buffer *error)
{
    json_t *root = parse(json, error);
    if (!root)
        return false;
    bool decoded = decode_root(config, root, json, error);
    json_decref(root);
    return decoded;
}

/* --- files and directories --- */

bool agent_config_read_file(struct agent_config *config, const char *path, struct buffer *error)
{
    struct buffer contents, reason;
    buffer_init(&contents, CONFIG_FILE_SIZE_MAX);
    buffer_init(&reason, 4096);
    bool good = file_read(path, &contents, &reason);
    if (!good)
        buffer_printf(error, "Error reading '%s': %s", path, buffer_text(&reason));
    config->origin = path;
    if (good && !agent_config_decode(config, buffer_span(&contents), &reason)) {
        buffer_printf(error, "Error decoding '%s': %s", path, buffer_text(&reason));
        good = false;
    }
    config->origin = NULL;
    buffer_fini(&contents);
    buffer_fini(&reason);
    return good;
}

static bool names_json(const char *name)
{
    size_t size = strlen(name);
    return size >= 5 && strcmp(name + size - 5, ".json") == 0;
}

static bool list_directory(const char *path, char **names, size_t *count, struct buffer *error)
{
    DIR *directory = opendir(path);
    if (!directory)
        return buffer_printf(error, "Error reading '%s': open %s: %s", path, path,
                             system_error_text(errno)) &&
               false;
    bool good = true;
    const struct dirent *entry;
    while (good && (entry = readdir(directory))) {
        if (!names_json(entry->d_name))
            continue;
        if (*count == CONFIG_FILES_MAX) {
            buffer_printf(error, "Error reading '%s': a directory has at most %d .json files", path,
                          CONFIG_FILES_MAX);
            good = false;
        } else if (asprintf(&names[*count], "%s/%s", path, entry->d_name) < 0) {
            good = out_of_memory(error);
        } else {
            ++*count;
        }
    }
    closedir(directory);
    qsort(names, *count, sizeof(*names), compare_names);
    return good;
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool read_directory(struct agent_config *config, const char *path, struct buffer *error)
{
    char **names = calloc(CONFIG_FILES_MAX, sizeof(*names));
    if (!names)
        return out_of_memory(error);
    size_t count = 0;
    bool good = list_directory(path, names, &count, error);
    for (size_t i = 0; i < count; i++) {
        if (good && !is_directory(names[i]))
            good = agent_config_read_file(config, names[i], error);
        free(names[i]);
    }
    free(names);
    return good;
}

bool agent_config_read_path(struct agent_config *config, const char *path, struct buffer *error)
{
    if (is_directory(path))
        return read_directory(config, path, error);
    return agent_config_read_file(config, path, error);
}
