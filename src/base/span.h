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

/* memcmp for what is mostly shorter than two words: names, addresses, keys of messages. */
static inline bool bytes_equal(const void *a, const void *b, size_t size)
{
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    uint64_t p8, q8;
    uint32_t p4, q4;
    if (size > 16)
        return memcmp(p, q, size) == 0;
    if (size >= 8) {
        memcpy(&p8, p, 8);
        memcpy(&q8, q, 8);
        if (p8 != q8)
            return false;
        memcpy(&p8, p + size - 8, 8);
        memcpy(&q8, q + size - 8, 8);
        return p8 == q8;
    }
    if (size >= 4) {
        memcpy(&p4, p, 4);
        memcpy(&q4, q, 4);
        if (p4 != q4)
            return false;
        memcpy(&p4, p + size - 4, 4);
        memcpy(&q4, q + size - 4, 4);
        return p4 == q4;
    }
    for (size_t i = 0; i < size; i++)
        if (p[i] != q[i])
            return false;
    return true;
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && bytes_equal(a.data, b.data, a.size);
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
