#include "json_text.h"

size_t utf8_size(const uint8_t *p, size_t left)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = p[0] < 0x80       ? 1
                  : p[0] >> 5 == 6  ? 2
                  : p[0] >> 4 == 14 ? 3
                  : p[0] >> 3 == 30 ? 4
                                    : 0;
    if (size <= 1 || size > left)
        return size > left ? 0 : size;
    uint32_t code = p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < smallest[size] || code > 0x10ffff || surrogate ? 0 : size;
}

static bool line_separator(const uint8_t *p, size_t size)
{
    return size == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9);
}

static void append_character(struct buffer *out, const uint8_t *p, size_t size)
{
    uint8_t c = p[0];
    if (size == 0)
        buffer_append_text(out, "\\ufffd");
    else if (line_separator(p, size))
        buffer_printf(out, "\\u20%02x", p[2] - 0x80);
    else if (c == '"' || c == '\\')
        buffer_printf(out, "\\%c", c);
    else if (c == '\n' || c == '\r' || c == '\t')
        buffer_append_text(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
    else if (c < 0x20 || c == '<' || c == '>' || c == '&')
        buffer_printf(out, "\\u%04x", c);
    else
        buffer_append(out, p, size);
}

void json_append_string(struct buffer *out, struct span text)
{
    struct span rest = text;
    buffer_append_u8(out, '"');
    while (rest.size > 0) {
        size_t size = utf8_size(rest.data, rest.size);
        append_character(out, rest.data, size);
        rest = span_from(rest, size > 0 ? size : 1);
    }
    buffer_append_u8(out, '"');
}
