/* What the functions of a custom operator call. */
#include "api/api_check.h"
#include "ops/custom.h"

#include <string.h>

size_t onnx_infer_op_input_count(const onnx_infer_op_context *x)
{
    return x ? x->nin : 0;
}

size_t onnx_infer_op_output_count(const onnx_infer_op_context *x)
{
    return x ? x->nout : 0;
}

const char *onnx_infer_op_node_name(const onnx_infer_op_context *x)
{
    return x ? x->node->name : "";
}

int32_t onnx_infer_op_output_wanted(const onnx_infer_op_context *x, size_t i)
{
    return x && i < x->nout && x->node->out[i] != OI_NONE;
}

const onnx_infer_value *onnx_infer_op_input(onnx_infer_op_context *x, size_t i)
{
    const oi_tensor *t = x ? oi_op_context_tensor(x, i) : NULL;
    if (!t)
        return x && x->e && x->e->in_value && i < x->nin ? x->e->in_value[i] : NULL;
    if (oi_tensor_is_aligned(t))
        return oi_op_context_wrap(x, i, t);
    void *copy = oi_op_context_mem(x, t->bytes); /* a constant where a file has it; only before a run */
    oi_tensor aligned = *t;
    if (!copy) {
        x->status = ONNX_INFER_E_OUT_OF_MEMORY;
        return NULL;
    }
    memcpy(copy, t->data, t->bytes);
    aligned.data = copy;
    aligned.buf = NULL;
    return oi_op_context_wrap(x, i, &aligned);
}

static oi_status left_out(size_t i)
{
    return oi_fail(ONNX_INFER_E_NOT_FOUND, "the node has no input %zu", i);
}

onnx_infer_status onnx_infer_op_input_type(onnx_infer_op_context *x, size_t i, onnx_infer_kind *kind, onnx_infer_dtype *dtype,
                                           int32_t *rank)
{
    oi_fact room;
    OI_NEED(x);
    const oi_fact *f = oi_op_context_fact(x, i, &room);
    if (!f)
        return left_out(i);
    if (kind)
        *kind = f->kind;
    if (dtype)
        *dtype = f->kind == ONNX_INFER_TENSOR ? f->dtype : ONNX_INFER_UNDEFINED;
    if (rank)
        *rank = f->kind == ONNX_INFER_TENSOR ? f->shape.rank : -1;
    return ONNX_INFER_OK;
}

static const oi_symtab *symbols_of(const onnx_infer_op_context *x)
{
    return x->x ? x->x->syms : x->g ? x->g->syms : NULL;
}

onnx_infer_status onnx_infer_op_input_dim(onnx_infer_op_context *x, size_t i, int32_t axis, int64_t *size, const char **expr)
{
    oi_fact room;
    char text[256];
    OI_NEED(x);
    OI_NEED(size);
    const oi_fact *f = oi_op_context_fact(x, i, &room);
    if (!f)
        return left_out(i);
    int32_t rank = f->kind == ONNX_INFER_TENSOR ? f->shape.rank : -1;
    OI_FAIL_IF(axis < 0 || axis >= rank, ONNX_INFER_E_NOT_FOUND, "axis %d of input %zu is asked for; its rank is %d", (int)axis, i,
               (int)rank);
    oi_dim d = f->shape.dim[axis];
    const char *made = NULL;
    if (expr) {
        oi_dim_text(symbols_of(x), d, text, sizeof text);
        char *copy = oi_op_context_mem(x, strlen(text) + 1);
        if (!copy)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        made = memcpy(copy, text, strlen(text) + 1);
    }
    *size = oi_dim_is_number(d) ? d : -1;
    if (expr)
        *expr = made;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_op_set_output_type(onnx_infer_op_context *x, size_t i, onnx_infer_dtype dtype, int32_t rank,
                                                const int64_t *dims, const char *const *exprs)
{
    oi_dim d[OI_MAX_RANK];
    OI_NEED(x);
    OI_NEED(dims || exprs || rank <= 0);
    OI_FAIL_IF(!x->x, ONNX_INFER_E_INVALID_ARGUMENT, "types of outputs are set in infer only");
    OI_FAIL_IF(i >= x->nout, ONNX_INFER_E_NOT_FOUND, "the node has %u outputs; the type of output %zu is set", x->nout, i);
    OI_FAIL_IF(!oi_dtype_valid(dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "output %zu: element type %d is not known", i, (int)dtype);
    OI_FAIL_IF(rank < -1 || rank > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "output %zu: rank %d; at most %d is supported", i, (int)rank,
               OI_MAX_RANK);
    for (int32_t k = 0; k < rank; k++) {
        const char *expr = exprs ? exprs[k] : NULL;
        if (dims && dims[k] >= 0 && oi_dim_is_number(dims[k]))
            d[k] = dims[k];
        else if (!expr)
            d[k] = oi_dim_fresh(x->x->syms);
        else if (!oi_dim_parse(x->x->syms, expr, &d[k]))
            return oi_symtab_status(x->x->syms) ? oi_fail_out_of_memory(strlen(expr))
                                                : oi_fail(ONNX_INFER_E_INVALID_ARGUMENT,
                                                          "output %zu, axis %d: '%.100s' is no expression of sizes", i, (int)k, expr);
    }
    if (rank < 0)
        oi_infer_set_fresh(x->x, (uint32_t)i, dtype, rank);
    else
        oi_infer_set(x->x, (uint32_t)i, dtype, rank, d);
    return oi_symtab_status(x->x->syms);
}

onnx_infer_status onnx_infer_op_output(onnx_infer_op_context *x, size_t i, onnx_infer_dtype dtype, int32_t rank,
                                       const int64_t *dims, onnx_infer_value **out)
{
    oi_tensor described, *t;
    OI_NEED(out);
    *out = NULL;
    OI_NEED(x);
    OI_NEED(dims || rank <= 0);
    OI_FAIL_IF(!x->e, ONNX_INFER_E_INVALID_ARGUMENT, "outputs are made in compute only");
    OI_FAIL_IF(i >= x->nout, ONNX_INFER_E_NOT_FOUND, "the node has %u outputs; output %zu is made", x->nout, i);
    OI_TRY(oi_tensor_describe(&described, dtype, rank, dims));
    OI_TRY(oi_eval_out(x->e, (uint32_t)i, dtype, rank, described.dim, &t));
    *out = oi_op_context_wrap(x, x->nin + i, t);
    return ONNX_INFER_OK;
}

static oi_status find(const onnx_infer_op_context *x, const char *name, int type, const oi_raw_attr **out)
{
    for (uint32_t i = 0; x->attr && i < x->attr->raw.n; i++) {
        const oi_raw_attr *a = &x->attr->raw.at[i];
        if (strcmp(a->name, name))
            continue;
        OI_FAIL_IF((int)a->type != type, ONNX_INFER_E_TYPE_MISMATCH, "attribute '%s' of node '%s' is of another type", name,
                   x->node->name);
        *out = a;
        return ONNX_INFER_OK;
    }
    return oi_fail(ONNX_INFER_E_NOT_FOUND, "node '%s' has no attribute '%s'", x->node->name, name);
}

onnx_infer_status onnx_infer_op_attr_int(const onnx_infer_op_context *x, const char *name, int64_t *v)
{
    const oi_raw_attr *a;
    OI_NEED(x);
    OI_NEED(name);
    OI_NEED(v);
    OI_TRY(find(x, name, OI_RAW_INT, &a));
    *v = a->i;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_op_attr_float(const onnx_infer_op_context *x, const char *name, float *v)
{
    const oi_raw_attr *a;
    OI_NEED(x);
    OI_NEED(name);
    OI_NEED(v);
    OI_TRY(find(x, name, OI_RAW_FLOAT, &a));
    *v = a->f;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_op_attr_string(const onnx_infer_op_context *x, const char *name, const char **v, size_t *n)
{
    const oi_raw_attr *a;
    OI_NEED(x);
    OI_NEED(name);
    OI_NEED(v);
    OI_TRY(find(x, name, OI_RAW_STRING, &a));
    *v = a->s;
    if (n)
        *n = a->slen;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_op_attr_ints(const onnx_infer_op_context *x, const char *name, const int64_t **v, size_t *n)
{
    const oi_raw_attr *a;
    OI_NEED(x);
    OI_NEED(name);
    OI_NEED(v);
    OI_NEED(n);
    OI_TRY(find(x, name, OI_RAW_INTS, &a));
    *v = a->ints.at;
    *n = a->ints.n;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_op_attr_floats(const onnx_infer_op_context *x, const char *name, const float **v, size_t *n)
{
    const oi_raw_attr *a;
    OI_NEED(x);
    OI_NEED(name);
    OI_NEED(v);
    OI_NEED(n);
    OI_TRY(find(x, name, OI_RAW_FLOATS, &a));
    *v = a->floats.at;
    *n = a->floats.n;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_op_attr_strings(const onnx_infer_op_context *x, const char *name, const char *const **v,
                                             const uint32_t **len, size_t *n)
{
    const oi_raw_attr *a;
    OI_NEED(x);
    OI_NEED(name);
    OI_NEED(v);
    OI_NEED(n);
    OI_TRY(find(x, name, OI_RAW_STRINGS, &a));
    *v = a->strings.at;
    *n = a->strings.n;
    if (len)
        *len = a->strings.len;
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_op_attr_tensor(onnx_infer_op_context *x, const char *name, const onnx_infer_value **v)
{
    const oi_raw_attr *a;
    OI_NEED(x);
    OI_NEED(name);
    OI_NEED(v);
    OI_TRY(find(x, name, OI_RAW_TENSOR, &a));
    onnx_infer_value *wrapped = oi_op_context_mem(x, sizeof *wrapped);
    if (!wrapped)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    atomic_init(&wrapped->refs, 1);
    wrapped->kind = ONNX_INFER_TENSOR;
    wrapped->tensor = *a->tensor;
    *v = wrapped;
    return ONNX_INFER_OK;
}

void *onnx_infer_op_scratch(onnx_infer_op_context *x, size_t bytes)
{
    return x ? oi_op_context_mem(x, bytes) : NULL;
}

typedef struct {
    void (*body)(void *arg, size_t i);
    void *arg;
} loop;

static oi_status loop_task(void *arg, size_t i)
{
    const loop *l = arg;
    l->body(l->arg, i);
    return ONNX_INFER_OK;
}

void onnx_infer_op_parallel_for(onnx_infer_op_context *x, size_t n, void (*body)(void *arg, size_t i), void *arg)
{
    loop l = {body, arg};
    if (!x || !body)
        return;
    if (x->e && x->status == ONNX_INFER_OK) {
        x->status = x->e->host->parallel(x->e, n, loop_task, &l);
        return;
    }
    for (size_t i = 0; i < n && x->status == ONNX_INFER_OK; i++)
        body(arg, i);
}

onnx_infer_status onnx_infer_op_fail(onnx_infer_op_context *x, onnx_infer_status status, const char *message)
{
    OI_NEED(x);
    if (status == ONNX_INFER_OK)
        return status;
    if (status < ONNX_INFER_OK || status > ONNX_INFER_E_INTERNAL)
        status = ONNX_INFER_E_BACKEND;
    return oi_fail(status, "%s", message ? message : "");
}
