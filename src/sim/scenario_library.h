/* The scenarios of src/sim/scenarios, built into the program. */
#ifndef SIM_SCENARIO_LIBRARY_H
#define SIM_SCENARIO_LIBRARY_H

#include <stddef.h>

struct library_scenario {
    const char *name; /* the file's, without its ending */
    const char *text;
};

extern const struct library_scenario scenario_library[];
extern const size_t scenario_library_count;

#endif
