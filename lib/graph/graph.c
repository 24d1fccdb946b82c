/* Building a graph, keeping its uses, and putting it in order. */
#include "graph/graph.h"


#include <stdio.h>
#include <string.h>

oi_graph *oi_graph_create(const oi_alloc *a, const oi_log *log)
{
    oi_arena *arena = oi_arena_create(a);
    if (!arena)
        return NULL;
    oi_graph *g = oi_arena_mem(arena, sizeof *g);
    if (g) {
        g->arena = arena;
        g->log = log;
        g->name = "";
        g->syms = oi_symtab_create(arena);
    }
    if (!g || !g->syms) {
        oi_arena_destroy(arena);
        return NULL;
    }
    return g;
}

oi_graph *oi_graph_create_sub(oi_graph *outer)
{
    oi_graph *g = oi_arena_mem(outer->arena, sizeof *g);
    if (!g)
        return NULL;
    g->arena = outer->arena;
    g->syms = outer->syms;
    g->log = outer->log;
    g->stage = outer->stage;
    g->name = "";
    g->outer = outer;
    return g;
}

void oi_graph_destroy(oi_graph *g)
{
    if (g)
        oi_arena_destroy(g->arena);
}

/* --- values ------------------------------------------------------------------------------------------------------ */

oi_status oi_graph_add_value(oi_graph *g, const char *name, oi_value_id *out)
{
    *out = OI_NONE;
    OI_FAIL_IF(g->nvalue >= OI_NONE - 1, ONNX_INFER_E_LIMIT, "a graph has too many values");
    OI_TRY(oi_arena_grow(g->arena, &g->value, &g->value_cap, g->nvalue + 1, sizeof *g->value));
    oi_value v = {.name = "", .def = OI_NONE, .fact = oi_fact_unknown()};
    if (name && name[0]) {
        v.name = oi_arena_text(g->arena, name);
        if (!v.name)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    g->value[g->nvalue] = v;
    *out = g->nvalue++;
    return ONNX_INFER_OK;
}

static void clear_tensor(void *t)
{
    oi_tensor_clear(t);
}

/* A place for a tensor in the arena, cleared with it. */
static oi_tensor *new_tensor(oi_graph *g)
{
    oi_tensor *t = oi_arena_mem(g->arena, sizeof *t);
    return t && oi_arena_on_destroy(g->arena, clear_tensor, t) == ONNX_INFER_OK ? t : NULL;
}

static oi_status copy_elem(oi_graph *g, const oi_fact *from, const oi_fact **out)
{
    *out = NULL;
    if (!from)
        return ONNX_INFER_OK;
    oi_fact *copy = oi_arena_copy(g->arena, from, sizeof *from);
    if (!copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    copy->konst = NULL;
    copy->sym = NULL;
    copy->nsym = 0;
    OI_TRY(copy_elem(g, from->elem, &copy->elem));
    *out = copy;
    return ONNX_INFER_OK;
}

oi_status oi_graph_set_fact(oi_graph *g, oi_value_id v, const oi_fact *fact)
{
    const oi_fact old = g->value[v].fact;
    oi_fact f = *fact;
    if (f.elem && f.elem != old.elem)
        OI_TRY(copy_elem(g, f.elem, &f.elem));
    if (f.nsym && f.sym != old.sym) {
        if (f.nsym == old.nsym && old.sym && memcmp(f.sym, old.sym, f.nsym * sizeof *f.sym) == 0)
            f.sym = old.sym;
        else
            f.sym = oi_arena_copy(g->arena, f.sym, f.nsym * sizeof *f.sym);
        if (!f.sym)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    if (f.konst && f.konst != old.konst) {
        oi_tensor *mine = (oi_tensor *)old.konst; /* its place is this value's own and is used again */
        if (!mine)
            mine = new_tensor(g);
        if (!mine)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        oi_tensor fresh;
        oi_tensor_share(&fresh, f.konst);
        oi_tensor_clear(mine);
        *mine = fresh;
        f.konst = mine;
    }
    if (old.konst && !f.konst)
        oi_tensor_clear((oi_tensor *)old.konst);
    g->value[v].fact = f;
    return ONNX_INFER_OK;
}

void oi_graph_release_const(oi_graph *g, oi_value_id v)
{
    oi_value *value = &g->value[v];
    if (!value->fact.konst || value->nuse || value->is_output)
        return;
    oi_tensor_clear((oi_tensor *)value->fact.konst);
    value->fact.konst = NULL;
}

oi_status oi_graph_add_input(oi_graph *g, const char *name, const oi_fact *fact, oi_value_id *out)
{
    OI_TRY(oi_graph_add_value(g, name, out));
    OI_TRY(oi_graph_set_fact(g, *out, fact));
    OI_TRY(oi_arena_grow(g->arena, &g->input, &g->input_cap, g->ninput + 1, sizeof *g->input));
    g->input[g->ninput++] = *out;
    g->value[*out].is_input = true;
    return ONNX_INFER_OK;
}

oi_status oi_graph_add_const(oi_graph *g, const char *name, oi_tensor *t, oi_value_id *out)
{
    OI_TRY(oi_graph_add_value(g, name, out));
    oi_tensor *mine = new_tensor(g);
    if (!mine)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *mine = *t;
    memset(t, 0, sizeof *t);
    oi_fact f = oi_fact_tensor(mine->dtype, mine->rank, mine->dim);
    f.konst = mine;
    g->value[*out].fact = f;
    return ONNX_INFER_OK;
}

oi_status oi_graph_mark_output(oi_graph *g, oi_value_id v)
{
    uint32_t cap = g->output_cap;
    OI_TRY(oi_arena_grow(g->arena, &g->output_name, &cap, g->noutput + 1, sizeof *g->output_name));
    OI_TRY(oi_arena_grow(g->arena, &g->output, &g->output_cap, g->noutput + 1, sizeof *g->output));
    g->output_name[g->noutput] = g->value[v].name;
    g->output[g->noutput++] = v;
    g->value[v].is_output = true;
    return ONNX_INFER_OK;
}

oi_value_id oi_graph_find_value(const oi_graph *g, const char *name)
{
    for (uint32_t i = 0; i < g->nvalue; i++) {
        if (name[0] && strcmp(g->value[i].name, name) == 0)
            return i;
    }
    return OI_NONE;
}

/* --- uses -------------------------------------------------------------------------------------------------------- */

/* From the last one back, so that uses just added are found at the ends of their lists. */
static void drop_uses(oi_graph *g, oi_node *n)
{
    for (uint32_t i = n->nin; i-- > 0;) {
        if (n->in[i] == OI_NONE)
            continue;
        oi_value *value = &g->value[n->in[i]];
        oi_use last = value->use[--value->nuse];
        if (n->use_at[i] == value->nuse)
            continue;
        value->use[n->use_at[i]] = last;
        g->node[last.node].use_at[last.slot] = n->use_at[i];
    }
}

/* Takes up all inputs, or none. */
static oi_status add_uses(oi_graph *g, oi_node *n, oi_node_id id)
{
    const uint32_t nin = n->nin;
    for (uint32_t i = 0; i < nin; i++) {
        if (n->in[i] == OI_NONE)
            continue;
        oi_value *v = &g->value[n->in[i]];
        oi_status status = oi_arena_grow(g->arena, &v->use, &v->use_cap, v->nuse + 1, sizeof *v->use);
        if (status) {
            n->nin = i;
            drop_uses(g, n);
            n->nin = nin;
            return status;
        }
        n->use_at[i] = v->nuse;
        v->use[v->nuse++] = (oi_use){id, i};
    }
    return ONNX_INFER_OK;
}

oi_status oi_graph_set_node_inputs(oi_graph *g, oi_node_id id, uint32_t nin, const oi_value_id *in)
{
    oi_value_id *copy = oi_arena_array(g->arena, nin, sizeof *copy);
    uint32_t *use_at = oi_arena_array(g->arena, nin, sizeof *use_at);
    if (!copy || !use_at)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (nin)
        memcpy(copy, in, nin * sizeof *copy);
    oi_node *n = &g->node[id];
    drop_uses(g, n);
    n->in = copy;
    n->use_at = use_at;
    n->nin = nin;
    oi_status status = add_uses(g, n, id);
    if (status)
        n->nin = 0;
    return status;
}

oi_status oi_graph_replace_uses(oi_graph *g, oi_value_id from, oi_value_id to)
{
    if (from == to)
        return ONNX_INFER_OK;
    oi_value *a = &g->value[from], *b = &g->value[to];
    OI_TRY(oi_arena_grow(g->arena, &b->use, &b->use_cap, b->nuse + a->nuse, sizeof *b->use));
    for (uint32_t i = 0; i < a->nuse; i++) {
        oi_node *n = &g->node[a->use[i].node];
        n->in[a->use[i].slot] = to;
        n->use_at[a->use[i].slot] = b->nuse;
        b->use[b->nuse++] = a->use[i];
    }
    a->nuse = 0;
    if (a->is_output) {
        for (uint32_t i = 0; i < g->noutput; i++) {
            if (g->output[i] == from)
                g->output[i] = to;
        }
        a->is_output = false;
        b->is_output = true;
    }
    if (!b->name[0]) {
        b->name = a->name;
        a->name = "";
    }
    return ONNX_INFER_OK;
}

/* --- nodes ------------------------------------------------------------------------------------------------------- */

oi_status oi_graph_add_node(oi_graph *g, const oi_op *op, const char *name, void *attr, uint32_t nin, const oi_value_id *in,
                            uint32_t nout, oi_value_id *out, uint32_t nsub, const oi_sub *sub, oi_node_id *id)
{
    OI_FAIL_IF(g->nnode >= OI_NONE - 1, ONNX_INFER_E_LIMIT, "a graph has too many nodes");
    for (uint32_t i = 0; i < nin; i++)
        OI_FAIL_IF(in[i] != OI_NONE && in[i] >= g->nvalue, ONNX_INFER_E_INTERNAL, "input %u of a new node does not exist", i);
    OI_TRY(oi_arena_grow(g->arena, &g->node, &g->node_cap, g->nnode + 1, sizeof *g->node));
    oi_node n = {.op = op, .attr = attr, .nin = nin, .nout = nout, .nsub = nsub};
    n.name = name && name[0] ? oi_arena_text(g->arena, name) : oi_arena_format(g->arena, "node_%u", g->nnode);
    n.in = oi_arena_array(g->arena, nin, sizeof *n.in);
    n.use_at = oi_arena_array(g->arena, nin, sizeof *n.use_at);
    n.out = oi_arena_array(g->arena, nout, sizeof *n.out);
    n.sub = nsub ? oi_arena_copy(g->arena, sub, nsub * sizeof *sub) : NULL;
    if (!n.name || !n.in || !n.use_at || !n.out || (nsub && !n.sub))
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < nsub; i++) {
        n.sub[i].capture = oi_arena_copy(g->arena, sub[i].capture, sub[i].ncapture * sizeof *sub[i].capture);
        if (!n.sub[i].capture)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    if (nin)
        memcpy(n.in, in, nin * sizeof *in);
    oi_status status = ONNX_INFER_OK;
    uint32_t defined = 0;
    while (defined < nout && !status) {
        oi_value_id *v = &out[defined];
        if (*v == OI_NONE)
            status = oi_graph_add_value(g, NULL, v);
        else if (*v >= g->nvalue || g->value[*v].def != OI_NONE || g->value[*v].is_input)
            status = oi_fail(ONNX_INFER_E_INVALID_MODEL, "output %u of node '%s' is defined twice: '%s'", defined, n.name,
                             *v < g->nvalue ? g->value[*v].name : "");
        if (!status) {
            g->value[*v].def = g->nnode;
            g->value[*v].slot = defined;
            n.out[defined++] = *v;
        }
    }
    if (!status)
        status = add_uses(g, &n, g->nnode);
    if (status) {
        while (defined)
            g->value[n.out[--defined]].def = OI_NONE;
        return status;
    }
    g->node[g->nnode] = n;
    if (id)
        *id = g->nnode;
    g->nnode++;
    return ONNX_INFER_OK;
}

void oi_graph_remove_node(oi_graph *g, oi_node_id id)
{
    oi_node *n = &g->node[id];
    drop_uses(g, n);
    for (uint32_t i = 0; i < n->nout; i++) {
        if (n->out[i] != OI_NONE)
            g->value[n->out[i]].def = OI_NONE;
    }
    *n = (oi_node){.name = n->name};
}

uint32_t oi_graph_live_nodes(const oi_graph *g, bool with_subgraphs)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < g->nnode; i++) {
        if (!g->node[i].op)
            continue;
        live++;
        for (uint32_t k = 0; with_subgraphs && k < g->node[i].nsub; k++)
            live += oi_graph_live_nodes(g->node[i].sub[k].graph, true);
    }
    return live;
}

/* --- order ------------------------------------------------------------------------------------------------------- */

enum { NEW, OPEN, DONE };

/* Says which nodes wait for each other; the stack's upper part is the way round. */
static oi_status fail_cycle(const oi_graph *g, const oi_node_id *stack, uint32_t depth, oi_node_id again)
{
    char names[512];
    size_t used = 0;
    uint32_t from = depth;
    while (from > 0 && stack[from - 1] != again)
        from--;
    from = from ? from - 1 : 0;
    names[0] = 0;
    for (uint32_t i = from; i < depth && used + 8 < sizeof names; i++) {
        int n = snprintf(names + used, sizeof names - used, "%s'%s'", i > from ? " <- " : "", g->node[stack[i]].name);
        if (n < 0 || (size_t)n >= sizeof names - used)
            break;
        used += (size_t)n;
    }
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "the graph has a cycle: %s", names);
}

oi_status oi_graph_order(oi_graph *g, oi_node_id **order, uint32_t *n)
{
    const oi_alloc *alloc = oi_arena_alloc_of(g->arena);
    uint32_t count = 0, depth = 0;
    oi_node_id *list = oi_arena_array(g->arena, g->nnode, sizeof *list);
    uint8_t *state = oi_alloc_array(alloc, g->nnode ? g->nnode : 1, 1);
    oi_node_id *stack = oi_alloc_array(alloc, g->nnode ? g->nnode : 1, sizeof *stack);
    uint32_t *next = oi_alloc_array(alloc, g->nnode ? g->nnode : 1, sizeof *next);
    oi_status status = list && state && stack && next ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t root = 0; root < g->nnode && !status; root++) {
        if (!g->node[root].op || state[root] != NEW)
            continue;
        stack[0] = root;
        next[0] = 0;
        state[root] = OPEN;
        depth = 1;
        while (depth && !status) {
            oi_node_id at = stack[depth - 1];
            const oi_node *node = &g->node[at];
            if (next[depth - 1] == node->nin) {
                state[at] = DONE;
                list[count++] = at;
                depth--;
                continue;
            }
            oi_value_id v = node->in[next[depth - 1]++];
            oi_node_id def = v == OI_NONE ? OI_NONE : g->value[v].def;
            if (def == OI_NONE || state[def] == DONE)
                continue;
            if (state[def] == OPEN) {
                status = fail_cycle(g, stack, depth, def);
            } else {
                state[def] = OPEN;
                stack[depth] = def;
                next[depth++] = 0;
            }
        }
    }
    oi_free_mem(alloc, state);
    oi_free_mem(alloc, stack);
    oi_free_mem(alloc, next);
    *order = list;
    *n = count;
    return status;
}

/* New ids for the values that stay; OI_NONE for the others, whose constants are released. */
static void number_values(oi_graph *g, oi_value_id *map)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->nvalue; i++) {
        const oi_value *v = &g->value[i];
        bool stays = v->def != OI_NONE || v->nuse || v->is_input || v->is_output;
        if (!stays)
            oi_graph_release_const(g, i);
        map[i] = stays ? kept++ : OI_NONE;
    }
}

static void rename_all(oi_value_id *list, uint32_t n, const oi_value_id *map)
{
    for (uint32_t i = 0; i < n; i++) {
        if (list[i] != OI_NONE)
            list[i] = map[list[i]];
    }
}

oi_status oi_graph_compact(oi_graph *g)
{
    oi_node_id *order;
    uint32_t n;
    OI_TRY(oi_graph_order(g, &order, &n));
    oi_node *node = oi_arena_array(g->arena, n, sizeof *node);
    oi_node_id *place = oi_arena_array(g->arena, g->nnode, sizeof *place);
    oi_value_id *map = oi_arena_array(g->arena, g->nvalue, sizeof *map);
    if (!node || !place || !map)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    number_values(g, map);
    for (uint32_t i = 0; i < n; i++) {
        node[i] = g->node[order[i]];
        place[order[i]] = i;
        rename_all(node[i].in, node[i].nin, map);
        rename_all(node[i].out, node[i].nout, map);
    }
    uint32_t nvalue = 0;
    for (uint32_t i = 0; i < g->nvalue; i++) {
        if (map[i] == OI_NONE)
            continue;
        oi_value v = g->value[i];
        if (v.def != OI_NONE)
            v.def = place[v.def];
        for (uint32_t k = 0; k < v.nuse; k++)
            v.use[k].node = place[v.use[k].node];
        g->value[nvalue++] = v;
    }
    rename_all(g->input, g->ninput, map);
    rename_all(g->output, g->noutput, map);
    g->node = node;
    g->nnode = g->node_cap = n;
    g->nvalue = nvalue;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < node[i].nsub; k++)
            OI_TRY(oi_graph_compact(node[i].sub[k].graph));
    }
    return ONNX_INFER_OK;
}
