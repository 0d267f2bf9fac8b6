/* The list of members, for people and for programs (agent specification, 2.2). */
#ifndef CLI_MEMBERS_OUTPUT_H
#define CLI_MEMBERS_OUTPUT_H

#include "member_list.h"
#include "table.h"

/* Each appends the whole output, its last newline included. False when memory is out or a member's
 * tags are malformed. */
bool members_text(const struct member_list *list, bool detailed, struct buffer *out);
bool members_json(const struct member_list *list, struct buffer *out);

#endif
