/* Counts by name, for names that peers choose: the first NAME_COUNTS_MAX get a count of their own,
 * all others, and those that are very long, share the count of "other". */
#ifndef SERF_NAME_COUNTS_H
#define SERF_NAME_COUNTS_H

#include "span.h"

enum {
    NAME_COUNTS_MAX = 100,
    COUNTED_NAME_SIZE_MAX = 128, /* bytes */
    NAME_COUNTS_OTHER = NAME_COUNTS_MAX,
};

struct name_count {
    uint64_t count;
    uint32_t hash;
    uint8_t size;
    uint8_t name[COUNTED_NAME_SIZE_MAX];
};

/* Zero it before the first use. */
struct name_counts {
    struct name_count *names; /* owned */
    uint32_t count, capacity;
    uint64_t other;
};

void name_counts_fini(struct name_counts *counts);

/* The place of a name: below `count`, or NAME_COUNTS_OTHER. Adds it if there is room. */
uint32_t name_counts_place(struct name_counts *counts, struct span name);

/* Counts one more. */
void name_counts_add(struct name_counts *counts, struct span name);

/* The name at a place; "other" at NAME_COUNTS_OTHER. */
struct span name_counts_name(const struct name_counts *counts, uint32_t place);
uint64_t name_counts_value(const struct name_counts *counts, uint32_t place);

#endif
