/* rotate.c - rotary embedding of one row: pairs of elements turned by angles. */
#include "kernels/isa/isa.h"

static void beside(size_t h, const float *x, const float *c, const float *s, const float *c2, const float *s2, float *y)
{
    for (size_t i = 0; i < h; i += VL) {
        const size_t k = h - i;
        if (k >= (size_t)VL) {
            const vf u = v_load(x + i), v = v_load(x + h + i);
            v_store(y + i, v_sub(v_mul(u, v_load(c + i)), v_mul(v, v_load(s + i))));
            v_store(y + h + i, v_add(v_mul(v, v_load(c2 + i)), v_mul(u, v_load(s2 + i))));
        } else {
            const vf u = v_loadn(x + i, k), v = v_loadn(x + h + i, k);
            v_storen(y + i, v_sub(v_mul(u, v_loadn(c + i, k)), v_mul(v, v_loadn(s + i, k))), k);
            v_storen(y + h + i, v_add(v_mul(v, v_loadn(c2 + i, k)), v_mul(u, v_loadn(s2 + i, k))), k);
        }
    }
}

void OI_KNAME(rotate)(const oi_rotate_args *t)
{
    const size_t h = t->n / 2, step = t->interleaved && !t->half ? 2 : 1;
    if (!t->interleaved) {
        beside(h, t->x, t->cosines, t->sines, t->cosines + (t->half ? 0 : h), t->sines + (t->half ? 0 : h), t->y);
        return;
    }
    for (size_t i = 0; i < h; i++) {
        const float u = t->x[2 * i], v = t->x[2 * i + 1];
        const float *c = t->cosines + i * step, *s = t->sines + i * step;
        t->y[2 * i] = u * c[0] - v * s[0];
        t->y[2 * i + 1] = v * c[step - 1] + u * s[step - 1];
    }
}
