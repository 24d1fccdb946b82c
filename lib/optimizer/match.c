/* Patterns that several rules look for. */
#include "optimizer/match.h"

#include <math.h>
#include <string.h>

bool oi_match_same(const oi_graph *g, oi_value_id a, oi_value_id b)
{
    const oi_fact *x = oi_graph_fact(g, a), *y = oi_graph_fact(g, b);
    return x && y && x->kind == ONNX_INFER_TENSOR && y->kind == ONNX_INFER_TENSOR && x->dtype == y->dtype &&
           x->dtype != ONNX_INFER_UNDEFINED && x->shape.rank >= 0 && oi_shape_equal(&x->shape, &y->shape);
}

bool oi_match_uniform(const oi_graph *g, oi_value_id v, double *out)
{
    const oi_tensor *t = v == OI_NONE ? NULL : g->value[v].fact.konst; /* oi_elem_get_double needs no alignment */
    const int64_t n = t ? oi_tensor_count(t) : 0;
    if (n < 1 || n > 1 << 20 || t->dtype == ONNX_INFER_STRING || oi_dtype_is_complex(t->dtype))
        return false;
    *out = oi_elem_get_double(t->dtype, t->data, 0);
    for (int64_t i = 1; i < n; i++) {
        if (oi_elem_get_double(t->dtype, t->data, (size_t)i) != *out)
            return false;
    }
    return true;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-5 * fabs(b);
}

oi_value_id oi_match_with_scalar(const oi_graph *g, oi_value_id v, const char *op, double value)
{
    const oi_node *n = oi_match_def(g, v, op);
    double c;
    if (!n || n->nin != 2)
        return OI_NONE;
    if (oi_match_scalar(g, n->in[1], &c) && near(c, value))
        return n->in[0];
    if ((n->op->flags & OI_OP_COMMUTATIVE) && oi_match_scalar(g, n->in[0], &c) && near(c, value))
        return n->in[1];
    return OI_NONE;
}

oi_value_id oi_match_other(const oi_graph *g, oi_value_id v, const char *op, oi_value_id other)
{
    const oi_node *n = oi_match_def(g, v, op);
    if (!n || n->nin != 2 || other == OI_NONE)
        return OI_NONE;
    if (n->in[0] == other)
        return n->in[1];
    return n->in[1] == other ? n->in[0] : OI_NONE;
}

oi_value_id oi_match_unary(const oi_graph *g, oi_value_id v, const char *op)
{
    const oi_node *n = oi_match_def(g, v, op);
    return n && n->nin == 1 ? n->in[0] : OI_NONE;
}

oi_value_id oi_match_clip(const oi_graph *g, oi_value_id v, double low, double high)
{
    const oi_node *n = oi_match_def(g, v, "Clip");
    double a, b;
    if (n)
        return n->nin == 3 && oi_match_scalar(g, n->in[1], &a) && oi_match_scalar(g, n->in[2], &b) && near(a, low) &&
                       near(b, high)
                   ? n->in[0]
                   : OI_NONE;
    oi_value_id inner = oi_match_with_scalar(g, v, "Min", high);
    if (inner != OI_NONE && low == 0 && oi_match_unary(g, inner, "Relu") != OI_NONE)
        return oi_match_unary(g, inner, "Relu");
    if (inner != OI_NONE)
        return oi_match_with_scalar(g, inner, "Max", low);
    inner = oi_match_with_scalar(g, v, "Max", low);
    return inner == OI_NONE ? OI_NONE : oi_match_with_scalar(g, inner, "Min", high);
}

bool oi_match_used_as_codes(const oi_graph *g, oi_value_id v)
{
    const oi_value *value = &g->value[v];
    for (uint32_t i = 0; i < value->nuse; i++) {
        const oi_op *op = g->node[value->use[i].node].op;
        if (op->domain[0] || strcmp(op->name, "DequantizeLinear") != 0)
            return true;
    }
    return value->is_output;
}

const int64_t *oi_match_permutation(const oi_graph *g, oi_value_id v, int32_t rank)
{
    const oi_node *n = v == OI_NONE ? NULL : oi_match_def(g, v, "Transpose");
    const oi_ints *perm = n ? oi_attr_field(n, "perm") : NULL;
    bool fits = perm && perm->at && rank > 1 && perm->n == (uint32_t)rank && oi_graph_fact(g, v)->shape.rank == rank;
    return fits && !oi_graph_fact(g, n->in[0])->konst ? perm->at : NULL;
}
