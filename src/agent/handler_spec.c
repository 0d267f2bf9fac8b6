/* The first "=" ends the list of events, so a script with one of its own needs "*=" in front. Where
 * nothing before it can be meant as a list ("/usr/bin/notify --to=ops"), the whole is a script all
 * the same; but a word that may be a misspelt event is refused, since a handler that runs for
 * everything, or for nothing, is found out about too late. */
#include "handler_spec.h"

#include <stdlib.h>

static const enum member_event_type member_types[] = {
    MEMBER_EVENT_JOIN,   MEMBER_EVENT_LEAVE, MEMBER_EVENT_FAILED,
    MEMBER_EVENT_UPDATE, MEMBER_EVENT_REAP,
};

static bool starts_with(struct span text, const char *start)
{
    size_t size = strlen(start);
    return text.size >= size && memcmp(text.data, start, size) == 0;
}

static bool parse_filter(struct handler_filter *filter, struct span word)
{
    *filter = (struct handler_filter){.subject = HANDLER_EVERYTHING};
    if (span_equal_text(word, "*"))
        return true;
    for (size_t i = 0; i < sizeof(member_types) / sizeof(member_types[0]); i++) {
        if (!span_equal_text(word, member_event_name(member_types[i])))
            continue;
        filter->subject = HANDLER_MEMBER;
        filter->type = member_types[i];
        return true;
    }
    if (span_equal_text(word, "user") || starts_with(word, "user:")) {
        filter->subject = HANDLER_USER;
        filter->name = span_from(word, strlen("user:"));
        return true;
    }
    if (span_equal_text(word, "query") || starts_with(word, "query:")) {
        filter->subject = HANDLER_QUERY;
        filter->name = span_from(word, strlen("query:"));
        return true;
    }
    return false;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Whether the text in front of the first "=" is part of a command line, and no list of events that
 * somebody mistyped. */
static bool is_command(struct span front)
{
    struct handler_filter filter;
    size_t end = 0;
    while (end < front.size && !is_blank(front.data[end]) && front.data[end] != ',')
        end++;
    struct span word = span_make(front.data, end);
    bool path = end > 0 && memchr(front.data, '/', end);
    bool arguments = end > 0 && end < front.size && is_blank(front.data[end]);
    return (path || arguments) && !parse_filter(&filter, word) && !starts_with(word, "member-") &&
           !starts_with(word, "user") && !starts_with(word, "query");
}

static size_t count_words(struct span list)
{
    size_t count = 1;
    for (size_t i = 0; i < list.size; i++)
        count += list.data[i] == ',';
    return count;
}

static bool parse_filters(struct handler_spec *spec, struct span list, struct buffer *error)
{
    size_t start = 0;
    while (start <= list.size) {
        const uint8_t *comma =
            start < list.size ? memchr(list.data + start, ',', list.size - start) : NULL;
        size_t end = comma ? (size_t)(comma - list.data) : list.size;
        struct span word = span_make(list.data + start, end - start);
        if (!parse_filter(&spec->filters[spec->filter_count++], word)) {
            buffer_printf(error,
                          "Event '%.*s' invoking '%s'; before the first \"=\" stand events such as "
                          "member-join, user:NAME, query:NAME or *, so write a script that has a "
                          "\"=\" of its own as '*=SCRIPT'",
                          SPAN_PRINT(word), spec->script);
            return false;
        }
        start = end + 1;
    }
    return true;
}

static bool parse(struct handler_spec *spec, struct buffer *error)
{
    const char *equals = strchr(spec->text, '=');
    struct span list = span_make(spec->text, equals ? (size_t)(equals - spec->text) : 0);
    spec->script = equals ? equals + 1 : spec->text;
    if (is_command(list)) {
        spec->script = spec->text;
        list = SPAN_EMPTY;
    }
    if (list.size == 0)
        list = span_text("*");
    size_t count = count_words(list);
    if (count > HANDLER_FILTERS_MAX) {
        buffer_printf(error, "%zu events invoking '%s'; one handler has at most %d", count,
                      spec->script, HANDLER_FILTERS_MAX);
        return false;
    }
    spec->filters = calloc(count, sizeof(*spec->filters));
    if (!spec->filters) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    return parse_filters(spec, list, error);
}

bool handler_spec_parse(struct handler_spec *spec, const char *text, struct buffer *error)
{
    *spec = (struct handler_spec){.text = strdup(text)};
    if (!spec->text)
        buffer_append_text(error, "out of memory");
    if (spec->text && parse(spec, error))
        return true;
    handler_spec_fini(spec);
    return false;
}

void handler_spec_fini(struct handler_spec *spec)
{
    free(spec->filters);
    free(spec->text);
    *spec = (struct handler_spec){0};
}

static bool matches(const struct handler_filter *filter, const struct handler_event_key *key)
{
    if (filter->subject == HANDLER_EVERYTHING)
        return true;
    if (filter->subject != key->subject)
        return false;
    if (filter->subject == HANDLER_MEMBER)
        return filter->type == key->type;
    return filter->name.size == 0 || span_equal(filter->name, key->name);
}

size_t handler_spec_matches(const struct handler_spec *spec, const struct handler_event_key *key)
{
    size_t count = 0;
    for (size_t i = 0; i < spec->filter_count; i++)
        count += matches(&spec->filters[i], key);
    return count;
}

void handler_filter_text(struct buffer *out, const struct handler_filter *filter)
{
    switch (filter->subject) {
    case HANDLER_EVERYTHING:
        buffer_append_text(out, "*");
        break;
    case HANDLER_MEMBER:
        buffer_append_text(out, member_event_name(filter->type));
        break;
    case HANDLER_USER:
        buffer_append_text(out, "user");
        break;
    case HANDLER_QUERY:
        buffer_append_text(out, "query");
        break;
    }
    buffer_append_u8(out, ':');
    buffer_append_span(out, filter->name);
}
