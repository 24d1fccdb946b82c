/* What the plain and the blocked convolution share. */
#ifndef OI_OPS_OP_CONV_H
#define OI_OPS_OP_CONV_H

#include "ops/window.h"

typedef struct {
    oi_window_attr window;
    int64_t group;
    oi_ints output_padding, output_shape; /* ConvTranspose */
} oi_conv_attr;

/* Channels against groups and weights [oc, ic/group, ...] (transposed: [ic, oc/group, ...]); *oc: output channels. */
oi_status oi_conv_check(const oi_conv_attr *a, bool transposed, const int64_t *x, int32_t w_rank, const int64_t *w,
                        int64_t *oc);
/* Completes the window of the inverted convolution for a transposed one: w->out = in, w->in = output sizes. */
oi_status oi_conv_transpose_resolve(const oi_conv_attr *a, const int64_t *in, oi_window *w);
/* Conv or ConvTranspose in float32 with constant weights and one or two spatial axes: to ReorderToBlocked,
 * ConvBlocked with PackConvWeights, ReorderFromBlocked. */
oi_status oi_conv_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target);


extern const oi_op oi_op_ConvTranspose;

#endif
