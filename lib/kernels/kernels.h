/* kernels.h - the table of fp32 vector kernels, one per instruction set; see gemm.h and conv.h for what is
 * built on it. */
#ifndef OI_KERNELS_KERNELS_H
#define OI_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* A float at any address, aligned or not: weights are read where they lie in a file. */
typedef float oi_loose_float __attribute__((aligned(1)));

/*
 * General contract of every function in this directory.
 *   - Pointers are float data, 4-byte aligned, those to oi_loose_float not even that; 64-byte aligned data is fastest.
 *   - Sizes and strides count floats, never bytes. A size of 0 does nothing.
 *   - No allocation, no locks, no global state: safe from any thread on disjoint outputs.
 *   - Results do not depend on how the caller splits rows, planes or tasks over threads.
 *   - NaN and infinity go through as IEEE 754 asks.
 *
 * Blocked layout ("NCHWc"): [N][ceil(C/c)][H][W][c] with c = oi_kernels.vl. The lanes beyond C in the last
 * block are kept at zero by conv, reorder and pooling; elementwise kernels may run over them but f(0) != 0
 * breaks that, which is harmless: no kernel ever lets a padding lane reach a real one.
 */

/*
 * Unary functions; each is also an activation that conv and gemm can apply. p0 and p1 mean what the line says
 * and are ignored elsewhere. Largest errors over all arguments, in units of the last place, as `test_kernels
 * --sweep` finds them: exp 1.0, log 0.9, erf 2.0, tanh 2.6, sigmoid 2.5, swish 2.4, elu 1.7, selu 2.1,
 * celu 2.3, softplus 2.5, mish 4.6, gelu by tanh 7 (or 1e-8), gelu by erf 1 (or 2e-7, where 1 + erf cancels);
 * the rest is rounded as its expression says.
 */
typedef enum oi_unary {
    OI_UNARY_NONE = 0,         /* x */
    OI_UNARY_RELU,             /* max(x, 0) */
    OI_UNARY_CLIP,             /* min(max(x, p0), p1); p0, p1 may be infinite */
    OI_UNARY_LEAKY_RELU,       /* x < 0 ? p0 x : x */
    OI_UNARY_THRESHOLDED_RELU, /* x > p0 ? x : 0 */
    OI_UNARY_HARD_SIGMOID,     /* max(0, min(1, p0 x + p1)) */
    OI_UNARY_HARD_SWISH,       /* x max(0, min(1, x/6 + 1/2)) */
    OI_UNARY_SIGMOID,          /* 1 / (1 + exp(-x)); always within 0..1 */
    OI_UNARY_SWISH,            /* x sigmoid(p0 x); p0 = 1 is SiLU, 1.702 QuickGelu */
    OI_UNARY_TANH,
    OI_UNARY_GELU_ERF,  /* x/2 (1 + erf(x / sqrt 2)) */
    OI_UNARY_GELU_TANH, /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    OI_UNARY_MISH,      /* x tanh(log(1 + exp(x))) */
    OI_UNARY_ELU,       /* x < 0 ? p0 (exp(x) - 1) : x */
    OI_UNARY_SELU,      /* p1 (x < 0 ? p0 (exp(x) - 1) : x), p0 alpha, p1 gamma */
    OI_UNARY_CELU,      /* max(0, x) + min(0, p0 (exp(x/p0) - 1)) */
    OI_UNARY_SOFTPLUS,  /* log(1 + exp(x)) */
    OI_UNARY_SOFTSIGN,  /* x / (1 + |x|) */
    OI_UNARY_EXP,
    OI_UNARY_LOG,
    OI_UNARY_ERF,
    OI_UNARY_SQRT,
    OI_UNARY_RSQRT,      /* 1 / sqrt(x), two correctly rounded steps */
    OI_UNARY_RECIPROCAL, /* 1 / x, correctly rounded */
    OI_UNARY_ABS,
    OI_UNARY_NEG,
    OI_UNARY_FLOOR,
    OI_UNARY_CEIL,
    OI_UNARY_ROUND, /* half to even */
    OI_UNARY_SIGN,
    OI_UNARY_SQUARE,
    OI_UNARY_AFFINE, /* p0 x + p1, product rounded before the sum */
    OI_UNARY_SIN,
    OI_UNARY_COS,
    OI_UNARY_QUANTISE_U8, /* p0 (clamp(round(x / p0) + p1, 0, 255) - p1): to uint8 and back; NaN as the least */
    OI_UNARY_QUANTISE_S8, /* the same between -128 and 127 */
    OI_UNARY_COUNT
} oi_unary;

/* Binary functions. MIN and MAX give NaN when either side is NaN. */
typedef enum oi_binary {
    OI_BINARY_ADD = 0,
    OI_BINARY_SUB,
    OI_BINARY_MUL,
    OI_BINARY_DIV,
    OI_BINARY_MIN,
    OI_BINARY_MAX,
    OI_BINARY_POW,
    OI_BINARY_PRELU, /* a < 0 ? a b : a */
    OI_BINARY_COUNT
} oi_binary;

typedef enum oi_reduce {
    OI_REDUCE_SUM = 0,
    OI_REDUCE_SUM_SQUARE,
    OI_REDUCE_SUM_ABS,
    OI_REDUCE_MAX, /* NaN if any element is NaN */
    OI_REDUCE_MIN,
    OI_REDUCE_PROD,
    OI_REDUCE_COUNT
} oi_reduce;

/* y[i] = f(x[i]), i < n. y may be x. */
typedef void oi_unary_fn(size_t n, const float *x, float *y, float p0, float p1);

/*
 * How the operands of a binary kernel meet, for a result of `rows` rows of `n` floats. a, b and y advance by
 * `as`, `bs`, `ys` floats a row; a stride of 0 repeats the same row. With `a_scalar` (`b_scalar`) the operand
 * holds one float a row instead of n. So: same shape        rows 1, n all scalar on a side  rows 1, n all,
 * that side's *_scalar set row repeated      rows R, n = row length, as = ys = n, bs = 0 per channel rows
 * N*C, n = inner run, b_scalar set, bs = 1 (the caller loops over N when N > 1) y may be a or b where their
 * elements coincide.
 */
typedef struct oi_binary_args {
    size_t rows, n;
    const float *a, *b;
    float *y;
    size_t as, bs, ys;
    bool a_scalar, b_scalar;
} oi_binary_args;
typedef void oi_binary_fn(const oi_binary_args *args);

/* y[r] = reduction of x[r * stride .. + n), r < rows. n = 0 gives 0 (1 for PROD, -inf for MAX, inf for MIN).
 */
typedef void oi_reduce_inner_fn(size_t rows, size_t n, const float *x, size_t stride, float *y);

/* y[i] = reduction over r < rows of x[r * stride + i], i < n. */
typedef void oi_reduce_outer_fn(size_t rows, size_t n, const float *x, size_t stride, float *y);

/* Softmax or log-softmax of each of `rows` rows of n contiguous floats. y may be x. */
typedef void oi_softmax_fn(size_t rows, size_t n, const float *x, float *y);

/*
 * Normalises each of `rows` rows of n contiguous floats: y = (x - mean) / sqrt(var + eps) * gamma + beta,
 * variance over n. `add`, when not NULL, is added to x first (a skip connection) and the sum is stored in
 * `sum` when that is not NULL. gamma and beta [n] may be NULL. mean and inv_std, when not NULL, receive one
 * float a row. With `rms` set the mean is taken as 0 (RMS normalisation). y and sum may be x.
 */
typedef struct oi_norm_args {
    size_t rows, n;
    const float *x, *add, *gamma, *beta;
    float *y, *sum, *mean, *inv_std;
    float eps;
    bool rms;
} oi_norm_args;
typedef void oi_norm_fn(const oi_norm_args *args);

/* dst[c * dst_ld + r] = src[r * src_ld + c] for r < rows, c < cols. src and dst do not overlap. */
typedef void oi_transpose_fn(size_t rows, size_t cols, const oi_loose_float *src, size_t src_ld, float *dst,
                             size_t dst_ld);

/*
 * Blocked layout, one image. to_blocked: src [channels][pixels] -> dst [ceil(channels/vl)][pixels][vl],
 * padding lanes zeroed. from_blocked: the way back. To split an image, pass a run of whole blocks, or of `count`
 * pixels of an image of `pixels`: src and dst then stand at the first.
 */
typedef void oi_reorder_fn(size_t channels, size_t pixels, size_t count, const float *src, float *dst);

/* y[p][l] = x[p][l] * scale[l] + shift[l] over one channel block: pixels p, lanes l < vl. scale, shift: vl
 * floats; either may be NULL (1 and 0). y may be x. */
typedef void oi_scale_shift_fn(size_t pixels, const float *x, const float *scale, const float *shift,
                               float *y);

/* Sum of each lane over the pixels of one channel block; y: vl floats, overwritten. */
typedef void oi_lane_sum_fn(size_t pixels, const float *x, float *y);

typedef enum oi_pool_kind {
    OI_POOL_MAX,
    OI_POOL_AVERAGE,           /* over the taps inside the image */
    OI_POOL_AVERAGE_WITH_PADS, /* pads count as zeros; taps beyond the padded image (ceil mode) never count */
    OI_POOL_SUM_SQUARE         /* for Lp pooling with p = 2 */
} oi_pool_kind;

/* A pooling window over one channel block plane [h][w][vl] -> [oh][ow][vl]. Input row iy = oy * sh - pt + ky
 * * dh. */
typedef struct oi_pool_shape {
    oi_pool_kind kind;
    size_t h, w, oh, ow;
    size_t kh, kw, sh, sw, dh, dw;
    size_t pt, pl, pb, pr;
} oi_pool_shape;

/* Output rows [oy0, oy1) of one plane; x and y point to the plane's start. A window without any tap in the
 * image gives -inf (MAX) or 0. To split over threads: by planes (N * channel blocks), by rows, or both. */
typedef void oi_pool_fn(const oi_pool_shape *s, const float *x, float *y, size_t oy0, size_t oy1);

/* y[r] = dot(x[0..k), b[r * ldb .. + k)), r < rows. */
typedef void oi_dot_rows_fn(size_t rows, size_t k, const float *x, const oi_loose_float *b, size_t ldb, float *y);

/*
 * A part of n scores of each of `rows` rows, ld floats apart, becomes exp(x - max) in place, where max[r] is the largest
 * score of the row up to here: the larger of max[r] and this part's. What was summed before must be multiplied by
 * factor[r]; sum[r], the sum of the exponentials, has been. Start with max -inf and sum 0. Scores of -inf become 0, also
 * where a row has nothing else (max stays -inf then, and sum 0); NaN makes the whole row NaN.
 */
typedef struct oi_soften_args {
    size_t rows, n;
    float *x;
    size_t ld;
    float *max, *sum, *factor;
} oi_soften_args;
typedef void oi_soften_fn(const oi_soften_args *args);

/* x[r][i] stays where mask[r * mask_ld + i] is true (false with `inverted`) and becomes `fill` elsewhere. */
typedef void oi_keep_fn(size_t rows, size_t n, const uint8_t *mask, size_t mask_ld, bool inverted, float fill, float *x,
                        size_t ld);

/*
 * Turns n / 2 pairs of a row: (u, v) becomes (u cos - v sin, v cos + u sin). A pair is x[i] and x[i + n/2], or x[2i] and
 * x[2i + 1] if `interleaved`. With `half`, cosines and sines hold one element for each pair, else one for each element.
 */
typedef struct oi_rotate_args {
    size_t n; /* even */
    bool interleaved, half;
    const float *x, *cosines, *sines;
    float *y; /* not x */
} oi_rotate_args;
typedef void oi_rotate_fn(const oi_rotate_args *args);

/*
 * The register-tile kernel under conv and gemm (use those; this is for the drivers in this directory). It
 * computes C[r][j] = act(alpha * sum(A[r][i] * B[i][j]) + bias[j] + row_bias[r] + beta * residual[r][j]) for
 * mr rows and nv vectors of columns, holding the tile in registers over the whole reduction. Reduction: tap t
 * < ntaps0 reads kc0 consecutive floats of each row from a + taps[t]; then ntaps1 more taps (taps[ntaps0...])
 * read kc1 floats each. B is [tap][k][bs] with bs floats from one k to the next. Rows: the first mr - mr/2
 * rows lie a_row floats apart, the other mr/2 start at a_half (floats from a) and lie a_row apart as well; c
 * and residual likewise. For evenly spaced rows a_half = (mr - mr/2) * a_row. Columns: vector v of a row lies
 * at v * c_vec floats; `lanes` (1..vl) of the last vector are stored.
 */
typedef struct oi_tile_args {
    const float *a, *b;
    const ptrdiff_t *taps;
    size_t ntaps0, kc0, ntaps1, kc1;
    ptrdiff_t a_row, a_half;
    size_t bs;
    const float
        *prefetch; /* with each k, the next cache line from here is fetched towards the core; NULL: none */
    float *c;
    ptrdiff_t c_row, c_half, c_vec;
    size_t lanes;
    bool accumulate; /* start from what C holds (then neither alpha nor an epilogue has been applied to it) */
    bool finish;     /* apply alpha, biases, residual and activation */
    bool residual_after; /* add the residual after the activation */
    float alpha, beta;
    const float *bias;     /* nv * vl floats readable, or `lanes` of the last vector; NULL: none */
    const float *row_bias; /* one float a row, rows in order; NULL: none */
    const float *residual; /* NULL: none */
    ptrdiff_t r_row, r_half, r_vec;
    oi_unary act;
    float p0, p1;
} oi_tile_args;
typedef void oi_tile_fn(const oi_tile_args *args);

/*
 * Depthwise convolution of output rows [oy0, oy1) of one channel block plane; x [h][w][vl], w [kh][kw][vl], y
 * [oh][ow][vl], bias vl floats or NULL, residual like y or NULL; it may be y. Taps outside the image
 * count as zeros. Split over threads as pooling.
 */
typedef struct oi_depthwise_args {
    size_t h, w, oh, ow;
    size_t kh, kw, sh, sw, dh, dw;
    size_t pt, pl;
    const float *x, *weights, *bias, *residual;
    float *y;
    float beta;          /* factor of the residual */
    bool residual_after; /* add it after the activation */
    oi_unary act;
    float p0, p1;
} oi_depthwise_args;
typedef void oi_depthwise_fn(const oi_depthwise_args *args, size_t oy0, size_t oy1);

/*
 * Products of uint8 by int8, exact in int32 (wrapping): c[r][j] = sum of a[r][4 q + s] * b[q][j][s] over q < quads, s < 4, for
 * r < rows <= OI_BYTES_ROWS and all j < OI_BYTES_COLUMNS. Strides in elements; b is dense. See bytes.h.
 */
enum { OI_BYTES_ROWS = 6, OI_BYTES_COLUMNS = 32 };
typedef void oi_byte_tile_fn(size_t rows, size_t quads, const uint8_t *a, size_t a_stride, const int8_t *b, int32_t *c, size_t c_stride);

/* y[i] = round(x[i] / scale) + zero, half to even, saturated to uint8 (NaN as the lowest), i < n; `zero` is a whole number
 * of 0..255. Returns the sum of y (wrapping). */
typedef int32_t oi_to_bytes_fn(size_t n, const float *x, float scale, float zero, uint8_t *y);

/* A row of a panel's results as floats: y[j] = (c[j] - a_zero * sums[j] + b_zero[j] * shared) * (factor * scale[j]) + add[j]
 * for all j < OI_BYTES_COLUMNS, the sum in wrapping int32. b_zero NULL: zeros. Nothing overlaps. */
typedef struct oi_byte_floats_args {
    const int32_t *c, *sums, *b_zero;
    int32_t a_zero, shared;
    float factor;
    const float *scale, *add;
    float *y;
} oi_byte_floats_args;
typedef void oi_byte_floats_fn(const oi_byte_floats_args *args);

/*
 * How int32 sums become bytes: v = sum * factor, clamped to low..high and rounded half to even. Without a residual the result
 * is v + zero. With one, v * scale + (r - r_zero) * r_scale is divided by y_scale, clamped to y_low..y_high and rounded;
 * y_zero is added. Bounds are relative to the zero points; NaN becomes the lower one.
 */
typedef struct oi_byte_scaling {
    float low, high;
    int32_t zero;
    float scale, r_scale, y_scale, y_low, y_high;
    int32_t r_zero, y_zero;
    bool r_signed;
} oi_byte_scaling;

/*
 * One panel of a convolution or product of bytes: for each row, sum[j] = bias[j] + a . b[j] (+ b_zero[j] * row_term[row]),
 * scaled and stored as `columns` bytes. a: uint8 rows of 4 * quads bytes; b as byte_tile's. residual like y; it may be y.
 */
typedef struct oi_byte_panel_args {
    size_t rows, quads, columns; /* columns: 1 .. OI_BYTES_COLUMNS */
    const uint8_t *a;
    size_t a_stride;
    const int8_t *b;
    const int32_t *bias;    /* these four: OI_BYTES_COLUMNS */
    const float *factor;
    const int32_t *b_zero;  /* NULL: all 0 */
    const int32_t *row_term;
    bool tame;              /* no factor is greater than 1/2 */
    const oi_byte_scaling *scaling;
    const uint8_t *residual; /* NULL: none */
    size_t residual_stride;
    uint8_t *y;
    size_t y_stride;
} oi_byte_panel_args;
typedef void oi_byte_panel_fn(const oi_byte_panel_args *args);

/*
 * Depthwise convolution of bytes, channels last, for a run of `pixels` outputs: sum[c] = bias[c] + sum over taps of
 * (tap[t][i * step + c] ^ flip) * weight[t][c], scaled without a residual and stored at y[i * y_step + c]. weights, bias and
 * factor lie in blocks of 16 * byte_lanes channels: place 4 i lanes + 4 lane + d of a block is channel 16 lane + 4 i + d;
 * weights are [block][quad][place][4], with one lane [block][tap][place].
 */
typedef struct oi_byte_depthwise_args {
    size_t pixels, step, y_step, channels, quads;
    const uint8_t *const *tap; /* 4 * quads; those without a weight read anything */
    uint8_t flip;
    const int8_t *weights;
    const int32_t *bias;
    const float *factor;
    bool tame;
    const oi_byte_scaling *scaling;
    uint8_t *y;
} oi_byte_depthwise_args;
typedef void oi_byte_depthwise_fn(const oi_byte_depthwise_args *args);

/* y[i] from (a[i] - zero) * scale as the sum before a residual, and r[i] as the residual; they are added, or multiplied. y may
 * be a or r. */
typedef struct oi_byte_binary_args {
    size_t n;
    const uint8_t *a, *r;
    uint8_t *y;
    bool a_signed, product;
    const oi_byte_scaling *scaling; /* low and high are not used */
} oi_byte_binary_args;
typedef void oi_byte_binary_fn(const oi_byte_binary_args *args);

enum { OI_TILE_MAX_NV = 4, OI_TILE_MAX_MR = 28 };

/*
 * A row of weights of 2, 4 or 8 bits (the first one lowest in its byte) in `blocks` blocks of `block` elements, a
 * multiple of 16: weight = (number - zero point) * scale of its block. Zero points are floats, or packed as the numbers
 * are, or (both NULL) the middle.
 */
typedef struct oi_nbits_row {
    size_t blocks, block;
    unsigned bits;
    const uint8_t *q, *zero;
    const float *scale, *zero_float;
} oi_nbits_row;

/* out: blocks * block floats. */
typedef void oi_nbits_expand_fn(const oi_nbits_row *row, float *out);
/* The product with a, which has blocks * block elements too. */
typedef float oi_nbits_dot_fn(const oi_nbits_row *row, const float *a);

/* XXH3-128 of n bytes. */
typedef void oi_hash_fn(const void *p, size_t n, uint64_t *low, uint64_t *high);

/* One instruction set's kernels. Every pointer is set except unused entries of `tile`. */
typedef struct oi_kernels {
    const char *name;
    oi_cpu_isa isa;
    size_t vl; /* floats in a vector: the channel block of the blocked layout */
    /* tile[nv][mr] computes mr x nv vectors, for mr = 1 .. max_mr[nv] without gaps; max_mr is 0 where nv is
     * unused. */
    const uint8_t *max_mr; /* [OI_TILE_MAX_NV + 1] */
    oi_tile_fn *const (*tile)[OI_TILE_MAX_MR + 1];
    oi_depthwise_fn *depthwise;
    oi_unary_fn *const *unary;               /* [OI_UNARY_COUNT] */
    oi_binary_fn *const *binary;             /* [OI_BINARY_COUNT] */
    oi_reduce_inner_fn *const *reduce_inner; /* [OI_REDUCE_COUNT] */
    oi_reduce_outer_fn *const *reduce_outer; /* [OI_REDUCE_COUNT] */
    oi_softmax_fn *softmax, *log_softmax;
    oi_norm_fn *norm;
    oi_transpose_fn *transpose;
    oi_reorder_fn *to_blocked, *from_blocked;
    oi_scale_shift_fn *scale_shift;
    oi_lane_sum_fn *lane_sum;
    oi_pool_fn *pool;
    oi_dot_rows_fn *dot_rows;
    oi_soften_fn *soften;
    oi_keep_fn *keep;
    oi_nbits_expand_fn *nbits_expand;
    oi_nbits_dot_fn *nbits_dot;
    oi_hash_fn *hash;
    oi_rotate_fn *rotate;
    oi_to_bytes_fn *to_bytes;
    oi_byte_floats_fn *byte_floats;
    oi_byte_tile_fn *byte_tile, *byte_tile_basic; /* with instructions beyond the level where the CPU has them; without */
    oi_byte_panel_fn *byte_panel, *byte_panel_basic;
    oi_byte_depthwise_fn *byte_depthwise, *byte_depthwise_basic;
    oi_byte_binary_fn *byte_binary;
    size_t byte_lanes; /* of 16 channels, in a block of byte_depthwise */
} oi_kernels;

/*
 * The best table compiled into this library at or below `isa` that this CPU can run; OI_ISA_COUNT means no
 * cap. Never NULL (the generic table is always there). Usually called as oi_kernels_for(oi_cpu_isa_detect()).
 */
const oi_kernels *oi_kernels_for(oi_cpu_isa isa);

/* What conv and gemm apply to a finished tile: act(value + bias + beta * residual), see oi_epilogue_none. */
typedef struct oi_epilogue {
    const float *bias; /* gemm: [n] columns; conv: [oc]. NULL: none */
    const float
        *residual; /* gemm: [m][ldr], not C; conv: laid out as the output, may be the output. NULL: none */
    float beta;    /* factor of the residual, usually 1 */
    bool residual_after; /* act(value + bias) + beta * residual instead */
    oi_unary act;
    float p0, p1;
} oi_epilogue;

/* An epilogue that does nothing; start from it and set what is needed. */
static inline oi_epilogue oi_epilogue_none(void)
{
    oi_epilogue e = {0};
    e.beta = 1.0f;
    return e;
}

#endif
