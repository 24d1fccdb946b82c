/* Lowered convolution and the operators around the blocked layout. A blocked value is an ordinary tensor of rank 5,
 * [N, ceil(C / c), H, W, c] with c the kernels' vector length; a signal of one spatial axis has H = 1. */
#ifndef OI_OPS_OP_CONV_BLOCKED_H
#define OI_OPS_OP_CONV_BLOCKED_H

#include "ops/activation.h"
#include "ops/op.h"
#include "ops/target.h"

/* ConvBlocked(X blocked or plain, W packed, bias [oc]?, residual blocked?, scale?) -> blocked. Also transposed. With a scale, a
 * blocked image of one pixel, X times that is convolved: 1x1 without strides, pads and groups, one sample. */
typedef struct {
    int64_t isa;                 /* whose packing and block: oi_cpu_isa */
    int64_t channels, out_channels, group;
    oi_ints kernel, strides, dilations; /* 2 each */
    oi_ints pads;                /* top, left, bottom, right */
    oi_ints out;                 /* output height and width */
    int64_t transposed, in_plain;
    oi_activation act;
} oi_conv_blocked_attr;

/* PackConvWeights(W, scale [oc]?) -> the kernels' packed form; a pure function of these and W, folded at planning. */
typedef struct {
    int64_t isa, channels, out_channels, group;
    oi_ints kernel, strides, dilations;
    int64_t transposed, in_plain;
} oi_pack_conv_attr;

typedef struct {
    int64_t block;         /* ReorderToBlocked */
    int64_t channels_last; /* of [N, H, W, C] or [N, W, C] */
} oi_to_blocked_attr;

typedef struct {
    int64_t channels, rank; /* ReorderFromBlocked: to [N, channels, H, W], or of rank 3 to [N, channels, W] */
    int64_t channels_last;  /* to [N, H, W, channels] or [N, W, channels] */
    int64_t space, crd;     /* space > 1: the input has channels * space^2 of them, which DepthToSpace would put into the image */
} oi_from_blocked_attr;

extern const oi_op oi_op_oi_ConvBlocked, oi_op_oi_PackConvWeights, oi_op_oi_ReorderToBlocked, oi_op_oi_ReorderFromBlocked;

#endif
