#include "scenario.h"

#include "sim_memory.h"

#include <stdlib.h>

/* Draws `wanted` distinct ones of those that run. */
static void draw(uint32_t wanted, const uint32_t *up, uint32_t up_count, struct random *random,
                 uint8_t *members)
{
    uint32_t *left = sim_allocate(up_count, sizeof *left);
    if (up_count > 0)
        memcpy(left, up, up_count * sizeof *left);
    for (uint32_t i = 0; i < wanted && i < up_count; i++) {
        uint32_t k = i + (uint32_t)random_below(random, up_count - i);
        uint32_t drawn = left[k];
        left[k] = left[i];
        left[i] = drawn;
        members[drawn] = 1;
    }
    free(left);
}

static bool resolve_item(const struct set_item *item, uint32_t count, const uint32_t *up,
                         uint32_t up_count, struct random *random, uint8_t *members)
{
    uint32_t first = 0, end = count;
    switch (item->kind) {
    case SET_ALL:
        break;
    case SET_RANGE:
        if (item->from < 1 || item->to > count)
            return false;
        first = item->from - 1;
        end = item->to;
        break;
    case SET_SHARE:
        first = (uint32_t)((uint64_t)count * item->from / 100);
        end = (uint32_t)((uint64_t)count * item->to / 100);
        break;
    case SET_RANDOM_COUNT:
        draw(item->from, up, up_count, random, members);
        return true;
    case SET_RANDOM_SHARE:
        draw((uint32_t)(((uint64_t)up_count * item->from + CHANCE_CERTAIN - 1) / CHANCE_CERTAIN),
             up, up_count, random, members);
        return true;
    }
    for (uint32_t i = first; i < end; i++)
        members[i] = 1;
    return true;
}

bool member_set_resolve(const struct member_set *set, uint32_t count, const uint32_t *up,
                        uint32_t up_count, struct random *random, uint8_t *members)
{
    memset(members, 0, count);
    for (uint32_t i = 0; i < set->count; i++)
        if (!resolve_item(&set->items[i], count, up, up_count, random, members))
            return false;
    return true;
}
