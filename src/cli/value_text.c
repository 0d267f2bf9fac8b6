/* Values nest, and come from the agent: the open lists and maps are kept on a stack of our own. */
#include "value_text.h"

#include <inttypes.h>

struct level {
    bool map;
    uint32_t values; /* read so far, keys included */
    uint64_t left;   /* values still to come, keys included */
};

struct printer {
    struct level levels[MSGPACK_DEPTH_MAX];
    unsigned depth;
    struct buffer *out;
};

static void append_bytes(struct buffer *out, struct span bytes, bool outermost)
{
    buffer_append_text(out, outermost ? "[]byte{" : "[]uint8{");
    for (size_t i = 0; i < bytes.size; i++)
        buffer_printf(out, "%s0x%x", i > 0 ? ", " : "", bytes.data[i]);
    buffer_append_u8(out, '}');
}

/* `wide`: written with a type of its own rather than inside the first byte, which the reference
 * shows as hexadecimal. */
static bool append_scalar(struct printer *printer, const struct msgpack_token *token, bool wide)
{
    switch (token->type) {
    case MSGPACK_NIL:
        return buffer_append_text(printer->out, "interface {}(nil)");
    case MSGPACK_BOOL:
        return buffer_append_text(printer->out, token->boolean ? "true" : "false");
    case MSGPACK_UNSIGNED:
        return buffer_printf(printer->out, wide ? "0x%" PRIx64 : "%" PRIu64, token->number);
    case MSGPACK_NEGATIVE:
        return buffer_printf(printer->out, "%" PRId64, token->negative);
    case MSGPACK_DOUBLE:
        return buffer_printf(printer->out, "%g", token->real);
    case MSGPACK_RAW:
        buffer_append_quoted(printer->out, token->bytes);
        return true;
    case MSGPACK_BINARY:
        append_bytes(printer->out, token->bytes, printer->depth == 0);
        return true;
    default:
        return false;
    }
}

static void begin_value(struct printer *printer)
{
    if (printer->depth == 0)
        return;
    struct level *level = &printer->levels[printer->depth - 1];
    bool is_value = level->map && level->values % 2 == 1;
    if (is_value)
        buffer_append_u8(printer->out, ':');
    else if (level->values > 0)
        buffer_append_text(printer->out, ", ");
    level->values++;
    level->left--;
}

static bool open_level(struct printer *printer, const struct msgpack_token *token)
{
    bool map = token->type == MSGPACK_MAP;
    if (printer->depth == MSGPACK_DEPTH_MAX)
        return false;
    uint64_t count = token->count;
    printer->levels[printer->depth++] = (struct level){map, 0, map ? 2 * count : count};
    return buffer_append_text(printer->out,
                              map ? "map[interface {}]interface {}{" : "[]interface {}{");
}

static void close_levels(struct printer *printer)
{
    while (printer->depth > 0 && printer->levels[printer->depth - 1].left == 0) {
        printer->depth--;
        buffer_append_u8(printer->out, '}');
    }
}

bool value_text(struct span value, struct buffer *out)
{
    struct printer printer = {.out = out};
    struct msgpack_reader reader = msgpack_reader_of(value);
    do {
        struct span rest = msgpack_rest(&reader);
        struct msgpack_token token;
        if (msgpack_read(&reader, &token) != MSGPACK_OK)
            return false;
        begin_value(&printer);
        bool wide = rest.data[0] >= 0xcc && rest.data[0] <= 0xcf;
        bool nested = token.type == MSGPACK_ARRAY || token.type == MSGPACK_MAP;
        if (!(nested ? open_level(&printer, &token) : append_scalar(&printer, &token, wide)))
            return false;
        close_levels(&printer);
    } while (printer.depth > 0);
    return true;
}
