/* binary.c - elementwise functions of two operands. */
#include "kernels/isa/isa.h"

typedef vf vec_fn(vf a, vf b);

static inline vf f_add(vf a, vf b) { return v_add(a, b); }
static inline vf f_sub(vf a, vf b) { return v_sub(a, b); }
static inline vf f_mul(vf a, vf b) { return v_mul(a, b); }
static inline vf f_div(vf a, vf b) { return v_div(a, b); }
/* v_min and v_max give b when b is NaN; the select adds the case of a. */
static inline vf f_min(vf a, vf b) { return v_sel(v_isnan(a), a, v_min(a, b)); }
static inline vf f_max(vf a, vf b) { return v_sel(v_isnan(a), a, v_max(a, b)); }
static inline vf f_prelu(vf a, vf b) { return v_sel(v_lt(a, v_zero()), v_mul(a, b), a); }
static inline vf f_pow(vf a, vf b)
{
    float x[VL], y[VL];
    v_store(x, a);
    v_store(y, b);
    for (int i = 0; i < VL; i++)
        x[i] = powf(x[i], y[i]);
    return v_load(x);
}

/* f is a constant at every call, so that each call becomes loops of its own. */
static inline __attribute__((always_inline)) void row(vec_fn *f, size_t n, const float *a, bool a_scalar,
                                                      const float *b, bool b_scalar, float *y)
{
    size_t i = 0;
    if (a_scalar || b_scalar) {
        /* Read before anything is written: y may be the operand that the scalar lies in. */
        const vf as = v_set1(*a), bs = v_set1(*b);
        if (a_scalar && b_scalar) {
            const vf c = f(as, bs);
            for (; i + VL <= n; i += VL)
                v_store(y + i, c);
            if (i < n)
                v_storen(y + i, c, n - i);
        } else if (a_scalar) {
            for (; i + VL <= n; i += VL)
                v_store(y + i, f(as, v_load(b + i)));
            if (i < n)
                v_storen(y + i, f(as, v_loadn(b + i, n - i)), n - i);
        } else {
            for (; i + VL <= n; i += VL)
                v_store(y + i, f(v_load(a + i), bs));
            if (i < n)
                v_storen(y + i, f(v_loadn(a + i, n - i), bs), n - i);
        }
        return;
    }
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vf u = f(v_load(a + i), v_load(b + i)), v = f(v_load(a + i + VL), v_load(b + i + VL));
        v_store(y + i, u);
        v_store(y + i + VL, v);
    }
    for (; i + VL <= n; i += VL)
        v_store(y + i, f(v_load(a + i), v_load(b + i)));
    if (i < n)
        v_storen(y + i, f(v_loadn(a + i, n - i), v_loadn(b + i, n - i)), n - i);
}

static inline __attribute__((always_inline)) void rows(vec_fn *f, const oi_binary_args *t)
{
    if (t->n == 0)
        return;
    const float *a = t->a, *b = t->b;
    float *y = t->y;
    for (size_t r = 0; r < t->rows; r++, a += t->as, b += t->bs, y += t->ys)
        row(f, t->n, a, t->a_scalar, b, t->b_scalar, y);
}

static void rows_add(const oi_binary_args *t) { rows(f_add, t); }
static void rows_sub(const oi_binary_args *t) { rows(f_sub, t); }
static void rows_mul(const oi_binary_args *t) { rows(f_mul, t); }
static void rows_div(const oi_binary_args *t) { rows(f_div, t); }
static void rows_min(const oi_binary_args *t) { rows(f_min, t); }
static void rows_max(const oi_binary_args *t) { rows(f_max, t); }
static void rows_prelu(const oi_binary_args *t) { rows(f_prelu, t); }
static void rows_power(const oi_binary_args *t) { rows(f_pow, t); }

static inline vf f_cube(vf a, vf b) { return (void)b, v_mul(v_mul(a, a), a); }
/* pow, unlike sqrt, gives 0 for -0 and infinity for -infinity. */
static inline vf f_root(vf a, vf b)
{
    const vf inf = v_set1((float)INFINITY);
    (void)b;
    return v_sel(v_eq(a, v_neg(inf)), inf, v_sqrt(v_add(a, v_zero())));
}

/* Exponents that networks use get by without pow, which is slow. */
static void rows_pow(const oi_binary_args *t)
{
    if (!t->b_scalar || t->a_scalar) {
        rows_power(t);
        return;
    }
    for (size_t r = 0; r < t->rows; r++) {
        const float *a = t->a + r * t->as, e = t->b[r * t->bs];
        float *y = t->y + r * t->ys;
        if (e == 2.0f)
            OI_KNAME(unary)[OI_UNARY_SQUARE](t->n, a, y, 0.0f, 0.0f);
        else if (e == 1.0f)
            OI_KNAME(unary)[OI_UNARY_NONE](t->n, a, y, 0.0f, 0.0f);
        else if (e == 3.0f && t->n)
            row(f_cube, t->n, a, false, &e, true, y);
        else if (e == 0.5f && t->n)
            row(f_root, t->n, a, false, &e, true, y);
        else if (t->n)
            row(f_pow, t->n, a, false, &e, true, y);
    }
}

oi_binary_fn *const OI_KNAME(binary)[OI_BINARY_COUNT] = {
    [OI_BINARY_ADD] = rows_add, [OI_BINARY_SUB] = rows_sub,     [OI_BINARY_MUL] = rows_mul,
    [OI_BINARY_DIV] = rows_div, [OI_BINARY_MIN] = rows_min,     [OI_BINARY_MAX] = rows_max,
    [OI_BINARY_POW] = rows_pow, [OI_BINARY_PRELU] = rows_prelu,
};
