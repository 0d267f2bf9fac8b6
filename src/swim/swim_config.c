/* Defaults of memberlist specification, section 8. */
#include "swim_config.h"

void swim_config_lan(struct swim_config *config)
{
    *config = (struct swim_config){
        .bind_port = 7946,
        .versions = {1, 5, 2, 2, 5, 5},
        .tcp_timeout = 10 * NANOSECONDS_PER_S,
        .indirect_checks = 3,
        .retransmit_mult = 4,
        .suspicion_mult = 4,
        .suspicion_max_timeout_mult = 6,
        .push_pull_interval = 30 * NANOSECONDS_PER_S,
        .probe_timeout = 500 * NANOSECONDS_PER_MS,
        .probe_interval = 1 * NANOSECONDS_PER_S,
        .awareness_max_multiplier = 8,
        .gossip_nodes = 3,
        .gossip_interval = 200 * NANOSECONDS_PER_MS,
        .gossip_to_the_dead_time = 30 * NANOSECONDS_PER_S,
        .tcp_pings = true,
        .udp_buffer_size = 1400,
        .verify_incoming = true,
        .verify_outgoing = true,
        .compress = true,
        .members_max = PUSH_PULL_NODES_MAX,
        .streams_max = 256,
        .stream_bytes_max = 64 * 1024 * 1024,
        .log_level = LOG_LEVEL_DEBUG,
    };
}

void swim_config_wan(struct swim_config *config)
{
    swim_config_lan(config);
    config->tcp_timeout = 30 * NANOSECONDS_PER_S;
    config->suspicion_mult = 6;
    config->push_pull_interval = 60 * NANOSECONDS_PER_S;
    config->probe_timeout = 3 * NANOSECONDS_PER_S;
    config->probe_interval = 5 * NANOSECONDS_PER_S;
    config->gossip_nodes = 4;
    config->gossip_interval = 500 * NANOSECONDS_PER_MS;
    config->gossip_to_the_dead_time = 60 * NANOSECONDS_PER_S;
}

void swim_config_local(struct swim_config *config)
{
    swim_config_lan(config);
    config->tcp_timeout = 1 * NANOSECONDS_PER_S;
    config->indirect_checks = 1;
    config->retransmit_mult = 2;
    config->suspicion_mult = 3;
    config->push_pull_interval = 15 * NANOSECONDS_PER_S;
    config->probe_timeout = 200 * NANOSECONDS_PER_MS;
    config->gossip_interval = 100 * NANOSECONDS_PER_MS;
    config->gossip_to_the_dead_time = 15 * NANOSECONDS_PER_S;
}
