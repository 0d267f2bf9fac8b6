/* Growth doubles from 64 bytes and is cut at the maximum, so that a buffer's memory is at most
 * twice its contents and an appender never asks for more than the limit it was born with. */
#include "buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_FIRST_CAPACITY = 64 };

void buffer_init(struct buffer *buffer, size_t maximum)
{
    *buffer = (struct buffer){.maximum = maximum};
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.maximum = buffer->maximum};
}

void buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

uint8_t *buffer_detach(struct buffer *buffer)
{
    uint8_t *data = buffer->size ? buffer->data : NULL;
    if (!data)
        free(buffer->data);
    *buffer = (struct buffer){.maximum = buffer->maximum};
    return data;
}

static bool buffer_grow(struct buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST_CAPACITY;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    if (capacity > buffer->maximum && needed <= buffer->maximum)
        capacity = buffer->maximum;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

uint8_t *buffer_extend_slowly(struct buffer *buffer, size_t size)
{
    if (size > buffer->maximum - buffer->size) {
        buffer->failed = true;
        return NULL;
    }
    size_t needed = buffer->size + size;
    if ((needed > buffer->capacity || !buffer->data) && !buffer_grow(buffer, needed)) {
        buffer->failed = true;
        return NULL;
    }
    uint8_t *start = buffer->data + buffer->size;
    buffer->size = needed;
    return start;
}

bool buffer_append_span(struct buffer *buffer, struct span bytes)
{
    return buffer_append(buffer, bytes.data, bytes.size);
}

bool buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

bool buffer_append_u8(struct buffer *buffer, uint8_t value)
{
    return buffer_append(buffer, &value, 1);
}

bool buffer_append_u16(struct buffer *buffer, uint16_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    return buffer_append(buffer, bytes, sizeof bytes);
}

bool buffer_append_u32(struct buffer *buffer, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    return buffer_append(buffer, bytes, sizeof bytes);
}

bool buffer_append_u64(struct buffer *buffer, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    return buffer_append(buffer, bytes, sizeof bytes);
}

bool buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buffer->failed = true;
        return false;
    }
    /* One byte more for the NUL that vsnprintf insists on, taken back afterwards. */
    uint8_t *start = buffer_extend(buffer, (size_t)length + 1);
    if (!start)
        return false;
    va_start(arguments, format);
    vsnprintf((char *)start, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->size--;
    return true;
}

bool buffer_append_quoted(struct buffer *buffer, struct span text)
{
    buffer_append_u8(buffer, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\')
            buffer_printf(buffer, "\\%c", c);
        else if (c == '\n')
            buffer_append_text(buffer, "\\n");
        else if (c == '\t')
            buffer_append_text(buffer, "\\t");
        else if (c == '\r')
            buffer_append_text(buffer, "\\r");
        else if (c < 0x20 || c == 0x7f)
            buffer_printf(buffer, "\\x%02x", c);
        else
            buffer_append_u8(buffer, c);
    }
    return buffer_append_u8(buffer, '"');
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    if (size >= buffer->size) {
        buffer->size = 0;
        return;
    }
    memmove(buffer->data, buffer->data + size, buffer->size - size);
    buffer->size -= size;
}

void buffer_truncate(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    buffer->size = size;
}

const char *buffer_text(struct buffer *buffer)
{
    if (buffer->size == buffer->capacity) {
        uint8_t *data = realloc(buffer->data, buffer->capacity + 1);
        if (!data)
            return "";
        buffer->data = data;
        buffer->capacity++;
    }
    buffer->data[buffer->size] = 0;
    return (const char *)buffer->data;
}
