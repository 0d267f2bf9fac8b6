/* Counts are told as differences, several occurrences in one line: to statsd that is the same sum.
 * Measurements are told one by one, as the reference does; where more were taken than are kept, the
 * latest are told with the share that they are ("|@0.25"), which statsd and statsite know. */
#include "metric_lines.h"

#include <inttypes.h>
#include <stdio.h>

static const char prefix[] = "serf-agent.";

struct writing {
    struct metric_lines *lines;
    struct buffer *out;
    bool gauges;  /* that changed are told */
    bool repeats; /* all gauges are told */
};

void metric_lines_init(struct metric_lines *lines, const char *host)
{
    *lines = (struct metric_lines){0};
    snprintf(lines->host, sizeof lines->host, "%s", host);
}

/* Names come from peers and scripts: what separates fields or lines may not be in them. */
static void append_sanitised(struct buffer *out, struct span name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool separates = c <= ' ' || c == 0x7f || c == ':' || c == '|' || c == '@' || c == '#';
        buffer_append_u8(out, separates ? '_' : c);
    }
}

static void write_name(struct writing *writing, const struct metric *metric)
{
    struct buffer *out = writing->out;
    buffer_append_text(out, prefix);
    if (metric->kind == METRIC_GAUGE && writing->lines->host[0]) {
        append_sanitised(out, span_text(writing->lines->host));
        buffer_append_u8(out, '.');
    }
    buffer_append_text(out, metric->name);
    if (metric->member_key) {
        buffer_append_u8(out, '.');
        append_sanitised(out, metric->member);
    }
}

static void write_counter(struct writing *writing, const struct metric *metric)
{
    uint64_t *seen = &writing->lines->seen[metric->slot];
    if (metric->count == *seen)
        return;
    write_name(writing, metric);
    buffer_printf(writing->out, ":%" PRIu64 ".000000|c\n", metric->count - *seen);
    *seen = metric->count;
}

static void write_gauge(struct writing *writing, const struct metric *metric)
{
    double *told = &writing->lines->gauges[metric->slot];
    bool changed = metric->gauge < *told || metric->gauge > *told;
    if (!writing->repeats && !(writing->gauges && changed))
        return;
    write_name(writing, metric);
    buffer_printf(writing->out, ":%f|g\n", metric->gauge);
    *told = metric->gauge;
}

static void write_measurements(struct writing *writing, const struct metric *metric)
{
    const struct measurements *measurements = metric->measurements;
    uint64_t *seen = &writing->lines->seen[metric->slot];
    uint64_t fresh = measurements->count - *seen;
    uint64_t kept = fresh < MEASUREMENTS_KEPT ? fresh : MEASUREMENTS_KEPT;
    double scale = metric->unit == METRIC_NANOSECONDS ? 1e-6 : 1;
    for (uint64_t number = measurements->count - kept; number < measurements->count; number++) {
        write_name(writing, metric);
        buffer_printf(writing->out, ":%f|ms",
                      (double)measurements->recent[number % MEASUREMENTS_KEPT] * scale);
        if (kept < fresh)
            buffer_printf(writing->out, "|@%.6f", (double)kept / (double)fresh);
        buffer_append_u8(writing->out, '\n');
    }
    *seen = measurements->count;
}

static void write_metric(void *context, const struct metric *metric)
{
    struct writing *writing = context;
    if (!metric->name)
        return;
    if (metric->kind == METRIC_COUNTER)
        write_counter(writing, metric);
    else if (metric->kind == METRIC_GAUGE)
        write_gauge(writing, metric);
    else
        write_measurements(writing, metric);
}

void metric_lines_write(struct metric_lines *lines, const struct metric_sources *sources,
                        uint64_t now, struct buffer *out)
{
    struct writing writing = {
        .lines = lines,
        .out = out,
        .gauges = lines->gauges_told == 0 || now - lines->gauges_told >= GAUGE_INTERVAL_NS,
        .repeats = lines->gauges_repeated == 0 || now - lines->gauges_repeated >= GAUGE_REPEAT_NS,
    };
    metrics_visit(sources, write_metric, &writing);
    if (writing.gauges)
        lines->gauges_told = now;
    if (writing.repeats)
        lines->gauges_repeated = now;
}

struct span metric_lines_packet(struct span text, size_t limit)
{
    size_t end = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\n')
            continue;
        if (end > 0 && i + 1 > limit)
            break;
        end = i + 1;
        if (end > limit)
            break;
    }
    return span_make(text.data, end);
}
