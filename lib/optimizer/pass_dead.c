/* Dead code: nodes that nothing uses, outputs that nobody wants. */
#include "optimizer/pass.h"

/* Outputs at the end that are optional and unused; a node without them is as one that never had them. */
static void drop_outputs(oi_graph *g, oi_node *n, oi_pass *p)
{
    if (n->op->max_out == UINT16_MAX || n->nsub)
        return;
    while (n->nout > n->op->min_out && n->nout > 1) {
        oi_value_id last = n->out[n->nout - 1];
        if (last != OI_NONE && (g->value[last].nuse || g->value[last].is_output))
            return;
        if (last != OI_NONE) {
            oi_graph_release_const(g, last);
            g->value[last].def = OI_NONE;
        }
        n->nout--;
        p->rewriter.commits++;
    }
}

oi_status oi_pass_dead(oi_graph *g, oi_pass *p)
{
    oi_node_id *order;
    uint32_t n;
    OI_TRY(oi_graph_order(g, &order, &n));
    for (uint32_t i = n; i-- > 0 && !oi_pass_stopped(p);) {
        if (!g->node[order[i]].op)
            continue;
        OI_TRY(oi_rewrite_remove_dead(g, order[i]));
        oi_node *node = &g->node[order[i]];
        if (!node->op) {
            p->rewriter.commits++;
            continue;
        }
        drop_outputs(g, node, p);
        for (uint32_t k = 0; k < node->nsub; k++)
            OI_TRY(oi_pass_dead(node->sub[k].graph, p));
    }
    return ONNX_INFER_OK;
}
