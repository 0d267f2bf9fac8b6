/* The record of a run: a digest of everything that happened, and on demand a line for each thing.
 * Two runs with the same digest were the same run. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct sim_trace {
    FILE *file; /* borrowed; NULL: only the digest */
    uint64_t digest;
};

void sim_trace_init(struct sim_trace *trace, FILE *file);

/* Takes numbers into the digest (FNV-1a over their words). */
void sim_trace_mix(struct sim_trace *trace, uint64_t a, uint64_t b);

/* One line: the time, the member's name, then the words. Does nothing without a file. */
void sim_trace_line(struct sim_trace *trace, uint64_t now, uint32_t member, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
