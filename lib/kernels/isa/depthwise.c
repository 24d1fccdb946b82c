/* depthwise.c - depthwise convolution over one channel block plane, neighbouring outputs sharing what they
 * load. */
#include "kernels/isa/isa.h"

/* Full unrolling, spelt as each compiler wants it. */
#if defined(__clang__)
#define OI_UNROLL(n) _Pragma("clang loop unroll(full)")
#else
#define UNROLL_TEXT(n)   #n
#define OI_UNROLL(n)     UNROLL_GCC(UNROLL_TEXT(GCC unroll n))
#define UNROLL_GCC(text) _Pragma(text)
#endif

/* A run of outputs in one row: where it reads, and what is done with the sums. */
typedef struct run {
    const oi_depthwise_args *t;
    const float *x;       /* first input row that a tap meets */
    const float *weights; /* its row of taps */
    size_t taps_y;
    size_t row_step; /* floats from one tap's input row to the next */
    ptrdiff_t ix;    /* input column of the first output's first tap, may be negative */
    float *y;
    const float *residual; /* or NULL */
    vf lo, hi;             /* clamp: the whole of relu and clip */
} run;

static const float zeros[VL] = {0};

static inline __attribute__((always_inline)) void finish(const run *c, int width, vf acc[])
{
    OI_UNROLL(8)
    for (int o = 0; o < width; o++) {
        if (c->residual)
            acc[o] = v_add(acc[o], v_load(c->residual + o * VL));
        v_store(c->y + o * VL, v_min(c->hi, v_max(c->lo, acc[o])));
    }
}

/* Which columns of a tile may lie outside the image: none, the first and last kw - 1, or any. */
typedef enum reach { INSIDE, EDGES } reach;

/* kw taps, stride sw, `width` outputs: constants at every call. */
static inline __attribute__((always_inline)) void tile(const run *c, int kw, int sw, int width, reach how)
{
    vf acc[8];
    const vf bias = c->t->bias ? v_load(c->t->bias) : v_zero();
    OI_UNROLL(8)
    for (int o = 0; o < width; o++)
        acc[o] = bias;
    const float *row = c->x + c->ix * VL, *w = c->weights;
    const size_t columns = c->t->w;
    const int span = (width - 1) * sw + kw;
    for (size_t ky = 0; ky < c->taps_y; ky++, row += c->row_step, w += kw * VL) {
        vf wv[7];
        OI_UNROLL(8)
        for (int k = 0; k < kw; k++)
            wv[k] = v_load(w + k * VL);
        OI_UNROLL(32)
        for (int j = 0; j < span; j++) {
            const bool safe = how == INSIDE || (j >= kw - 1 && j < span - kw + 1);
            const vf xv = v_load(safe || (size_t)(c->ix + j) < columns ? row + j * VL : zeros);
            OI_UNROLL(8)
            for (int o = 0; o < width; o++)
                if (j >= o * sw && j < o * sw + kw)
                    acc[o] = v_fma(xv, wv[j - o * sw], acc[o]);
        }
    }
    finish(c, width, acc);
}

static void tile_loop_each(const run *c, int width);

static inline __attribute__((always_inline)) void tile_any(const run *c, int kw, int sw, int width)
{
    const ptrdiff_t columns = (ptrdiff_t)c->t->w, span = (width - 1) * sw + kw;
    if (c->ix >= 0 && c->ix + span <= columns)
        tile(c, kw, sw, width, INSIDE);
    else if (c->ix + kw > 0 && c->ix + span - kw < columns)
        tile(c, kw, sw, width, EDGES);
    else
        tile_loop_each(c, width);
}

/* Any number of taps, stride and dilation; `width` is 4 or 1. */
static inline __attribute__((always_inline)) void tile_loop(const run *c, int width)
{
    vf acc[8];
    const oi_depthwise_args *t = c->t;
    const vf bias = t->bias ? v_load(t->bias) : v_zero();
    for (int o = 0; o < width; o++)
        acc[o] = bias;
    const float *row = c->x + c->ix * VL, *w = c->weights;
    const bool inside = c->ix >= 0 && c->ix + (ptrdiff_t)((size_t)(width - 1) * t->sw + (t->kw - 1) * t->dw) <
                                          (ptrdiff_t)t->w;
    for (size_t ky = 0; ky < c->taps_y; ky++, row += c->row_step)
        for (size_t kx = 0; kx < t->kw; kx++, w += VL) {
            const vf wv = v_load(w);
            OI_UNROLL(4)
            for (int o = 0; o < width; o++) {
                const size_t j = (size_t)o * t->sw + kx * t->dw;
                const vf xv = v_load(inside || (size_t)c->ix + j < t->w ? row + j * VL : zeros);
                acc[o] = v_fma(xv, wv, acc[o]);
            }
        }
    finish(c, width, acc);
}

/* Output by output, for windows that lie outside the image altogether. */
static void tile_loop_each(const run *c, int width)
{
    for (int o = 0; o < width; o++) {
        run one = *c;
        one.ix += o * (ptrdiff_t)c->t->sw;
        one.y += o * VL;
        if (one.residual)
            one.residual += o * VL;
        tile_loop(&one, 1);
    }
}

typedef void tile_fn(const run *c);
#define TILES(kw, sw)                                                                                        \
    static void t##kw##x##sw##_8(const run *c) { tile_any(c, kw, sw, 8); }                                   \
    static void t##kw##x##sw##_7(const run *c) { tile_any(c, kw, sw, 7); }                                   \
    static void t##kw##x##sw##_4(const run *c) { tile_any(c, kw, sw, 4); }                                   \
    static void t##kw##x##sw##_1(const run *c) { tile_any(c, kw, sw, 1); }
TILES(3, 1)
TILES(3, 2)
TILES(5, 1)
TILES(5, 2)
TILES(7, 1)
static void loop_4(const run *c) { tile_loop(c, 4); }
static void loop_1(const run *c) { tile_loop(c, 1); }

/* Tiles of one kind of window, by width. */
typedef struct family {
    size_t kw, sw, dw;
    tile_fn *w8, *w7, *w4, *w1;
} family;
static const family families[] = {
    {3, 1, 1, t3x1_8, t3x1_7, t3x1_4, t3x1_1}, {3, 2, 1, t3x2_8, t3x2_7, t3x2_4, t3x2_1},
    {5, 1, 1, t5x1_8, t5x1_7, t5x1_4, t5x1_1}, {5, 2, 1, t5x2_8, t5x2_7, t5x2_4, t5x2_1},
    {7, 1, 1, t7x1_8, t7x1_7, t7x1_4, t7x1_1}, {0, 0, 0, NULL, NULL, loop_4, loop_1},
};

/* Finishes a tile whose sums are in y and whose activation is still to come. */
static void add_residual(const oi_depthwise_args *t, size_t n, const float *residual, float *y)
{
    oi_unary_fn *const act = OI_KNAME(unary)[t->act];
    if (t->residual_after)
        act(n, y, y, t->p0, t->p1);
    for (size_t i = 0; i < n; i += VL)
        v_store(y + i, v_add(v_load(y + i), v_mul(v_set1(t->beta), v_load(residual + i))));
    if (!t->residual_after)
        act(n, y, y, t->p0, t->p1);
}

void OI_KNAME(depthwise)(const oi_depthwise_args *t, size_t oy0, size_t oy1)
{
    const family *f = families;
    while (f->kw && (f->kw != t->kw || f->sw != t->sw || f->dw != t->dw))
        f++;
    const float inf = (float)INFINITY;
    const bool clamp = t->act <= OI_UNARY_CLIP;
    run c = {.t = t, .row_step = t->dh * t->w * VL};
    /* Residuals beyond a plain sum before the activation are added to each tile by itself. */
    const bool plain = !t->residual || (t->beta == 1.0f && (!t->residual_after || t->act == OI_UNARY_NONE));
    /* The last tile of a row may overlap the one before, unless it would add to its own result. */
    const bool overlap = t->residual != t->y && plain;
    c.lo = v_set1(plain && t->act == OI_UNARY_RELU ? 0.0f : plain && t->act == OI_UNARY_CLIP ? t->p0 : -inf);
    c.hi = v_set1(plain && t->act == OI_UNARY_CLIP ? t->p1 : inf);
    size_t width = f->w8 == NULL ? 4 : 8;
    if (f->w7 && (t->ow + 6) / 7 * 7 < (t->ow + 7) / 8 * 8)
        width = 7;
    if (t->ow < width)
        width = t->ow >= 4 ? 4 : 1;
    tile_fn *const fn = width == 8 ? f->w8 : width == 7 ? f->w7 : width == 4 ? f->w4 : f->w1;
    for (size_t oy = oy0; oy < oy1; oy++) {
        const ptrdiff_t iy = (ptrdiff_t)(oy * t->sh) - (ptrdiff_t)t->pt, dh = (ptrdiff_t)t->dh,
                        h = (ptrdiff_t)t->h;
        const ptrdiff_t first = iy >= 0 ? 0 : (dh - 1 - iy) / dh;
        ptrdiff_t last = iy >= h ? 0 : (h - iy + dh - 1) / dh;
        if (last > (ptrdiff_t)t->kh)
            last = (ptrdiff_t)t->kh;
        c.taps_y = last > first ? (size_t)(last - first) : 0;
        c.x = t->x + (c.taps_y ? (iy + first * dh) * (ptrdiff_t)(t->w * VL) : 0);
        c.weights = t->weights + (c.taps_y ? first * (ptrdiff_t)(t->kw * VL) : 0);
        float *y = t->y + oy * t->ow * VL;
        for (size_t ox = 0; ox < t->ow;) {
            size_t step = width;
            if (ox + width > t->ow) {
                if (overlap)
                    ox = t->ow - width;
                else
                    step = 1;
            }
            c.ix = (ptrdiff_t)(ox * t->sw) - (ptrdiff_t)t->pl;
            c.y = y + ox * VL;
            const float *residual = t->residual ? t->residual + (oy * t->ow + ox) * VL : NULL;
            if (plain) {
                c.residual = residual;
                (step == width ? fn : f->w1)(&c);
            } else {
                float saved[8 * VL];
                memcpy(saved, residual, step * VL * sizeof *saved);
                (step == width ? fn : f->w1)(&c);
                add_residual(t, step * VL, saved, c.y);
            }
            ox += step;
        }
        if (!clamp && plain)
            OI_KNAME(unary)[t->act](t->ow * VL, y, y, t->p0, t->p1);
    }
}
