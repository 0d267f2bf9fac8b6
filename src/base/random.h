/* Random numbers. The host hands in the seed; everything drawn afterwards is a function of it, so
 * that a simulated run can be repeated. The generator is ChaCha20 (RFC 8439) in counter mode: as
 * repeatable as any other, and good enough for nonces when the seed comes from getrandom(2). */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint32_t state[16];
    uint8_t block[64];
    size_t used; /* bytes of `block` already handed out */
};

enum { RANDOM_SEED_SIZE = 32 };

void random_init(struct random *random, const uint8_t seed[RANDOM_SEED_SIZE]);
void random_bytes(struct random *random, void *out, size_t size);
uint32_t random_u32(struct random *random);
uint64_t random_u64(struct random *random);

/* Uniform in [0, bound); bound must be at least 1. */
uint64_t random_below(struct random *random, uint64_t bound);

/* Uniform in [0, 1), in steps of 2^-53. */
double random_unit(struct random *random);

#endif
