/* bytes.c - packing and the driver of products of 8-bit integers. */
#include "kernels/bytes.h"

#include <string.h>

void oi_bytes_pack_a(size_t m, size_t k, const void *a, size_t stride, bool is_signed, uint8_t *dst, int32_t *sums)
{
    const size_t depth = oi_bytes_depth(k);
    const uint8_t flip = is_signed ? 0x80 : 0;
    for (size_t i = 0; i < m; i++, dst += depth) {
        const uint8_t *row = (const uint8_t *)a + i * stride;
        uint32_t sum = 0;
        for (size_t t = 0; t < k; t++) {
            dst[t] = row[t] ^ flip;
            sum += dst[t];
        }
        memset(dst + k, 0, depth - k);
        sums[i] = (int32_t)sum;
    }
}

void oi_bytes_pack_panel(size_t k, size_t n, const void *b, size_t stride, bool is_signed, void *panel)
{
    const uint8_t flip = is_signed ? 0 : 0x80;
    uint32_t sum[OI_BYTES_COLUMNS] = {0};
    uint8_t *dst = panel;
    for (size_t t = 0; t < k; t += 4, dst += 4 * OI_BYTES_COLUMNS) {
        const size_t some = k - t < 4 ? k - t : 4;
        if (some < 4 || n < OI_BYTES_COLUMNS)
            memset(dst, 0, 4 * OI_BYTES_COLUMNS);
        for (size_t s = 0; s < some; s++) {
            const uint8_t *row = (const uint8_t *)b + (t + s) * stride;
            for (size_t j = 0; j < n; j++) {
                const uint8_t v = row[j] ^ flip;
                dst[4 * j + s] = v;
                sum[j] += (uint32_t)(int32_t)(int8_t)v;
            }
        }
    }
    memcpy(dst, sum, sizeof sum);
}

void oi_bytes_multiply(const oi_kernels *kernels, const oi_bytes_args *t)
{
    const size_t depth = oi_bytes_depth(t->k), quads = depth / 4;
    int32_t sum[OI_BYTES_COLUMNS];
    memcpy(sum, (const uint8_t *)t->panel + depth * OI_BYTES_COLUMNS, sizeof sum);
    for (size_t i = 0; i < t->m; i += OI_BYTES_ROWS) {
        const size_t rows = t->m - i < OI_BYTES_ROWS ? t->m - i : OI_BYTES_ROWS;
        kernels->byte_tile(rows, quads, t->a + i * depth, depth, t->panel, t->c + i * t->ldc, t->ldc);
        for (size_t r = i; r < i + rows; r++) {
            /* Zero points of what was packed. Unsigned arithmetic: it wraps. */
            const uint32_t za = (uint32_t)(t->a_zero[r * t->a_zero_step] + (t->a_signed ? 128 : 0));
            const uint32_t row_sum = (uint32_t)t->a_sums[r], shared = za * (uint32_t)t->k - row_sum;
            int32_t *c = t->c + r * t->ldc;
            for (size_t j = 0; j < OI_BYTES_COLUMNS; j++) {
                const uint32_t zb = (uint32_t)(t->b_zero[j * t->b_zero_step] - (t->b_signed ? 0 : 128));
                c[j] = (int32_t)((uint32_t)c[j] - za * (uint32_t)sum[j] + zb * shared);
            }
        }
    }
}

void oi_bytes_requantize(size_t n, const int32_t *sum, int32_t bias, const float *factor, size_t factor_step, int32_t zero,
                         bool is_signed, void *y)
{
    const double low = (is_signed ? -128 : 0) - zero, high = (is_signed ? 127 : 255) - zero;
    const double shift = 0x1.8p52; /* what is added to it keeps no fraction */
    uint8_t *dst = y;
    for (size_t i = 0; i < n; i++) {
        double v = ((double)sum[i] + (double)bias) * (double)factor[i * factor_step];
        v = v > low ? v : low;
        v = v < high ? v : high;
        dst[i] = (uint8_t)((int32_t)((v + shift) - shift) + zero);
    }
}
