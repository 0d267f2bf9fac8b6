/* The message stays the text that people know, so that what they search for is found in either
 * format; the fields repeat its parts for programs. The core's lines come as text only: of those
 * about members, which matter most, the parts are found again here. */
#include "log_json.h"

#include "endpoint.h"
#include "json_text.h"

#include <stdio.h>
#include <time.h>

enum { COMPONENT_SIZE_MAX = 32 };

/* UTC with microseconds. */
static void append_time(struct buffer *out)
{
    struct timespec now = {0};
    struct tm utc = {0};
    char text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    buffer_printf(out, "\"%s.%06ldZ\"", text, now.tv_nsec / 1000);
}

/* The size of "component" in "component: message", or 0. */
static size_t component_size(struct span text)
{
    size_t size = 0;
    while (size < text.size && size < COMPONENT_SIZE_MAX &&
           ((text.data[size] >= 'a' && text.data[size] <= 'z') || text.data[size] == '.'))
        size++;
    bool ends = size + 1 < text.size && text.data[size] == ':' && text.data[size + 1] == ' ';
    return ends ? size : 0;
}

static void append_cut(struct buffer *out, struct span text)
{
    if (text.size > LOG_LINE_SIZE_MAX)
        text.size = LOG_LINE_SIZE_MAX;
    json_append_string(out, text);
}

static void append_fields(struct buffer *out, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(out, i > 0 ? "," : ",\"fields\":{");
        json_append_string(out, span_text(fields[i].key));
        buffer_append_u8(out, ':');
        append_cut(out, fields[i].text);
    }
    if (count > 0)
        buffer_append_u8(out, '}');
}

static bool begins(struct span text, const char *start)
{
    size_t size = strlen(start);
    return text.size >= size && memcmp(text.data, start, size) == 0;
}

static size_t last_space(struct span text)
{
    size_t place = text.size;
    while (place > 0 && text.data[place - 1] != ' ')
        place--;
    return place;
}

/* "EventMemberJoin: NAME ADDRESS"; the lines about updates and reaping have no address. Returns how
 * many fields there are. */
static size_t member_fields(struct span message, struct log_field fields[2])
{
    const uint8_t *colon =
        begins(message, "EventMember") ? memmem(message.data, message.size, ": ", 2) : NULL;
    if (!colon)
        return 0;
    struct span rest = span_from(message, (size_t)(colon - message.data) + 2);
    fields[0] = (struct log_field){"member", rest};
    size_t space = last_space(rest);
    if (space == 0 || begins(message, "EventMemberUpdate") || begins(message, "EventMemberReap:"))
        return 1;
    fields[0].text.size = space - 1;
    fields[1] = (struct log_field){"address", span_from(rest, space)};
    return 2;
}

void log_json_append(struct buffer *out, enum log_level level, struct span text,
                     const struct log_field *fields, size_t field_count)
{
    size_t component = component_size(text);
    struct span message = component > 0 ? span_from(text, component + 2) : text;
    struct log_field found[2];
    if (field_count == 0) {
        field_count = member_fields(message, found);
        fields = found;
    }
    buffer_append_text(out, "{\"time\":");
    append_time(out);
    buffer_printf(out, ",\"level\":\"%s\",\"component\":", log_level_name(level));
    json_append_string(out, component > 0 ? span_make(text.data, component) : span_text("agent"));
    buffer_append_text(out, ",\"message\":");
    append_cut(out, message);
    append_fields(out, fields, field_count);
    buffer_append_text(out, "}\n");
}
