/* A borrowed run of bytes: a pointer and a length, owned by somebody else. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;
};

#define SPAN_EMPTY ((struct span){NULL, 0})

static inline struct span span_make(const void *data, size_t size)
{
    return (struct span){(const uint8_t *)data, size};
}

/* The bytes of a NUL-terminated string, without the NUL. NULL gives the empty span. */
static inline struct span span_text(const char *text)
{
    return text ? span_make(text, strlen(text)) : SPAN_EMPTY;
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_equal_text(struct span a, const char *text)
{
    return span_equal(a, span_text(text));
}

/* The rest of `s` from `offset` on; the empty span when offset is past the end. */
static inline struct span span_from(struct span s, size_t offset)
{
    return offset >= s.size ? SPAN_EMPTY : span_make(s.data + offset, s.size - offset);
}

/* For printf("%.*s", SPAN_PRINT(s)): names of at most a few kilobytes. */
#define SPAN_PRINT(s) (int)(s).size, (s).data ? (const char *)(s).data : ""

#endif
