/* Where an agent listens for RPC clients, and where clients find it, as `rpc_addr`, -rpc-addr and
 * SERF_RPC_ADDR are written:
 *
 *     host:port      TCP, with the reference's words for what is wrong (agent specification, 1.4);
 *                    an IPv6 address, bare or in brackets, may leave the port out: 7373
 *     unix:PATH      a Unix socket
 *     none           nowhere: the agent has no RPC server
 */
#ifndef RPC_RPC_ADDRESS_H
#define RPC_RPC_ADDRESS_H

#include "buffer.h"

enum {
    RPC_HOST_SIZE = 256,
    RPC_PATH_SIZE = 108, /* what the kernel takes (sun_path), with the byte that ends it */
};

#define RPC_ADDRESS_DEFAULT "127.0.0.1:7373"
#define RPC_ADDRESS_NONE    "none"
#define RPC_ADDRESS_UNIX    "unix:"

enum rpc_address_kind { RPC_OVER_TCP, RPC_OVER_UNIX, RPC_NOWHERE };

struct rpc_address {
    enum rpc_address_kind kind;
    char host[RPC_HOST_SIZE]; /* a name or a numeric address without brackets; "" when left out */
    uint16_t port;
    char path[RPC_PATH_SIZE];
};

/* "127.0.0.1:7373", "[::1]:7373", "localhost:7373", ":7373", "unix:/run/serf.sock", "none". False
 * with, for example, "address foo: missing port in address" in `error`. */
bool rpc_address_parse(struct rpc_address *address, const char *text, struct buffer *error);

#endif
