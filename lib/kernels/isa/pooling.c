/* pool.c - pooling windows over one channel block plane. */
#include "kernels/isa/isa.h"

/* The taps [*lo, *hi) of a window at `start` that fall on [begin, end). */
static inline void tap_range(ptrdiff_t start, size_t taps, size_t dilation, ptrdiff_t begin, ptrdiff_t end,
                             size_t *lo, size_t *hi)
{
    const ptrdiff_t d = (ptrdiff_t)dilation;
    const ptrdiff_t first = start >= begin ? 0 : (begin - start + d - 1) / d;
    const ptrdiff_t last = start >= end ? 0 : (end - start + d - 1) / d;
    *hi = (size_t)(last < (ptrdiff_t)taps ? last : (ptrdiff_t)taps);
    *lo = (size_t)first < *hi ? (size_t)first : *hi;
}

static inline vf step(oi_pool_kind kind, vf acc, vf x)
{
    if (kind == OI_POOL_MAX)
        return v_sel(v_isnan(acc), acc, v_max(acc, x));
    return kind == OI_POOL_SUM_SQUARE ? v_fma(x, x, acc) : v_add(acc, x);
}

static inline __attribute__((always_inline)) void pool_rows(oi_pool_kind kind, const oi_pool_shape *s,
                                                            const float *x, float *y, size_t oy0, size_t oy1)
{
    const vf unit = v_set1(kind == OI_POOL_MAX ? -(float)INFINITY : 0.0f);
    const size_t dw = s->dw * VL, dh = s->dh * s->w * VL, sw = s->sw * VL;
    const bool average = kind == OI_POOL_AVERAGE || kind == OI_POOL_AVERAGE_WITH_PADS;
    const ptrdiff_t pad_h = s->h + s->pb, pad_w = s->w + s->pr;
    for (size_t oy = oy0; oy < oy1; oy++) {
        const ptrdiff_t iy = (ptrdiff_t)(oy * s->sh) - (ptrdiff_t)s->pt;
        size_t ky0, ky1, cy0, cy1;
        tap_range(iy, s->kh, s->dh, 0, (ptrdiff_t)s->h, &ky0, &ky1);
        tap_range(iy, s->kh, s->dh, -(ptrdiff_t)s->pt, pad_h, &cy0, &cy1);
        float *out = y + oy * s->ow * VL;
        for (size_t ox = 0; ox < s->ow;) {
            const ptrdiff_t ix = (ptrdiff_t)(ox * s->sw) - (ptrdiff_t)s->pl;
            size_t kx0, kx1, cx0, cx1;
            tap_range(ix, s->kw, s->dw, 0, (ptrdiff_t)s->w, &kx0, &kx1);
            const float *p = x + (iy + (ptrdiff_t)(ky0 * s->dh)) * (ptrdiff_t)(s->w * VL) + ix * VL;
            /* Four windows at once where all of them lie inside. */
            if (kx0 == 0 && ox + 4 <= s->ow &&
                ix + (ptrdiff_t)(3 * s->sw + (s->kw - 1) * s->dw) < (ptrdiff_t)s->w) {
                vf a = unit, b = unit, c = unit, d = unit;
                for (size_t ky = ky0; ky < ky1; ky++, p += dh) {
                    const float *q = p;
                    for (size_t kx = 0; kx < s->kw; kx++, q += dw) {
                        a = step(kind, a, v_load(q));
                        b = step(kind, b, v_load(q + sw));
                        c = step(kind, c, v_load(q + 2 * sw));
                        d = step(kind, d, v_load(q + 3 * sw));
                    }
                }
                if (average) {
                    const size_t ny = kind == OI_POOL_AVERAGE ? ky1 - ky0 : cy1 - cy0;
                    const vf n = v_set1(ny ? (float)(ny * s->kw) : 1.0f);
                    a = v_div(a, n);
                    b = v_div(b, n);
                    c = v_div(c, n);
                    d = v_div(d, n);
                }
                v_store(out, a);
                v_store(out + VL, b);
                v_store(out + 2 * VL, c);
                v_store(out + 3 * VL, d);
                out += 4 * VL;
                ox += 4;
                continue;
            }
            vf a = unit;
            for (size_t ky = ky0; ky < ky1; ky++, p += dh)
                for (size_t kx = kx0; kx < kx1; kx++)
                    a = step(kind, a, v_load(p + kx * dw));
            if (average) {
                size_t n = (ky1 - ky0) * (kx1 - kx0);
                if (kind == OI_POOL_AVERAGE_WITH_PADS) {
                    tap_range(ix, s->kw, s->dw, -(ptrdiff_t)s->pl, pad_w, &cx0, &cx1);
                    n = (cy1 - cy0) * (cx1 - cx0);
                }
                a = v_div(a, v_set1(n ? (float)n : 1.0f));
            }
            v_store(out, a);
            out += VL;
            ox++;
        }
    }
}

void OI_KNAME(pool)(const oi_pool_shape *s, const float *x, float *y, size_t oy0, size_t oy1)
{
    switch (s->kind) {
    case OI_POOL_MAX: pool_rows(OI_POOL_MAX, s, x, y, oy0, oy1); break;
    case OI_POOL_AVERAGE: pool_rows(OI_POOL_AVERAGE, s, x, y, oy0, oy1); break;
    case OI_POOL_AVERAGE_WITH_PADS: pool_rows(OI_POOL_AVERAGE_WITH_PADS, s, x, y, oy0, oy1); break;
    case OI_POOL_SUM_SQUARE: pool_rows(OI_POOL_SUM_SQUARE, s, x, y, oy0, oy1); break;
    }
}
