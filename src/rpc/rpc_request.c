#include "rpc_request.h"

#include <assert.h>

static void expect_object(struct rpc_request_parser *parser, size_t used)
{
    rpc_scanner_init(&parser->scanner, parser->size_max - used, RPC_STRING_SIZE_MAX);
}

void rpc_request_parser_init(struct rpc_request_parser *parser, size_t size_max)
{
    assert(size_max <= RPC_REQUEST_SIZE_MAX);
    *parser = (struct rpc_request_parser){.size_max = size_max};
    expect_object(parser, 0);
}

/* Reads the whole object that the scanner has found. */
static bool read_object(struct span object, const struct msgpack_structure *structure, void *out)
{
    struct msgpack_reader reader = msgpack_reader_of(object);
    return msgpack_read_structure(&reader, structure, out) == MSGPACK_OK;
}

/* Once it is complete the header is kept in the parser, since `input` may move. */
static enum rpc_request_status parse_header(struct rpc_request_parser *parser, struct span input,
                                            struct rpc_request *request)
{
    enum msgpack_status status = rpc_scan(&parser->scanner, input);
    if (status != MSGPACK_OK)
        return status == MSGPACK_SHORT ? RPC_REQUEST_SHORT : RPC_REQUEST_BAD_HEADER;
    struct span object = span_make(input.data, parser->scanner.offset);
    if (!read_object(object, &rpc_request_header_structure, &request->header))
        return RPC_REQUEST_BAD_HEADER;
    parser->header_size = object.size;
    parser->command = rpc_command_find(request->header.command);
    parser->seq = request->header.seq;
    expect_object(parser, object.size);
    return RPC_REQUEST_READY;
}

static enum rpc_request_status parse_body(struct rpc_request_parser *parser, struct span rest,
                                          struct rpc_request *request)
{
    const struct msgpack_structure *structure = rpc_commands[request->command].request;
    if (!structure)
        return RPC_REQUEST_READY;
    enum msgpack_status status = rpc_scan(&parser->scanner, rest);
    if (status != MSGPACK_OK)
        return status == MSGPACK_SHORT ? RPC_REQUEST_SHORT : RPC_REQUEST_BAD_BODY;
    struct span object = span_make(rest.data, parser->scanner.offset);
    if (!read_object(object, structure, &request->handshake))
        return RPC_REQUEST_BAD_BODY;
    return RPC_REQUEST_READY;
}

enum rpc_request_status rpc_request_parse(struct rpc_request_parser *parser, struct span input,
                                          struct rpc_request *request, size_t *size)
{
    memset(request, 0, sizeof *request);
    if (parser->header_size == 0) {
        enum rpc_request_status status = parse_header(parser, input, request);
        if (status != RPC_REQUEST_READY)
            return status;
    }
    request->command = parser->command;
    request->header.seq = parser->seq;
    *size = parser->header_size;
    if (request->command != RPC_COMMAND_COUNT) {
        const struct rpc_command_info *info = &rpc_commands[request->command];
        request->header.command = span_text(info->name);
        enum rpc_request_status status =
            parse_body(parser, span_from(input, parser->header_size), request);
        if (status != RPC_REQUEST_READY)
            return status;
        *size += info->request ? parser->scanner.offset : 0;
    }
    rpc_request_parser_init(parser, parser->size_max);
    return RPC_REQUEST_READY;
}
