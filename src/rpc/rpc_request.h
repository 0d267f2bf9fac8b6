/* Reads requests off a connection as the bytes come in, one after the other. A body belongs to its
 * command and is always taken with it, whether or not the command will be carried out. */
#ifndef RPC_RPC_REQUEST_H
#define RPC_RPC_REQUEST_H

#include "rpc_message.h"
#include "rpc_scanner.h"

/* Spans borrow from the bytes that were parsed. */
struct rpc_request {
    struct rpc_request_header header;
    enum rpc_command command; /* RPC_COMMAND_COUNT: not known */
    union {
        struct rpc_handshake handshake;
        struct rpc_auth auth;
        struct rpc_event event;
        struct rpc_force_leave force_leave;
        struct rpc_join join;
        struct rpc_members_filtered members_filtered;
        struct rpc_tags tags;
        struct rpc_stream stream;
        struct rpc_monitor monitor;
        struct rpc_stop stop;
        struct rpc_query query;
        struct rpc_respond respond;
        struct rpc_key key;
        struct rpc_get_coordinate get_coordinate;
    };
};

struct rpc_request_parser {
    struct rpc_scanner scanner; /* of the header, then of the body */
    size_t size_max;
    size_t header_size; /* 0 until the header is complete; then its contents: */
    enum rpc_command command;
    uint64_t seq;
};

enum rpc_request_status {
    RPC_REQUEST_READY,
    RPC_REQUEST_SHORT, /* more bytes are needed */
    RPC_REQUEST_BAD_HEADER,
    RPC_REQUEST_BAD_BODY, /* the header was read and is in `request` */
};

/* No request may be larger than `size_max`, which is at most RPC_REQUEST_SIZE_MAX. */
void rpc_request_parser_init(struct rpc_request_parser *parser, size_t size_max);

/* `input` starts with the request's first byte. When ready, the request took `*size` bytes, and the
 * parser stands before the next one. A request with an unknown command is ready with its header:
 * what follows cannot be told from a body. After a bad one the connection is of no more use. */
enum rpc_request_status rpc_request_parse(struct rpc_request_parser *parser, struct span input,
                                          struct rpc_request *request, size_t *size);

#endif
