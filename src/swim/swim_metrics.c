#include "swim_metrics.h"

#define MICROSECONDS(n) (UINT64_C(1000) * (n))

const uint64_t round_trip_bounds[ROUND_TRIP_BOUNDS] = {
    MICROSECONDS(250),    MICROSECONDS(500),    MICROSECONDS(1000),   MICROSECONDS(2500),
    MICROSECONDS(5000),   MICROSECONDS(10000),  MICROSECONDS(25000),  MICROSECONDS(50000),
    MICROSECONDS(100000), MICROSECONDS(250000), MICROSECONDS(500000),
};

void swim_count_round_trip(struct swim_metrics *metrics, uint64_t round_trip)
{
    size_t class = 0;
    while (class < ROUND_TRIP_BOUNDS && round_trip > round_trip_bounds[class])
        class ++;
    metrics->round_trips[class]++;
    metrics->round_trip_sum += round_trip;
}
