/* An open-addressing index from keys to small numbers (the slots of some table that the caller
 * owns). The index stores four bytes a place and no keys: the caller says whether an item has the
 * key, and what an item's hash is when the index grows. One of the four bytes is a part of the hash
 * that the place itself does not tell, so that nearly every item that is looked at is the right
 * one: looking at a wrong one would cost two reads from memory that no cache holds. */
#ifndef BASE_HASH_INDEX_H
#define BASE_HASH_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#define HASH_INDEX_NONE      UINT32_MAX
#define HASH_INDEX_ITEMS_MAX ((UINT32_C(1) << 24) - 2) /* items are numbered below this */

struct hash_index {
    uint32_t *places;  /* item + 1 (24 bits), part of the hash (8); 0 is empty */
    uint32_t capacity; /* 0 or a power of two */
    uint32_t count;
    uint64_t (*hash_of)(const void *table, uint32_t item);
    bool (*has_key)(const void *table, uint32_t item, const void *key);
    const void *table; /* borrowed; handed to both functions */
};

void hash_index_init(struct hash_index *index, const void *table,
                     uint64_t (*hash_of)(const void *table, uint32_t item),
                     bool (*has_key)(const void *table, uint32_t item, const void *key));
void hash_index_fini(struct hash_index *index);

/* The item with this key, or HASH_INDEX_NONE. */
uint32_t hash_index_find(const struct hash_index *index, uint64_t hash, const void *key);

/* Asks the processor to have the place of this hash at hand soon. */
static inline void hash_index_expect(const struct hash_index *index, uint64_t hash)
{
    if (index->capacity > 0)
        __builtin_prefetch(&index->places[(uint32_t)hash & (index->capacity - 1)]);
}

/* The item that hash_index_find would look at first, not looked at yet; or HASH_INDEX_NONE. */
uint32_t hash_index_candidate(const struct hash_index *index, uint64_t hash);

/* Makes sure that the next insert can't fail; false when memory is out. */
bool hash_index_reserve(struct hash_index *index);

/* Makes room for `count` items in all, if there is memory. */
void hash_index_expect_count(struct hash_index *index, uint32_t count);

/* Adds an item whose key is not in the index; a reserve must have come before. */
void hash_index_insert(struct hash_index *index, uint64_t hash, uint32_t item);

/* Removes an item that is in the index. Its hash must still be computable. */
void hash_index_remove(struct hash_index *index, uint64_t hash, uint32_t item);

#endif
