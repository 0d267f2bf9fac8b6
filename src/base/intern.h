/* A pool of byte strings that are stored once and counted. What many views of a cluster have in
 * common (names, addresses, metadata, queued messages) lives here; a view holds a pointer.
 * An agent has a pool of its own; a simulator shares one among all its members. Not thread-safe. */
#ifndef BASE_INTERN_H
#define BASE_INTERN_H

#include "hash_index.h"
#include "siphash.h"
#include "span.h"

struct atom {
    uint32_t references;
    uint32_t slot; /* where the pool keeps it */
    uint32_t size;
    uint32_t hash;
    uint8_t bytes[]; /* aligned to 8 */
};

struct intern_pool {
    struct siphash_key key;
    struct hash_index index;
    struct atom **atoms; /* owned */
    uint32_t atom_count; /* used part of `atoms`, holes included */
    uint32_t atom_capacity;
    uint32_t free_slot; /* head of the list of holes, or HASH_INDEX_NONE */
    size_t bytes;       /* sum of the sizes of all atoms */
};

void intern_init(struct intern_pool *pool, const struct siphash_key *key);

/* Every atom must have been released. */
void intern_fini(struct intern_pool *pool);

/* The atom with these bytes, with one reference more; NULL when memory is out. */
struct atom *intern(struct intern_pool *pool, struct span bytes);

struct atom *intern_retain(struct atom *atom);

/* Gives one reference back; NULL is ignored. */
void intern_release(struct intern_pool *pool, struct atom *atom);

static inline struct span atom_span(const struct atom *atom)
{
    return span_make(atom->bytes, atom->size);
}

#endif
