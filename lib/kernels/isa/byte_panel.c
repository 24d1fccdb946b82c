/* byte_panel.c - panels of products of bytes with their results scaled to bytes, and sums of scaled bytes. */
#include "kernels/isa/isa.h"

enum { COLUMNS = OI_BYTES_COLUMNS };

/* The loops over COLUMNS have a fixed length and no branches: they become vectors. */

static inline __attribute__((always_inline)) float bounded(float v, float low, float high)
{
    v = v > low ? v : low; /* NaN too */
    return v < high ? v : high;
}

static inline __attribute__((always_inline)) float whole(float v) /* half to even */
{
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

static void add_residual(const oi_byte_scaling *s, const uint8_t *r, float *v)
{
    const float zero = (float)s->r_zero;
    for (size_t j = 0; j < COLUMNS; j++) {
        const float other = ((s->r_signed ? (float)(int8_t)r[j] : (float)r[j]) - zero) * s->r_scale;
        v[j] = whole(bounded((v[j] * s->scale + other) / s->y_scale, s->y_low, s->y_high));
    }
}

static void put(const float *v, int32_t zero, size_t n, uint8_t *y)
{
    uint8_t out[COLUMNS];
    for (size_t j = 0; j < COLUMNS; j++)
        out[j] = (uint8_t)((int32_t)v[j] + zero);
    if (n == COLUMNS)
        memcpy(y, out, COLUMNS);
    else
        memcpy(y, out, n);
}

static void finish_row(const oi_byte_panel_args *t, size_t row, const int32_t *sum)
{
    const oi_byte_scaling *s = t->scaling;
    float v[COLUMNS];
    for (size_t j = 0; j < COLUMNS; j++)
        v[j] = whole(bounded((float)sum[j] * t->factor[j], s->low, s->high));
    if (t->residual) {
        uint8_t r[COLUMNS] = {0};
        memcpy(r, t->residual + row * t->residual_stride, t->columns);
        add_residual(s, r, v);
    }
    put(v, t->residual ? s->y_zero : s->zero, t->columns, t->y + row * t->y_stride);
}

static void by_tiles(const oi_byte_panel_args *t, oi_byte_tile_fn *tile)
{
    int32_t sum[OI_BYTES_ROWS * COLUMNS];
    for (size_t i = 0; i < t->rows; i += OI_BYTES_ROWS) {
        const size_t rows = t->rows - i < OI_BYTES_ROWS ? t->rows - i : OI_BYTES_ROWS;
        tile(rows, t->quads, t->a + i * t->a_stride, t->a_stride, t->b, sum, COLUMNS);
        for (size_t r = 0; r < rows; r++) {
            uint32_t *c = (uint32_t *)sum + r * COLUMNS; /* wraps */
            for (size_t j = 0; j < COLUMNS; j++)
                c[j] += (uint32_t)t->bias[j];
            for (size_t j = 0; j < COLUMNS && t->b_zero; j++)
                c[j] += (uint32_t)t->b_zero[j] * (uint32_t)t->row_term[i + r];
            finish_row(t, i + r, sum + r * COLUMNS);
        }
    }
}

void OI_KNAME(byte_panel_basic)(const oi_byte_panel_args *t)
{
    by_tiles(t, OI_KNAME(byte_tile_basic));
}

void OI_KNAME(byte_add)(const oi_byte_add_args *t)
{
    const oi_byte_scaling *s = t->scaling;
    for (size_t i = 0; i < t->n; i += COLUMNS) {
        const size_t n = t->n - i < COLUMNS ? t->n - i : COLUMNS;
        uint8_t a[COLUMNS] = {0}, r[COLUMNS] = {0};
        float v[COLUMNS];
        memcpy(a, t->a + i, n);
        memcpy(r, t->r + i, n);
        for (size_t j = 0; j < COLUMNS; j++)
            v[j] = (t->a_signed ? (float)(int8_t)a[j] : (float)a[j]) - (float)s->zero;
        add_residual(s, r, v);
        put(v, s->y_zero, n, t->y + i);
    }
}

#if defined(OI_KERN_AVX512)
#include <immintrin.h>

#define DOT __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

enum { ROWS = 12, NEAREST = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC };

static inline DOT __attribute__((always_inline)) int32_t quad(const uint8_t *a)
{
    int32_t v;
    memcpy(&v, a, sizeof v);
    return v;
}

static inline DOT __attribute__((always_inline)) __m512 clamp_round(__m512 v, float low, float high)
{
    v = _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(low)), _mm512_set1_ps(high));
    return _mm512_roundscale_ps(v, NEAREST);
}

/* One vector of sums, scaled, as bytes. `r`: the residual's. */
static inline DOT __attribute__((always_inline)) __m128i scaled(const oi_byte_scaling *s, __m512i sum, __m512 factor, const bool residual, __m128i r)
{
    __m512 v = clamp_round(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor), s->low, s->high);
    int32_t zero = s->zero;
    if (residual) {
        const __m512i wide = s->r_signed ? _mm512_cvtepi8_epi32(r) : _mm512_cvtepu8_epi32(r);
        const __m512 other = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(wide, _mm512_set1_epi32(s->r_zero))), _mm512_set1_ps(s->r_scale));
        v = _mm512_add_ps(_mm512_mul_ps(v, _mm512_set1_ps(s->scale)), other);
        v = clamp_round(_mm512_div_ps(v, _mm512_set1_ps(s->y_scale)), s->y_low, s->y_high);
        zero = s->y_zero;
    }
    return _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zero)));
}

static inline DOT __attribute__((always_inline)) void dot_rows(const size_t rows, const oi_byte_panel_args *t, size_t first)
{
    const uint8_t *a = t->a + first * t->a_stride;
    const size_t a_stride = t->a_stride, quads = t->quads;
    const int8_t *b = t->b;
    __m512i low[ROWS], high[ROWS];
    const __m512i bias0 = _mm512_loadu_si512(t->bias), bias1 = _mm512_loadu_si512(t->bias + 16);
#pragma GCC unroll 12
    for (size_t r = 0; r < rows; r++)
        low[r] = bias0, high[r] = bias1;
    for (size_t q = 0; q < quads; q++, b += 4 * COLUMNS) {
        const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 64);
#pragma GCC unroll 12
        for (size_t r = 0; r < rows; r++) {
            const __m512i v = _mm512_set1_epi32(quad(a + r * a_stride + 4 * q));
            low[r] = _mm512_dpbusd_epi32(low[r], v, b0);
            high[r] = _mm512_dpbusd_epi32(high[r], v, b1);
        }
    }
    if (t->b_zero) {
        const __m512i z0 = _mm512_loadu_si512(t->b_zero), z1 = _mm512_loadu_si512(t->b_zero + 16);
#pragma GCC unroll 12
        for (size_t r = 0; r < rows; r++) {
            const __m512i term = _mm512_set1_epi32(t->row_term[first + r]);
            low[r] = _mm512_add_epi32(low[r], _mm512_mullo_epi32(z0, term));
            high[r] = _mm512_add_epi32(high[r], _mm512_mullo_epi32(z1, term));
        }
    }
    const __m512 f0 = _mm512_loadu_ps(t->factor), f1 = _mm512_loadu_ps(t->factor + 16);
    const __mmask32 mask = (__mmask32)(0xFFFFFFFFu >> (COLUMNS - t->columns));
    uint8_t *y = t->y + first * t->y_stride;
    const uint8_t *from = t->residual ? t->residual + first * t->residual_stride : NULL;
#pragma GCC unroll 12
    for (size_t r = 0; r < rows; r++, y += t->y_stride) {
        __m128i r0 = _mm_setzero_si128(), r1 = r0, y0, y1;
        if (from) {
            r0 = _mm_maskz_loadu_epi8((__mmask16)mask, from);
            r1 = _mm_maskz_loadu_epi8((__mmask16)(mask >> 16), from + 16);
            from += t->residual_stride;
            y0 = scaled(t->scaling, low[r], f0, true, r0), y1 = scaled(t->scaling, high[r], f1, true, r1);
        } else {
            y0 = scaled(t->scaling, low[r], f0, false, r0), y1 = scaled(t->scaling, high[r], f1, false, r1);
        }
        if (t->columns == COLUMNS) {
            _mm_storeu_si128((__m128i *)(void *)y, y0);
            _mm_storeu_si128((__m128i *)(void *)(y + 16), y1);
        } else {
            _mm_mask_storeu_epi8(y, (__mmask16)mask, y0);
            _mm_mask_storeu_epi8(y + 16, (__mmask16)(mask >> 16), y1);
        }
    }
}

/* Tiles of nearly the same height. */
static DOT void dot_panel(const oi_byte_panel_args *t)
{
    size_t tiles = (t->rows + ROWS - 1) / ROWS;
    for (size_t i = 0, rows; i < t->rows; i += rows, tiles--) {
        rows = (t->rows - i + tiles - 1) / tiles;
        switch (rows) {
        case 1: dot_rows(1, t, i); break;
        case 2: dot_rows(2, t, i); break;
        case 3: dot_rows(3, t, i); break;
        case 4: dot_rows(4, t, i); break;
        case 5: dot_rows(5, t, i); break;
        case 6: dot_rows(6, t, i); break;
        case 7: dot_rows(7, t, i); break;
        case 8: dot_rows(8, t, i); break;
        case 9: dot_rows(9, t, i); break;
        case 10: dot_rows(10, t, i); break;
        case 11: dot_rows(11, t, i); break;
        default: dot_rows(12, t, i); break;
        }
    }
}

void OI_KNAME(byte_panel)(const oi_byte_panel_args *t)
{
    if (oi_cpu_has(OI_CPU_AVX512_VNNI))
        dot_panel(t);
    else
        by_tiles(t, OI_KNAME(byte_tile));
}

#else

void OI_KNAME(byte_panel)(const oi_byte_panel_args *t)
{
    by_tiles(t, OI_KNAME(byte_tile));
}

#endif
