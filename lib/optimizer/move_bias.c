/* A bias behind a view that splits the columns of a product moves in front of it, where the product takes it in:
 *
 *   Add(Reshape(MatMul(x, w)), c) -> Reshape(Add(MatMul(x, w), c'))
 *
 * with [..., n] seen as [..., a, b], a b = n, and c a constant of [a, b]. Left alone: constants of other shapes, views that
 * something else uses. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

oi_status oi_rule_bias_up(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node add = g->node[id];
    for (uint32_t side = 0; add.nin == 2 && side < 2; side++) {
        const oi_node *view = oi_match_single_use(g, add.in[side]) ? oi_match_def(g, add.in[side], "Reshape") : NULL;
        const oi_fact *c = oi_graph_fact(g, add.in[1 - side]);
        if (!view || !c->konst || c->shape.rank < 1 || !oi_match_def(g, view->in[0], "MatMul") || !oi_match_single_use(g, view->in[0]) ||
            !oi_match_same(g, add.in[side], add.out[0]) || c->dtype != oi_graph_fact(g, add.out[0])->dtype)
            continue;
        const oi_shape *product = &oi_graph_fact(g, view->in[0])->shape, *seen = &oi_graph_fact(g, add.in[side])->shape;
        int32_t first = 0, last = seen->rank;
        int64_t n = 1;
        while (first < c->shape.rank && c->shape.dim[first] == 1)
            first++;
        bool fits = product->rank >= 1 && seen->rank >= c->shape.rank - first && first < c->shape.rank;
        for (int32_t i = c->shape.rank; i-- > first && fits;) {
            fits = seen->dim[--last] == c->shape.dim[i];
            n *= c->shape.dim[i];
        }
        if (!fits || product->dim[product->rank - 1] != n)
            continue;
        oi_value_id flat[2] = {add.in[1 - side], oi_rewrite_const_ints(rw, &n, 1)};
        oi_value_id sum[2] = {view->in[0], oi_rewrite_op(rw, "", "Reshape", "", 2, flat)};
        oi_value_id in[2] = {oi_rewrite_op(rw, "", "Add", "", 2, sum), view->in[1]};
        oi_rewrite_replace(rw, add.out[0], oi_rewrite_node(rw, view->op, view->attr, 2, in));
        return rw->status;
    }
    return ONNX_INFER_OK;
}
