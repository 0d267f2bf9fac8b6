/* The filters of one request, compiled once and then matched with each member. */
#include "members_filter.h"

#include "expression.h"
#include "serf_message.h"

#include <stdlib.h>

struct tag_filter {
    struct span key; /* borrowed */
    struct expression *value;
};

struct members_filter {
    struct expression *name, *status; /* NULL: any */
    size_t tag_count;
    struct tag_filter tags[];
};

static bool compile(struct span pattern, struct expression **expression, struct buffer *error)
{
    struct buffer reason;
    buffer_init(&reason, 2 * EXPRESSION_SIZE_MAX);
    *expression = expression_new(pattern, EXPRESSION_WHOLE, &reason);
    if (!*expression)
        buffer_printf(error, "Failed to compile regex: %s", buffer_text(&reason));
    buffer_fini(&reason);
    return *expression != NULL;
}

static bool compile_all(struct members_filter *filter, struct span name, struct span status,
                        const struct tag *tags, size_t tag_count, struct buffer *error)
{
    if (name.size > 0 && !compile(name, &filter->name, error))
        return false;
    if (status.size > 0 && !compile(status, &filter->status, error))
        return false;
    for (; filter->tag_count < tag_count; filter->tag_count++) {
        struct tag_filter *tag = &filter->tags[filter->tag_count];
        tag->key = tags[filter->tag_count].key;
        if (!compile(tags[filter->tag_count].value, &tag->value, error))
            return false;
    }
    return true;
}

struct members_filter *members_filter_new(struct span name, struct span status,
                                          const struct tag *tags, size_t tag_count,
                                          struct buffer *error)
{
    if (tag_count > MEMBERS_FILTER_TAGS_MAX) {
        buffer_printf(error, "%zu tag filters are more than the limit of %d", tag_count,
                      MEMBERS_FILTER_TAGS_MAX);
        return NULL;
    }
    struct members_filter *filter = calloc(1, sizeof *filter + tag_count * sizeof filter->tags[0]);
    if (!filter) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    if (!compile_all(filter, name, status, tags, tag_count, error)) {
        members_filter_free(filter);
        return NULL;
    }
    return filter;
}

void members_filter_free(struct members_filter *filter)
{
    if (!filter)
        return;
    for (size_t i = 0; i < filter->tag_count; i++)
        expression_free(filter->tags[i].value);
    expression_free(filter->name);
    expression_free(filter->status);
    free(filter);
}

/* --- matching --- */

static enum expression_result match(const struct expression *expression, struct span text)
{
    return expression ? expression_match(expression, text) : EXPRESSION_YES;
}

/* The last tag with this key counts; the empty string when there is none. */
static struct span tag_value(struct span meta, struct span wanted)
{
    struct tag_reader reader;
    struct span key, value, found = SPAN_EMPTY;
    if (tag_reader_open(&reader, meta))
        while (tag_reader_next(&reader, &key, &value))
            if (span_equal(key, wanted))
                found = value;
    return found;
}

enum expression_result members_filter_match(const struct members_filter *filter,
                                            const struct member_view *member)
{
    struct span status = span_text(member_status_name(member->status));
    enum expression_result result = match(filter->name, member->name);
    if (result == EXPRESSION_YES)
        result = match(filter->status, status);
    for (size_t i = 0; result == EXPRESSION_YES && i < filter->tag_count; i++)
        result = match(filter->tags[i].value, tag_value(member->meta, filter->tags[i].key));
    return result;
}
