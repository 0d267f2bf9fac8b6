/* What programs hand in, as the rooms below take it. */
#ifndef LIB_ARGUMENTS_H
#define LIB_ARGUMENTS_H

#include <cserf/types.h>

#include "lib_error.h"
#include "serf.h"

enum {
    QUERY_NODES_MAX = 128, /* more names make no query that fits into its packet */
    QUERY_TAGS_MAX = 256,  /* more make no metadata that fits into 512 bytes, nor a query */
};

/* Borrowed texts as spans. CSERF_INVALID for none at all, and for more than JOIN_ADDRESSES_MAX. */
enum cserf_code spans_of(const char *const *texts, size_t count, struct span *spans,
                         struct cserf_error *error);
/* CSERF_INVALID for more than QUERY_TAGS_MAX. */
enum cserf_code tags_of(const struct cserf_tag *from, size_t count, struct tag *to,
                        struct cserf_error *error);

/* With what the caller's header did not know yet. NULL: the defaults. */
struct cserf_query_options query_options_of(const struct cserf_query_options *options);

struct query_spans {
    struct span nodes[QUERY_NODES_MAX];
    struct tag tags[QUERY_TAGS_MAX];
};

enum cserf_code query_spans_of(const struct cserf_query_options *options, struct query_spans *spans,
                               struct cserf_error *error);

#endif
