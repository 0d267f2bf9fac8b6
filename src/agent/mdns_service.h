/* What an agent says about itself by multicast DNS, and what it reads of others (agent
 * specification, 3.13): the service `_serf_CLUSTER._tcp.local.`, with each node an instance of it.
 * Bytes in, bytes out; no sockets. */
#ifndef AGENT_MDNS_SERVICE_H
#define AGENT_MDNS_SERVICE_H

#include "dns_message.h"

enum {
    MDNS_TTL_S = 120,
    MDNS_MESSAGE_SIZE_MAX = 1400,
    MDNS_HOSTS_MAX = 64, /* of one message */
};

struct mdns_service {
    struct dns_name service, instance, host;
    struct endpoint address;     /* with the gossip port */
    uint8_t text[256];           /* one string, its size in front */
    struct dns_name enumeration; /* which asks what services there are */
};

struct mdns_host {
    struct dns_name instance;
    struct endpoint endpoint;
};

/* False with the reason in `error` when the cluster's name can't be part of a DNS name. A node's or
 * a machine's name that is too long for one is cut. */
bool mdns_service_init(struct mdns_service *service, struct span cluster, struct span node,
                       struct span host, const struct endpoint *address, struct buffer *error);

/* Appends the question who else there is. */
bool mdns_write_query(const struct mdns_service *service, struct buffer *out);

enum mdns_reply {
    MDNS_NO_REPLY, /* nothing was asked that we answer */
    MDNS_REPLY_TO_ASKER,
    MDNS_REPLY_TO_GROUP, /* a full querier, on the well-known port, that wants all to hear it */
};

/* Appends the answer to `query`, which came from `port`. */
enum mdns_reply mdns_write_reply(const struct mdns_service *service, struct span query,
                                 uint16_t port, struct buffer *out);

/* The instances of the service with their addresses in a response; returns how many were written,
 * at most MDNS_HOSTS_MAX. What is malformed is left out. */
size_t mdns_read_hosts(const struct mdns_service *service, struct span response,
                       struct mdns_host *hosts);

/* Appends the node's name that an instance is called after. */
void mdns_host_name(const struct mdns_service *service, const struct mdns_host *host,
                    struct buffer *out);

#endif
