/* byte_panel.c - panels of products of bytes with their results scaled to bytes, and sums and products of scaled bytes. */
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

static inline __attribute__((always_inline)) void add_residual(const oi_byte_scaling *s, const bool product, const uint8_t *r, float *v)
{
    const float zero = (float)s->r_zero;
    for (size_t j = 0; j < COLUMNS; j++) {
        const float other = ((s->r_signed ? (float)(int8_t)r[j] : (float)r[j]) - zero) * s->r_scale;
        const float own = v[j] * s->scale;
        v[j] = whole(bounded((product ? own * other : own + other) / s->y_scale, s->y_low, s->y_high));
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
        add_residual(s, false, r, v);
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

void OI_KNAME(byte_binary)(const oi_byte_binary_args *t)
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
        if (t->product)
            add_residual(s, true, r, v);
        else
            add_residual(s, false, r, v);
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

static inline DOT __attribute__((always_inline)) __m512 clamp(__m512 v, float low, float high)
{
    return _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(low)), _mm512_set1_ps(high)); /* NaN becomes `low` */
}

/* How the results of a panel become bytes: codes less `shift` saturate to int8, an exclusive or makes shift good. */
typedef struct {
    const oi_byte_scaling *s;
    __m512 factor[2];
    bool tame;         /* no product of a factor leaves int32: saturation clamps */
    bool bounded;      /* the codes have other bounds than their type */
    int32_t zero;      /* less shift */
    __m256i flip, low, high;
} panel_scaling;

static inline DOT __attribute__((always_inline)) panel_scaling scaling_of(const oi_byte_panel_args *t)
{
    const oi_byte_scaling *s = t->scaling;
    const int32_t zero = t->residual ? s->y_zero : s->zero;
    const int32_t low = zero + (int32_t)(t->residual ? s->y_low : s->low), high = zero + (int32_t)(t->residual ? s->y_high : s->high);
    const int32_t shift = low < 0 ? 0 : 128;
    return (panel_scaling){.s = s, .factor = {_mm512_loadu_ps(t->factor), _mm512_loadu_ps(t->factor + 16)}, .tame = t->tame,
                           .bounded = low - shift != -128 || high - shift != 127, .zero = zero - shift,
                           .flip = _mm256_set1_epi8((char)shift), .low = _mm256_set1_epi8((char)(low - shift)),
                           .high = _mm256_set1_epi8((char)(high - shift))};
}

/* Sums as codes, saturated. */
static inline DOT __attribute__((always_inline)) __m128i scaled(const panel_scaling *p, __m512i sum, __m512 factor)
{
    __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor);
    if (!p->tame)
        v = clamp(v, p->s->low, p->s->high);
    return _mm512_cvtsepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(p->zero)));
}

/* The same with the residual's codes r. */
static inline DOT __attribute__((always_inline)) __m128i scaled_sum(const panel_scaling *p, __m512i sum, __m512 factor, __m128i r)
{
    const oi_byte_scaling *s = p->s;
    const __m512i wide = s->r_signed ? _mm512_cvtepi8_epi32(r) : _mm512_cvtepu8_epi32(r);
    const __m512 other = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(wide, _mm512_set1_epi32(s->r_zero))), _mm512_set1_ps(s->r_scale));
    __m512 v = _mm512_roundscale_ps(clamp(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor), s->low, s->high), NEAREST);
    v = _mm512_add_ps(_mm512_mul_ps(v, _mm512_set1_ps(s->scale)), other);
    v = clamp(_mm512_div_ps(v, _mm512_set1_ps(s->y_scale)), s->y_low, s->y_high);
    return _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(p->zero)));
}

static inline DOT __attribute__((always_inline)) void put_row(const panel_scaling *p, uint8_t *y, __mmask32 mask, __m128i low, __m128i high)
{
    __m256i v = _mm256_set_m128i(high, low);
    if (p->bounded)
        v = _mm256_min_epi8(_mm256_max_epi8(v, p->low), p->high);
    v = _mm256_xor_si256(v, p->flip);
    if (mask == 0xFFFFFFFFu)
        _mm256_storeu_si256((__m256i *)(void *)y, v);
    else
        _mm256_mask_storeu_epi8(y, mask, v);
}

static inline DOT __attribute__((always_inline)) void dot_rows(const size_t rows, const oi_byte_panel_args *t, const panel_scaling *p, size_t first)
{
    const uint8_t *a = t->a + first * t->a_stride;
    const size_t a_stride = t->a_stride, quads = t->quads;
    const int8_t *b = t->b;
    __m512i sum[ROWS][2];
    const __m512i bias0 = _mm512_loadu_si512(t->bias), bias1 = _mm512_loadu_si512(t->bias + 16);
#pragma GCC unroll 12
    for (size_t r = 0; r < rows; r++)
        sum[r][0] = bias0, sum[r][1] = bias1;
    for (size_t q = 0; q < quads; q++, b += 4 * COLUMNS) {
        const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 64);
#pragma GCC unroll 12
        for (size_t r = 0; r < rows; r++) {
            const __m512i v = _mm512_set1_epi32(quad(a + r * a_stride + 4 * q));
            sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], v, b0);
            sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], v, b1);
        }
    }
    if (t->b_zero) {
        const __m512i z0 = _mm512_loadu_si512(t->b_zero), z1 = _mm512_loadu_si512(t->b_zero + 16);
#pragma GCC unroll 12
        for (size_t r = 0; r < rows; r++) {
            const __m512i term = _mm512_set1_epi32(t->row_term[first + r]);
            sum[r][0] = _mm512_add_epi32(sum[r][0], _mm512_mullo_epi32(z0, term));
            sum[r][1] = _mm512_add_epi32(sum[r][1], _mm512_mullo_epi32(z1, term));
        }
    }
    const __mmask32 mask = (__mmask32)(0xFFFFFFFFu >> (COLUMNS - t->columns));
    uint8_t *y = t->y + first * t->y_stride;
    if (t->residual) {
        const uint8_t *from = t->residual + first * t->residual_stride;
#pragma GCC unroll 12
        for (size_t r = 0; r < rows; r++, y += t->y_stride, from += t->residual_stride) {
            const __m256i codes = mask == 0xFFFFFFFFu ? _mm256_loadu_si256((const __m256i *)(const void *)from) : _mm256_maskz_loadu_epi8(mask, from);
            put_row(p, y, mask, scaled_sum(p, sum[r][0], p->factor[0], _mm256_castsi256_si128(codes)),
                    scaled_sum(p, sum[r][1], p->factor[1], _mm256_extracti128_si256(codes, 1)));
        }
    } else {
#pragma GCC unroll 12
        for (size_t r = 0; r < rows; r++, y += t->y_stride)
            put_row(p, y, mask, scaled(p, sum[r][0], p->factor[0]), scaled(p, sum[r][1], p->factor[1]));
    }
}

/* Tiles of nearly the same height. */
static DOT void dot_panel(const oi_byte_panel_args *t)
{
    const panel_scaling p = scaling_of(t);
    size_t tiles = (t->rows + ROWS - 1) / ROWS;
    for (size_t i = 0, rows; i < t->rows; i += rows, tiles--) {
        rows = (t->rows - i + tiles - 1) / tiles;
        switch (rows) {
        case 1: dot_rows(1, t, &p, i); break;
        case 2: dot_rows(2, t, &p, i); break;
        case 3: dot_rows(3, t, &p, i); break;
        case 4: dot_rows(4, t, &p, i); break;
        case 5: dot_rows(5, t, &p, i); break;
        case 6: dot_rows(6, t, &p, i); break;
        case 7: dot_rows(7, t, &p, i); break;
        case 8: dot_rows(8, t, &p, i); break;
        case 9: dot_rows(9, t, &p, i); break;
        case 10: dot_rows(10, t, &p, i); break;
        case 11: dot_rows(11, t, &p, i); break;
        default: dot_rows(12, t, &p, i); break;
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
