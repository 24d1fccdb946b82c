/* Products with a scalar constant move against the data: through operators that only move elements, through sums with a
 * constant, into one operand of a matrix product, and in the end into constant weights. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <string.h>

static bool is_mover(const oi_node *n)
{
    static const char *const ops[] = {"Transpose", "Reshape", "Unsqueeze", "Squeeze", "Flatten"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (!n->op->domain[0] && strcmp(n->op->name, ops[i]) == 0)
            return true;
    }
    return false;
}

/* v is made by an operator that takes a factor in without a step more, perhaps behind movers. */
static bool takes_factor(const oi_graph *g, oi_value_id v)
{
    enum { LONGEST = 8 };
    for (int i = 0; i < LONGEST && oi_match_single_use(g, v) && g->value[v].def != OI_NONE; i++) {
        const oi_node *n = &g->node[g->value[v].def];
        const oi_node *product = oi_match_def(g, v, "MatMul");
        if (product)
            return oi_graph_fact(g, product->in[1])->konst != NULL;
        const oi_node *sum = oi_match_def(g, v, "Add");
        if (sum && oi_graph_fact(g, sum->in[1])->konst)
            v = sum->in[0];
        else if (sum && oi_graph_fact(g, sum->in[0])->konst)
            v = sum->in[1];
        else if (is_mover(n))
            v = n->in[0];
        else
            return false;
    }
    return false;
}

static oi_value_id scaled(oi_rewrite *rw, oi_value_id v, double factor, oi_dtype dtype)
{
    oi_tensor t = {0};
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), dtype, 0, NULL, &t);
    if (!rw->status)
        oi_elem_set_double(dtype, t.data, 0, factor);
    oi_value_id in[2] = {v, oi_rewrite_const(rw, &t)};
    return oi_rewrite_op(rw, "", "Mul", "", 2, in);
}

/* `old` = factor * v becomes the maker of v with a scaled operand. */
static oi_status move_up(oi_rewrite *rw, oi_value_id old, oi_value_id v, double factor)
{
    const oi_graph *g = rw->g;
    const oi_node maker = g->node[g->value[v].def];
    const oi_dtype dtype = oi_graph_fact(g, v)->dtype;
    enum { MOST = 4 };
    oi_value_id in[MOST];
    if (maker.nin > MOST)
        return ONNX_INFER_OK;
    memcpy(in, maker.in, maker.nin * sizeof *in);
    if (oi_match_def(g, v, "MatMul")) {
        uint32_t side = oi_graph_fact(g, in[1])->konst ? 1 : takes_factor(g, in[0]) ? 0 : takes_factor(g, in[1]) ? 1 : MOST;
        if (side == MOST)
            return ONNX_INFER_OK;
        in[side] = scaled(rw, in[side], factor, dtype);
    } else if (oi_match_def(g, v, "Add")) {
        in[0] = scaled(rw, in[0], factor, dtype);
        in[1] = scaled(rw, in[1], factor, dtype);
    } else {
        in[0] = scaled(rw, in[0], factor, dtype);
    }
    oi_rewrite_replace(rw, old, oi_rewrite_node(rw, maker.op, maker.attr, maker.nin, in));
    return rw->status;
}

oi_status oi_rule_scalar_up(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    double c;
    if (n.nin != 2 || !oi_match_scalar(g, n.in[1], &c) || c == 0 || !oi_match_single_use(g, n.in[0]) ||
        !oi_match_same(g, n.in[0], n.out[0]) || oi_graph_fact(g, n.out[0])->dtype != ONNX_INFER_FLOAT)
        return ONNX_INFER_OK;
    if (strcmp(n.op->name, "Div") == 0)
        c = 1 / c;
    const oi_node *product = oi_match_def(g, n.in[0], "MatMul");
    if (takes_factor(g, n.in[0]) || (product && (takes_factor(g, product->in[0]) || takes_factor(g, product->in[1]))))
        return move_up(rw, n.out[0], n.in[0], c);
    return ONNX_INFER_OK;
}

/* MatMul(a * c, b * d) = MatMul(a * (c d), b) */
oi_status oi_rule_two_factors(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    double c[2];
    oi_value_id x[2];
    for (uint32_t side = 0; side < 2; side++) {
        const oi_node *mul = oi_match_def(g, n.in[side], "Mul");
        if (!mul || !oi_match_single_use(g, n.in[side]) || !oi_match_scalar(g, mul->in[1], &c[side]) ||
            !oi_match_same(g, mul->in[0], n.in[side]))
            return ONNX_INFER_OK;
        x[side] = mul->in[0];
    }
    const oi_dtype dtype = oi_graph_fact(g, n.out[0])->dtype;
    if (dtype != ONNX_INFER_FLOAT)
        return ONNX_INFER_OK;
    x[0] = scaled(rw, x[0], c[0] * c[1], dtype);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, 2, x));
    return rw->status;
}
