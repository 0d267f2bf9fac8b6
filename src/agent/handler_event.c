/* The formats are the reference's to the byte, its oddities too, since scripts parse them: tabs and
 * newlines of names and tags become two characters each, but nothing else is escaped; a payload
 * gets a newline only when it lacks one. */
#include "handler_event.h"

#include "config_environment.h"
#include "endpoint.h"
#include "serf_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ENVIRONMENT_SIZE_MAX = 1024 * 1024,
    ENVIRONMENT_COUNT_MAX = 4096,
};

/* --- events --- */

static struct handler_event *event_new(enum handler_subject subject)
{
    struct handler_event *event = calloc(1, sizeof(*event));
    if (!event)
        return NULL;
    event->references = 1;
    event->subject = subject;
    buffer_init(&event->name, HANDLER_INPUT_SIZE_MAX);
    buffer_init(&event->input, HANDLER_INPUT_SIZE_MAX);
    return event;
}

static struct handler_event *unless_failed(struct handler_event *event)
{
    if (!event->name.failed && !event->input.failed)
        return event;
    handler_event_release(event);
    return NULL;
}

static void append_cleaned(struct buffer *out, struct span text)
{
    for (size_t i = 0; i < text.size;) {
        size_t plain = i;
        while (plain < text.size && text.data[plain] != '\t' && text.data[plain] != '\n')
            plain++;
        buffer_append(out, text.data + i, plain - i);
        if (plain < text.size)
            buffer_append_text(out, text.data[plain] == '\t' ? "\\t" : "\\n");
        i = plain + 1;
    }
}

static struct span find_role(struct span meta)
{
    struct tag_reader reader;
    struct span key, value;
    if (tag_reader_open(&reader, meta))
        while (tag_reader_next(&reader, &key, &value))
            if (span_equal_text(key, "role"))
                return value;
    return SPAN_EMPTY;
}

static void append_tags(struct buffer *out, struct span meta)
{
    struct tag_reader reader;
    struct span key, value;
    bool first = true;
    if (!tag_reader_open(&reader, meta))
        return;
    while (tag_reader_next(&reader, &key, &value)) {
        if (!first)
            buffer_append_u8(out, ',');
        first = false;
        append_cleaned(out, key);
        buffer_append_u8(out, '=');
        append_cleaned(out, value);
    }
}

static void append_member(struct buffer *out, const struct member_view *member)
{
    char address[ADDRESS_TEXT_SIZE];
    append_cleaned(out, member->name);
    buffer_append_u8(out, '\t');
    buffer_append_text(out, endpoint_address_text(&member->endpoint, address));
    buffer_append_u8(out, '\t');
    append_cleaned(out, find_role(member->meta));
    buffer_append_u8(out, '\t');
    append_tags(out, member->meta);
    buffer_append_u8(out, '\n');
}

struct handler_event *handler_event_empty(enum member_event_type type)
{
    struct handler_event *event = event_new(HANDLER_MEMBER);
    if (event)
        event->type = type;
    return event;
}

struct handler_event *handler_event_members(enum member_event_type type,
                                            const struct member_view *members, size_t count)
{
    struct handler_event *event = handler_event_empty(type);
    if (!event)
        return NULL;
    for (size_t i = 0; i < count; i++)
        append_member(&event->input, &members[i]);
    return unless_failed(event);
}

static struct handler_event *event_with_payload(enum handler_subject subject, uint64_t ltime,
                                                struct span name, struct span payload)
{
    struct handler_event *event = event_new(subject);
    if (!event)
        return NULL;
    event->ltime = ltime;
    buffer_append_span(&event->name, name);
    buffer_append_span(&event->input, payload);
    if (payload.size > 0 && payload.data[payload.size - 1] != '\n')
        buffer_append_u8(&event->input, '\n');
    return unless_failed(event);
}

struct handler_event *handler_event_user(uint64_t ltime, struct span name, struct span payload)
{
    return event_with_payload(HANDLER_USER, ltime, name, payload);
}

struct handler_event *handler_event_query(uint32_t query, uint64_t ltime, uint64_t deadline,
                                          struct span name, struct span payload)
{
    struct handler_event *event = event_with_payload(HANDLER_QUERY, ltime, name, payload);
    if (event) {
        event->query = query;
        event->deadline = deadline;
    }
    return event;
}

struct handler_event *handler_event_hold(struct handler_event *event)
{
    event->references++;
    return event;
}

void handler_event_release(struct handler_event *event)
{
    if (--event->references > 0)
        return;
    buffer_fini(&event->name);
    buffer_fini(&event->input);
    free(event);
}

size_t handler_event_size(const struct handler_event *event)
{
    return sizeof(*event) + event->name.capacity + event->input.capacity;
}

struct handler_event_key handler_event_key(const struct handler_event *event)
{
    return (struct handler_event_key){event->subject, event->type, buffer_span(&event->name)};
}

const char *handler_event_word(const struct handler_event *event)
{
    switch (event->subject) {
    case HANDLER_MEMBER:
        return member_event_name(event->type);
    case HANDLER_USER:
        return "user";
    default:
        return "query";
    }
}

/* --- the environment --- */

/* Variables as "NAME=value\0", each name once. */
struct variables {
    struct buffer texts;
    size_t offsets[ENVIRONMENT_COUNT_MAX];
    size_t count;
    bool failed;
};

static size_t name_size(const char *variable)
{
    const char *equals = strchr(variable + 1, '='); /* a name has one byte at least */
    return equals ? (size_t)(equals - variable) : strlen(variable);
}

/* Places a variable whose text begins at `offset` and is complete; a later one of the same name
 * replaces an earlier one. */
static void place(struct variables *variables, size_t offset)
{
    if (variables->texts.failed || variables->count == ENVIRONMENT_COUNT_MAX) {
        variables->failed = true;
        return;
    }
    const char *texts = (const char *)variables->texts.data;
    size_t size = name_size(texts + offset);
    for (size_t i = 0; i < variables->count; i++) {
        const char *present = texts + variables->offsets[i];
        if (name_size(present) == size && memcmp(present, texts + offset, size) == 0) {
            variables->offsets[i] = offset;
            return;
        }
    }
    variables->offsets[variables->count++] = offset;
}

static void add(struct variables *variables, const char *name, struct span value)
{
    size_t offset = variables->texts.size;
    buffer_append_text(&variables->texts, name);
    buffer_append_u8(&variables->texts, '=');
    buffer_append_span(&variables->texts, value);
    buffer_append_u8(&variables->texts, '\0');
    place(variables, offset);
}

static void add_number(struct variables *variables, const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    add(variables, name, span_text(text));
}

/* The size of the UTF-8 sequence at the start of `text`; 1 for a byte that begins none. */
static size_t code_point_size(struct span text)
{
    uint8_t c = text.data[0];
    size_t size = c >= 0xf0 && c <= 0xf4  ? 4
                  : c >= 0xe0 && c < 0xf0 ? 3
                  : c >= 0xc2 && c < 0xe0 ? 2
                                          : 1;
    if (size > text.size)
        return 1;
    for (size_t i = 1; i < size; i++)
        if ((text.data[i] & 0xc0) != 0x80)
            return 1;
    bool overlong = (c == 0xe0 && text.data[1] < 0xa0) || (c == 0xf0 && text.data[1] < 0x90);
    bool beyond = (c == 0xed && text.data[1] > 0x9f) || (c == 0xf4 && text.data[1] > 0x8f);
    return size > 1 && (overlong || beyond) ? 1 : size;
}

/* Upper case, and "_" for what then is no letter, digit or "_" of ASCII. Two letters beyond ASCII
 * have an upper case within it: the dotless i and the long s. */
static void append_variable_name(struct buffer *out, struct span tag)
{
    while (tag.size > 0) {
        size_t size = code_point_size(tag);
        uint8_t c = tag.data[0];
        if (c >= 'a' && c <= 'z')
            c = (uint8_t)(c - 'a' + 'A');
        else if (size == 2 && tag.data[0] == 0xc4 && tag.data[1] == 0xb1)
            c = 'I';
        else if (size == 2 && tag.data[0] == 0xc5 && tag.data[1] == 0xbf)
            c = 'S';
        else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
            c = '_';
        buffer_append_u8(out, c);
        tag = span_from(tag, size);
    }
}

static void add_tags(struct variables *variables, const struct text_map *tags)
{
    struct buffer name;
    buffer_init(&name, ENVIRONMENT_SIZE_MAX);
    for (size_t i = 0; i < tags->count; i++) {
        buffer_reset(&name);
        buffer_append_text(&name, "SERF_TAG_");
        append_variable_name(&name, span_text(tags->pairs[i].key));
        variables->failed |= name.failed;
        add(variables, buffer_text(&name), span_text(tags->pairs[i].value));
    }
    buffer_fini(&name);
}

static const char *find_tag(const struct text_map *tags, const char *key)
{
    for (size_t i = 0; i < tags->count; i++)
        if (strcmp(tags->pairs[i].key, key) == 0)
            return tags->pairs[i].value;
    return "";
}

static void add_inherited(struct variables *variables)
{
    for (char **variable = environ; variable && *variable; variable++) {
        size_t offset = variables->texts.size;
        if (**variable == '\0' || agent_config_variable_is_secret(*variable))
            continue;
        buffer_append(&variables->texts, *variable, strlen(*variable) + 1);
        place(variables, offset);
    }
}

static void fill(struct variables *variables, const struct handler_event *event,
                 const char *self_name, const struct text_map *tags)
{
    add_inherited(variables);
    add(variables, "SERF_EVENT", span_text(handler_event_word(event)));
    add(variables, "SERF_SELF_NAME", span_text(self_name));
    add(variables, "SERF_SELF_ROLE", span_text(find_tag(tags, "role")));
    add_tags(variables, tags);
    if (event->subject == HANDLER_USER) {
        add(variables, "SERF_USER_EVENT", buffer_span(&event->name));
        add_number(variables, "SERF_USER_LTIME", event->ltime);
    } else if (event->subject == HANDLER_QUERY) {
        add(variables, "SERF_QUERY_NAME", buffer_span(&event->name));
        add_number(variables, "SERF_QUERY_LTIME", event->ltime);
    }
}

/* The pointers, and behind them what they point to. */
static char **pack(const struct variables *variables)
{
    size_t pointers = (variables->count + 1) * sizeof(char *);
    char **packed = malloc(pointers + variables->texts.size);
    if (!packed)
        return NULL;
    char *texts = (char *)packed + pointers;
    memcpy(texts, variables->texts.data, variables->texts.size);
    for (size_t i = 0; i < variables->count; i++)
        packed[i] = texts + variables->offsets[i];
    packed[variables->count] = NULL;
    return packed;
}

char **handler_environment(const struct handler_event *event, const char *self_name,
                           const struct text_map *tags, struct buffer *error)
{
    if (event->name.size > 0 && memchr(event->name.data, '\0', event->name.size)) {
        buffer_append_text(error, "exec: environment variable contains NUL");
        return NULL;
    }
    struct variables *variables = calloc(1, sizeof(*variables));
    char **packed = NULL;
    if (variables) {
        buffer_init(&variables->texts, ENVIRONMENT_SIZE_MAX);
        fill(variables, event, self_name, tags);
        if (!variables->failed && !variables->texts.failed)
            packed = pack(variables);
        buffer_fini(&variables->texts);
        free(variables);
    }
    if (!packed)
        buffer_printf(error, "out of memory, or the environment has more than %d bytes or %d names",
                      ENVIRONMENT_SIZE_MAX, ENVIRONMENT_COUNT_MAX);
    return packed;
}
