/* Linear probing, at most three quarters full, with backward-shift deletion: no tombstones, so a
 * table with churn does not slow down. */
#include "hash_index.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 16, CAPACITY_MAX = 1 << 24, ITEM_BITS = 24 };

#define ITEM_MASK ((UINT32_C(1) << ITEM_BITS) - 1)

/* What a place holds. The low bits of the hash choose the place; these are the highest of its 32
 * low ones, which no capacity uses. */
static uint32_t tagged(uint64_t hash, uint32_t item)
{
    return ((uint32_t)hash & ~ITEM_MASK) | (item + 1);
}

static uint32_t item_in(uint32_t place)
{
    return (place & ITEM_MASK) - 1;
}

void hash_index_init(struct hash_index *index, const void *table,
                     uint64_t (*hash_of)(const void *table, uint32_t item),
                     bool (*has_key)(const void *table, uint32_t item, const void *key))
{
    *index = (struct hash_index){.hash_of = hash_of, .has_key = has_key, .table = table};
}

void hash_index_fini(struct hash_index *index)
{
    free(index->places);
    index->places = NULL;
    index->capacity = index->count = 0;
}

uint32_t hash_index_find(const struct hash_index *index, uint64_t hash, const void *key)
{
    if (index->capacity == 0)
        return HASH_INDEX_NONE;
    uint32_t mask = index->capacity - 1;
    uint32_t tag = (uint32_t)hash & ~ITEM_MASK;
    for (uint32_t i = (uint32_t)hash & mask; index->places[i] != 0; i = (i + 1) & mask)
        if ((index->places[i] & ~ITEM_MASK) == tag &&
            index->has_key(index->table, item_in(index->places[i]), key))
            return item_in(index->places[i]);
    return HASH_INDEX_NONE;
}

uint32_t hash_index_candidate(const struct hash_index *index, uint64_t hash)
{
    if (index->capacity == 0)
        return HASH_INDEX_NONE;
    uint32_t mask = index->capacity - 1, tag = (uint32_t)hash & ~ITEM_MASK;
    for (uint32_t i = (uint32_t)hash & mask; index->places[i] != 0; i = (i + 1) & mask)
        if ((index->places[i] & ~ITEM_MASK) == tag)
            return item_in(index->places[i]);
    return HASH_INDEX_NONE;
}

static void place(uint32_t *places, uint32_t capacity, uint64_t hash, uint32_t item)
{
    uint32_t mask = capacity - 1;
    uint32_t i = (uint32_t)hash & mask;
    while (places[i] != 0)
        i = (i + 1) & mask;
    places[i] = tagged(hash, item);
}

static bool grow_to(struct hash_index *index, uint32_t capacity)
{
    uint32_t *places = calloc(capacity, sizeof *places);
    if (!places)
        return false;
    for (uint32_t i = 0; i < index->capacity; i++)
        if (index->places[i] != 0) {
            uint32_t item = item_in(index->places[i]);
            place(places, capacity, index->hash_of(index->table, item), item);
        }
    free(index->places);
    index->places = places;
    index->capacity = capacity;
    return true;
}

/* How many items stand in so many places at most. */
static uint32_t items_in(uint32_t capacity)
{
    return capacity - capacity / 4;
}

bool hash_index_reserve(struct hash_index *index)
{
    if (index->count < items_in(index->capacity))
        return true;
    if (index->capacity >= CAPACITY_MAX)
        return false;
    return grow_to(index, index->capacity ? index->capacity * 2 : FIRST_CAPACITY);
}

void hash_index_expect_count(struct hash_index *index, uint32_t count)
{
    uint32_t capacity = index->capacity ? index->capacity : FIRST_CAPACITY;
    while (items_in(capacity) < count && capacity < CAPACITY_MAX)
        capacity *= 2;
    if (capacity > index->capacity)
        grow_to(index, capacity);
}

void hash_index_insert(struct hash_index *index, uint64_t hash, uint32_t item)
{
    assert(index->count < index->capacity && item < HASH_INDEX_ITEMS_MAX);
    place(index->places, index->capacity, hash, item);
    index->count++;
}

void hash_index_remove(struct hash_index *index, uint64_t hash, uint32_t item)
{
    assert(index->capacity != 0);
    uint32_t mask = index->capacity - 1;
    uint32_t hole = (uint32_t)hash & mask;
    while (item_in(index->places[hole]) != item) {
        assert(index->places[hole] != 0);
        hole = (hole + 1) & mask;
    }
    /* Pull back every later item of the run that may stand in the hole. */
    for (uint32_t i = (hole + 1) & mask; index->places[i] != 0; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)index->hash_of(index->table, item_in(index->places[i])) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            index->places[hole] = index->places[i];
            hole = i;
        }
    }
    index->places[hole] = 0;
    index->count--;
}
