/* conv.h - single precision convolution into the blocked layout, split into tasks. */
#ifndef OI_KERNELS_CONV_H
#define OI_KERNELS_CONV_H

#include "base/stop.h"
#include "base/status.h"
#include "kernels/kernels.h"

/*
 * 2-D convolution (1-D: h = kh = oh = 1 with strides and dilations 1). Output blocked
 * [n][ceil(oc/vl)][oh][ow][vl]; the input blocked as well, or plain [n][c][h][w] with in_plain. Any kernel,
 * stride, dilation, pads (per side), groups.
 *
 * How to use it:
 *   prepare:  fill oi_conv_shape (all fields; oi_conv_out_size helps); OI_TRY(oi_conv_plan_init(&plan,
 * kernels, &shape)); allocate plan.packed floats, 64-byte aligned, and for each part < oi_conv_pack_parts(&plan)
 * oi_conv_pack_part(&plan, w, scale, part, packed). The packed form depends only on c, oc, kh, kw, groups, transposed, in_plain (and for transposed
 * ones on strides and dilations) and the table, not on n, h, w or pads: one copy serves every input size.
 *   run:      for each task < plan.n_tasks, on any thread, in any order, at most one at a time on one
 * workspace: oi_conv_run(&plan, &args, task, workspace); workspace: plan.workspace floats, 64-byte aligned,
 * one for each thread; needs no clearing.
 */
typedef struct oi_conv_shape {
    size_t n, c, h, w;
    size_t oc, oh, ow;
    size_t kh, kw, sh, sw, dh, dw;
    size_t pt, pl; /* pads at the top and left; those at the bottom and right follow from oh and ow */
    size_t groups;
    bool in_plain;   /* x is [n][c][h][w]; meant for the first layer, fine for any */
    bool transposed; /* ConvTranspose: weights are [c][oc/groups][kh][kw]; pt, pl crop the output */
} oi_conv_shape;

typedef enum oi_conv_algo {
    OI_CONV_DIRECT,    /* taps straight from the input or from a padded strip */
    OI_CONV_POINTWISE, /* 1x1, stride 1, no pads: pixels flattened */
    OI_CONV_DEPTHWISE, /* one channel in, one out */
    OI_CONV_WINOGRAD   /* place kept; not chosen yet */
} oi_conv_algo;

typedef struct oi_conv_plan {
    const oi_kernels *kern;
    oi_conv_shape shape;
    oi_conv_algo algo;
    size_t n_tasks;
    size_t workspace; /* floats for each thread; may be 0 */
    size_t packed;    /* floats of packed weights */
    /* The rest is the driver's own. */
    size_t in_lanes;         /* channels of an input block: vl, or 1 for a plain input */
    size_t in_blocks;        /* input channel blocks in all */
    size_t panels;           /* register tile columns of the output, over all groups */
    size_t panel_blocks;     /* input blocks that the longest panel reads */
    size_t phase_h, phase_w; /* stride phases: 1 unless transposed */
    size_t rows, strips;     /* output rows of a task (pixels when flattened), tasks along them */
    size_t chunk, chunks;    /* panels of a task (depthwise: channel blocks), tasks along them */
    size_t strip_h, strip_w; /* the zero-padded copy of the input that a task makes, when `copy` is set */
    size_t strip_blocks;
    bool copy;
    bool gather;                   /* the strip holds the kh rows of each output row by themselves: dilated kernels */
} oi_conv_plan;

typedef struct oi_conv_args {
    const float *x;
    const float *weights; /* as oi_conv_pack_part wrote them */
    float *y;
    oi_epilogue epilogue; /* bias: [oc] exactly; residual: laid out as y */
    oi_stop *stop;        /* NULL: nobody stops it */
} oi_conv_args;

/* Output size along one axis: floor((in + pad_begin + pad_end - dilation (k - 1) - 1) / stride) + 1, 0 if
 * negative. */
size_t oi_conv_out_size(size_t in, size_t k, size_t stride, size_t dilation, size_t pad_begin,
                        size_t pad_end);

/*
 * Fills *plan. Fails on zero kernel, stride, dilation or groups, channels that groups do not divide, or sizes
 * that overflow. The split depends on the shape and the CPU, never on a thread count.
 */
oi_status oi_conv_plan_init(oi_conv_plan *plan, const oi_kernels *kern, const oi_conv_shape *shape);

/*
 * Packs weights [oc][c/groups][kh][kw] (transposed: [c][oc/groups][kh][kw]) into dst, plan->packed floats, by
 * parts, in any order and on any threads: part i of oi_conv_pack_parts. scale, when not NULL, holds oc factors
 * to multiply each output channel's weights with (a folded batch normalisation).
 */
size_t oi_conv_pack_parts(const oi_conv_plan *plan);
void oi_conv_pack_part(const oi_conv_plan *plan, const oi_loose_float *w, const float *scale, size_t i, float *dst);

/*
 * Packed weights times a factor for each input channel, which does the same as the factors on the input would:
 * dst, plan->packed floats, by parts i < oi_conv_scale_parts, in any order and on any threads. Pointwise
 * convolutions without groups only; for others there are 0 parts.
 */
size_t oi_conv_scale_parts(const oi_conv_plan *plan);
void oi_conv_scale_part(const oi_conv_plan *plan, const float *packed, const float *factor, size_t i, float *dst);

/* Runs one task; see above. y may be the residual, never x. */
void oi_conv_run(const oi_conv_plan *plan, const oi_conv_args *args, size_t task, float *workspace);

/* Floats of a blocked tensor of n images, c channels and `pixels` pixels, or 0 if that overflows size_t. */
size_t oi_blocked_size(const oi_kernels *kern, size_t n, size_t c, size_t pixels);

#endif
