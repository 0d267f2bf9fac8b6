/* Names to addresses, without blocking. Numeric addresses answer themselves; names of hosts go
 * through /etc/hosts and DNS (A and AAAA, search domains, EDNS, retries over TCP), names of
 * services through DNS (SRV), by c-ares. Nothing is cached: every question is asked anew, with the
 * /etc/resolv.conf of that time. c-ares is not touched before the first real name, and its memory
 * is given back after the last answer. */
#ifndef HOST_RESOLVER_H
#define HOST_RESOLVER_H

#include "buffer.h"
#include "endpoint.h"
#include "loop.h"

enum {
    RESOLVER_ADDRESSES_MAX = 1024, /* of one name; more are dropped */
    RESOLVER_TARGETS_MAX = 64,     /* hosts of one service that are looked up, see below */
    RESOLVER_LOOKUPS_MAX = 1024,   /* at once; more are answered "out of memory" */
    HOST_NAME_SIZE_MAX = 255,
};

struct resolver_config {
    const char *servers;  /* "127.0.0.1:5353,[::1]:53"; NULL: those of /etc/resolv.conf */
    uint64_t try_timeout; /* of one question to one server; 0: 2 s */
    uint32_t tries;       /* rounds over all servers; 0: 2 */
    uint64_t timeout;     /* of one lookup in all; 0: 10 s */
    /* What an operator should know, once in the resolver's life: that an answer has more addresses
     * or services than are used, "lookup NAME: more than 1024 addresses: ...". From the loop; may
     * not call back in. NULL: nobody is told. */
    void (*warn)(void *context, const char *text);
    void *warn_context;
};

struct resolver;

/* Comes once for every lookup, from the loop. Endpoints are borrowed; count is 0 on failure, with
 * "lookup nohost: no such host" (or ": i/o timeout", ": server misbehaving") in `error`. That is
 * there beside endpoints, too, when of a service some hosts have no address; otherwise NULL. */
typedef void resolver_done(void *context, const struct endpoint *endpoints, size_t count,
                           const char *error);

/* `config` may be NULL; its string is borrowed for the resolver's life. NULL when memory is out. */
struct resolver *resolver_new(struct loop *loop, const struct resolver_config *config);

/* Lookups still running are not called back. Allowed inside `done`. */
void resolver_free(struct resolver *resolver);

/* `host` is a name or a numeric address without brackets; every endpoint gets `port`. False when
 * memory is out: `done` is then never called. */
bool resolver_lookup(struct resolver *resolver, struct span host, uint16_t port,
                     resolver_done *done, void *context);

/* The addresses of the hosts that the SRV records of `name` name (RFC 2782), each with its record's
 * port: lower priorities first, in random order where they are equal; weights are not heeded. Of
 * more than RESOLVER_TARGETS_MAX records the first in that order are taken. Hosts that have no
 * address are left out, and the error is the first one's, "lookup HOST: ...". `port` is for records
 * with port 0. */
bool resolver_lookup_service(struct resolver *resolver, struct span name, uint16_t port,
                             resolver_done *done, void *context);

/* resolver_lookup while waiting (for start-up and for commands): returns the number of endpoints
 * written, at most `max`, in the order of preference; 0 with the reason in `error`. */
size_t resolve_now(const struct resolver_config *config, const char *host, uint16_t port,
                   struct endpoint *endpoints, size_t max, struct buffer *error);

#endif
