/* Plays a scenario on a simulation, and takes down what a report needs. */
#ifndef SIM_PLAYER_H
#define SIM_PLAYER_H

#include "estimates.h"
#include "samples.h"
#include "scenario.h"
#include "simulation.h"

struct player_options {
    uint64_t seed;
    uint32_t member_count; /* 0: the scenario's */
    FILE *trace;           /* borrowed; NULL: none */
    /* Called now and then, every few thousand steps. */
    void (*progress)(void *context, const struct simulation *simulation);
    void *context;
};

struct run_result {
    uint64_t seed;
    uint32_t member_count;
    uint64_t virtual_time;
    struct simulation_counts counts;
    uint64_t digest;
    uint64_t crash_bound, settle_bound; /* those that held at the end */
    struct violation violation;
    bool agreed;
    bool all_checked;      /* the run was long enough for every bound to pass */
    uint64_t agreed_after; /* the last change, or peace; if agreed */
    uint64_t joins, failures, leaves, updates, false_failures;
    uint32_t crashes, crashes_known;
    uint64_t worst_crash;
    uint32_t user_events;
    uint64_t user_deliveries, user_deliveries_expected;
    uint32_t queries;
    uint64_t answers, answers_expected;
    struct estimates estimates; /* where the members are points in a plane */
    double cpu_seconds;
    uint64_t peak_bytes;    /* resident, of the whole process so far */
    struct samples samples; /* owned */
};

/* False, with one line in `error`, when the scenario does not fit its members. A violation is no
 * error: it is part of the result. */
bool play(const struct scenario *scenario, const struct player_options *options,
          struct run_result *result, struct buffer *error);
void run_result_fini(struct run_result *result);

#endif
