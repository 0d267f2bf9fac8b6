/* SipHash-1-3 (Aumasson and Bernstein, 2012, with the reduced rounds that hash tables use): a hash
 * with a secret key, so that a peer who chooses names can't choose collisions. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "span.h"

struct siphash_key {
    uint64_t k0, k1;
};

uint64_t siphash(const struct siphash_key *key, struct span bytes);

#endif
