/* Imports graphs: ports, constants, names and captures, nodes, hints. */
#include "onnx/import.h"

#include <string.h>

void oi_scope_clear(oi_scope *s)
{
    oi_names_clear(&s->names);
}

/* Registers a value; a name that is there already is the model's fault. */
static oi_status define(oi_scope *s, const char *name, oi_value_id v)
{
    bool added;
    OI_TRY(oi_names_put(&s->names, name, v, &added));
    if (added)
        return ONNX_INFER_OK;
    oi_fail(ONNX_INFER_E_INVALID_MODEL, "'%s' is defined more than once", name);
    return oi_error_at_tensor(name);
}

/* The name that a value gets in the graph. */
static const char *prefixed(oi_importer *im, const oi_scope *s, const char *name)
{
    return s->prefix[0] ? oi_arena_format(im->scratch, "%s%.200s", s->prefix, name) : name;
}

static oi_status add_const(oi_importer *im, oi_scope *s, const char *name, oi_tensor *t)
{
    oi_value_id v;
    const char *full = prefixed(im, s, name);
    oi_status replaced = s->g->outer || s->frame ? ONNX_INFER_OK : oi_importer_override(im, name, t);
    if (replaced) {
        oi_tensor_clear(t);
        return replaced;
    }
    oi_status status = full ? oi_graph_add_const(s->g, full, t, &v) : ONNX_INFER_E_OUT_OF_MEMORY;
    if (status) {
        oi_tensor_clear(t);
        return status;
    }
    return define(s, name, v);
}

/* Takes a value of the parent's graph in under a key among the scope's names. */
static oi_status capture(oi_importer *im, oi_scope *s, const char *key, const char *name, oi_value_id outer, oi_value_id *out)
{
    const oi_value *from = &s->parent->g->value[outer];
    if (from->fact.konst && !from->is_input) {
        oi_tensor t;
        oi_tensor_share(&t, from->fact.konst);
        oi_status status = oi_graph_add_const(s->g, key == name ? prefixed(im, s, name) : NULL, &t, out);
        if (status) {
            oi_tensor_clear(&t);
            return status;
        }
        return define(s, key, *out);
    }
    oi_fact fact = from->fact;
    OI_TRY(oi_graph_add_input(s->g, key == name ? name : NULL, &fact, out));
    OI_TRY(oi_arena_grow(im->scratch, &s->captured, &s->captured_cap, s->ncaptured + 1, sizeof *s->captured));
    s->captured[s->ncaptured++] = outer;
    return define(s, key, *out);
}

/* The value of this name as code of `frame` sees it from the scope s, whose own code may be that of a function which was
 * handed a graph: such names are those of the function's caller, and are captured through the scopes in between under keys
 * that no name is. */
static oi_status find_of_frame(oi_importer *im, const oi_frame *frame, oi_scope *s, const char *name, oi_value_id *out, bool *found)
{
    if (s->frame == frame)
        return oi_scope_find(im, s, name, out, found);
    *found = false;
    *out = OI_NONE;
    if (!s->parent)
        return s->caller ? find_of_frame(im, frame, s->caller, name, out, found) : ONNX_INFER_OK;
    const char *key = oi_arena_format(im->scratch, "\n%u\n%s", frame ? (unsigned)frame->depth : 0u, name);
    if (!key)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const uint32_t *v = oi_names_find(&s->names, key);
    if (v) {
        *out = *v;
        *found = true;
        return ONNX_INFER_OK;
    }
    oi_value_id outer;
    OI_TRY(find_of_frame(im, frame, s->parent, name, &outer, found));
    return *found && outer != OI_NONE ? capture(im, s, key, name, outer, out) : ONNX_INFER_OK;
}

oi_status oi_scope_find(oi_importer *im, oi_scope *s, const char *name, oi_value_id *out, bool *found)
{
    const uint32_t *v = oi_names_find(&s->names, name);
    *found = v != NULL;
    *out = v ? *v : OI_NONE;
    if (v || !s->parent)
        return ONNX_INFER_OK;
    oi_value_id outer;
    OI_TRY(find_of_frame(im, s->frame, s->parent, name, &outer, found));
    if (!*found || outer == OI_NONE)
        return ONNX_INFER_OK;
    return capture(im, s, name, name, outer, out);
}

/* A value for a constant that cannot be read, so that one fault is not reported at each of its uses too. */
static oi_status stand_in(oi_importer *im, oi_scope *s, const char *name)
{
    oi_value_id v;
    bool added;
    const char *full = prefixed(im, s, name);
    OI_TRY(full ? oi_graph_add_value(s->g, full, &v) : ONNX_INFER_E_OUT_OF_MEMORY);
    return oi_names_put(&s->names, name, v, &added);
}

static oi_status declare_constant(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p)
{
    oi_tensor t;
    if (p->n_output != 1 || !p->output[0][0])
        return oi_fail(ONNX_INFER_E_INVALID_MODEL, "a Constant node has no output");
    im->reader.unaligned = true;
    oi_status status = oi_import_constant(im, s, p, &t);
    im->reader.unaligned = false;
    return status ? status : add_const(im, s, p->output[0], &t);
}

static oi_status declare_outputs(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, const oi_names *bound)
{
    for (size_t i = 0; i < p->n_output; i++) {
        const char *name = p->output[i];
        if (!name[0])
            continue;
        const uint32_t *there = bound ? oi_names_find(bound, name) : NULL;
        oi_value_id v = there ? *there : OI_NONE;
        if (v == OI_NONE) {
            const char *full = prefixed(im, s, name);
            OI_TRY(full ? oi_graph_add_value(s->g, full, &v) : ONNX_INFER_E_OUT_OF_MEMORY);
        }
        OI_TRY(define(s, name, v));
    }
    return ONNX_INFER_OK;
}

oi_status oi_scope_declare(oi_importer *im, oi_scope *s, size_t n, OiOnnx__NodeProto *const *node, const oi_names *bound)
{
    for (size_t i = 0; i < n; i++) {
        const OiOnnx__NodeProto *p = node[i];
        oi_status status = oi_import_is_constant(im, p) ? declare_constant(im, s, p) : declare_outputs(im, s, p, bound);
        if (status) {
            const char *name = oi_import_node_name(im, s, p);
            oi_error_prefix("node '%s' (%s): ", name, oi_text_or_empty(p->op_type));
            oi_error_at_node(name, oi_text_or_empty(p->op_type));
            OI_TRY(oi_importer_issue(im, status));
            if (p->n_output == 1 && oi_import_is_constant(im, p))
                OI_TRY(stand_in(im, s, p->output[0]));
        }
    }
    return ONNX_INFER_OK;
}

static oi_status at_port(const char *what, const char *name, oi_status status)
{
    if (status) {
        oi_error_prefix("%s '%s': ", what, name);
        oi_error_at_tensor(name);
    }
    return status;
}

static oi_status import_inputs(oi_importer *im, oi_scope *s, const OiOnnx__GraphProto *p)
{
    for (size_t i = 0; i < p->n_input; i++) {
        const char *name = oi_text_or_empty(p->input[i]->name);
        oi_value_id v;
        oi_fact fact;
        OI_TRY(oi_importer_issue(im, at_port("input", name, oi_import_read_type(im, s->g, p->input[i]->type, &fact))));
        OI_TRY(oi_graph_add_input(s->g, name, &fact, &v));
        OI_TRY(oi_importer_issue(im, define(s, name, v)));
    }
    return ONNX_INFER_OK;
}

/* Initializers, but those of inputs: they are defaults and belong to the ports. */
static oi_status import_constants(oi_importer *im, oi_scope *s, const OiOnnx__GraphProto *p)
{
    for (size_t i = 0; i < p->n_initializer + p->n_sparse_initializer; i++) {
        bool dense = i < p->n_initializer;
        const OiOnnx__TensorProto *tp = dense ? p->initializer[i] : NULL;
        const OiOnnx__SparseTensorProto *sp = dense ? NULL : p->sparse_initializer[i - p->n_initializer];
        const char *name = oi_text_or_empty(dense ? tp->name : sp->values ? sp->values->name : NULL);
        const uint32_t *there = oi_names_find(&s->names, name);
        oi_tensor t;
        if (there && *there != OI_NONE && s->g->value[*there].is_input)
            continue;
        im->reader.unaligned = true;
        oi_status status = dense ? oi_onnx_read_tensor(&im->reader, tp, &t) : oi_onnx_read_sparse(&im->reader, sp, &t);
        im->reader.unaligned = false;
        if (!status) {
            OI_TRY(oi_importer_issue(im, add_const(im, s, name, &t)));
            continue;
        }
        OI_TRY(oi_importer_issue(im, status));
        OI_TRY(stand_in(im, s, name));
    }
    return ONNX_INFER_OK;
}

static bool is_cut(const oi_importer *im, const oi_scope *s)
{
    return im->o.output && !s->g->outer && !s->frame;
}

static oi_status import_outputs(oi_importer *im, oi_scope *s, const OiOnnx__GraphProto *p)
{
    bool cut = is_cut(im, s);
    for (size_t i = 0; i < (cut ? im->o.noutput : p->n_output); i++) {
        const char *name = cut ? im->o.output[i] : oi_text_or_empty(p->output[i]->name);
        oi_value_id v;
        bool found;
        OI_TRY(oi_scope_find(im, s, name, &v, &found));
        OI_FAIL_IF(cut && (!found || v == OI_NONE), ONNX_INFER_E_NOT_FOUND,
                   "the options make '%s' an output, which is no value of the model's graph", name);
        if (!found || v == OI_NONE) {
            oi_fail(ONNX_INFER_E_INVALID_MODEL, "output '%s' of the graph is made by no node", name);
            OI_TRY(oi_importer_issue(im, oi_error_at_tensor(name)));
            OI_TRY(oi_graph_add_value(s->g, name, &v)); /* so that ports stay in order */
        }
        OI_TRY(oi_graph_mark_output(s->g, v));
    }
    return ONNX_INFER_OK;
}

/* Declared types of inner values and outputs: whatever is wrong with them is no reason to refuse the model. */
static oi_status import_hints(oi_importer *im, oi_scope *s, size_t n, OiOnnx__ValueInfoProto *const *info)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t *v = info[i]->name ? oi_names_find(&s->names, info[i]->name) : NULL;
        oi_fact fact;
        if (!v || *v == OI_NONE || !info[i]->type || s->g->value[*v].def == OI_NONE)
            continue;
        oi_status status = oi_import_read_type(im, s->g, info[i]->type, &fact);
        if (status == ONNX_INFER_E_OUT_OF_MEMORY)
            return status;
        if (!status)
            OI_TRY(oi_graph_set_fact(s->g, *v, &fact));
    }
    return ONNX_INFER_OK;
}

typedef struct {
    oi_names maker;    /* of each value: the node's index */
    bool *needed;      /* by node */
    size_t *todo, n;   /* nodes whose inputs are to be followed */
} cut;

static void need(cut *c, const char *name)
{
    const uint32_t *node = name[0] ? oi_names_find(&c->maker, name) : NULL;
    if (node && !c->needed[*node]) {
        c->needed[*node] = true;
        c->todo[c->n++] = *node;
    }
}

/* Names that a node reads, those of its graphs too: what they define themselves does no harm. The wire scan has bounded
 * how deep they are. */
static void need_inputs(cut *c, const OiOnnx__NodeProto *p)
{
    for (size_t i = 0; i < p->n_input; i++)
        need(c, p->input[i]);
    for (size_t a = 0; a < p->n_attribute; a++) {
        const OiOnnx__GraphProto *g = p->attribute[a]->g;
        for (size_t i = 0; g && i < g->n_node; i++)
            need_inputs(c, g->node[i]);
        for (size_t i = 0; g && i < g->n_output; i++)
            need(c, oi_text_or_empty(g->output[i]->name));
    }
}

static oi_status follow(oi_importer *im, const OiOnnx__GraphProto *p, cut *c, OiOnnx__NodeProto **list, size_t *n)
{
    bool added;
    for (size_t i = 0; i < p->n_node; i++) {
        for (size_t k = 0; k < p->node[i]->n_output; k++) {
            if (p->node[i]->output[k][0])
                OI_TRY(oi_names_put(&c->maker, p->node[i]->output[k], (uint32_t)i, &added));
        }
    }
    for (size_t i = 0; i < im->o.noutput; i++)
        need(c, im->o.output[i]);
    while (c->n)
        need_inputs(c, p->node[c->todo[--c->n]]);
    for (size_t i = 0; i < p->n_node; i++) {
        if (c->needed[i])
            list[(*n)++] = p->node[i];
    }
    return ONNX_INFER_OK;
}

/* The nodes that the outputs of the options depend on. */
static oi_status needed_nodes(oi_importer *im, const OiOnnx__GraphProto *p, OiOnnx__NodeProto *const **node, size_t *n)
{
    cut c = {.maker.alloc = im->o.alloc};
    OiOnnx__NodeProto **list = oi_arena_array(im->scratch, p->n_node + 1, sizeof *list);
    c.needed = oi_arena_array(im->scratch, p->n_node + 1, sizeof *c.needed);
    c.todo = oi_arena_array(im->scratch, p->n_node + 1, sizeof *c.todo);
    *n = 0;
    *node = list;
    oi_status status = list && c.needed && c.todo ? follow(im, p, &c, list, n) : ONNX_INFER_E_OUT_OF_MEMORY;
    oi_names_clear(&c.maker);
    return status;
}

oi_status oi_import_graph(oi_importer *im, oi_scope *s, const OiOnnx__GraphProto *p)
{
    OI_FAIL_IF(s->depth > im->o.max_depth, ONNX_INFER_E_LIMIT, "graphs are nested more than %u deep; raise limit \"depth\" if that is meant",
               (unsigned)im->o.max_depth);
    s->g->name = oi_arena_text(s->g->arena, oi_text_or_empty(p->name));
    if (!s->g->name)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(import_inputs(im, s, p));
    OI_TRY(import_constants(im, s, p));
    size_t nnode = p->n_node;
    OiOnnx__NodeProto *const *node = p->node;
    if (is_cut(im, s))
        OI_TRY(needed_nodes(im, p, &node, &nnode));
    OI_TRY(oi_scope_declare(im, s, nnode, node, NULL));
    for (size_t i = 0; i < nnode; i++)
        OI_TRY(oi_import_file_node(im, s, node[i]));
    OI_TRY(import_outputs(im, s, p));
    OI_TRY(import_hints(im, s, p->n_value_info, p->value_info));
    OI_TRY(import_hints(im, s, p->n_output, p->output));
    if (s->unsorted && !im->nissue) {
        oi_node_id *order;
        uint32_t n;
        OI_TRY(oi_importer_issue(im, oi_graph_order(s->g, &order, &n)));
    }
    return ONNX_INFER_OK;
}
