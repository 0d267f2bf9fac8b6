/* What the membership core counts (Serf specification, section 12, "memberlist."). It reads none of
 * this itself: a host may look at any time, and takes differences. Everything counts up from the
 * core's start. */
#ifndef SWIM_METRICS_H
#define SWIM_METRICS_H

#include "measurements.h"

#include <stddef.h>

enum { ROUND_TRIP_BOUNDS = 11 };

#define FLAP_TIMEOUT_NS UINT64_C(60000000000) /* Serf specification, section 11: FlapTimeout */

/* Upper bounds of the classes of round_trips, in nanoseconds. */
extern const uint64_t round_trip_bounds[ROUND_TRIP_BOUNDS];

struct swim_metrics {
    uint64_t alive, suspect, dead; /* messages that changed a member */
    uint64_t flapped;              /* members back alive within FLAP_TIMEOUT_NS of their death */
    uint64_t packets_sent, packet_bytes_sent;
    uint64_t packets_received, packet_bytes_received;
    uint64_t streams_accepted;
    uint64_t push_pulls_begun; /* by us */
    uint64_t stream_bytes_sent, stream_bytes_received;
    uint64_t degraded_probes;   /* begun while the own health was bad: they may take longer */
    uint64_t degraded_timeouts; /* suspicions that ran out without the confirmations wanted */
    uint64_t gossip_ticks;
    uint64_t plaintext_accepted;    /* packets and streams, although there is a key */
    uint64_t unlabelled_accepted;   /* likewise, although there is a label */
    uint64_t labels_refused;        /* packets and streams, for their label or for having none */
    uint64_t answers_withheld;      /* to third parties, above ANSWERS_ELSEWHERE_MAX */
    struct measurements probes;     /* nanoseconds from the ping to the verdict */
    struct measurements push_pulls; /* nanoseconds from the connect to the end, of our own */
    struct measurements broadcasts; /* waiting, at each check of the queues */

    /* Of pings that were answered in time, by class; the last is above all bounds. */
    uint64_t round_trips[ROUND_TRIP_BOUNDS + 1];
    uint64_t round_trip_sum; /* nanoseconds */
};

void swim_count_round_trip(struct swim_metrics *metrics, uint64_t round_trip);

#endif
