/* scores.c - what attention does to a block of scores: masks, and the softmax of a row that comes in parts. */
#include "kernels/isa/vmath.h"

void OI_KNAME(soften)(const oi_soften_args *t)
{
    for (size_t r = 0; r < t->rows; r++) {
        float *x = t->x + r * t->ld;
        float top;
        OI_KNAME(reduce_inner)[OI_REDUCE_MAX](1, t->n, x, t->n, &top);
        const float before = t->max[r];
        const float now = top > before || top != top ? top : before;
        /* Before the first finite score everything is exp(-inf); inf - inf would be NaN. */
        const vf m = v_set1(now == -(float)INFINITY ? 0.0f : now);
        vf a = v_zero(), b = v_zero();
        size_t i = 0;
        for (; i + 2 * VL <= t->n; i += 2 * VL) {
            vf u = v_exp(v_sub(v_load(x + i), m)), v = v_exp(v_sub(v_load(x + i + VL), m));
            v_store(x + i, u);
            v_store(x + i + VL, v);
            a = v_add(a, u);
            b = v_add(b, v);
        }
        for (; i < t->n; i += VL) {
            const size_t k = t->n - i < (size_t)VL ? t->n - i : (size_t)VL;
            v_storen(x + i, v_exp(v_sub(v_loadn(x + i, k), m)), k);
            a = v_add(a, v_loadn(x + i, k));
        }
        const float factor = before == now || before == -(float)INFINITY ? 1.0f : expf(before - now);
        t->sum[r] = t->sum[r] * factor + v_sum(v_add(a, b));
        t->max[r] = now;
        t->factor[r] = factor;
    }
}

void OI_KNAME(keep)(size_t rows, size_t n, const uint8_t *mask, size_t mask_ld, bool inverted, float fill, float *x,
                    size_t ld)
{
    const int32_t flip = inverted ? 0 : -1;
    for (size_t r = 0; r < rows; r++, mask += mask_ld, x += ld) {
        size_t i = 0;
        for (; i + VL <= n; i += VL) {
            int32_t bits[VL];
            float y[VL];
            memcpy(y, x + i, sizeof y);
            for (int k = 0; k < VL; k++)
                bits[k] = -(int32_t)(mask[i + (size_t)k] != 0) ^ ~flip;
            for (int k = 0; k < VL; k++)
                y[k] = bits[k] ? y[k] : fill;
            memcpy(x + i, y, sizeof y);
        }
        for (; i < n; i++)
            x[i] = (mask[i] != 0) != inverted ? x[i] : fill;
    }
}
