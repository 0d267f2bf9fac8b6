/* The lines of Prometheus's text format, version 0.0.4: all of one name together, below one head.
 */
#ifndef AGENT_METRIC_TEXT_H
#define AGENT_METRIC_TEXT_H

#include "buffer.h"

struct metric_text {
    struct buffer *out;
    const char *last; /* whose head was written last; borrowed */
};

/* The lines above the first number of a name; nothing when they have just been written. `help` has
 * no backslash and no newline; `type` is "counter", "gauge", "summary" or "histogram". */
void metric_text_head(struct metric_text *text, const char *name, const char *help,
                      const char *type);

/* In quotes. A control character, and a byte that is no UTF-8, which would make the whole page
 * unreadable, are shown as "\\x1b": the value is then `\x1b`. */
void metric_text_label(struct buffer *out, struct span value);

/* A name without labels, with its head. */
void metric_text_plain(struct metric_text *text, const char *name, const char *help,
                       const char *type, double value);

#endif
