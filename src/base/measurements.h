/* Something that is measured now and then: how often, its sum, and the latest values one by one.
 * Taking a value costs a few additions and no memory; who reads (a sink of metrics) remembers the
 * count that it has seen. */
#ifndef BASE_MEASUREMENTS_H
#define BASE_MEASUREMENTS_H

#include <stdint.h>

enum { MEASUREMENTS_KEPT = 32 }; /* a power of two */

struct measurements {
    uint64_t count; /* ever */
    uint64_t sum;
    float recent[MEASUREMENTS_KEPT]; /* value number n is at n % MEASUREMENTS_KEPT */
};

static inline void measure(struct measurements *measurements, uint64_t value)
{
    measurements->recent[measurements->count++ % MEASUREMENTS_KEPT] = (float)value;
    measurements->sum += value;
}

#endif
