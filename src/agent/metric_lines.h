/* The lines that statsd and statsite understand: "serf-agent.serf.events:1.000000|c". A writer
 * remembers what it has told, and writes what is new since: a sink that could not be reached for a
 * while gets the whole difference, and no count is lost. */
#ifndef AGENT_METRIC_LINES_H
#define AGENT_METRIC_LINES_H

#include "metrics.h"

enum {
    METRIC_LINES_SIZE_MAX = 1024 * 1024, /* of one call: far above what all slots can fill */
    METRIC_LINE_SIZE_MAX = 512,
};

#define GAUGE_INTERVAL_NS UINT64_C(1000000000)  /* a gauge that changes is told this often */
#define GAUGE_REPEAT_NS   UINT64_C(10000000000) /* and one that does not */

struct metric_lines {
    uint64_t seen[METRIC_SLOTS]; /* counts told */
    double gauges[FIXED_METRICS_MAX];
    uint64_t gauges_told, gauges_repeated; /* when */
    char host[256];                        /* stands in the names of gauges */
};

/* `host` is copied. */
void metric_lines_init(struct metric_lines *lines, const char *host);

/* Appends what is new, a line each with its newline. `out` has a maximum of
 * METRIC_LINES_SIZE_MAX. */
void metric_lines_write(struct metric_lines *lines, const struct metric_sources *sources,
                        uint64_t now, struct buffer *out);

/* The longest run of whole lines at the start of `text` that is no longer than `limit`; a single
 * line that is longer is given whole. */
struct span metric_lines_packet(struct span text, size_t limit);

#endif
