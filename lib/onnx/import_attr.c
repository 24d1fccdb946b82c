/* Reads attributes and types of a file. */
#include "onnx/import.h"

#include <string.h>

enum { /* AttributeProto.type */
    T_FLOAT = 1, T_INT, T_STRING, T_TENSOR, T_GRAPH, T_FLOATS, T_INTS, T_STRINGS, T_TENSORS, T_GRAPHS, T_SPARSE, T_SPARSES,
    T_TYPE, T_TYPES
};

static const OiOnnx__AttributeProto *find(size_t n, OiOnnx__AttributeProto *const *a, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (a[i]->name && !strcmp(a[i]->name, name))
            return a[i];
    return NULL;
}

void oi_import_resolve(const oi_frame *frame, const OiOnnx__AttributeProto **attr, const oi_frame **where)
{
    *where = frame;
    while (*attr && (*attr)->ref_attr_name && (*attr)->ref_attr_name[0]) {
        const oi_frame *f = *where;
        const char *name = (*attr)->ref_attr_name;
        if (!f) {
            *attr = NULL;
            return;
        }
        *attr = find(f->call->n_attribute, f->call->attribute, name);
        *where = f->caller;
        if (!*attr) {
            *attr = find(f->fn->n_attribute_proto, f->fn->attribute_proto, name);
            *where = f;
            if (*attr && (*attr)->ref_attr_name && (*attr)->ref_attr_name[0])
                *attr = NULL; /* a default cannot be a reference */
            return;
        }
    }
}

static int32_t type_of(const OiOnnx__AttributeProto *p)
{
    if (p->type)
        return p->type;
    /* Files of the first IR versions leave the type out. */
    return p->has_f       ? T_FLOAT
           : p->has_i     ? T_INT
           : p->has_s     ? T_STRING
           : p->t         ? T_TENSOR
           : p->g         ? T_GRAPH
           : p->n_floats  ? T_FLOATS
           : p->n_ints    ? T_INTS
           : p->n_strings ? T_STRINGS
           : p->n_tensors ? T_TENSORS
           : p->tp        ? T_TYPE
                          : T_INTS;
}

static void clear_tensor(void *t)
{
    oi_tensor_clear(t);
}

static oi_status read_tensor(oi_importer *im, oi_graph *g, const OiOnnx__TensorProto *dense,
                             const OiOnnx__SparseTensorProto *sparse, oi_tensor **out)
{
    oi_tensor *t = oi_arena_mem(g->arena, sizeof *t);
    if (!t)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(sparse ? oi_onnx_read_sparse(&im->reader, sparse, t) : oi_onnx_read_tensor(&im->reader, dense, t));
    oi_status status = oi_arena_on_destroy(g->arena, clear_tensor, t);
    if (status)
        oi_tensor_clear(t);
    *out = t;
    return status;
}

static oi_status read_strings(oi_importer *im, size_t n, const ProtobufCBinaryData *s, oi_strings *out)
{
    const char **at = oi_arena_array(im->scratch, n + 1, sizeof *at);
    uint32_t *len = oi_arena_array(im->scratch, n + 1, sizeof *len);
    if (!at || !len)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        at[i] = oi_arena_text_n(im->scratch, (const char *)s[i].data, s[i].len);
        len[i] = (uint32_t)s[i].len;
        if (!at[i])
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    *out = (oi_strings){at, len, (uint32_t)n};
    return ONNX_INFER_OK;
}

oi_status oi_import_read_attr(oi_importer *im, oi_graph *g, const OiOnnx__AttributeProto *p, oi_raw_attr *out)
{
    static const int64_t no_ints[1];
    static const float no_floats[1];
    int32_t type = type_of(p);
    const char *name = out->name;
    *out = (oi_raw_attr){.name = name};
    switch (type) {
    case T_FLOAT:
        out->type = OI_RAW_FLOAT;
        out->f = p->f;
        break;
    case T_INT:
        out->type = OI_RAW_INT;
        out->i = p->i;
        break;
    case T_STRING:
        out->type = OI_RAW_STRING;
        out->slen = (uint32_t)p->s.len;
        out->s = oi_arena_text_n(im->scratch, p->s.len ? (const char *)p->s.data : "", p->s.len);
        return out->s ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    case T_FLOATS:
        out->type = OI_RAW_FLOATS;
        out->floats = (oi_floats){p->n_floats ? p->floats : no_floats, (uint32_t)p->n_floats};
        break;
    case T_INTS:
        out->type = OI_RAW_INTS;
        out->ints = (oi_ints){p->n_ints ? p->ints : no_ints, (uint32_t)p->n_ints};
        break;
    case T_STRINGS:
        out->type = OI_RAW_STRINGS;
        return read_strings(im, p->n_strings, p->strings, &out->strings);
    case T_TENSOR:
    case T_SPARSE:
        out->type = OI_RAW_TENSOR;
        OI_FAIL_IF(type == T_TENSOR ? !p->t : !p->sparse_tensor, ONNX_INFER_E_INVALID_MODEL, "attribute '%s' has no tensor", name);
        return read_tensor(im, g, p->t, type == T_SPARSE ? p->sparse_tensor : NULL, &out->tensor);
    case T_TENSORS: {
        const oi_tensor **list = oi_arena_array(im->scratch, p->n_tensors + 1, sizeof *list);
        out->type = OI_RAW_TENSORS;
        if (!list)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        out->tensors = (oi_tensors){list, (uint32_t)p->n_tensors};
        for (size_t i = 0; i < p->n_tensors; i++) {
            oi_tensor *t;
            OI_TRY(read_tensor(im, g, p->tensors[i], NULL, &t));
            list[i] = t;
        }
        break;
    }
    case T_TYPE: {
        oi_fact *fact = oi_arena_mem(g->arena, sizeof *fact);
        out->type = OI_RAW_TYPE;
        if (!fact)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        OI_FAIL_IF(!p->tp, ONNX_INFER_E_INVALID_MODEL, "attribute '%s' has no type", name);
        out->type_fact = fact;
        return oi_import_read_type(im, g, p->tp, fact);
    }
    default:
        return oi_fail(ONNX_INFER_E_INVALID_MODEL, "attribute '%s' is of kind %d, which no operator takes", name, (int)type);
    }
    return ONNX_INFER_OK;
}

static oi_status read_shape(oi_graph *g, const OiOnnx__TensorShapeProto *p, oi_shape *out)
{
    out->rank = -1;
    if (!p)
        return ONNX_INFER_OK;
    OI_FAIL_IF(p->n_dim > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "rank %zu is above %d", p->n_dim, OI_MAX_RANK);
    out->rank = (int32_t)p->n_dim;
    for (size_t i = 0; i < p->n_dim; i++) {
        const OiOnnx__TensorShapeProto__Dimension *d = p->dim[i];
        /* "?" and the like stand for "unknown" in the files of some exporters: two of them need not be equal. */
        if (d->has_dim_value && d->dim_value >= 0)
            out->dim[i] = d->dim_value;
        else if (d->dim_param && d->dim_param[0] && d->dim_param[0] != '?' && !d->has_dim_value)
            out->dim[i] = oi_dim_symbol(g->syms, d->dim_param);
        else
            out->dim[i] = oi_dim_fresh(g->syms);
    }
    return oi_symtab_status(g->syms);
}

static oi_status read_elem(oi_importer *im, oi_graph *g, const OiOnnx__TypeProto *p, oi_fact *out)
{
    oi_fact *elem = oi_arena_mem(g->arena, sizeof *elem);
    if (!elem)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *elem = oi_fact_unknown();
    out->elem = elem;
    return p ? oi_import_read_type(im, g, p, elem) : ONNX_INFER_OK;
}

oi_status oi_import_read_type(oi_importer *im, oi_graph *g, const OiOnnx__TypeProto *p, oi_fact *out)
{
    *out = oi_fact_unknown();
    if (!p)
        return ONNX_INFER_OK;
    if (p->sequence_type) {
        out->kind = ONNX_INFER_SEQUENCE;
        return read_elem(im, g, p->sequence_type->elem_type, out);
    }
    if (p->optional_type) {
        out->kind = ONNX_INFER_OPTIONAL;
        return read_elem(im, g, p->optional_type->elem_type, out);
    }
    if (p->map_type) {
        out->kind = ONNX_INFER_MAP;
        out->dtype = p->map_type->key_type;
        OI_FAIL_IF(!oi_dtype_valid(out->dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "a map has keys of unknown type %d", (int)out->dtype);
        return read_elem(im, g, p->map_type->value_type, out);
    }
    OI_FAIL_IF(p->opaque_type, ONNX_INFER_E_UNSUPPORTED_TYPE, "opaque type %s", oi_text_or_empty(p->opaque_type->name));
    int32_t dtype = p->tensor_type ? p->tensor_type->elem_type : p->sparse_tensor_type ? p->sparse_tensor_type->elem_type : 0;
    OI_FAIL_IF(dtype && !oi_dtype_valid(dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "element type %d is unknown to this build", (int)dtype);
    out->dtype = dtype;
    return read_shape(g, p->tensor_type          ? p->tensor_type->shape
                         : p->sparse_tensor_type ? p->sparse_tensor_type->shape
                                                 : NULL, &out->shape);
}
