/* Values are written as in a file, so that a line can be taken over into one. */
#include "config_report.h"

#include "duration.h"
#include "json_text.h"

#include <stdio.h>

static const char masked[] = "\"(secret)\"";

static void append_list(struct buffer *out, const struct text_list *list)
{
    buffer_append_u8(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buffer_append_text(out, i > 0 ? ", " : "");
        json_append_string(out, span_text(list->values[i]));
    }
    buffer_append_u8(out, ']');
}

static void append_map(struct buffer *out, const struct text_map *map)
{
    buffer_append_u8(out, '{');
    for (size_t i = 0; i < map->count; i++) {
        buffer_append_text(out, i > 0 ? ", " : "");
        json_append_string(out, span_text(map->pairs[i].key));
        buffer_append_text(out, ": ");
        json_append_string(out, span_text(map->pairs[i].value));
    }
    buffer_append_u8(out, '}');
}

static void append_value(struct buffer *out, const struct config_key *key,
                         const struct agent_config *config)
{
    const void *value = agent_config_value(key, config);
    char text[DURATION_TEXT_SIZE];
    switch (key->type) {
    case CONFIG_STRING:
        if (key->secret && *(char *const *)value)
            buffer_append_text(out, masked);
        else
            json_append_string(out, span_text(text_or_empty(*(char *const *)value)));
        break;
    case CONFIG_BOOL:
        buffer_append_text(out, *(const bool *)value ? "true" : "false");
        break;
    case CONFIG_INTEGER:
        buffer_printf(out, "%lld", (long long)*(const int64_t *)value);
        break;
    case CONFIG_DURATION:
        buffer_printf(out, "\"%s\"", duration_text(*(const int64_t *)value, text));
        break;
    case CONFIG_LIST:
        append_list(out, value);
        break;
    case CONFIG_MAP:
        append_map(out, value);
        break;
    case CONFIG_SECTION:
        break;
    }
}

void agent_config_report(const struct agent_config *config, struct buffer *out)
{
    struct buffer value;
    buffer_init(&value, CONFIG_REPORT_SIZE_MAX);
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].type == CONFIG_SECTION)
            continue;
        buffer_reset(&value);
        append_value(&value, &config_keys[i], config);
        buffer_printf(out, "%-26s %-24s  ", config_keys[i].name, buffer_text(&value));
        agent_config_append_source(&config_keys[i], config, out);
        buffer_append_u8(out, '\n');
    }
    buffer_fini(&value);
}
