/* What reference evaluators share: temporary memory, inputs as values, messages. */
#include "base/checked.h"
#include "ops/op.h"

typedef struct scratch {
    struct scratch *next;
    max_align_t data[];
} scratch;

void *oi_eval_scratch(oi_eval *e, size_t bytes)
{
    size_t total;
    if (!oi_add_size(bytes, sizeof(scratch), &total)) {
        oi_fail_out_of_memory(bytes);
        return NULL;
    }
    scratch *s = oi_alloc_mem(e->alloc, total);
    if (!s)
        return NULL;
    s->next = e->scratch;
    e->scratch = s;
    return s->data;
}

void *oi_eval_scratch_array(oi_eval *e, size_t count, size_t size)
{
    size_t bytes;
    if (!oi_mul_size(count, size, &bytes)) {
        oi_fail_out_of_memory(SIZE_MAX);
        return NULL;
    }
    return oi_eval_scratch(e, bytes);
}

void oi_eval_scratch_free(oi_eval *e)
{
    for (scratch *s = e->scratch, *next; s; s = next) {
        next = s->next;
        oi_free_mem(e->alloc, s);
    }
    e->scratch = NULL;
}

oi_status oi_eval_parts(oi_eval *e, size_t n, size_t bytes, oi_status (*body)(void *arg, size_t i), void *arg)
{
    enum { WORTH_THREADS = 256 << 10 };
    if (bytes >= WORTH_THREADS)
        return e->host->parallel(e, n, body, arg);
    for (size_t i = 0; i < n; i++)
        OI_TRY(body(arg, i));
    return ONNX_INFER_OK;
}

oi_status oi_eval_in_as_value(const oi_eval *e, uint32_t i, onnx_infer_value **out)
{
    *out = NULL;
    const oi_tensor *t = oi_eval_in(e, i);
    if (t) {
        oi_tensor shared;
        if (t->buf)
            oi_tensor_share(&shared, t);
        else /* memory that is lent for this evaluation only */
            OI_TRY(oi_tensor_clone(e->alloc, t, &shared));
        oi_status status = oi_value_from_tensor(e->alloc, &shared, out);
        if (status)
            oi_tensor_clear(&shared);
        return status;
    }
    OI_FAIL_IF(i >= e->nin || !e->in_value || !e->in_value[i], ONNX_INFER_E_INVALID_MODEL, "input %u of %s is missing", i,
               e->op->name);
    *out = oi_value_retain((onnx_infer_value *)e->in_value[i]);
    return ONNX_INFER_OK;
}

oi_status oi_eval_bad_type(const oi_eval *e, uint32_t in)
{
    const oi_tensor *t = oi_eval_in(e, in);
    return oi_fail(ONNX_INFER_E_UNSUPPORTED_TYPE, "input %u: %s does not take element type %s", in, e->op->name,
                   oi_dtype_name(t ? t->dtype : ONNX_INFER_UNDEFINED));
}

oi_status oi_eval_int(const oi_eval *e, uint32_t i, int64_t *v)
{
    const oi_tensor *t = oi_eval_in(e, i);
    if (!t)
        return ONNX_INFER_OK;
    if (!oi_dtype_is_int(t->dtype) || oi_tensor_count(t) != 1)
        return oi_eval_bad_type(e, i);
    *v = oi_elem_get_int(t->dtype, t->data, 0);
    return ONNX_INFER_OK;
}
