#include "bounds.h"

#include "logarithm.h"
#include "suspicion.h"

static uint64_t spread_bound(const struct swim_config *swim, uint32_t members, uint64_t delay)
{
    uint64_t transmits = (uint64_t)swim->retransmit_mult * log10_ceiling((uint64_t)members + 1);
    uint64_t hops = log2_ceiling(members) + transmits;
    uint64_t datagrams = (uint64_t)members * BOUND_MESSAGE_BYTES / swim->udp_buffer_size + 1;
    uint64_t drain = datagrams / swim->gossip_nodes + 1;
    return (hops + drain) * swim->gossip_interval + hops * delay;
}

static uint64_t repair_bound(const struct swim_config *swim, uint32_t members)
{
    uint64_t factor = members <= 32 ? 1 : log2_ceiling(members) - 5 + 1;
    return swim->push_pull_interval * factor + swim->tcp_timeout;
}

static uint64_t crash_bound(const struct swim_config *swim, uint32_t members, uint64_t spread)
{
    uint64_t certain = members > 1 ? 2 * (uint64_t)members - 1 : 1;
    uint64_t rounds = certain < PROBE_ROUNDS ? certain : PROBE_ROUNDS;
    uint64_t suspicion = suspicion_minimum(swim->suspicion_mult, members, swim->probe_interval) *
                         swim->suspicion_max_timeout_mult;
    return (rounds + swim->awareness_max_multiplier) * swim->probe_interval + suspicion + spread;
}

struct bounds bounds_for(const struct serf_config *config, uint32_t members, uint64_t longest_delay)
{
    const struct swim_config *swim = &config->swim;
    struct bounds bounds = {
        .spread = spread_bound(swim, members, longest_delay),
        .repair = repair_bound(swim, members),
    };
    bounds.crash = crash_bound(swim, members, bounds.spread);
    bounds.healing = 2 * (bounds.repair + bounds.spread);
    bounds.reconnect = RECONNECT_ROUNDS * config->reconnect_interval;
    bounds.move = bounds.crash + swim->gossip_to_the_dead_time + members * swim->probe_interval;
    return bounds;
}
