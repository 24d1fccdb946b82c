/* vmath.h - elementary functions on vectors. Polynomials are near-minimax fits made for this file. */
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
    vf p = v_set1(1.381455921e-03f);
    p = v_fma(p, r, v_set1(8.368714713e-03f));
    p = v_fma(p, r, v_set1(4.166838899e-02f));
    p = v_fma(p, r, v_set1(1.666652113e-01f));
    p = v_fma(p, r, v_set1(4.999999404e-01f));
    return v_fma(v_mul(r, r), p, r);
}

/* The factor 2^n is applied in two steps, so that results reach infinity and the subnormals. */
static inline vf v_exp(vf x)
{
    vf n;
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    vf p = v_add(v_exp_reduce(x, &n), v_set1(1.0f));
    vi i = v_to_int(n), half = vi_sra(i, 1);
    return v_mul(v_mul(p, v_pow2(half)), v_pow2(vi_sub(i, half)));
}

/* For x <= 88. */
static inline vf v_expm1(vf x)
{
    vf n;
    x = v_min(v_set1(88.0f), v_max(v_set1(-40.0f), x));
    vf p = v_exp_reduce(x, &n);
    vf s = v_pow2(v_to_int(n));
    return v_fma(s, p, v_sub(s, v_set1(1.0f)));
}

/* log of a positive normal number, infinity or NaN. */
static inline vf v_log_normal(vf x, vf exponent_bias)
{
    vi bits = v_bits(x);
    /* The mantissa is taken around 1: from sqrt(1/2) to sqrt(2). */
    vi e = vi_sra(vi_sub(bits, vi_set1(0x3f3504f3)), 23);
    vf f = v_sub(vi_bits(vi_sub(bits, vi_shl(e, 23))), v_set1(1.0f));
    vf ef = v_add(vi_to_float(e), exponent_bias);
    vf p = v_set1(-7.632861286e-02f);
    p = v_fma(p, f, v_set1(1.276091486e-01f));
    p = v_fma(p, f, v_set1(-1.316048950e-01f));
    p = v_fma(p, f, v_set1(1.420186907e-01f));
    p = v_fma(p, f, v_set1(-1.662333608e-01f));
    p = v_fma(p, f, v_set1(2.000122219e-01f));
    p = v_fma(p, f, v_set1(-2.500082254e-01f));
    p = v_fma(p, f, v_set1(3.333333135e-01f));
    vf f2 = v_mul(f, f);
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
    vf e = v_expm1(v_min(v_set1(20.0f), v_mul(v_set1(2.0f), v_abs(x))));
    return v_copysign(v_div(e, v_add(e, v_set1(2.0f))), x);
}

static inline vf v_erf(vf x)
{
    const vf one = v_set1(1.0f);
    vf a = v_abs(x), y = v_mul(x, x);
    vf s = v_set1(7.853776333e-05f);
    s = v_fma(s, y, v_set1(-8.010168094e-04f));
    s = v_fma(s, y, v_set1(5.188324954e-03f));
    s = v_fma(s, y, v_set1(-2.685381100e-02f));
    s = v_fma(s, y, v_set1(1.128358543e-01f));
    s = v_fma(s, y, v_set1(-3.761262596e-01f));
    s = v_fma(s, y, v_set1(1.283791661e-01f));
    s = v_fma(s, x, x);
    /* erfc(a) = exp(polynomial) from 1 to 4, where erf becomes 1. */
    vf b = v_min(v_set1(4.0f), a);
    vf p = v_set1(1.864000224e-04f);
    p = v_fma(p, b, v_set1(-2.947856439e-03f));
    p = v_fma(p, b, v_set1(2.183883265e-02f));
    p = v_fma(p, b, v_set1(-1.031083092e-01f));
    p = v_fma(p, b, v_set1(-6.381430626e-01f));
    p = v_fma(p, b, v_set1(-1.127090216e+00f));
    p = v_fma(p, b, v_set1(-3.412791411e-04f));
    /* expm1 keeps the sum exact where erfc is small. */
    vf l = v_copysign(v_neg(v_expm1(p)), x);
    return v_sel(v_lt(a, one), s, l);
}

#endif
