/* Channels that are scaled in front of a convolution, as squeeze-and-excitation does it, in blocked layout:
 *
 *   ConvBlocked(Mul(x, s), W)  -> ConvBlocked(x, W, s)      s [1, C / c, 1, 1, c], W of 1x1
 *
 * The convolution scales its weights in each run instead, and x is not written once more. Left alone: images with fewer pixels
 * than the convolution has outputs, whose weights are the larger part, batches, products that something else uses. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include "ops/op_conv_blocked.h"

static bool is_list(const oi_ints *list, int64_t value)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->at[i] != value)
            return false;
    }
    return true;
}

oi_status oi_rule_scaled_channels(oi_rewrite *rw, oi_node_id id)
{
    enum { SCALE = 4 };
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_conv_blocked_attr *a = n.attr;
    const oi_node *mul = oi_match_single_use(g, n.in[0]) ? oi_match_def(g, n.in[0], "Mul") : NULL;
    if (!mul || mul->nin != 2 || n.nin > SCALE || a->in_plain || a->transposed || a->group != 1 || !is_list(&a->kernel, 1) ||
        !is_list(&a->strides, 1) || !is_list(&a->pads, 0))
        return ONNX_INFER_OK;
    const oi_shape *image = &oi_graph_fact(g, n.in[0])->shape;
    if (image->rank != 5 || !oi_shape_is_concrete(image) || image->dim[0] != 1 || image->dim[2] != a->out.at[0] || image->dim[3] != a->out.at[1] ||
        image->dim[2] * image->dim[3] <= a->out_channels)
        return ONNX_INFER_OK;
    for (uint32_t side = 0; side < 2; side++) {
        const oi_shape *s = &oi_graph_fact(g, mul->in[side])->shape;
        const oi_fact *x = oi_graph_fact(g, mul->in[1 - side]);
        if (s->rank != 5 || !oi_shape_is_concrete(s) || s->dim[0] != 1 || s->dim[1] != image->dim[1] || s->dim[2] != 1 || s->dim[3] != 1 ||
            s->dim[4] != image->dim[4] || !oi_match_same(g, mul->in[1 - side], n.in[0]) || x->dtype != ONNX_INFER_FLOAT)
            continue;
        oi_value_id in[SCALE + 1] = {mul->in[1 - side], n.in[1], OI_NONE, OI_NONE, mul->in[side]};
        for (uint32_t i = 2; i < n.nin; i++)
            in[i] = n.in[i];
        oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, SCALE + 1, in));
        return rw->status;
    }
    return ONNX_INFER_OK;
}
