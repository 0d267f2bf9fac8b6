/* Any msgpack value as the reference's `serf monitor` prints it: the literals of the Go language,
 * such as []byte{0x70} (agent specification, 2.9; not a stable interface). */
#ifndef CLI_VALUE_TEXT_H
#define CLI_VALUE_TEXT_H

#include "msgpack.h"

/* Appends the value; false when it does not decode. */
bool value_text(struct span value, struct buffer *out);

#endif
