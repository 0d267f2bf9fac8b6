/* The numbers that the agent tells about itself: one table names each, says where it is counted,
 * and what it is called by statsd (agent specification, 3.15) and on a Prometheus page. Whoever
 * writes them out visits the table, and finds each number under a slot that stays the same, by
 * which it remembers what it has seen. */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include "node.h"
#include "serf_metrics.h"

enum {
    NAMED_METRICS = 3,        /* families that have one number for each of many names */
    NAMED_METRIC_SLOTS = 101, /* NAME_COUNTS_MAX and "other" */
    FIXED_METRICS_MAX = 96,
    METRIC_SLOTS = FIXED_METRICS_MAX + NAMED_METRICS * NAMED_METRIC_SLOTS,
};

/* What the agent counts itself. Zero it before the first use. */
struct agent_metrics {
    uint64_t ipc_accepted, ipc_commands;
    struct name_counts scripts;                            /* event handlers, by their script */
    struct measurements *script_times[NAMED_METRIC_SLOTS]; /* owned; nanoseconds of each run */
};

void agent_metrics_fini(struct agent_metrics *metrics);
void agent_metrics_script_ran(struct agent_metrics *metrics, struct span script, uint64_t duration);

/* Where the numbers come from. All is borrowed. */
struct metric_sources {
    const struct swim_metrics *swim;
    const struct serf_metrics *serf;
    const struct node_metrics *node;
    const struct agent_metrics *agent;
    struct serf_stats stats;
    const struct keyring *keyring;             /* NULL: nothing is encrypted */
    bool sends_plaintext, accepts_plaintext;   /* while there is a keyring */
    bool sends_unlabelled, accepts_unlabelled; /* while there is a label */
    const struct serf *peers;                  /* for a page: tells of each; NULL: it does not */
};

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_MEASUREMENTS,
};

enum metric_unit {
    METRIC_PLAIN,       /* a number of things, or of bytes */
    METRIC_NANOSECONDS, /* told in milliseconds or seconds */
};

struct metric {
    enum metric_kind kind;
    enum metric_unit unit;
    uint32_t slot;          /* below METRIC_SLOTS */
    const char *name;       /* "serf.events"; NULL: not for statsd */
    const char *page_name;  /* "serf_events_total"; NULL: not for a page */
    const char *page_label; /* "state=\"alive\"", or NULL */
    const char *help;
    struct span member;     /* of a family: the name that this number is for; else empty */
    uint32_t place;         /* of a family: the name's number, from 0 */
    const char *member_key; /* of a family: what its names are, "name" or "handler"; else NULL */
    union {
        uint64_t count;
        double gauge;
        const struct measurements *measurements;
    };
};

typedef void metric_visit(void *context, const struct metric *metric);

/* Visits all, in the table's order; what has one page_name comes together. */
void metrics_visit(const struct metric_sources *sources, metric_visit *visit, void *context);

#endif
