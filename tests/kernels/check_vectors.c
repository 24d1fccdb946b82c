/* check_vectors.c - elementwise, reduction, layout and pooling kernels against references. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_test.h"

static bool coin(kt *t) { return kt_random(t) % 2; }

/* Units of the last place that each function may be off, and absolute parts where a difference of large terms
 * is meant. */
static const struct {
    oi_unary op;
    float p0, p1;
    double ulps, absolute;
} unary_rules[] = {
    {OI_UNARY_NONE, 0, 0, 0, 0},
    {OI_UNARY_RELU, 0, 0, 0, 0},
    {OI_UNARY_CLIP, -0.5f, 6.0f, 0, 0},
    {OI_UNARY_LEAKY_RELU, 0.01f, 0, 0.5, 0},
    {OI_UNARY_THRESHOLDED_RELU, 0.3f, 0, 0, 0},
    {OI_UNARY_HARD_SIGMOID, 0.2f, 0.5f, 2, 1e-7},
    {OI_UNARY_HARD_SWISH, 0, 0, 3, 1e-6},
    {OI_UNARY_SIGMOID, 0, 0, 4, 2e-38},
    {OI_UNARY_SWISH, 1.0f, 0, 4, 1e-36},
    {OI_UNARY_TANH, 0, 0, 4, 0},
    {OI_UNARY_GELU_ERF, 0, 0, 4, 2e-7},
    {OI_UNARY_GELU_TANH, 0, 0, 12, 1e-8},
    {OI_UNARY_MISH, 0, 0, 6, 1e-36},
    {OI_UNARY_ELU, 0.7f, 0, 4, 0},
    {OI_UNARY_SELU, 1.6732632f, 1.050701f, 5, 0},
    {OI_UNARY_CELU, 0.8f, 0, 6, 0},
    {OI_UNARY_SOFTPLUS, 0, 0, 4, 2e-38},
    {OI_UNARY_SOFTSIGN, 0, 0, 2, 0},
    {OI_UNARY_EXP, 0, 0, 2, 1.5e-45},
    {OI_UNARY_LOG, 0, 0, 3, 0},
    {OI_UNARY_ERF, 0, 0, 4, 0},
    {OI_UNARY_SQRT, 0, 0, 0.501, 0},
    {OI_UNARY_RSQRT, 0, 0, 1.5, 0},
    {OI_UNARY_RECIPROCAL, 0, 0, 0.501, 1e-45},
    {OI_UNARY_ABS, 0, 0, 0, 0},
    {OI_UNARY_NEG, 0, 0, 0, 0},
    {OI_UNARY_FLOOR, 0, 0, 0, 0},
    {OI_UNARY_CEIL, 0, 0, 0, 0},
    {OI_UNARY_ROUND, 0, 0, 0, 0},
    {OI_UNARY_SIGN, 0, 0, 0, 0},
    {OI_UNARY_SQUARE, 0, 0, 0.501, 1e-45},
    {OI_UNARY_AFFINE, 1.5f, -0.25f, 0.501, 0},
    {OI_UNARY_SIN, 0, 0, 2, 0},
    {OI_UNARY_COS, 0, 0, 2, 0},
    {OI_UNARY_QUANTISE_U8, 0.05f, 3, 0.501, 0},
    {OI_UNARY_QUANTISE_S8, 0.013f, -7, 0.501, 0},
};

static double ulp_of(double want)
{
    const double m = fabs(want);
    if (!(m < INFINITY))
        return 0;
    int e;
    frexp(m < 1.1754944e-38 ? 1.1754944e-38 : m, &e);
    return ldexp(1.0, e - 24);
}

static void check_one(kt *t, size_t rule, float x, float y, size_t i)
{
    const oi_unary op = unary_rules[rule].op;
    const double want = oi_ref_unary(op, x, unary_rules[rule].p0, unary_rules[rule].p1);
    const double bound = unary_rules[rule].ulps * ulp_of(want) + unary_rules[rule].absolute;
    /* Near the largest float either side of infinity is right. */
    if (isinf(y) && fabs(want) > 3.40282e38 && fabs(want) < 3.403e38)
        return;
    kt_near(t, "y", i, y, want, bound);
    if (op == OI_UNARY_SIGMOID && (y < 0.0f || y > 1.0f))
        kt_fail(t, "sigmoid(%g) = %g leaves 0..1", (double)x, (double)y);
}

void check_unary(kt *t)
{
    for (size_t r = 0; r < sizeof unary_rules / sizeof *unary_rules; r++)
        for (size_t n = 0; n <= 4 * t->kern->vl + 1; n++) {
            float *x = kt_floats(t, n, coin(t)), *y = kt_floats(t, n, false);
            const bool in_place = coin(t);
            if (in_place)
                memcpy(y, x, n * sizeof *x);
            kt_detail(t, "op %d n %zu in place %d", (int)unary_rules[r].op, n, in_place);
            t->kern->unary[unary_rules[r].op](n, in_place ? y : x, y, unary_rules[r].p0, unary_rules[r].p1);
            for (size_t i = 0; i < n; i++)
                check_one(t, r, x[i], y[i], i);
            kt_free(t, x, n);
            kt_free(t, y, n);
        }
}

void check_binary(kt *t)
{
    static const float exponents[] = {1.0f, 2.0f, 3.0f, 0.5f};
    for (int op = 0; op < OI_BINARY_COUNT; op++) {
        oi_binary_args g = {.rows = kt_between(t, 1, 4), .n = kt_between(t, 0, 4 * t->kern->vl + 1)};
        g.a_scalar = kt_random(t) % 4 == 0;
        g.b_scalar = kt_random(t) % 4 == 0;
        const size_t wa = g.a_scalar ? 1 : g.n, wb = g.b_scalar ? 1 : g.n;
        g.as = coin(t) ? wa : 0;
        g.bs = coin(t) ? wb : 0;
        g.ys = g.n;
        const size_t na = g.as * (g.rows - 1) + wa, nb = g.bs * (g.rows - 1) + wb, ny = g.ys * g.rows;
        float *a = kt_floats(t, na, coin(t)), *b = kt_floats(t, nb, coin(t)), *y = kt_floats(t, ny, false);
        if (op == OI_BINARY_POW && g.b_scalar && coin(t))
            b[0] = exponents[kt_between(t, 0, 3)];
        kt_detail(t, "op %d rows %zu n %zu strides %zu %zu scalars %d %d", op, g.rows, g.n, g.as, g.bs,
                  g.a_scalar, g.b_scalar);
        g.a = a;
        g.b = b;
        g.y = y;
        t->kern->binary[op](&g);
        for (size_t r = 0; r < g.rows; r++)
            for (size_t i = 0; i < g.n; i++) {
                const float u = a[r * g.as + (g.a_scalar ? 0 : i)], v = b[r * g.bs + (g.b_scalar ? 0 : i)];
                const float want = oi_ref_binary((oi_binary)op, u, v);
                kt_near(t, "y", r * g.n + i, y[r * g.ys + i], want,
                        op == OI_BINARY_POW ? 2 * ulp_of(want) : 0);
            }
        kt_free(t, a, na);
        kt_free(t, b, nb);
        kt_free(t, y, ny);
    }
}

void check_reduce(kt *t)
{
    for (int op = 0; op < OI_REDUCE_COUNT; op++) {
        const bool special = (op == OI_REDUCE_MAX || op == OI_REDUCE_MIN) && coin(t);
        const size_t rows = kt_between(t, 1, 6), n = kt_between(t, 0, 9 * t->kern->vl),
                     stride = n + kt_between(t, 0, 3);
        const size_t nx = (rows - 1) * stride + n;
        float *x = kt_floats(t, nx, special), *y = kt_floats(t, rows, false), *z = kt_floats(t, n, false);
        kt_detail(t, "op %d rows %zu n %zu stride %zu", op, rows, n, stride);
        t->kern->reduce_inner[op](rows, n, x, stride, y);
        for (size_t r = 0; r < rows; r++) {
            const double size =
                op == OI_REDUCE_SUM ? oi_ref_reduce(OI_REDUCE_SUM_ABS, n, x + r * stride, 1) : 0;
            const double want = oi_ref_reduce((oi_reduce)op, n, x + r * stride, 1);
            kt_near(t, "inner", r, y[r], want,
                    op == OI_REDUCE_MAX || op == OI_REDUCE_MIN ? 0 : 1e-6 * (size + fabs(want)) + 1e-37);
        }
        t->kern->reduce_outer[op](rows, n, x, stride, z);
        for (size_t i = 0; i < n; i++) {
            const double want = oi_ref_reduce((oi_reduce)op, rows, x + i, stride);
            kt_near(t, "outer", i, z[i], want, op == OI_REDUCE_MAX || op == OI_REDUCE_MIN ? 0 : 2e-6);
        }
        kt_free(t, x, nx);
        kt_free(t, y, rows);
        kt_free(t, z, n);
    }
}

void check_softmax(kt *t)
{
    const size_t rows = kt_between(t, 1, 4), n = kt_between(t, 1, 6 * t->kern->vl);
    float *x = kt_floats(t, rows * n, false), *y = kt_floats(t, rows * n, false);
    const float scale = coin(t) ? 1.0f : 60.0f;
    for (size_t i = 0; i < rows * n; i++)
        x[i] *= scale;
    if (kt_random(t) % 4 == 0)
        x[kt_between(t, 0, rows * n - 1)] = coin(t) ? -INFINITY : NAN;
    for (int log_form = 0; log_form < 2; log_form++) {
        kt_detail(t, "rows %zu n %zu log %d", rows, n, log_form);
        (log_form ? t->kern->log_softmax : t->kern->softmax)(rows, n, x, y);
        for (size_t r = 0; r < rows; r++) {
            const float *v = x + r * n;
            const double top = oi_ref_reduce(OI_REDUCE_MAX, n, v, 1);
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += exp(v[i] - top);
            for (size_t i = 0; i < n; i++) {
                const double d = v[i] - top, want = log_form ? d - log(sum) : exp(d) / sum;
                kt_near(t, "y", r * n + i, y[r * n + i], want,
                        log_form ? 1e-6 * (fabs(d) + 2)
                                 : (want > 0 ? (1e-6 + 1.2e-7 * fabs(d)) * want : 0) + 1e-37);
            }
        }
    }
    kt_free(t, x, rows * n);
    kt_free(t, y, rows * n);
}

void check_norm(kt *t)
{
    oi_norm_args g = {
        .rows = kt_between(t, 1, 4), .n = kt_between(t, 1, 6 * t->kern->vl), .eps = 1e-5f, .rms = coin(t)};
    const size_t n = g.n, all = g.rows * n;
    float *x = kt_floats(t, all, false), *add = kt_floats(t, all, false), *gamma = kt_floats(t, n, false);
    float *beta = kt_floats(t, n, false), *y = kt_floats(t, all, false), *sum = kt_floats(t, all, false);
    float *mean = kt_floats(t, g.rows, false), *inv = kt_floats(t, g.rows, false);
    g.x = x;
    g.add = coin(t) ? add : NULL;
    g.gamma = coin(t) ? gamma : NULL;
    g.beta = coin(t) ? beta : NULL;
    g.y = y;
    g.sum = coin(t) ? sum : NULL;
    g.mean = coin(t) ? mean : NULL;
    g.inv_std = coin(t) ? inv : NULL;
    kt_detail(t, "rows %zu n %zu add %d sum %d rms %d", g.rows, n, g.add != NULL, g.sum != NULL, g.rms);
    t->kern->norm(&g);
    for (size_t r = 0; r < g.rows; r++) {
        double m = 0, var = 0;
        for (size_t i = 0; i < n; i++)
            m += x[r * n + i] + (g.add ? (double)add[r * n + i] : 0);
        m = g.rms ? 0 : m / (double)n;
        for (size_t i = 0; i < n; i++) {
            const double d = x[r * n + i] + (g.add ? (double)add[r * n + i] : 0) - m;
            var += d * d;
        }
        const double s = 1 / sqrt(var / (double)n + (double)g.eps);
        for (size_t i = 0; i < n; i++) {
            const double v = x[r * n + i] + (g.add ? (double)add[r * n + i] : 0);
            const double want = (v - m) * s * (g.gamma ? gamma[i] : 1.0f) + (g.beta ? (double)beta[i] : 0);
            kt_near(t, "y", r * n + i, y[r * n + i], want, 1e-6 * s + 4e-6);
            if (g.add && g.sum)
                kt_near(t, "sum", r * n + i, sum[r * n + i], x[r * n + i] + add[r * n + i], 0);
        }
        if (g.mean)
            kt_near(t, "mean", r, mean[r], m, 1e-6);
        if (g.inv_std)
            kt_near(t, "inv_std", r, inv[r], s, 4e-6 * s * s * s + 1e-6 * s);
    }
    kt_free(t, x, all);
    kt_free(t, add, all);
    kt_free(t, gamma, n);
    kt_free(t, beta, n);
    kt_free(t, y, all);
    kt_free(t, sum, all);
    kt_free(t, mean, g.rows);
    kt_free(t, inv, g.rows);
}

void check_layout(kt *t)
{
    const size_t vl = t->kern->vl, rows = kt_between(t, 1, 3 * vl), cols = kt_between(t, 1, 3 * vl);
    const size_t ld = cols + kt_between(t, 0, 3), dld = rows + kt_between(t, 0, 3);
    const size_t ns = (rows - 1) * ld + cols, nd = (cols - 1) * dld + rows;
    float *s = kt_floats(t, ns, false), *d = kt_floats(t, nd, false), *old = malloc(nd * sizeof *old);
    memcpy(old, d, nd * sizeof *old);
    kt_detail(t, "rows %zu cols %zu ld %zu %zu", rows, cols, ld, dld);
    t->kern->transpose(rows, cols, s, ld, d, dld);
    for (size_t i = 0; i < nd; i++)
        kt_near(t, "transposed", i, d[i], i % dld < rows ? s[i % dld * ld + i / dld] : old[i], 0);
    free(old);
    kt_free(t, s, ns);
    kt_free(t, d, nd);

    const size_t c = rows, p = cols, nb = (c + vl - 1) / vl * vl * p;
    float *x = kt_floats(t, c * p, false), *b = kt_floats(t, nb, false), *want = malloc(nb * sizeof *want);
    float *back = kt_floats(t, c * p, false);
    oi_ref_to_blocked(1, c, p, vl, x, want);
    t->kern->to_blocked(c, p, p / 2, x, b);
    t->kern->to_blocked(c, p, p - p / 2, x + p / 2, b + p / 2 * vl);
    for (size_t i = 0; i < nb; i++)
        kt_near(t, "blocked", i, b[i], want[i], 0);
    t->kern->from_blocked(c, p, p - p / 3, b, back);
    t->kern->from_blocked(c, p, p / 3, b + (p - p / 3) * vl, back + (p - p / 3));
    for (size_t i = 0; i < c * p; i++)
        kt_near(t, "plain", i, back[i], x[i], 0);

    float *scale = kt_floats(t, vl, false), *shift = kt_floats(t, vl, false), *sums = kt_floats(t, vl, false);
    t->kern->lane_sum(p, b, sums);
    for (size_t l = 0; l < vl; l++)
        kt_near(t, "lane sum", l, sums[l], oi_ref_reduce(OI_REDUCE_SUM, p, b + l, vl), 1e-5);
    t->kern->scale_shift(p, b, scale, coin(t) ? shift : NULL, b);
    kt_free(t, x, c * p);
    kt_free(t, b, nb);
    kt_free(t, back, c * p);
    kt_free(t, scale, vl);
    kt_free(t, shift, vl);
    kt_free(t, sums, vl);
    free(want);

    const size_t k = kt_between(t, 0, 5 * vl), n = kt_between(t, 1, 9), ldb = k + kt_between(t, 0, 2);
    float *v = kt_floats(t, k, false), *m = kt_floats(t, (n - 1) * ldb + k, false),
          *y = kt_floats(t, n, false);
    t->kern->dot_rows(n, k, v, m, ldb, y);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < k; j++)
            sum += (double)v[j] * m[i * ldb + j];
        kt_near(t, "dot", i, y[i], sum, 1e-5);
    }
    kt_free(t, v, k);
    kt_free(t, m, (n - 1) * ldb + k);
    kt_free(t, y, n);
}

void check_pool(kt *t)
{
    const size_t vl = t->kern->vl;
    oi_pool_shape s = {.kind = (oi_pool_kind)kt_between(t, 0, 3),
                       .h = kt_between(t, 1, 14),
                       .w = kt_between(t, 1, 30),
                       .kh = kt_between(t, 1, 4),
                       .kw = kt_between(t, 1, 4),
                       .sh = kt_between(t, 1, 3),
                       .sw = kt_between(t, 1, 3),
                       .dh = kt_between(t, 1, 2),
                       .dw = kt_between(t, 1, 2)};
    s.pt = kt_between(t, 0, s.kh - 1);
    s.pb = kt_between(t, 0, s.kh - 1);
    s.pl = kt_between(t, 0, s.kw - 1);
    s.pr = kt_between(t, 0, s.kw - 1);
    s.oh = oi_conv_out_size(s.h, s.kh, s.sh, s.dh, s.pt, s.pb) + kt_between(t, 0, 1);
    s.ow = oi_conv_out_size(s.w, s.kw, s.sw, s.dw, s.pl, s.pr) + kt_between(t, 0, 1);
    if (s.oh == 0 || s.ow == 0)
        return;
    const size_t in = s.h * s.w, out = s.oh * s.ow;
    float *x = kt_floats(t, in * vl, s.kind == OI_POOL_MAX && coin(t)), *y = kt_floats(t, out * vl, false);
    float *plane = malloc(in * sizeof *plane);
    double *want = malloc(out * sizeof *want);
    kt_detail(t, "kind %d %zux%zu -> %zux%zu k %zux%zu s %zux%zu d %zux%zu p %zu %zu %zu %zu", (int)s.kind,
              s.h, s.w, s.oh, s.ow, s.kh, s.kw, s.sh, s.sw, s.dh, s.dw, s.pt, s.pl, s.pb, s.pr);
    const size_t cut = kt_between(t, 0, s.oh);
    t->kern->pool(&s, x, y, cut, s.oh);
    t->kern->pool(&s, x, y, 0, cut);
    for (size_t l = 0; l < vl; l++) {
        for (size_t i = 0; i < in; i++)
            plane[i] = x[i * vl + l];
        oi_ref_pool(&s, plane, want);
        for (size_t i = 0; i < out; i++)
            kt_near(t, "y", i * vl + l, y[i * vl + l], want[i], s.kind == OI_POOL_MAX ? 0 : 1e-5);
    }
    free(plane);
    free(want);
    kt_free(t, x, in * vl);
    kt_free(t, y, out * vl);
}

void sweep(const oi_kernels *kern, const char *filter)
{
    (void)filter;
    enum { STEP = 1 << 16 };
    float *x = malloc(2 * STEP * sizeof *x), *y = x + STEP;
    for (size_t r = 0; r < sizeof unary_rules / sizeof *unary_rules; r++) {
        double worst = 0;
        float at = 0;
        for (uint64_t base = 0; base < UINT64_C(1) << 32; base += 61 * STEP) {
            for (size_t i = 0; i < STEP; i++) {
                const uint32_t bits = (uint32_t)(base + i * 61);
                memcpy(&x[i], &bits, 4);
            }
            kern->unary[unary_rules[r].op](STEP, x, y, unary_rules[r].p0, unary_rules[r].p1);
            for (size_t i = 0; i < STEP; i++) {
                const double want =
                    oi_ref_unary(unary_rules[r].op, x[i], unary_rules[r].p0, unary_rules[r].p1);
                if (!(fabs(want) < 3.4028234e38) || isinf(y[i])) {
                    if (isnan(want) != isnan(y[i]))
                        worst = INFINITY, at = x[i];
                    continue;
                }
                double error = fabs(y[i] - want) - unary_rules[r].absolute;
                error = error > 0 ? error / ulp_of(want) : 0;
                if (!(error <= worst))
                    worst = error, at = x[i];
            }
        }
        printf("%-8s unary %2d: %.2f ulp beyond %.1e, at %.9g\n", kern->name, (int)unary_rules[r].op, worst,
               unary_rules[r].absolute, (double)at);
    }
    free(x);
}
