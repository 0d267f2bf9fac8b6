/* Strings in the JSON that the agent writes: its tags file, its log. */
#ifndef AGENT_JSON_TEXT_H
#define AGENT_JSON_TEXT_H

#include "buffer.h"

/* Appends `text` in double quotes as the reference's JSON library does: "<", ">", "&", U+2028 and
 * U+2029 escaped, U+FFFD for what is no UTF-8. */
void json_append_string(struct buffer *out, struct span text);

#endif
