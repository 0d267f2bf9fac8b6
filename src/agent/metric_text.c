#include "metric_text.h"

#include "json_text.h"

void metric_text_head(struct metric_text *text, const char *name, const char *help,
                      const char *type)
{
    if (text->last && strcmp(text->last, name) == 0)
        return;
    text->last = name;
    buffer_printf(text->out, "# HELP %s %s\n# TYPE %s %s\n", name, help ? help : "", name, type);
}

static void append_character(struct buffer *out, const uint8_t *p, size_t size)
{
    uint8_t c = p[0];
    if (c == '\n')
        buffer_append_text(out, "\\n");
    else if (c == '"' || c == '\\')
        buffer_printf(out, "\\%c", c);
    else if (size == 0 || c < ' ' || c == 0x7f)
        buffer_printf(out, "\\\\x%02x", c);
    else
        buffer_append(out, p, size);
}

void metric_text_label(struct buffer *out, struct span value)
{
    struct span rest = value;
    buffer_append_u8(out, '"');
    while (rest.size > 0) {
        size_t size = utf8_size(rest.data, rest.size);
        append_character(out, rest.data, size);
        rest = span_from(rest, size > 0 ? size : 1);
    }
    buffer_append_u8(out, '"');
}

void metric_text_plain(struct metric_text *text, const char *name, const char *help,
                       const char *type, double value)
{
    metric_text_head(text, name, help, type);
    buffer_printf(text->out, "%s %.17g\n", name, value);
}
