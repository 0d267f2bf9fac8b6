#include "report.h"

#include <inttypes.h>

static double seconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / (double)NANOSECONDS_PER_S;
}

static const char *member_text(int64_t member, char name[MEMBER_NAME_SIZE])
{
    if (member == CHECKER_NOBODY)
        return "-";
    machine_name((uint32_t)member, name);
    return name;
}

static void write_violation(FILE *file, const struct violation *violation, const char *repeat)
{
    char viewer[MEMBER_NAME_SIZE], subject[MEMBER_NAME_SIZE];
    fprintf(file, "VIOLATION: %s\n", invariant_name(violation->invariant));
    fprintf(file, "  at              %.9f s\n", seconds(violation->time));
    fprintf(file, "  seen by         %s\n", member_text(violation->viewer, viewer));
    fprintf(file, "  about           %s\n", member_text(violation->subject, subject));
    fprintf(file, "  what            %s\n", violation->text);
    fprintf(file, "  to repeat it    %s\n", repeat);
}

void report_text(FILE *file, const char *name, const struct run_result *result, const char *repeat)
{
    const struct simulation_counts *counts = &result->counts;
    fprintf(file, "%s: %s\n", name, result->violation.found ? "FAILED" : "ok");
    fprintf(file, "  seed            %" PRIu64 "\n", result->seed);
    fprintf(file, "  members         %" PRIu32 "\n", result->member_count);
    fprintf(file, "  virtual time    %.3f s\n", seconds(result->virtual_time));
    fprintf(file, "  datagrams       %" PRIu64 " (%" PRIu64 " bytes; %" PRIu64 " did not arrive)\n",
            counts->datagrams, counts->datagram_bytes, counts->datagrams_lost);
    fprintf(file, "  streams         %" PRIu64 " (%" PRIu64 " bytes)\n", counts->streams,
            counts->stream_bytes);
    fprintf(file,
            "  member events   %" PRIu64 " joins, %" PRIu64 " failures (%" PRIu64
            " of members that ran), %" PRIu64 " leaves, %" PRIu64 " updates\n",
            result->joins, result->failures, result->false_failures, result->leaves,
            result->updates);
    if (result->user_events > 0)
        fprintf(file, "  user events     %" PRIu32 ", %" PRIu64 " of %" PRIu64 " deliveries\n",
                result->user_events, result->user_deliveries, result->user_deliveries_expected);
    if (result->queries > 0)
        fprintf(file, "  queries         %" PRIu32 ", %" PRIu64 " of %" PRIu64 " answers\n",
                result->queries, result->answers, result->answers_expected);
    if (result->estimates.pairs > 0)
        fprintf(file,
                "  coordinates     round trips wrong by %.1f %% in the middle, by %.1f %% at most "
                "for 95 %% of %" PRIu64 " pairs\n",
                result->estimates.median / 1e4, result->estimates.most / 1e4,
                result->estimates.pairs);
    if (result->crashes > 0)
        fprintf(file,
                "  crashes         %" PRIu32 ", %" PRIu32 " known everywhere, the last to be so "
                "after %.3f s (bound %.1f s)\n",
                result->crashes, result->crashes_known, seconds(result->worst_crash),
                seconds(result->crash_bound));
    if (result->agreed)
        fprintf(file, "  agreement       %.3f s after the last change (bound %.1f s)\n",
                seconds(result->agreed_after), seconds(result->settle_bound));
    else
        fprintf(file, "  agreement       none\n");
    fprintf(file, "  bounds          %s\n",
            result->all_checked ? "all passed and checked" : "the run ended before all had passed");
    fprintf(file, "  digest          %016" PRIx64 "\n", result->digest);
    fprintf(file, "  CPU             %.2f s, peak memory %.1f MB\n", result->cpu_seconds,
            (double)result->peak_bytes / 1e6);
    if (result->violation.found)
        write_violation(file, &result->violation, repeat);
}

static json_t *violation_json(const struct violation *violation, const char *repeat)
{
    char viewer[MEMBER_NAME_SIZE], subject[MEMBER_NAME_SIZE];
    if (!violation->found)
        return json_null();
    return json_pack("{s:s, s:f, s:s, s:s, s:s, s:s}", "invariant",
                     invariant_name(violation->invariant), "seconds", seconds(violation->time),
                     "seen_by", member_text(violation->viewer, viewer), "about",
                     member_text(violation->subject, subject), "what", violation->text, "repeat",
                     repeat);
}

json_t *report_json(const char *name, const struct run_result *result, const char *repeat)
{
    char digest[24];
    const struct simulation_counts *counts = &result->counts;
    snprintf(digest, sizeof digest, "%016" PRIx64, result->digest);
    return json_pack(
        "{s:s, s:b, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:f, s:f, s:b, s:f, s:f, s:b, s:s, s:f, s:I, s:I, s:I, s:I, s:f, s:f, s:o}",
        "scenario", name, "ok", !result->violation.found, "seed", (json_int_t)result->seed,
        "members", (json_int_t)result->member_count, "virtual_seconds",
        seconds(result->virtual_time), "datagrams", (json_int_t)counts->datagrams, "datagram_bytes",
        (json_int_t)counts->datagram_bytes, "datagrams_lost", (json_int_t)counts->datagrams_lost,
        "streams", (json_int_t)counts->streams, "stream_bytes", (json_int_t)counts->stream_bytes,
        "joins", (json_int_t)result->joins, "failures", (json_int_t)result->failures,
        "false_failures", (json_int_t)result->false_failures, "leaves", (json_int_t)result->leaves,
        "updates", (json_int_t)result->updates, "user_events", (json_int_t)result->user_events,
        "user_deliveries", (json_int_t)result->user_deliveries, "user_deliveries_expected",
        (json_int_t)result->user_deliveries_expected, "crashes", (json_int_t)result->crashes,
        "crashes_known", (json_int_t)result->crashes_known, "worst_crash_seconds",
        seconds(result->worst_crash), "crash_bound_seconds", seconds(result->crash_bound), "agreed",
        result->agreed, "agreement_seconds", seconds(result->agreed_after), "settle_bound_seconds",
        seconds(result->settle_bound), "all_bounds_passed", result->all_checked, "digest", digest,
        "cpu_seconds", result->cpu_seconds, "peak_bytes", (json_int_t)result->peak_bytes, "queries",
        (json_int_t)result->queries, "answers", (json_int_t)result->answers, "answers_expected",
        (json_int_t)result->answers_expected, "coordinate_error_median",
        result->estimates.median / 1e6, "coordinate_error_most", result->estimates.most / 1e6,
        "violation", violation_json(&result->violation, repeat));
}
