/* Operands that were made as large as the result of an elementwise operator, which does that by itself:
 *
 *   Div(x, Expand(n))  -> Div(x, n)       where the result has the same shape without it; Tile of axes of size 1 likewise */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <string.h>

/* What v is the larger form of; OI_NONE: it is none. */
static oi_value_id smaller(const oi_graph *g, oi_value_id v)
{
    if (v == OI_NONE || (!oi_match_def(g, v, "Expand") && !oi_match_def(g, v, "Tile")))
        return OI_NONE;
    const oi_value_id x = g->node[g->value[v].def].in[0];
    const oi_shape *in = &oi_graph_fact(g, x)->shape, *out = &oi_graph_fact(g, v)->shape;
    if (in->rank < 0 || out->rank < in->rank || oi_graph_fact(g, x)->konst)
        return OI_NONE; /* constants are folded, or are small as they are */
    for (int32_t i = 0; i < in->rank; i++) {
        if (in->dim[i] != 1 && in->dim[i] != out->dim[out->rank - in->rank + i])
            return OI_NONE;
    }
    return x;
}

static bool broadcasts(const oi_op *op)
{
    static const char *const others[] = {"CastLike", "Clip", "SwiGLU"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(op->name, others[i]) == 0)
            return false;
    }
    return true;
}

oi_status oi_rule_expanded(oi_rewrite *rw, oi_node_id id)
{
    enum { MOST = 8 };
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    oi_value_id in[MOST];
    bool any = false;
    if (!(n.op->flags & OI_OP_ELEMENTWISE) || n.op->domain[0] || n.nout != 1 || n.nin < 2 || n.nin > MOST || !broadcasts(n.op))
        return ONNX_INFER_OK;
    const oi_shape *out = &oi_graph_fact(g, n.out[0])->shape;
    for (uint32_t i = 0; i < n.nin; i++) {
        const oi_value_id x = smaller(g, n.in[i]);
        in[i] = x == OI_NONE ? n.in[i] : x;
        any = any || x != OI_NONE;
    }
    if (!any || out->rank < 0 || (strcmp(n.op->name, "PRelu") == 0 && in[0] != n.in[0]))
        return ONNX_INFER_OK;
    for (int32_t axis = 0; axis < out->rank; axis++) { /* something is as large as the result */
        bool whole = false;
        for (uint32_t i = 0; i < n.nin && !whole; i++) {
            const oi_fact *f = oi_graph_fact(g, in[i]);
            const int32_t at = f ? axis - (out->rank - f->shape.rank) : -1;
            whole = f && f->shape.rank >= 0 && at >= 0 && f->shape.dim[at] == out->dim[axis];
        }
        if (!whole)
            return ONNX_INFER_OK;
    }
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, n.nin, in));
    return rw->status;
}
