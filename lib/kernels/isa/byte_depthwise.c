/* byte_depthwise.c - depthwise convolution of bytes, channels last. */
#include "kernels/isa/isa.h"

enum { BLOCK = 16 * OI_BYTE_LANES };

#if defined(OI_KERN_AVX512) || defined(OI_KERN_AVX2)
#include <immintrin.h>

#if defined(OI_KERN_AVX512)

#define OP(name) _mm512_##name
#define OP_XOR   _mm512_xor_si512
#define OP_AND   _mm512_and_si512
#define V        __m512i
#define F        __m512
#define WIDTH    64
#define LOAD(p)  _mm512_loadu_si512(p)
#define GET(p, n) ((n) == WIDTH ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8(~(__mmask64)0 >> (WIDTH - (n)), p))
#define PUT(p, n, v) ((n) == WIDTH ? _mm512_storeu_si512(p, v) : _mm512_mask_storeu_epi8(p, ~(__mmask64)0 >> (WIDTH - (n)), v))
#define DOT_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define DOT_VNNI _mm512_dpbusd_epi32
#define HAS_DOT  oi_cpu_has(OI_CPU_AVX512_VNNI)

#else

#define OP(name) _mm256_##name
#define OP_XOR   _mm256_xor_si256
#define OP_AND   _mm256_and_si256
#define V        __m256i
#define F        __m256
#define WIDTH    32
#define LOAD(p)  _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define GET(p, n) get(p, n)
#define PUT(p, n, v) put(p, n, v)
#define DOT_TARGET __attribute__((target("avx2,avxvnni")))
#define DOT_VNNI _mm256_dpbusd_avx_epi32
#define HAS_DOT  oi_cpu_has(OI_CPU_AVX_VNNI)

static inline __attribute__((always_inline)) __m256i get(const uint8_t *p, size_t n)
{
    uint8_t some[WIDTH] = {0};
    if (n == WIDTH)
        return LOAD(p);
    memcpy(some, p, n);
    return LOAD(some);
}

static inline __attribute__((always_inline)) void put(uint8_t *p, size_t n, __m256i v)
{
    uint8_t some[WIDTH];
    if (n == WIDTH) {
        _mm256_storeu_si256((__m256i *)(void *)p, v);
        return;
    }
    _mm256_storeu_si256((__m256i *)(void *)some, v);
    memcpy(p, some, n);
}

#endif

/* What the instruction of VNNI does, by products of 16-bit numbers: bytes at even and at odd places. */
static inline __attribute__((always_inline)) V dot_basic(V sum, V u, V s)
{
    const V even = OP(madd_epi16)(OP_AND(u, OP(set1_epi16)(0xFF)), OP(srai_epi16)(OP(slli_epi16)(s, 8), 8));
    const V odd = OP(madd_epi16)(OP(srli_epi16)(u, 8), OP(srai_epi16)(s, 8));
    return OP(add_epi32)(sum, OP(add_epi32)(even, odd));
}

#define NAME(x) basic_##x
#define ATTR
#define DOT dot_basic
#include "kernels/tmpl/byte_depthwise.inc"
#undef NAME
#undef ATTR
#undef DOT

#define NAME(x) dot_##x
#define ATTR DOT_TARGET
#define DOT  DOT_VNNI
#include "kernels/tmpl/byte_depthwise.inc"
#undef NAME
#undef ATTR
#undef DOT

void OI_KNAME(byte_depthwise_basic)(const oi_byte_depthwise_args *t)
{
    basic_run(t);
}

void OI_KNAME(byte_depthwise)(const oi_byte_depthwise_args *t)
{
    if (HAS_DOT)
        dot_run(t);
    else
        basic_run(t);
}

#else

/* Channels first .. first + n <= BLOCK of one pixel; loops over BLOCK become vectors. */
static void block(const oi_byte_depthwise_args *t, size_t pixel, size_t first, size_t n)
{
    const oi_byte_scaling *s = t->scaling;
    int32_t sum[BLOCK];
    float v[BLOCK];
    uint8_t out[BLOCK];
    memcpy(sum, t->bias + first, sizeof sum);
    for (size_t k = 0; k < 4 * t->quads; k++) {
        uint8_t x[BLOCK] = {0};
        const int8_t *w = t->weights + first * 4 * t->quads + k * BLOCK;
        if (n == BLOCK)
            memcpy(x, t->tap[k] + pixel * t->step + first, BLOCK);
        else
            memcpy(x, t->tap[k] + pixel * t->step + first, n);
        for (size_t c = 0; c < BLOCK; c++) {
            const int16_t product = (int16_t)((uint8_t)(x[c] ^ t->flip) * w[c]);
            sum[c] = (int32_t)((uint32_t)sum[c] + (uint32_t)(int32_t)product);
        }
    }
    for (size_t c = 0; c < BLOCK; c++) {
        float f = (float)sum[c] * t->factor[first + c];
        f = f > s->low ? f : s->low; /* NaN too */
        f = f < s->high ? f : s->high;
        v[c] = (f + 0x1.8p23f) - 0x1.8p23f;
    }
    for (size_t c = 0; c < BLOCK; c++)
        out[c] = (uint8_t)((int32_t)v[c] + s->zero);
    memcpy(t->y + pixel * t->y_step + first, out, n);
}

void OI_KNAME(byte_depthwise_basic)(const oi_byte_depthwise_args *t)
{
    for (size_t p = 0; p < t->pixels; p++) {
        for (size_t first = 0; first < t->channels; first += BLOCK)
            block(t, p, first, t->channels - first < BLOCK ? t->channels - first : BLOCK);
    }
}

void OI_KNAME(byte_depthwise)(const oi_byte_depthwise_args *t)
{
    OI_KNAME(byte_depthwise_basic)(t);
}

#endif
