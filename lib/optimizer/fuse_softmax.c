/* Softmax out of its pieces:
 *
 *   Div(e, ReduceSum(e, axis)), e * Reciprocal(ReduceSum(e, axis))  with  e = Exp(x - ReduceMax(x, axis))  -> Softmax(x, axis)
 *   d - Log(ReduceSum(Exp(d), axis))  with  d = x - ReduceMax(x, axis)                                  -> LogSoftmax(x, axis)
 *
 * Left alone: exponentials of x itself, which may overflow where Softmax does not. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>

/* v = op(x) over one axis, which stays with size 1: which; -1: it is not. */
static int64_t over_axis(const oi_graph *g, oi_value_id v, const char *op, oi_value_id x)
{
    const oi_node *n = oi_match_def(g, v, op);
    const oi_tensor *axes = n && n->nin > 1 && n->in[1] != OI_NONE ? oi_match_const(g, n->in[1]) : NULL;
    int32_t rank = oi_graph_fact(g, x)->shape.rank;
    if (!axes || n->in[0] != x || oi_tensor_count(axes) != 1 || oi_attr_int(n, "keepdims", 1) != 1)
        return -1;
    int64_t axis = oi_elem_get_int(axes->dtype, axes->data, 0);
    axis += axis < 0 ? rank : 0;
    return axis < rank ? axis : -1;
}

/* Puts op(x) over this axis in the place of old, where v = x - ReduceMax(x). */
static oi_status replace_shifted(oi_rewrite *rw, oi_value_id old, oi_value_id v, int64_t axis, const char *op)
{
    const oi_graph *g = rw->g;
    const oi_node *sub = v == OI_NONE ? NULL : oi_match_def(g, v, "Sub");
    if (!sub || axis < 0 || !oi_match_same(g, sub->in[0], old) || !oi_dtype_is_float(oi_graph_fact(g, old)->dtype) ||
        over_axis(g, sub->in[1], "ReduceMax", sub->in[0]) != axis)
        return ONNX_INFER_OK;
    char attrs[32];
    snprintf(attrs, sizeof attrs, "axis=%d", (int)axis);
    oi_value_id x = sub->in[0];
    oi_rewrite_replace(rw, old, oi_rewrite_op(rw, "", op, attrs, 1, &x));
    return rw->status;
}

oi_status oi_rule_softmax(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const bool quotient = oi_match_def(g, n.out[0], "Div") != NULL;
    for (uint32_t side = 0; n.nin == 2 && side < (quotient ? 1 : 2) && !rw->nreplace; side++) {
        const oi_value_id e = n.in[side], sum = quotient ? n.in[1] : oi_match_unary(g, n.in[1 - side], "Reciprocal");
        const oi_value_id shifted = oi_match_unary(g, e, "Exp");
        if (shifted != OI_NONE && sum != OI_NONE)
            OI_TRY(replace_shifted(rw, n.out[0], shifted, over_axis(g, sum, "ReduceSum", e), "Softmax"));
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_log_softmax(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_value_id sum = n.nin == 2 ? oi_match_unary(g, n.in[1], "Log") : OI_NONE;
    const oi_node *reduce = sum == OI_NONE ? NULL : oi_match_def(g, sum, "ReduceSum");
    if (!reduce || oi_match_unary(g, reduce->in[0], "Exp") != n.in[0])
        return ONNX_INFER_OK;
    return replace_shifted(rw, n.out[0], n.in[0], over_axis(g, sum, "ReduceSum", reduce->in[0]), "LogSoftmax");
}
