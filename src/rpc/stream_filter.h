/* Which events a stream wants: a comma list of "*", "member-join" and its like, "user",
 * "user:NAME", "query", "query:NAME" (agent specification, 4.1 and 5.7). */
#ifndef RPC_STREAM_FILTER_H
#define RPC_STREAM_FILTER_H

#include "span.h"

enum { STREAM_FILTER_WORDS_MAX = 64 };

/* One bit a kind of event. */
enum stream_event {
    STREAM_MEMBER_JOIN = 1,
    STREAM_MEMBER_LEAVE = 2,
    STREAM_MEMBER_FAILED = 4,
    STREAM_MEMBER_UPDATE = 8,
    STREAM_MEMBER_REAP = 16,
    STREAM_USER = 32,
    STREAM_QUERY = 64,
};

struct stream_filter {
    unsigned all;        /* events wanted whatever their name: enum stream_event */
    uint8_t *text;       /* owned copy of the list; what names point into */
    struct span *names;  /* owned; each for one kind of event */
    unsigned *name_kind; /* owned; the kind of each name: STREAM_USER or STREAM_QUERY */
    size_t name_count;
};

enum stream_filter_status {
    STREAM_FILTER_OK,
    STREAM_FILTER_INVALID,
    STREAM_FILTER_NO_MEMORY,
};

/* An empty list is "*". More than STREAM_FILTER_WORDS_MAX words are invalid. Unless OK there is
 * nothing to finish. */
enum stream_filter_status stream_filter_init(struct stream_filter *filter, struct span list);
void stream_filter_fini(struct stream_filter *filter);

/* `name` is that of a user event or query. */
bool stream_filter_wants(const struct stream_filter *filter, enum stream_event event,
                         struct span name);

#endif
