/* A cancelled item stays where it is in its list, marked stale, and is dropped when a draw comes
 * by; lists are singly linked and need no walk to take one out. When more than half of all items
 * are stale they are swept out, so the memory stays in proportion to what is alive. */
#include "broadcast_queue.h"

#include "array.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    KIND_FREE = 0,
    KIND_STALE = 15,
    STALE_ALWAYS_ALLOWED = 64,
    LOOK_INTO_CLASS = 16, /* items looked at in the one class that may hold some that fit */
};

_Static_assert(sizeof(struct broadcast) == 16, "a queued broadcast is 16 bytes");

struct broadcast_tier {
    uint64_t classes_in_use[BROADCAST_CLASSES / 64];
    uint32_t heads[BROADCAST_CLASSES];
};

void broadcast_queue_init(struct broadcast_queue *queue,
                          void (*finished)(void *context, const struct broadcast *item),
                          void *context)
{
    *queue = (struct broadcast_queue){
        .free_item = BROADCAST_NONE, .finished = finished, .context = context};
}

void broadcast_queue_fini(struct broadcast_queue *queue,
                          void (*drop)(void *context, const struct broadcast *item))
{
    for (uint32_t i = 0; drop && i < queue->item_count; i++)
        if (queue->items[i].kind != KIND_FREE && queue->items[i].kind != KIND_STALE)
            drop(queue->context, &queue->items[i]);
    for (size_t t = 0; t < sizeof queue->tiers / sizeof *queue->tiers; t++)
        free(queue->tiers[t]);
    free(queue->items);
    broadcast_queue_init(queue, queue->finished, queue->context);
}

static struct broadcast_tier *tier_at(struct broadcast_queue *queue, uint32_t transmits)
{
    if (!queue->tiers[transmits]) {
        struct broadcast_tier *tier = malloc(sizeof *tier);
        if (!tier)
            return NULL;
        memset(tier->classes_in_use, 0, sizeof tier->classes_in_use);
        for (int c = 0; c < BROADCAST_CLASSES; c++)
            tier->heads[c] = BROADCAST_NONE;
        queue->tiers[transmits] = tier;
    }
    return queue->tiers[transmits];
}

static void link_item(struct broadcast_queue *queue, struct broadcast_tier *tier, uint32_t number)
{
    struct broadcast *item = &queue->items[number];
    uint32_t class = item->size / BROADCAST_SIZE_CLASS;
    item->next = tier->heads[class];
    tier->heads[class] = number;
    tier->classes_in_use[class / 64] |= UINT64_C(1) << (class % 64);
    queue->tiers_in_use |= UINT64_C(1) << item->transmits;
}

static void free_item(struct broadcast_queue *queue, uint32_t number)
{
    if (queue->items[number].kind == KIND_STALE)
        queue->stale--;
    queue->items[number] = (struct broadcast){.next = queue->free_item, .kind = KIND_FREE};
    queue->free_item = number;
}

static void finish(struct broadcast_queue *queue, uint32_t number)
{
    queue->count--;
    queue->finished(queue->context, &queue->items[number]);
}

static bool grow_items(struct broadcast_queue *queue, uint32_t capacity)
{
    struct broadcast *items = realloc(queue->items, capacity * sizeof *items);
    if (!items)
        return false;
    queue->items = items;
    queue->item_capacity = capacity;
    return true;
}

static bool reserve_item(struct broadcast_queue *queue)
{
    return queue->free_item != BROADCAST_NONE || queue->item_count < queue->item_capacity ||
           grow_items(queue, array_grown_for(queue->item_capacity, queue->item_count + 1));
}

void broadcast_queue_expect(struct broadcast_queue *queue, uint32_t count)
{
    if (count > queue->item_capacity)
        grow_items(queue, count);
}

uint32_t broadcast_queue_add(struct broadcast_queue *queue, const struct broadcast *item)
{
    assert(item->kind != KIND_FREE && item->kind != KIND_STALE && item->transmits == 0);
    struct broadcast_tier *tier = tier_at(queue, 0);
    if (!tier || !reserve_item(queue))
        return BROADCAST_NONE;
    uint32_t number = queue->free_item;
    if (number != BROADCAST_NONE)
        queue->free_item = queue->items[number].next;
    else
        number = queue->item_count++;
    queue->items[number] = *item;
    link_item(queue, tier, number);
    queue->count++;
    return number;
}

/* Unlinks the stale items of one list. */
static void sweep_list(struct broadcast_queue *queue, uint32_t *head)
{
    while (*head != BROADCAST_NONE) {
        uint32_t number = *head;
        if (queue->items[number].kind == KIND_STALE) {
            *head = queue->items[number].next;
            free_item(queue, number);
        } else {
            head = &queue->items[number].next;
        }
    }
}

static void sweep(struct broadcast_queue *queue)
{
    for (uint32_t t = 0; t <= BROADCAST_TRANSMITS_MAX; t++)
        for (uint32_t c = 0; queue->tiers[t] && c < BROADCAST_CLASSES; c++)
            sweep_list(queue, &queue->tiers[t]->heads[c]);
}

static void mark_stale(struct broadcast_queue *queue, uint32_t number)
{
    assert(queue->items[number].kind != KIND_FREE && queue->items[number].kind != KIND_STALE);
    finish(queue, number);
    queue->items[number].kind = KIND_STALE;
    queue->stale++;
}

static void sweep_if_worthwhile(struct broadcast_queue *queue)
{
    if (queue->stale > queue->count + STALE_ALWAYS_ALLOWED)
        sweep(queue);
}

void broadcast_queue_cancel(struct broadcast_queue *queue, uint32_t number)
{
    mark_stale(queue, number);
    sweep_if_worthwhile(queue);
}

/* Drops the oldest items of a list, which stand last, until `maximum` are left in the queue. */
static void prune_list(struct broadcast_queue *queue, uint32_t *head, uint32_t maximum)
{
    uint32_t live = 0;
    for (uint32_t i = *head; i != BROADCAST_NONE; i = queue->items[i].next)
        live += queue->items[i].kind != KIND_STALE;
    uint32_t excess = queue->count - maximum;
    uint32_t kept = live > excess ? live - excess : 0;
    for (uint32_t *link = head; *link != BROADCAST_NONE;) {
        uint32_t number = *link;
        bool stale = queue->items[number].kind == KIND_STALE;
        if (!stale && kept > 0) {
            kept--;
            link = &queue->items[number].next;
            continue;
        }
        *link = queue->items[number].next;
        if (!stale)
            finish(queue, number);
        free_item(queue, number);
    }
}

void broadcast_queue_prune(struct broadcast_queue *queue, uint32_t maximum)
{
    uint64_t tiers = queue->tiers_in_use;
    while (tiers && queue->count > maximum) {
        int t = 63 - __builtin_clzll(tiers);
        tiers &= ~(UINT64_C(1) << t);
        for (int c = 0; c < BROADCAST_CLASSES && queue->count > maximum; c++)
            prune_list(queue, &queue->tiers[t]->heads[c], maximum);
    }
}

/* The highest class at or below `class` that may have items, or -1. */
static int class_below(const struct broadcast_tier *tier, int class)
{
    for (int word = class / 64; word >= 0; word--) {
        uint64_t bits = tier->classes_in_use[word];
        if (word == class / 64 && class % 64 != 63)
            bits &= (UINT64_C(2) << (class % 64)) - 1;
        if (bits)
            return word * 64 + 63 - __builtin_clzll(bits);
    }
    return -1;
}

static size_t first_live_size(const struct broadcast_queue *queue, uint32_t number)
{
    while (number != BROADCAST_NONE && queue->items[number].kind == KIND_STALE)
        number = queue->items[number].next;
    return number == BROADCAST_NONE ? 0 : queue->items[number].size;
}

size_t broadcast_queue_next_size(const struct broadcast_queue *queue)
{
    uint64_t tiers = queue->count > 0 ? queue->tiers_in_use : 0;
    for (; tiers; tiers &= tiers - 1) {
        const struct broadcast_tier *tier = queue->tiers[__builtin_ctzll(tiers)];
        int class = class_below(tier, BROADCAST_CLASSES - 1);
        for (; class >= 0; class = class > 0 ? class_below(tier, class - 1) : -1) {
            size_t size = first_live_size(queue, tier->heads[class]);
            if (size > 0)
                return size;
        }
    }
    return 0;
}

/* Takes the first live item of at most `room` bytes out of a class's list; BROADCAST_NONE when
 * there is none among the first few. */
static uint32_t take_from_class(struct broadcast_queue *queue, struct broadcast_tier *tier,
                                int class, size_t room)
{
    uint32_t *link = &tier->heads[class];
    for (int looked = 0; *link != BROADCAST_NONE && looked < LOOK_INTO_CLASS;) {
        uint32_t number = *link;
        struct broadcast *item = &queue->items[number];
        if (item->kind == KIND_STALE) {
            *link = item->next;
            free_item(queue, number);
        } else if (item->size <= room) {
            *link = item->next;
            return number;
        } else {
            link = &item->next;
            looked++;
        }
    }
    if (tier->heads[class] == BROADCAST_NONE)
        tier->classes_in_use[class / 64] &= ~(UINT64_C(1) << (class % 64));
    return BROADCAST_NONE;
}

struct draw {
    size_t overhead, limit, used;
    uint32_t sent; /* chain of the items taken, newest first */
    bool full;
    bool (*write)(void *context, const struct broadcast *item);
    void *write_context;
};

static void draw_tier(struct broadcast_queue *queue, uint32_t t, struct draw *draw)
{
    struct broadcast_tier *tier = queue->tiers[t];
    int class = BROADCAST_CLASSES - 1;
    while (!draw->full && draw->used + draw->overhead < draw->limit) {
        size_t room = draw->limit - draw->used - draw->overhead;
        if (class > (int)(room / BROADCAST_SIZE_CLASS))
            class = (int)(room / BROADCAST_SIZE_CLASS);
        class = class_below(tier, class);
        if (class < 0)
            break;
        uint32_t number = take_from_class(queue, tier, class, room);
        if (number == BROADCAST_NONE) {
            class --;
            if (class < 0)
                break;
            continue;
        }
        struct broadcast *item = &queue->items[number];
        if (!draw->write(draw->write_context, item)) {
            link_item(queue, tier, number);
            draw->full = true;
            break;
        }
        draw->used += draw->overhead + item->size;
        item->next = draw->sent;
        draw->sent = number;
    }
    bool empty = true;
    for (int word = 0; word < BROADCAST_CLASSES / 64; word++)
        empty = empty && tier->classes_in_use[word] == 0;
    if (empty)
        queue->tiers_in_use &= ~(UINT64_C(1) << t);
}

/* Puts what was sent back, one tier further, or finishes it. */
static void settle(struct broadcast_queue *queue, uint32_t sent, uint32_t transmit_limit)
{
    uint32_t reversed = BROADCAST_NONE;
    while (sent != BROADCAST_NONE) {
        uint32_t next = queue->items[sent].next;
        queue->items[sent].next = reversed;
        reversed = sent;
        sent = next;
    }
    while (reversed != BROADCAST_NONE) {
        uint32_t number = reversed;
        struct broadcast *item = &queue->items[number];
        reversed = item->next;
        item->transmits++;
        struct broadcast_tier *tier = NULL;
        if (item->transmits < transmit_limit && item->transmits <= BROADCAST_TRANSMITS_MAX)
            tier = tier_at(queue, item->transmits);
        if (tier) {
            link_item(queue, tier, number);
        } else {
            finish(queue, number);
            free_item(queue, number);
        }
    }
}

size_t broadcast_queue_draw(struct broadcast_queue *queue, size_t overhead, size_t limit,
                            uint32_t transmit_limit,
                            bool (*write)(void *context, const struct broadcast *item),
                            void *write_context)
{
    if (queue->count == 0)
        return 0;
    struct draw draw = {.overhead = overhead,
                        .limit = limit,
                        .sent = BROADCAST_NONE,
                        .write = write,
                        .write_context = write_context};
    for (uint64_t tiers = queue->tiers_in_use; tiers && !draw.full; tiers &= tiers - 1)
        draw_tier(queue, (uint32_t)__builtin_ctzll(tiers), &draw);
    settle(queue, draw.sent, transmit_limit);
    return draw.used;
}
