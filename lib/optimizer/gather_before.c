/* Rows are gathered before what makes a large constant table out of a smaller one, as of quantised embeddings:
 *
 *   Gather(f(W, c), i) -> f(Gather(W, i), c)      f elementwise, or DequantizeLinear by one scale; along axis 0
 *
 * Operands with the table's rows are gathered too; others are broadcast over rows before and after. Worth it where the table
 * is nowhere else needed whole, and many times larger than what is gathered. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

enum { DEEPEST = 8, WORTH_ELEMENTS = 1 << 18, TIMES_LARGER = 4 };

static bool is_elementwise(const oi_graph *g, const oi_node *n)
{
    if (n->nout != 1 || n->nsub)
        return false;
    if (n->op->flags & OI_OP_ELEMENTWISE)
        return !(n->op->flags & OI_OP_RANDOM);
    if (!oi_match_def(g, n->out[0], "DequantizeLinear"))
        return false;
    const oi_fact *scale = oi_graph_fact(g, n->in[1]);
    return scale->shape.rank == 0 && n->nin >= 2;
}

/* No input of the graph has a part in it. */
static bool is_constant(const oi_graph *g, oi_value_id v, int depth)
{
    const oi_value *value = &g->value[v];
    if (value->fact.konst)
        return true;
    if (value->def == OI_NONE || depth == DEEPEST || !is_elementwise(g, &g->node[value->def]))
        return false;
    const oi_node *n = &g->node[value->def];
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] != OI_NONE && !is_constant(g, n->in[i], depth + 1))
            return false;
    }
    return true;
}

oi_status oi_rule_gather_before(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    int32_t rank, out_rank, index_rank, in_rank;
    int64_t dims[OI_MAX_RANK], out_dims[OI_MAX_RANK], index_dims[OI_MAX_RANK], in_dims[OI_MAX_RANK];
    const oi_value *table = &g->value[n.in[0]];
    if (table->fact.konst || table->def == OI_NONE || !oi_match_single_use(g, n.in[0]) || !is_constant(g, n.in[0], 0) ||
        !oi_fact_dims(&table->fact, &rank, dims) || !oi_fact_dims(oi_graph_fact(g, n.out[0]), &out_rank, out_dims) ||
        !oi_fact_dims(oi_graph_fact(g, n.in[1]), &index_rank, index_dims) || index_rank < 1 || rank < 1)
        return ONNX_INFER_OK;
    int64_t axis = oi_attr_int(&n, "axis", 0), elements = oi_dims_count(rank, dims);
    if ((axis != 0 && axis != -rank) || elements < WORTH_ELEMENTS || elements / TIMES_LARGER < oi_dims_count(out_rank, out_dims))
        return ONNX_INFER_OK;
    const oi_node f = g->node[table->def];
    oi_value_id in[OI_STEP_MAX_IO];
    bool gathered = false;
    if (f.nin > OI_STEP_MAX_IO)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < f.nin; i++) {
        in[i] = f.in[i];
        if (in[i] == OI_NONE)
            continue;
        if (!oi_fact_dims(oi_graph_fact(g, in[i]), &in_rank, in_dims) || in_rank > rank)
            return ONNX_INFER_OK;
        if (in_rank < rank || (in_dims[0] == 1 && dims[0] != 1))
            continue;
        if (in_dims[0] != dims[0])
            return ONNX_INFER_OK;
        in[i] = oi_rewrite_node(rw, n.op, n.attr, 2, (oi_value_id[]){f.in[i], n.in[1]});
        gathered = true;
    }
    if (gathered)
        oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, f.op, f.attr, f.nin, in));
    return rw->status;
}
