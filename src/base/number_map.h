/* A map from 32-bit numbers (ids, sequence numbers, slots) to pointers. */
#ifndef BASE_NUMBER_MAP_H
#define BASE_NUMBER_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct number_map_entry {
    void *value; /* NULL: empty place */
    uint32_t key;
};

struct number_map {
    struct number_map_entry *entries; /* owned; the values are borrowed */
    uint32_t capacity;                /* 0 or a power of two */
    uint32_t count;
};

void number_map_fini(struct number_map *map);

/* NULL when there is none. */
void *number_map_find(const struct number_map *map, uint32_t key);

/* `key` must not be in the map and `value` not NULL; false when memory is out. */
bool number_map_insert(struct number_map *map, uint32_t key, void *value);

/* Returns what was removed, or NULL. */
void *number_map_remove(struct number_map *map, uint32_t key);

/* Visits all entries in no useful order; start with *position = 0. The map must not change
 * meanwhile. NULL at the end. */
void *number_map_next(const struct number_map *map, uint32_t *position);

#endif
