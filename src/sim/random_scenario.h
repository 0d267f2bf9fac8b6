/* Scenarios drawn from a seed: a cluster that forms, faults of all kinds at random times that all
 * heal, and the rest until everybody agrees. */
#ifndef SIM_RANDOM_SCENARIO_H
#define SIM_RANDOM_SCENARIO_H

#include "buffer.h"

/* Appends the text of the scenario that the seed stands for, in the language of scenario.h. */
void random_scenario_write(uint64_t seed, struct buffer *out);

#endif
