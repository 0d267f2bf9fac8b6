/* Finds the end of one msgpack object in bytes that arrive piece by piece. Each byte is looked at
 * once, however small the pieces, and a length is refused as soon as it is announced: nothing waits
 * for a string of 4 GiB, and no peer makes us parse its half of a message a thousand times. */
#ifndef RPC_RPC_SCANNER_H
#define RPC_RPC_SCANNER_H

#include "msgpack.h"

struct rpc_scanner {
    size_t offset;    /* bytes of the object that have been scanned */
    size_t size_max;  /* of the object */
    size_t bytes_max; /* of one string, byte string or extension in it */
    uint32_t depth;
    uint64_t left[MSGPACK_DEPTH_MAX]; /* values still to come, of each open list or map */
};

void rpc_scanner_init(struct rpc_scanner *scanner, size_t size_max, size_t bytes_max);

/* `input` starts with the object's first byte and only grows from call to call. MSGPACK_OK: the
 * object is the first `offset` bytes. MSGPACK_SHORT: call again with more. MSGPACK_INVALID: it is
 * no msgpack, or larger or deeper than allowed. */
enum msgpack_status rpc_scan(struct rpc_scanner *scanner, struct span input);

#endif
