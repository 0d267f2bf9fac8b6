#include "random.h"

#include <assert.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int bits)
{
    return (x << bits) | (x >> (32 - bits));
}

static void quarter_round(uint32_t *x, int a, int b, int c, int d)
{
    x[a] += x[b];
    x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotate(x[b] ^ x[c], 7);
}

static void next_block(struct random *random)
{
    uint32_t x[16];
    memcpy(x, random->state, sizeof x);
    for (int i = 0; i < 10; i++) {
        quarter_round(x, 0, 4, 8, 12);
        quarter_round(x, 1, 5, 9, 13);
        quarter_round(x, 2, 6, 10, 14);
        quarter_round(x, 3, 7, 11, 15);
        quarter_round(x, 0, 5, 10, 15);
        quarter_round(x, 1, 6, 11, 12);
        quarter_round(x, 2, 7, 8, 13);
        quarter_round(x, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++) {
        uint32_t word = x[i] + random->state[i];
        for (int k = 0; k < 4; k++)
            random->block[4 * i + k] = (uint8_t)(word >> (8 * k));
    }
    if (++random->state[12] == 0)
        random->state[13]++;
    random->used = 0;
}

void random_init(struct random *random, const uint8_t seed[RANDOM_SEED_SIZE])
{
    static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memset(random, 0, sizeof *random);
    memcpy(random->state, constants, sizeof constants);
    for (int i = 0; i < 8; i++)
        random->state[4 + i] = (uint32_t)seed[4 * i] | (uint32_t)seed[4 * i + 1] << 8 |
                               (uint32_t)seed[4 * i + 2] << 16 | (uint32_t)seed[4 * i + 3] << 24;
    random->used = sizeof random->block;
}

void random_bytes(struct random *random, void *out, size_t size)
{
    uint8_t *p = out;
    while (size > 0) {
        if (random->used == sizeof random->block)
            next_block(random);
        size_t part = sizeof random->block - random->used;
        if (part > size)
            part = size;
        memcpy(p, random->block + random->used, part);
        random->used += part;
        p += part;
        size -= part;
    }
}

uint32_t random_u32(struct random *random)
{
    uint8_t b[4];
    random_bytes(random, b, sizeof b);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t random_u64(struct random *random)
{
    uint64_t low = random_u32(random);
    return low | (uint64_t)random_u32(random) << 32;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    assert(bound > 0);
    if (bound <= UINT32_MAX) {
        /* Lemire's multiply-and-reject: one division only when the draw falls in the biased part.
         */
        uint32_t b = (uint32_t)bound;
        uint64_t product = (uint64_t)random_u32(random) * b;
        if ((uint32_t)product < b) {
            uint32_t threshold = (0u - b) % b;
            while ((uint32_t)product < threshold)
                product = (uint64_t)random_u32(random) * b;
        }
        return product >> 32;
    }
    uint64_t threshold = (0 - bound) % bound;
    uint64_t draw;
    do
        draw = random_u64(random);
    while (draw < threshold);
    return draw % bound;
}

double random_unit(struct random *random)
{
    return (double)(random_u64(random) >> 11) * 0x1p-53;
}
