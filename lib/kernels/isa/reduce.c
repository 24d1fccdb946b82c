/* reduce.c - reductions along rows and across rows, softmax, layer and RMS normalisation, dot products. */
#include "kernels/isa/vmath.h"

typedef vf vec_fn(vf acc, vf x);
typedef vf map_fn(vf x);

static inline vf f_id(vf x) { return x; }
static inline vf f_sq(vf x) { return v_mul(x, x); }
static inline vf f_abs(vf x) { return v_abs(x); }
static inline vf f_add(vf acc, vf x) { return v_add(acc, x); }
static inline vf f_mul(vf acc, vf x) { return v_mul(acc, x); }
/* NaN in either operand stays. */
static inline vf f_max(vf acc, vf x) { return v_sel(v_isnan(acc), acc, v_max(acc, x)); }
static inline vf f_min(vf acc, vf x) { return v_sel(v_isnan(acc), acc, v_min(acc, x)); }

static inline float h_sum(vf a) { return v_sum(a); }
static inline float h_prod(vf a)
{
    float x[VL], p = 1.0f;
    v_store(x, a);
    for (int i = 0; i < VL; i++)
        p *= x[i];
    return p;
}
static inline float h_max(vf a) { return v_any(v_isnan(a)) ? (float)NAN : v_hmax(a); }
static inline float h_min(vf a) { return v_any(v_isnan(a)) ? (float)NAN : v_hmin(a); }

static inline __attribute__((always_inline)) float inner(size_t n, const float *x, map_fn *g, vec_fn *f,
                                                         float (*h)(vf), float unit)
{
    const vf u = v_set1(unit);
    vf a = u, b = u, c = u, d = u;
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        a = f(a, g(v_load(x + i)));
        b = f(b, g(v_load(x + i + VL)));
        c = f(c, g(v_load(x + i + 2 * VL)));
        d = f(d, g(v_load(x + i + 3 * VL)));
    }
    for (; i + VL <= n; i += VL)
        a = f(a, g(v_load(x + i)));
    if (i < n) {
        float tail[VL];
        v_store(tail, u);
        v_storen(tail, g(v_loadn(x + i, n - i)), n - i);
        b = f(b, v_load(tail));
    }
    return h(f(f(a, b), f(c, d)));
}

static inline __attribute__((always_inline)) void inner_rows(size_t rows, size_t n, const float *x,
                                                             size_t stride, float *y, map_fn *g, vec_fn *f,
                                                             float (*h)(vf), float unit)
{
    for (size_t r = 0; r < rows; r++)
        y[r] = inner(n, x + r * stride, g, f, h, unit);
}

static inline __attribute__((always_inline)) void outer(size_t rows, size_t n, const float *x, size_t stride,
                                                        float *y, map_fn *g, vec_fn *f, float unit)
{
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        vf a = v_set1(unit), b = a, c = a, d = a;
        const float *p = x + i;
        for (size_t r = 0; r < rows; r++, p += stride) {
            a = f(a, g(v_load(p)));
            b = f(b, g(v_load(p + VL)));
            c = f(c, g(v_load(p + 2 * VL)));
            d = f(d, g(v_load(p + 3 * VL)));
        }
        v_store(y + i, a);
        v_store(y + i + VL, b);
        v_store(y + i + 2 * VL, c);
        v_store(y + i + 3 * VL, d);
    }
    for (; i < n; i += VL) {
        const size_t m = n - i < (size_t)VL ? n - i : (size_t)VL;
        vf a = v_set1(unit);
        const float *p = x + i;
        for (size_t r = 0; r < rows; r++, p += stride)
            a = f(a, g(v_loadn(p, m)));
        v_storen(y + i, a, m);
    }
}

#define INF ((float)INFINITY)
static void inner_sum(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    inner_rows(rows, n, x, stride, y, f_id, f_add, h_sum, 0.0f);
}
static void outer_sum(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    outer(rows, n, x, stride, y, f_id, f_add, 0.0f);
}
static void inner_sum_square(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    inner_rows(rows, n, x, stride, y, f_sq, f_add, h_sum, 0.0f);
}
static void outer_sum_square(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    outer(rows, n, x, stride, y, f_sq, f_add, 0.0f);
}
static void inner_sum_abs(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    inner_rows(rows, n, x, stride, y, f_abs, f_add, h_sum, 0.0f);
}
static void outer_sum_abs(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    outer(rows, n, x, stride, y, f_abs, f_add, 0.0f);
}
static void inner_max(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    inner_rows(rows, n, x, stride, y, f_id, f_max, h_max, -INF);
}
static void outer_max(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    outer(rows, n, x, stride, y, f_id, f_max, -INF);
}
static void inner_min(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    inner_rows(rows, n, x, stride, y, f_id, f_min, h_min, INF);
}
static void outer_min(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    outer(rows, n, x, stride, y, f_id, f_min, INF);
}
static void inner_prod(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    inner_rows(rows, n, x, stride, y, f_id, f_mul, h_prod, 1.0f);
}
static void outer_prod(size_t rows, size_t n, const float *x, size_t stride, float *y)
{
    outer(rows, n, x, stride, y, f_id, f_mul, 1.0f);
}

oi_reduce_inner_fn *const OI_KNAME(reduce_inner)[OI_REDUCE_COUNT] = {
    [OI_REDUCE_SUM] = inner_sum,         [OI_REDUCE_SUM_SQUARE] = inner_sum_square,
    [OI_REDUCE_SUM_ABS] = inner_sum_abs, [OI_REDUCE_MAX] = inner_max,
    [OI_REDUCE_MIN] = inner_min,         [OI_REDUCE_PROD] = inner_prod,
};

oi_reduce_outer_fn *const OI_KNAME(reduce_outer)[OI_REDUCE_COUNT] = {
    [OI_REDUCE_SUM] = outer_sum,         [OI_REDUCE_SUM_SQUARE] = outer_sum_square,
    [OI_REDUCE_SUM_ABS] = outer_sum_abs, [OI_REDUCE_MAX] = outer_max,
    [OI_REDUCE_MIN] = outer_min,         [OI_REDUCE_PROD] = outer_prod,
};

void OI_KNAME(softmax)(size_t rows, size_t n, const float *x, float *y)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        const float top = inner(n, x, f_id, f_max, h_max, -INF);
        const vf t = v_set1(top);
        vf a = v_zero(), b = v_zero();
        size_t i = 0;
        for (; i + 2 * VL <= n; i += 2 * VL) {
            vf u = v_exp(v_sub(v_load(x + i), t)), v = v_exp(v_sub(v_load(x + i + VL), t));
            v_store(y + i, u);
            v_store(y + i + VL, v);
            a = v_add(a, u);
            b = v_add(b, v);
        }
        for (; i < n; i += VL) {
            const size_t m = n - i < (size_t)VL ? n - i : (size_t)VL;
            v_storen(y + i, v_exp(v_sub(v_loadn(x + i, m), t)), m);
            a = v_add(a, v_loadn(y + i, m));
        }
        const vf s = v_set1(1.0f / v_sum(v_add(a, b)));
        for (i = 0; i + VL <= n; i += VL)
            v_store(y + i, v_mul(v_load(y + i), s));
        if (i < n)
            v_storen(y + i, v_mul(v_loadn(y + i, n - i), s), n - i);
    }
}

void OI_KNAME(log_softmax)(size_t rows, size_t n, const float *x, float *y)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        const float top = inner(n, x, f_id, f_max, h_max, -INF);
        const vf t = v_set1(top);
        vf a = v_zero();
        size_t i = 0;
        for (; i + VL <= n; i += VL)
            a = v_add(a, v_exp(v_sub(v_load(x + i), t)));
        if (i < n) {
            float tail[VL];
            v_store(tail, v_zero());
            v_storen(tail, v_exp(v_sub(v_loadn(x + i, n - i), t)), n - i);
            a = v_add(a, v_load(tail));
        }
        const vf s = v_set1(logf(v_sum(a)));
        for (i = 0; i + VL <= n; i += VL)
            v_store(y + i, v_sub(v_sub(v_load(x + i), t), s));
        if (i < n)
            v_storen(y + i, v_sub(v_sub(v_loadn(x + i, n - i), t), s), n - i);
    }
}

/* Sum of (x - centre)^2 over a row; the padding lanes of a tail are taken out again. */
static float sum_of_squares(size_t n, const float *x, float centre)
{
    const vf c = v_set1(centre);
    vf a = v_zero(), b = v_zero();
    size_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vf u = v_sub(v_load(x + i), c), v = v_sub(v_load(x + i + VL), c);
        a = v_fma(u, u, a);
        b = v_fma(v, v, b);
    }
    for (; i + VL <= n; i += VL) {
        vf u = v_sub(v_load(x + i), c);
        a = v_fma(u, u, a);
    }
    if (i < n) {
        float tail[VL];
        v_store(tail, c);
        v_storen(tail, v_loadn(x + i, n - i), n - i);
        vf u = v_sub(v_load(tail), c);
        b = v_fma(u, u, b);
    }
    return v_sum(v_add(a, b));
}

void OI_KNAME(norm)(const oi_norm_args *t)
{
    const size_t n = t->n;
    if (n == 0)
        return;
    const oi_binary_args add = {.rows = 1, .n = n};
    for (size_t r = 0; r < t->rows; r++) {
        const float *x = t->x + r * n;
        float *y = t->y + r * n;
        if (t->add) {
            oi_binary_args s = add;
            s.a = x;
            s.b = t->add + r * n;
            s.y = t->sum ? t->sum + r * n : y;
            OI_KNAME(binary)[OI_BINARY_ADD](&s);
            x = s.y;
        }
        const float mean = t->rms ? 0.0f : inner(n, x, f_id, f_add, h_sum, 0.0f) / (float)n;
        const float inv = 1.0f / sqrtf(sum_of_squares(n, x, mean) / (float)n + t->eps);
        if (t->mean)
            t->mean[r] = mean;
        if (t->inv_std)
            t->inv_std[r] = inv;
        const vf m = v_set1(mean), s = v_set1(inv);
        for (size_t i = 0; i < n; i += VL) {
            const size_t k = n - i;
            if (k >= (size_t)VL) {
                vf u = v_mul(v_sub(v_load(x + i), m), s);
                if (t->gamma)
                    u = v_mul(u, v_load(t->gamma + i));
                if (t->beta)
                    u = v_add(u, v_load(t->beta + i));
                v_store(y + i, u);
            } else {
                vf u = v_mul(v_sub(v_loadn(x + i, k), m), s);
                if (t->gamma)
                    u = v_mul(u, v_loadn(t->gamma + i, k));
                if (t->beta)
                    u = v_add(u, v_loadn(t->beta + i, k));
                v_storen(y + i, u, k);
            }
        }
    }
}

static inline __attribute__((always_inline)) void dots(size_t rows, size_t k, const float *x, const oi_loose_float *b,
                                                       size_t ldb, float *y)
{
    vf a0[4], a1[4];
    for (size_t r = 0; r < rows; r++)
        a0[r] = a1[r] = v_zero();
    size_t i = 0;
    for (; i + 2 * VL <= k; i += 2 * VL) {
        const vf u = v_load(x + i), v = v_load(x + i + VL);
        for (size_t r = 0; r < rows; r++) {
            a0[r] = v_fma(u, v_load(b + r * ldb + i), a0[r]);
            a1[r] = v_fma(v, v_load(b + r * ldb + i + VL), a1[r]);
        }
    }
    for (; i < k; i += VL) {
        const size_t m = k - i < (size_t)VL ? k - i : (size_t)VL;
        const vf u = v_loadn(x + i, m);
        for (size_t r = 0; r < rows; r++)
            a0[r] = v_fma(u, v_loadn(b + r * ldb + i, m), a0[r]);
    }
    for (size_t r = 0; r < rows; r++)
        y[r] = v_sum(v_add(a0[r], a1[r]));
}

/* One row that comes from memory: a single stream of reads, fetched far ahead, also across the pages at which the processor
 * stops to look ahead by itself. */
static float far_dot(size_t k, const float *x, const oi_loose_float *b)
{
    enum { AHEAD = 2048 };
    vf a[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    size_t i = 0;
    for (; i + 4 * VL <= k; i += 4 * VL) {
        for (size_t v = 0; v < 4; v++) {
            __builtin_prefetch(b + i + v * VL + AHEAD);
            a[v] = v_fma(v_load(x + i + v * VL), v_load(b + i + v * VL), a[v]);
        }
    }
    for (; i < k; i += VL) {
        const size_t m = k - i < (size_t)VL ? k - i : (size_t)VL;
        a[0] = v_fma(v_loadn(x + i, m), v_loadn(b + i, m), a[0]);
    }
    return v_sum(v_add(v_add(a[0], a[1]), v_add(a[2], a[3])));
}

void OI_KNAME(dot_rows)(size_t rows, size_t k, const float *x, const oi_loose_float *b, size_t ldb, float *y)
{
    enum { NEAR = 1 << 17 }; /* elements that may stay in cache from one call to the next */
    const bool far = rows && k >= NEAR / rows;
    size_t r = 0;
    for (; far && r < rows; r++)
        y[r] = far_dot(k, x, b + r * ldb);
    for (; r + 4 <= rows; r += 4)
        dots(4, k, x, b + r * ldb, ldb, y + r);
    for (; r < rows; r++)
        dots(1, k, x, b + r * ldb, ldb, y + r);
}
