/* Bounds in any spelling and in chains become one operator:
 *
 *   Min(Max(x, a), b), Clip(Max(x, a), _, b), ...  -> Clip(x, a, b)
 *   Min(Relu(x), b), Relu(Clip(x, a, b)), ...      -> Clip(x, 0, b)
 *   Max(x, 0), Relu(Max(x, -1)), ...               -> Relu(x)
 *   Max(x, a)                                      -> Clip(x, a)
 *
 * of float32, with constants of one element. Left alone: a chain whose inner bound something else uses, bounds of which the
 * lower is above the upper, Clip by itself. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <math.h>
#include <string.h>

typedef struct {
    oi_value_id x;
    double low, high; /* infinite: none */
} bounds;

static bool read_scalar(const oi_graph *g, const oi_node *n, uint32_t i, double *v)
{
    return n->nin <= i || n->in[i] == OI_NONE || oi_match_scalar(g, n->in[i], v);
}

/* v = min(max(x, low), high) */
static bool read_bounds(const oi_graph *g, oi_value_id v, bounds *b)
{
    const oi_node *n = v == OI_NONE || g->value[v].def == OI_NONE ? NULL : &g->node[g->value[v].def];
    const char *op = n && n->op && !n->op->domain[0] ? n->op->name : "";
    *b = (bounds){OI_NONE, -INFINITY, INFINITY};
    if (strcmp(op, "Relu") == 0) {
        b->x = n->in[0];
        b->low = 0;
    } else if (strcmp(op, "Clip") == 0) {
        b->x = read_scalar(g, n, 1, &b->low) && read_scalar(g, n, 2, &b->high) ? n->in[0] : OI_NONE;
    } else if ((strcmp(op, "Max") == 0 || strcmp(op, "Min") == 0) && n->nin == 2) {
        for (uint32_t side = 0; side < 2 && b->x == OI_NONE; side++)
            b->x = oi_match_scalar(g, n->in[side], op[1] == 'a' ? &b->low : &b->high) ? n->in[1 - side] : OI_NONE;
    }
    return b->x != OI_NONE && b->low <= b->high && oi_match_same(g, b->x, v) && oi_graph_fact(g, v)->dtype == ONNX_INFER_FLOAT;
}

static double clamp(double v, const bounds *b)
{
    v = v < b->low ? b->low : v;
    return v > b->high ? b->high : v;
}

oi_status oi_rule_bounds(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_value_id out = g->node[id].out[0];
    bounds b, inner;
    if (!read_bounds(g, out, &b))
        return ONNX_INFER_OK;
    const bool chain = oi_match_single_use(g, b.x) && read_bounds(g, b.x, &inner);
    if (!chain && *g->node[id].op->name != 'M')
        return ONNX_INFER_OK;
    if (chain)
        b = (bounds){inner.x, clamp(inner.low, &b), clamp(inner.high, &b)};
    if (b.low == 0 && b.high == INFINITY) {
        oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "Relu", "", 1, &b.x));
        return rw->status;
    }
    oi_value_id in[3] = {b.x, b.low == -INFINITY ? OI_NONE : oi_rewrite_const_float(rw, (float)b.low),
                         b.high == INFINITY ? OI_NONE : oi_rewrite_const_float(rw, (float)b.high)};
    oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "Clip", "", in[2] == OI_NONE ? 2 : 3, in));
    return rw->status;
}
