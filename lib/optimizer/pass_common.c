/* Common subexpressions: one node for all that compute the same, one constant for small equal ones. */
#include "optimizer/pass.h"

#include <string.h>

enum { CONST_BYTES = 1 << 12 }; /* larger constants are not compared */

typedef struct {
    uint32_t *slot; /* node or value + 1; 0 empty */
    uint32_t size;  /* a power of two */
} table;

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0xff51afd7ed558ccdu;
    return h ^ (h >> 32);
}

static oi_status table_create(oi_graph *g, uint32_t n, table *t)
{
    t->size = 16;
    while (t->size < 2 * n && t->size < (1u << 30))
        t->size *= 2;
    t->slot = oi_alloc_array(oi_arena_alloc_of(g->arena), t->size, sizeof *t->slot);
    return t->slot ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

/* --- constants --------------------------------------------------------------------------------------------------- */

static uint64_t hash_const(const oi_tensor *t)
{
    const unsigned char *p = t->data;
    uint64_t h = mix((uint64_t)t->dtype, (uint64_t)t->rank);
    for (size_t i = 0; i < t->bytes; i++)
        h = mix(h, p[i]);
    return h;
}

static oi_status merge_constants(oi_graph *g, oi_pass *p)
{
    table t;
    OI_TRY(table_create(g, g->nvalue, &t));
    oi_status status = ONNX_INFER_OK;
    for (oi_value_id v = 0; v < g->nvalue && !status && !oi_pass_stopped(p); v++) {
        const oi_value *value = &g->value[v];
        const oi_tensor *c = value->fact.konst;
        if (!c || value->def != OI_NONE || value->is_input || value->is_output || !value->nuse || c->bytes > CONST_BYTES ||
            c->dtype == ONNX_INFER_STRING)
            continue;
        uint32_t at = (uint32_t)hash_const(c) & (t.size - 1);
        while (t.slot[at] && !oi_tensor_equal(c, g->value[t.slot[at] - 1].fact.konst))
            at = (at + 1) & (t.size - 1);
        if (!t.slot[at]) {
            t.slot[at] = v + 1;
            continue;
        }
        status = oi_graph_replace_uses(g, v, t.slot[at] - 1);
        oi_graph_release_const(g, v);
        p->rewriter.commits++;
    }
    oi_free_mem(oi_arena_alloc_of(g->arena), t.slot);
    return status;
}

/* --- nodes ------------------------------------------------------------------------------------------------------- */

static bool can_merge(const oi_node *n)
{
    return n->op && !n->nsub && n->nout && !(n->op->flags & (OI_OP_RANDOM | OI_OP_CONTROL));
}

static bool same_node(const oi_node *a, const oi_node *b)
{
    return a->op == b->op && a->nin == b->nin && a->nout == b->nout &&
           (a->nin == 0 || memcmp(a->in, b->in, a->nin * sizeof *a->in) == 0) && oi_attr_equal(a->op, a->attr, b->attr);
}

static bool is_output(const oi_graph *g, const oi_node *n)
{
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] != OI_NONE && g->value[n->out[i]].is_output)
            return true;
    }
    return false;
}

static oi_status merge(oi_graph *g, oi_node_id keep, oi_node_id drop, oi_pass *p)
{
    const oi_node a = g->node[keep], b = g->node[drop];
    for (uint32_t i = 0; i < a.nout; i++) {
        if ((a.out[i] == OI_NONE) != (b.out[i] == OI_NONE))
            return ONNX_INFER_OK;
    }
    for (uint32_t i = 0; i < a.nout; i++) {
        if (a.out[i] != OI_NONE)
            OI_TRY(oi_graph_replace_uses(g, b.out[i], a.out[i]));
    }
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: merge: %s '%s' into '%s' (%llu)", p->rewriter.stage, b.op->name, b.name,
                 a.name, (unsigned long long)p->rewriter.commits + 1);
    p->rewriter.commits++;
    return oi_rewrite_remove_dead(g, drop);
}

oi_status oi_pass_common(oi_graph *g, oi_pass *p)
{
    oi_node_id *order;
    uint32_t n;
    table t;
    OI_TRY(merge_constants(g, p));
    OI_TRY(oi_graph_order(g, &order, &n));
    OI_TRY(table_create(g, n, &t));
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < n && !status && !oi_pass_stopped(p); i++) {
        const oi_node *node = &g->node[order[i]];
        for (uint32_t k = 0; k < node->nsub && !status; k++)
            status = oi_pass_common(node->sub[k].graph, p);
        /* Outputs stay apart: each keeps its name and its storage. */
        if (!can_merge(node) || is_output(g, node))
            continue;
        uint64_t h = mix((uint64_t)(uintptr_t)node->op, node->nin);
        for (uint32_t k = 0; k < node->nin; k++)
            h = mix(h, node->in[k]);
        uint32_t at = (uint32_t)h & (t.size - 1);
        while (t.slot[at] && !same_node(node, &g->node[t.slot[at] - 1]))
            at = (at + 1) & (t.size - 1);
        if (t.slot[at])
            status = merge(g, t.slot[at] - 1, order[i], p);
        else
            t.slot[at] = order[i] + 1;
    }
    oi_free_mem(oi_arena_alloc_of(g->arena), t.slot);
    return status;
}
