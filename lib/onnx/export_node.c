/* Exports nodes with their attributes, tensors and types. */
#include "onnx/export_parts.h"
#include "onnx/value_file.h"

#include <stdio.h>
#include <string.h>

enum { /* AttributeProto.type */
    T_FLOAT = 1, T_INT, T_STRING, T_TENSOR, T_GRAPH, T_FLOATS, T_INTS, T_STRINGS, T_TENSORS, T_TYPE = 13
};
enum { EXTERNAL_FROM = 1024, PAGE = 4096, LOCATION_EXTERNAL = 1 };

oi_status oi_export_need(oi_exporter *x, const char *domain, int64_t version)
{
    for (uint32_t i = 0; i < x->ndomain; i++) {
        if (strcmp(x->domain[i].domain, domain))
            continue;
        if (x->domain[i].version < version)
            x->domain[i].version = version;
        return ONNX_INFER_OK;
    }
    OI_TRY(oi_arena_grow(x->arena, &x->domain, &x->domain_cap, x->ndomain + 1, sizeof *x->domain));
    x->domain[x->ndomain++] = (oi_export_domain){domain, version};
    return ONNX_INFER_OK;
}

int64_t oi_export_dtype_version(oi_dtype t)
{
    switch (t) {
    case ONNX_INFER_BFLOAT16:
        return 22;
    case ONNX_INFER_FLOAT4E2M1:
        return 23;
    case ONNX_INFER_FLOAT8E8M0:
        return 24;
    case ONNX_INFER_UINT2:
    case ONNX_INFER_INT2:
        return 25;
    default:
        return 1;
    }
}

/* --- types --------------------------------------------------------------------------------------------------------- */

static oi_status to_shape(oi_exporter *x, const oi_symtab *syms, const oi_shape *s, OiOnnx__TensorShapeProto **out)
{
    OiOnnx__TensorShapeProto *p = oi_arena_mem(x->arena, sizeof *p);
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__tensor_shape_proto__init(p);
    p->n_dim = (size_t)s->rank;
    p->dim = oi_arena_array(x->arena, p->n_dim + 1, sizeof *p->dim);
    if (!p->dim)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int32_t i = 0; i < s->rank; i++) {
        OiOnnx__TensorShapeProto__Dimension *d = oi_arena_mem(x->arena, sizeof *d);
        char text[256];
        if (!d)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        oi_onnx__tensor_shape_proto__dimension__init(d);
        p->dim[i] = d;
        if (oi_dim_is_number(s->dim[i])) {
            d->has_dim_value = 1;
            d->dim_value = s->dim[i];
            continue;
        }
        oi_dim_text(syms, s->dim[i], text, sizeof text);
        if (strchr(text, '?') || strlen(text) == sizeof text - 1)
            continue; /* of no name: nothing is said of it */
        d->dim_param = oi_arena_text(x->arena, text);
        if (!d->dim_param)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    *out = p;
    return ONNX_INFER_OK;
}

oi_status oi_export_type(oi_exporter *x, const oi_symtab *syms, const oi_fact *f, bool shape, OiOnnx__TypeProto **out)
{
    *out = NULL;
    if (!f || (f->kind == ONNX_INFER_TENSOR && !oi_dtype_valid(f->dtype)) || (f->kind != ONNX_INFER_TENSOR && !f->elem))
        return ONNX_INFER_OK;
    OiOnnx__TypeProto *p = oi_arena_mem(x->arena, sizeof *p), *inner = NULL;
    struct {
        OiOnnx__TypeProto__Tensor tensor;
        OiOnnx__TypeProto__Sequence sequence;
        OiOnnx__TypeProto__Optional optional;
        OiOnnx__TypeProto__Map map;
    } *of = oi_arena_mem(x->arena, sizeof *of);
    if (!p || !of)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__type_proto__init(p);
    if (f->kind != ONNX_INFER_TENSOR) {
        OI_TRY(oi_export_type(x, syms, f->elem, shape, &inner));
        if (!inner)
            return ONNX_INFER_OK;
    }
    switch (f->kind) {
    case ONNX_INFER_TENSOR:
        oi_onnx__type_proto__tensor__init(&of->tensor);
        of->tensor.has_elem_type = 1;
        of->tensor.elem_type = f->dtype;
        if (shape && f->shape.rank >= 0)
            OI_TRY(to_shape(x, syms, &f->shape, &of->tensor.shape));
        p->tensor_type = &of->tensor;
        break;
    case ONNX_INFER_SEQUENCE:
        oi_onnx__type_proto__sequence__init(&of->sequence);
        of->sequence.elem_type = inner;
        p->sequence_type = &of->sequence;
        break;
    case ONNX_INFER_OPTIONAL:
        oi_onnx__type_proto__optional__init(&of->optional);
        of->optional.elem_type = inner;
        p->optional_type = &of->optional;
        break;
    default:
        oi_onnx__type_proto__map__init(&of->map);
        of->map.has_key_type = 1;
        of->map.key_type = f->dtype;
        of->map.value_type = inner;
        p->map_type = &of->map;
    }
    *out = p;
    return ONNX_INFER_OK;
}

/* --- tensors ------------------------------------------------------------------------------------------------------- */

static oi_status add_external(oi_exporter *x, OiOnnx__TensorProto *p, const char *key, const char *value)
{
    OiOnnx__StringStringEntryProto *entry = oi_arena_mem(x->arena, sizeof *entry);
    if (!entry)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__string_string_entry_proto__init(entry);
    entry->key = (char *)(uintptr_t)key;
    entry->value = oi_arena_text(x->arena, value);
    p->external_data[p->n_external_data++] = entry;
    return entry->value ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

static oi_status move_out(oi_exporter *x, const oi_tensor *t, OiOnnx__TensorProto *p)
{
    static const char zeros[PAGE];
    char number[32];
    size_t gap = (size_t)((PAGE - x->data_at % PAGE) % PAGE);
    OI_TRY(oi_write(x->e->data, zeros, gap));
    x->data_at += gap;
    p->has_raw_data = 0;
    p->has_data_location = 1;
    p->data_location = LOCATION_EXTERNAL;
    p->external_data = oi_arena_array(x->arena, 3, sizeof *p->external_data);
    if (!p->external_data)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(add_external(x, p, "location", x->e->location));
    snprintf(number, sizeof number, "%llu", (unsigned long long)x->data_at);
    OI_TRY(add_external(x, p, "offset", number));
    snprintf(number, sizeof number, "%zu", t->bytes);
    OI_TRY(add_external(x, p, "length", number));
    OI_TRY(oi_write(x->e->data, t->data, t->bytes));
    x->data_at += t->bytes;
    return ONNX_INFER_OK;
}

oi_status oi_export_tensor(oi_exporter *x, const oi_tensor *t, const char *name, OiOnnx__TensorProto **out)
{
    bool external = x->e->data && t->dtype != ONNX_INFER_STRING && t->bytes >= EXTERNAL_FROM;
    OI_TRY(oi_onnx_tensor_message(x->arena, t, external, out));
    (*out)->name = (char *)(uintptr_t)name;
    OI_TRY(oi_export_need(x, "", oi_export_dtype_version(t->dtype)));
    return external ? move_out(x, t, *out) : ONNX_INFER_OK;
}

/* --- attributes ---------------------------------------------------------------------------------------------------- */

static ProtobufCBinaryData bytes_of(const char *s, size_t n)
{
    return (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)s};
}

static oi_status put_strings(oi_exporter *x, OiOnnx__AttributeProto *p, const oi_strings *v)
{
    p->type = T_STRINGS;
    p->n_strings = v->n;
    p->strings = oi_arena_array(x->arena, (size_t)v->n + 1, sizeof *p->strings);
    for (uint32_t i = 0; p->strings && i < v->n; i++)
        p->strings[i] = bytes_of(v->at[i], v->len[i]);
    return p->strings ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

static oi_status put_tensors(oi_exporter *x, OiOnnx__AttributeProto *p, const oi_tensors *v)
{
    p->type = T_TENSORS;
    p->n_tensors = v->n;
    p->tensors = oi_arena_array(x->arena, (size_t)v->n + 1, sizeof *p->tensors);
    if (!p->tensors)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < v->n; i++)
        OI_TRY(oi_onnx_tensor_message(x->arena, v->at[i], false, &p->tensors[i]));
    return ONNX_INFER_OK;
}

/* `words` of an ENUM. */
static oi_status put_content(oi_exporter *x, OiOnnx__AttributeProto *p, oi_attr_type type, const char *words, const void *at)
{
    const oi_ints *ints = at;
    const oi_floats *floats = at;
    p->has_type = 1;
    switch (type) {
    case OI_ATTR_INT:
        p->type = T_INT;
        p->has_i = 1;
        p->i = *(const int64_t *)at;
        return ONNX_INFER_OK;
    case OI_ATTR_FLOAT:
        p->type = T_FLOAT;
        p->has_f = 1;
        p->f = *(const float *)at;
        return ONNX_INFER_OK;
    case OI_ATTR_STRING:
        p->type = T_STRING;
        p->has_s = 1;
        p->s = bytes_of(*(const char *const *)at, strlen(*(const char *const *)at));
        return ONNX_INFER_OK;
    case OI_ATTR_ENUM:
        p->type = T_STRING;
        p->has_s = 1;
        for (int64_t i = *(const int64_t *)at; i > 0; i--)
            words += strcspn(words, "|") + 1;
        p->s = bytes_of(words, strcspn(words, "|"));
        return ONNX_INFER_OK;
    case OI_ATTR_INTS:
        p->type = T_INTS;
        p->n_ints = ints->n;
        p->ints = (int64_t *)(uintptr_t)ints->at;
        return ONNX_INFER_OK;
    case OI_ATTR_FLOATS:
        p->type = T_FLOATS;
        p->n_floats = floats->n;
        p->floats = (float *)(uintptr_t)floats->at;
        return ONNX_INFER_OK;
    case OI_ATTR_STRINGS:
        return put_strings(x, p, at);
    case OI_ATTR_TENSOR:
        p->type = T_TENSOR;
        return oi_onnx_tensor_message(x->arena, *(const oi_tensor *const *)at, false, &p->t);
    case OI_ATTR_TENSORS:
        return put_tensors(x, p, at);
    case OI_ATTR_TYPE:
        p->type = T_TYPE;
        return oi_export_type(x, x->e->graph->syms, *(const oi_fact *const *)at, true, &p->tp);
    case OI_ATTR_REST:
        break;
    }
    return oi_fail(ONNX_INFER_E_INTERNAL, "attribute '%s' is of no type that is written", p->name);
}

static oi_status add_attribute(oi_exporter *x, OiOnnx__NodeProto *p, const char *name, oi_attr_type type, const char *words,
                               const void *at)
{
    OiOnnx__AttributeProto *a = oi_arena_mem(x->arena, sizeof *a);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__attribute_proto__init(a);
    a->name = (char *)(uintptr_t)name;
    p->attribute[p->n_attribute++] = a;
    return put_content(x, a, type, words, at);
}

static oi_status add_rest(oi_exporter *x, OiOnnx__NodeProto *p, const oi_raw_attrs *rest)
{
    for (uint32_t i = 0; i < rest->n; i++) {
        const oi_raw_attr *r = &rest->at[i];
        oi_attr_type type;
        const void *at = oi_attr_raw_content(r, &type);
        OI_TRY(add_attribute(x, p, r->name, type, NULL, at));
        if (type == OI_ATTR_STRING) /* which may hold any bytes */
            p->attribute[p->n_attribute - 1]->s = bytes_of(r->s, r->slen);
    }
    return ONNX_INFER_OK;
}

/* Our own definitions have defaults here for the sake of old opsets; the standard has none any more. */
static bool is_required(const oi_node *n, const oi_attr_spec *s)
{
    return (s->flags & OI_ATTR_REQUIRED) || (!strcmp(n->op->name, "Concat") && !strcmp(s->name, "axis"));
}

static bool is_split_in_equal_parts(const oi_node *n)
{
    return !n->op->domain[0] && !strcmp(n->op->name, "Split") && (n->nin < 2 || n->in[1] == OI_NONE);
}

static oi_status add_count(oi_exporter *x, OiOnnx__NodeProto *p, const char *name, int64_t count)
{
    const int64_t *at = oi_arena_copy(x->arena, &count, sizeof count);
    return at ? add_attribute(x, p, name, OI_ATTR_INT, NULL, at) : ONNX_INFER_E_OUT_OF_MEMORY;
}

/* What the standard added to operators after opset 21: an attribute that is not left at its default, or more inputs. */
static const struct { const char *op, *attr; uint32_t inputs; int64_t version; } additions[] = {
    {"Attention", NULL, 7, 24},
    {"Attention", "left_window_size", 0, 25},
    {"Attention", "right_window_size", 0, 25},
    {"Cast", "round_mode", 0, 24},
    {"CastLike", "round_mode", 0, 24},
    {"DequantizeLinear", "output_dtype", 0, 23},
    {"QuantizeLinear", "precision", 0, 23},
    {"Range", "stash_type", 0, 27},
    {"SpaceToDepth", "mode", 0, 28},
};

static int64_t version_of(const oi_node *n)
{
    int64_t version = n->op->since;
    if (n->op->domain[0])
        return version;
    for (size_t i = 0; i < sizeof additions / sizeof *additions; i++) {
        bool has = !strcmp(additions[i].op, n->op->name);
        if (has && additions[i].attr) {
            const oi_attr_spec *s = n->op->attrs;
            while (s && s->name && strcmp(s->name, additions[i].attr))
                s++;
            has = s && s->name && n->attr && !oi_attr_is_default(s, (const char *)n->attr + s->offset);
        } else if (has) {
            has = n->nin >= additions[i].inputs;
        }
        if (has && version < additions[i].version)
            version = additions[i].version;
    }
    return version;
}

/* Nothing but our own importer can read it as it is. */
static bool is_internal(const oi_node *n)
{
    if (n->op->deprecated && !n->op->domain[0])
        return true;
    for (const oi_attr_spec *s = n->op->attrs; s && s->name && n->attr; s++) {
        if ((s->flags & OI_ATTR_INTERNAL) && !oi_attr_is_default(s, (const char *)n->attr + s->offset))
            return true;
    }
    return false;
}

oi_status oi_export_node(oi_exporter *x, const oi_node *n, uint32_t graphs, OiOnnx__NodeProto **out)
{
    const char *domain = oi_domain_norm(n->op->domain);
    OiOnnx__NodeProto *p = oi_arena_mem(x->arena, sizeof *p);
    size_t most = graphs;
    for (const oi_attr_spec *s = n->op->attrs; s && s->name; s++)
        most += s->type == OI_ATTR_REST && n->attr ? ((const oi_raw_attrs *)((const char *)n->attr + s->offset))->n : 1u;
    if (!p || !(p->attribute = oi_arena_array(x->arena, most + 1, sizeof *p->attribute)))
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OiOnnx__AttributeProto **room = p->attribute;
    oi_onnx__node_proto__init(p);
    p->attribute = room;
    if (is_internal(n)) {
        domain = "onnx_infer";
        OI_TRY(oi_export_need(x, domain, 1));
    } else {
        OI_TRY(oi_export_need(x, domain, n->op->flags & OI_OP_CUSTOM ? 1 : version_of(n)));
    }
    OI_TRY(oi_export_name(x, &x->nodes, n->name, (const char **)&p->name));
    p->op_type = (char *)(uintptr_t)n->op->name;
    p->domain = (char *)(uintptr_t)(domain[0] ? domain : NULL);
    for (const oi_attr_spec *s = n->op->attrs; s && s->name && n->attr; s++) {
        const void *at = (const char *)n->attr + s->offset;
        if (s->type == OI_ATTR_REST)
            OI_TRY(add_rest(x, p, at));
        else if (is_split_in_equal_parts(n) && !strcmp(s->name, "num_outputs"))
            OI_TRY(add_count(x, p, s->name, n->nout));
        else if (is_required(n, s) || !oi_attr_is_default(s, at))
            OI_TRY(add_attribute(x, p, s->name, s->type, s->s, at));
    }
    *out = p;
    return ONNX_INFER_OK;
}
