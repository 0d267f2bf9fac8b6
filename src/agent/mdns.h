/* Discovery by multicast DNS: -discover (agent specification, 3.13). The agent answers whoever on
 * its link asks for members of the cluster, asks itself now and then, and joins whom it finds. */
#ifndef AGENT_MDNS_H
#define AGENT_MDNS_H

#include "log.h"
#include "node.h"

enum {
    MDNS_BATCH_MAX = 256,          /* addresses of one join; others are found again later */
    MDNS_JOINED_MAX = 1024,        /* addresses remembered as joined */
    MDNS_RESPONSES_MAX = 4096,     /* read after one question */
    MDNS_REPLIES_PER_SECOND = 100, /* more are not sent: each member asks once a minute */
};

#define MDNS_POLL_NS    UINT64_C(60000000000) /* agent specification, 3.13, as the next two */
#define MDNS_COLLECT_NS UINT64_C(1000000000)
#define MDNS_QUIET_NS   UINT64_C(100000000)

struct mdns_config {
    struct loop *loop;
    struct agent_log *log;
    struct node *node;
    const char *cluster, *node_name; /* borrowed for the call */
    const char *interface;           /* NULL: all; borrowed for the call */
    bool ipv4, ipv6;
    bool replay;
    uint64_t poll_interval; /* 0: MDNS_POLL_NS */
};

struct mdns;

/* NULL with the reason in `error`. */
struct mdns *mdns_new(const struct mdns_config *config, struct buffer *error);
/* The node must not call back any more: free it right after. NULL is ignored. */
void mdns_free(struct mdns *mdns);

/* Whether a question has been answered by nobody but this agent itself: then there is nobody else.
 * Silence says nothing, since the own answer comes back wherever multicast works. */
bool mdns_found_nobody_else(const struct mdns *mdns);

#endif
