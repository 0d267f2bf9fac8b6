#include "arguments.h"

static void copy_texts(const char *const *texts, size_t count, struct span *spans)
{
    for (size_t i = 0; i < count; i++)
        spans[i] = span_text(texts[i]);
}

enum cserf_code spans_of(const char *const *texts, size_t count, struct span *spans,
                         struct cserf_error *error)
{
    if (count == 0 || count > JOIN_ADDRESSES_MAX)
        return lib_fail(error, CSERF_INVALID, "a join takes 1 to 1024 addresses");
    copy_texts(texts, count, spans);
    return CSERF_OK;
}

enum cserf_code tags_of(const struct cserf_tag *from, size_t count, struct tag *to,
                        struct cserf_error *error)
{
    if (count > QUERY_TAGS_MAX)
        return lib_fail(error, CSERF_INVALID, "more than 256 tags");
    for (size_t i = 0; i < count; i++)
        to[i] = (struct tag){span_text(from[i].key), span_text(from[i].value)};
    return CSERF_OK;
}

struct cserf_query_options query_options_of(const struct cserf_query_options *options)
{
    struct cserf_query_options full = CSERF_QUERY_OPTIONS;
    if (options)
        memcpy(&full, options, options->size < sizeof full ? options->size : sizeof full);
    return full;
}

enum cserf_code query_spans_of(const struct cserf_query_options *options, struct query_spans *spans,
                               struct cserf_error *error)
{
    if (options->node_count > QUERY_NODES_MAX)
        return lib_fail(error, CSERF_INVALID, "a query names at most 128 nodes");
    copy_texts(options->nodes, options->node_count, spans->nodes);
    return tags_of(options->tags, options->tag_count, spans->tags, error);
}
