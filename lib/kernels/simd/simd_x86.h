/* simd_x86.h - what the vocabularies of SSE2, AVX2 and AVX-512 share. */
#include <emmintrin.h>

static inline __m128i load_bytes(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }
/* The 16 numbers of 4 bits at p, the lower one of each byte first. */
static inline __m128i load_nibbles(const uint8_t *p)
{
    const __m128i low = _mm_set1_epi8(15), x = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return _mm_unpacklo_epi8(_mm_and_si128(x, low), _mm_and_si128(_mm_srli_epi16(x, 4), low));
}
