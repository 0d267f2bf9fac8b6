/* Cold starts: members that all start at about the same time behind one service address, and must
 * end as one cluster. */
#ifndef SIM_COLD_START_H
#define SIM_COLD_START_H

#include "buffer.h"

enum { COLD_START_LIMIT_S = 60 }; /* a cluster that has not agreed by then has split */

/* Appends the text of the scenario that a number stands for. */
void cold_start_write(uint32_t members, uint64_t number, struct buffer *out);

#endif
