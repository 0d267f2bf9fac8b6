/* Memory of a simulation. What is in flight comes and goes millions of times, so it lives in
 * slabs: blocks of a few sizes, carved from large pieces and reused. None of these calls fails: a
 * simulation without memory ends with a message, since a run that lost something would prove
 * nothing. (The members' own allocations fail and are handled as in an agent.) */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stddef.h>

void *sim_allocate(size_t count, size_t size); /* zeroed */
void *sim_resize(void *memory, size_t count, size_t size);

enum { SLAB_CLASSES = 6 }; /* blocks of 64, 128 ... 2048 bytes; larger ones come from malloc */

struct slab_block {
    struct slab_block *next;
};

struct slab {
    struct slab_block *free_blocks[SLAB_CLASSES];
    struct slab_block *pieces; /* owned, chained by their first word */
    unsigned char *fresh;      /* unused rest of the newest piece */
    size_t fresh_bytes;
    size_t blocks_in_use;
};

void slab_init(struct slab *slab);
/* Every block must have been given back. */
void slab_fini(struct slab *slab);

/* A block of at least `size` bytes, aligned to 16, not zeroed. */
void *slab_take(struct slab *slab, size_t size);
/* Gives a block back; `size` is what it was taken with. */
void slab_give(struct slab *slab, void *block, size_t size);

#endif
