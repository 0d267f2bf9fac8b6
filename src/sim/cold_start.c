/* The members start at once, or over up to five seconds, as pods do that are scheduled together. */
#include "cold_start.h"

#include <inttypes.h>

void cold_start_write(uint32_t members, uint64_t number, bool by_name, struct buffer *out)
{
    static const uint32_t over_ms[] = {0, 20, 200, 1000, 5000};
    uint32_t over = over_ms[number % (sizeof over_ms / sizeof *over_ms)];
    buffer_printf(out, "# Cold start %" PRIu64 " of %" PRIu32 " members.\nmembers %" PRIu32 "\n",
                  number, members, members);
    buffer_printf(out, "link delay 200us..2ms\nat 0s start all over %ums join %s\n", over,
                  by_name ? "headless" : "service");
    buffer_printf(out, "settle within %us\nrun until agreed for 0s\n",
                  (unsigned)COLD_START_LIMIT_S);
}
