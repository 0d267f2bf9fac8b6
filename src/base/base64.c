/* A decoder that says where the mistake is, since keys are pasted by hand: libcrypto's skips what
 * it does not like at the edges and says nothing. Offsets are those of the reference's message:
 * of the character that is wrong, or of the last group of four when that is too short. */
#include "base64.h"

static int digit_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

static size_t skip_line_breaks(struct span text, size_t at)
{
    while (at < text.size && (text.data[at] == '\r' || text.data[at] == '\n'))
        at++;
    return at;
}

struct group {
    uint32_t bits;
    unsigned digits;
    unsigned padding;
};

/* Reads up to four characters from *at on; false with the offending offset in *at. */
static bool read_group(struct span text, size_t *at, struct group *group)
{
    size_t start = *at;
    *group = (struct group){0, 0, 0};
    while (group->digits + group->padding < 4) {
        if (*at == text.size) {
            *at = start;
            return false;
        }
        uint8_t c = text.data[*at];
        int value = digit_value(c);
        if (c == '=' && group->digits >= 2)
            group->padding++;
        else if (value < 0 || group->padding > 0)
            return false;
        else
            group->digits++;
        group->bits = group->bits << 6 | (uint32_t)(value < 0 ? 0 : value);
        *at = skip_line_breaks(text, *at + 1);
    }
    return true;
}

bool base64_decode(struct span text, struct buffer *out, size_t *offset)
{
    bool ended = false;
    *offset = skip_line_breaks(text, 0);
    while (*offset < text.size) {
        struct group group;
        if (ended || !read_group(text, offset, &group))
            return false;
        ended = group.padding > 0;
        uint8_t bytes[3] = {(uint8_t)(group.bits >> 16), (uint8_t)(group.bits >> 8),
                            (uint8_t)group.bits};
        if (!buffer_append(out, bytes, group.digits - 1))
            return false;
    }
    return true;
}

void base64_encode(struct span bytes, struct buffer *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t bits = (uint32_t)bytes.data[at] << 16;
        bits |= left > 1 ? (uint32_t)bytes.data[at + 1] << 8 : 0;
        bits |= left > 2 ? bytes.data[at + 2] : 0;
        char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                         left > 1 ? digits[bits >> 6 & 63] : '=',
                         left > 2 ? digits[bits & 63] : '='};
        buffer_append(out, group, sizeof group);
    }
}
