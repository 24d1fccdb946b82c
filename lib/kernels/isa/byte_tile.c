/* byte_tile.c - the tile of products of bytes: uint8 rows by a panel of int8 columns, four deep at a time. */
#include "kernels/isa/isa.h"

enum { COLUMNS = OI_BYTES_COLUMNS };

#if defined(OI_KERN_AVX512) || defined(OI_KERN_AVX2)
#include <immintrin.h>

static inline int32_t quad(const uint8_t *a)
{
    int32_t v;
    memcpy(&v, a, sizeof v);
    return v;
}

/* By products of 16-bit numbers, 8 columns at a time: pairs along the depth are added by the multiplication, the two pairs
 * of a quad at the end. */
static inline __attribute__((always_inline)) void madd_columns(const size_t rows, size_t quads, const uint8_t *a, size_t a_stride,
                                                               const int8_t *b, int32_t *c, size_t c_stride)
{
    __m256i low[OI_BYTES_ROWS], high[OI_BYTES_ROWS];
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
        low[r] = high[r] = _mm256_setzero_si256();
    for (size_t q = 0; q < quads; q++, b += 4 * COLUMNS) {
        const __m256i b0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)b));
        const __m256i b1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(b + 16)));
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++) {
            const __m256i v = _mm256_cvtepu8_epi16(_mm_set1_epi32(quad(a + r * a_stride + 4 * q)));
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(v, b0));
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(v, b1));
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++) {
        const __m256i sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(low[r], high[r]), 0xD8);
        _mm256_storeu_si256((__m256i *)(void *)(c + r * c_stride), sum);
    }
}

void OI_KNAME(byte_tile_basic)(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride)
{
    for (size_t j = 0; j < COLUMNS; j += 8) {
        switch (rows) {
        case 1: madd_columns(1, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
        case 2: madd_columns(2, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
        case 3: madd_columns(3, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
        case 4: madd_columns(4, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
        case 5: madd_columns(5, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
        default: madd_columns(6, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
        }
    }
}
#endif

#if defined(OI_KERN_AVX512)

#define DOT __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

static inline DOT __attribute__((always_inline)) void dot_rows(const size_t rows, size_t quads, const uint8_t *a, size_t a_stride,
                                                               const int8_t *b, int32_t *c, size_t c_stride)
{
    __m512i low[OI_BYTES_ROWS], high[OI_BYTES_ROWS];
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++)
        low[r] = high[r] = _mm512_setzero_si512();
    for (size_t q = 0; q < quads; q++, b += 4 * COLUMNS) {
        const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 64);
#pragma GCC unroll 6
        for (size_t r = 0; r < rows; r++) {
            const __m512i v = _mm512_set1_epi32(quad(a + r * a_stride + 4 * q));
            low[r] = _mm512_dpbusd_epi32(low[r], v, b0);
            high[r] = _mm512_dpbusd_epi32(high[r], v, b1);
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < rows; r++) {
        _mm512_storeu_si512(c + r * c_stride, low[r]);
        _mm512_storeu_si512(c + r * c_stride + 16, high[r]);
    }
}

/* One row: sums of every fourth quad, so that products need not wait for each other. */
static DOT void dot_row(size_t quads, const uint8_t *a, const int8_t *b, int32_t *c)
{
    enum { SUMS = 4 };
    __m512i low[SUMS], high[SUMS];
#pragma GCC unroll 4
    for (size_t s = 0; s < SUMS; s++)
        low[s] = high[s] = _mm512_setzero_si512();
    size_t q = 0;
    for (; q + SUMS <= quads; q += SUMS) {
#pragma GCC unroll 4
        for (size_t s = 0; s < SUMS; s++) {
            const __m512i v = _mm512_set1_epi32(quad(a + 4 * (q + s)));
            low[s] = _mm512_dpbusd_epi32(low[s], v, _mm512_loadu_si512(b + 4 * COLUMNS * (q + s)));
            high[s] = _mm512_dpbusd_epi32(high[s], v, _mm512_loadu_si512(b + 4 * COLUMNS * (q + s) + 64));
        }
    }
    for (; q < quads; q++) {
        const __m512i v = _mm512_set1_epi32(quad(a + 4 * q));
        low[0] = _mm512_dpbusd_epi32(low[0], v, _mm512_loadu_si512(b + 4 * COLUMNS * q));
        high[0] = _mm512_dpbusd_epi32(high[0], v, _mm512_loadu_si512(b + 4 * COLUMNS * q + 64));
    }
    _mm512_storeu_si512(c, _mm512_add_epi32(_mm512_add_epi32(low[0], low[1]), _mm512_add_epi32(low[2], low[3])));
    _mm512_storeu_si512(c + 16, _mm512_add_epi32(_mm512_add_epi32(high[0], high[1]), _mm512_add_epi32(high[2], high[3])));
}

static DOT void dot_tile(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride)
{
    switch (rows) {
    case 1: dot_row(quads, a, b, c); break;
    case 2: dot_rows(2, quads, a, a_stride, b, c, c_stride); break;
    case 3: dot_rows(3, quads, a, a_stride, b, c, c_stride); break;
    case 4: dot_rows(4, quads, a, a_stride, b, c, c_stride); break;
    case 5: dot_rows(5, quads, a, a_stride, b, c, c_stride); break;
    default: dot_rows(6, quads, a, a_stride, b, c, c_stride); break;
    }
}

void OI_KNAME(byte_tile)(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride)
{
    if (oi_cpu_has(OI_CPU_AVX512_VNNI))
        dot_tile(rows, quads, a, a_stride, b, c, c_stride);
    else
        OI_KNAME(byte_tile_basic)(rows, quads, a, a_stride, b, c, c_stride);
}

#elif defined(OI_KERN_AVX2)

#define DOT __attribute__((target("avx2,avxvnni")))

/* Up to 3 rows: a row of a panel is four vectors. */
static inline DOT __attribute__((always_inline)) void dot_rows(const size_t rows, size_t quads, const uint8_t *a, size_t a_stride,
                                                               const int8_t *b, int32_t *c, size_t c_stride)
{
    __m256i sum[3][4];
#pragma GCC unroll 3
    for (size_t r = 0; r < rows; r++)
        sum[r][0] = sum[r][1] = sum[r][2] = sum[r][3] = _mm256_setzero_si256();
    for (size_t q = 0; q < quads; q++, b += 4 * COLUMNS) {
        __m256i v[3];
#pragma GCC unroll 3
        for (size_t r = 0; r < rows; r++)
            v[r] = _mm256_set1_epi32(quad(a + r * a_stride + 4 * q));
#pragma GCC unroll 4
        for (size_t j = 0; j < 4; j++) {
            const __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)(b + 32 * j));
#pragma GCC unroll 3
            for (size_t r = 0; r < rows; r++)
                sum[r][j] = _mm256_dpbusd_avx_epi32(sum[r][j], v[r], w);
        }
    }
#pragma GCC unroll 3
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t j = 0; j < 4; j++)
            _mm256_storeu_si256((__m256i *)(void *)(c + r * c_stride + 8 * j), sum[r][j]);
    }
}

static DOT void dot_tile(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride)
{
    for (size_t r = 0; r < rows; r += 3) {
        switch (rows - r) {
        case 1: dot_rows(1, quads, a + r * a_stride, a_stride, b, c + r * c_stride, c_stride); break;
        case 2: dot_rows(2, quads, a + r * a_stride, a_stride, b, c + r * c_stride, c_stride); break;
        default: dot_rows(3, quads, a + r * a_stride, a_stride, b, c + r * c_stride, c_stride); break;
        }
    }
}

void OI_KNAME(byte_tile)(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride)
{
    if (oi_cpu_has(OI_CPU_AVX_VNNI))
        dot_tile(rows, quads, a, a_stride, b, c, c_stride);
    else
        OI_KNAME(byte_tile_basic)(rows, quads, a, a_stride, b, c, c_stride);
}

#else

#if defined(OI_KERN_SSE2)
#include <emmintrin.h>

/* Products of 16-bit numbers, 8 columns of up to 3 rows at a time: pairs along the depth are added by the multiplication, the two
 * pairs of a quad at the end. */
static inline __attribute__((always_inline)) void madd_columns(const size_t rows, size_t quads, const uint8_t *a, size_t a_stride,
                                                               const int8_t *b, int32_t *c, size_t c_stride)
{
    __m128i sum[3][4];
#pragma GCC unroll 3
    for (size_t r = 0; r < rows; r++)
        sum[r][0] = sum[r][1] = sum[r][2] = sum[r][3] = _mm_setzero_si128();
    for (size_t q = 0; q < quads; q++, b += 4 * COLUMNS) {
        const __m128i w0 = _mm_loadu_si128((const __m128i *)(const void *)b), w1 = _mm_loadu_si128((const __m128i *)(const void *)(b + 16));
        const __m128i w[4] = {_mm_srai_epi16(_mm_unpacklo_epi8(w0, w0), 8), _mm_srai_epi16(_mm_unpackhi_epi8(w0, w0), 8),
                              _mm_srai_epi16(_mm_unpacklo_epi8(w1, w1), 8), _mm_srai_epi16(_mm_unpackhi_epi8(w1, w1), 8)};
#pragma GCC unroll 3
        for (size_t r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, a + r * a_stride + 4 * q, sizeof four);
            __m128i v = _mm_unpacklo_epi8(_mm_cvtsi32_si128(four), _mm_setzero_si128());
            v = _mm_unpacklo_epi64(v, v);
#pragma GCC unroll 4
            for (size_t i = 0; i < 4; i++)
                sum[r][i] = _mm_add_epi32(sum[r][i], _mm_madd_epi16(v, w[i]));
        }
    }
#pragma GCC unroll 3
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 2
        for (size_t i = 0; i < 4; i += 2) {
            const __m128 x = _mm_castsi128_ps(sum[r][i]), y = _mm_castsi128_ps(sum[r][i + 1]);
            const __m128i even = _mm_castps_si128(_mm_shuffle_ps(x, y, 0x88)), odd = _mm_castps_si128(_mm_shuffle_ps(x, y, 0xDD));
            _mm_storeu_si128((__m128i *)(void *)(c + r * c_stride + 2 * i), _mm_add_epi32(even, odd));
        }
    }
}

void OI_KNAME(byte_tile_basic)(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride)
{
    for (size_t r = 0; r < rows; r += 3, a += 3 * a_stride, c += 3 * c_stride) {
        for (size_t j = 0; j < COLUMNS; j += 8) {
            switch (rows - r) {
            case 1: madd_columns(1, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
            case 2: madd_columns(2, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
            default: madd_columns(3, quads, a, a_stride, b + 4 * j, c + j, c_stride); break;
            }
        }
    }
}

#else

/* Weights of a quad are parted once for all rows; loops over COLUMNS become vectors. */
void OI_KNAME(byte_tile_basic)(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride)
{
    int32_t sum[OI_BYTES_ROWS][COLUMNS] = {{0}};
    for (size_t q = 0; q < quads; q++, b += 4 * COLUMNS) {
        int16_t w[4][COLUMNS];
        for (size_t j = 0; j < COLUMNS; j++)
            w[0][j] = b[4 * j], w[1][j] = b[4 * j + 1], w[2][j] = b[4 * j + 2], w[3][j] = b[4 * j + 3];
        for (size_t r = 0; r < rows; r++) {
            const uint8_t *v = a + r * a_stride + 4 * q;
            const int16_t v0 = v[0], v1 = v[1], v2 = v[2], v3 = v[3];
            for (size_t j = 0; j < COLUMNS; j++)
                sum[r][j] = (int32_t)((uint32_t)sum[r][j] + (uint32_t)(v0 * w[0][j] + v1 * w[1][j] + v2 * w[2][j] + v3 * w[3][j]));
        }
    }
    for (size_t r = 0; r < rows; r++)
        memcpy(c + r * c_stride, sum[r], sizeof sum[r]);
}

#endif

void OI_KNAME(byte_tile)(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride)
{
    OI_KNAME(byte_tile_basic)(rows, quads, a, a_stride, b, c, c_stride);
}

#endif
