/* "host:port" as the RPC address is written, with the reference's words for what is wrong with it
 * (agent specification, 1.4). */
#ifndef RPC_RPC_ADDRESS_H
#define RPC_RPC_ADDRESS_H

#include "buffer.h"

enum { RPC_HOST_SIZE = 256 };

#define RPC_ADDRESS_DEFAULT "127.0.0.1:7373"

struct rpc_address {
    char host[RPC_HOST_SIZE]; /* a name or a numeric address without brackets; "" when left out */
    uint16_t port;
};

/* "127.0.0.1:7373", "[::1]:7373", "localhost:7373", ":7373". False with, for example,
 * "address foo: missing port in address" in `error`. */
bool rpc_address_parse(struct rpc_address *address, const char *text, struct buffer *error);

#endif
