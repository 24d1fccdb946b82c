/* Packed products work on rows, whatever the axes before the last are: a view behind one moves in front of it, out of the
 * way of sums and activations that the product can take in. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <string.h>

static bool is_view(const oi_node *n)
{
    return n->op && (n->op->flags & OI_OP_VIEW) && n->nout == 1;
}

oi_status oi_rule_product_in_views(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    if (!is_view(&n) || n.in[0] == OI_NONE || !oi_match_single_use(g, n.in[0]))
        return ONNX_INFER_OK;
    const oi_node *product = oi_match_def(g, n.in[0], "GemmPacked");
    const oi_shape *made = &oi_graph_fact(g, n.in[0])->shape, *out = &oi_graph_fact(g, n.out[0])->shape;
    if (!product || product->nin > 3 || out->rank < 1 || !oi_shape_is_concrete(out) || oi_dims_count(out->rank, out->dim) == 0 ||
        out->dim[out->rank - 1] != made->dim[made->rank - 1])
        return ONNX_INFER_OK;
    const oi_shape *in = &oi_graph_fact(g, product->in[0])->shape;
    int64_t dims[OI_MAX_RANK];
    memcpy(dims, out->dim, (size_t)out->rank * sizeof *dims);
    dims[out->rank - 1] = in->dim[in->rank - 1];
    oi_value_id args[3], view[2] = {product->in[0], oi_rewrite_const_ints(rw, dims, (uint32_t)out->rank)};
    memcpy(args, product->in, product->nin * sizeof *args);
    args[0] = oi_rewrite_op(rw, "", "Reshape", "", 2, view);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, product->op, product->attr, product->nin, args));
    return rw->status;
}
