/* Softmax out of its pieces:
 *
 *   Div(e, ReduceSum(e, axis))  with  e = Exp(x - ReduceMax(x, axis))  -> Softmax(x, axis)
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

oi_status oi_rule_softmax(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    oi_value_id difference = n.nin == 2 ? oi_match_unary(g, n.in[0], "Exp") : OI_NONE;
    const oi_node *sub = difference == OI_NONE ? NULL : oi_match_def(g, difference, "Sub");
    if (!sub || !oi_match_same(g, sub->in[0], n.out[0]) || !oi_dtype_is_float(oi_graph_fact(g, n.out[0])->dtype))
        return ONNX_INFER_OK;
    int64_t axis = over_axis(g, n.in[1], "ReduceSum", n.in[0]);
    if (axis < 0 || over_axis(g, sub->in[1], "ReduceMax", sub->in[0]) != axis)
        return ONNX_INFER_OK;
    char attrs[32];
    snprintf(attrs, sizeof attrs, "axis=%d", (int)axis);
    oi_value_id x = sub->in[0];
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "Softmax", attrs, 1, &x));
    return rw->status;
}
