#include "links.h"

#include "sim_memory.h"
#include "swim_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t retransmit_first = 200 * NANOSECONDS_PER_MS;
static const uint64_t connect_first = 1 * NANOSECONDS_PER_S;
static const uint64_t retransmit_longest = 30 * NANOSECONDS_PER_S;
/* A link without delay would let a reordered datagram arrive at once. */
static const uint64_t reorder_least = 5 * NANOSECONDS_PER_MS;

void links_init(struct links *links, uint32_t member_count, const struct link *normal)
{
    *links = (struct links){
        .member_count = member_count, .normal = *normal, .present = *normal, .special = *normal};
    links->group = sim_allocate(member_count, 1);
    links->is_special = sim_allocate(member_count, 1);
}

static void clear_blocks(struct links *links)
{
    for (uint32_t i = 0; i < links->block_count; i++) {
        free(links->blocks[i].from);
        free(links->blocks[i].to);
    }
    links->block_count = 0;
}

void links_fini(struct links *links)
{
    clear_blocks(links);
    free(links->group);
    free(links->is_special);
    free(links->places);
}

void links_place(struct links *links, struct random *random, uint64_t side)
{
    links->places = sim_allocate(links->member_count, sizeof *links->places);
    for (uint32_t i = 0; i < links->member_count; i++)
        links->places[i] =
            (struct link_place){random_below(random, side / 2), random_below(random, side / 2)};
}

uint64_t links_distance(const struct links *links, uint32_t from, uint32_t to)
{
    if (!links->places)
        return 0;
    double x = (double)links->places[from].x - (double)links->places[to].x;
    double y = (double)links->places[from].y - (double)links->places[to].y;
    return (uint64_t)sqrt(x * x + y * y);
}

uint64_t links_round_trip(const struct links *links, uint32_t a, uint32_t b)
{
    return 2 * links_distance(links, a, b) + links->normal.delay_min + links->normal.delay_max;
}

void links_set_group(struct links *links, const uint8_t *set, uint8_t group)
{
    links->partitioned = true;
    for (uint32_t i = 0; i < links->member_count; i++)
        if (set[i])
            links->group[i] = group;
}

static uint8_t *copy_set(const struct links *links, const uint8_t *set)
{
    uint8_t *copy = sim_allocate(links->member_count, 1);
    memcpy(copy, set, links->member_count);
    return copy;
}

bool links_block(struct links *links, const uint8_t *from, const uint8_t *to)
{
    if (links->block_count == LINK_BLOCKS_MAX)
        return false;
    links->blocks[links->block_count++] =
        (struct link_block){copy_set(links, from), copy_set(links, to)};
    return true;
}

void links_degrade(struct links *links, const struct link *link, const uint8_t *set)
{
    links->degraded = true;
    if (!set) {
        links->present = *link;
        return;
    }
    links->special = *link;
    for (uint32_t i = 0; i < links->member_count; i++)
        links->is_special[i] |= set[i];
}

void links_heal(struct links *links)
{
    clear_blocks(links);
    memset(links->group, 0, links->member_count);
    memset(links->is_special, 0, links->member_count);
    links->present = links->special = links->normal;
    links->partitioned = links->degraded = false;
}

bool links_are_healthy(const struct links *links)
{
    return !links->partitioned && !links->degraded && links->block_count == 0;
}

bool links_blocked(const struct links *links, uint32_t from, uint32_t to)
{
    if (from == to)
        return false;
    if (links->partitioned && links->group[from] != links->group[to] && links->group[from] != 0 &&
        links->group[to] != 0)
        return true;
    for (uint32_t i = 0; i < links->block_count; i++)
        if (links->blocks[i].from[from] && links->blocks[i].to[to])
            return true;
    return false;
}

static const struct link *link_between(const struct links *links, uint32_t from, uint32_t to)
{
    return links->is_special[from] || links->is_special[to] ? &links->special : &links->present;
}

static bool happens(struct random *random, uint32_t chance)
{
    return chance > 0 && random_below(random, CHANCE_CERTAIN) < chance;
}

static uint64_t draw_delay(struct random *random, const struct link *link)
{
    return link->delay_min + random_below(random, link->delay_max - link->delay_min + 1);
}

static uint64_t datagram_delay(struct random *random, const struct link *link)
{
    uint64_t delay = draw_delay(random, link);
    if (happens(random, link->reorder))
        delay += random_below(random, link->delay_max * LINK_REORDER_STRETCH + reorder_least);
    return delay;
}

uint32_t links_send(const struct links *links, struct random *random, uint32_t from, uint32_t to,
                    uint64_t delays[2])
{
    if (links_blocked(links, from, to))
        return 0;
    const struct link *link = link_between(links, from, to);
    if (happens(random, link->loss))
        return 0;
    uint64_t distance = links_distance(links, from, to);
    delays[0] = distance + datagram_delay(random, link);
    if (!happens(random, link->duplicate))
        return 1;
    delays[1] = distance + datagram_delay(random, link);
    return 2;
}

uint64_t links_retransmit_wait(uint32_t losses, bool connect)
{
    uint64_t wait = connect ? connect_first : retransmit_first;
    for (uint32_t i = 0; i < losses && wait < retransmit_longest; i++)
        wait *= 2;
    return wait < retransmit_longest ? wait : retransmit_longest;
}

uint64_t links_stream_delay(const struct links *links, struct random *random, uint32_t from,
                            uint32_t to)
{
    const struct link *link = link_between(links, from, to);
    uint64_t delay = links_distance(links, from, to) + draw_delay(random, link);
    for (uint32_t losses = 0; losses < LINK_RETRANSMITS_MAX && happens(random, link->loss);
         losses++)
        delay += links_retransmit_wait(losses, false);
    return delay;
}
