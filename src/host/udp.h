/* A bound UDP socket that reads and writes in batches. */
#ifndef HOST_UDP_H
#define HOST_UDP_H

#include "buffer.h"
#include "endpoint.h"
#include "loop.h"

enum {
    UDP_BATCH = 16,                       /* datagrams read with one system call */
    UDP_SEND_BATCH = 64,                  /* datagrams sent with one system call */
    UDP_DATAGRAM_SIZE_MAX = 65536,        /* memberlist specification, 8: UDP read buffer */
    UDP_RECEIVE_BUFFER = 2 * 1024 * 1024, /* asked of the kernel (memberlist specification, 9.3) */
    UDP_RECEIVE_BUFFER_MIN = 1024,        /* a kernel that refuses this much refuses to start */
    UDP_TURN_DATAGRAMS = 64,              /* handed over in one turn of the loop, at most */
};

#define UDP_TURN_NS UINT64_C(5000000) /* and for no longer than this */

struct udp;

struct udp_callbacks {
    void *context;
    /* `datagram` is borrowed during the call, and may be empty. */
    void (*received)(void *context, const struct endpoint *from, struct span datagram);
    /* The system refused to send to this destination (no route, a firewall, a wrong family).
     * Comes at the end of a turn, never from inside udp_send. A full send buffer is not reported:
     * the datagrams are dropped and counted, UDP being lossy. */
    void (*send_failed)(void *context, const struct endpoint *to, int error_number);
};

struct udp_counters {
    uint64_t received, sent;
    uint64_t dropped; /* the send buffer was full, or memory was out */
    uint64_t refused; /* reported by send_failed */
};

/* Binds. An address that is unset, 0.0.0.0 or :: means every address of both families, through one
 * socket where the kernel has IPv6 (as in the reference), else of IPv4 alone. Port 0: the system
 * chooses. NULL on failure, with "listen udp 127.0.0.1:7946: bind: address already in use" or
 * "failed to resize UDP buffer: ..." in `error`. */
struct udp *udp_new(struct loop *loop, const struct endpoint *address,
                    const struct udp_callbacks *callbacks, struct buffer *error);
/* Sends what is collected, and closes. Allowed inside the callbacks, which then come no more. */
void udp_free(struct udp *udp);

/* The address and port that the kernel bound; unset address (size 16, zeros) when bound to all. */
struct endpoint udp_bound(const struct udp *udp);

/* Copies the datagram; it leaves at the end of the turn, or when the batch is full. One longer
 * than the kernel takes ends in send_failed with EMSGSIZE. */
void udp_send(struct udp *udp, const struct endpoint *to, struct span datagram);

/* Sends what is collected now. */
void udp_flush(struct udp *udp);

/* Hands over what has arrived, up to the limits of one turn, without waiting. True when more may
 * be there. The loop calls this by itself; a host calls it before it lets its timers expire. Must
 * not be called from inside a callback. */
bool udp_receive(struct udp *udp);

const struct udp_counters *udp_counters(const struct udp *udp);

#endif
