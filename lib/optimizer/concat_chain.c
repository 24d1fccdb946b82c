/* Concatenations of concatenations along the same axis are one, which moves every element once:
 *
 *   Concat(Concat(x, y), z)  -> Concat(x, y, z)       where nothing else uses the inner one */
#include "optimizer/match.h"
#include "optimizer/rules.h"

enum { MOST_INPUTS = 1024 };

/* The Concat along `axis` (not negative) that makes v for this user alone. */
static const oi_node *inner_concat(const oi_graph *g, oi_value_id v, int32_t rank, int64_t axis)
{
    const oi_node *n = oi_match_single_use(g, v) ? oi_match_def(g, v, "Concat") : NULL;
    int64_t at = n ? oi_attr_int(n, "axis", OI_UNSET) : OI_UNSET;
    return n && (at < 0 ? at + rank : at) == axis ? n : NULL;
}

oi_status oi_rule_concats(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const int32_t rank = oi_graph_fact(g, n.out[0])->shape.rank;
    int64_t axis = oi_attr_int(&n, "axis", OI_UNSET);
    uint32_t total = 0;
    axis += axis < 0 ? rank : 0;
    if (rank < 1 || axis < 0 || axis >= rank)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < n.nin && total <= MOST_INPUTS; i++) {
        const oi_node *inner = inner_concat(g, n.in[i], rank, axis);
        total += inner ? inner->nin : 1;
    }
    if (total == n.nin || total > MOST_INPUTS)
        return ONNX_INFER_OK;
    oi_value_id *in = oi_arena_array(g->arena, total, sizeof *in);
    if (!in)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    total = 0;
    for (uint32_t i = 0; i < n.nin; i++) {
        const oi_node *inner = inner_concat(g, n.in[i], rank, axis);
        for (uint32_t k = 0; k < (inner ? inner->nin : 1); k++)
            in[total++] = inner ? inner->in[k] : n.in[i];
    }
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, total, in));
    return rw->status;
}
