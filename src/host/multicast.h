/* Questions to everybody on the link, and answers to one: a pair of UDP sockets for each address
 * family, one bound to a well-known port and joined to a multicast group, one on a port of its own
 * that questions are asked from. Made for multicast DNS (RFC 6762), whose groups and port these
 * are. Nothing is sent beyond the link. */
#ifndef HOST_MULTICAST_H
#define HOST_MULTICAST_H

#include "buffer.h"
#include "loop.h"
#include "socket_text.h"

enum {
    MULTICAST_PORT = 5353,
    MULTICAST_DATAGRAM_SIZE_MAX = 9000, /* RFC 6762, 17 */
    MULTICAST_INTERFACES_MAX = 64,
    MULTICAST_TURN_DATAGRAMS = 64, /* read from one socket in one turn of the loop */
};

struct multicast;

/* Who sent a datagram, and on which interface it came. */
struct multicast_peer {
    union socket_address address;
    unsigned interface; /* index */
};

struct multicast_callbacks {
    void *context;
    /* `datagram` is borrowed during the call. `answer`: it came to the port that questions are
     * asked from; else to the group. The owner may free the multicast from inside. */
    void (*received)(void *context, const struct multicast_peer *from, struct span datagram,
                     bool answer);
};

struct multicast_config {
    struct loop *loop;
    const char *interface; /* NULL: all that are up and take multicast; copied */
    bool ipv4, ipv6;
    struct multicast_callbacks callbacks;
};

/* NULL with the reason in `error` when no family can be listened for, or the interface that is
 * named takes no multicast. */
struct multicast *multicast_new(const struct multicast_config *config, struct buffer *error);
void multicast_free(struct multicast *multicast);

/* Joins the groups on interfaces that have come up since; returns how many there are in all. */
size_t multicast_refresh(struct multicast *multicast);

/* To the group, on every interface and in every family. */
void multicast_ask(struct multicast *multicast, struct span datagram);

/* From the well-known port to the peer, or (`group`) to the group on the peer's interface. */
void multicast_answer(struct multicast *multicast, const struct multicast_peer *to, bool group,
                      struct span datagram);

#endif
