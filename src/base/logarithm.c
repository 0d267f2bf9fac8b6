/* ln is computed from its series with +, *, / alone, which IEEE 754 defines to the last bit
 * (the build turns fused multiply-add off): x is brought into [1/sqrt 2, sqrt 2] by halving, and
 * ln x = 2 (z + z^3/3 + z^5/5 + ...) with z = (x - 1)/(x + 1), |z| < 0.172. */
#include "logarithm.h"

static const double ln_2 = 0x1.62e42fefa39efp-1;
static const double ln_10 = 0x1.26bb1bbb55516p+1;

uint32_t log10_ceiling(uint64_t n)
{
    uint32_t digits = 0;
    uint64_t power = 1;
    while (power < n) {
        digits++;
        if (power > UINT64_MAX / 10)
            break;
        power *= 10;
    }
    return digits;
}

uint32_t log2_ceiling(uint64_t n)
{
    uint32_t bits = 0;
    while (bits < 64 && (UINT64_C(1) << bits) < n)
        bits++;
    return bits;
}

double natural_logarithm(double x)
{
    int halvings = 0;
    while (x > 1.4142135623730951) {
        x *= 0.5;
        halvings++;
    }
    double z = (x - 1.0) / (x + 1.0);
    double square = z * z;
    double sum = 0.0;
    for (int power = 25; power >= 1; power -= 2)
        sum = sum * square + 1.0 / power;
    return 2.0 * z * sum + halvings * ln_2;
}

uint32_t log10_thousandths(uint64_t n)
{
    uint32_t whole = 0;
    while (n >= 10 && n % 10 == 0) { /* keeps powers of ten exact */
        n /= 10;
        whole++;
    }
    if (n <= 1)
        return 1000 * whole;
    return 1000 * whole + (uint32_t)(1000.0 * natural_logarithm((double)n) / ln_10);
}
