/* oi_graph_clone: a graph of its own out of another, with symbols bound. */
#include "ops/op.h"

#include <string.h>

typedef struct {
    const oi_graph *from; /* the top graph */
    oi_graph *to;
    const int64_t *bound;
    oi_dim *map;
} cloner;

static oi_status clone_elem(const cloner *c, const oi_fact *from, const oi_fact **out);

static oi_dim translate(const cloner *c, oi_dim d)
{
    return oi_dim_translate(c->from->syms, d, c->bound, c->to->syms, c->map);
}

/* All but konst. */
static oi_status clone_fact(const cloner *c, const oi_fact *from, oi_fact *out)
{
    *out = *from;
    out->konst = NULL;
    for (int32_t i = 0; i < from->shape.rank; i++)
        out->shape.dim[i] = translate(c, from->shape.dim[i]);
    if (from->nsym) {
        oi_dim *sym = oi_arena_array(c->to->arena, from->nsym, sizeof *sym);
        if (!sym)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (uint32_t i = 0; i < from->nsym; i++)
            sym[i] = translate(c, from->sym[i]);
        out->sym = sym;
    }
    return clone_elem(c, from->elem, &out->elem);
}

static oi_status clone_elem(const cloner *c, const oi_fact *from, const oi_fact **out)
{
    *out = NULL;
    if (!from)
        return ONNX_INFER_OK;
    oi_fact *copy = oi_arena_mem(c->to->arena, sizeof *copy);
    if (!copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *out = copy;
    return clone_fact(c, from, copy);
}

static oi_status clone_value(const cloner *c, oi_graph *to, const oi_value *v)
{
    oi_value_id id;
    oi_fact fact;
    OI_TRY(oi_graph_add_value(to, v->name, &id));
    OI_TRY(clone_fact(c, &v->fact, &fact));
    fact.konst = v->fact.konst;
    OI_TRY(oi_graph_set_fact(to, id, &fact));
    return ONNX_INFER_OK;
}

static oi_status clone_graph(const cloner *c, const oi_graph *from, oi_graph *to);

static oi_status clone_node(const cloner *c, oi_graph *to, const oi_node *n)
{
    oi_sub *sub = oi_arena_array(to->arena, n->nsub, sizeof *sub);
    oi_value_id *out = oi_arena_array(to->arena, n->nout, sizeof *out);
    void *attr;
    oi_node_id id;
    if (!sub || !out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_attr_clone(to->arena, n->op, n->attr, &attr));
    for (uint32_t i = 0; i < n->nsub; i++) {
        sub[i].name = oi_arena_text(to->arena, n->sub[i].name);
        sub[i].ncapture = n->sub[i].ncapture;
        sub[i].capture = oi_arena_copy(to->arena, n->sub[i].capture, n->sub[i].ncapture * sizeof *n->sub[i].capture);
        sub[i].graph = oi_graph_create_sub(to);
        if (!sub[i].capture || !sub[i].graph)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        OI_TRY(clone_graph(c, n->sub[i].graph, sub[i].graph));
    }
    if (n->nout)
        memcpy(out, n->out, n->nout * sizeof *out);
    OI_TRY(oi_graph_add_node(to, n->op, n->name, attr, n->nin, n->in, n->nout, out, n->nsub, sub, &id));
    for (uint32_t i = 0; i < n->nout; i++) { /* what was not wanted stays so */
        if (n->out[i] == OI_NONE) {
            to->value[out[i]].def = OI_NONE;
            to->node[id].out[i] = OI_NONE;
        }
    }
    return ONNX_INFER_OK;
}

static oi_status clone_graph(const cloner *c, const oi_graph *from, oi_graph *to)
{
    to->stage = from->stage;
    to->name = oi_arena_text(to->arena, from->name ? from->name : "");
    if (!to->name)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < from->nvalue; i++)
        OI_TRY(clone_value(c, to, &from->value[i]));
    for (uint32_t i = 0; i < from->ninput; i++) {
        OI_TRY(oi_arena_grow(to->arena, &to->input, &to->input_cap, i + 1, sizeof *to->input));
        to->input[to->ninput++] = from->input[i];
        to->value[from->input[i]].is_input = true;
    }
    for (uint32_t i = 0; i < from->nnode; i++) {
        if (from->node[i].op)
            OI_TRY(clone_node(c, to, &from->node[i]));
    }
    for (uint32_t i = 0; i < from->noutput; i++) {
        OI_TRY(oi_graph_mark_output(to, from->output[i]));
        to->output_name[i] = oi_arena_text(to->arena, from->output_name[i]);
        if (!to->output_name[i])
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    return ONNX_INFER_OK;
}

oi_status oi_graph_clone(const oi_alloc *a, const oi_graph *g, const int64_t *bound, oi_graph **out)
{
    size_t nsymbol = oi_symtab_count(g->syms);
    oi_dim *map = oi_alloc_array(a, nsymbol, sizeof *map);
    oi_graph *to = oi_graph_create(a, g->log);
    oi_status status = map && to ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < nsymbol && map; i++)
        map[i] = -1;
    const cloner c = {g, to, bound, map};
    if (!status)
        status = clone_graph(&c, g, to);
    if (!status)
        status = oi_symtab_status(to->syms);
    oi_free_mem(a, map);
    if (status) {
        oi_graph_destroy(to);
        to = NULL;
    }
    *out = to;
    return status;
}
