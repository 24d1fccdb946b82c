/* Operators that move runs of elements to places that data names: Compress, ReverseSequence, CenterCropPad, TensorScatter. */
#include "ops/loop.h"
#include "ops/op.h"
#include "ops/strided.h"
#include "tensor/convert.h"

#include <string.h>

typedef struct {
    int64_t axis, batch_axis, time_axis, mode;
    oi_ints axes;
} select_attr;

/* n elements of `from` to `to`, of any type. */
static oi_status copy_run(const oi_eval *e, const oi_tensor *from, int64_t from_at, oi_tensor *to, int64_t to_at, int64_t n)
{
    if (from->dtype != ONNX_INFER_STRING) {
        oi_convert(from->dtype, from->data, (size_t)from_at, to->dtype, to->data, (size_t)to_at, (size_t)n, true);
        return ONNX_INFER_OK;
    }
    const oi_string *s = (const oi_string *)from->data + from_at;
    for (int64_t i = 0; i < n; i++)
        OI_TRY(oi_tensor_set_string(e->alloc, to, (size_t)(to_at + i), s[i].text, s[i].n));
    return ONNX_INFER_OK;
}

static oi_status resolve_axis(const oi_eval *e, int64_t given, int32_t rank, int32_t *axis)
{
    OI_FAIL_IF(given < -rank || given >= rank, ONNX_INFER_E_INVALID_MODEL, "%s: axis %lld is out of range for rank %d", e->op->name,
               (long long)given, (int)rank);
    *axis = (int32_t)(given < 0 ? given + rank : given);
    return ONNX_INFER_OK;
}

/* --- Compress --- */

static oi_status infer_compress(oi_infer *x)
{
    const select_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    oi_dim found = oi_dim_fresh(x->syms);
    int32_t axis;
    oi_shape s = f->shape;
    if (a->axis == OI_UNSET) {
        oi_infer_set(x, 0, f->dtype, 1, &found);
        return ONNX_INFER_OK;
    }
    if (s.rank >= 0) {
        OI_TRY(oi_infer_axis(x, a->axis, s.rank, &axis));
        s.dim[axis] = found;
    }
    oi_infer_set(x, 0, f->dtype, s.rank, s.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_compress(oi_eval *e)
{
    const select_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *condition = oi_eval_in(e, 1);
    if (!x)
        return oi_eval_bad_type(e, 0);
    if (!condition || condition->dtype != ONNX_INFER_BOOL || condition->rank != 1)
        return oi_eval_bad_type(e, 1);
    int64_t outer = 1, n = oi_tensor_count(x), inner = 1, dims[OI_MAX_RANK], found = 0, k = 0;
    int32_t axis = 0;
    bool flat = a->axis == OI_UNSET;
    if (!flat) {
        OI_TRY(resolve_axis(e, a->axis, x->rank, &axis));
        oi_loop_axis(x->rank, x->dim, axis, &outer, &n, &inner);
        memcpy(dims, x->dim, sizeof dims);
    }
    const uint8_t *keep = condition->data;
    int64_t limit = condition->dim[0] < n ? condition->dim[0] : n;
    for (int64_t i = 0; i < limit; i++)
        found += keep[i] != 0;
    dims[axis] = found;
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, flat ? 1 : x->rank, dims, &y));
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < limit; i++) {
            if (keep[i])
                OI_TRY(copy_run(e, x, (o * n + i) * inner, y, k++ * inner, inner));
        }
    }
    return ONNX_INFER_OK;
}

/* --- ReverseSequence --- */

static oi_status infer_same(oi_infer *x)
{
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static oi_status eval_reverse(oi_eval *e)
{
    const select_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *lengths = oi_eval_in(e, 1);
    if (!x)
        return oi_eval_bad_type(e, 0);
    if (!lengths || lengths->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    OI_FAIL_IF(x->rank < 2 || a->batch_axis < 0 || a->time_axis < 0 || a->batch_axis + a->time_axis != 1, ONNX_INFER_E_INVALID_MODEL,
               "ReverseSequence: time and batch axes must be 0 and 1 of an input of rank 2 or more");
    int64_t batch = x->dim[a->batch_axis], time = x->dim[a->time_axis], inner = oi_dims_count(x->rank - 2, x->dim + 2);
    OI_FAIL_IF(oi_tensor_count(lengths) != batch, ONNX_INFER_E_SHAPE_MISMATCH, "ReverseSequence: %lld lengths for a batch of %lld",
               (long long)oi_tensor_count(lengths), (long long)batch);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    int64_t batch_step = a->batch_axis == 0 ? time * inner : inner, time_step = a->batch_axis == 0 ? inner : batch * inner;
    for (int64_t b = 0; b < batch; b++) {
        int64_t length = ((const int64_t *)lengths->data)[b];
        OI_FAIL_IF(length < 0 || length > time, ONNX_INFER_E_INVALID_ARGUMENT, "ReverseSequence: length %lld is outside [0, %lld]",
                   (long long)length, (long long)time);
        for (int64_t t = 0; t < time; t++) {
            int64_t from = t < length ? length - 1 - t : t;
            OI_TRY(copy_run(e, x, b * batch_step + from * time_step, y, b * batch_step + t * time_step, inner));
        }
    }
    return ONNX_INFER_OK;
}

/* --- CenterCropPad --- */

static oi_status infer_crop(oi_infer *x)
{
    const select_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    oi_shape s = f->shape;
    oi_dim want[OI_MAX_RANK];
    int32_t n, axis;
    OI_TRY(oi_infer_ints(x, 1, want, OI_MAX_RANK, &n));
    if (s.rank >= 0) {
        int32_t count = a->axes.at ? (int32_t)a->axes.n : s.rank;
        OI_FAIL_IF(n >= 0 && n != count, ONNX_INFER_E_SHAPE_MISMATCH, "CenterCropPad: %d sizes for %d axes", (int)n, (int)count);
        for (int32_t i = 0; i < count; i++) {
            OI_TRY(oi_infer_axis(x, a->axes.at ? a->axes.at[i] : i, s.rank, &axis));
            s.dim[axis] = n >= 0 ? want[i] : oi_dim_fresh(x->syms);
        }
    }
    oi_infer_set(x, 0, f->dtype, s.rank, s.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_crop(oi_eval *e)
{
    const select_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *shape = oi_eval_in(e, 1);
    if (!x || x->dtype == ONNX_INFER_STRING)
        return oi_eval_bad_type(e, 0);
    if (!shape || (shape->dtype != ONNX_INFER_INT64 && shape->dtype != ONNX_INFER_INT32))
        return oi_eval_bad_type(e, 1);
    int32_t count = a->axes.at ? (int32_t)a->axes.n : x->rank, axis = 0;
    int64_t dims[OI_MAX_RANK], from[OI_MAX_RANK] = {0}, to[OI_MAX_RANK] = {0}, run[OI_MAX_RANK], at[OI_MAX_RANK] = {0};
    OI_FAIL_IF(oi_tensor_count(shape) != count || count > OI_MAX_RANK, ONNX_INFER_E_SHAPE_MISMATCH, "CenterCropPad: %lld sizes for %d axes",
               (long long)oi_tensor_count(shape), (int)count);
    memcpy(dims, x->dim, sizeof dims);
    memcpy(run, x->dim, sizeof run);
    for (int32_t i = 0; i < count; i++) {
        OI_TRY(resolve_axis(e, a->axes.at ? a->axes.at[i] : i, x->rank, &axis));
        int64_t have = x->dim[axis], want = oi_elem_get_int(shape->dtype, shape->data, (size_t)i);
        OI_FAIL_IF(want < 0, ONNX_INFER_E_INVALID_ARGUMENT, "CenterCropPad: size %lld of axis %d", (long long)want, (int)axis);
        dims[axis] = want;
        run[axis] = want < have ? want : have;
        from[axis] = want < have ? (have - want) / 2 : 0;
        to[axis] = want > have ? (want - have) / 2 : 0;
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, dims, &y));
    if (y->bytes)
        memset(y->data, 0, y->bytes);
    if (oi_dims_count(x->rank, run) == 0)
        return ONNX_INFER_OK;
    for (int32_t i = 0;;) {
        int64_t source = 0, target = 0;
        for (int32_t k = 0; k < x->rank; k++) {
            source = source * x->dim[k] + from[k] + at[k];
            target = target * dims[k] + to[k] + at[k];
        }
        OI_TRY(copy_run(e, x, source, y, target, x->rank ? run[x->rank - 1] : 1));
        for (i = x->rank - 2; i >= 0 && ++at[i] == run[i]; i--)
            at[i] = 0;
        if (i < 0)
            return ONNX_INFER_OK;
    }
}

/* --- TensorScatter --- */

static oi_status eval_scatter(oi_eval *e)
{
    const select_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *update = oi_eval_in(e, 1), *at = oi_eval_in(e, 2);
    if (!x || !update || update->dtype != x->dtype)
        return oi_eval_bad_type(e, x ? 1 : 0);
    int32_t axis = 0;
    OI_TRY(resolve_axis(e, a->axis, x->rank, &axis));
    OI_FAIL_IF(axis == 0 || update->rank != x->rank || (at && (at->dtype != ONNX_INFER_INT64 || oi_tensor_count(at) != x->dim[0])),
               ONNX_INFER_E_SHAPE_MISMATCH, "TensorScatter: update or write_indices do not fit the cache");
    for (int32_t i = 0; i < x->rank; i++)
        OI_FAIL_IF(i == axis ? update->dim[i] > x->dim[i] : update->dim[i] != x->dim[i], ONNX_INFER_E_SHAPE_MISMATCH,
                   "TensorScatter: update has %lld elements along axis %d, the cache %lld", (long long)update->dim[i], (int)i,
                   (long long)x->dim[i]);
    int64_t outer, n, inner, length = update->dim[axis];
    oi_loop_axis(x->rank, x->dim, axis, &outer, &n, &inner);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    OI_TRY(oi_tensor_copy_data(e->alloc, x, y));
    for (int64_t o = 0; o < outer; o++) {
        int64_t start = at ? ((const int64_t *)at->data)[o / (outer / x->dim[0])] : 0;
        OI_FAIL_IF(start < 0 || (!a->mode && start > n - length), ONNX_INFER_E_INVALID_ARGUMENT,
                   "TensorScatter: %lld elements at %lld do not fit %lld", (long long)length, (long long)start, (long long)n);
        for (int64_t i = 0; i < length * inner; i++) {
            int64_t to = (o * n + (start % n + i / inner) % n) * inner + i % inner;
            if (oi_dtype_is_packed(y->dtype)) /* neighbours in the same byte stay */
                OI_TRY(oi_copy_element(e->alloc, update, (size_t)(o * length * inner + i), y, (size_t)to));
            else if (i % inner == 0)
                OI_TRY(copy_run(e, update, o * length * inner + i, y, to, inner));
        }
    }
    return ONNX_INFER_OK;
}

/* --- definitions --- */

#define INT_ATTR(label, field, value) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(select_attr, field), .i = value}

static const oi_attr_spec compress_attrs[] = {INT_ATTR("axis", axis, OI_UNSET), {0}};
static const oi_attr_spec reverse_attrs[] = {INT_ATTR("batch_axis", batch_axis, 1), INT_ATTR("time_axis", time_axis, 0), {0}};
static const oi_attr_spec crop_attrs[] = {{.name = "axes", .type = OI_ATTR_INTS, .offset = offsetof(select_attr, axes)}, {0}};
static const oi_attr_spec scatter_attrs[] = {
    INT_ATTR("axis", axis, -2), {.name = "mode", .type = OI_ATTR_ENUM, .offset = offsetof(select_attr, mode), .s = "linear|circular"}, {0}};

#define SELECT(id, first, latest, most, specs, infer_fn, eval_fn)                                                                  \
    const oi_op oi_op_##id = {.name = #id, .domain = "", .since = first, .newest = latest, .min_in = 2, .max_in = most, .min_out = 1, \
                              .max_out = 1, .attrs = specs, .attr_size = sizeof(select_attr), .infer = infer_fn, .eval = eval_fn}
SELECT(CenterCropPad, 18, 18, 2, crop_attrs, infer_crop, eval_crop);
SELECT(ReverseSequence, 10, 28, 2, reverse_attrs, infer_same, eval_reverse);
SELECT(TensorScatter, 24, 24, 3, scatter_attrs, infer_same, eval_scatter);

const oi_op oi_op_Compress = {
    .name = "Compress", .domain = "", .since = 9, .newest = 28, .flags = OI_OP_DATA_SHAPES, .min_in = 2, .max_in = 2, .min_out = 1,
    .max_out = 1, .attrs = compress_attrs, .attr_size = sizeof(select_attr), .infer = infer_compress, .eval = eval_compress,
};
