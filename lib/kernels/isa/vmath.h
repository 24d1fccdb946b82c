/* vmath.h - elementary functions on vectors. Polynomials are near-minimax fits made for this file,
 * evaluated in halves: the chain of dependent operations is what limits the speed. */
#ifndef OI_KERNELS_ISA_VMATH_H
#define OI_KERNELS_ISA_VMATH_H

#include "kernels/isa/isa.h"

/* 2^n for integer-valued n in -126..127. */
static inline vf v_pow2(vi n) { return vi_bits(vi_shl(vi_add(n, vi_set1(127)), 23)); }

/* x = n ln2 + r with |r| <= ln2/2; returns exp(r) - 1. n stays a float. */
static inline vf v_exp_reduce(vf x, vf *n)
{
    *n = v_round(v_mul(x, v_set1(1.44269504f)));
    vf r = v_fnma(*n, v_set1(0.693359375f), x);
    r = v_fnma(*n, v_set1(-2.12194440e-4f), r);
    vf r2 = v_mul(r, r);
    vf low = v_fma(v_set1(1.666652113e-01f), r, v_set1(4.999999404e-01f));
    vf high = v_fma(v_set1(8.368714713e-03f), r, v_set1(4.166838899e-02f));
    high = v_fma(v_set1(1.381455921e-03f), r2, high);
    return v_fma(r2, v_fma(high, r2, low), r);
}

#ifndef OI_SIMD_SCALEF
/* The factor is applied in two steps, so that results reach infinity and the subnormals. */
static inline vf v_scalef(vf a, vf n)
{
    vi i = v_to_int(n), half = vi_sra(i, 1);
    return v_mul(v_mul(a, v_pow2(half)), v_pow2(vi_sub(i, half)));
}
#endif

static inline vf v_exp(vf x)
{
    vf n;
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    vf p = v_add(v_exp_reduce(x, &n), v_set1(1.0f));
    return v_scalef(p, n);
}

/* For x from -87 to 88. */
static inline vf v_expm1_near(vf x)
{
    vf n;
    vf p = v_exp_reduce(x, &n);
    vf s = v_pow2(v_to_int(n));
    return v_fma(s, p, v_sub(s, v_set1(1.0f)));
}

/* For x <= 88. */
static inline vf v_expm1(vf x) { return v_expm1_near(v_min(v_set1(88.0f), v_max(v_set1(-40.0f), x))); }

/* log of a positive normal number, infinity or NaN. */
static inline vf v_log_normal(vf x, vf exponent_bias)
{
    vi bits = v_bits(x);
    /* The mantissa is taken around 1: from sqrt(1/2) to sqrt(2). */
    vi e = vi_sra(vi_sub(bits, vi_set1(0x3f3504f3)), 23);
    vf f = v_sub(vi_bits(vi_sub(bits, vi_shl(e, 23))), v_set1(1.0f));
    vf ef = v_add(vi_to_float(e), exponent_bias);
    vf f2 = v_mul(f, f), f4 = v_mul(f2, f2);
    vf a = v_fma(v_set1(-2.500082254e-01f), f, v_set1(3.333333135e-01f));
    vf b = v_fma(v_set1(-1.662333608e-01f), f, v_set1(2.000122219e-01f));
    vf c = v_fma(v_set1(-1.316048950e-01f), f, v_set1(1.420186907e-01f));
    vf d = v_fma(v_set1(-7.632861286e-02f), f, v_set1(1.276091486e-01f));
    vf p = v_fma(v_fma(d, f2, c), f4, v_fma(b, f2, a));
    vf y = v_mul(v_mul(f2, f), p);
    y = v_fma(ef, v_set1(-2.12194440e-4f), y);
    y = v_fnma(f2, v_set1(0.5f), y);
    return v_fma(ef, v_set1(0.693359375f), v_add(f, y));
}

static inline vf v_log(vf x)
{
    const vf inf = v_set1((float)INFINITY), tiny = v_set1(1.17549435e-38f);
    vm small = v_lt(x, tiny);
    vf y =
        v_log_normal(v_sel(small, v_mul(x, v_set1(8388608.0f)), x), v_sel(small, v_set1(-23.0f), v_zero()));
    y = v_sel(v_lt(x, inf), y, x); /* infinity and NaN */
    y = v_sel(v_eq(x, v_zero()), v_neg(inf), y);
    return v_sel(v_lt(x, v_zero()), v_set1((float)NAN), y);
}

/* log(1 + t) for t in 0..1. */
static inline vf v_log1p_unit(vf t)
{
    vf one = v_set1(1.0f), u = v_add(one, t);
    return v_add(v_log_normal(u, v_zero()), v_sub(t, v_sub(u, one)));
}

static inline vf v_sigmoid(vf x) { return v_div(v_set1(1.0f), v_add(v_set1(1.0f), v_exp(v_neg(x)))); }

static inline vf v_tanh(vf x)
{
    vf e = v_expm1_near(v_min(v_set1(20.0f), v_mul(v_set1(2.0f), v_abs(x))));
    return v_copysign(v_div(e, v_add(e, v_set1(2.0f))), x);
}

/* 1 - exp(-p) with p a polynomial that is x (1.128... + ...) near 0, up to 4, where erf becomes 1. */
static inline vf v_erf(vf x)
{
    vf a = v_min(v_set1(4.0f), v_abs(x));
    vf a2 = v_mul(a, a), a4 = v_mul(a2, a2);
    vf c0 = v_fma(v_set1(-6.366193891e-01f), a, v_set1(-1.283791671e-01f));
    vf c2 = v_fma(v_set1(1.915302128e-02f), a, v_set1(-1.027778238e-01f));
    vf c4 = v_fma(v_set1(-1.667122240e-03f), a, v_set1(1.604835852e-04f));
    vf c6 = v_fma(v_set1(-1.176578080e-04f), a, v_set1(6.328923628e-04f));
    vf high = v_fma(v_set1(9.258221326e-06f), a4, v_fma(c6, a2, c4));
    vf p = v_fma(high, a4, v_fma(c2, a2, c0));
    p = v_sub(v_mul(p, a), a);
    return v_copysign(v_expm1_near(p), x);
}

#endif
