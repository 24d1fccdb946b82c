/* What infer hooks share. Messages name the node's input; the driver adds the node. */
#include "ops/op.h"

#include <stdio.h>
#include <string.h>

const oi_fact *oi_infer_in(const oi_infer *x, uint32_t i)
{
    return i < x->nin ? x->in[i] : NULL;
}

bool oi_infer_wants(const oi_infer *x, uint32_t i)
{
    return i < x->nout && (!x->node || i >= x->node->nout || x->node->out[i] != OI_NONE);
}

void oi_infer_set(oi_infer *x, uint32_t out, oi_dtype dtype, int32_t rank, const oi_dim *dims)
{
    if (out < x->nout)
        x->out[out] = oi_fact_tensor(dtype, rank, dims);
}

void oi_infer_set_fresh(oi_infer *x, uint32_t out, oi_dtype dtype, int32_t rank)
{
    if (out >= x->nout)
        return;
    x->out[out] = oi_fact_tensor(dtype, -1, NULL);
    x->out[out].shape.rank = rank;
    for (int32_t i = 0; i < rank; i++)
        x->out[out].shape.dim[i] = oi_dim_fresh(x->syms);
}

void oi_infer_set_same(oi_infer *x, uint32_t out, uint32_t in)
{
    const oi_fact *f = oi_infer_in(x, in);
    if (f && out < x->nout)
        oi_infer_set(x, out, f->dtype, f->shape.rank, f->shape.dim);
}

static oi_status fail_broadcast(uint32_t in, int32_t axis, oi_dim got, oi_dim expected)
{
    oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input %u has %lld elements along axis %d of the result, the inputs before it %lld: "
            "they do not broadcast", in, (long long)got, axis, (long long)expected);
    return oi_error_at_axis(axis, got, expected);
}

oi_status oi_infer_broadcast(oi_infer *x, uint32_t first, uint32_t count, oi_shape *shape)
{
    oi_shape r = {0};
    for (uint32_t k = first; k < first + count; k++) {
        const oi_fact *f = oi_infer_in(x, k);
        if (!f)
            continue;
        if (f->shape.rank < 0) {
            *shape = (oi_shape){.rank = -1};
            return ONNX_INFER_OK;
        }
        if (f->shape.rank > r.rank) {
            int32_t more = f->shape.rank - r.rank;
            memmove(r.dim + more, r.dim, (size_t)r.rank * sizeof *r.dim);
            for (int32_t i = 0; i < more; i++)
                r.dim[i] = 1;
            r.rank = f->shape.rank;
        }
        for (int32_t i = 0; i < f->shape.rank; i++) {
            int32_t axis = r.rank - f->shape.rank + i;
            oi_dim a = r.dim[axis], b = f->shape.dim[i];
            if (oi_dim_is_number(a) && oi_dim_is_number(b) && a != b && a != 1 && b != 1)
                return fail_broadcast(k, axis, b, a);
            r.dim[axis] = oi_dim_broadcast(x->syms, a, b);
        }
    }
    *shape = r;
    return ONNX_INFER_OK;
}

oi_status oi_infer_axis(const oi_infer *x, int64_t axis, int32_t rank, int32_t *out)
{
    (void)x;
    OI_FAIL_IF(axis < -(int64_t)rank || axis >= rank, ONNX_INFER_E_INVALID_MODEL, "axis %lld is outside [%d, %d]",
               (long long)axis, -rank, rank - 1);
    *out = (int32_t)(axis < 0 ? axis + rank : axis);
    return ONNX_INFER_OK;
}

oi_status oi_infer_ints(const oi_infer *x, uint32_t i, oi_dim *v, int32_t cap, int32_t *n)
{
    const oi_fact *f = oi_infer_in(x, i);
    *n = -1;
    if (!f || f->kind != ONNX_INFER_TENSOR)
        return ONNX_INFER_OK;
    OI_FAIL_IF(f->dtype != ONNX_INFER_UNDEFINED && !oi_dtype_is_int(f->dtype) && f->dtype != ONNX_INFER_BOOL,
               ONNX_INFER_E_TYPE_MISMATCH, "input %u is %s, expected integers", i, oi_dtype_name(f->dtype));
    if (f->konst) {
        int64_t count = oi_tensor_count(f->konst);
        OI_FAIL_IF(count > cap, ONNX_INFER_E_LIMIT, "input %u has %lld elements, at most %d make sense", i, (long long)count,
                   cap);
        for (int64_t k = 0; k < count; k++) {
            int64_t e = oi_elem_get_int(f->konst->dtype, f->konst->data, (size_t)k);
            v[k] = e < OI_DIM_LOWEST_NUMBER ? OI_DIM_LOWEST_NUMBER : e; /* "from the far end": Slice's INT64_MIN */
        }
        *n = (int32_t)count;
    } else if (f->nsym) {
        OI_FAIL_IF(f->nsym > (uint32_t)cap, ONNX_INFER_E_LIMIT, "input %u has %u elements, at most %d make sense", i, f->nsym,
                   cap);
        memcpy(v, f->sym, f->nsym * sizeof *v);
        *n = (int32_t)f->nsym;
    }
    return ONNX_INFER_OK;
}

int32_t oi_infer_content(const oi_infer *x, uint32_t i, oi_dim *v, int32_t cap)
{
    const oi_fact *f = oi_infer_in(x, i);
    int32_t n;
    if (!f || (!oi_dtype_is_int(f->dtype) && f->dtype != ONNX_INFER_BOOL) || (f->konst && oi_tensor_count(f->konst) > cap) ||
        f->nsym > (uint32_t)cap)
        return -1;
    return oi_infer_ints(x, i, v, cap, &n) ? -1 : n;
}

void oi_infer_set_content(oi_infer *x, uint32_t out, const oi_dim *v, uint32_t n)
{
    if (out >= x->nout || n == 0 || n > OI_SYM_CONTENT_MAX)
        return;
    oi_dim *copy = oi_arena_copy(x->arena, v, n * sizeof *v); /* without memory nothing is known; the graph will say so */
    if (!copy)
        return;
    x->out[out].sym = copy;
    x->out[out].nsym = n;
}

oi_status oi_infer_need_dtype(const oi_infer *x, uint32_t in, const oi_dtype *allowed, uint32_t n)
{
    const oi_fact *f = oi_infer_in(x, in);
    char names[256];
    size_t used = 0;
    if (!f)
        return ONNX_INFER_OK;
    OI_FAIL_IF(f->kind != ONNX_INFER_TENSOR, ONNX_INFER_E_TYPE_MISMATCH, "input %u is no tensor", in);
    if (f->dtype == ONNX_INFER_UNDEFINED)
        return ONNX_INFER_OK;
    names[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (f->dtype == allowed[i])
            return ONNX_INFER_OK;
        int wrote = snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", oi_dtype_name(allowed[i]));
        if (wrote > 0 && (size_t)wrote < sizeof names - used)
            used += (size_t)wrote;
    }
    return oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "input %u is %s, expected %s", in, oi_dtype_name(f->dtype), names);
}
