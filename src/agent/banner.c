/* The banner is read by scripts, its columns included: labels end at column 27, but the one of the
 * advertised address never was aligned. */
#include "banner.h"

static void print_endpoint(struct agent_log *log, const char *label,
                           const struct endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_SIZE];
    if (endpoint->address_size > 0)
        agent_log_info(log, "%s: '%s'", label, endpoint_text(endpoint, text));
    else
        agent_log_info(log, "%s: ':%u'", label, endpoint->port);
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

void banner_print(struct agent_log *log, const struct banner *banner)
{
    agent_log_notice(log, "Serf agent running!");
    agent_log_info(log, "%27s: '%s'", "Node name", banner->node_name);
    print_endpoint(log, "                  Bind addr", &banner->bind);
    if (banner->advertise.address_size > 0)
        print_endpoint(log, "Advertise addr", &banner->advertise);
    agent_log_info(log, "%27s: '%s'", "RPC addr", banner->rpc_address);
    agent_log_info(log, "%27s: %s", "Encrypted", truth(banner->encrypted));
    agent_log_info(log, "%27s: %s", "Snapshot", truth(banner->snapshot));
    agent_log_info(log, "%27s: %s", "Profile", banner->profile);
    agent_log_info(log, "%27s: %s", "Message Compression Enabled", truth(banner->compression));
    if (banner->mdns_cluster[0])
        agent_log_info(log, "%27s: %s", "mDNS cluster", banner->mdns_cluster);
}
