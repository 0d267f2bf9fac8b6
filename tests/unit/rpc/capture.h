/* Byte captures, written as hexadecimal text. */
#ifndef TESTS_RPC_CAPTURE_H
#define TESTS_RPC_CAPTURE_H

#include "buffer.h"

/* Appends the bytes that the text stands for; spaces are ignored. */
static inline void append_hex(struct buffer *out, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t byte = 0;
    bool half = false;
    for (; *text != '\0'; text++) {
        const char *digit = strchr(digits, *text);
        if (!digit)
            continue;
        byte = (uint8_t)(byte << 4 | (uint8_t)(digit - digits));
        if (half)
            buffer_append_u8(out, byte);
        half = !half;
    }
}

#endif
