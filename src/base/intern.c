#include "intern.h"

#include <assert.h>
#include <stdlib.h>

/* A hole in `atoms` holds the number of the next hole, tagged in the low bit, which no pointer has.
 */
static struct atom *hole_to(uint32_t next)
{
    return (struct atom *)(((uintptr_t)next << 1) | 1);
}

static uint32_t hole_next(const struct atom *hole)
{
    return (uint32_t)((uintptr_t)hole >> 1);
}

static uint64_t atom_hash(const void *table, uint32_t item)
{
    const struct intern_pool *pool = table;
    return pool->atoms[item]->hash;
}

static bool atom_has_key(const void *table, uint32_t item, const void *key)
{
    const struct intern_pool *pool = table;
    return span_equal(atom_span(pool->atoms[item]), *(const struct span *)key);
}

void intern_init(struct intern_pool *pool, const struct siphash_key *key)
{
    *pool = (struct intern_pool){.key = *key, .free_slot = HASH_INDEX_NONE};
    hash_index_init(&pool->index, pool, atom_hash, atom_has_key);
}

void intern_fini(struct intern_pool *pool)
{
    assert(pool->index.count == 0);
    hash_index_fini(&pool->index);
    free(pool->atoms);
    *pool = (struct intern_pool){0};
}

static bool reserve_slot(struct intern_pool *pool)
{
    if (pool->free_slot != HASH_INDEX_NONE || pool->atom_count < pool->atom_capacity)
        return true;
    uint32_t capacity = pool->atom_capacity ? pool->atom_capacity + pool->atom_capacity / 2 : 16;
    struct atom **atoms = realloc(pool->atoms, capacity * sizeof *atoms);
    if (!atoms)
        return false;
    pool->atoms = atoms;
    pool->atom_capacity = capacity;
    return true;
}

struct atom *intern(struct intern_pool *pool, struct span bytes)
{
    uint32_t hash = (uint32_t)siphash(&pool->key, bytes);
    uint32_t found = hash_index_find(&pool->index, hash, &bytes);
    if (found != HASH_INDEX_NONE)
        return intern_retain(pool->atoms[found]);
    if (bytes.size > UINT32_MAX || !reserve_slot(pool) || !hash_index_reserve(&pool->index))
        return NULL;
    struct atom *atom = malloc(sizeof *atom + bytes.size);
    if (!atom)
        return NULL;
    *atom = (struct atom){.references = 1, .size = (uint32_t)bytes.size, .hash = hash};
    if (bytes.size)
        memcpy(atom->bytes, bytes.data, bytes.size);
    if (pool->free_slot != HASH_INDEX_NONE) {
        atom->slot = pool->free_slot;
        pool->free_slot = hole_next(pool->atoms[atom->slot]);
    } else {
        atom->slot = pool->atom_count++;
    }
    pool->atoms[atom->slot] = atom;
    pool->bytes += bytes.size;
    hash_index_insert(&pool->index, hash, atom->slot);
    return atom;
}

struct atom *intern_retain(struct atom *atom)
{
    assert(atom->references < UINT32_MAX);
    atom->references++;
    return atom;
}

void intern_release(struct intern_pool *pool, struct atom *atom)
{
    if (!atom)
        return;
    assert(atom->references > 0);
    if (--atom->references > 0)
        return;
    hash_index_remove(&pool->index, atom->hash, atom->slot);
    pool->atoms[atom->slot] = hole_to(pool->free_slot);
    pool->free_slot = atom->slot;
    pool->bytes -= atom->size;
    free(atom);
}
