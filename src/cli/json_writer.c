#include "json_writer.h"

#include <assert.h>
#include <inttypes.h>

void json_writer_init(struct json_writer *writer, struct buffer *out)
{
    *writer = (struct json_writer){.out = out};
}

static void new_line(struct json_writer *writer)
{
    buffer_append_u8(writer->out, '\n');
    for (unsigned i = 0; i < writer->depth; i++)
        buffer_append_text(writer->out, "  ");
}

/* What stands between this element and the one before. */
static void begin_element(struct json_writer *writer)
{
    if (writer->after_key || writer->depth == 0) {
        writer->after_key = false;
        return;
    }
    bool *used = &writer->used[writer->depth - 1];
    if (*used)
        buffer_append_u8(writer->out, ',');
    *used = true;
    new_line(writer);
}

void json_write_open(struct json_writer *writer, char bracket)
{
    assert(writer->depth < JSON_DEPTH_MAX);
    begin_element(writer);
    buffer_append_u8(writer->out, (uint8_t)bracket);
    writer->used[writer->depth++] = false;
}

void json_write_close(struct json_writer *writer, char bracket)
{
    assert(writer->depth > 0);
    writer->depth--;
    if (writer->used[writer->depth])
        new_line(writer);
    buffer_append_u8(writer->out, (uint8_t)bracket);
}

/* The length of the UTF-8 sequence at the start of the text, 0 when there is no valid one. */
static size_t utf8_length(struct span text, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = text.data[0];
    size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 0 || first >= 0xf8 || length > text.size)
        return 0;
    *code = length == 1 ? first : first & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (text.data[i] & 0x3f);
    }
    bool valid =
        *code >= smallest[length] && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff);
    return valid ? length : 0;
}

static void append_code(struct buffer *out, uint32_t code, struct span bytes)
{
    if (code == '"' || code == '\\')
        buffer_printf(out, "\\%c", (int)code);
    else if (code == '\n')
        buffer_append_text(out, "\\n");
    else if (code == '\r')
        buffer_append_text(out, "\\r");
    else if (code == '\t')
        buffer_append_text(out, "\\t");
    else if (code < 0x20 || code == '<' || code == '>' || code == '&' || code == 0x2028 ||
             code == 0x2029)
        buffer_printf(out, "\\u%04" PRIx32, code);
    else
        buffer_append_span(out, bytes);
}

static void append_string(struct buffer *out, struct span text)
{
    buffer_append_u8(out, '"');
    while (text.size > 0) {
        uint32_t code;
        size_t length = utf8_length(text, &code);
        if (length > 0)
            append_code(out, code, span_make(text.data, length));
        else
            buffer_append_text(out, "\\ufffd");
        text = span_from(text, length > 0 ? length : 1);
    }
    buffer_append_u8(out, '"');
}

void json_write_key(struct json_writer *writer, struct span key)
{
    begin_element(writer);
    append_string(writer->out, key);
    buffer_append_text(writer->out, ": ");
    writer->after_key = true;
}

void json_write_string(struct json_writer *writer, struct span text)
{
    begin_element(writer);
    append_string(writer->out, text);
}

void json_write_unsigned(struct json_writer *writer, uint64_t number)
{
    begin_element(writer);
    buffer_printf(writer->out, "%" PRIu64, number);
}

void json_write_null(struct json_writer *writer)
{
    begin_element(writer);
    buffer_append_text(writer->out, "null");
}
