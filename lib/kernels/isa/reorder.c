/* reorder.c - transposes, the way into and out of the blocked layout, and per-channel work on one channel
 * block. */
#include "kernels/isa/isa.h"

/* One block of at most VL x VL; rows and cols say how much of it exists. */
static inline void block(size_t rows, size_t cols, const oi_loose_float *src, size_t src_ld, float *dst, size_t dst_ld)
{
    vf r[VL];
    if (rows == VL && cols == VL) {
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++)
            r[i] = v_load(src + i * src_ld);
        v_transpose(r);
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++)
            v_store(dst + i * dst_ld, r[i]);
        return;
    }
    for (size_t i = 0; i < VL; i++)
        r[i] = i < rows ? v_loadn(src + i * src_ld, cols) : v_zero();
    v_transpose(r);
    for (size_t i = 0; i < cols; i++)
        v_storen(dst + i * dst_ld, r[i], rows);
}

void OI_KNAME(transpose)(size_t rows, size_t cols, const oi_loose_float *src, size_t src_ld, float *dst,
                         size_t dst_ld)
{
    enum { SPAN = 64 }; /* floats that are read of a row before the next: a few lines of the cache */
    for (size_t c0 = 0; c0 < cols; c0 += SPAN)
        for (size_t r = 0; r < rows; r += VL)
            for (size_t c = c0; c < cols && c < c0 + SPAN; c += VL)
                block(rows - r < VL ? rows - r : VL, cols - c < VL ? cols - c : VL, src + r * src_ld + c, src_ld,
                      dst + c * dst_ld + r, dst_ld);
}

void OI_KNAME(to_blocked)(size_t channels, size_t pixels, size_t count, const float *src, float *dst)
{
    for (size_t c = 0; c < channels; c += VL) {
        const size_t rows = channels - c < VL ? channels - c : VL;
        for (size_t p = 0; p < count; p += VL) {
            const size_t cols = count - p < VL ? count - p : VL;
            if (rows == VL) {
                block(rows, cols, src + c * pixels + p, pixels, dst + p * VL, VL);
                continue;
            }
            vf r[VL];
            for (size_t i = 0; i < VL; i++)
                r[i] = i < rows ? v_loadn(src + (c + i) * pixels + p, cols) : v_zero();
            v_transpose(r);
            for (size_t i = 0; i < cols; i++)
                v_store(dst + (p + i) * VL, r[i]);
        }
        dst += pixels * VL;
    }
}

void OI_KNAME(from_blocked)(size_t channels, size_t pixels, size_t count, const float *src, float *dst)
{
    for (size_t c = 0; c < channels; c += VL) {
        const size_t cols = channels - c < VL ? channels - c : VL;
        for (size_t p = 0; p < count; p += VL)
            block(count - p < VL ? count - p : VL, cols, src + p * VL, VL, dst + c * pixels + p, pixels);
        src += pixels * VL;
    }
}

void OI_KNAME(scale_shift)(size_t pixels, const float *x, const float *scale, const float *shift, float *y)
{
    const vf a = scale ? v_load(scale) : v_set1(1.0f), b = shift ? v_load(shift) : v_zero();
    for (size_t i = 0; i < pixels * VL; i += VL)
        v_store(y + i, v_add(v_mul(v_load(x + i), a), b));
}

void OI_KNAME(lane_sum)(size_t pixels, const float *x, float *y)
{
    vf a = v_zero(), b = v_zero(), c = v_zero(), d = v_zero();
    size_t i = 0;
    for (; i + 4 <= pixels; i += 4, x += 4 * VL) {
        a = v_add(a, v_load(x));
        b = v_add(b, v_load(x + VL));
        c = v_add(c, v_load(x + 2 * VL));
        d = v_add(d, v_load(x + 3 * VL));
    }
    for (; i < pixels; i++, x += VL)
        a = v_add(a, v_load(x));
    v_store(y, v_add(v_add(a, b), v_add(c, d)));
}
