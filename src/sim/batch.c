#include "batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_EVERY_S = 10 };

struct share { /* of one job: every `jobs`-th number */
    uint64_t first, end, stride, deadline;
    bool (*play_one)(const void *context, uint64_t number, uint64_t *measured);
    const void *context;
};

static uint64_t real_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void play_share(const struct share *share, struct batch_result *result)
{
    uint64_t reported = real_time();
    for (uint64_t number = share->first; number < share->end; number += share->stride) {
        uint64_t measured = 0, now = real_time();
        if (share->deadline && now >= share->deadline)
            break;
        if (now - reported > PROGRESS_EVERY_S * UINT64_C(1000000000)) {
            fprintf(stderr, "serf-sim: %llu runs done in this process, now at number %llu\n",
                    (unsigned long long)result->runs, (unsigned long long)number);
            reported = now;
        }
        result->runs++;
        if (!share->play_one(share->context, number, &measured)) {
            result->failed = true;
            result->failed_number = number;
            break;
        }
        result->sum += measured;
        if (measured >= result->worst) {
            result->worst = measured;
            result->worst_number = number;
        }
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    result->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                          (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static bool start_job(const struct share *share, int *reader, pid_t *child)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    *child = fork();
    if (*child == 0) {
        struct batch_result result = {0};
        close(ends[0]);
        play_share(share, &result);
        ssize_t written = write(ends[1], &result, sizeof result);
        _exit(written == (ssize_t)sizeof result ? 0 : 1);
    }
    close(ends[1]);
    *reader = ends[0];
    return *child > 0;
}

static void add(struct batch_result *total, const struct batch_result *part)
{
    total->runs += part->runs;
    total->sum += part->sum;
    total->cpu_seconds += part->cpu_seconds;
    if (part->worst >= total->worst) {
        total->worst = part->worst;
        total->worst_number = part->worst_number;
    }
    if (part->failed && (!total->failed || part->failed_number < total->failed_number)) {
        total->failed = true;
        total->failed_number = part->failed_number;
    }
}

bool batch_run(uint64_t first, uint64_t count, uint32_t jobs, uint64_t limit,
               bool (*play_one)(const void *context, uint64_t number, uint64_t *measured),
               const void *context, struct batch_result *result)
{
    int readers[BATCH_JOBS_MAX];
    pid_t children[BATCH_JOBS_MAX];
    uint32_t started = 0;
    bool good = true;
    *result = (struct batch_result){0};
    fflush(NULL);
    for (; started < jobs && good; started++) {
        struct share share = {.first = first + started,
                              .end = first + count,
                              .stride = jobs,
                              .deadline = limit ? real_time() + limit : 0,
                              .play_one = play_one,
                              .context = context};
        good = start_job(&share, &readers[started], &children[started]);
    }
    for (uint32_t i = 0; i < started; i++) {
        struct batch_result part;
        int status = 1;
        if (children[i] <= 0)
            continue;
        if (read(readers[i], &part, sizeof part) == (ssize_t)sizeof part)
            add(result, &part);
        else
            good = false;
        close(readers[i]);
        waitpid(children[i], &status, 0);
        good = good && status == 0;
    }
    return good;
}
