/* Durations as people write them: "30s", "1.5h2m", "100ms" (agent specification, 3.4). */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdbool.h>
#include <stdint.h>

enum { DURATION_TEXT_SIZE = 32 };

/* An optional sign, then one or more decimal numbers with a unit each (ns us µs ms s m h); "0"
 * alone needs none. False when malformed or out of the range of int64_t nanoseconds. */
bool duration_parse(const char *text, int64_t *nanoseconds);

/* "1m30s", "1h0m0s", "100ms", "1.5s", "0s"; returns `text`, which has DURATION_TEXT_SIZE bytes. */
const char *duration_text(int64_t nanoseconds, char *text);

#endif
