/* unary.c - elementwise functions of one operand; they also serve as activations. */
#include "kernels/isa/vmath.h"

typedef vf vec_fn(vf x, vf p0, vf p1);

static inline vf f_relu(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_max(v_zero(), x); }
static inline vf f_clip(vf x, vf p0, vf p1) { return v_min(p1, v_max(p0, x)); }
static inline vf f_leaky(vf x, vf p0, vf p1) { return (void)p1, v_sel(v_lt(x, v_zero()), v_mul(p0, x), x); }
static inline vf f_thresholded(vf x, vf p0, vf p1) { return (void)p1, v_sel(v_lt(p0, x), x, v_zero()); }
static inline vf f_hard_sigmoid(vf x, vf p0, vf p1)
{
    return v_max(v_zero(), v_min(v_set1(1.0f), v_fma(p0, x, p1)));
}
static inline vf f_hard_swish(vf x, vf p0, vf p1)
{
    (void)p0, (void)p1;
    return v_mul(x, f_hard_sigmoid(x, v_set1(1.0f / 6.0f), v_set1(0.5f)));
}
static inline vf f_sigmoid(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_sigmoid(x); }
static inline vf f_swish(vf x, vf p0, vf p1)
{
    (void)p1;
    return v_div(x, v_add(v_set1(1.0f), v_exp(v_neg(v_mul(p0, x)))));
}
static inline vf f_tanh(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_tanh(x); }
static inline vf f_gelu_erf(vf x, vf p0, vf p1)
{
    (void)p0, (void)p1;
    return v_mul(v_mul(v_set1(0.5f), x), v_add(v_set1(1.0f), v_erf(v_mul(x, v_set1(0.707106781f)))));
}
/* x/2 (1 + tanh u) = x / (1 + exp(-2u)) */
static inline vf f_gelu_tanh(vf x, vf p0, vf p1)
{
    (void)p0, (void)p1;
    vf u = v_mul(x, v_fma(v_mul(x, x), v_set1(0.044715f), v_set1(1.0f)));
    return v_div(x, v_add(v_set1(1.0f), v_exp(v_mul(u, v_set1(-1.59576912f)))));
}
/* With w = exp(x): tanh(log(1 + w)) = (w^2 + 2w) / (w^2 + 2w + 2). */
static inline vf f_mish(vf x, vf p0, vf p1)
{
    (void)p0, (void)p1;
    vf w = v_exp(v_min(v_set1(20.0f), x));
    vf n = v_mul(w, v_add(w, v_set1(2.0f)));
    return v_mul(x, v_div(n, v_add(n, v_set1(2.0f))));
}
static inline vf f_elu(vf x, vf p0, vf p1)
{
    (void)p1;
    return v_sel(v_lt(x, v_zero()), v_mul(p0, v_expm1(x)), x);
}
static inline vf f_selu(vf x, vf p0, vf p1) { return v_mul(p1, f_elu(x, p0, p1)); }
static inline vf f_celu(vf x, vf p0, vf p1)
{
    (void)p1;
    vf e = v_mul(p0, v_expm1(v_div(x, p0)));
    return v_add(v_max(v_zero(), x), v_min(v_zero(), e));
}
static inline vf f_softplus(vf x, vf p0, vf p1)
{
    (void)p0, (void)p1;
    return v_add(v_max(v_zero(), x), v_log1p_unit(v_exp(v_neg(v_abs(x)))));
}
static inline vf f_softsign(vf x, vf p0, vf p1)
{
    (void)p0, (void)p1;
    return v_div(x, v_add(v_set1(1.0f), v_abs(x)));
}
static inline vf f_exp(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_exp(x); }
static inline vf f_log(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_log(x); }
static inline vf f_erf(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_erf(x); }
static inline vf f_sqrt(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_sqrt(x); }
static inline vf f_rsqrt(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_div(v_set1(1.0f), v_sqrt(x)); }
static inline vf f_reciprocal(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_div(v_set1(1.0f), x); }
static inline vf f_abs(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_abs(x); }
static inline vf f_neg(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_neg(x); }
static inline vf f_floor(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_floor(x); }
static inline vf f_ceil(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_ceil(x); }
static inline vf f_round(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_round(x); }
static inline vf f_sign(vf x, vf p0, vf p1)
{
    (void)p0, (void)p1;
    vf y = v_sel(v_lt(x, v_zero()), v_set1(-1.0f), v_add(x, v_zero()));
    return v_sel(v_lt(v_zero(), x), v_set1(1.0f), y);
}
static inline vf f_square(vf x, vf p0, vf p1) { return (void)p0, (void)p1, v_mul(x, x); }
static inline vf f_affine(vf x, vf p0, vf p1) { return v_add(v_mul(p0, x), p1); }
/* x / p0 clamped, rounded by a sum that has no room for fractions (the clamped value is small), and scaled back. */
static inline vf quantise(vf x, vf scale, vf zero, float least, float most)
{
    const vf low = v_sub(v_set1(least), zero), high = v_sub(v_set1(most), zero), whole = v_set1(12582912.0f);
    vf v = v_div(x, scale);
    v = v_sel(v_lt(low, v), v, low);
    v = v_sel(v_lt(v, high), v, high);
    return v_mul(v_sub(v_add(v, whole), whole), scale);
}
static inline vf f_quantise_u8(vf x, vf p0, vf p1) { return quantise(x, p0, p1, 0.0f, 255.0f); }
static inline vf f_quantise_s8(vf x, vf p0, vf p1) { return quantise(x, p0, p1, -128.0f, 127.0f); }

/* f is a constant at every call, so that each call becomes a loop of its own. */
static inline __attribute__((always_inline)) void map(vec_fn *f, size_t n, const float *x, float *y, float p0,
                                                      float p1)
{
    const vf a = v_set1(p0), b = v_set1(p1);
    size_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vf u = f(v_load(x + i), a, b), v = f(v_load(x + i + VL), a, b);
        v_store(y + i, u);
        v_store(y + i + VL, v);
    }
    for (; i + VL <= n; i += VL)
        v_store(y + i, f(v_load(x + i), a, b));
    if (i < n)
        v_storen(y + i, f(v_loadn(x + i, n - i), a, b), n - i);
}

static void map_none(size_t n, const float *x, float *y, float p0, float p1)
{
    (void)p0, (void)p1;
    if (n && x != y)
        memmove(y, x, n * sizeof *y);
}
static void map_relu(size_t n, const float *x, float *y, float p0, float p1) { map(f_relu, n, x, y, p0, p1); }
static void map_clip(size_t n, const float *x, float *y, float p0, float p1) { map(f_clip, n, x, y, p0, p1); }
static void map_leaky(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_leaky, n, x, y, p0, p1);
}
static void map_thresholded(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_thresholded, n, x, y, p0, p1);
}
static void map_hard_sigmoid(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_hard_sigmoid, n, x, y, p0, p1);
}
static void map_hard_swish(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_hard_swish, n, x, y, p0, p1);
}
static void map_sigmoid(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_sigmoid, n, x, y, p0, p1);
}
static void map_swish(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_swish, n, x, y, p0, p1);
}
static void map_tanh(size_t n, const float *x, float *y, float p0, float p1) { map(f_tanh, n, x, y, p0, p1); }
static void map_gelu_erf(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_gelu_erf, n, x, y, p0, p1);
}
static void map_gelu_tanh(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_gelu_tanh, n, x, y, p0, p1);
}
static void map_mish(size_t n, const float *x, float *y, float p0, float p1) { map(f_mish, n, x, y, p0, p1); }
static void map_elu(size_t n, const float *x, float *y, float p0, float p1) { map(f_elu, n, x, y, p0, p1); }
static void map_selu(size_t n, const float *x, float *y, float p0, float p1) { map(f_selu, n, x, y, p0, p1); }
static void map_celu(size_t n, const float *x, float *y, float p0, float p1) { map(f_celu, n, x, y, p0, p1); }
static void map_softplus(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_softplus, n, x, y, p0, p1);
}
static void map_softsign(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_softsign, n, x, y, p0, p1);
}
static void map_exp(size_t n, const float *x, float *y, float p0, float p1) { map(f_exp, n, x, y, p0, p1); }
static void map_log(size_t n, const float *x, float *y, float p0, float p1) { map(f_log, n, x, y, p0, p1); }
static void map_erf(size_t n, const float *x, float *y, float p0, float p1) { map(f_erf, n, x, y, p0, p1); }
static void map_sqrt(size_t n, const float *x, float *y, float p0, float p1) { map(f_sqrt, n, x, y, p0, p1); }
static void map_rsqrt(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_rsqrt, n, x, y, p0, p1);
}
static void map_reciprocal(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_reciprocal, n, x, y, p0, p1);
}
static void map_abs(size_t n, const float *x, float *y, float p0, float p1) { map(f_abs, n, x, y, p0, p1); }
static void map_neg(size_t n, const float *x, float *y, float p0, float p1) { map(f_neg, n, x, y, p0, p1); }
static void map_floor(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_floor, n, x, y, p0, p1);
}
static void map_ceil(size_t n, const float *x, float *y, float p0, float p1) { map(f_ceil, n, x, y, p0, p1); }
static void map_round(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_round, n, x, y, p0, p1);
}
static void map_sign(size_t n, const float *x, float *y, float p0, float p1) { map(f_sign, n, x, y, p0, p1); }
static void map_square(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_square, n, x, y, p0, p1);
}
static void map_affine(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_affine, n, x, y, p0, p1);
}
static void map_sin(size_t n, const float *x, float *y, float p0, float p1)
{
    (void)p0, (void)p1;
    for (size_t i = 0; i < n; i++)
        y[i] = sinf(x[i]);
}
static void map_cos(size_t n, const float *x, float *y, float p0, float p1)
{
    (void)p0, (void)p1;
    for (size_t i = 0; i < n; i++)
        y[i] = cosf(x[i]);
}
static void map_quantise_u8(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_quantise_u8, n, x, y, p0, p1);
}
static void map_quantise_s8(size_t n, const float *x, float *y, float p0, float p1)
{
    map(f_quantise_s8, n, x, y, p0, p1);
}

oi_unary_fn *const OI_KNAME(unary)[OI_UNARY_COUNT] = {
    [OI_UNARY_QUANTISE_U8] = map_quantise_u8,
    [OI_UNARY_QUANTISE_S8] = map_quantise_s8,
    [OI_UNARY_NONE] = map_none,
    [OI_UNARY_RELU] = map_relu,
    [OI_UNARY_CLIP] = map_clip,
    [OI_UNARY_LEAKY_RELU] = map_leaky,
    [OI_UNARY_THRESHOLDED_RELU] = map_thresholded,
    [OI_UNARY_HARD_SIGMOID] = map_hard_sigmoid,
    [OI_UNARY_HARD_SWISH] = map_hard_swish,
    [OI_UNARY_SIGMOID] = map_sigmoid,
    [OI_UNARY_SWISH] = map_swish,
    [OI_UNARY_TANH] = map_tanh,
    [OI_UNARY_GELU_ERF] = map_gelu_erf,
    [OI_UNARY_GELU_TANH] = map_gelu_tanh,
    [OI_UNARY_MISH] = map_mish,
    [OI_UNARY_ELU] = map_elu,
    [OI_UNARY_SELU] = map_selu,
    [OI_UNARY_CELU] = map_celu,
    [OI_UNARY_SOFTPLUS] = map_softplus,
    [OI_UNARY_SOFTSIGN] = map_softsign,
    [OI_UNARY_EXP] = map_exp,
    [OI_UNARY_LOG] = map_log,
    [OI_UNARY_ERF] = map_erf,
    [OI_UNARY_SQRT] = map_sqrt,
    [OI_UNARY_RSQRT] = map_rsqrt,
    [OI_UNARY_RECIPROCAL] = map_reciprocal,
    [OI_UNARY_ABS] = map_abs,
    [OI_UNARY_NEG] = map_neg,
    [OI_UNARY_FLOOR] = map_floor,
    [OI_UNARY_CEIL] = map_ceil,
    [OI_UNARY_ROUND] = map_round,
    [OI_UNARY_SIGN] = map_sign,
    [OI_UNARY_SQUARE] = map_square,
    [OI_UNARY_AFFINE] = map_affine,
    [OI_UNARY_SIN] = map_sin,
    [OI_UNARY_COS] = map_cos,
};
