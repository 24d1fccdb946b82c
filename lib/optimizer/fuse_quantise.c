/* Quantised networks as exporters write them, for float kernels:
 *
 *   DequantizeLinear(QuantizeLinear(x, s, z), s, z) -> QuantizeDequantize(x) {scale=s, zero_point=z}
 *   QuantizeDequantize(Relu(x)) -> QuantizeDequantize(x)              where nothing below 0 has a code
 *   QuantizeDequantize(MaxPool(QuantizeDequantize(x))) -> MaxPool(QuantizeDequantize(x))      with equal parameters
 *
 * The first is an activation that products and convolutions take into their epilogue. Results are the same bits. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>

/* Scale and zero point of n: one of each, and uint8 or int8. */
static bool read_parameters(const oi_graph *g, const oi_node *n, double *scale, double *zero, bool *is_signed)
{
    const oi_fact *s = n->nin > 1 ? oi_graph_fact(g, n->in[1]) : NULL;
    const oi_fact *z = n->nin > 2 && n->in[2] != OI_NONE ? oi_graph_fact(g, n->in[2]) : NULL;
    *zero = 0;
    *is_signed = z && z->dtype == ONNX_INFER_INT8;
    return s && s->dtype == ONNX_INFER_FLOAT && oi_match_scalar(g, n->in[1], scale) && *scale > 0 &&
           oi_attr_int(n, "block_size", 0) == 0 &&
           (!z || ((z->dtype == ONNX_INFER_UINT8 || z->dtype == ONNX_INFER_INT8) && oi_match_scalar(g, n->in[2], zero)));
}

oi_status oi_rule_quantise_pair(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node back = g->node[id];
    const oi_node *to = oi_match_def(g, back.in[0], "QuantizeLinear");
    double s[2], z[2];
    bool is_signed[2];
    if (!to || !read_parameters(g, to, &s[0], &z[0], &is_signed[0]) || !read_parameters(g, &back, &s[1], &z[1], &is_signed[1]) ||
        s[0] != s[1] || z[0] != z[1] || oi_graph_fact(g, to->in[0])->dtype != ONNX_INFER_FLOAT ||
        oi_graph_fact(g, back.out[0])->dtype != ONNX_INFER_FLOAT || oi_attr_int(to, "precision", 0) > ONNX_INFER_FLOAT)
        return ONNX_INFER_OK;
    const oi_dtype code = oi_graph_fact(g, back.in[0])->dtype;
    if ((code != ONNX_INFER_UINT8 && code != ONNX_INFER_INT8) || oi_match_used_as_codes(g, back.in[0]))
        return ONNX_INFER_OK;
    char attrs[128];
    snprintf(attrs, sizeof attrs, "scale=%.9g, zero_point=%.9g, signed=%d", s[0], z[0], code == ONNX_INFER_INT8);
    oi_rewrite_replace(rw, back.out[0], oi_rewrite_op(rw, "onnx_infer", "QuantizeDequantize", attrs, 1, &to->in[0]));
    return rw->status;
}

/* Operators whose results are among their first input's elements. */
static bool only_moves(const oi_node *n)
{
    static const char *const movers[] = {"Gather", "MaxPool", "Slice", "Transpose"};
    for (size_t i = 0; i < sizeof movers / sizeof *movers; i++) {
        if (!n->op->domain[0] && strcmp(n->op->name, movers[i]) == 0)
            return true;
    }
    return n->op->flags & OI_OP_VIEW;
}

oi_status oi_rule_quantised(oi_rewrite *rw, oi_node_id id)
{
    enum { LONGEST = 8 };
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_node *relu = oi_match_def(g, n.in[0], "Relu");
    const float *zero = oi_attr_field(&n, "zero_point");
    if (relu && *zero == (oi_attr_int(&n, "signed", 0) ? -128 : 0)) {
        oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, 1, &relu->in[0]));
        return rw->status;
    }
    oi_value_id v = n.in[0];
    for (int i = 0; i < LONGEST && v != OI_NONE && g->value[v].def != OI_NONE; i++) {
        const oi_node *from = &g->node[g->value[v].def];
        if (from->op == n.op) {
            if (oi_attr_equal(n.op, from->attr, n.attr))
                oi_rewrite_replace(rw, n.out[0], n.in[0]);
            return rw->status;
        }
        if (!only_moves(from) || (from->nout > 1 && v != from->out[0]))
            return ONNX_INFER_OK;
        v = from->in[0];
    }
    return ONNX_INFER_OK;
}
