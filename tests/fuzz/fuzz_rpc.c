/* Requests as a client may send them, in pieces, and what they hold walked. */
#include "rpc_request.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_request_parser parser;
    struct rpc_request request;
    size_t taken = 0, available = 0;
    rpc_request_parser_init(&parser, 1 << 16);
    while (available < size) {
        available += 1 + (available * 7) % 40;
        if (available > size)
            available = size;
        size_t used;
        enum rpc_request_status status;
        while (taken < available &&
               (status = rpc_request_parse(&parser, span_make(data + taken, available - taken),
                                           &request, &used)) != RPC_REQUEST_SHORT) {
            if (status != RPC_REQUEST_READY || request.command >= RPC_COMMAND_COUNT)
                return 0;
            assert(used > 0 && used <= available - taken);
            taken += used;
            struct rpc_walker walker;
            struct span item, value;
            if (request.command == RPC_JOIN && rpc_list_open(&walker, request.join.existing))
                while (rpc_list_next(&walker, &item))
                    ;
            if (request.command == RPC_QUERY && rpc_list_open(&walker, request.query.filter_nodes))
                while (rpc_list_next(&walker, &item))
                    ;
            if (request.command == RPC_QUERY && rpc_map_open(&walker, request.query.filter_tags))
                while (rpc_map_next(&walker, &item, &value))
                    ;
        }
    }
    return 0;
}
