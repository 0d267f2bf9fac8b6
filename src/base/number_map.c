/* The same scheme as hash_index: linear probing and backward-shift deletion. Keys are numbers that
 * we gave out ourselves, so a fixed multiplicative hash is safe. */
#include "number_map.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 8 };

static uint32_t home_of(const struct number_map *map, uint32_t key)
{
    uint32_t hash = key * UINT32_C(2654435769);
    return (hash ^ (hash >> 15)) & (map->capacity - 1);
}

void number_map_fini(struct number_map *map)
{
    free(map->entries);
    *map = (struct number_map){0};
}

static uint32_t place_of(const struct number_map *map, uint32_t key)
{
    uint32_t mask = map->capacity - 1;
    uint32_t i = home_of(map, key);
    while (map->entries[i].value && map->entries[i].key != key)
        i = (i + 1) & mask;
    return i;
}

void *number_map_find(const struct number_map *map, uint32_t key)
{
    return map->count ? map->entries[place_of(map, key)].value : NULL;
}

static bool grow(struct number_map *map)
{
    struct number_map wider = {.capacity = map->capacity ? map->capacity * 2 : FIRST_CAPACITY,
                               .count = map->count};
    wider.entries = calloc(wider.capacity, sizeof *wider.entries);
    if (!wider.entries)
        return false;
    for (uint32_t i = 0; i < map->capacity; i++)
        if (map->entries[i].value)
            wider.entries[place_of(&wider, map->entries[i].key)] = map->entries[i];
    free(map->entries);
    *map = wider;
    return true;
}

bool number_map_insert(struct number_map *map, uint32_t key, void *value)
{
    assert(value);
    if (map->count >= map->capacity - map->capacity / 4 && !grow(map))
        return false;
    uint32_t i = place_of(map, key);
    assert(!map->entries[i].value);
    map->entries[i] = (struct number_map_entry){value, key};
    map->count++;
    return true;
}

void *number_map_remove(struct number_map *map, uint32_t key)
{
    if (map->count == 0)
        return NULL;
    uint32_t mask = map->capacity - 1;
    uint32_t hole = place_of(map, key);
    void *value = map->entries[hole].value;
    if (!value)
        return NULL;
    for (uint32_t i = (hole + 1) & mask; map->entries[i].value; i = (i + 1) & mask) {
        uint32_t home = home_of(map, map->entries[i].key);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole].value = NULL;
    map->count--;
    return value;
}

void *number_map_next(const struct number_map *map, uint32_t *position)
{
    while (*position < map->capacity) {
        void *value = map->entries[(*position)++].value;
        if (value)
            return value;
    }
    return NULL;
}
