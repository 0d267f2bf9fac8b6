/* Byte vectors written in hexadecimal, and comparisons that show both sides when they differ. */
#ifndef TESTS_HEX_H
#define TESTS_HEX_H

#include "buffer.h"

/* The bytes of `text`, in which white space is ignored; borrowed from a pool that lasts until the
 * test program ends. */
struct span hex(const char *text);

/* `count` times the same byte, from the same pool. */
struct span repeated(uint8_t byte, size_t count);

/* One after the other, from the same pool. */
struct span joined(struct span a, struct span b);

void assert_bytes(struct span actual, struct span expected);
void assert_bytes_text(struct span actual, const char *expected);

#endif
