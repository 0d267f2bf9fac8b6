/* What a started agent says of itself (agent specification, 3.7). */
#ifndef AGENT_BANNER_H
#define AGENT_BANNER_H

#include "endpoint.h"
#include "log.h"

struct banner {
    const char *node_name;
    struct endpoint bind;      /* with the real port; address_size 0 is written ":port" */
    struct endpoint advertise; /* address_size 0: not told by the user, no line */
    const char *rpc_address;
    bool encrypted;
    bool snapshot;
    const char *profile;
    bool compression;
    const char *mdns_cluster; /* "" for none */
};

void banner_print(struct agent_log *log, const struct banner *banner);

#endif
