/* Members and tags as an agent sent them, sorted by name: the agent's own order is that of a hash
 * table, and would differ from one call to the next. */
#ifndef CLIENT_MEMBER_LIST_H
#define CLIENT_MEMBER_LIST_H

#include "rpc_message.h"

struct member_list {
    struct rpc_member *members; /* owned; spans borrow from the answer */
    size_t count;
};

struct pair {
    struct span key, value;
};

struct pair_list {
    struct pair *pairs; /* owned; spans borrow from the value */
    size_t count;
};

/* The same reason for both to fail: `error` gets "malformed answer" or "out of memory". The value
 * of each pair is a string, or with `nested` any value, undecoded. */
bool member_list_read(struct member_list *list, struct span body, struct buffer *error);
void member_list_fini(struct member_list *list);
/* Where the member of this name is in the list; list->count when there is none. */
size_t member_list_find(const struct member_list *list, struct span name);
bool pair_list_read(struct pair_list *list, struct span value, bool nested, struct buffer *error);
void pair_list_fini(struct pair_list *list);

#endif
