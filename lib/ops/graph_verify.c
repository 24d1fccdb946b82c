/* oi_graph_verify: what must hold of a graph at its stage. */
#include "ops/op.h"

#include <string.h>

#define BROKEN(cond, ...) OI_FAIL_IF(cond, ONNX_INFER_E_INTERNAL, __VA_ARGS__)

static oi_status check_uses(const oi_graph *g, oi_value_id id)
{
    const oi_value *v = &g->value[id];
    BROKEN(v->nuse > v->use_cap, "value %u has more uses than room", id);
    for (uint32_t i = 0; i < v->nuse; i++) {
        oi_use u = v->use[i];
        BROKEN(u.node >= g->nnode || !g->node[u.node].op, "value %u '%s' is used by node %u, which is none", id, v->name, u.node);
        const oi_node *n = &g->node[u.node];
        BROKEN(u.slot >= n->nin || n->in[u.slot] != id || n->use_at[u.slot] != i,
               "use %u of value %u '%s' is not input %u of node '%s'", i, id, v->name, u.slot, n->name);
    }
    return ONNX_INFER_OK;
}

static oi_status check_fact(const oi_graph *g, oi_value_id id)
{
    const oi_value *v = &g->value[id];
    const oi_fact *f = &v->fact;
    BROKEN(f->kind < ONNX_INFER_TENSOR || f->kind > ONNX_INFER_MAP, "value %u '%s' has kind %d", id, v->name, (int)f->kind);
    BROKEN(f->shape.rank < -1 || f->shape.rank > OI_MAX_RANK, "value %u '%s' has rank %d", id, v->name, f->shape.rank);
    for (int32_t i = 0; i < f->shape.rank && f->kind == ONNX_INFER_TENSOR; i++)
        BROKEN(oi_dim_is_number(f->shape.dim[i]) && f->shape.dim[i] < 0, "value %u '%s' has a negative dimension", id, v->name);
    if (f->konst) {
        const oi_tensor *t = f->konst;
        int32_t rank;
        int64_t dims[OI_MAX_RANK];
        BROKEN(!oi_fact_dims(f, &rank, dims) || rank != t->rank || t->dtype != f->dtype ||
                   (rank && memcmp(dims, t->dim, (size_t)rank * sizeof *dims)),
               "the content of value %u '%s' is not of its type", id, v->name);
        BROKEN(t->bytes && !t->data, "the content of value %u '%s' is gone", id, v->name);
    }
    return ONNX_INFER_OK;
}

static oi_status check_value(const oi_graph *g, oi_value_id id)
{
    const oi_value *v = &g->value[id];
    OI_TRY(check_uses(g, id));
    OI_TRY(check_fact(g, id));
    if (v->def != OI_NONE) {
        BROKEN(v->def >= g->nnode || !g->node[v->def].op, "value %u '%s' is defined by node %u, which is none", id, v->name,
               v->def);
        const oi_node *n = &g->node[v->def];
        BROKEN(v->slot >= n->nout || n->out[v->slot] != id, "value %u '%s' is not output %u of node '%s'", id, v->name, v->slot,
               n->name);
        BROKEN(v->is_input, "value %u '%s' is an input and defined by node '%s'", id, v->name, n->name);
    } else if (v->nuse || v->is_output) {
        BROKEN(!v->is_input && !v->fact.konst, "value %u '%s' is used and nothing defines it", id, v->name);
    }
    return ONNX_INFER_OK;
}

static oi_status check_sub(const oi_graph *g, const oi_node *n, const oi_sub *s)
{
    BROKEN(!s->graph, "a subgraph of node '%s' is missing", n->name);
    BROKEN(s->graph->arena != g->arena || s->graph->syms != g->syms, "a subgraph of node '%s' has an arena of its own", n->name);
    BROKEN(s->ncapture > s->graph->ninput, "a subgraph of node '%s' captures more than it takes", n->name);
    for (uint32_t i = 0; i < s->ncapture; i++)
        BROKEN(s->capture[i] >= n->nin || n->in[s->capture[i]] == OI_NONE, "capture %u of a subgraph of node '%s' is not there",
               i, n->name);
    return oi_graph_verify(s->graph);
}

static oi_status check_node(const oi_graph *g, oi_node_id id)
{
    const oi_node *n = &g->node[id];
    BROKEN(!n->name, "node %u has no name", id);
    for (uint32_t i = 0; i < n->nin; i++) {
        BROKEN(n->in[i] != OI_NONE && n->in[i] >= g->nvalue, "input %u of node '%s' does not exist", i, n->name);
        if (n->in[i] == OI_NONE)
            continue;
        const oi_value *v = &g->value[n->in[i]];
        BROKEN(n->use_at[i] >= v->nuse || v->use[n->use_at[i]].node != id || v->use[n->use_at[i]].slot != i,
               "input %u of node '%s' is not among the uses of its value", i, n->name);
        BROKEN(g->stage >= OI_STAGE_TYPED && v->def != OI_NONE && v->def == id, "node '%s' feeds itself", n->name);
    }
    for (uint32_t i = 0; i < n->nout; i++) {
        BROKEN(n->out[i] != OI_NONE && (n->out[i] >= g->nvalue || g->value[n->out[i]].def != id || g->value[n->out[i]].slot != i),
               "output %u of node '%s' is not defined by it", i, n->name);
    }
    BROKEN(n->op->attr_size && !n->attr, "node '%s' has no attributes, %s needs them", n->name, n->op->name);
    BROKEN(g->stage < OI_STAGE_LOWERED && (n->op->flags & OI_OP_LOWERED_ONLY), "node '%s' (%s) belongs in a lowered graph",
           n->name, n->op->name);
    for (uint32_t i = 0; i < n->nsub; i++)
        OI_TRY(check_sub(g, n, &n->sub[i]));
    return ONNX_INFER_OK;
}

oi_status oi_graph_verify(const oi_graph *g)
{
    for (oi_value_id i = 0; i < g->nvalue; i++)
        OI_TRY(check_value(g, i));
    for (oi_node_id i = 0; i < g->nnode; i++) {
        if (g->node[i].op)
            OI_TRY(check_node(g, i));
    }
    for (uint32_t i = 0; i < g->ninput; i++)
        BROKEN(g->input[i] >= g->nvalue || !g->value[g->input[i]].is_input, "input %u of the graph is not marked so", i);
    for (uint32_t i = 0; i < g->noutput; i++)
        BROKEN(g->output[i] >= g->nvalue || !g->value[g->output[i]].is_output, "output %u of the graph is not marked so", i);
    return ONNX_INFER_OK;
}
