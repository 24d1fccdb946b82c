/* Activations that exporters write in pieces. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

static void replace_by(oi_rewrite *rw, oi_value_id old, const char *op, const char *attrs, oi_value_id x)
{
    if (x != OI_NONE && oi_match_same(rw->g, x, old) && oi_dtype_is_float(oi_graph_fact(rw->g, x)->dtype))
        oi_rewrite_replace(rw, old, oi_rewrite_op(rw, "", op, attrs, 1, &x));
}

/* v = Clip(x + 3, 0, 6): x */
static oi_value_id relu6_of_plus_3(const oi_graph *g, oi_value_id v)
{
    oi_value_id sum = oi_match_clip(g, v, 0, 6);
    return sum == OI_NONE ? OI_NONE : oi_match_with_scalar(g, sum, "Add", 3);
}

static oi_value_id sixth_of(const oi_graph *g, oi_value_id v)
{
    oi_value_id x = oi_match_with_scalar(g, v, "Div", 6);
    return x != OI_NONE ? x : oi_match_with_scalar(g, v, "Mul", 1.0 / 6);
}

oi_status oi_rule_hard_sigmoid(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    oi_value_id out = g->node[id].out[0], six = sixth_of(g, out);
    if (six != OI_NONE)
        replace_by(rw, out, "HardSigmoid", "alpha=0.16666667, beta=0.5", relu6_of_plus_3(g, six));
    return rw->status;
}

static bool is_hard_sigmoid(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    const oi_node *n = oi_match_def(g, v, "HardSigmoid");
    const float *alpha = n ? oi_attr_field(n, "alpha") : NULL, *beta = n ? oi_attr_field(n, "beta") : NULL;
    return alpha && beta && n->in[0] == x && *alpha > 0.166666f && *alpha < 0.166667f && *beta == 0.5f;
}

oi_status oi_rule_hard_swish(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node *n = &g->node[id];
    oi_value_id out = n->out[0], product = sixth_of(g, out);
    if (n->nin != 2)
        return ONNX_INFER_OK;
    for (uint32_t side = 0; side < 2; side++) {
        oi_value_id x = n->in[side];
        if (oi_match_other(g, out, "Mul", x) != OI_NONE && is_hard_sigmoid(g, n->in[1 - side], x)) {
            replace_by(rw, out, "HardSwish", "", x);
            return rw->status;
        }
    }
    const oi_node *mul = product == OI_NONE ? NULL : oi_match_def(g, product, "Mul");
    for (uint32_t side = 0; mul && mul->nin == 2 && side < 2; side++) {
        if (relu6_of_plus_3(g, mul->in[side]) == mul->in[1 - side] && mul->in[1 - side] != OI_NONE) {
            replace_by(rw, out, "HardSwish", "", mul->in[1 - side]);
            return rw->status;
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_swish(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node *n = &g->node[id];
    for (uint32_t side = 0; n->nin == 2 && side < 2; side++) {
        oi_value_id x = n->in[side];
        if (oi_match_unary(g, n->in[1 - side], "Sigmoid") == x && x != OI_NONE) {
            replace_by(rw, n->out[0], "Swish", "", x);
            return rw->status;
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_mish(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node *n = &g->node[id];
    for (uint32_t side = 0; n->nin == 2 && side < 2; side++) {
        oi_value_id x = n->in[side], t = oi_match_unary(g, n->in[1 - side], "Tanh");
        if (t != OI_NONE && oi_match_unary(g, t, "Softplus") == x) {
            replace_by(rw, n->out[0], "Mish", "", x);
            return rw->status;
        }
    }
    return ONNX_INFER_OK;
}

/* The other operand of Min or Max beside a scalar. */
static oi_value_id beside_scalar(const oi_graph *g, const oi_node *n, oi_value_id *bound, double *value)
{
    for (uint32_t side = 0; n && n->nin == 2 && side < 2; side++) {
        *bound = n->in[side];
        if (oi_match_scalar(g, n->in[side], value) && oi_graph_fact(g, n->in[side])->shape.rank == 0)
            return n->in[1 - side];
    }
    return OI_NONE;
}

oi_status oi_rule_clip(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    oi_value_id out = g->node[id].out[0], high, low;
    double a, b;
    oi_value_id inner = beside_scalar(g, oi_match_def(g, out, "Min"), &high, &b);
    oi_value_id x = inner == OI_NONE ? OI_NONE : beside_scalar(g, oi_match_def(g, inner, "Max"), &low, &a);
    if (x == OI_NONE || !(a <= b) || !oi_match_same(g, x, out) || oi_graph_fact(g, x)->dtype != ONNX_INFER_FLOAT)
        return ONNX_INFER_OK;
    oi_value_id in[3] = {x, low, high};
    oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "Clip", "", 3, in));
    return rw->status;
}
