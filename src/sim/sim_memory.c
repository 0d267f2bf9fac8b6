#include "sim_memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SMALLEST = 64,
    PIECE_BYTES = 1 << 20,
    PIECE_HEADER = 64, /* the chain's word, and the alignment of what follows */
};

static void *checked(void *memory, size_t count, size_t size)
{
    if (memory)
        return memory;
    fprintf(stderr, "serf-sim: out of memory at %zu x %zu bytes: simulate fewer members\n", count,
            size);
    exit(2);
}

void *sim_allocate(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size), count, size);
}

void *sim_resize(void *memory, size_t count, size_t size)
{
    return checked(reallocarray(memory, count ? count : 1, size), count, size);
}

void slab_init(struct slab *slab)
{
    *slab = (struct slab){0};
}

void slab_fini(struct slab *slab)
{
    assert(slab->blocks_in_use == 0);
    while (slab->pieces) {
        struct slab_block *piece = slab->pieces;
        slab->pieces = piece->next;
        free(piece);
    }
}

/* The class of blocks that hold `size` bytes, or SLAB_CLASSES. */
static int class_of(size_t size)
{
    int class = 0;
    while (class < SLAB_CLASSES && size > (size_t)SMALLEST << class)
        class ++;
    return class;
}

static void *carve(struct slab *slab, size_t size)
{
    if (slab->fresh_bytes < size) {
        struct slab_block *piece = aligned_alloc(PIECE_HEADER, PIECE_BYTES);
        checked(piece, 1, PIECE_BYTES);
        piece->next = slab->pieces;
        slab->pieces = piece;
        slab->fresh = (unsigned char *)piece + PIECE_HEADER;
        slab->fresh_bytes = PIECE_BYTES - PIECE_HEADER;
    }
    void *block = slab->fresh;
    slab->fresh += size;
    slab->fresh_bytes -= size;
    return block;
}

void *slab_take(struct slab *slab, size_t size)
{
    slab->blocks_in_use++;
    int class = class_of(size);
    if (class == SLAB_CLASSES)
        return checked(malloc(size), 1, size);
    struct slab_block *block = slab->free_blocks[class];
    if (!block)
        return carve(slab, (size_t)SMALLEST << class);
    slab->free_blocks[class] = block->next;
    return block;
}

void slab_give(struct slab *slab, void *block, size_t size)
{
    slab->blocks_in_use--;
    int class = class_of(size);
    if (class == SLAB_CLASSES) {
        free(block);
        return;
    }
    struct slab_block *freed = block;
    freed->next = slab->free_blocks[class];
    slab->free_blocks[class] = freed;
}
