/* simd_neon.h - the vector vocabulary of the kernels on 64-bit ARM. simd.h says what each word means. */
#include <arm_neon.h>

enum { VL = 4 };
typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm;

static inline vf v_load(const oi_loose_float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vf a) { vst1q_f32(p, a); }
static inline vf v_loadn(const oi_loose_float *p, size_t n)
{
    if (n >= 4)
        return vld1q_f32(p);
    vf a = vld1q_lane_f32(p, vdupq_n_f32(0.0f), 0);
    if (n > 1)
        a = vld1q_lane_f32(p + 1, a, 1);
    return n > 2 ? vld1q_lane_f32(p + 2, a, 2) : a;
}
static inline void v_storen(float *p, vf a, size_t n)
{
    if (n >= 4) {
        vst1q_f32(p, a);
        return;
    }
    vst1q_lane_f32(p, a, 0);
    if (n > 1)
        vst1q_lane_f32(p + 1, a, 1);
    if (n > 2)
        vst1q_lane_f32(p + 2, a, 2);
}
static inline void widen_bytes(uint8x16_t x, vf *v)
{
    const uint16x8_t low = vmovl_u8(vget_low_u8(x)), high = vmovl_u8(vget_high_u8(x));
    v[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
    v[1] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(low)));
    v[2] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
    v[3] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(high)));
}
static inline void v_from_u8(const uint8_t *p, vf *v) { widen_bytes(vld1q_u8(p), v); }
static inline void v_from_u4(const uint8_t *p, vf *v)
{
    const uint8x8_t x = vld1_u8(p);
    const uint8x8x2_t z = vzip_u8(vand_u8(x, vdup_n_u8(15)), vshr_n_u8(x, 4));
    widen_bytes(vcombine_u8(z.val[0], z.val[1]), v);
}
static inline vf v_set1(float a) { return vdupq_n_f32(a); }
static inline vf v_zero(void) { return vdupq_n_f32(0.0f); }
static inline vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf v_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
static inline vf v_max(vf a, vf b) { return vmaxq_f32(a, b); }
static inline vf v_min(vf a, vf b) { return vminq_f32(a, b); }
static inline vf v_sqrt(vf a) { return vsqrtq_f32(a); }
static inline vf v_abs(vf a) { return vabsq_f32(a); }
static inline vf v_neg(vf a) { return vnegq_f32(a); }
static inline vf v_copysign(vf a, vf s) { return vbslq_f32(vdupq_n_u32(0x80000000u), s, a); }
static inline vf v_floor(vf a) { return vrndmq_f32(a); }
static inline vf v_ceil(vf a) { return vrndpq_f32(a); }
static inline vf v_round(vf a) { return vrndnq_f32(a); }
static inline vm v_lt(vf a, vf b) { return vcltq_f32(a, b); }
static inline vm v_eq(vf a, vf b) { return vceqq_f32(a, b); }
static inline vm v_isnan(vf a) { return vmvnq_u32(vceqq_f32(a, a)); }
static inline vf v_sel(vm m, vf t, vf f) { return vbslq_f32(m, t, f); }
static inline float v_sum(vf a) { return vaddvq_f32(a); }
static inline float v_hmax(vf a) { return vmaxvq_f32(a); }
static inline float v_hmin(vf a) { return vminvq_f32(a); }
static inline bool v_any(vm m) { return vmaxvq_u32(m) != 0; }
static inline vm v_or(vm a, vm b) { return vorrq_u32(a, b); }
static inline vm v_none(void) { return vdupq_n_u32(0); }

static inline vi vi_set1(int32_t a) { return vdupq_n_s32(a); }
static inline vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
static inline vi vi_sub(vi a, vi b) { return vsubq_s32(a, b); }
static inline vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
static inline vi vi_or(vi a, vi b) { return vorrq_s32(a, b); }
#define vi_shl(a, n) vshlq_n_s32((a), (n))
#define vi_sra(a, n) vshrq_n_s32((a), (n))
static inline vi v_bits(vf a) { return vreinterpretq_s32_f32(a); }
static inline vf vi_bits(vi a) { return vreinterpretq_f32_s32(a); }
static inline vi v_to_int(vf a) { return vcvtnq_s32_f32(a); }
static inline vf vi_to_float(vi a) { return vcvtq_f32_s32(a); }

static inline void v_transpose(vf r[4])
{
    float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}
