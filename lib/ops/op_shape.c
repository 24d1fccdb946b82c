/* Shapes: Shape, Size, Reshape, Flatten, Squeeze, Unsqueeze. The last four are views. */
#include "ops/op.h"

#include <string.h>

/* --- Shape, Size --------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t start, end;
} shape_attr;

static const oi_attr_spec shape_attrs[] = {
    {.name = "end", .type = OI_ATTR_INT, .offset = offsetof(shape_attr, end), .i = OI_UNSET},
    {.name = "start", .type = OI_ATTR_INT, .offset = offsetof(shape_attr, start)},
    {0},
};

static void shape_range(const shape_attr *a, int32_t rank, int32_t *first, int32_t *last)
{
    int64_t start = a->start, end = a->end == OI_UNSET ? rank : a->end;
    start += start < 0 ? rank : 0;
    end += end < 0 ? rank : 0;
    *first = (int32_t)(start < 0 ? 0 : start > rank ? rank : start);
    *last = (int32_t)(end < *first ? *first : end > rank ? rank : end);
}

static oi_status infer_shape(oi_infer *x)
{
    const oi_shape *in = &x->in[0]->shape;
    if (in->rank < 0) {
        oi_infer_set_fresh(x, 0, ONNX_INFER_INT64, 1);
        return ONNX_INFER_OK;
    }
    int32_t first, last;
    shape_range(x->attr, in->rank, &first, &last);
    oi_dim n = last - first;
    oi_infer_set(x, 0, ONNX_INFER_INT64, 1, &n);
    oi_infer_set_content(x, 0, in->dim + first, (uint32_t)n);
    return ONNX_INFER_OK;
}

static oi_status eval_shape(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0);
    int32_t first, last;
    shape_range(e->attr, in->rank, &first, &last);
    int64_t n = last - first;
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 1, &n, &out));
    if (n)
        memcpy(out->data, in->dim + first, (size_t)n * sizeof(int64_t));
    return ONNX_INFER_OK;
}

static oi_status infer_size(oi_infer *x)
{
    const oi_shape *in = &x->in[0]->shape;
    oi_infer_set(x, 0, ONNX_INFER_INT64, 0, NULL);
    if (in->rank >= 0) {
        oi_dim n = 1;
        for (int32_t i = 0; i < in->rank; i++)
            n = oi_dim_mul(x->syms, n, in->dim[i]);
        oi_infer_set_content(x, 0, &n, 1);
    }
    return ONNX_INFER_OK;
}

static oi_status eval_size(oi_eval *e)
{
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 0, NULL, &out));
    *(int64_t *)out->data = oi_tensor_count(oi_eval_in(e, 0));
    return ONNX_INFER_OK;
}

const oi_op oi_op_Shape = {
    .name = "Shape", .domain = "", .since = 1, .newest = 25, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .attrs = shape_attrs, .attr_size = sizeof(shape_attr), .infer = infer_shape, .eval = eval_shape,
};

const oi_op oi_op_Size = {
    .name = "Size", .domain = "", .since = 1, .newest = 25, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .infer = infer_size, .eval = eval_size,
};

/* --- Reshape --------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t allowzero;
} reshape_attr;

static const oi_attr_spec reshape_attrs[] = {
    {.name = "allowzero", .type = OI_ATTR_INT, .offset = offsetof(reshape_attr, allowzero)},
    {0},
};

static oi_status import_reshape(oi_import *im)
{
    return im->opset < 5 ? oi_import_attr_to_input(im, "shape", 1, ONNX_INFER_FLOAT) : ONNX_INFER_OK;
}

static oi_status infer_reshape(oi_infer *x)
{
    const reshape_attr *a = x->attr;
    const oi_fact *in = x->in[0], *target = x->in[1];
    oi_dim want[OI_MAX_RANK];
    int32_t n;
    OI_TRY(oi_infer_ints(x, 1, want, OI_MAX_RANK, &n));
    if (n < 0) {
        bool ranked = target->shape.rank == 1 && oi_dim_is_number(target->shape.dim[0]);
        OI_FAIL_IF(ranked && target->shape.dim[0] > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %lld, at most %d is supported",
                   (long long)target->shape.dim[0], OI_MAX_RANK);
        oi_infer_set_fresh(x, 0, in->dtype, ranked ? (int32_t)target->shape.dim[0] : -1);
        return ONNX_INFER_OK;
    }
    int32_t open = -1;
    bool in_concrete = oi_shape_is_concrete(&in->shape);
    oi_dim rest = 1, total = 1;
    for (int32_t i = 0; i < n; i++) {
        if (want[i] == 0 && !a->allowzero) {
            OI_FAIL_IF(in->shape.rank >= 0 && i >= in->shape.rank, ONNX_INFER_E_SHAPE_MISMATCH,
                       "shape[%d] is 0 (keep) but input 0 has rank %d", i, in->shape.rank);
            want[i] = in->shape.rank < 0 ? oi_dim_fresh(x->syms) : in->shape.dim[i];
        } else if (want[i] == -1) {
            OI_FAIL_IF(open >= 0, ONNX_INFER_E_INVALID_MODEL, "shape has -1 at %d and at %d", open, i);
            open = i;
            continue;
        }
        OI_FAIL_IF(oi_dim_is_number(want[i]) && want[i] < 0, ONNX_INFER_E_INVALID_MODEL, "shape[%d] is %lld", i,
                   (long long)want[i]);
        rest = oi_dim_mul(x->syms, rest, want[i]);
    }
    for (int32_t i = 0; i < in->shape.rank; i++)
        total = oi_dim_mul(x->syms, total, in->shape.dim[i]);
    if (in->shape.rank >= 0 && in_concrete && oi_dim_is_number(rest)) {
        bool fits = open >= 0 ? (rest > 0 ? total % rest == 0 : total == 0) : total == rest;
        OI_FAIL_IF(!fits, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has %lld elements, the new shape has %s%lld", (long long)total,
                   open >= 0 ? "a multiple of " : "", (long long)rest);
    }
    if (open >= 0) {
        if (in->shape.rank < 0)
            want[open] = oi_dim_fresh(x->syms);
        else
            want[open] = oi_dim_is_number(rest) && rest == 0 ? 0 : oi_dim_floordiv(x->syms, total, rest);
    }
    oi_infer_set(x, 0, in->dtype, n, want);
    return ONNX_INFER_OK;
}

static oi_status eval_reshape(oi_eval *e)
{
    const reshape_attr *a = e->attr;
    const oi_tensor *in = oi_eval_in(e, 0), *target = oi_eval_in(e, 1);
    if (target->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    int64_t n = oi_tensor_count(target), dims[OI_MAX_RANK], rest = 1, total = oi_tensor_count(in), open = -1;
    OI_FAIL_IF(target->rank != 1 || n > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %lld, at most %d is supported",
               (long long)n, OI_MAX_RANK);
    const int64_t *want = target->data;
    for (int64_t i = 0; i < n; i++) {
        dims[i] = want[i];
        if (want[i] == 0 && !a->allowzero) {
            OI_FAIL_IF(i >= in->rank, ONNX_INFER_E_SHAPE_MISMATCH, "shape[%lld] is 0 (keep) but input 0 has rank %d",
                       (long long)i, in->rank);
            dims[i] = in->dim[i];
        } else if (want[i] == -1) {
            OI_FAIL_IF(open >= 0, ONNX_INFER_E_INVALID_MODEL, "shape has -1 at %lld and at %lld", (long long)open, (long long)i);
            open = i;
            continue;
        }
        OI_FAIL_IF(dims[i] < 0 || __builtin_mul_overflow(rest, dims[i], &rest), ONNX_INFER_E_INVALID_MODEL,
                   "shape[%lld] is %lld", (long long)i, (long long)dims[i]);
    }
    if (open >= 0)
        dims[open] = rest ? total / rest : 0;
    OI_FAIL_IF(oi_dims_count((int32_t)n, dims) != total, ONNX_INFER_E_SHAPE_MISMATCH,
               "input 0 has %lld elements, which the new shape does not hold", (long long)total);
    return e->host->out_view(e, 0, in, (int32_t)n, dims);
}

const oi_op oi_op_Reshape = {
    .name = "Reshape", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_MOVES_DATA | OI_OP_VIEW,
    .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = reshape_attrs, .attr_size = sizeof(reshape_attr),
    .import = import_reshape, .infer = infer_reshape, .eval = eval_reshape,
};

/* --- Flatten --------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t axis;
} flatten_attr;

static const oi_attr_spec flatten_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(flatten_attr, axis), .i = 1},
    {0},
};

static oi_status flatten_axis(int64_t axis, int32_t rank, int32_t *out)
{
    OI_FAIL_IF(axis < -rank || axis > rank, ONNX_INFER_E_INVALID_MODEL, "attribute axis is %lld, expected %d..%d",
               (long long)axis, -rank, rank);
    *out = (int32_t)(axis < 0 ? axis + rank : axis);
    return ONNX_INFER_OK;
}

static oi_status infer_flatten(oi_infer *x)
{
    const oi_shape *in = &x->in[0]->shape;
    oi_infer_set_fresh(x, 0, x->in[0]->dtype, 2);
    if (in->rank < 0)
        return ONNX_INFER_OK;
    int32_t axis = 0;
    OI_TRY(flatten_axis(((const flatten_attr *)x->attr)->axis, in->rank, &axis));
    oi_dim dims[2] = {1, 1};
    for (int32_t i = 0; i < in->rank; i++)
        dims[i >= axis] = oi_dim_mul(x->syms, dims[i >= axis], in->dim[i]);
    oi_infer_set(x, 0, x->in[0]->dtype, 2, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_flatten(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0);
    int32_t axis = 0;
    OI_TRY(flatten_axis(((const flatten_attr *)e->attr)->axis, in->rank, &axis));
    int64_t dims[2] = {oi_dims_count(axis, in->dim), oi_dims_count(in->rank - axis, in->dim + axis)};
    return e->host->out_view(e, 0, in, 2, dims);
}

const oi_op oi_op_Flatten = {
    .name = "Flatten", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_MOVES_DATA | OI_OP_VIEW,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = flatten_attrs, .attr_size = sizeof(flatten_attr),
    .infer = infer_flatten, .eval = eval_flatten,
};

/* --- Squeeze, Unsqueeze ------------------------------------------------------------------------------------------------ */

static oi_status import_axes(oi_import *im)
{
    return im->opset < 13 ? oi_import_attr_to_input(im, "axes", 1, ONNX_INFER_FLOAT) : ONNX_INFER_OK;
}

/* Marks the axes of a tensor of this rank. */
static oi_status mark_axes(const int64_t *axes, int64_t n, int32_t rank, bool *marked)
{
    memset(marked, 0, OI_MAX_RANK * sizeof *marked);
    for (int64_t i = 0; i < n; i++) {
        OI_FAIL_IF(axes[i] < -rank || axes[i] >= rank, ONNX_INFER_E_INVALID_MODEL, "axes[%lld] is %lld, expected %d..%d",
                   (long long)i, (long long)axes[i], -rank, rank - 1);
        bool *mark = &marked[axes[i] < 0 ? axes[i] + rank : axes[i]];
        OI_FAIL_IF(*mark, ONNX_INFER_E_INVALID_MODEL, "axes names axis %lld twice", (long long)axes[i]);
        *mark = true;
    }
    return ONNX_INFER_OK;
}

static oi_status infer_squeeze(oi_infer *x)
{
    const oi_fact *in = x->in[0], *by = oi_infer_in(x, 1);
    int32_t n = 0, rank = in->shape.rank, kept = 0;
    oi_dim axes[OI_MAX_RANK], dims[OI_MAX_RANK];
    bool marked[OI_MAX_RANK];
    if (by)
        OI_TRY(oi_infer_ints(x, 1, axes, OI_MAX_RANK, &n));
    if (n < 0 || rank < 0 || (!by && !oi_shape_is_concrete(&in->shape))) {
        oi_infer_set_fresh(x, 0, in->dtype, -1);
        return ONNX_INFER_OK;
    }
    OI_TRY(mark_axes(axes, n, rank, marked));
    for (int32_t i = 0; i < rank; i++) {
        if (!by)
            marked[i] = in->shape.dim[i] == 1;
        if (!marked[i]) {
            dims[kept++] = in->shape.dim[i];
        } else if (oi_dim_is_number(in->shape.dim[i]) && in->shape.dim[i] != 1) {
            oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "axis %d of input 0 is %lld and cannot be squeezed", i,
                    (long long)in->shape.dim[i]);
            return oi_error_at_axis(i, in->shape.dim[i], 1);
        }
    }
    oi_infer_set(x, 0, in->dtype, kept, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_squeeze(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0), *axes = oi_eval_in(e, 1);
    int64_t dims[OI_MAX_RANK];
    int32_t kept = 0;
    bool marked[OI_MAX_RANK];
    if (axes && axes->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    OI_TRY(mark_axes(axes ? axes->data : NULL, axes ? oi_tensor_count(axes) : 0, in->rank, marked));
    for (int32_t i = 0; i < in->rank; i++) {
        if (axes ? !marked[i] : in->dim[i] != 1)
            dims[kept++] = in->dim[i];
        else
            OI_FAIL_IF(in->dim[i] != 1, ONNX_INFER_E_SHAPE_MISMATCH, "axis %d of input 0 is %lld and cannot be squeezed", i,
                       (long long)in->dim[i]);
    }
    return e->host->out_view(e, 0, in, kept, dims);
}

static oi_status infer_unsqueeze(oi_infer *x)
{
    const oi_fact *in = x->in[0], *by = x->in[1];
    int32_t n, rank = in->shape.rank;
    oi_dim axes[OI_MAX_RANK], dims[OI_MAX_RANK];
    bool marked[OI_MAX_RANK];
    OI_TRY(oi_infer_ints(x, 1, axes, OI_MAX_RANK, &n));
    int64_t more = n >= 0 ? n : by->shape.rank == 1 && oi_dim_is_number(by->shape.dim[0]) ? by->shape.dim[0] : -1;
    OI_FAIL_IF(rank >= 0 && more > OI_MAX_RANK - rank, ONNX_INFER_E_LIMIT, "a rank of %lld, at most %d is supported",
               (long long)(rank + more), OI_MAX_RANK);
    if (n < 0 || rank < 0) {
        oi_infer_set_fresh(x, 0, in->dtype, rank < 0 || more < 0 ? -1 : rank + (int32_t)more);
        return ONNX_INFER_OK;
    }
    OI_TRY(mark_axes(axes, n, rank + n, marked));
    for (int32_t i = 0, from = 0; i < rank + n; i++)
        dims[i] = marked[i] ? 1 : in->shape.dim[from++];
    oi_infer_set(x, 0, in->dtype, rank + n, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_unsqueeze(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0), *axes = oi_eval_in(e, 1);
    int64_t dims[OI_MAX_RANK], n = oi_tensor_count(axes);
    bool marked[OI_MAX_RANK];
    if (axes->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    OI_FAIL_IF(n > OI_MAX_RANK - in->rank, ONNX_INFER_E_LIMIT, "a rank of %lld, at most %d is supported",
               (long long)(in->rank + n), OI_MAX_RANK);
    int32_t rank = in->rank + (int32_t)n;
    OI_TRY(mark_axes(axes->data, n, rank, marked));
    for (int32_t i = 0, from = 0; i < rank; i++)
        dims[i] = marked[i] ? 1 : in->dim[from++];
    return e->host->out_view(e, 0, in, rank, dims);
}

const oi_op oi_op_Squeeze = {
    .name = "Squeeze", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_MOVES_DATA | OI_OP_VIEW,
    .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .import = import_axes, .infer = infer_squeeze, .eval = eval_squeeze,
};

const oi_op oi_op_Unsqueeze = {
    .name = "Unsqueeze", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_MOVES_DATA | OI_OP_VIEW,
    .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .import = import_axes, .infer = infer_unsqueeze,
    .eval = eval_unsqueeze,
};
