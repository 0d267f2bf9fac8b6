/* How long a suspected member has to defend itself (Lifeguard: "dynamic suspicion"; memberlist
 * specification, 7.6): long when one member accuses, shorter with each further accuser. */
#ifndef SWIM_SUSPICION_H
#define SWIM_SUSPICION_H

#include "intern.h"
#include "timer_heap.h"

enum { SUSPICION_CONFIRMATIONS_MAX = 8 };

struct suspicion {
    struct timer timer;
    uint32_t member;
    uint32_t wanted;        /* k: confirmations that bring the timeout down to the minimum */
    uint32_t confirmations; /* n: accusers beyond the first */
    uint64_t started;
    uint64_t ends;             /* when the suspect is declared dead */
    bool told;                 /* the suspect has been told directly that it is about to be */
    uint64_t minimum, maximum; /* nanoseconds */
    struct atom *accusers[1 + SUSPICION_CONFIRMATIONS_MAX]; /* names; references held */
};

/* mult * trunc(1000 * max(1, log10(max(1, members)))) * probe_interval / 1000 */
uint64_t suspicion_minimum(uint32_t mult, uint32_t members, uint64_t probe_interval);

/* k: mult - 2, or 0 when there are not that many others to ask. */
uint32_t suspicion_wanted(uint32_t mult, uint32_t members);

/* max - (max - min) * ln(n + 1) / ln(k + 1), in whole milliseconds, at least min; min if k is 0. */
uint64_t suspicion_timeout(uint32_t confirmations, uint32_t wanted, uint64_t minimum,
                           uint64_t maximum);

/* Counts `from` as a confirmation. False if it has accused before or no more are wanted; then
 * nothing changes. Takes a reference to the name when it counts. */
bool suspicion_confirm(struct suspicion *suspicion, struct atom *from);

void suspicion_free(struct suspicion *suspicion, struct intern_pool *pool);

#endif
