/* The logarithms of the protocol's formulas, the same on every machine: no libm, whose last bits
 * differ between libraries. */
#ifndef BASE_LOGARITHM_H
#define BASE_LOGARITHM_H

#include <stdint.h>

/* ceil(log10(n)), exact; 0 for n of 0 and 1. */
uint32_t log10_ceiling(uint64_t n);

/* ceil(log2(n)), exact; 0 for n of 0 and 1. */
uint32_t log2_ceiling(uint64_t n);

/* trunc(1000 * log10(n)), exact at powers of ten; 0 for n of 0 and 1. */
uint32_t log10_thousandths(uint64_t n);

/* ln(x) for x >= 1, to about one unit in the last place. */
double natural_logarithm(double x);

#endif
