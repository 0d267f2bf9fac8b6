/* Keys as people carry them: base64 with padding (RFC 4648, section 4). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "buffer.h"

/* Appends the decoded bytes; line breaks are skipped. False with the offset of the first character
 * that can't be right in `*offset`, or when `out` is full. */
bool base64_decode(struct span text, struct buffer *out, size_t *offset);

/* Appends the encoded form, padded; errors stay in out->failed. */
void base64_encode(struct span bytes, struct buffer *out);

#endif
