/* Where metrics go: statsd over UDP, statsite over TCP (agent specification, 3.15). A sink that is
 * not there costs a log line and a new try every few seconds, and never time. */
#ifndef AGENT_METRIC_SINKS_H
#define AGENT_METRIC_SINKS_H

#include "log.h"
#include "metrics.h"

enum {
    STATSD_PACKET_SIZE_MAX = 1400,        /* as in the reference: it fits an Ethernet frame */
    STATSITE_UNSENT_SIZE_MAX = 64 * 1024, /* beyond it the next lines wait, as a sum */
    METRICS_DEFAULT_PORT = 8125,
};

#define METRIC_FLUSH_NS  UINT64_C(100000000)   /* as in the reference */
#define METRIC_RETRY_NS  UINT64_C(5000000000)  /* after a failure */
#define METRIC_LOOKUP_NS UINT64_C(60000000000) /* the name of statsd is looked up anew */

struct metric_sinks_config {
    struct loop *loop;
    struct agent_log *log;
    const char *statsd_address, *statsite_address; /* host[:port], or NULL: none */
    void *context;
    void (*sources)(void *context, struct metric_sources *sources);
};

struct metric_sinks;

/* NULL when memory is out. An address that can't be used is told in the log. */
struct metric_sinks *metric_sinks_new(const struct metric_sinks_config *config);

/* Sends what is left. NULL is ignored. */
void metric_sinks_free(struct metric_sinks *sinks);

#endif
