/* Names that peers chose become values of a label; scripts of event handlers, in which secrets may
 * stand, do not: they are numbered. */
#include "metric_page.h"

#include "files.h"
#include "metric_cluster.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void write_name(struct buffer *out, const struct metric *metric, const char *suffix)
{
    buffer_printf(out, "%s%s", metric->page_name, suffix);
    if (metric->page_label)
        buffer_printf(out, "{%s}", metric->page_label);
    if (!metric->member_key)
        return;
    buffer_printf(out, "{%s=", metric->member_key);
    if (metric->kind == METRIC_MEASUREMENTS)
        buffer_printf(out, "\"%" PRIu32 "\"", metric->place);
    else
        metric_text_label(out, metric->member);
    buffer_append_u8(out, '}');
}

static void write_measurements(struct metric_text *page, const struct metric *metric)
{
    double scale = metric->unit == METRIC_NANOSECONDS ? 1e-9 : 1;
    metric_text_head(page, metric->page_name, metric->help, "summary");
    write_name(page->out, metric, "_sum");
    buffer_printf(page->out, " %.9g\n", (double)metric->measurements->sum * scale);
    write_name(page->out, metric, "_count");
    buffer_printf(page->out, " %" PRIu64 "\n", metric->measurements->count);
}

static void write_metric(void *context, const struct metric *metric)
{
    struct metric_text *page = context;
    if (!metric->page_name)
        return;
    if (metric->kind == METRIC_MEASUREMENTS) {
        write_measurements(page, metric);
        return;
    }
    bool counter = metric->kind == METRIC_COUNTER;
    metric_text_head(page, metric->page_name, metric->help, counter ? "counter" : "gauge");
    write_name(page->out, metric, "");
    if (counter)
        buffer_printf(page->out, " %" PRIu64 "\n", metric->count);
    else
        buffer_printf(page->out, " %.17g\n", metric->gauge);
}

static void write_round_trips(struct metric_text *page, const struct swim_metrics *swim)
{
    const char *name = "serf_memberlist_probe_round_trip_seconds";
    uint64_t count = 0;
    metric_text_head(page, name, "Round trips of probes that were answered in time.", "histogram");
    for (size_t i = 0; i < ROUND_TRIP_BOUNDS; i++) {
        count += swim->round_trips[i];
        buffer_printf(page->out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                      (double)round_trip_bounds[i] * 1e-9, count);
    }
    count += swim->round_trips[ROUND_TRIP_BOUNDS];
    buffer_printf(page->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    buffer_printf(page->out, "%s_sum %.9g\n%s_count %" PRIu64 "\n", name,
                  (double)swim->round_trip_sum * 1e-9, name, count);
}

/* --- the process --- */

static double open_descriptors(void)
{
    double count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* the directory's own */
}

/* The number in field `field` (the first is 0) behind the last ')' of the text: names of programs
 * may hold anything. */
static double field_of(const char *text, int field)
{
    const char *at = strrchr(text, ')');
    at = at ? at + 2 : text;
    while (field > 0 && *at)
        field -= *at++ == ' ';
    return strtod(at, NULL);
}

static bool read_status(const char *path, struct buffer *out)
{
    struct buffer error;
    buffer_init(&error, 512);
    bool good = file_read(path, out, &error);
    buffer_fini(&error);
    return good;
}

static double start_time(void)
{
    struct buffer stat;
    struct timespec now, up;
    buffer_init(&stat, 4096);
    double started = 0;
    if (read_status("/proc/self/stat", &stat) && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
        clock_gettime(CLOCK_BOOTTIME, &up) == 0)
        started = (double)(now.tv_sec - up.tv_sec) +
                  field_of(buffer_text(&stat), 19) / (double)sysconf(_SC_CLK_TCK);
    buffer_fini(&stat);
    return started;
}

static void write_memory(struct metric_text *page)
{
    struct buffer text;
    double size = (double)sysconf(_SC_PAGESIZE);
    buffer_init(&text, 4096);
    if (read_status("/proc/self/statm", &text)) {
        metric_text_plain(page, "process_virtual_memory_bytes", "Virtual memory.", "gauge",
                          field_of(buffer_text(&text), 0) * size);
        metric_text_plain(page, "process_resident_memory_bytes", "Resident memory.", "gauge",
                          field_of(buffer_text(&text), 1) * size);
    }
    buffer_fini(&text);
}

static void write_process(struct metric_text *page)
{
    struct rusage usage;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        metric_text_plain(page, "process_cpu_seconds_total", "Processor time, user and system.",
                          "counter",
                          (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
    write_memory(page);
    metric_text_plain(page, "process_open_fds", "Open file descriptors.", "gauge",
                      open_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_text_plain(page, "process_max_fds", "Limit of open file descriptors.", "gauge",
                          (double)limit.rlim_cur);
    metric_text_plain(page, "process_start_time_seconds", "Start, in seconds since 1970.", "gauge",
                      start_time());
}

void metric_page_write(const struct metric_sources *sources, struct buffer *out)
{
    struct metric_text page = {.out = out};
    metrics_visit(sources, write_metric, &page);
    write_round_trips(&page, sources->swim);
    metric_cluster_keys(&page, sources->keyring);
    if (sources->peers)
        metric_cluster_peers(&page, sources->peers);
    write_process(&page);
    metric_text_head(&page, "serf_build_info", "The version.", "gauge");
    buffer_append_text(out, "serf_build_info{version=\"" CSERF_VERSION "\"} 1\n");
}
