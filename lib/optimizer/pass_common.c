/* Common subexpressions: one node for all that compute the same, one constant for small equal ones. Across subgraphs, too:
 *
 *   t = op(a); If/Loop/Scan { ... op(a) ... }          -> t = op(a); If/Loop/Scan { ... t ... }    what the graph around has
 *   If { ... op(a) ... } { ... op(a) ... }             -> t = op(a); If { ... t ... } { ... t ... }   what both branches compute
 *
 * Left alone: what only one branch of an If computes; operators that draw numbers or have subgraphs of their own. */
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

static oi_status table_create(const oi_graph *g, uint32_t n, table *t)
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

/* Small ones by what they hold, others by where they lie: weights that were captured share their memory. */
static uint64_t hash_any_const(const oi_tensor *t)
{
    return t->bytes <= CONST_BYTES && t->dtype != ONNX_INFER_STRING ? hash_const(t) : mix((uint64_t)(uintptr_t)t->data, t->bytes);
}

static bool same_const(const oi_tensor *a, const oi_tensor *b)
{
    if (!b || a->dtype != b->dtype || !oi_tensor_same_shape(a, b))
        return false;
    return a->data == b->data || (a->bytes <= CONST_BYTES && a->dtype != ONNX_INFER_STRING && oi_tensor_equal(a, b));
}

static bool is_const(const oi_graph *g, oi_value_id v)
{
    return g->value[v].fact.konst && g->value[v].def == OI_NONE && !g->value[v].is_input;
}

/* The constants of a graph that nodes use, for finding those of subgraphs again. */
static oi_status index_constants(const oi_graph *g, table *t)
{
    OI_TRY(table_create(g, g->nvalue, t));
    for (oi_value_id v = 0; v < g->nvalue; v++) {
        if (!is_const(g, v) || !g->value[v].nuse)
            continue;
        uint32_t at = (uint32_t)hash_any_const(g->value[v].fact.konst) & (t->size - 1);
        while (t->slot[at] && !same_const(g->value[v].fact.konst, g->value[t->slot[at] - 1].fact.konst))
            at = (at + 1) & (t->size - 1);
        if (!t->slot[at])
            t->slot[at] = v + 1;
    }
    return ONNX_INFER_OK;
}

/* OI_NONE: there is none, or none any more. */
static oi_value_id find_constant(const oi_graph *g, const table *t, const oi_tensor *c)
{
    uint32_t at = (uint32_t)hash_any_const(c) & (t->size - 1);
    while (t->slot[at] && !same_const(c, g->value[t->slot[at] - 1].fact.konst))
        at = (at + 1) & (t->size - 1);
    return t->slot[at] ? t->slot[at] - 1 : OI_NONE;
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

static uint64_t hash_node(const oi_op *op, uint32_t nin, const oi_value_id *in)
{
    uint64_t h = mix((uint64_t)(uintptr_t)op, nin);
    for (uint32_t k = 0; k < nin; k++)
        h = mix(h, in[k]);
    return h;
}

/* --- subgraphs --------------------------------------------------------------------------------------------------- */

/* Numbers of the inputs of a node; false where one has none. `number` is by value. */
static bool numbered(const oi_node *n, const oi_value_id *number, oi_value_id *in)
{
    for (uint32_t i = 0; i < n->nin; i++) {
        in[i] = n->in[i] == OI_NONE ? OI_NONE : number[n->in[i]];
        if (n->in[i] != OI_NONE && in[i] == OI_NONE)
            return false;
    }
    return true;
}

static uint32_t most_inputs(const oi_graph *g)
{
    uint32_t most = 1;
    for (oi_node_id i = 0; i < g->nnode; i++)
        most = g->node[i].op && g->node[i].nin > most ? g->node[i].nin : most;
    return most;
}

/* Every output that the inner node has, the outer one has. */
static bool has_outputs(const oi_node *outer, const oi_node *inner)
{
    for (uint32_t i = 0; i < inner->nout; i++) {
        if (inner->out[i] != OI_NONE && outer->out[i] == OI_NONE)
            return false;
    }
    return true;
}

/* Subgraph k of node id leaves to g what g has computed before. t: of the nodes so far; constants: of g. */
static oi_status share_with_outer(oi_graph *g, const table *t, const table *constants, oi_node_id id, uint32_t k, oi_pass *p)
{
    oi_graph *body = g->node[id].sub[k].graph;
    oi_node_id *order;
    uint32_t n, found = 0;
    OI_TRY(oi_graph_order(body, &order, &n));
    oi_value_id *outside = oi_pass_outside(g, id, k), *in = oi_arena_array(g->arena, most_inputs(body), sizeof *in);
    bool *gone = oi_arena_array(g->arena, body->nnode, sizeof *gone);
    if (!outside || !in || !gone)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (oi_value_id v = 0; v < body->nvalue; v++) {
        if (is_const(body, v) && body->value[v].nuse)
            outside[v] = find_constant(g, constants, body->value[v].fact.konst);
    }
    for (uint32_t i = 0; i < n; i++) {
        const oi_node *node = &body->node[order[i]];
        if (!can_merge(node) || !numbered(node, outside, in))
            continue;
        oi_node as_outer = *node;
        as_outer.in = in;
        uint32_t at = (uint32_t)hash_node(node->op, node->nin, in) & (t->size - 1);
        while (t->slot[at] && !same_node(&as_outer, &g->node[t->slot[at] - 1]))
            at = (at + 1) & (t->size - 1);
        if (!t->slot[at] || !has_outputs(&g->node[t->slot[at] - 1], node))
            continue;
        for (uint32_t o = 0; o < node->nout; o++) {
            if (node->out[o] != OI_NONE)
                outside[node->out[o]] = g->node[t->slot[at] - 1].out[o];
        }
        gone[order[i]] = true;
        found++;
    }
    if (!found)
        return ONNX_INFER_OK;
    p->rewriter.commits++;
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: merge: %u nodes of a body of '%s' into what is around it (%llu)",
                 p->rewriter.stage, found, g->node[id].name, (unsigned long long)p->rewriter.commits);
    return oi_pass_take_out(g, id, k, order, n, gone, outside);
}

/* One branch of an If: its values by number, which are ids of values of the graph around it, or above all of those. */
typedef struct {
    oi_graph *g;
    oi_node_id *order;
    uint32_t n;
    oi_value_id *number, *outside;
    bool *gone;
} branch;

static oi_status branch_create(oi_graph *g, oi_node_id id, uint32_t k, branch *b)
{
    b->g = g->node[id].sub[k].graph;
    OI_TRY(oi_graph_order(b->g, &b->order, &b->n));
    b->number = oi_pass_outside(g, id, k);
    b->outside = oi_pass_outside(g, id, k);
    b->gone = oi_arena_array(g->arena, b->g->nnode, sizeof *b->gone);
    return b->number && b->outside && b->gone ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

/* The first branch's nodes, by what they do with numbered values. */
static oi_status index_branch(oi_graph *g, branch *b, oi_value_id *next, oi_value_id **in, table *t)
{
    OI_TRY(table_create(g, b->n, t));
    for (uint32_t i = 0; i < b->n; i++) {
        const oi_node *node = &b->g->node[b->order[i]];
        oi_value_id *list = oi_arena_array(g->arena, node->nin, sizeof *list);
        if (!list)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        if (!can_merge(node) || !numbered(node, b->number, list))
            continue;
        in[b->order[i]] = list;
        uint32_t at = (uint32_t)hash_node(node->op, node->nin, list) & (t->size - 1);
        while (t->slot[at])
            at = (at + 1) & (t->size - 1);
        t->slot[at] = b->order[i] + 1;
        for (uint32_t o = 0; o < node->nout; o++) {
            if (node->out[o] != OI_NONE)
                b->number[node->out[o]] = (*next)++;
        }
    }
    return ONNX_INFER_OK;
}

static bool same_outputs(const oi_node *a, const oi_node *b)
{
    return has_outputs(a, b) && has_outputs(b, a);
}

/* The node of the first branch that does what this node of the other does; OI_NONE: none. */
static oi_node_id find_twin(const branch *one, const table *t, oi_value_id *const *lists, const oi_node *node, oi_value_id *in)
{
    oi_node theirs = *node;
    theirs.in = in;
    uint32_t at = (uint32_t)hash_node(node->op, node->nin, in) & (t->size - 1);
    for (; t->slot[at]; at = (at + 1) & (t->size - 1)) {
        oi_node ours = one->g->node[t->slot[at] - 1];
        ours.in = lists[t->slot[at] - 1];
        if (same_node(&ours, &theirs) && same_outputs(&ours, node))
            return t->slot[at] - 1;
    }
    return OI_NONE;
}

/* Puts the node of the first branch in front of the If. */
static oi_status put_before(oi_graph *g, branch *one, oi_node_id twin)
{
    const oi_node *n = &one->g->node[twin];
    oi_value_id *in = oi_arena_array(g->arena, n->nin, sizeof *in);
    if (!in)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n->nin; i++) {
        oi_value_id v = n->in[i];
        if (v != OI_NONE && one->outside[v] == OI_NONE)
            OI_TRY(oi_pass_same_const(g, one->g, v, &one->outside[v]));
        in[i] = v == OI_NONE ? OI_NONE : one->outside[v];
    }
    one->gone[twin] = true;
    return oi_pass_copy_out(g, one->g, n, in, one->outside);
}

static oi_status match_branches(oi_graph *g, branch *one, branch *other, const table *t, oi_value_id *const *lists, uint32_t *found)
{
    oi_value_id *in = oi_arena_array(g->arena, most_inputs(other->g), sizeof *in);
    if (!in)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < other->n; i++) {
        const oi_node *node = &other->g->node[other->order[i]];
        if (!can_merge(node) || !numbered(node, other->number, in))
            continue;
        oi_node_id twin = find_twin(one, t, lists, node, in);
        if (twin == OI_NONE)
            continue;
        if (!one->gone[twin])
            OI_TRY(put_before(g, one, twin));
        const oi_node *ours = &one->g->node[twin];
        for (uint32_t o = 0; o < node->nout; o++) {
            if (node->out[o] == OI_NONE)
                continue;
            other->number[node->out[o]] = one->number[ours->out[o]];
            other->outside[node->out[o]] = one->outside[ours->out[o]];
        }
        other->gone[other->order[i]] = true;
        (*found)++;
    }
    return ONNX_INFER_OK;
}

/* Constants of both branches that are the same have the same number. */
static oi_status number_constants(branch *one, branch *other, oi_value_id *next)
{
    table t;
    OI_TRY(index_constants(one->g, &t));
    for (oi_value_id v = 0; v < one->g->nvalue; v++) {
        bool used = is_const(one->g, v) && one->g->value[v].nuse;
        oi_value_id first = used ? find_constant(one->g, &t, one->g->value[v].fact.konst) : OI_NONE;
        if (first == v)
            one->number[v] = (*next)++;
        else if (first != OI_NONE)
            one->number[v] = one->number[first]; /* found earlier: the first of its kind is in the table */
    }
    for (oi_value_id v = 0; v < other->g->nvalue; v++) {
        bool used = is_const(other->g, v) && other->g->value[v].nuse;
        oi_value_id same = used ? find_constant(one->g, &t, other->g->value[v].fact.konst) : OI_NONE;
        if (same != OI_NONE)
            other->number[v] = one->number[same];
    }
    oi_free_mem(oi_arena_alloc_of(one->g->arena), t.slot);
    return ONNX_INFER_OK;
}

static oi_status share_branches(oi_graph *g, oi_node_id id, oi_pass *p)
{
    branch one, other;
    table t = {0};
    uint32_t found = 0;
    oi_value_id next = g->nvalue;
    if (g->node[id].nsub != 2)
        return ONNX_INFER_OK;
    OI_TRY(branch_create(g, id, 0, &one));
    OI_TRY(branch_create(g, id, 1, &other));
    oi_value_id **lists = oi_arena_array(g->arena, one.g->nnode, sizeof *lists);
    if (!lists)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(number_constants(&one, &other, &next));
    oi_status status = index_branch(g, &one, &next, lists, &t);
    if (!status)
        status = match_branches(g, &one, &other, &t, lists, &found);
    oi_free_mem(oi_arena_alloc_of(g->arena), t.slot);
    OI_TRY(status);
    if (!found)
        return ONNX_INFER_OK;
    p->rewriter.commits++;
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: merge: %u nodes of both branches of '%s' (%llu)", p->rewriter.stage, found,
                 g->node[id].name, (unsigned long long)p->rewriter.commits);
    OI_TRY(oi_pass_take_out(g, id, 0, one.order, one.n, one.gone, one.outside));
    return oi_pass_take_out(g, id, 1, other.order, other.n, other.gone, other.outside);
}

/* t: of the nodes in front of node id. */
static oi_status common_in_bodies(oi_graph *g, const table *t, const table *constants, oi_node_id id, oi_pass *p)
{
    const oi_op *op = g->node[id].op;
    for (uint32_t k = 0; k < g->node[id].nsub && !oi_pass_stopped(p); k++) {
        OI_TRY(oi_pass_common(g->node[id].sub[k].graph, p));
        if (!oi_pass_stopped(p))
            OI_TRY(share_with_outer(g, t, constants, id, k, p));
    }
    if (!op->domain[0] && strcmp(op->name, "If") == 0 && !oi_pass_stopped(p))
        return share_branches(g, id, p);
    return ONNX_INFER_OK;
}

oi_status oi_pass_common(oi_graph *g, oi_pass *p)
{
    oi_node_id *order;
    uint32_t n;
    table t, constants = {0};
    OI_TRY(merge_constants(g, p));
    OI_TRY(oi_graph_order(g, &order, &n));
    OI_TRY(table_create(g, n, &t));
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < n && !status && !oi_pass_stopped(p); i++) {
        const oi_node *node = &g->node[order[i]];
        if (node->nsub && !constants.slot)
            status = index_constants(g, &constants);
        if (node->nsub && !status)
            status = common_in_bodies(g, &t, &constants, order[i], p);
        node = &g->node[order[i]];
        /* Outputs stay apart: each keeps its name and its storage. */
        if (status || !can_merge(node) || is_output(g, node))
            continue;
        uint32_t at = (uint32_t)hash_node(node->op, node->nin, node->in) & (t.size - 1);
        while (t.slot[at] && !same_node(node, &g->node[t.slot[at] - 1]))
            at = (at + 1) & (t.size - 1);
        if (t.slot[at])
            status = merge(g, t.slot[at] - 1, order[i], p);
        else
            t.slot[at] = order[i] + 1;
    }
    oi_free_mem(oi_arena_alloc_of(g->arena), constants.slot);
    oi_free_mem(oi_arena_alloc_of(g->arena), t.slot);
    return status;
}
