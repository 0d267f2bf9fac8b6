/* The queue of messages that spread by gossip (memberlist specification, 7.10).
 *
 * Messages go out in the order: sent least often first, then longest first, then newest first. Each
 * is sent a limited number of times and then finished. Items are kept in lists by number of
 * transmissions and by size class of 16 bytes, so adding, taking and replacing take constant time
 * however long the queue is; "longest" is exact to the class. An item is 16 bytes: what is sent is
 * made from the item when it is sent. */
#ifndef SWIM_BROADCAST_QUEUE_H
#define SWIM_BROADCAST_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROADCAST_NONE UINT32_MAX

enum {
    BROADCAST_SIZE_CLASS = 16, /* bytes */
    BROADCAST_CLASSES = 128,
    BROADCAST_SIZE_MAX = BROADCAST_SIZE_CLASS * BROADCAST_CLASSES - 1,
    BROADCAST_TRANSMITS_MAX = 63,
};

struct broadcast {
    union {
        struct {
            uint32_t member; /* whom the message is about */
            uint32_t from;   /* slot of the accuser's name in the intern pool */
        };
        struct atom *message; /* the encoded message */
    };
    uint32_t next;
    uint16_t size : 11;  /* encoded bytes */
    uint16_t kind : 4;   /* the owner's; 0 is a place to be reused */
    uint16_t notify : 1; /* its owner waits for the end of it */
    uint8_t transmits;
};

struct broadcast_tier;

struct broadcast_queue {
    struct broadcast *items; /* owned */
    uint32_t item_count, item_capacity;
    uint32_t free_item;
    uint32_t count; /* live items */
    uint32_t stale; /* cancelled ones that still stand in a list */
    struct broadcast_tier *tiers[BROADCAST_TRANSMITS_MAX + 1]; /* owned, made on first use */
    uint64_t tiers_in_use;                                     /* bit t: tier t may have items */
    /* Called when an item is through: sent often enough, replaced, or dropped. It may not change
     * the queue. */
    void (*finished)(void *context, const struct broadcast *item);
    void *context;
};

void broadcast_queue_init(struct broadcast_queue *queue,
                          void (*finished)(void *context, const struct broadcast *item),
                          void *context);
/* Finishes nothing: items are gone with the queue. `drop` is called for each of them; may be NULL.
 */
void broadcast_queue_fini(struct broadcast_queue *queue,
                          void (*drop)(void *context, const struct broadcast *item));

/* Makes room for `count` items at once, if there is memory. */
void broadcast_queue_expect(struct broadcast_queue *queue, uint32_t count);

/* Adds a copy of `item` (transmits 0, kind not 0, size at most BROADCAST_SIZE_MAX). Returns its
 * number, or BROADCAST_NONE when memory is out. */
uint32_t broadcast_queue_add(struct broadcast_queue *queue, const struct broadcast *item);

/* Takes an item out; it counts as finished. */
void broadcast_queue_cancel(struct broadcast_queue *queue, uint32_t item);

/* Drops items from the far end (sent most often, shortest, oldest) until at most `maximum` are
 * left. */
void broadcast_queue_prune(struct broadcast_queue *queue, uint32_t maximum);

/* Bytes of the item that goes next when there is room for it (the longest of those sent least
 * often); 0: there is none. */
size_t broadcast_queue_next_size(const struct broadcast_queue *queue);

/* Sends what fits: calls `write` for each item taken, in order, with the bytes still free. `write`
 * returns false when it has no room or no place for more, which ends the draw; that item stays.
 * Each item costs `overhead` + its size out of `limit`. An item whose transmissions reach
 * `transmit_limit` (at least 1) is finished. Returns the bytes used. */
size_t broadcast_queue_draw(struct broadcast_queue *queue, size_t overhead, size_t limit,
                            uint32_t transmit_limit,
                            bool (*write)(void *context, const struct broadcast *item),
                            void *write_context);

#endif
