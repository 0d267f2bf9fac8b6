/* A hundred names are looked through one after the other, by hash: four bytes each in steps of one
 * cache line or two, which is nothing beside the decoding of the message that brought the name. A
 * peer that makes hashes collide makes us compare a hundred short names at worst, so that no secret
 * key is needed. */
#include "name_counts.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 8 };

void name_counts_fini(struct name_counts *counts)
{
    free(counts->names);
    *counts = (struct name_counts){0};
}

static uint32_t hash_of(struct span name)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ name.data[i]) * 16777619U;
    return hash;
}

static bool make_room(struct name_counts *counts)
{
    if (counts->count < counts->capacity)
        return true;
    if (counts->count >= NAME_COUNTS_MAX)
        return false;
    uint32_t capacity = counts->capacity > 0 ? counts->capacity * 2 : CAPACITY_FIRST;
    if (capacity > NAME_COUNTS_MAX)
        capacity = NAME_COUNTS_MAX;
    struct name_count *names = realloc(counts->names, capacity * sizeof *names);
    if (!names)
        return false;
    counts->names = names;
    counts->capacity = capacity;
    return true;
}

uint32_t name_counts_place(struct name_counts *counts, struct span name)
{
    if (name.size > COUNTED_NAME_SIZE_MAX)
        return NAME_COUNTS_OTHER;
    uint32_t hash = hash_of(name);
    for (uint32_t i = 0; i < counts->count; i++)
        if (counts->names[i].hash == hash && span_equal(name_counts_name(counts, i), name))
            return i;
    if (!make_room(counts))
        return NAME_COUNTS_OTHER;
    struct name_count *added = &counts->names[counts->count];
    *added = (struct name_count){.hash = hash, .size = (uint8_t)name.size};
    if (name.size > 0)
        memcpy(added->name, name.data, name.size);
    return counts->count++;
}

void name_counts_add(struct name_counts *counts, struct span name)
{
    uint32_t place = name_counts_place(counts, name);
    if (place == NAME_COUNTS_OTHER)
        counts->other++;
    else
        counts->names[place].count++;
}

struct span name_counts_name(const struct name_counts *counts, uint32_t place)
{
    if (place >= counts->count)
        return span_text("other");
    return span_make(counts->names[place].name, counts->names[place].size);
}

uint64_t name_counts_value(const struct name_counts *counts, uint32_t place)
{
    return place >= counts->count ? counts->other : counts->names[place].count;
}
