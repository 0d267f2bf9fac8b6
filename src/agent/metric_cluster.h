/* What a page of metrics tells of the cluster's keys, and, when that was asked for, of each peer.
 */
#ifndef AGENT_METRIC_CLUSTER_H
#define AGENT_METRIC_CLUSTER_H

#include "keyring.h"
#include "metric_text.h"
#include "serf.h"

enum {
    PEERS_MAX = 1000,                 /* that have series of their own */
    PEER_NAME_SIZE_MAX = 255,         /* bytes; who has a longer name has none */
    PEER_LINES_SIZE_MAX = 256 * 1024, /* of one of the two series for all peers */
};

/* serf_key_info: each key by its fingerprint. NULL: nothing. */
void metric_cluster_keys(struct metric_text *text, const struct keyring *keyring);

/* serf_peer_status and serf_peer_round_trip_seconds of the other members, as far as the limits
 * above let them; serf_peers_left_out counts the rest. */
void metric_cluster_peers(struct metric_text *text, const struct serf *serf);

#endif
