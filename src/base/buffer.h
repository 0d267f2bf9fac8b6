/* A growable run of bytes that knows its maximum from birth.
 *
 * Appending past the maximum, or when memory is out, changes nothing but `failed`, which stays set
 * until buffer_reset: a writer may append many pieces and check once at the end. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "span.h"

struct buffer {
    uint8_t *data; /* owned; NULL until the first append */
    size_t size;
    size_t capacity;
    size_t maximum; /* size never exceeds this */
    bool failed;    /* an append was refused since the last reset */
};

void buffer_init(struct buffer *buffer, size_t maximum);
void buffer_fini(struct buffer *buffer);

/* Empties the buffer and clears `failed`; keeps the memory. */
void buffer_reset(struct buffer *buffer);

/* Moves the contents to a heap block that the caller frees with free(); the buffer is then empty.
 * NULL when the buffer is empty. */
uint8_t *buffer_detach(struct buffer *buffer);

/* buffer_extend where there is no room yet. */
uint8_t *buffer_extend_slowly(struct buffer *buffer, size_t size);

/* Makes room for `size` more bytes and returns where they start, uninitialised; counts them as
 * part of the buffer. NULL (and failed) when that is not possible. */
static inline uint8_t *buffer_extend(struct buffer *buffer, size_t size)
{
    size_t room = buffer->capacity < buffer->maximum ? buffer->capacity : buffer->maximum;
    if (size > room - buffer->size || !buffer->data)
        return buffer_extend_slowly(buffer, size);
    uint8_t *start = buffer->data + buffer->size;
    buffer->size += size;
    return start;
}

static inline bool buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return true;
    uint8_t *start = buffer_extend(buffer, size);
    if (!start)
        return false;
    memcpy(start, data, size);
    return true;
}

bool buffer_append_span(struct buffer *buffer, struct span bytes);
bool buffer_append_text(struct buffer *buffer, const char *text);
bool buffer_append_u8(struct buffer *buffer, uint8_t value);
bool buffer_append_u16(struct buffer *buffer, uint16_t value); /* big-endian, as on the wire */
bool buffer_append_u32(struct buffer *buffer, uint32_t value); /* big-endian */
bool buffer_append_u64(struct buffer *buffer, uint64_t value); /* big-endian */
bool buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* `text` in double quotes, with quotes, backslashes and control characters escaped ("\\n",
 * "\\x1b"), so that whatever somebody sent stays within its quotes and its line. */
bool buffer_append_quoted(struct buffer *buffer, struct span text);

/* Drops the first `size` bytes (at most all). */
void buffer_consume(struct buffer *buffer, size_t size);

/* Cuts the buffer back to `size` bytes, which must be at most the present size. */
void buffer_truncate(struct buffer *buffer, size_t size);

/* The contents as a C string, NUL-terminated; borrowed, valid until the next change.
 * "" when memory is out. */
const char *buffer_text(struct buffer *buffer);

static inline struct span buffer_span(const struct buffer *buffer)
{
    return span_make(buffer->data, buffer->size);
}

static inline uint16_t read_u16(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t read_u64(const uint8_t *p)
{
    return (uint64_t)read_u32(p) << 32 | read_u32(p + 4);
}

#endif
