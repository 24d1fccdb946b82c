/* Single places of one axis, gathered one by one, come out of one Split:
 *
 *   Gather(x, 0), Gather(x, 1), ..., Gather(x, n-1) -> Split(x)              indices [k]
 *   the same with scalar indices                    -> Squeeze(Split(x))
 *
 * where at least half of the axis is gathered so. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 64 };

/* The place that the node gathers, or -1 where it does something else. */
static int64_t place_of(const oi_graph *g, const oi_node *n, oi_value_id x, int64_t axis, int32_t rank, int64_t size)
{
    const oi_tensor *index = n->nin == 2 && n->in[0] == x ? oi_match_const(g, n->in[1]) : NULL;
    if (!index || !oi_match_def(g, n->out[0], "Gather") || index->rank > 1 || oi_tensor_count(index) != 1)
        return -1;
    int64_t own = oi_attr_int(n, "axis", 0), at = oi_elem_get_int(index->dtype, index->data, 0);
    if (own + (own < 0 ? rank : 0) != axis)
        return -1;
    at += at < 0 ? size : 0;
    return at >= 0 && at < size ? at : -1;
}

oi_status oi_rule_split_gathers(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_fact *f = oi_graph_fact(g, n.in[0]);
    const int32_t rank = f->shape.rank;
    int64_t axis = oi_attr_int(&n, "axis", 0);
    axis += axis < 0 ? rank : 0;
    if (rank < 1 || axis < 0 || axis >= rank || f->konst || !oi_dim_is_number(f->shape.dim[axis]))
        return ONNX_INFER_OK;
    const int64_t size = f->shape.dim[axis];
    if (size < 2 || size > LONGEST || place_of(g, &n, n.in[0], axis, rank, size) < 0)
        return ONNX_INFER_OK;
    const oi_value *x = &g->value[n.in[0]];
    const uint32_t nuse = x->nuse;
    oi_node_id *user = oi_arena_array(g->arena, nuse, sizeof *user);
    bool seen[LONGEST] = {false};
    int64_t places = 0;
    uint32_t users = 0;
    if (!user)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < nuse; i++) {
        const oi_node *other = &g->node[x->use[i].node];
        int64_t at = x->use[i].slot == 0 ? place_of(g, other, n.in[0], axis, rank, size) : -1;
        if (at < 0)
            continue;
        places += !seen[at];
        seen[at] = true;
        user[users++] = x->use[i].node;
    }
    if (places < 2 || 2 * places < size)
        return ONNX_INFER_OK;
    oi_value_id out[LONGEST];
    char attrs[64];
    void *attr;
    const oi_op *split = oi_op_find("", "Split");
    snprintf(attrs, sizeof attrs, "axis=%lld, num_outputs=%lld", (long long)axis, (long long)size);
    OI_TRY(oi_attr_parse_text(g->arena, split, attrs, &attr));
    oi_rewrite_node_multi(rw, split, attr, 1, &n.in[0], (uint32_t)size, out);
    oi_value_id squeeze_axis = oi_rewrite_const_ints(rw, &axis, 1);
    for (uint32_t i = 0; i < users && !rw->status; i++) {
        const oi_node gather = g->node[user[i]];
        oi_value_id piece = out[place_of(g, &gather, n.in[0], axis, rank, size)];
        oi_value_id in[2] = {piece, squeeze_axis};
        bool scalar = oi_graph_fact(g, gather.in[1])->shape.rank == 0;
        oi_rewrite_replace(rw, gather.out[0], scalar ? oi_rewrite_op(rw, "", "Squeeze", "", 2, in) : piece);
    }
    return rw->status;
}
