/* simd_sse2.h - the vector vocabulary of the kernels on SSE2, x86-64's baseline. simd.h says what each word
 * means. */
#include <emmintrin.h>

#include "kernels/simd/simd_x86.h"
enum { VL = 4 };
typedef __m128 vf;
typedef __m128i vi;
typedef __m128 vm;

static inline vf v_load(const oi_loose_float *p) { return _mm_loadu_ps(p); }
static inline void v_store(float *p, vf a) { _mm_storeu_ps(p, a); }
static inline vf v_loadn(const oi_loose_float *p, size_t n)
{
    if (n == 1)
        return _mm_set_ss(p[0]);
    if (n >= 4)
        return _mm_loadu_ps(p);
    vf lo = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)p));
    return n == 2 ? lo : _mm_movelh_ps(lo, _mm_set_ss(p[2]));
}
static inline void v_storen(float *p, vf a, size_t n)
{
    if (n >= 4) {
        _mm_storeu_ps(p, a);
    } else if (n == 1) {
        _mm_store_ss(p, a);
    } else {
        _mm_storel_epi64((__m128i *)p, _mm_castps_si128(a));
        if (n == 3)
            _mm_store_ss(p + 2, _mm_movehl_ps(a, a));
    }
}
static inline vf v_set1(float a) { return _mm_set1_ps(a); }
static inline vf v_zero(void) { return _mm_setzero_ps(); }
static inline vf v_add(vf a, vf b) { return _mm_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm_sub_ps(c, _mm_mul_ps(a, b)); }
static inline vf v_max(vf a, vf b) { return _mm_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm_min_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm_sqrt_ps(a); }
static inline vf v_abs(vf a) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), a); }
static inline vf v_neg(vf a) { return _mm_xor_ps(a, _mm_set1_ps(-0.0f)); }
static inline vf v_copysign(vf a, vf s)
{
    vf sign = _mm_set1_ps(-0.0f);
    return _mm_or_ps(_mm_andnot_ps(sign, a), _mm_and_ps(sign, s));
}
static inline vm v_lt(vf a, vf b) { return _mm_cmplt_ps(a, b); }
static inline vm v_eq(vf a, vf b) { return _mm_cmpeq_ps(a, b); }
static inline vm v_isnan(vf a) { return _mm_cmpunord_ps(a, a); }
static inline vf v_sel(vm m, vf t, vf f) { return _mm_or_ps(_mm_and_ps(m, t), _mm_andnot_ps(m, f)); }
/* Adding and taking away 2^23 rounds to an integer; larger values are integers already. */
static inline vf v_round(vf a)
{
    vf magic = _mm_set1_ps(8388608.0f), m = v_abs(a);
    vf r = v_copysign(_mm_sub_ps(_mm_add_ps(m, magic), magic), a);
    return v_sel(_mm_cmplt_ps(m, magic), r, a);
}
static inline vf v_floor(vf a)
{
    vf r = v_round(a);
    return v_copysign(_mm_sub_ps(r, _mm_and_ps(_mm_cmplt_ps(a, r), _mm_set1_ps(1.0f))), a);
}
static inline vf v_ceil(vf a)
{
    vf r = v_round(a);
    return v_copysign(_mm_add_ps(r, _mm_and_ps(_mm_cmplt_ps(r, a), _mm_set1_ps(1.0f))), a);
}
static inline float v_sum(vf a)
{
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps(a, a, 1)));
}
static inline float v_hmax(vf a)
{
    a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps(a, a, 1)));
}
static inline float v_hmin(vf a)
{
    a = _mm_min_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_min_ss(a, _mm_shuffle_ps(a, a, 1)));
}
static inline bool v_any(vm m) { return _mm_movemask_ps(m) != 0; }
static inline vm v_or(vm a, vm b) { return _mm_or_ps(a, b); }
static inline vm v_none(void) { return _mm_setzero_ps(); }

static inline void widen_bytes(__m128i x, vf *v)
{
    const __m128i zero = _mm_setzero_si128(), low = _mm_unpacklo_epi8(x, zero), high = _mm_unpackhi_epi8(x, zero);
    v[0] = _mm_cvtepi32_ps(_mm_unpacklo_epi16(low, zero));
    v[1] = _mm_cvtepi32_ps(_mm_unpackhi_epi16(low, zero));
    v[2] = _mm_cvtepi32_ps(_mm_unpacklo_epi16(high, zero));
    v[3] = _mm_cvtepi32_ps(_mm_unpackhi_epi16(high, zero));
}
static inline void v_from_u8(const uint8_t *p, vf *v) { widen_bytes(load_bytes(p), v); }
static inline void v_from_u4(const uint8_t *p, vf *v) { widen_bytes(load_nibbles(p), v); }

static inline vi vi_set1(int32_t a) { return _mm_set1_epi32(a); }
static inline vi vi_add(vi a, vi b) { return _mm_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm_and_si128(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm_or_si128(a, b); }
#define vi_shl(a, n) _mm_slli_epi32((a), (n))
#define vi_sra(a, n) _mm_srai_epi32((a), (n))
static inline vi v_bits(vf a) { return _mm_castps_si128(a); }
static inline vf vi_bits(vi a) { return _mm_castsi128_ps(a); }
static inline vi v_to_int(vf a) { return _mm_cvtps_epi32(a); }
static inline vf vi_to_float(vi a) { return _mm_cvtepi32_ps(a); }

static inline void v_transpose(vf r[4]) { _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]); }
