/* An IP address and port, in the one form that the core compares and hands to its host.
 *
 * Addresses travel as 4 or 16 bytes, and one IPv4 address has two spellings (4 bytes, and 16 bytes
 * IPv4-mapped). An endpoint is always the shortest form, so equal addresses are equal bytes; who
 * must re-send the spelling that was received keeps those bytes beside it. */
#ifndef BASE_ENDPOINT_H
#define BASE_ENDPOINT_H

#include "span.h"

struct endpoint {
    uint8_t address[16];  /* network order; the first 4 bytes for IPv4, the rest then zero */
    uint8_t address_size; /* 4, 16, or 0 for "none" */
    uint16_t port;        /* host order */
};

enum {
    ADDRESS_TEXT_SIZE = 46,  /* longest textual address, with its NUL */
    ENDPOINT_TEXT_SIZE = 56, /* "[address]:port" with its NUL */
};

/* From 4 or 16 raw bytes; false for any other length. */
bool endpoint_from_bytes(struct endpoint *endpoint, struct span address, uint16_t port);

/* From a numeric address ("10.0.0.1", "fd00::1"; no brackets, no zone); false if it is not one. */
bool endpoint_from_text(struct endpoint *endpoint, const char *address, uint16_t port);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool endpoint_address_equal(const struct endpoint *a, const struct endpoint *b);

/* "10.0.0.1" or "fd00::1"; returns `text`, which has ADDRESS_TEXT_SIZE bytes. */
const char *endpoint_address_text(const struct endpoint *endpoint, char *text);

/* "10.0.0.1:7946" or "[fd00::1]:7946"; returns `text`, which has ENDPOINT_TEXT_SIZE bytes. */
const char *endpoint_text(const struct endpoint *endpoint, char *text);

#endif
