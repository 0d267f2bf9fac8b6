/* A socket bound to an address: what listeners and UDP sockets have in common. */
#ifndef HOST_BOUND_SOCKET_H
#define HOST_BOUND_SOCKET_H

#include "buffer.h"
#include "endpoint.h"

/* Opens and binds a non-blocking socket of `type` (SOCK_STREAM or SOCK_DGRAM). An address that is
 * unset, 0.0.0.0 or :: binds every address of both families, or of IPv4 alone where the kernel has
 * no IPv6. Returns the descriptor and its family, or -1 with "listen udp 127.0.0.1:7946: bind:
 * address already in use" in `error`. */
int bound_socket_open(int type, const struct endpoint *address, int *family, struct buffer *error);

/* Where the kernel bound it. */
struct endpoint bound_socket_endpoint(int descriptor);

#endif
