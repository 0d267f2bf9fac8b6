/* The banner is read by scripts, its columns included: labels end at column 27, but the one of the
 * advertised address never was aligned. */
#include "banner.h"

static const char running[] = "Serf agent running!";

static void print_endpoint(struct agent_log *log, const char *label,
                           const struct endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_SIZE];
    agent_log_info(log, "%s: '%s'", label, endpoint_text(endpoint, text));
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static bool print_json(struct agent_log *log, const struct banner *banner)
{
    enum { FIELDS_MAX = 10 };
    char bind[ENDPOINT_TEXT_SIZE], advertise[ENDPOINT_TEXT_SIZE];
    struct log_field fields[FIELDS_MAX] = {
        {"node_name", span_text(banner->node_name)},
        {"bind", span_text(endpoint_text(&banner->bind, bind))},
        {"rpc_addr", span_text(banner->rpc_address)},
        {"encrypted", span_text(truth(banner->encrypted))},
        {"snapshot", span_text(truth(banner->snapshot))},
        {"profile", span_text(banner->profile)},
        {"compression", span_text(truth(banner->compression))},
    };
    size_t count = 7;
    if (banner->advertise.address_size > 0)
        fields[count++] = (struct log_field){
            "advertise", span_text(endpoint_text(&banner->advertise, advertise))};
    if (banner->mdns_cluster[0])
        fields[count++] = (struct log_field){"discover", span_text(banner->mdns_cluster)};
    return agent_log_json_notice(log, running, fields, count);
}

void banner_print(struct agent_log *log, const struct banner *banner)
{
    if (print_json(log, banner))
        return;
    agent_log_notice(log, "%s", running);
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
