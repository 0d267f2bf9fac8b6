/* Cold starts: members that all start at about the same time behind one service address or name,
 * and must end as one cluster. */
#ifndef SIM_COLD_START_H
#define SIM_COLD_START_H

#include "buffer.h"

enum { COLD_START_LIMIT_S = 60 }; /* a cluster that has not agreed by then has split */

/* Appends the text of the scenario that a number stands for. `by_name`: not behind the service
 * address, but by a name that lists all that run. */
void cold_start_write(uint32_t members, uint64_t number, bool by_name, struct buffer *out);

#endif
