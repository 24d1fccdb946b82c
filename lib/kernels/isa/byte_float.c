/* byte_float.c - floats as bytes with a scale, and sums of products of bytes as floats. Loops of a fixed length become
 * vectors. */
#include "kernels/isa/isa.h"

enum { COLUMNS = OI_BYTES_COLUMNS };

/* Adding and taking away 1.5 * 2^23 rounds to even. */
static inline uint8_t to_byte(float x, float scale, float zero)
{
    const float low = -zero, high = 255.0f - zero, whole = 12582912.0f;
    float v = x / scale;
    v = v > low ? v : low; /* NaN too */
    v = v < high ? v : high;
    return (uint8_t)(int32_t)((v + whole) - whole + zero);
}

int32_t OI_KNAME(to_bytes)(size_t n, const float *restrict x, float scale, float zero, uint8_t *restrict y)
{
    int32_t sum = 0;
    for (; n >= COLUMNS; n -= COLUMNS, x += COLUMNS, y += COLUMNS) {
        for (size_t j = 0; j < COLUMNS; j++)
            y[j] = to_byte(x[j], scale, zero);
        for (size_t j = 0; j < COLUMNS; j++)
            sum += y[j];
    }
    for (size_t j = 0; j < n; j++)
        sum += y[j] = to_byte(x[j], scale, zero);
    return sum;
}

void OI_KNAME(byte_floats)(const oi_byte_floats_args *t)
{
    const int32_t *restrict c = t->c, *restrict sums = t->sums, *restrict b_zero = t->b_zero;
    const uint32_t a_zero = (uint32_t)t->a_zero, shared = (uint32_t)t->shared;
    uint32_t v[COLUMNS];
    for (size_t j = 0; j < COLUMNS; j++) /* unsigned arithmetic: it wraps */
        v[j] = (uint32_t)c[j] - a_zero * (uint32_t)sums[j];
    if (b_zero) {
        for (size_t j = 0; j < COLUMNS; j++)
            v[j] += (uint32_t)b_zero[j] * shared;
    }
    float sum[COLUMNS];
    for (size_t j = 0; j < COLUMNS; j++)
        sum[j] = (float)(int32_t)v[j];
    const vf factor = v_set1(t->factor);
    for (size_t j = 0; j < COLUMNS; j += VL)
        v_store(t->y + j, v_add(v_mul(v_load(sum + j), v_mul(factor, v_load(t->scale + j))), v_load(t->add + j)));
}
