#include "rpc_scanner.h"

void rpc_scanner_init(struct rpc_scanner *scanner, size_t size_max, size_t bytes_max)
{
    *scanner = (struct rpc_scanner){.size_max = size_max, .bytes_max = bytes_max, .depth = 1};
    scanner->left[0] = 1;
}

/* The length that a string's or extension's first bytes announce; 0 when they do not yet. */
static uint64_t announced_length(struct span rest)
{
    if (rest.size == 0)
        return 0;
    const uint8_t *p = rest.data;
    size_t width;
    switch (p[0]) {
    case 0xc5:
    case 0xc8:
    case 0xda:
        width = 2;
        break;
    case 0xc6:
    case 0xc9:
    case 0xdb:
        width = 4;
        break;
    default: /* at most 255 bytes */
        return 0;
    }
    if (rest.size < 1 + width)
        return 0;
    return width == 2 ? read_u16(p + 1) : read_u32(p + 1);
}

/* Takes one token off the innermost container, or opens a new one. */
static bool count_token(struct rpc_scanner *scanner, const struct msgpack_token *token)
{
    scanner->left[scanner->depth - 1]--;
    if (token->type == MSGPACK_ARRAY || token->type == MSGPACK_MAP) {
        if (scanner->depth == MSGPACK_DEPTH_MAX)
            return false;
        uint64_t values = token->count;
        scanner->left[scanner->depth++] = token->type == MSGPACK_MAP ? 2 * values : values;
    }
    while (scanner->depth > 0 && scanner->left[scanner->depth - 1] == 0)
        scanner->depth--;
    return true;
}

static bool within_limits(const struct rpc_scanner *scanner, struct span rest)
{
    uint64_t length = announced_length(rest);
    return length <= scanner->bytes_max && length <= scanner->size_max - scanner->offset;
}

enum msgpack_status rpc_scan(struct rpc_scanner *scanner, struct span input)
{
    struct msgpack_reader reader = {input, scanner->offset};
    while (scanner->depth > 0) {
        struct msgpack_token token;
        if (!within_limits(scanner, msgpack_rest(&reader)))
            return MSGPACK_INVALID;
        enum msgpack_status status = msgpack_read(&reader, &token);
        if (status == MSGPACK_SHORT && input.size > scanner->size_max)
            return MSGPACK_INVALID;
        if (status != MSGPACK_OK)
            return status;
        if (reader.offset > scanner->size_max || !count_token(scanner, &token))
            return MSGPACK_INVALID;
        scanner->offset = reader.offset;
    }
    return MSGPACK_OK;
}
