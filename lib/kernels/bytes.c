/* bytes.c - packing and the driver of products of 8-bit integers. */
#include "kernels/bytes.h"

#include <math.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Sum of the bytes of n words, after they were xored with `flip` and stored. */
static uint32_t flip_words(size_t n, const uint8_t *src, uint64_t flip, uint8_t *dst)
{
    const uint64_t even = 0x00FF00FF00FF00FFu;
    uint32_t sum = 0;
    for (size_t i = 0; i < n;) {
        const size_t end = n - i < 128 ? n : i + 128; /* 16 bits hold the sums of that many */
        uint64_t lanes = 0;
        for (; i < end; i++) {
            uint64_t v;
            memcpy(&v, src + 8 * i, sizeof v);
            v ^= flip;
            memcpy(dst + 8 * i, &v, sizeof v);
            lanes += (v & even) + (v >> 8 & even);
        }
        sum += (uint32_t)(lanes & 0xFFFF) + (uint32_t)(lanes >> 16 & 0xFFFF) + (uint32_t)(lanes >> 32 & 0xFFFF) + (uint32_t)(lanes >> 48);
    }
    return sum;
}

void oi_bytes_pack_a(size_t m, size_t k, const void *a, size_t stride, bool is_signed, uint8_t *dst, int32_t *sums)
{
    const size_t depth = oi_bytes_depth(k), words = k / 8;
    const uint8_t flip = is_signed ? 0x80 : 0;
    for (size_t i = 0; i < m; i++, dst += depth) {
        const uint8_t *row = (const uint8_t *)a + i * stride;
        uint32_t sum = flip_words(words, row, flip * 0x0101010101010101u, dst);
        for (size_t t = 8 * words; t < k; t++) {
            dst[t] = row[t] ^ flip;
            sum += dst[t];
        }
        memset(dst + k, 0, depth - k);
        sums[i] = (int32_t)sum;
    }
}

enum { PANELS = 32 }; /* packed at once, so that whole rows are read one after another */

#ifdef __SSE2__
enum { FLUSH = 32 }; /* quads whose sums 16 bits hold */

/* Four whole rows of a panel: interleaved at dst, added to the columns' sums. */
static inline __attribute__((always_inline)) void pack_quad(const uint8_t *b, size_t stride, __m128i sign, uint8_t *dst, __m128i lanes[4])
{
    for (size_t half = 0; half < 2; half++) {
        const uint8_t *from = b + 16 * half;
        __m128i r[4];
        for (size_t s = 0; s < 4; s++) {
            r[s] = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)(from + s * stride)), sign);
            lanes[2 * half] = _mm_add_epi16(lanes[2 * half], _mm_srai_epi16(_mm_unpacklo_epi8(r[s], r[s]), 8));
            lanes[2 * half + 1] = _mm_add_epi16(lanes[2 * half + 1], _mm_srai_epi16(_mm_unpackhi_epi8(r[s], r[s]), 8));
        }
        const __m128i a0 = _mm_unpacklo_epi8(r[0], r[1]), a1 = _mm_unpackhi_epi8(r[0], r[1]);
        const __m128i c0 = _mm_unpacklo_epi8(r[2], r[3]), c1 = _mm_unpackhi_epi8(r[2], r[3]);
        __m128i *to = (__m128i *)(void *)(dst + 64 * half);
        _mm_storeu_si128(to, _mm_unpacklo_epi16(a0, c0));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(a0, c0));
        _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(a1, c1));
        _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(a1, c1));
    }
}

static void add_lanes(const __m128i lanes[4], uint32_t *sum)
{
    int16_t part[OI_BYTES_COLUMNS];
    memcpy(part, lanes, sizeof part);
    for (size_t j = 0; j < OI_BYTES_COLUMNS; j++)
        sum[j] += (uint32_t)part[j];
}

/* `quads` times four whole rows of `panels` panels `size` bytes apart; sum: an element for each column. Rows are read from end
 * to end, each once. */
static void pack_quads(size_t panels, size_t quads, const uint8_t *b, size_t stride, uint8_t flip, uint8_t *dst, size_t size, uint32_t *sum)
{
    const __m128i sign = _mm_set1_epi8((char)flip);
    __m128i lanes[PANELS][4];
    for (size_t q = 0; q < quads;) {
        const size_t end = quads - q < FLUSH ? quads : q + FLUSH;
        memset(lanes, 0, panels * sizeof *lanes);
        for (; q < end; q++) {
            for (size_t p = 0; p < panels; p++)
                pack_quad(b + 4 * q * stride + p * OI_BYTES_COLUMNS, stride, sign, dst + p * size + 4 * q * OI_BYTES_COLUMNS, lanes[p]);
        }
        for (size_t p = 0; p < panels; p++)
            add_lanes(lanes[p], sum + p * OI_BYTES_COLUMNS);
    }
}
#else
static void pack_quads(size_t panels, size_t quads, const uint8_t *b, size_t stride, uint8_t flip, uint8_t *dst, size_t size, uint32_t *sum)
{
    for (size_t t = 0; t < 4 * quads; t++, b += stride) {
        for (size_t j = 0; j < panels * OI_BYTES_COLUMNS; j++) {
            const uint8_t v = b[j] ^ flip;
            dst[j / OI_BYTES_COLUMNS * size + t / 4 * 4 * OI_BYTES_COLUMNS + 4 * (j % OI_BYTES_COLUMNS) + t % 4] = v;
            sum[j] += (uint32_t)(int32_t)(int8_t)v;
        }
    }
}
#endif

/* The rows from `first` on of a panel, a multiple of four. */
static void pack_rest(size_t first, size_t k, size_t n, const uint8_t *b, size_t stride, uint8_t flip, uint8_t *panel, uint32_t *sum)
{
    uint8_t *dst = panel + first * OI_BYTES_COLUMNS;
    for (size_t t = first; t < k; t += 4, dst += 4 * OI_BYTES_COLUMNS) {
        const size_t some = k - t < 4 ? k - t : 4;
        memset(dst, 0, 4 * OI_BYTES_COLUMNS);
        for (size_t s = 0; s < some; s++) {
            const uint8_t *row = b + (t + s) * stride;
            for (size_t j = 0; j < n; j++) {
                const uint8_t v = row[j] ^ flip;
                dst[4 * j + s] = v;
                sum[j] += (uint32_t)(int32_t)(int8_t)v;
            }
        }
    }
}

void oi_bytes_pack(size_t k, size_t n, const void *b, size_t stride, bool is_signed, void *panels)
{
    const uint8_t flip = is_signed ? 0 : 0x80, *from = b;
    const size_t size = oi_bytes_panel_size(k), quads = k / 4;
    uint8_t *to = panels;
    while (n > 0) {
        const size_t whole = n / OI_BYTES_COLUMNS < PANELS ? n / OI_BYTES_COLUMNS : PANELS, count = whole ? whole : 1;
        const size_t columns = whole ? whole * OI_BYTES_COLUMNS : n;
        uint32_t sum[PANELS * OI_BYTES_COLUMNS];
        memset(sum, 0, count * OI_BYTES_COLUMNS * sizeof *sum);
        pack_quads(whole, quads, from, stride, flip, to, size, sum);
        for (size_t p = 0; p < count; p++) {
            uint32_t *own = sum + p * OI_BYTES_COLUMNS;
            pack_rest(whole ? 4 * quads : 0, k, whole ? OI_BYTES_COLUMNS : n, from + p * OI_BYTES_COLUMNS, stride, flip, to + p * size, own);
            memcpy(to + p * size + oi_bytes_depth(k) * OI_BYTES_COLUMNS, own, OI_BYTES_COLUMNS * sizeof *own);
        }
        from += columns;
        to += count * size;
        n -= columns;
    }
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

void oi_bytes_scale(float low, float high, float *scale, float *zero)
{
    low = low > 0 ? 0 : low; /* NaN stays */
    high = high < 0 ? 0 : high;
    *scale = (high - low) / 255;
    float z = *scale > 0 ? rintf(0 - low / *scale) : 0;
    *zero = z > 0 ? z < 255 ? z : 255 : 0;
}

void oi_bytes_pack_floats(const oi_kernels *kernels, size_t m, size_t k, const float *a, float *scale, float *zero, uint8_t *dst,
                          int32_t *sums)
{
    const size_t depth = oi_bytes_depth(k);
    float low = 0, high = 0;
    kernels->reduce_inner[OI_REDUCE_MIN](1, m * k, a, m * k, &low);
    kernels->reduce_inner[OI_REDUCE_MAX](1, m * k, a, m * k, &high);
    oi_bytes_scale(low, high, scale, zero);
    for (size_t i = 0; i < m; i++, dst += depth) {
        sums[i] = kernels->to_bytes(k, a + i * k, *scale > 0 ? *scale : 1, *zero, dst);
        memset(dst + k, 0, depth - k);
    }
}

void oi_bytes_multiply_floats(const oi_kernels *kernels, const oi_bytes_float_args *t)
{
    const size_t depth = oi_bytes_depth(t->k), quads = depth / 4, size = oi_bytes_panel_size(t->k);
    const uint8_t *panel = t->panel;
    int32_t c[OI_BYTES_ROWS * OI_BYTES_COLUMNS];
    for (size_t p = 0; p < t->panels; p++, panel += size) {
        const size_t column = p * OI_BYTES_COLUMNS;
        int32_t column_sums[OI_BYTES_COLUMNS];
        memcpy(column_sums, panel + depth * OI_BYTES_COLUMNS, sizeof column_sums);
        oi_byte_floats_args f = {.sums = column_sums, .b_zero = t->b_zero ? t->b_zero + column : NULL, .a_zero = t->a_zero,
                                 .factor = t->factor, .scale = t->scale + column};
        for (size_t i = 0; i < t->m; i += OI_BYTES_ROWS) {
            const size_t rows = t->m - i < OI_BYTES_ROWS ? t->m - i : OI_BYTES_ROWS;
            kernels->byte_tile(rows, quads, t->a + i * depth, depth, (const int8_t *)panel, c, OI_BYTES_COLUMNS);
            for (size_t r = 0; r < rows; r++) {
                f.c = c + r * OI_BYTES_COLUMNS;
                f.shared = (int32_t)((uint32_t)t->a_zero * (uint32_t)t->k - (uint32_t)t->a_sums[i + r]);
                f.add = t->add + (i + r) * t->ld_add + column;
                f.y = t->y + (i + r) * t->ldy + column;
                kernels->byte_floats(&f);
            }
        }
    }
}

void oi_bytes_requantize(size_t n, const int32_t *sum, int32_t bias, const float *factor, size_t factor_step, int32_t zero,
                         bool is_signed, void *y)
{
    const float low = (float)((is_signed ? -128 : 0) - zero), high = (float)((is_signed ? 127 : 255) - zero);
    const float shift = 0x1.8p23f; /* what is added to it keeps no fraction */
    uint8_t *dst = y;
    for (size_t i = 0; i < n; i += OI_BYTES_COLUMNS) { /* whole runs become vectors */
        const size_t some = n - i < OI_BYTES_COLUMNS ? n - i : OI_BYTES_COLUMNS;
        int32_t v[OI_BYTES_COLUMNS] = {0};
        float times[OI_BYTES_COLUMNS];
        uint8_t out[OI_BYTES_COLUMNS];
        memcpy(v, sum + i, some * sizeof *v);
        for (size_t j = 0; j < OI_BYTES_COLUMNS; j++)
            times[j] = factor[factor_step && j < some ? i + j : 0];
        for (size_t j = 0; j < OI_BYTES_COLUMNS; j++) {
            float f = (float)(int32_t)((uint32_t)v[j] + (uint32_t)bias) * times[j];
            f = f > low ? f : low;
            f = f < high ? f : high;
            v[j] = (int32_t)((f + shift) - shift) + zero;
        }
        for (size_t j = 0; j < OI_BYTES_COLUMNS; j++)
            out[j] = (uint8_t)v[j];
        memcpy(dst + i, out, some);
    }
}
