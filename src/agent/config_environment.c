/* Kubernetes puts variables into every container for every Service of the namespace, and a Service
 * may be called "serf-agent" or "serf-agent-bind"; so whatever has the form of those is passed over
 * before anything is believed. Variables are looked up key by key, since the order of an
 * environment is nobody's choice: SERF_AGENT_TAGS comes before the single tags, always. */
#include "config_environment.h"

#include "duration.h"
#include "endpoint.h"
#include "files.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PREFIX     "SERF_AGENT_"
#define TAG_PREFIX PREFIX "TAG_"
#define FILE_END   "_FILE"

enum { PREFIX_SIZE = sizeof(PREFIX) - 1, NAME_SIZE_MAX = 64, UNKNOWN_NAMED_MAX = 16 };

/* --- names --- */

static struct span name_of(const char *variable)
{
    return span_make(variable, strcspn(variable, "="));
}

static bool starts_with(struct span text, const char *start)
{
    size_t size = strlen(start);
    return text.size >= size && memcmp(text.data, start, size) == 0;
}

static bool ends_with(struct span text, const char *end)
{
    size_t size = strlen(end);
    return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

static void variable_name(const struct config_key *key, const char *end, char name[NAME_SIZE_MAX])
{
    struct buffer text;
    buffer_init(&text, NAME_SIZE_MAX - 1);
    buffer_append_text(&text, PREFIX);
    for (const char *p = key->name; *p; p++)
        buffer_append_u8(&text, *p == '.' ? '_' : (uint8_t)toupper((unsigned char)*p));
    buffer_append_text(&text, end);
    memcpy(name, buffer_text(&text), text.size + 1);
    buffer_fini(&text);
}

static const char *find(char *const *environment, const char *name)
{
    for (; *environment; environment++) {
        struct span present = name_of(*environment);
        if (span_equal_text(present, name) && (*environment)[present.size] == '=')
            return *environment + present.size + 1;
    }
    return NULL;
}

static bool contains(struct span text, const char *part, size_t *position)
{
    size_t size = strlen(part);
    for (*position = 0; *position + size <= text.size; ++*position)
        if (memcmp(text.data + *position, part, size) == 0)
            return true;
    return false;
}

/* "_PORT_7946_TCP", and the same with "_PROTO", "_PORT" or "_ADDR" behind it. */
static bool names_service_port(struct span name)
{
    static const char *const protocols[] = {"_TCP", "_UDP", "_SCTP"};
    static const char *const ends[] = {"", "_PROTO", "_PORT", "_ADDR"};
    size_t position;
    if (!contains(name, "_PORT_", &position))
        return false;
    struct span rest = span_from(name, position + 6);
    size_t digits = 0;
    while (digits < rest.size && isdigit(rest.data[digits]))
        digits++;
    rest = span_from(rest, digits);
    for (size_t p = 0; digits > 0 && p < 3; p++)
        for (size_t e = 0; e < 4; e++)
            if (starts_with(rest, protocols[p]) &&
                span_equal_text(span_from(rest, strlen(protocols[p])), ends[e]))
                return true;
    return false;
}

/* Whether Kubernetes sets a variable of this form for some Service. */
static bool is_of_a_service(const char *variable)
{
    struct span name = name_of(variable);
    const char *value = variable + name.size;
    size_t position;
    if (ends_with(name, "_SERVICE_HOST") || ends_with(name, "_SERVICE_PORT") ||
        contains(name, "_SERVICE_PORT_", &position) || names_service_port(name))
        return true;
    return ends_with(name, "_PORT") &&
           (strncmp(value, "=tcp://", 7) == 0 || strncmp(value, "=udp://", 7) == 0 ||
            strncmp(value, "=sctp://", 8) == 0);
}

/* --- values --- */

static bool refuse(struct buffer *error, const char *name, const char *expected, const char *value)
{
    buffer_printf(error, "Error in the environment: %s: expected %s, got ", name, expected);
    buffer_append_quoted(error, span_text(value));
    return false;
}

static bool set_bool(struct agent_config *config, const struct config_key *key, const char *name,
                     const char *value, struct buffer *error)
{
    static const char *const words[] = {"false", "true", "0", "1"};
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(value, words[i]) != 0)
            continue;
        config_set_bool(config, key, i % 2 == 1);
        return true;
    }
    return refuse(error, name, "true or false", value);
}

static bool set_integer(struct agent_config *config, const struct config_key *key, const char *name,
                        const char *value, struct buffer *error)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (*end || isspace((unsigned char)*value) || errno != 0)
        return refuse(error, name, "a whole number", value);
    config_set_number(config, key, number);
    return true;
}

static bool set_duration(struct agent_config *config, const struct config_key *key,
                         const char *name, const char *value, struct buffer *error)
{
    int64_t duration;
    if (!duration_parse(value, &duration)) {
        buffer_printf(error, "Error in the environment: %s: ", name);
        config_duration_error(error, value);
        return false;
    }
    config_set_number(config, key, duration);
    return true;
}

/* The next line that is not blank, without white space around it; false when there is none. */
static bool next_line(const char **text, struct span *line)
{
    while (**text) {
        size_t size = strcspn(*text, "\n");
        const char *start = *text, *end = start + size;
        *text = end + (*end == '\n');
        while (start < end && isspace((unsigned char)*start))
            start++;
        while (end > start && isspace((unsigned char)end[-1]))
            end--;
        *line = span_make(start, (size_t)(end - start));
        if (line->size > 0)
            return true;
    }
    return false;
}

static bool append_lines(struct agent_config *config, const struct config_key *key,
                         const char *value)
{
    struct span line;
    while (next_line(&value, &line)) {
        char *text = strndup((const char *)line.data, line.size);
        bool good = text && config_append(config, key, text);
        free(text);
        if (!good)
            return false;
    }
    return true;
}

static bool set_pairs(struct agent_config *config, const struct config_key *key, const char *name,
                      const char *value, struct buffer *error)
{
    struct span line;
    const char *rest = value;
    while (next_line(&rest, &line)) {
        const uint8_t *equals = memchr(line.data, '=', line.size);
        if (!equals || equals == line.data)
            return refuse(error, name, "lines of the form key=value", value);
        size_t size = (size_t)(equals - line.data);
        if (!config_set_pair(config, key, span_make(line.data, size), span_from(line, size + 1)))
            return false;
    }
    return true;
}

/* A pod is told its address without brackets, and one that could as well end in a port would be
 * refused without them. */
static bool set_address(struct agent_config *config, const struct config_key *key,
                        const char *value)
{
    struct endpoint endpoint;
    char bracketed[ADDRESS_TEXT_SIZE + 2];
    if (!strchr(value, ':') || !endpoint_from_text(&endpoint, value, 0))
        return config_set_string(config, key, value);
    snprintf(bracketed, sizeof(bracketed), "[%s]", value);
    return config_set_string(config, key, bracketed);
}

/* Empty has been dealt with. */
static bool set_value(struct agent_config *config, const struct config_key *key, const char *name,
                      const char *value, struct buffer *error)
{
    switch (key->type) {
    case CONFIG_STRING:
        return strcmp(key->name, "advertise") == 0 ? set_address(config, key, value)
                                                   : config_set_string(config, key, value);
    case CONFIG_BOOL:
        return set_bool(config, key, name, value, error);
    case CONFIG_INTEGER: /* zero is no value: it leaves the default */
        return config_reset(config, key) && set_integer(config, key, name, value, error);
    case CONFIG_DURATION:
        return config_reset(config, key) && set_duration(config, key, name, value, error);
    case CONFIG_LIST:
        return append_lines(config, key, value);
    case CONFIG_MAP:
        return set_pairs(config, key, name, value, error);
    case CONFIG_SECTION:
        break;
    }
    return true;
}

/* --- secrets --- */

/* What an editor or `echo` leaves at the end is no part of a key. */
static bool check_secret(const char *name, const char *path, struct buffer *text,
                         struct buffer *error)
{
    size_t size = text->size;
    while (size > 0 && isspace(text->data[size - 1]))
        size--;
    buffer_truncate(text, size);
    if (size > 0 && !memchr(text->data, '\0', size))
        return true;
    buffer_printf(error, "Error in the environment: %s: '%s' %s; it holds the value as one text",
                  name, path, size == 0 ? "is empty" : "contains a NUL");
    return false;
}

static bool set_from_file(struct agent_config *config, const struct config_key *key,
                          const char *name, const char *path, struct buffer *error)
{
    struct buffer text, reason;
    buffer_init(&text, CONFIG_SECRET_SIZE_MAX);
    buffer_init(&reason, 4096);
    bool good = file_read(path, &text, &reason);
    if (!good)
        buffer_printf(error, "Error in the environment: %s: %s", name, buffer_text(&reason));
    good = good && check_secret(name, path, &text, error) &&
           config_set_string(config, key, buffer_text(&text));
    if (text.size > 0)
        OPENSSL_cleanse(text.data, text.size);
    buffer_fini(&text);
    buffer_fini(&reason);
    return good;
}

static bool read_secret_file(struct agent_config *config, const struct config_key *key,
                             char *const *environment, const char *value, struct buffer *error)
{
    char name[NAME_SIZE_MAX];
    variable_name(key, FILE_END, name);
    const char *path = find(environment, name);
    if (!path || !*path)
        return true;
    if (!value || !*value) {
        config->origin = name;
        bool good = set_from_file(config, key, name, path, error);
        config->origin = NULL;
        return good;
    }
    buffer_printf(error,
                  "Error in the environment: %s and %.*s are both set; one of them holds the "
                  "value, take the other out",
                  name, (int)(strlen(name) - strlen(FILE_END)), name);
    return false;
}

/* Whether the variable is the key's flag in the form of a key, "SERF_AGENT_ENCRYPT". */
static bool is_flag_of(struct span variable, const struct config_key *key)
{
    size_t size = key->flag ? strlen(key->flag) : 0;
    if (size == 0 || !starts_with(variable, PREFIX) || variable.size < PREFIX_SIZE + size)
        return false;
    struct span rest = span_from(variable, PREFIX_SIZE);
    for (size_t i = 0; i < size; i++)
        if (rest.data[i] != (key->flag[i] == '-' ? '_' : toupper((unsigned char)key->flag[i])))
            return false;
    rest = span_from(rest, size);
    return rest.size == 0 || (key->secret && span_equal_text(rest, FILE_END));
}

bool agent_config_variable_is_secret(const char *variable)
{
    char name[NAME_SIZE_MAX];
    for (size_t i = 0; i < config_key_count; i++) {
        if (!config_keys[i].secret)
            continue;
        variable_name(&config_keys[i], "", name);
        if (span_equal_text(name_of(variable), name) ||
            is_flag_of(name_of(variable), &config_keys[i]))
            return true;
    }
    return false;
}

/* --- all of it --- */

static bool read_key(struct agent_config *config, const struct config_key *key,
                     char *const *environment, struct buffer *error)
{
    char name[NAME_SIZE_MAX];
    variable_name(key, "", name);
    const char *value = find(environment, name);
    config->origin = name;
    bool good = true;
    if (value)
        good = *value ? set_value(config, key, name, value, error) : config_reset(config, key);
    if (good && key->secret)
        good = read_secret_file(config, key, environment, value, error);
    config->origin = NULL;
    return good;
}

static bool is_tag(const char *variable)
{
    struct span name = name_of(variable);
    return starts_with(name, TAG_PREFIX) && name.size > sizeof(TAG_PREFIX) - 1 &&
           variable[name.size] == '=' && !is_of_a_service(variable);
}

static const struct config_key *tags_key(void)
{
    size_t i = 0;
    while (strcmp(config_keys[i].name, "tags") != 0)
        i++;
    return &config_keys[i];
}

/* An empty value sets none: a pod may lack the label that the value was to come from. */
static bool set_tag(struct agent_config *config, struct span tag, const char *value)
{
    if (*value)
        return config_set_pair(config, tags_key(), tag, span_text(value));
    text_map_remove(&config->tags, tag);
    return true;
}

static bool read_tag(struct agent_config *config, const char *variable)
{
    struct span name = name_of(variable);
    char *text = strndup(variable, name.size);
    if (!text)
        return false;
    config->origin = text;
    struct buffer tag;
    buffer_init(&tag, name.size);
    for (const char *p = text + sizeof(TAG_PREFIX) - 1; *p; p++)
        buffer_append_u8(&tag, (uint8_t)tolower((unsigned char)*p));
    bool good = !tag.failed && set_tag(config, buffer_span(&tag), variable + name.size + 1);
    config->origin = NULL;
    buffer_fini(&tag);
    free(text);
    return good;
}

bool agent_config_read_environment(struct agent_config *config, char *const *environment,
                                   struct buffer *error)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (config_keys[i].type != CONFIG_SECTION &&
            !read_key(config, &config_keys[i], environment, error))
            return false;
    for (char *const *variable = environment; *variable; variable++)
        if (is_tag(*variable) && !read_tag(config, *variable))
            return false;
    return true;
}

/* --- what means nothing --- */

static bool is_known(struct span variable)
{
    char name[NAME_SIZE_MAX];
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].type == CONFIG_SECTION)
            continue;
        variable_name(&config_keys[i], "", name);
        if (span_equal_text(variable, name))
            return true;
        variable_name(&config_keys[i], FILE_END, name);
        if (config_keys[i].secret && span_equal_text(variable, name))
            return true;
    }
    return false;
}

/* Flags and keys often have different names: a key that is meant to encrypt must not be missed. */
static void append_unknown(struct buffer *out, struct span variable)
{
    char name[NAME_SIZE_MAX];
    buffer_printf(out, "%s%.*s", out->size > 0 ? ", " : "", SPAN_PRINT(variable));
    for (size_t i = 0; i < config_key_count; i++) {
        if (!is_flag_of(variable, &config_keys[i]))
            continue;
        variable_name(&config_keys[i], ends_with(variable, FILE_END) ? FILE_END : "", name);
        buffer_printf(out, " (-%s is %s)", config_keys[i].flag, name);
        return;
    }
}

void agent_config_environment_notices(char *const *environment, config_notice *notice,
                                      void *context)
{
    struct buffer text;
    size_t count = 0;
    buffer_init(&text, 16 * 1024);
    for (; *environment; environment++) {
        struct span name = name_of(*environment);
        if (!starts_with(name, PREFIX) || name.size == PREFIX_SIZE || is_known(name) ||
            is_tag(*environment) || is_of_a_service(*environment))
            continue;
        if (count++ < UNKNOWN_NAMED_MAX)
            append_unknown(&text, name);
    }
    if (count > UNKNOWN_NAMED_MAX)
        buffer_printf(&text, " and %zu more", count - UNKNOWN_NAMED_MAX);
    struct buffer line;
    buffer_init(&line, 20 * 1024);
    buffer_printf(&line,
                  "Warning: unknown in the environment: %s; a setting is %sKEY, with the key of "
                  "the configuration in upper case",
                  buffer_text(&text), PREFIX);
    if (count > 0)
        notice(context, buffer_text(&line));
    buffer_fini(&line);
    buffer_fini(&text);
}
