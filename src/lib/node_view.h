/* A member as the public header shows it: texts end with a NUL, tags are an array. The strings of a
 * view live in one buffer, which the next fill reuses. */
#ifndef LIB_NODE_VIEW_H
#define LIB_NODE_VIEW_H

#include <cserf/types.h>

#include "buffer.h"
#include "endpoint.h"

struct node_view {
    struct cserf_node node;
    struct buffer text;
    struct cserf_tag *tags; /* owned */
    size_t tag_capacity;
};

void node_view_init(struct node_view *view);
void node_view_fini(struct node_view *view);

/* A view is begun, given its tags, and ended. Spans are copied. */
void node_view_begin(struct node_view *view, struct span name, const struct endpoint *endpoint);
void node_view_tag(struct node_view *view, struct span key, struct span value);
/* NULL when memory is out. `versions`: as in struct member_view. */
const struct cserf_node *node_view_end(struct node_view *view, enum cserf_status status,
                                       const uint8_t versions[6]);

/* Appends the text and a NUL; zero bytes in it become '?'. */
bool append_c_text(struct buffer *buffer, struct span text);

#endif
