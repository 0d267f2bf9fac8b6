/* The filters of `members-filtered` (agent specification, 5.6): regular expressions over a member's
 * name, status and tags. The language is RE2's. Each expression stands between "^" and "$" without
 * a group around it, as the reference's users know it: "n2|zz" matches names that start with n2 or
 * end with zz. A tag that a member lacks is matched as the empty string. */
#ifndef AGENT_MEMBERS_FILTER_H
#define AGENT_MEMBERS_FILTER_H

#include "expression.h"
#include "member.h"
#include "serf.h"

enum { MEMBERS_FILTER_TAGS_MAX = 64 };

struct members_filter;

/* Empty `name` or `status`: any. `tags` are keys and expressions, borrowed for the filter's life.
 * NULL with the reason in `error` ("Failed to compile regex: ..."). */
struct members_filter *members_filter_new(struct span name, struct span status,
                                          const struct tag *tags, size_t tag_count,
                                          struct buffer *error);
void members_filter_free(struct members_filter *filter);

/* EXPRESSION_YES when all match. */
enum expression_result members_filter_match(const struct members_filter *filter,
                                            const struct member_view *member);

#endif
