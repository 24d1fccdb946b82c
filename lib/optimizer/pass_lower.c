/* Lowering: standard operators become kernel-level ones with packed constants. It goes node by node, so that of the
 * constants between a weight and its packed form only those of one node exist at a time. */
#include "optimizer/pass.h"

static oi_status lower_node(oi_rewrite *rw, oi_node_id id)
{
    const oi_op *op = rw->g->node[id].op;
    return op->lower ? op->lower(rw, id, rw->target) : ONNX_INFER_OK;
}

static const oi_rule lower_rule = {.name = "lower", .fn = lower_node, .rounding = OI_ROUNDS};

oi_status oi_pass_lower(oi_graph *g, oi_pass *p)
{
    oi_node_id *order;
    uint32_t n;
    OI_TRY(oi_graph_order(g, &order, &n));
    for (uint32_t i = 0; i < n && !oi_pass_stopped(p); i++) {
        const oi_node *node = &g->node[order[i]];
        if (!node->op)
            continue;
        OI_TRY(oi_pass_check(p));
        OI_TRY(oi_pass_fold_into(g, order[i], p));
        node = &g->node[order[i]];
        if (!node->op || !node->op->lower)
            continue;
        uint32_t first = g->nnode;
        OI_TRY(oi_rewrite_one(g, &lower_rule, order[i], &p->rewriter));
        for (oi_node_id made = first; made < g->nnode; made++) {
            if (g->node[made].op)
                OI_TRY(oi_pass_fold_into(g, made, p));
        }
    }
    return ONNX_INFER_OK;
}
