/* Constant folding through the operators' reference evaluators. */
#include "base/checked.h"
#include "optimizer/pack_cache.h"
#include "optimizer/pass.h"

#include <string.h>

enum {
    FREE_BYTES = 1 << 16,        /* results up to this size fold whatever they add */
    DATA_SHAPES_BYTES = 1 << 20, /* of inputs, where the size of the result is not known before */
};

/* Outputs that inference knows need no node. */
static bool all_known(const oi_graph *g, const oi_node *n)
{
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] != OI_NONE && !g->value[n->out[i]].fact.konst)
            return false;
    }
    return true;
}

static bool inputs_constant(const oi_graph *g, const oi_node *n)
{
    if (n->op->flags & (OI_OP_RANDOM | OI_OP_CONTROL) || n->nsub)
        return false;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] != OI_NONE && !g->value[n->in[i]].fact.konst)
            return false;
    }
    return true;
}

/* Bytes that folding adds: the results, less heap memory of inputs that then die. SIZE_MAX where it cannot be said. */
static size_t growth(const oi_graph *g, const oi_node *n)
{
    size_t gained = 0, freed = 0, in_bytes = 0;
    bool unknown = false;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] == OI_NONE)
            continue;
        const oi_value *v = &g->value[n->in[i]];
        in_bytes += v->fact.konst->bytes;
        if (v->nuse == 1 && !v->is_output && v->fact.konst->buf && oi_buffer_is_heap(v->fact.konst->buf))
            freed += v->fact.konst->bytes;
    }
    for (uint32_t i = 0; i < n->nout; i++) {
        int32_t rank;
        int64_t dims[OI_MAX_RANK];
        oi_tensor t;
        if (n->out[i] == OI_NONE)
            continue;
        const oi_fact *f = &g->value[n->out[i]].fact;
        if (!oi_fact_dims(f, &rank, dims) || f->dtype == ONNX_INFER_UNDEFINED)
            unknown = true;
        else if (oi_tensor_describe(&t, f->dtype, rank, dims) != ONNX_INFER_OK || !oi_add_size(gained, t.bytes, &gained))
            return SIZE_MAX;
    }
    if (n->op->flags & OI_OP_VIEW)
        return 0;
    if (unknown)
        return in_bytes <= DATA_SHAPES_BYTES ? 0 : SIZE_MAX;
    return gained > freed ? gained - freed : 0;
}

/* The node's outputs become constants, and the node goes, with what only fed it. */
static oi_status settle(oi_graph *g, oi_node_id id, oi_pass *p)
{
    const oi_node n = g->node[id];
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: fold: %s at '%s' (%llu)", p->rewriter.stage, n.op->name, n.name,
                 (unsigned long long)p->rewriter.commits + 1);
    p->rewriter.commits++;
    oi_graph_remove_node(g, id);
    for (uint32_t i = 0; i < n.nin; i++) {
        if (n.in[i] == OI_NONE)
            continue;
        if (g->value[n.in[i]].def != OI_NONE)
            OI_TRY(oi_rewrite_remove_dead(g, g->value[n.in[i]].def));
        else if (!g->value[n.in[i]].is_input) {
            const oi_value *v = &g->value[n.in[i]];
            if (v->fact.konst && !v->nuse)
                oi_tensor_drop_pages(v->fact.konst); /* a packed copy takes the place of the file's */
            oi_graph_release_const(g, n.in[i]);
        }
    }
    return ONNX_INFER_OK;
}

static oi_status store(oi_graph *g, const oi_node *n, oi_tensor *t)
{
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] == OI_NONE)
            continue;
        OI_FAIL_IF(t[i].dtype == ONNX_INFER_UNDEFINED, ONNX_INFER_E_DATA_DEPENDENT, "output %u was not made", i);
        oi_fact f = oi_fact_tensor(t[i].dtype, t[i].rank, t[i].dim);
        f.konst = &t[i];
        OI_TRY(oi_graph_set_fact(g, n->out[i], &f));
    }
    return ONNX_INFER_OK;
}

/* Evaluates and settles; a node that cannot be evaluated stays. */
static oi_status fold(oi_graph *g, oi_node_id id, oi_pass *p)
{
    const oi_node n = g->node[id];
    const oi_alloc *alloc = oi_arena_alloc_of(g->arena);
    oi_tensor few[4], *t = few;
    if (n.nout > 4)
        t = oi_alloc_array(alloc, n.nout, sizeof *t);
    if (!t)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const oi_target *target = p->rewriter.target;
    oi_pack_cache *packs = (n.op->flags & OI_OP_LOWERED_ONLY) && target ? target->packs : NULL;
    const oi_fold_means means = {.pool = target ? target->pool : NULL, .slab = packs ? target->slab : p->scratch};
    bool found = packs && oi_pack_cache_find(packs, g, &n, &t[0]);
    oi_status status = found ? ONNX_INFER_OK : oi_fold_node(g, id, &means, t);
    bool made = !status;
    if (made && packs && !found)
        status = oi_pack_cache_add(packs, g, &n, &t[0]);
    if (!status)
        status = store(g, &n, t);
    for (uint32_t i = 0; i < n.nout && made; i++)
        oi_tensor_clear(&t[i]);
    if (t != few)
        oi_free_mem(alloc, t);
    if (!status)
        return settle(g, id, p);
    return status == ONNX_INFER_E_OUT_OF_MEMORY ? status : ONNX_INFER_OK;
}

/* Matrices of bytes stay so until lowering knows what multiplies them. */
static bool is_quantised_weight(const oi_graph *g, const oi_node *n)
{
    const oi_fact *f = n->nin ? oi_graph_fact(g, n->in[0]) : NULL;
    return strcmp(n->op->name, "DequantizeLinear") == 0 && f && f->shape.rank > 1 && (f->dtype == ONNX_INFER_INT8 || f->dtype == ONNX_INFER_UINT8);
}

oi_status oi_pass_fold(oi_graph *g, oi_pass *p)
{
    oi_node_id *order;
    uint32_t n;
    OI_TRY(oi_graph_order(g, &order, &n));
    for (uint32_t i = 0; i < n && !oi_pass_stopped(p); i++) {
        const oi_node *node = &g->node[order[i]];
        if (!node->op)
            continue;
        OI_TRY(oi_pass_check(p));
        if (node->nout && all_known(g, node)) {
            OI_TRY(settle(g, order[i], p));
            continue;
        }
        for (uint32_t k = 0; k < node->nsub; k++)
            OI_TRY(oi_pass_fold(node->sub[k].graph, p));
        if (!inputs_constant(g, node) || (!p->rewriter.target && is_quantised_weight(g, node)))
            continue;
        size_t more = growth(g, node);
        bool counted = more > FREE_BYTES;
        if (counted && (more > p->fold_each || more > p->fold_budget))
            continue;
        OI_TRY(fold(g, order[i], p));
        if (counted && !g->node[order[i]].op)
            p->fold_budget -= more;
    }
    return ONNX_INFER_OK;
}

oi_status oi_pass_fold_into(oi_graph *g, oi_node_id id, oi_pass *p)
{
    enum { DEEPEST = 64 }; /* chains of constants are a few nodes long */
    oi_node_id stack[DEEPEST];
    uint32_t depth = 0, budget = 4 * DEEPEST;
    stack[depth++] = id;
    while (depth && budget-- && !oi_pass_stopped(p)) {
        oi_node_id at = stack[depth - 1];
        const oi_node *n = &g->node[at];
        bool waits = false;
        if (!n->op) {
            depth--;
            continue;
        }
        for (uint32_t i = 0; i < n->nin && !waits && depth < DEEPEST; i++) {
            const oi_value *v = n->in[i] == OI_NONE ? NULL : &g->value[n->in[i]];
            if (v && !v->fact.konst && v->def != OI_NONE && inputs_constant(g, &g->node[v->def]) &&
                growth(g, &g->node[v->def]) < SIZE_MAX / 4) {
                stack[depth++] = v->def;
                waits = true;
            }
        }
        if (waits)
            continue;
        depth--;
        if (inputs_constant(g, n) && growth(g, n) < SIZE_MAX / 4)
            OI_TRY(fold(g, at, p));
    }
    return ONNX_INFER_OK;
}
