/* What operators' import hooks use to bring a node from an old form to the newest. */
#include "ops/op.h"

#include <string.h>

oi_raw_attr *oi_import_find(oi_import *im, const char *name)
{
    for (uint32_t i = 0; i < im->nattr; i++)
        if (!strcmp(im->attr[i].name, name))
            return &im->attr[i];
    return NULL;
}

void oi_import_drop(oi_import *im, const char *name)
{
    oi_raw_attr *a = oi_import_find(im, name);
    if (a) {
        memmove(a, a + 1, (size_t)(im->attr + im->nattr - a - 1) * sizeof *a);
        im->nattr--;
    }
}

/* The attribute of this name, an empty one where it was not there. */
static oi_status touch(oi_import *im, const char *name, oi_raw_attr **out)
{
    oi_raw_attr *a = oi_import_find(im, name);
    if (!a) {
        OI_TRY(oi_arena_grow(im->g->arena, &im->attr, &im->attr_cap, im->nattr + 1, sizeof *im->attr));
        a = &im->attr[im->nattr++];
    }
    *a = (oi_raw_attr){.name = name, .by_import = true};
    *out = a;
    return ONNX_INFER_OK;
}

oi_status oi_import_set_int(oi_import *im, const char *name, int64_t v)
{
    oi_raw_attr *a;
    OI_TRY(touch(im, name, &a));
    a->type = OI_RAW_INT;
    a->i = v;
    return ONNX_INFER_OK;
}

oi_status oi_import_set_float(oi_import *im, const char *name, float v)
{
    oi_raw_attr *a;
    OI_TRY(touch(im, name, &a));
    a->type = OI_RAW_FLOAT;
    a->f = v;
    return ONNX_INFER_OK;
}

oi_status oi_import_set_string(oi_import *im, const char *name, const char *v)
{
    oi_raw_attr *a;
    char *copy = oi_arena_text(im->g->arena, v);
    if (!copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(touch(im, name, &a));
    a->type = OI_RAW_STRING;
    a->s = copy;
    a->slen = (uint32_t)strlen(copy);
    return ONNX_INFER_OK;
}

oi_status oi_import_set_ints(oi_import *im, const char *name, const int64_t *v, uint32_t n)
{
    oi_raw_attr *a;
    int64_t *copy = oi_arena_array(im->g->arena, n + (size_t)1, sizeof *copy);
    if (!copy)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (n)
        memcpy(copy, v, n * sizeof *copy);
    OI_TRY(touch(im, name, &a));
    a->type = OI_RAW_INTS;
    a->ints = (oi_ints){copy, n};
    return ONNX_INFER_OK;
}

static void clear_tensor(void *t)
{
    oi_tensor_clear(t);
}

oi_status oi_import_set_tensor(oi_import *im, const char *name, oi_tensor *t)
{
    oi_raw_attr *a;
    oi_tensor *kept = oi_arena_mem(im->g->arena, sizeof *kept);
    oi_status status = kept ? oi_arena_on_destroy(im->g->arena, clear_tensor, kept) : ONNX_INFER_E_OUT_OF_MEMORY;
    if (status) {
        oi_tensor_clear(t);
        return status;
    }
    *kept = *t;
    memset(t, 0, sizeof *t);
    OI_TRY(touch(im, name, &a));
    a->type = OI_RAW_TENSOR;
    a->tensor = kept;
    return ONNX_INFER_OK;
}

oi_status oi_import_set_input(oi_import *im, uint32_t slot, oi_value_id v)
{
    if (slot >= im->nin) {
        OI_TRY(oi_arena_grow(im->g->arena, &im->in, &im->in_cap, slot + 1, sizeof *im->in));
        while (im->nin <= slot)
            im->in[im->nin++] = OI_NONE;
    }
    im->in[slot] = v;
    return ONNX_INFER_OK;
}

static oi_status add_const(oi_import *im, oi_tensor *t, oi_value_id *out)
{
    oi_status status = oi_graph_add_const(im->g, "", t, out);
    if (status)
        oi_tensor_clear(t);
    return status;
}

oi_status oi_import_const_ints(oi_import *im, const int64_t *v, int32_t rank, uint32_t n, oi_value_id *out)
{
    oi_tensor t;
    int64_t dim = n;
    OI_TRY(oi_tensor_create(oi_arena_alloc_of(im->g->arena), ONNX_INFER_INT64, rank, &dim, &t));
    if (t.bytes)
        memcpy(t.data, v, t.bytes);
    return add_const(im, &t, out);
}

static oi_status const_floats(oi_import *im, const float *v, int32_t rank, uint32_t n, oi_dtype dtype, oi_value_id *out)
{
    oi_tensor t;
    int64_t dim = n;
    OI_TRY(oi_tensor_create(oi_arena_alloc_of(im->g->arena), dtype, rank, &dim, &t));
    for (int64_t i = 0; i < oi_tensor_count(&t); i++)
        oi_elem_set_double(dtype, t.data, (size_t)i, v[i]);
    return add_const(im, &t, out);
}

oi_status oi_import_const_float(oi_import *im, float v, oi_value_id *out)
{
    return const_floats(im, &v, 0, 1, ONNX_INFER_FLOAT, out);
}

oi_status oi_import_attr_to_input(oi_import *im, const char *name, uint32_t slot, oi_dtype float_as)
{
    const oi_raw_attr *a = oi_import_find(im, name);
    oi_value_id v;
    oi_tensor t;
    if (!a)
        return ONNX_INFER_OK;
    switch (a->type) {
    case OI_RAW_INT:
        OI_TRY(oi_import_const_ints(im, &a->i, 0, 1, &v));
        break;
    case OI_RAW_INTS:
        OI_TRY(oi_import_const_ints(im, a->ints.at, 1, a->ints.n, &v));
        break;
    case OI_RAW_FLOAT:
        OI_TRY(const_floats(im, &a->f, 0, 1, float_as, &v));
        break;
    case OI_RAW_FLOATS:
        OI_TRY(const_floats(im, a->floats.at, 1, a->floats.n, float_as, &v));
        break;
    case OI_RAW_TENSOR:
        oi_tensor_share(&t, a->tensor);
        OI_TRY(add_const(im, &t, &v));
        break;
    default:
        return oi_fail(ONNX_INFER_E_INVALID_MODEL, "attribute '%s' of %s is of the wrong kind", name, im->op->name);
    }
    oi_import_drop(im, name);
    return oi_import_set_input(im, slot, v);
}

oi_status oi_import_node(oi_import *im, const char *op, const char *attrs, uint32_t nin, const oi_value_id *in, uint32_t nout,
                         oi_value_id *out)
{
    const oi_op *def = oi_op_find("", op);
    void *attr;
    oi_node_id id;
    OI_FAIL_IF(!def, ONNX_INFER_E_UNSUPPORTED_OP, "operator %s, which an old form of %s needs, is not in this build", op, im->op->name);
    OI_TRY(oi_attr_parse_text(im->g->arena, def, attrs, &attr));
    return oi_graph_add_node(im->g, def, im->name, attr, nin, in, nout, out, 0, NULL, &id);
}
