/* Imports nodes: inputs by name, attributes, subgraphs, and the operator's own upgrade from old forms. */
#include "onnx/import.h"

#include <inttypes.h>
#include <string.h>

/* Subgraph attributes of the operators that have them, in the order of oi_node.sub. */
static const char *const sub_order[] = {"then_branch", "else_branch", "body", "score_mod", "prob_mod"};
enum { N_SUB_ORDER = sizeof sub_order / sizeof *sub_order };

typedef struct {
    const char *attr;
    oi_scope scope; /* its graph and what it captured */
} subgraph;

const char *oi_import_node_name(oi_importer *im, const oi_scope *s, const OiOnnx__NodeProto *p)
{
    const char *own = oi_text_or_empty(p->name);
    for (size_t i = 0; !own[0] && i < p->n_output; i++)
        own = p->output[i];
    if (!own[0])
        own = oi_text_or_empty(p->op_type);
    const char *full = s->prefix[0] ? oi_arena_format(im->scratch, "%s%.200s", s->prefix, own) : own;
    return full ? full : own;
}

bool oi_import_is_constant(const oi_importer *im, const OiOnnx__NodeProto *p)
{
    return p->op_type && !strcmp(p->op_type, "Constant") && !oi_domain_norm(p->domain)[0] && !oi_import_find_function(im, p);
}

static oi_status wrap_numbers(oi_importer *im, oi_dtype dtype, int32_t rank, size_t n, const void *v, oi_tensor *out)
{
    int64_t dim = (int64_t)n;
    OI_TRY(oi_tensor_create(im->o.alloc, dtype, rank, &dim, out));
    if (out->bytes)
        memcpy(out->data, v, out->bytes);
    return ONNX_INFER_OK;
}

static oi_status wrap_strings(oi_importer *im, int32_t rank, size_t n, const ProtobufCBinaryData *v, oi_tensor *out)
{
    int64_t dim = (int64_t)n;
    OI_TRY(oi_tensor_create(im->o.alloc, ONNX_INFER_STRING, rank, &dim, out));
    for (size_t i = 0; i < n; i++) {
        oi_status status = oi_tensor_set_string(im->o.alloc, out, i, (const char *)v[i].data, v[i].len);
        if (status) {
            oi_tensor_clear(out);
            return status;
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_import_constant(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, oi_tensor *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < p->n_attribute; i++) {
        const OiOnnx__AttributeProto *a = p->attribute[i];
        const oi_frame *where;
        const char *name = oi_text_or_empty(a->name);
        oi_import_resolve(s->frame, &a, &where);
        if (!a)
            continue;
        if (!strcmp(name, "value") && a->t)
            return oi_onnx_read_tensor(&im->reader, a->t, out);
        if (!strcmp(name, "sparse_value") && a->sparse_tensor)
            return oi_onnx_read_sparse(&im->reader, a->sparse_tensor, out);
        if (!strcmp(name, "value_float"))
            return wrap_numbers(im, ONNX_INFER_FLOAT, 0, 1, &a->f, out);
        if (!strcmp(name, "value_floats"))
            return wrap_numbers(im, ONNX_INFER_FLOAT, 1, a->n_floats, a->floats, out);
        if (!strcmp(name, "value_int"))
            return wrap_numbers(im, ONNX_INFER_INT64, 0, 1, &a->i, out);
        if (!strcmp(name, "value_ints"))
            return wrap_numbers(im, ONNX_INFER_INT64, 1, a->n_ints, a->ints, out);
        if (!strcmp(name, "value_string"))
            return wrap_strings(im, 0, 1, &a->s, out);
        if (!strcmp(name, "value_strings"))
            return wrap_strings(im, 1, a->n_strings, a->strings, out);
    }
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "a Constant node has no value");
}

static oi_status read_inputs(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, oi_import *node)
{
    for (size_t i = 0; i < p->n_input; i++) {
        const char *name = p->input[i];
        bool found;
        node->in[i] = OI_NONE;
        if (!name[0])
            continue;
        OI_TRY(oi_scope_find(im, s, name, &node->in[i], &found));
        if (!found) {
            oi_fail(ONNX_INFER_E_INVALID_MODEL, "input %zu, '%s', is made by no node, input or initializer", i, name);
            return oi_error_at_tensor(name);
        }
        const oi_value *v = node->in[i] == OI_NONE ? NULL : &s->g->value[node->in[i]];
        if (v && v->def == OI_NONE && !v->is_input && !v->fact.konst)
            s->unsorted = true;
    }
    for (node->nin = (uint32_t)p->n_input; node->nin && node->in[node->nin - 1] == OI_NONE;)
        node->nin--;
    return ONNX_INFER_OK;
}

/* `frame`: whose code the graph is: that of the scope, or of a caller that hands it to the scope's function. */
static oi_status read_subgraph(oi_importer *im, oi_scope *s, oi_frame *frame, const OiOnnx__AttributeProto *p, oi_raw_attr *raw,
                               subgraph *sub)
{
    sub->attr = raw->name;
    sub->scope = (oi_scope){.parent = s, .frame = frame, .prefix = "", .depth = s->depth + 1, .names.alloc = im->o.alloc};
    sub->scope.g = oi_graph_create_sub(s->g);
    if (!sub->scope.g)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = oi_import_graph(im, &sub->scope, p->g);
    oi_scope_clear(&sub->scope);
    raw->type = OI_RAW_GRAPH;
    raw->graph = sub->scope.g;
    return status;
}

/* The frame `where` in the chain of calls of `from`. */
static oi_frame *frame_of(oi_frame *from, const oi_frame *where)
{
    while (from && from != where)
        from = from->caller;
    return from;
}

static oi_status read_attributes(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, oi_import *node, subgraph *sub,
                                 uint32_t *nsub)
{
    for (size_t i = 0; i < p->n_attribute; i++) {
        const OiOnnx__AttributeProto *a = p->attribute[i];
        const oi_frame *where;
        oi_raw_attr *raw = &node->attr[node->nattr];
        *raw = (oi_raw_attr){.name = oi_text_or_empty(a->name)};
        oi_import_resolve(s->frame, &a, &where);
        if (!a)
            continue;
        if (a->g && (a->type == 5 || !a->type)) {
            OI_TRY(read_subgraph(im, s, frame_of(s->frame, where), a, raw, &sub[(*nsub)++]));
        } else {
            OI_TRY(oi_import_read_attr(im, s->g, a, raw));
        }
        node->nattr++;
    }
    return ONNX_INFER_OK;
}

static int sub_rank(const char *attr)
{
    for (int i = 0; i < N_SUB_ORDER; i++)
        if (!strcmp(attr, sub_order[i]))
            return i;
    return N_SUB_ORDER;
}

/* Puts the subgraphs into the operator's order and their captures behind the node's inputs. */
static oi_status attach_subgraphs(oi_importer *im, oi_import *node, const subgraph *sub, uint32_t nsub, oi_sub **out)
{
    uint32_t total = node->nin, n = 0;
    *out = NULL;
    if (!nsub)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < nsub; i++)
        total += sub[i].scope.ncaptured;
    oi_value_id *in = oi_arena_array(im->scratch, total + 1, sizeof *in);
    oi_sub *list = oi_arena_array(im->scratch, nsub, sizeof *list);
    if (!in || !list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    memcpy(in, node->in, node->nin * sizeof *in);
    for (int rank = 0; rank <= N_SUB_ORDER; rank++)
        for (uint32_t i = 0; i < nsub; i++) {
            const oi_scope *s = &sub[i].scope;
            if (sub_rank(sub[i].attr) != rank)
                continue;
            list[n] = (oi_sub){.graph = s->g, .ncapture = s->ncaptured};
            list[n].name = oi_arena_text(s->g->arena, sub[i].attr);
            list[n].capture = oi_arena_array(im->scratch, s->ncaptured + 1, sizeof *list[n].capture);
            if (!list[n].name || !list[n].capture)
                return ONNX_INFER_E_OUT_OF_MEMORY;
            for (uint32_t k = 0; k < s->ncaptured; k++) {
                list[n].capture[k] = node->nin;
                in[node->nin++] = s->captured[k];
            }
            n++;
        }
    node->in = in;
    *out = list;
    return ONNX_INFER_OK;
}

static oi_status unknown_operator(const OiOnnx__NodeProto *p, const char *name, int64_t opset)
{
    const char *domain = oi_domain_norm(p->domain), *type = oi_text_or_empty(p->op_type);
    return oi_fail(ONNX_INFER_E_UNSUPPORTED_OP, "operator %s (domain '%s', opset %" PRId64 ") at node '%s' is not in this build", type,
                   domain[0] ? domain : "ai.onnx", opset, name);
}

/* Written by the exporter: a node of an operator of the standard that the newest opset cannot say. */
static bool is_own_form(const OiOnnx__NodeProto *p)
{
    return p->domain && !strcmp(p->domain, "onnx_infer");
}

/* The version in force, with a word to the log where the model breaks the standard in a way that does no harm. */
static int64_t opset_of(oi_importer *im, const oi_scope *s, const OiOnnx__NodeProto *p, const oi_op *op, const char *name)
{
    int64_t version = oi_importer_opset(im, s->frame, p->domain);
    if (op && (op->flags & OI_OP_CUSTOM))
        return version;
    if (op && is_own_form(p))
        return op->newest;
    if (version < 0) {
        version = op ? op->newest : 0;
        oi_log_write(im->o.log, ONNX_INFER_LOG_WARNING, "node '%s': the model imports no version of domain '%s'", name,
                     oi_domain_norm(p->domain));
    } else if (op && op->since > version) {
        oi_log_write(im->o.log, ONNX_INFER_LOG_WARNING, "node '%s': %s came with opset %d, the model says %" PRId64, name, op->name,
                     op->since, version);
        version = op->since;
    }
    return version;
}

static oi_status build_node(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, const char *name, oi_import *node,
                            subgraph *sub)
{
    uint32_t nsub = 0;
    oi_sub *subs;
    oi_node_id id;
    void *attr;
    OI_TRY(read_inputs(im, s, p, node));
    OI_TRY(read_attributes(im, s, p, node, sub, &nsub));
    if (!node->op)
        return unknown_operator(p, name, node->opset);
    OI_FAIL_IF(nsub && (node->op->flags & OI_OP_CUSTOM), ONNX_INFER_E_UNSUPPORTED_OP,
               "it has a graph as an attribute, which custom operators cannot have");
    for (size_t i = 0; i < p->n_output; i++) {
        const uint32_t *v = p->output[i][0] ? oi_names_find(&s->names, p->output[i]) : NULL;
        node->out[i] = v ? *v : OI_NONE;
    }
    for (node->nout = (uint32_t)p->n_output; node->nout && node->out[node->nout - 1] == OI_NONE;)
        node->nout--;
    for (uint32_t i = 0; i < node->nattr; i++)
        node->attr[i].by_import = is_own_form(p);
    if (node->op->import && (!is_own_form(p) || (node->op->flags & OI_OP_CHECKS_OWN_FORM)))
        OI_TRY(node->op->import(node));
    if (node->done)
        return ONNX_INFER_OK;
    OI_TRY(oi_attr_parse_raw(s->g->arena, node->op, node->attr, node->nattr, &attr));
    OI_TRY(attach_subgraphs(im, node, sub, nsub, &subs));
    for (uint32_t i = 0; i < node->nout; i++)
        if (node->out[i] == OI_NONE) /* an output that the node has but nobody wants: a value without a name */
            OI_TRY(oi_graph_add_value(s->g, "", &node->out[i]));
    return oi_graph_add_node(s->g, node->op, node->name, attr, node->nin, node->in, node->nout, node->out, nsub, subs, &id);
}

static const oi_op *custom_operator(const oi_importer *im, const oi_scope *s, const OiOnnx__NodeProto *p)
{
    if (!im->o.ops)
        return NULL;
    return oi_custom_ops_find(im->o.ops, oi_domain_norm(p->domain), oi_text_or_empty(p->op_type),
                              oi_importer_opset(im, s->frame, p->domain));
}

static oi_status import_node(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, const char *name)
{
    const oi_op *op = custom_operator(im, s, p);
    if (!op)
        op = oi_op_find(oi_domain_norm(p->domain), oi_text_or_empty(p->op_type));
    if (!op && is_own_form(p))
        op = oi_op_find("", oi_text_or_empty(p->op_type));
    if (!op && is_own_form(p))
        op = oi_op_find("ai.onnx.ml", oi_text_or_empty(p->op_type));
    oi_import node = {
        .g = s->g,
        .op = op,
        .name = name,
        .opset = opset_of(im, s, p, op, name),
        .attr_cap = (uint32_t)p->n_attribute + 1,
        .in_cap = (uint32_t)p->n_input + OI_IMPORT_MAX_IN,
        .file = im,
    };
    size_t ngraph = 0;
    for (size_t i = 0; i < p->n_attribute; i++)
        ngraph += p->attribute[i]->g || p->attribute[i]->ref_attr_name;
    subgraph *sub = oi_arena_array(im->scratch, ngraph + 1, sizeof *sub);
    node.attr = oi_arena_array(s->g->arena, node.attr_cap, sizeof *node.attr);
    node.in = oi_arena_array(im->scratch, node.in_cap, sizeof *node.in);
    node.out = oi_arena_array(im->scratch, p->n_output + 1, sizeof *node.out);
    if (!sub || !node.attr || !node.in || !node.out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    return build_node(im, s, p, name, &node, sub);
}

oi_status oi_import_file_node(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p)
{
    OI_FAIL_IF(++im->nodes > im->o.max_nodes, ONNX_INFER_E_LIMIT,
               "the model has more than %" PRIu64 " nodes, functions inlined; raise limit \"nodes\" if that is meant", im->o.max_nodes);
    if (im->o.progress && im->nodes % 256 == 0)
        OI_FAIL_IF(im->o.progress(im->o.progress_user, (size_t)im->nodes,
                                  (size_t)(im->nodes > im->nodes_total ? im->nodes : im->nodes_total)),
                   ONNX_INFER_E_CANCELLED, "the load was stopped by its progress callback");
    if (oi_import_is_constant(im, p))
        return ONNX_INFER_OK; /* declared already */
    const char *name = oi_import_node_name(im, s, p);
    const OiOnnx__FunctionProto *fn = custom_operator(im, s, p) ? NULL : oi_import_find_function(im, p);
    oi_status status = fn ? oi_import_call(im, s, p, fn) : import_node(im, s, p, name);
    if (!status)
        return ONNX_INFER_OK;
    const oi_error *e = oi_error_current();
    if (!e->node[0]) {
        if (status != ONNX_INFER_E_UNSUPPORTED_OP)
            oi_error_prefix("node '%s' (%s): ", name, oi_text_or_empty(p->op_type));
        oi_error_at_node(name, oi_text_or_empty(p->op_type));
    }
    return oi_importer_issue(im, status);
}
