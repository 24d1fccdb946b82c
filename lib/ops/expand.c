/* Expanding a node into several while it is imported. */
#include "ops/expand.h"

#include <stdio.h>
#include <string.h>

oi_status oi_expand_begin(oi_expand *x, oi_import *im)
{
    const oi_op *op = im->op;
    void *attr;
    *x = (oi_expand){.im = im};
    OI_FAIL_IF(im->nin < op->min_in || (op->max_in != UINT16_MAX && im->nin > op->max_in), ONNX_INFER_E_INVALID_MODEL,
               "it has %u inputs, %s takes %u to %u", im->nin, op->name, op->min_in, op->max_in);
    OI_FAIL_IF(im->nout < op->min_out || im->nout > op->max_out, ONNX_INFER_E_INVALID_MODEL, "it has %u outputs, %s gives %u to %u",
               im->nout, op->name, op->min_out, op->max_out);
    OI_FAIL_IF(im->nin && im->in[0] == OI_NONE, ONNX_INFER_E_INVALID_MODEL, "input 0 is left out, %s needs it", op->name);
    OI_TRY(oi_attr_parse_raw(im->g->arena, op, im->attr, im->nattr, &attr));
    x->attr = attr;
    im->done = true;
    return ONNX_INFER_OK;
}

oi_status oi_expand_end(oi_expand *x)
{
    OI_TRY(x->status);
    for (uint32_t i = 0; i < x->im->nout; i++)
        OI_FAIL_IF(oi_expand_wants(x, i) && x->im->g->value[x->im->out[i]].def == OI_NONE, ONNX_INFER_E_UNSUPPORTED_OP,
                   "output %u of %s is not made by this build", i, x->im->op->name);
    return ONNX_INFER_OK;
}

void oi_expand_fail(oi_expand *x, oi_status status)
{
    if (!x->status)
        x->status = status;
}

oi_value_id oi_expand_in(const oi_expand *x, uint32_t i)
{
    return i < x->im->nin ? x->im->in[i] : OI_NONE;
}

bool oi_expand_wants(const oi_expand *x, uint32_t i)
{
    return i < x->im->nout && x->im->out[i] != OI_NONE;
}

static const oi_fact *fact_of(const oi_expand *x, oi_value_id v)
{
    const oi_value *value = v == OI_NONE ? NULL : &x->im->g->value[v];
    return value && value->fact.kind == ONNX_INFER_TENSOR ? &value->fact : NULL;
}

int32_t oi_expand_rank(const oi_expand *x, oi_value_id v)
{
    const oi_fact *f = fact_of(x, v);
    return f ? f->shape.rank : -1;
}

oi_dtype oi_expand_dtype(const oi_expand *x, oi_value_id v)
{
    const oi_fact *f = fact_of(x, v);
    return f ? f->dtype : ONNX_INFER_UNDEFINED;
}

static const oi_op *find(const char *name)
{
    static const char *const domain[] = {"", "com.microsoft", "onnx_infer"};
    const oi_op *op = NULL;
    for (size_t i = 0; i < sizeof domain / sizeof *domain && !op; i++)
        op = oi_op_find(domain[i], name);
    return op;
}

static void append(oi_expand *x, const oi_op *op, void *attr, uint32_t nin, const oi_value_id *in, uint32_t nout, oi_value_id *out)
{
    oi_node_id id;
    while (nin && in[nin - 1] == OI_NONE)
        nin--;
    oi_expand_fail(x, oi_graph_add_node(x->im->g, op, x->im->name, attr, nin, in, nout, out, 0, NULL, &id));
}

void oi_expand_nodes(oi_expand *x, const char *name, const char *attrs, uint32_t nin, const oi_value_id *in, uint32_t n,
                     oi_value_id *out)
{
    const oi_op *op = find(name);
    void *attr = NULL;
    for (uint32_t i = 0; i < n; i++)
        out[i] = OI_NONE;
    if (x->status)
        return;
    if (!op)
        x->status = oi_fail(ONNX_INFER_E_UNSUPPORTED_OP, "operator %s, which %s is made of, is not in this build", name, x->im->op->name);
    else
        x->status = oi_attr_parse_text(x->im->g->arena, op, attrs, &attr);
    if (!x->status)
        append(x, op, attr, nin, in, n, out);
}

oi_value_id oi_expand_node(oi_expand *x, const char *op, const char *attrs, uint32_t nin, const oi_value_id *in)
{
    oi_value_id out;
    oi_expand_nodes(x, op, attrs, nin, in, 1, &out);
    return out;
}

void oi_expand_same_nodes(oi_expand *x, const char *name, uint32_t nin, const oi_value_id *in, uint32_t n, oi_value_id *out)
{
    const oi_op *op = find(name);
    void *attr;
    for (uint32_t i = 0; i < n; i++)
        out[i] = OI_NONE;
    if (x->status)
        return;
    oi_expand_fail(x, oi_attr_parse_raw(x->im->g->arena, op, x->im->attr, x->im->nattr, &attr));
    if (!x->status)
        append(x, op, attr, nin, in, n, out);
}

oi_value_id oi_expand_same(oi_expand *x, const char *op, uint32_t nin, const oi_value_id *in)
{
    oi_value_id out;
    oi_expand_same_nodes(x, op, nin, in, 1, &out);
    return out;
}

void oi_expand_out(oi_expand *x, uint32_t i, oi_value_id v)
{
    if (x->status || !oi_expand_wants(x, i))
        return;
    append(x, oi_op_find("", "Identity"), NULL, 1, &v, 1, &x->im->out[i]);
}

const char *oi_expand_text(oi_expand *x, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const char *copy = n < 0 || (size_t)n >= sizeof text ? NULL : oi_arena_text(x->im->g->arena, text);
    if (!copy)
        oi_expand_fail(x, oi_fail(ONNX_INFER_E_LIMIT, "the attributes of %s are too long", x->im->op->name));
    return copy ? copy : "";
}

const char *oi_expand_float(oi_expand *x, const char *name, float v)
{
    return oi_expand_text(x, "%s=%.9g", name, (double)v);
}

oi_value_id oi_expand_ints(oi_expand *x, int32_t rank, uint32_t n, const int64_t *v)
{
    oi_value_id out = OI_NONE;
    if (!x->status)
        x->status = oi_import_const_ints(x->im, v, rank, n, &out);
    return out;
}

oi_value_id oi_expand_int(oi_expand *x, int64_t v)
{
    return oi_expand_ints(x, 1, 1, &v);
}

oi_value_id oi_expand_scalar(oi_expand *x, float v, oi_value_id like)
{
    oi_value_id out = OI_NONE;
    oi_dtype dtype = oi_expand_dtype(x, like);
    if (!x->status)
        x->status = oi_import_const_float(x->im, v, &out);
    if (dtype == ONNX_INFER_FLOAT)
        return out;
    if (dtype != ONNX_INFER_UNDEFINED)
        return OI_NODE(x, "Cast", oi_expand_text(x, "to=%d", (int)dtype), out);
    return OI_NODE(x, "CastLike", NULL, out, like);
}

static oi_value_id both(oi_expand *x, const char *op, oi_value_id a, oi_value_id b)
{
    return a == OI_NONE ? b : b == OI_NONE ? a : OI_NODE(x, op, NULL, a, b);
}

oi_value_id oi_expand_add(oi_expand *x, oi_value_id a, oi_value_id b)
{
    return both(x, "Add", a, b);
}

oi_value_id oi_expand_mul(oi_expand *x, oi_value_id a, oi_value_id b)
{
    return both(x, "Mul", a, b);
}

oi_value_id oi_expand_swap(oi_expand *x, oi_value_id v)
{
    int32_t rank = oi_expand_rank(x, v);
    return rank == 0 || rank == 1 ? v : OI_NODE(x, "Einsum", "equation='...ij->...ji'", v);
}

oi_value_id oi_expand_channels_first(oi_expand *x, oi_value_id v)
{
    return OI_NODE(x, "Einsum", "equation='n...c->nc...'", v);
}

oi_value_id oi_expand_channels_last(oi_expand *x, oi_value_id v)
{
    return OI_NODE(x, "Einsum", "equation='nc...->n...c'", v);
}

oi_status oi_expanded_infer(oi_infer *x)
{
    return oi_fail(ONNX_INFER_E_INTERNAL, "%s should have been replaced while importing", x->op->name);
}

oi_status oi_expanded_eval(oi_eval *e)
{
    return oi_fail(ONNX_INFER_E_INTERNAL, "%s should have been replaced while importing", e->op->name);
}
