/* Settings of the membership core. Durations are nanoseconds. */
#ifndef SWIM_CONFIG_H
#define SWIM_CONFIG_H

#include "effect.h"
#include "endpoint.h"
#include "packet.h"

#define NANOSECONDS_PER_MS UINT64_C(1000000)
#define NANOSECONDS_PER_S  UINT64_C(1000000000)

struct swim_config {
    struct span name; /* borrowed during swim_init only; 1 to MEMBER_NAME_SIZE_MAX bytes */
    struct span meta; /* likewise; at most META_SIZE_MAX bytes */
    struct endpoint advertise;
    bool advertise_mapped; /* send an IPv4 address in its 16-byte form, as the reference does when
                              it is bound to 0.0.0.0 */
    uint16_t bind_port;    /* what a port of 0 from a peer stands for */
    uint8_t versions[VERSIONS_SIZE];

    uint64_t tcp_timeout;
    uint32_t indirect_checks;
    uint32_t retransmit_mult;
    uint32_t suspicion_mult;
    uint32_t suspicion_max_timeout_mult;
    uint64_t push_pull_interval; /* 0: none */
    uint64_t probe_timeout;
    uint64_t probe_interval; /* 0: none */
    uint32_t awareness_max_multiplier;
    uint32_t gossip_nodes;
    uint64_t gossip_interval; /* 0: none */
    uint64_t gossip_to_the_dead_time;
    bool tcp_pings;
    uint64_t dead_node_reclaim_time; /* 0: a dead member's name can't be taken by a new address */
    uint32_t udp_buffer_size;        /* bytes of a gossip datagram before encryption is set aside */

    struct keyring *keyring; /* borrowed for the life of the core; NULL: no encryption */
    struct span label;       /* borrowed for the life of the core; at most LABEL_SIZE_MAX bytes */
    enum label_mode label_mode;
    bool skip_inbound_label_check;
    bool verify_incoming; /* with a keyring, plaintext is refused */
    bool verify_outgoing; /* with a keyring, what is sent is encrypted */
    bool compress;

    uint32_t members_expected; /* room is made for so many at the start, if there is memory; 0 */

    /* Limits on what peers can make grow. */
    uint32_t members_max;     /* records in the table */
    uint32_t streams_max;     /* streams at once */
    size_t stream_bytes_max;  /* bytes held for all incoming streams together */
    enum log_level log_level; /* below it nothing is formatted */
};

/* The three profiles (memberlist specification, section 8), with everything but the name, the
 * metadata and the addresses filled in. */
void swim_config_lan(struct swim_config *config);
void swim_config_wan(struct swim_config *config);
void swim_config_local(struct swim_config *config);

#endif
