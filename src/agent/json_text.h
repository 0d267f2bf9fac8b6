/* Strings in the JSON that the agent writes: its tags file, its log, its pages. */
#ifndef AGENT_JSON_TEXT_H
#define AGENT_JSON_TEXT_H

#include "buffer.h"

/* Appends `text` in double quotes as the reference's JSON library does: "<", ">", "&", U+2028 and
 * U+2029 escaped, U+FFFD for what is no UTF-8. */
void json_append_string(struct buffer *out, struct span text);

/* How many bytes of one well-formed UTF-8 character `p` begins with, of `left` (at least 1) that
 * are there; 0: none. */
size_t utf8_size(const uint8_t *p, size_t left);

#endif
