/* Slice: a strided view along some axes. */
#include "ops/strided.h"

#include <string.h>

/* Opsets before 10 carry starts, ends and axes as attributes. */
static oi_status import_slice(oi_import *im)
{
    if (im->opset >= 10)
        return ONNX_INFER_OK;
    OI_TRY(oi_import_attr_to_input(im, "starts", 1, ONNX_INFER_FLOAT));
    OI_TRY(oi_import_attr_to_input(im, "ends", 2, ONNX_INFER_FLOAT));
    return oi_import_attr_to_input(im, "axes", 3, ONNX_INFER_FLOAT);
}

/* The standard's clamping of one axis: first index and number of elements. */
static void clamp_axis(int64_t size, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *count)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    int64_t lowest_start = size ? 0 : low; /* for negative steps too, unlike numpy */
    start = start < 0 && start < -size ? lowest_start : start < 0 ? start + size : start;
    end = end < 0 && end < -size ? low : end < 0 ? end + size : end;
    start = start < lowest_start ? lowest_start : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    *first = start;
    if (step > 0)
        *count = end > start ? (end - start - 1) / step + 1 : 0;
    else
        *count = start > end ? (start - end - 1) / (step == INT64_MIN ? INT64_MAX : -step) + 1 : 0;
}

/* Length along an axis where something is symbolic: exact for the usual forms, else an unknown. */
static oi_dim symbolic_length(oi_symtab *syms, oi_dim size, oi_dim start, oi_dim end, oi_dim step)
{
    bool plain_start = oi_dim_is_number(start), plain_end = oi_dim_is_number(end);
    if (!oi_dim_is_number(step) || step < 1)
        return plain_start && plain_end && start == -1 && end < -INT32_MAX && step == -1 ? size : oi_dim_fresh(syms);
    if (plain_start && start < 0) {
        if (oi_dim_is_number(size))
            start = start + size < 0 ? 0 : start + size;
        else if (plain_end && end >= INT32_MAX)
            return oi_dim_fresh(syms);
        else
            start = oi_dim_add(syms, size, start);
    }
    if (plain_end && end < 0)
        end = oi_dim_add(syms, size, end);
    else if (plain_end && end >= INT32_MAX)
        end = size;
    else if (plain_end && !oi_dim_is_number(size) && !(plain_start && start == 0 && end == 0))
        return oi_dim_fresh(syms); /* size may be less than end */
    else if (!plain_end && end != size)
        return oi_dim_fresh(syms);
    oi_dim length = oi_dim_sub(syms, end, start);
    if (oi_dim_is_number(length) && length < 0)
        length = 0;
    return oi_dim_ceildiv(syms, length, step);
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *in = x->in[0];
    int32_t rank = in->shape.rank, n, ne, na = -1, ns = -1;
    oi_dim starts[OI_MAX_RANK], ends[OI_MAX_RANK], axes[OI_MAX_RANK], steps[OI_MAX_RANK], dims[OI_MAX_RANK];
    OI_TRY(oi_infer_ints(x, 1, starts, OI_MAX_RANK, &n));
    OI_TRY(oi_infer_ints(x, 2, ends, OI_MAX_RANK, &ne));
    bool has_axes = oi_infer_in(x, 3) != NULL, has_steps = oi_infer_in(x, 4) != NULL;
    if (has_axes)
        OI_TRY(oi_infer_ints(x, 3, axes, OI_MAX_RANK, &na));
    if (has_steps)
        OI_TRY(oi_infer_ints(x, 4, steps, OI_MAX_RANK, &ns));
    oi_infer_set_fresh(x, 0, in->dtype, rank);
    if (rank < 0 || (has_axes && na < 0))
        return ONNX_INFER_OK;
    int32_t count = has_axes ? na : n >= 0 ? n : ne;
    if (count < 0)
        return ONNX_INFER_OK;
    OI_FAIL_IF(count > rank || (n >= 0 && n != count) || (ne >= 0 && ne != count) || (has_steps && ns >= 0 && ns != count),
               ONNX_INFER_E_INVALID_MODEL, "starts, ends, axes and steps have different lengths or more than rank %d", rank);
    memcpy(dims, in->shape.dim, sizeof dims);
    unsigned seen = 0;
    for (int32_t i = 0; i < count; i++) {
        oi_dim step = has_steps ? (ns < 0 ? oi_dim_fresh(x->syms) : steps[i]) : 1;
        int32_t axis = i;
        OI_FAIL_IF(step == 0, ONNX_INFER_E_INVALID_MODEL, "steps[%d] is 0", i);
        if (has_axes) {
            if (!oi_dim_is_number(axes[i]))
                return ONNX_INFER_OK;
            OI_TRY(oi_infer_axis(x, axes[i], rank, &axis));
        }
        OI_FAIL_IF(seen >> axis & 1, ONNX_INFER_E_INVALID_MODEL, "axes[%d] is axis %d again", i, axis);
        seen |= 1u << axis;
        if (n < 0 || ne < 0) {
            dims[axis] = oi_dim_fresh(x->syms);
        } else if (oi_dim_is_number(dims[axis]) && oi_dim_is_number(starts[i]) && oi_dim_is_number(ends[i]) &&
                   oi_dim_is_number(step)) {
            int64_t first, length;
            clamp_axis(dims[axis], starts[i], ends[i], step, &first, &length);
            dims[axis] = length;
        } else {
            dims[axis] = symbolic_length(x->syms, dims[axis], starts[i], ends[i], step);
        }
    }
    oi_infer_set(x, 0, in->dtype, rank, dims);
    return ONNX_INFER_OK;
}

static oi_status read_ints(const oi_tensor *t, const char *name, int64_t *out, int64_t *n)
{
    *n = t ? oi_tensor_count(t) : -1;
    if (!t)
        return ONNX_INFER_OK;
    OI_FAIL_IF(t->dtype != ONNX_INFER_INT64 && t->dtype != ONNX_INFER_INT32, ONNX_INFER_E_TYPE_MISMATCH,
               "%s is %s, expected int64 or int32", name, oi_dtype_name(t->dtype));
    OI_FAIL_IF(*n > OI_MAX_RANK, ONNX_INFER_E_INVALID_MODEL, "%s has %lld elements", name, (long long)*n);
    for (int64_t i = 0; i < *n; i++)
        out[i] = oi_elem_get_int(t->dtype, t->data, (size_t)i);
    return ONNX_INFER_OK;
}

static oi_status view(const oi_tensor *in, const oi_tensor *const *by, oi_strided *v)
{
    int64_t starts[OI_MAX_RANK], ends[OI_MAX_RANK], axes[OI_MAX_RANK], steps[OI_MAX_RANK], n, ne, na, ns;
    OI_TRY(read_ints(by[0], "starts", starts, &n));
    OI_TRY(read_ints(by[1], "ends", ends, &ne));
    OI_TRY(read_ints(by[2], "axes", axes, &na));
    OI_TRY(read_ints(by[3], "steps", steps, &ns));
    OI_FAIL_IF(n != ne || (na >= 0 && na != n) || (ns >= 0 && ns != n) || n > in->rank, ONNX_INFER_E_INVALID_MODEL,
               "starts, ends, axes and steps have different lengths or more than rank %d", in->rank);
    *v = oi_strided_dense(in->rank, in->dim);
    unsigned seen = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t axis = na >= 0 ? axes[i] : i, step = ns >= 0 ? steps[i] : 1, first, count;
        axis += axis < 0 ? in->rank : 0;
        OI_FAIL_IF(axis < 0 || axis >= in->rank, ONNX_INFER_E_INVALID_MODEL, "axes[%lld] is outside rank %d", (long long)i,
                   in->rank);
        OI_FAIL_IF(step == 0, ONNX_INFER_E_INVALID_MODEL, "steps[%lld] is 0", (long long)i);
        OI_FAIL_IF(seen >> axis & 1, ONNX_INFER_E_INVALID_MODEL, "axes[%lld] is axis %lld again", (long long)i, (long long)axis);
        seen |= 1u << axis;
        clamp_axis(in->dim[axis], starts[i], ends[i], step, &first, &count);
        v->dim[axis] = count;
        if (count) {
            v->offset += first * v->stride[axis];
            v->stride[axis] *= count > 1 ? step : 1;
        }
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *in = oi_eval_in(e, 0);
    const oi_tensor *by[4] = {oi_eval_in(e, 1), oi_eval_in(e, 2), oi_eval_in(e, 3), oi_eval_in(e, 4)};
    oi_strided v;
    oi_tensor *out;
    OI_TRY(view(in, by, &v));
    OI_TRY(oi_eval_out(e, 0, in->dtype, v.rank, v.dim, &out));
    return oi_strided_copy_tensor(e, &v, in, out);
}

static oi_status prepare(oi_prepare *p)
{
    const oi_tensor *by[4] = {NULL, NULL, NULL, NULL};
    for (uint32_t i = 1; i < p->step->nin; i++) {
        if (!p->step->in[i].dtype)
            continue;
        if (!p->step->in[i].data && oi_tensor_count(&p->step->in[i]) > 0)
            return ONNX_INFER_OK; /* starts known only when running */
        by[i - 1] = &p->step->in[i];
    }
    oi_strided v;
    OI_TRY(view(&p->step->in[0], by, &v));
    return oi_strided_prepare(p, &v, "slice");
}

const oi_op oi_op_Slice = {
    .name = "Slice", .domain = "", .since = 1, .newest = 13, .flags = OI_OP_MOVES_DATA,
    .min_in = 3, .max_in = 5, .min_out = 1, .max_out = 1,
    .import = import_slice, .infer = infer, .eval = eval, .prepare = prepare,
};
