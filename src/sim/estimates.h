/* How well the members' network coordinates tell the round-trip times between them, where these are
 * known: in a plane (links_place). */
#ifndef SIM_ESTIMATES_H
#define SIM_ESTIMATES_H

#include "simulation.h"

enum { ESTIMATES_MEMBERS_MAX = 512 }; /* of more, only so many are compared */

struct estimates {
    uint64_t pairs;
    /* |estimated - true| / true, in millionths: in the middle, and what 95 % of all pairs do not
     * exceed. */
    uint32_t median, most;
};

/* Of all pairs of members that run now, each by what it says of itself. */
struct estimates estimates_measure(const struct simulation *simulation);

#endif
