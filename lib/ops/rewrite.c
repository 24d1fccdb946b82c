/* Rewriting: builders and patterns for rules, and the driver that commits or undoes what a rule has staged. */
#include "ops/rewrite.h"

#include "ops/infer.h"

#include <stdio.h>
#include <string.h>

/* --- builders ---------------------------------------------------------------------------------------------------- */

void oi_rewrite_node_multi(oi_rewrite *rw, const oi_op *op, void *attr, uint32_t nin, const oi_value_id *in, uint32_t nout,
                           oi_value_id *out)
{
    oi_graph *g = rw->g;
    oi_node_id id;
    for (uint32_t i = 0; i < nout; i++)
        out[i] = OI_NONE;
    if (rw->status)
        return;
    if (!attr && op->attr_size) {
        attr = oi_attr_new(g->arena, op);
        if (!attr) {
            rw->status = ONNX_INFER_E_OUT_OF_MEMORY;
            return;
        }
    }
    const char *base = rw->at != OI_NONE && rw->at < g->nnode ? g->node[rw->at].name : "";
    char name[256];
    if (g->nnode > rw->mark_node)
        snprintf(name, sizeof name, "%.200s+%u", base, g->nnode - rw->mark_node);
    else
        snprintf(name, sizeof name, "%.240s", base);
    rw->status = oi_graph_add_node(g, op, name, attr, nin, in, nout, out, 0, NULL, &id);
    if (!rw->status)
        rw->status = oi_infer_node(g, id);
    if (rw->status) {
        for (uint32_t i = 0; i < nout; i++)
            out[i] = OI_NONE;
    }
}

oi_value_id oi_rewrite_node(oi_rewrite *rw, const oi_op *op, void *attr, uint32_t nin, const oi_value_id *in)
{
    oi_value_id out;
    oi_rewrite_node_multi(rw, op, attr, nin, in, 1, &out);
    return out;
}

oi_value_id oi_rewrite_op(oi_rewrite *rw, const char *domain, const char *name, const char *attrs, uint32_t nin,
                          const oi_value_id *in)
{
    const oi_op *op = oi_op_find(domain, name);
    void *attr = NULL;
    if (rw->status)
        return OI_NONE;
    if (!op) {
        rw->status = OI_DECLINED; /* a build without the operator leaves the pattern alone */
        return OI_NONE;
    }
    rw->status = oi_attr_parse_text(rw->g->arena, op, attrs, &attr);
    return oi_rewrite_node(rw, op, attr, nin, in);
}

oi_value_id oi_rewrite_const(oi_rewrite *rw, oi_tensor *t)
{
    oi_value_id v = OI_NONE;
    if (!rw->status)
        rw->status = oi_graph_add_const(rw->g, NULL, t, &v);
    oi_tensor_clear(t);
    return rw->status ? OI_NONE : v;
}

oi_value_id oi_rewrite_const_ints(oi_rewrite *rw, const int64_t *v, uint32_t n)
{
    oi_tensor t = {0};
    int64_t dim = n;
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), ONNX_INFER_INT64, 1, &dim, &t);
    if (!rw->status && n)
        memcpy(t.data, v, n * sizeof *v);
    return oi_rewrite_const(rw, &t);
}

oi_ints oi_rewrite_ints(oi_rewrite *rw, const int64_t *v, uint32_t n)
{
    const int64_t none = 0;
    oi_ints list = {oi_arena_copy(rw->g->arena, n ? v : &none, (n ? n : 1) * sizeof *v), n};
    if (!list.at)
        rw->status = ONNX_INFER_E_OUT_OF_MEMORY;
    return list;
}

oi_value_id oi_rewrite_transpose(oi_rewrite *rw, oi_value_id x, int32_t rank, const int64_t *perm)
{
    const oi_op *op = oi_op_find("", "Transpose");
    void *attr = op ? oi_attr_new(rw->g->arena, op) : NULL;
    const oi_ints list = oi_rewrite_ints(rw, perm, (uint32_t)rank);
    if (!attr || !list.at) {
        rw->status = ONNX_INFER_E_OUT_OF_MEMORY;
        return OI_NONE;
    }
    const oi_node like = {.op = op, .attr = attr};
    memcpy((void *)oi_attr_field(&like, "perm"), &list, sizeof list);
    return oi_rewrite_node(rw, op, attr, 1, &x);
}

oi_value_id oi_rewrite_const_float(oi_rewrite *rw, float v)
{
    oi_tensor t = {0};
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), ONNX_INFER_FLOAT, 0, NULL, &t);
    if (!rw->status)
        memcpy(t.data, &v, sizeof v);
    return oi_rewrite_const(rw, &t);
}

static bool contradicts(const oi_fact *a, const oi_fact *b)
{
    if (a->kind != b->kind)
        return true;
    if (a->kind != ONNX_INFER_TENSOR)
        return false;
    if (a->dtype != b->dtype && a->dtype != ONNX_INFER_UNDEFINED && b->dtype != ONNX_INFER_UNDEFINED)
        return true;
    if (a->shape.rank < 0 || b->shape.rank < 0)
        return false;
    if (a->shape.rank != b->shape.rank)
        return true;
    for (int32_t i = 0; i < a->shape.rank; i++) {
        oi_dim x = a->shape.dim[i], y = b->shape.dim[i];
        if (x != y && oi_dim_is_number(x) && oi_dim_is_number(y))
            return true;
    }
    return false;
}

void oi_rewrite_replace(oi_rewrite *rw, oi_value_id from, oi_value_id to)
{
    oi_graph *g = rw->g;
    if (rw->status || from == to)
        return;
    if (from == OI_NONE || to == OI_NONE) {
        rw->status = oi_fail(ONNX_INFER_E_INTERNAL, "a rewrite replaces a value that is not there");
        return;
    }
    const oi_fact *a = &g->value[from].fact, *b = &g->value[to].fact;
    if (contradicts(a, b)) {
        char was[200], is[200];
        rw->status = oi_fail(ONNX_INFER_E_INTERNAL, "a rewrite puts %s in the place of '%s', which is %s",
                             oi_fact_text(g->syms, b, is, sizeof is), g->value[from].name,
                             oi_fact_text(g->syms, a, was, sizeof was));
        return;
    }
    rw->status = oi_arena_grow(g->arena, &rw->from, &rw->from_cap, rw->nreplace + 1, sizeof *rw->from);
    if (!rw->status)
        rw->status = oi_arena_grow(g->arena, &rw->to, &rw->to_cap, rw->nreplace + 1, sizeof *rw->to);
    if (rw->status)
        return;
    rw->from[rw->nreplace] = from;
    rw->to[rw->nreplace++] = to;
}

/* --- patterns ---------------------------------------------------------------------------------------------------- */

static bool is_ours(const oi_op *op)
{
    return !op->domain[0] || strcmp(op->domain, "onnx_infer") == 0;
}

const oi_node *oi_match_def(const oi_graph *g, oi_value_id v, const char *name)
{
    if (v == OI_NONE || g->value[v].def == OI_NONE)
        return NULL;
    const oi_node *n = &g->node[g->value[v].def];
    return n->op && is_ours(n->op) && strcmp(n->op->name, name) == 0 ? n : NULL;
}

bool oi_match_single_use(const oi_graph *g, oi_value_id v)
{
    return v != OI_NONE && g->value[v].nuse == 1 && !g->value[v].is_output;
}

const oi_tensor *oi_match_const(const oi_graph *g, oi_value_id v)
{
    oi_tensor *t = v == OI_NONE ? NULL : (oi_tensor *)g->value[v].fact.konst; /* the graph's own struct */
    if (t && oi_tensor_align(oi_arena_alloc_of(g->arena), t) != ONNX_INFER_OK)
        return NULL; /* no memory: what comes next finds that out too */
    return t;
}

bool oi_match_scalar(const oi_graph *g, oi_value_id v, double *out)
{
    const oi_tensor *t = oi_match_const(g, v);
    if (!t || oi_tensor_count(t) != 1 || t->dtype == ONNX_INFER_STRING || oi_dtype_is_complex(t->dtype))
        return false;
    *out = oi_elem_get_double(t->dtype, t->data, 0);
    return true;
}

/* --- the driver -------------------------------------------------------------------------------------------------- */

enum { COMMITS_PER_NODE = 64, COMMITS_BASE = 1000 };

typedef struct {
    oi_graph *g;
    const oi_rule *rule;
    size_t nrule;
    oi_rewriter *r;
    uint64_t budget;
    bool alone; /* nothing is queued */
    oi_node_id *queue; /* a ring; a node is in it once at most */
    uint32_t head, count, cap;
    bool *queued;
    uint32_t queued_cap;
} worker;

static oi_status enqueue(worker *w, oi_node_id id)
{
    if (id == OI_NONE || w->alone)
        return ONNX_INFER_OK;
    OI_TRY(oi_arena_grow(w->g->arena, &w->queued, &w->queued_cap, w->g->nnode, sizeof *w->queued));
    if (w->queued[id] || !w->g->node[id].op)
        return ONNX_INFER_OK;
    if (w->count == w->cap) {
        uint32_t cap = w->cap ? w->cap * 2 : 256;
        oi_node_id *bigger = oi_arena_array(w->g->arena, cap, sizeof *bigger);
        if (!bigger)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (uint32_t i = 0; i < w->count; i++)
            bigger[i] = w->queue[(w->head + i) % w->cap];
        w->queue = bigger;
        w->head = 0;
        w->cap = cap;
    }
    w->queue[(w->head + w->count++) % w->cap] = id;
    w->queued[id] = true;
    return ONNX_INFER_OK;
}

static oi_status enqueue_users(worker *w, oi_value_id v)
{
    for (uint32_t i = 0; v != OI_NONE && i < w->g->value[v].nuse; i++)
        OI_TRY(enqueue(w, w->g->value[v].use[i].node));
    return ONNX_INFER_OK;
}

static bool is_dead(const oi_graph *g, const oi_node *n)
{
    if (!n->op)
        return false;
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] != OI_NONE && (g->value[n->out[i]].nuse || g->value[n->out[i]].is_output))
            return false;
    }
    return true;
}

typedef struct {
    oi_node_id *list;
    uint32_t n, cap;
} node_list;

/* Removes id if nothing uses it, and what is dead then. removed, touched: may be NULL; the texts of removed operators and
 * the nodes that lost a use. */
static oi_status sweep(oi_graph *g, oi_node_id id, char *removed, size_t removed_cap, node_list *touched)
{
    node_list stack = {0};
    size_t used = removed ? strlen(removed) : 0;
    OI_TRY(oi_arena_grow(g->arena, &stack.list, &stack.cap, 1, sizeof *stack.list));
    stack.list[stack.n++] = id;
    while (stack.n) {
        oi_node_id at = stack.list[--stack.n];
        if (!is_dead(g, &g->node[at]))
            continue;
        oi_node n = g->node[at];
        if (removed) {
            int wrote = snprintf(removed + used, removed_cap - used, "%s%s", used ? " + " : "", n.op->name);
            if (wrote > 0 && (size_t)wrote < removed_cap - used)
                used += (size_t)wrote;
            else
                removed[used] = 0;
        }
        oi_graph_remove_node(g, at);
        for (uint32_t i = 0; i < n.nout; i++) {
            if (n.out[i] != OI_NONE)
                oi_graph_release_const(g, n.out[i]);
        }
        for (uint32_t i = 0; i < n.nin; i++) {
            if (n.in[i] == OI_NONE)
                continue;
            const oi_value *v = &g->value[n.in[i]];
            if (v->def == OI_NONE) {
                if (!v->is_input)
                    oi_graph_release_const(g, n.in[i]);
                continue;
            }
            OI_TRY(oi_arena_grow(g->arena, &stack.list, &stack.cap, stack.n + 1, sizeof *stack.list));
            stack.list[stack.n++] = v->def;
            if (touched) {
                OI_TRY(oi_arena_grow(g->arena, &touched->list, &touched->cap, touched->n + 1, sizeof *touched->list));
                touched->list[touched->n++] = v->def;
            }
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_rewrite_remove_dead(oi_graph *g, oi_node_id id)
{
    return sweep(g, id, NULL, 0, NULL);
}

/* What was known of `from` and is not known of `to`. */
static void keep_knowledge(oi_graph *g, oi_value_id from, oi_value_id to)
{
    const oi_fact *a = &g->value[from].fact;
    oi_fact *b = &g->value[to].fact;
    if (a->kind != ONNX_INFER_TENSOR)
        return;
    if (b->dtype == ONNX_INFER_UNDEFINED)
        b->dtype = a->dtype;
    if (b->shape.rank < 0)
        b->shape = a->shape;
    for (int32_t i = 0; i < b->shape.rank && a->shape.rank == b->shape.rank; i++) {
        if (!oi_dim_is_number(b->shape.dim[i]) && oi_dim_is_number(a->shape.dim[i]))
            b->shape.dim[i] = a->shape.dim[i];
    }
    if (!b->nsym && !b->konst) {
        b->sym = a->sym;
        b->nsym = a->nsym;
    }
}

static void undo(oi_rewrite *rw)
{
    oi_graph *g = rw->g;
    while (g->nnode > rw->mark_node) {
        if (g->node[g->nnode - 1].op)
            oi_graph_remove_node(g, g->nnode - 1);
        g->nnode--;
    }
    while (g->nvalue > rw->mark_value) {
        oi_value *v = &g->value[g->nvalue - 1];
        v->nuse = 0;
        v->is_output = false;
        oi_graph_release_const(g, g->nvalue - 1);
        g->nvalue--;
    }
    rw->nreplace = 0;
}

static void log_commit(const worker *w, const oi_rewrite *rw, const char *name, const char *removed)
{
    const oi_graph *g = rw->g;
    char made[256] = "";
    size_t used = 0;
    if (!oi_log_wants(g->log, ONNX_INFER_LOG_DEBUG))
        return;
    for (oi_node_id i = rw->mark_node; i < g->nnode; i++) {
        if (!g->node[i].op)
            continue;
        int wrote = snprintf(made + used, sizeof made - used, "%s%s", used ? " + " : "", g->node[i].op->name);
        if (wrote < 0 || (size_t)wrote >= sizeof made - used)
            break;
        used += (size_t)wrote;
    }
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: %s: %s -> %s at '%s' (%llu)", w->r->stage, rw->rule,
                 removed[0] ? removed : "(nothing)", made[0] ? made : "(nothing)", name,
                 (unsigned long long)w->r->commits);
}

static oi_status commit(worker *w, oi_rewrite *rw, const oi_rule *rule)
{
    oi_graph *g = rw->g;
    char removed[256] = "";
    node_list touched = {0};
    const char *name = g->node[rw->at].name;
    w->r->commits++;
    for (uint32_t i = 0; i < rw->nreplace; i++) {
        oi_value_id from = rw->from[i], to = rw->to[i];
        for (uint32_t k = i + 1; k < rw->nreplace; k++) { /* what was replaced is gone for later replacements */
            if (rw->to[k] == from)
                rw->to[k] = to;
        }
        keep_knowledge(g, from, to);
        OI_TRY(oi_graph_replace_uses(g, from, to));
        OI_TRY(enqueue_users(w, to));
        OI_TRY(enqueue(w, g->value[to].def));
        if (g->value[from].def != OI_NONE)
            OI_TRY(sweep(g, g->value[from].def, removed, sizeof removed, &touched));
        else if (!g->value[from].is_input)
            oi_graph_release_const(g, from);
    }
    for (oi_node_id i = rw->mark_node; i < g->nnode; i++) {
        OI_TRY(sweep(g, i, NULL, 0, NULL));
        OI_TRY(enqueue(w, i));
    }
    for (uint32_t i = 0; i < touched.n; i++) {
        OI_TRY(enqueue(w, touched.list[i]));
        const oi_node *n = &g->node[touched.list[i]];
        for (uint32_t k = 0; n->op && k < n->nout; k++)
            OI_TRY(enqueue_users(w, n->out[k]));
    }
    log_commit(w, rw, name, removed);
    if (w->r->strict) {
        oi_status status = oi_graph_verify(g);
        if (status) {
            oi_error_prefix("after %s at '%s': ", rw->rule, name);
            return status;
        }
    }
    if (w->r->watch.changed)
        w->r->watch.changed(w->r->watch.user, w->r->pass, rule);
    return ONNX_INFER_OK;
}

static bool stopped(const oi_rewriter *r)
{
    return r->stop_after && r->commits >= r->stop_after;
}

static oi_status try_rule(worker *w, const oi_rule *rule, oi_node_id id, bool *changed)
{
    oi_graph *g = w->g;
    oi_rewrite rw = {.g = g, .at = id, .rule = rule->name, .target = w->r->target, .mark_node = g->nnode,
                     .mark_value = g->nvalue};
    *changed = false;
    oi_status status = rule->fn(&rw, id);
    if (!status)
        status = rw.status;
    if (!status && rw.nreplace) {
        *changed = true;
        return commit(w, &rw, rule);
    }
    undo(&rw);
    if (status && status != OI_DECLINED) {
        oi_error_prefix("%s: %s at '%s': ", w->r->stage, rule->name, g->node[id].name);
        if (w->r->strict || status == ONNX_INFER_E_OUT_OF_MEMORY)
            return status;
        oi_log_write(g->log, ONNX_INFER_LOG_WARNING, "a rewrite failed and was undone: %s", oi_error_current()->message);
    }
    return ONNX_INFER_OK;
}

static oi_status visit(worker *w, oi_node_id id)
{
    for (size_t i = 0; i < w->nrule; i++) {
        const oi_rule *rule = &w->rule[i];
        const oi_op *op = w->g->node[id].op;
        bool changed;
        if (!op || stopped(w->r))
            return ONNX_INFER_OK;
        if ((rule->op && !(is_ours(op) && strcmp(rule->op, op->name) == 0)) ||
            oi_watch_skips(&w->r->watch, rule->name, rule->rounding))
            continue;
        OI_TRY(try_rule(w, rule, id, &changed));
        if (changed)
            return enqueue(w, id);
    }
    return ONNX_INFER_OK;
}

oi_status oi_rewrite_one(oi_graph *g, const oi_rule *rule, oi_node_id id, oi_rewriter *r)
{
    worker w = {.g = g, .rule = rule, .nrule = 1, .r = r, .alone = true};
    bool changed;
    return try_rule(&w, rule, id, &changed);
}

oi_status oi_rewrite_run(oi_graph *g, const oi_rule *rule, size_t nrule, oi_rewriter *r)
{
    oi_node_id *order;
    uint32_t n;
    OI_TRY(oi_graph_order(g, &order, &n));
    worker w = {.g = g, .rule = rule, .nrule = nrule, .r = r};
    w.budget = r->commits + COMMITS_BASE + (uint64_t)n * COMMITS_PER_NODE;
    for (uint32_t i = 0; i < n; i++) {
        const oi_node *node = &g->node[order[i]];
        for (uint32_t k = 0; k < node->nsub; k++)
            OI_TRY(oi_rewrite_run(node->sub[k].graph, rule, nrule, r));
        OI_TRY(enqueue(&w, order[i]));
    }
    while (w.count && !stopped(r)) {
        if (r->check)
            OI_TRY(r->check(r->user));
        oi_node_id id = w.queue[w.head];
        w.head = (w.head + 1) % w.cap;
        w.count--;
        w.queued[id] = false;
        if (!g->node[id].op)
            continue;
        if (r->commits > w.budget) {
            r->exhausted = true;
            oi_log_write(g->log, ONNX_INFER_LOG_WARNING, "%s: rewriting does not come to an end by itself at '%s'; stopped",
                         r->stage, g->node[id].name);
            return ONNX_INFER_OK;
        }
        OI_TRY(visit(&w, id));
    }
    return ONNX_INFER_OK;
}
