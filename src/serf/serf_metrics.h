/* What the Serf layer counts (Serf specification, section 12, "serf."); otherwise as
 * swim_metrics.h. */
#ifndef SERF_METRICS_H
#define SERF_METRICS_H

#include "name_counts.h"
#include "swim_metrics.h"

struct serf_metrics {
    struct measurements messages_received, messages_sent;       /* bytes of one user message */
    struct measurements intent_queue, event_queue, query_queue; /* depth at each check */
    uint64_t events, queries; /* new ones that were accepted, before filters */
    struct name_counts events_by_name, queries_by_name;
    uint64_t query_acks, query_responses; /* the first from each sender */
    uint64_t query_duplicate_acks, query_duplicate_responses;
    uint64_t joined, left, failed, updated;
    struct measurements adjustments; /* nanoseconds by which the own coordinate moved */
    uint64_t coordinates_rejected, coordinates_without_distance;
};

#endif
