#include "stream_filter.h"

#include <stdlib.h>

struct word {
    const char *text;
    unsigned events;
    bool named; /* may be followed by ":NAME" */
};

static const struct word words[] = {
    {"*", ~0U, false},
    {"member-join", STREAM_MEMBER_JOIN, false},
    {"member-leave", STREAM_MEMBER_LEAVE, false},
    {"member-failed", STREAM_MEMBER_FAILED, false},
    {"member-update", STREAM_MEMBER_UPDATE, false},
    {"member-reap", STREAM_MEMBER_REAP, false},
    {"user", STREAM_USER, true},
    {"query", STREAM_QUERY, true},
};

/* Splits at the first separator; `rest` starts behind it. False when there is none. */
static bool split(struct span text, char separator, struct span *first, struct span *rest)
{
    const uint8_t *found = text.size ? memchr(text.data, separator, text.size) : NULL;
    *first = found ? span_make(text.data, (size_t)(found - text.data)) : text;
    *rest = found ? span_from(text, first->size + 1) : SPAN_EMPTY;
    return found != NULL;
}

static bool add_word(struct stream_filter *filter, struct span text)
{
    struct span kind, name;
    bool named = split(text, ':', &kind, &name);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!span_equal_text(kind, words[i].text) || (named && !words[i].named))
            continue;
        if (name.size == 0) {
            filter->all |= words[i].events;
            return true;
        }
        filter->names[filter->name_count] = name;
        filter->name_kind[filter->name_count++] = words[i].events;
        return true;
    }
    return false;
}

enum stream_filter_status stream_filter_init(struct stream_filter *filter, struct span list)
{
    if (list.size == 0)
        list = span_text("*");
    size_t count = 1;
    for (size_t i = 0; i < list.size; i++)
        count += list.data[i] == ',';
    if (count > STREAM_FILTER_WORDS_MAX)
        return STREAM_FILTER_INVALID;
    *filter = (struct stream_filter){.text = malloc(list.size),
                                     .names = malloc(count * sizeof *filter->names),
                                     .name_kind = malloc(count * sizeof *filter->name_kind)};
    enum stream_filter_status status = STREAM_FILTER_NO_MEMORY;
    if (filter->text && filter->names && filter->name_kind) {
        memcpy(filter->text, list.data, list.size);
        struct span rest = span_make(filter->text, list.size), word;
        bool more = true;
        status = STREAM_FILTER_OK;
        while (more && status == STREAM_FILTER_OK) {
            more = split(rest, ',', &word, &rest);
            status = add_word(filter, word) ? STREAM_FILTER_OK : STREAM_FILTER_INVALID;
        }
    }
    if (status != STREAM_FILTER_OK)
        stream_filter_fini(filter);
    return status;
}

void stream_filter_fini(struct stream_filter *filter)
{
    free(filter->text);
    free(filter->names);
    free(filter->name_kind);
    *filter = (struct stream_filter){0};
}

bool stream_filter_wants(const struct stream_filter *filter, enum stream_event event,
                         struct span name)
{
    if (filter->all & (unsigned)event)
        return true;
    for (size_t i = 0; i < filter->name_count; i++)
        if (filter->name_kind[i] == (unsigned)event && span_equal(filter->names[i], name))
            return true;
    return false;
}
