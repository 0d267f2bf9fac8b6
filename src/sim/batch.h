/* Many runs, spread over processes: each child plays its share of the numbers and reports through
 * a pipe. */
#ifndef SIM_BATCH_H
#define SIM_BATCH_H

#include <stdbool.h>
#include <stdint.h>

enum { BATCH_JOBS_MAX = 64 };

struct batch_result {
    uint64_t runs;
    bool failed;
    uint64_t failed_number; /* the lowest that failed */
    uint64_t worst;         /* what the runs measured: the greatest, its number, and the sum */
    uint64_t worst_number;
    uint64_t sum;
    double cpu_seconds;
};

/* Plays numbers first, first + 1, ... until `count` have been played, one has failed, or `limit`
 * nanoseconds of real time have passed (0: no limit). `play_one` returns false for a failure, and
 * what it measured. `jobs` is 1 to BATCH_JOBS_MAX. False when a child could not be had or died. */
bool batch_run(uint64_t first, uint64_t count, uint32_t jobs, uint64_t limit,
               bool (*play_one)(const void *context, uint64_t number, uint64_t *measured),
               const void *context, struct batch_result *result);

#endif
