/* Random numbers by counter. */
#include "ops/random.h"

#include <math.h>

void oi_random_bits(uint64_t key, uint64_t i, uint64_t j, uint32_t out[4])
{
    uint32_t c[4] = {(uint32_t)i, (uint32_t)(i >> 32), (uint32_t)j, (uint32_t)(j >> 32)};
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next0 = (uint32_t)(b >> 32) ^ c[1] ^ k0, next2 = (uint32_t)(a >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)b;
        c[3] = (uint32_t)a;
        c[0] = next0;
        c[2] = next2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int k = 0; k < 4; k++)
        out[k] = c[k];
}

static double unit(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

double oi_random_uniform(uint64_t key, uint64_t i)
{
    uint32_t r[4];
    oi_random_bits(key, i, 0, r);
    return unit(r[0], r[1]);
}

/* The natural logarithm by additions and multiplications alone: libm's last bits differ between systems. */
static double logarithm(double x)
{
    int exponent;
    double m = frexp(x, &exponent);
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent--;
    }
    double s = (m - 1) / (m + 1), square = s * s, power = s, sum = 0;
    for (int k = 1; k < 24; k += 2) {
        sum += power / k;
        power *= square;
    }
    return 2 * sum + exponent * 0.69314718055994530942;
}

/* Marsaglia's polar method; each try has counters of its own. */
double oi_random_normal(uint64_t key, uint64_t i)
{
    for (uint64_t attempt = 1;; attempt++) {
        uint32_t r[4];
        oi_random_bits(key, i, attempt, r);
        double u = 2 * unit(r[0], r[1]) - 1, v = 2 * unit(r[2], r[3]) - 1, s = u * u + v * v;
        if (s > 0 && s < 1)
            return u * sqrt(-2 * logarithm(s) / s);
    }
}
