/* The virtual links between members: what a datagram or a byte stream meets on its way. Members
 * are numbers from 0. Chances are in parts per million, so that no floating point decides. */
#ifndef SIM_LINKS_H
#define SIM_LINKS_H

#include "random.h"

#include <stdbool.h>
#include <stdint.h>

#define CHANCE_CERTAIN 1000000u

enum {
    LINK_BLOCKS_MAX = 32,     /* one-way blocks at once */
    LINK_GROUPS_MAX = 250,    /* sides of a partition */
    LINK_RETRANSMITS_MAX = 8, /* losses in a row of one segment of a stream */
    LINK_REORDER_STRETCH = 4, /* a reordered datagram is late by up to this many longest delays */
};

struct link {
    uint64_t delay_min, delay_max;     /* one way; drawn evenly for each datagram */
    uint32_t loss, duplicate, reorder; /* chances for each datagram */
};

struct link_block {     /* nothing gets from one set to the other */
    uint8_t *from, *to; /* owned; a byte a member */
};

struct link_place { /* a point in the plane, in nanoseconds of one-way delay */
    uint64_t x, y;
};

struct links {
    uint32_t member_count;
    struct link_place *places; /* owned; one a member, or NULL: distances are not simulated */
    struct link normal;        /* what healing goes back to */
    struct link present;
    struct link special; /* of the members in `is_special` */
    uint8_t *is_special; /* owned; a byte a member */
    uint8_t *group;      /* owned; the side of a partition, 0: talks to all sides */
    struct link_block blocks[LINK_BLOCKS_MAX];
    uint32_t block_count;
    bool partitioned, degraded;
};

void links_init(struct links *links, uint32_t member_count, const struct link *normal);
void links_fini(struct links *links);

/* Gives each member a point in a square, whose side takes a round trip of `side` nanoseconds. What
 * it takes from one point to another comes on top of the links' delays. */
void links_place(struct links *links, struct random *random, uint64_t side);
/* Nanoseconds one way, on top of a link's delay. */
uint64_t links_distance(const struct links *links, uint32_t from, uint32_t to);
/* What a ping takes on links that are normal, on average. */
uint64_t links_round_trip(const struct links *links, uint32_t a, uint32_t b);

/* Puts the members of `set` (a byte a member) on a side of the partition, from 1. */
void links_set_group(struct links *links, const uint8_t *set, uint8_t group);
/* False when there are LINK_BLOCKS_MAX already. */
bool links_block(struct links *links, const uint8_t *from, const uint8_t *to);
/* Gives all links, or those from and to the members of `set`, other properties. */
void links_degrade(struct links *links, const struct link *link, const uint8_t *set);
/* Back to normal: no partition, no block, no other properties. */
void links_heal(struct links *links);
bool links_are_healthy(const struct links *links);

bool links_blocked(const struct links *links, uint32_t from, uint32_t to);

/* How many copies of a datagram arrive (0 to 2), and after what delays. */
uint32_t links_send(const struct links *links, struct random *random, uint32_t from, uint32_t to,
                    uint64_t delays[2]);

/* The delay of one segment of a stream, its retransmissions included. */
uint64_t links_stream_delay(const struct links *links, struct random *random, uint32_t from,
                            uint32_t to);

/* How long a sender of a stream waits after `losses` losses in a row: TCP's timer, doubled each
 * time (RFC 6298, with Linux's 200 ms at least and a second for the first connect). */
uint64_t links_retransmit_wait(uint32_t losses, bool connect);

#endif
