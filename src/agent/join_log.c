/* The error of a join is a list of several lines, made for a terminal. In the log that would be
 * one record and some stray lines behind it, so there its items share a line. */
#include "join_log.h"

static const char item_start[] = "\n\t* ";

static const uint8_t *next_item(struct span text)
{
    return text.size > 0 ? memmem(text.data, text.size, item_start, sizeof(item_start) - 1) : NULL;
}

void join_error_line(struct buffer *out, struct span error)
{
    const uint8_t *end = error.data + error.size;
    const uint8_t *item = next_item(error);
    if (!item) {
        buffer_append_span(out, error);
        return;
    }
    for (const char *separator = ""; item; separator = "; ") {
        const uint8_t *text = item + sizeof(item_start) - 1;
        struct span rest = span_make(text, (size_t)(end - text));
        const uint8_t *following = next_item(rest);
        size_t size = following ? (size_t)(following - text) : rest.size;
        while (size > 0 && text[size - 1] == '\n')
            size--;
        buffer_append_text(out, separator);
        buffer_append(out, text, size);
        item = following;
    }
}

void join_log_begin(struct agent_log *log, const struct span *addresses, size_t count, bool replay)
{
    struct buffer text;
    buffer_init(&text, LOG_LINE_SIZE_MAX);
    buffer_append_text(&text, "agent: joining: [");
    for (size_t i = 0; i < count && !text.failed; i++) {
        buffer_append_text(&text, i > 0 ? " " : "");
        buffer_append_span(&text, addresses[i]);
    }
    buffer_printf(&text, "] replay: %s", replay ? "true" : "false");
    agent_log_write(log, LOG_LEVEL_INFO, buffer_span(&text));
    buffer_fini(&text);
}

void join_log_end(struct agent_log *log, uint32_t count, struct span error)
{
    if (count > 0) {
        agent_log_printf(log, LOG_LEVEL_INFO, "agent: joined: %u nodes", count);
        return;
    }
    struct buffer text;
    buffer_init(&text, LOG_LINE_SIZE_MAX);
    buffer_append_text(&text, "agent: error joining: ");
    join_error_line(&text, error);
    agent_log_write(log, LOG_LEVEL_WARN, buffer_span(&text));
    buffer_fini(&text);
}
