/* nbits.c - weights of 2, 4 or 8 bits in blocks with a scale each: expanded, or multiplied by a vector as they are. */
#include "kernels/isa/isa.h"

enum { CHUNK = 16 /* divides every block */, VECTORS = CHUNK / VL };

/* CHUNK numbers of `bits` bits, the first one lowest. */
static inline void unpack(unsigned bits, const uint8_t *q, vf *v)
{
    uint8_t u[CHUNK];
    if (bits == 8) {
        v_from_u8(q, v);
    } else if (bits == 4) {
        v_from_u4(q, v);
    } else {
        for (int i = 0; i < CHUNK; i++)
            u[i] = q[i / 4] >> 2 * (i % 4) & 3;
        v_from_u8(u, v);
    }
}

static inline float zero_of(const oi_nbits_row *r, unsigned bits, size_t block)
{
    if (r->zero_float)
        return r->zero_float[block];
    if (!r->zero)
        return (float)(1 << (bits - 1));
    size_t at = block * bits;
    return (float)(r->zero[at / 8] >> at % 8 & ((1 << bits) - 1));
}

static inline void expand(const oi_nbits_row *r, unsigned bits, float *out)
{
    const size_t bytes = CHUNK * bits / 8;
    const uint8_t *q = r->q;
    for (size_t b = 0; b < r->blocks; b++) {
        const vf scale = v_set1(r->scale[b]), zero = v_set1(zero_of(r, bits, b));
        for (size_t i = 0; i < r->block; i += CHUNK, q += bytes) {
            vf v[VECTORS];
            unpack(bits, q, v);
            for (int k = 0; k < VECTORS; k++, out += VL)
                v_store(out, v_mul(v_sub(v[k], zero), scale));
        }
    }
}

static inline float dot(const oi_nbits_row *r, unsigned bits, const float *a)
{
    const size_t bytes = CHUNK * bits / 8;
    const uint8_t *q = r->q;
    vf total[VECTORS], v[VECTORS];
    for (int k = 0; k < VECTORS; k++)
        total[k] = v_zero();
    for (size_t b = 0; b < r->blocks; b++) {
        const vf scale = v_set1(r->scale[b]), zero = v_set1(zero_of(r, bits, b));
        vf sum[VECTORS];
        for (int k = 0; k < VECTORS; k++)
            sum[k] = v_zero();
        for (size_t i = 0; i < r->block; i += CHUNK, q += bytes) {
            unpack(bits, q, v);
            for (int k = 0; k < VECTORS; k++, a += VL)
                sum[k] = v_fma(v_sub(v[k], zero), v_load(a), sum[k]);
        }
        for (int k = 0; k < VECTORS; k++)
            total[k] = v_fma(sum[k], scale, total[k]);
    }
    for (int k = 1; k < VECTORS; k++)
        total[0] = v_add(total[0], total[k]);
    return v_sum(total[0]);
}

void OI_KNAME(nbits_expand)(const oi_nbits_row *r, float *out)
{
    if (r->bits == 4)
        expand(r, 4, out);
    else if (r->bits == 2)
        expand(r, 2, out);
    else
        expand(r, 8, out);
}

float OI_KNAME(nbits_dot)(const oi_nbits_row *r, const float *a)
{
    return r->bits == 4 ? dot(r, 4, a) : r->bits == 2 ? dot(r, 2, a) : dot(r, 8, a);
}
