/* Packed products between views: a product works on rows, whatever the axes before the last are. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <string.h>

static bool is_view(const oi_node *n)
{
    return n->op && (n->op->flags & OI_OP_VIEW) && n->nout == 1;
}

/* All axes but the last are the same. */
static bool same_rows(const oi_shape *a, const oi_shape *b)
{
    return a->rank >= 1 && a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)(a->rank - 1) * sizeof *a->dim) == 0;
}

oi_status oi_rule_product_in_views(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    if (!is_view(&n) || n.in[0] == OI_NONE || !oi_match_single_use(g, n.in[0]))
        return ONNX_INFER_OK;
    const oi_node *product = oi_match_def(g, n.in[0], "GemmPacked");
    if (!product || product->nin > 3 || g->value[product->in[0]].def == OI_NONE)
        return ONNX_INFER_OK;
    const oi_node *before = &g->node[g->value[product->in[0]].def];
    if (!is_view(before))
        return ONNX_INFER_OK;
    const oi_shape *x = &oi_graph_fact(g, before->in[0])->shape, *in = &oi_graph_fact(g, product->in[0])->shape;
    const oi_shape *out = &oi_graph_fact(g, n.out[0])->shape, *made = &oi_graph_fact(g, n.in[0])->shape;
    if (!same_rows(x, out) || x->dim[x->rank - 1] != in->dim[in->rank - 1] ||
        out->dim[out->rank - 1] != made->dim[made->rank - 1])
        return ONNX_INFER_OK;
    oi_value_id args[3];
    memcpy(args, product->in, product->nin * sizeof *args);
    args[0] = before->in[0];
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, product->op, product->attr, product->nin, args));
    return rw->status;
}
