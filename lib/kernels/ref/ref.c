/* ref.c - plain loops in double precision, written to be read, not to be fast. */
#include "kernels/ref/ref.h"

#include <math.h>

static const double ulp = 1.2e-7;

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double clip(double x, double lo, double hi) { return isnan(x) ? x : x < lo ? lo : x > hi ? hi : x; }
/* The quotient is rounded to float before it is rounded to an integer. */
static double quantise(double x, double scale, double zero, double lo, double hi)
{
    double v = (float)((float)x / (float)scale);
    v = isnan(v) || v < lo - zero ? lo - zero : v > hi - zero ? hi - zero : v;
    return nearbyint(v) * scale;
}

double oi_ref_unary(oi_unary op, double x, double p0, double p1)
{
    switch (op) {
    case OI_UNARY_NONE: return x;
    case OI_UNARY_RELU: return clip(x, 0, INFINITY);
    case OI_UNARY_CLIP: return clip(x, p0, p1);
    case OI_UNARY_LEAKY_RELU: return x < 0 ? p0 * x : x;
    case OI_UNARY_THRESHOLDED_RELU: return x > p0 ? x : 0;
    case OI_UNARY_HARD_SIGMOID: return clip(p0 * x + p1, 0, 1);
    case OI_UNARY_HARD_SWISH: return x * clip(x / 6 + 0.5, 0, 1);
    case OI_UNARY_SIGMOID: return sigmoid(x);
    case OI_UNARY_SWISH: return x / (1.0 + exp(-p0 * x));
    case OI_UNARY_TANH: return tanh(x);
    case OI_UNARY_GELU_ERF: return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case OI_UNARY_GELU_TANH:
        return x / (1 + exp(-2 * sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case OI_UNARY_MISH: return x * tanh(softplus(x));
    case OI_UNARY_ELU: return x < 0 ? p0 * expm1(x) : x;
    case OI_UNARY_SELU: return p1 * (x < 0 ? p0 * expm1(x) : x);
    case OI_UNARY_CELU: return isnan(x) ? x : fmax(0, x) + fmin(0, p0 * expm1(x / p0));
    case OI_UNARY_SOFTPLUS: return softplus(x);
    case OI_UNARY_SOFTSIGN: return x / (1 + fabs(x));
    case OI_UNARY_EXP: return exp(x);
    case OI_UNARY_LOG: return log(x);
    case OI_UNARY_ERF: return erf(x);
    case OI_UNARY_SQRT: return sqrt(x);
    case OI_UNARY_RSQRT: return 1 / sqrt(x);
    case OI_UNARY_RECIPROCAL: return 1 / x;
    case OI_UNARY_ABS: return fabs(x);
    case OI_UNARY_NEG: return -x;
    case OI_UNARY_FLOOR: return floor(x);
    case OI_UNARY_CEIL: return ceil(x);
    case OI_UNARY_ROUND: return nearbyint(x);
    case OI_UNARY_SIGN: return isnan(x) ? x : (x > 0) - (x < 0);
    case OI_UNARY_SQUARE: return x * x;
    case OI_UNARY_AFFINE: return (double)(float)(p0 * x) + p1;
    case OI_UNARY_SIN: return sin(x);
    case OI_UNARY_COS: return cos(x);
    case OI_UNARY_QUANTISE_U8: return quantise(x, p0, p1, 0, 255);
    case OI_UNARY_QUANTISE_S8: return quantise(x, p0, p1, -128, 127);
    case OI_UNARY_COUNT: break;
    }
    return NAN;
}

float oi_ref_binary(oi_binary op, float a, float b)
{
    switch (op) {
    case OI_BINARY_ADD: return a + b;
    case OI_BINARY_SUB: return a - b;
    case OI_BINARY_MUL: return a * b;
    case OI_BINARY_DIV: return a / b;
    case OI_BINARY_MIN: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    case OI_BINARY_MAX: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case OI_BINARY_POW: return powf(a, b);
    case OI_BINARY_PRELU: return a < 0 ? a * b : a;
    case OI_BINARY_COUNT: break;
    }
    return NAN;
}

double oi_ref_reduce(oi_reduce op, size_t n, const float *x, size_t stride)
{
    double r = op == OI_REDUCE_MAX    ? -INFINITY
               : op == OI_REDUCE_MIN  ? INFINITY
               : op == OI_REDUCE_PROD ? 1
                                      : 0;
    for (size_t i = 0; i < n; i++) {
        const double v = x[i * stride];
        switch (op) {
        case OI_REDUCE_SUM: r += v; break;
        case OI_REDUCE_SUM_SQUARE: r += v * v; break;
        case OI_REDUCE_SUM_ABS: r += fabs(v); break;
        case OI_REDUCE_MAX: r = isnan(r) || v < r ? r : v; break;
        case OI_REDUCE_MIN: r = isnan(r) || v > r ? r : v; break;
        case OI_REDUCE_PROD: r *= v; break;
        case OI_REDUCE_COUNT: break;
        }
    }
    return r;
}

/* Adds the epilogue to `value`, whose magnitudes add up to `size`; the error bound goes to *bound. */
static double finish(const oi_epilogue *e, double value, double size, size_t terms, double bias,
                     double residual, double *bound)
{
    double v = value + bias;
    size += fabs(bias);
    if (e->residual && !e->residual_after) {
        v += (double)e->beta * residual;
        size += fabs((double)e->beta * residual);
    }
    double slope = 1.1;
    if (e->act == OI_UNARY_LEAKY_RELU || e->act == OI_UNARY_ELU || e->act == OI_UNARY_HARD_SIGMOID)
        slope += fabs(e->p0);
    v = oi_ref_unary(e->act, v, e->p0, e->p1);
    if (e->residual && e->residual_after)
        v += (double)e->beta * residual;
    *bound = ulp * (slope * size * (2 + 0.5 * sqrt((double)terms)) + 8 * fabs(v) + (e->act > OI_UNARY_CLIP)) +
             1e-37;
    return v;
}

void oi_ref_gemm(const oi_gemm_shape *s, const oi_gemm_args *g, double *c, double *bound)
{
    for (size_t i = 0; i < s->m; i++)
        for (size_t j = 0; j < s->n; j++) {
            double sum = 0, size = 0;
            for (size_t k = 0; k < s->k; k++) {
                const double p = (double)(s->trans_a ? g->a[k * g->lda + i] : g->a[i * g->lda + k]) *
                                 (s->trans_b ? g->b[j * g->ldb + k] : g->b[k * g->ldb + j]);
                sum += p;
                size += fabs(p);
            }
            const oi_epilogue *e = &g->epilogue;
            const double column = e->bias ? e->bias[j] : 0, row = g->row_bias ? g->row_bias[i] : 0;
            const double bias = column + row;
            size = size * fabs((double)g->alpha) + fabs(column) + fabs(row); /* the two may cancel */
            c[i * s->n + j] = finish(e, sum * (double)g->alpha, size, s->k, bias,
                                     e->residual ? e->residual[i * g->ldr + j] : 0, &bound[i * s->n + j]);
        }
}

void oi_ref_conv(const oi_conv_shape *s, const float *x, const float *w, const oi_epilogue *e, double *y,
                 double *bound)
{
    const size_t icg = s->c / s->groups, ocg = s->oc / s->groups;
    for (size_t i = 0; i < s->n * s->oc * s->oh * s->ow; i++) {
        const ptrdiff_t ox = (ptrdiff_t)(i % s->ow), oy = (ptrdiff_t)(i / s->ow % s->oh);
        const size_t oc = i / s->ow / s->oh % s->oc, n = i / s->ow / s->oh / s->oc, group = oc / ocg;
        double sum = 0, size = 0;
        for (size_t c = 0; c < icg; c++)
            for (size_t ky = 0; ky < s->kh; ky++)
                for (size_t kx = 0; kx < s->kw; kx++) {
                    const size_t ic = group * icg + c;
                    ptrdiff_t iy, ix;
                    double f;
                    if (s->transposed) {
                        iy = oy + (ptrdiff_t)s->pt - (ptrdiff_t)(ky * s->dh);
                        ix = ox + (ptrdiff_t)s->pl - (ptrdiff_t)(kx * s->dw);
                        if (iy % (ptrdiff_t)s->sh || ix % (ptrdiff_t)s->sw)
                            continue;
                        iy /= (ptrdiff_t)s->sh;
                        ix /= (ptrdiff_t)s->sw;
                        f = w[((ic * ocg + oc - group * ocg) * s->kh + ky) * s->kw + kx];
                    } else {
                        iy = oy * (ptrdiff_t)s->sh + (ptrdiff_t)(ky * s->dh) - (ptrdiff_t)s->pt;
                        ix = ox * (ptrdiff_t)s->sw + (ptrdiff_t)(kx * s->dw) - (ptrdiff_t)s->pl;
                        f = w[((oc * icg + c) * s->kh + ky) * s->kw + kx];
                    }
                    if (iy < 0 || ix < 0 || iy >= (ptrdiff_t)s->h || ix >= (ptrdiff_t)s->w)
                        continue;
                    const double p = f * (double)x[((n * s->c + ic) * s->h + (size_t)iy) * s->w + (size_t)ix];
                    sum += p;
                    size += fabs(p);
                }
        y[i] = finish(e, sum, size, icg * s->kh * s->kw, e->bias ? e->bias[oc] : 0,
                      e->residual ? e->residual[i] : 0, &bound[i]);
    }
}

void oi_ref_pool(const oi_pool_shape *s, const float *x, double *y)
{
    for (size_t oy = 0; oy < s->oh; oy++)
        for (size_t ox = 0; ox < s->ow; ox++) {
            double r = s->kind == OI_POOL_MAX ? -INFINITY : 0;
            size_t inside = 0, padded = 0;
            for (size_t ky = 0; ky < s->kh; ky++)
                for (size_t kx = 0; kx < s->kw; kx++) {
                    const ptrdiff_t iy = (ptrdiff_t)(oy * s->sh + ky * s->dh) - (ptrdiff_t)s->pt;
                    const ptrdiff_t ix = (ptrdiff_t)(ox * s->sw + kx * s->dw) - (ptrdiff_t)s->pl;
                    if (iy < (ptrdiff_t)(s->h + s->pb) && ix < (ptrdiff_t)(s->w + s->pr))
                        padded++;
                    if (iy < 0 || ix < 0 || iy >= (ptrdiff_t)s->h || ix >= (ptrdiff_t)s->w)
                        continue;
                    const double v = x[(size_t)iy * s->w + (size_t)ix];
                    inside++;
                    if (s->kind == OI_POOL_MAX)
                        r = isnan(r) || v < r ? r : v;
                    else
                        r += s->kind == OI_POOL_SUM_SQUARE ? v * v : v;
                }
            if (s->kind == OI_POOL_AVERAGE && inside)
                r /= (double)inside;
            if (s->kind == OI_POOL_AVERAGE_WITH_PADS && padded)
                r /= (double)padded;
            y[oy * s->ow + ox] = r;
        }
}

void oi_ref_to_blocked(size_t n, size_t c, size_t pixels, size_t block, const float *src, float *dst)
{
    const size_t blocks = (c + block - 1) / block;
    for (size_t i = 0; i < n * blocks * pixels * block; i++) {
        const size_t lane = i % block, p = i / block % pixels, b = i / block / pixels % blocks,
                     k = i / block / pixels / blocks;
        dst[i] = b * block + lane < c ? src[(k * c + b * block + lane) * pixels + p] : 0.0f;
    }
}

void oi_ref_from_blocked(size_t n, size_t c, size_t pixels, size_t block, const float *src, float *dst)
{
    const size_t blocks = (c + block - 1) / block;
    for (size_t i = 0; i < n * c * pixels; i++) {
        const size_t p = i % pixels, k = i / pixels % c, image = i / pixels / c;
        dst[i] = src[((image * blocks + k / block) * pixels + p) * block + k % block];
    }
}
