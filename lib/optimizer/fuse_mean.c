/* A mean written as a sum:
 *
 *   ReduceSum(x, axes) / n, ReduceSum(x, axes) * (1 / n)  -> ReduceMean(x, axes)     n: how many numbers each sum has
 *
 * Left alone: other divisors, sums that something else uses, sizes that are not known. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <string.h>

oi_status oi_rule_mean(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_node *sum = n.nin == 2 && oi_match_single_use(g, n.in[0]) ? oi_match_def(g, n.in[0], "ReduceSum") : NULL;
    const oi_tensor *axes = sum && sum->nin > 1 ? oi_match_const(g, sum->in[1]) : NULL;
    double divisor, count = 1;
    if (!axes || !oi_match_scalar(g, n.in[1], &divisor) || !oi_match_same(g, n.in[0], n.out[0]) ||
        !oi_dtype_is_float(oi_graph_fact(g, n.out[0])->dtype))
        return ONNX_INFER_OK;
    const oi_shape *s = &oi_graph_fact(g, sum->in[0])->shape;
    if (strcmp(n.op->name, "Mul") == 0)
        divisor = 1 / divisor;
    if (s->rank < 1 || oi_tensor_count(axes) < 1)
        return ONNX_INFER_OK;
    for (int64_t i = 0; i < oi_tensor_count(axes); i++) {
        int64_t axis = oi_elem_get_int(axes->dtype, axes->data, (size_t)i);
        axis += axis < 0 ? s->rank : 0;
        if (axis < 0 || axis >= s->rank || !oi_dim_is_number(s->dim[axis]))
            return ONNX_INFER_OK;
        count *= (double)s->dim[axis];
    }
    if (!(divisor > count * (1 - 1e-6) && divisor < count * (1 + 1e-6)))
        return ONNX_INFER_OK;
    const oi_value_id in[2] = {sum->in[0], sum->in[1]};
    const char *attrs = oi_attr_int(sum, "keepdims", 1) ? "keepdims=1" : "keepdims=0";
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "ReduceMean", attrs, 2, in));
    return rw->status;
}
