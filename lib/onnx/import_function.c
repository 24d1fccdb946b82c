/* Inlines model-local functions where they are called. */
#include "onnx/import.h"

#include <string.h>

static const char *key(oi_arena *arena, const char *domain, const char *name, const char *overload)
{
    return oi_arena_format(arena, "%s\n%s\n%s", oi_domain_norm(domain), oi_text_or_empty(name), oi_text_or_empty(overload));
}

oi_status oi_import_index_functions(oi_importer *im)
{
    for (size_t i = 0; i < im->proto->n_functions; i++) {
        const OiOnnx__FunctionProto *f = im->proto->functions[i];
        const char *k = key(im->scratch, f->domain, f->name, f->overload);
        bool added;
        if (!k)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        OI_TRY(oi_names_put(&im->functions, k, (uint32_t)i, &added));
        if (!added)
            OI_TRY(oi_importer_issue(im, oi_fail(ONNX_INFER_E_INVALID_MODEL, "function %s (domain '%s') is defined more than once",
                                                 oi_text_or_empty(f->name), oi_domain_norm(f->domain))));
    }
    return ONNX_INFER_OK;
}

const OiOnnx__FunctionProto *oi_import_find_function(const oi_importer *im, const OiOnnx__NodeProto *p)
{
    if (!im->functions.used)
        return NULL;
    const char *k = key(im->scratch, p->domain, p->op_type, p->overload);
    const uint32_t *i = k ? oi_names_find(&im->functions, k) : NULL;
    return i ? im->proto->functions[*i] : NULL;
}

static oi_status bind_inputs(oi_importer *im, oi_scope *caller, oi_scope *s, const OiOnnx__NodeProto *p,
                             const OiOnnx__FunctionProto *fn)
{
    OI_FAIL_IF(p->n_input > fn->n_input || p->n_output > fn->n_output, ONNX_INFER_E_INVALID_MODEL,
               "a call with %zu inputs and %zu outputs of a function with %zu and %zu", p->n_input, p->n_output, fn->n_input,
               fn->n_output);
    for (size_t i = 0; i < fn->n_input; i++) {
        oi_value_id v = OI_NONE;
        bool found = true, added;
        const char *name = i < p->n_input ? p->input[i] : "";
        if (name[0])
            OI_TRY(oi_scope_find(im, caller, name, &v, &found));
        if (!found) {
            oi_fail(ONNX_INFER_E_INVALID_MODEL, "input %zu, '%s', is made by no node, input or initializer", i, name);
            return oi_error_at_tensor(name);
        }
        OI_TRY(oi_names_put(&s->names, fn->input[i], v, &added));
        OI_FAIL_IF(!added, ONNX_INFER_E_INVALID_MODEL, "two inputs of the function are named '%s'", fn->input[i]);
    }
    return ONNX_INFER_OK;
}

/* Outputs of the function that no node of it defines (its inputs, its constants, one named twice) need a node. */
static oi_status copy_output(oi_importer *im, oi_scope *s, const char *name, oi_value_id to)
{
    oi_value_id v;
    bool found;
    OI_TRY(oi_scope_find(im, s, name, &v, &found));
    OI_FAIL_IF(!found || v == OI_NONE, ONNX_INFER_E_INVALID_MODEL, "output '%s' of the function is made by no node", name);
    if (v == to)
        return ONNX_INFER_OK;
    const oi_op *identity = oi_op_find("", "Identity");
    OI_FAIL_IF(!identity, ONNX_INFER_E_INTERNAL, "no operator Identity");
    void *attr = NULL;
    OI_TRY(oi_attr_parse_raw(s->g->arena, identity, NULL, 0, &attr));
    oi_node_id id;
    const char *label = oi_arena_format(im->scratch, "%s%s", s->prefix, name);
    if (!label)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    return oi_graph_add_node(s->g, identity, label, attr, 1, &v, 1, &to, 0, NULL, &id);
}

static oi_status inline_body(oi_importer *im, oi_scope *caller, oi_scope *s, oi_names *bound, const OiOnnx__NodeProto *p,
                             const OiOnnx__FunctionProto *fn)
{
    OI_TRY(bind_inputs(im, caller, s, p, fn));
    for (size_t i = 0; i < p->n_output; i++) {
        bool added;
        const uint32_t *v = p->output[i][0] ? oi_names_find(&caller->names, p->output[i]) : NULL;
        if (v)
            OI_TRY(oi_names_put(bound, fn->output[i], *v, &added));
    }
    OI_TRY(oi_scope_declare(im, s, fn->n_node, fn->node, bound));
    for (size_t i = 0; i < fn->n_node; i++)
        OI_TRY(oi_import_file_node(im, s, fn->node[i]));
    for (size_t i = 0; i < p->n_output; i++) {
        const uint32_t *v = p->output[i][0] ? oi_names_find(&caller->names, p->output[i]) : NULL;
        if (v)
            OI_TRY(copy_output(im, s, fn->output[i], *v));
    }
    caller->unsorted |= s->unsorted;
    return ONNX_INFER_OK;
}

oi_status oi_import_call(oi_importer *im, oi_scope *s, const OiOnnx__NodeProto *p, const OiOnnx__FunctionProto *fn)
{
    oi_frame frame = {.fn = fn, .call = p, .caller = s->frame, .depth = s->frame ? s->frame->depth + 1 : 1};
    for (const oi_frame *f = s->frame; f; f = f->caller)
        OI_FAIL_IF(f->fn == fn, ONNX_INFER_E_INVALID_MODEL, "function %s (domain '%s') calls itself", oi_text_or_empty(fn->name),
                   oi_domain_norm(fn->domain));
    OI_FAIL_IF(frame.depth + s->depth > im->o.max_depth, ONNX_INFER_E_LIMIT,
               "functions are nested more than %u deep; raise limit \"depth\" if that is meant", (unsigned)im->o.max_depth);
    const char *name = oi_import_node_name(im, s, p);
    oi_scope inner = {.g = s->g, .frame = &frame, .caller = s, .depth = s->depth + 1, .names.alloc = im->o.alloc};
    oi_names bound = {.alloc = im->o.alloc};
    inner.prefix = oi_arena_format(im->scratch, "%.200s/", name); /* bounded, however long and nested names are */
    oi_status status = inner.prefix ? inline_body(im, s, &inner, &bound, p, fn) : ONNX_INFER_E_OUT_OF_MEMORY;
    oi_names_clear(&bound);
    oi_scope_clear(&inner);
    return status;
}
