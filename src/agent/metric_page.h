/* All metrics in Prometheus's text format, version 0.0.4. */
#ifndef AGENT_METRIC_PAGE_H
#define AGENT_METRIC_PAGE_H

#include "metrics.h"

enum { METRIC_PAGE_SIZE_MAX = 1024 * 1024 };

#define METRIC_PAGE_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends the page, what the system says of this process (process_*) included. */
void metric_page_write(const struct metric_sources *sources, struct buffer *out);

#endif
