/* conv_bytes.h - convolutions of 8-bit integers to 8-bit integers, channels last, split into tasks. */
#ifndef OI_KERNELS_CONV_BYTES_H
#define OI_KERNELS_CONV_BYTES_H

#include "base/status.h"
#include "base/stop.h"
#include "kernels/kernels.h"

/*
 * y[n][oy][ox][o] = scaled(bias[o] + sum of (x - x_zero) * (w - w_zero[o])), x [n][h][w][c], y [n][oh][ow][oc], both int8 or
 * uint8; places outside of the image count as x_zero. A product of matrices is one of 1x1 over as many pixels as it has rows.
 * Sums are exact in int32 (wrapping).
 *
 * How to use it:
 *   prepare:  fill oi_conv_bytes_shape; oi_conv_bytes_plan_init; pack the weights, plan.packed bytes, 64-byte aligned, with
 *             oi_conv_bytes_pack: they depend on c, oc, kh, kw, groups, columns, w_signed and the table only; then fill an
 *             oi_conv_bytes_terms with plan.terms elements in each list.
 *   run:      oi_conv_bytes_run for each task < plan.n_tasks, on any thread, with plan.workspace bytes for each thread.
 */
typedef struct oi_conv_bytes_shape {
    size_t n, c, h, w, oc, oh, ow;
    size_t kh, kw, sh, sw, dh, dw;
    size_t pt, pl;
    size_t groups;
    bool x_signed, w_signed;
    bool columns; /* weights are [c][oc], of a matrix */
} oi_conv_bytes_shape;

typedef struct oi_conv_bytes_plan {
    const oi_kernels *kern;
    oi_conv_bytes_shape shape;
    size_t n_tasks;
    size_t workspace; /* bytes for each thread; may be 0 */
    size_t packed;    /* bytes of packed weights */
    size_t terms;     /* elements of each list of oi_conv_bytes_terms */
    /* The rest is the driver's own. */
    bool depthwise, direct;    /* direct: rows of pixels are used where they lie */
    size_t copies;             /* depthwise: of the channels, for pixels side by side; else 1 */
    size_t k, depth, quads;    /* products of an output; bytes of a row of them; depthwise: quads of taps */
    size_t panels, panel_size; /* of a group */
    size_t rows, blocks;       /* pixels (depthwise: output rows) of a block, blocks in all */
    size_t chunk, chunks;      /* panels of a task, tasks along them */
} oi_conv_bytes_plan;

/* Fails on sizes that overflow or do not fit together, and on depthwise ones with more taps than are supported. The split
 * depends on the shape only. */
oi_status oi_conv_bytes_plan_init(oi_conv_bytes_plan *plan, const oi_kernels *kern, const oi_conv_bytes_shape *shape);
/* Whether each channel is convolved by itself: w_zero must be 0 then (128 for uint8). */
bool oi_conv_bytes_is_depthwise(size_t c, size_t oc, size_t groups);

/* w [oc][c/groups][kh][kw], or [c][oc]. */
void oi_conv_bytes_pack(const oi_conv_bytes_plan *plan, const void *w, uint8_t *packed);

/* What is added to the sums and multiplied with them, by output channel in the kernels' order. */
typedef struct oi_conv_bytes_terms {
    int32_t *bias, *b_zero;
    float *factor;
    bool has_zero; /* some b_zero is not 0 */
    bool tame;     /* no factor is greater than 1/2 */
} oi_conv_bytes_terms;

/* Fills the lists from [oc] or NULL: bias, w_zero; factor has one element for all, or oc. */
void oi_conv_bytes_fill(const oi_conv_bytes_plan *plan, const uint8_t *packed, int32_t x_zero, const int32_t *bias, const int32_t *w_zero,
                        const float *factor, bool factor_many, oi_conv_bytes_terms *terms);

typedef struct oi_conv_bytes_args {
    const uint8_t *x, *packed;
    int32_t x_zero;
    const oi_conv_bytes_terms *terms;
    const oi_byte_scaling *scaling;
    const uint8_t *residual; /* laid out as y, may be y; NULL: none. Not for depthwise ones */
    uint8_t *y;
    oi_stop *stop;
} oi_conv_bytes_args;

void oi_conv_bytes_run(const oi_conv_bytes_plan *plan, const oi_conv_bytes_args *args, size_t task, void *workspace);

/* dst[c * rows + r] = src[r * columns + c]: bytes of a matrix of `rows` rows. Part: `count` columns from `first` on. */
void oi_bytes_transpose(size_t rows, size_t columns, size_t first, size_t count, const uint8_t *src, uint8_t *dst);

#endif
