/* simd_generic.h - the vector vocabulary of the kernels in the compiler's portable vectors. simd.h says what
 * each word means. */
#include <math.h>
#include <string.h>

enum { VL = 4 };
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
typedef vi vm;

static inline vf v_load(const oi_loose_float *p)
{
    vf a;
    memcpy(&a, p, sizeof a);
    return a;
}
static inline void v_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
static inline vf v_loadn(const oi_loose_float *p, size_t n)
{
    vf a = {0};
    for (size_t i = 0; i < n && i < 4; i++)
        a[i] = p[i];
    return a;
}
static inline void v_storen(float *p, vf a, size_t n)
{
    for (size_t i = 0; i < n && i < 4; i++)
        p[i] = a[i];
}
static inline void v_from_u8(const uint8_t *p, vf *v)
{
    for (int i = 0; i < 16; i++)
        v[i / 4][i % 4] = (float)p[i];
}
static inline void v_from_u4(const uint8_t *p, vf *v)
{
    for (int i = 0; i < 16; i++)
        v[i / 4][i % 4] = (float)(p[i / 2] >> 4 * (i % 2) & 15);
}
static inline vf v_set1(float a) { return (vf){a, a, a, a}; }
static inline vf v_zero(void) { return (vf){0}; }
static inline vf v_add(vf a, vf b) { return a + b; }
static inline vf v_sub(vf a, vf b) { return a - b; }
static inline vf v_mul(vf a, vf b) { return a * b; }
static inline vf v_div(vf a, vf b) { return a / b; }
static inline vf v_fma(vf a, vf b, vf c)
{
    vf p = a * b;
    return p + c;
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    vf p = a * b;
    return c - p;
}
static inline vi v_bits(vf a) { return (vi)a; }
static inline vf vi_bits(vi a) { return (vf)a; }
static inline vf v_sel(vm m, vf t, vf f) { return (vf)((m & (vi)t) | (~m & (vi)f)); }
static inline vf v_max(vf a, vf b) { return v_sel(a > b, a, b); }
static inline vf v_min(vf a, vf b) { return v_sel(a < b, a, b); }
static inline vi vi_set1(int32_t a) { return (vi){a, a, a, a}; }
static inline vf v_abs(vf a) { return (vf)((vi)a & vi_set1(INT32_MAX)); }
static inline vf v_neg(vf a) { return (vf)((vi)a ^ vi_set1(INT32_MIN)); }
static inline vf v_copysign(vf a, vf s)
{
    return (vf)(((vi)a & vi_set1(INT32_MAX)) | ((vi)s & vi_set1(INT32_MIN)));
}
static inline vf v_sqrt(vf a) { return (vf){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])}; }
static inline vf v_floor(vf a) { return (vf){floorf(a[0]), floorf(a[1]), floorf(a[2]), floorf(a[3])}; }
static inline vf v_ceil(vf a) { return (vf){ceilf(a[0]), ceilf(a[1]), ceilf(a[2]), ceilf(a[3])}; }
/* Adding and taking away 2^23 rounds to an integer; larger values are integers already. */
static inline vf v_round(vf a)
{
    vf magic = v_set1(8388608.0f), m = v_abs(a);
    vf r = m + magic;
    return v_sel(m < magic, v_copysign(r - magic, a), a);
}
static inline vm v_lt(vf a, vf b) { return a < b; }
static inline vm v_eq(vf a, vf b) { return a == b; }
static inline vm v_isnan(vf a) { return a != a; }
static inline float v_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
static inline float v_hmax(vf a)
{
    float x = a[0] > a[2] ? a[0] : a[2], y = a[1] > a[3] ? a[1] : a[3];
    return x > y ? x : y;
}
static inline float v_hmin(vf a)
{
    float x = a[0] < a[2] ? a[0] : a[2], y = a[1] < a[3] ? a[1] : a[3];
    return x < y ? x : y;
}
static inline bool v_any(vm m) { return (m[0] | m[1] | m[2] | m[3]) != 0; }
static inline vm v_or(vm a, vm b) { return a | b; }
static inline vm v_none(void) { return (vm){0}; }

static inline vi vi_add(vi a, vi b) { return (vi)((vu)a + (vu)b); }
static inline vi vi_sub(vi a, vi b) { return (vi)((vu)a - (vu)b); }
static inline vi vi_and(vi a, vi b) { return a & b; }
static inline vi vi_or(vi a, vi b) { return a | b; }
#define vi_shl(a, n) ((vi)((vu)(a) << (n)))
#define vi_sra(a, n) ((a) >> (n))
/* Only for values that fit; anything else gives an unspecified integer, as the vector units do. */
static inline int32_t to_int(float a) { return a > -2e9f && a < 2e9f ? (int32_t)a : INT32_MIN; }
static inline vi v_to_int(vf a)
{
    vf r = v_round(a);
    return (vi){to_int(r[0]), to_int(r[1]), to_int(r[2]), to_int(r[3])};
}
static inline vf vi_to_float(vi a) { return (vf){(float)a[0], (float)a[1], (float)a[2], (float)a[3]}; }

static inline void v_transpose(vf r[4])
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) {
            float t = r[i][j];
            r[i][j] = r[j][i];
            r[j][i] = t;
        }
}
