/* ScatterElements (and Scatter), ScatterND: elements written by indices, perhaps combined with what is there. */
#include "ops/strided.h"

#include <string.h>

typedef enum { SET, ADD, MUL, MIN, MAX } reduction;

typedef struct {
    int64_t axis, reduction;
} scatter_attr;

#define REDUCTION_WORDS "none|add|mul|min|max"
static const oi_attr_spec elements_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(scatter_attr, axis)},
    {.name = "reduction", .type = OI_ATTR_ENUM, .offset = offsetof(scatter_attr, reduction), .s = REDUCTION_WORDS},
    {0},
};
static const oi_attr_spec nd_attrs[] = {
    {.name = "reduction", .type = OI_ATTR_ENUM, .offset = offsetof(scatter_attr, reduction), .s = REDUCTION_WORDS},
    {0},
};

static oi_status infer(oi_infer *x)
{
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static double combine_double(reduction how, double a, double b)
{
    switch (how) {
    case ADD: return a + b;
    case MUL: return a * b;
    case MIN: return a != a || b != b ? a + b : a < b ? a : b;
    default: return a != a || b != b ? a + b : a > b ? a : b;
    }
}

static int64_t combine_int(reduction how, int64_t a, int64_t b, bool is_signed)
{
    bool less = is_signed ? a < b : (uint64_t)a < (uint64_t)b;
    switch (how) {
    case ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case MIN: return less ? a : b;
    default: return less ? b : a;
    }
}

static oi_status put(oi_eval *e, reduction how, const oi_tensor *from, size_t i, oi_tensor *to, size_t at)
{
    if (how == SET)
        return oi_copy_element(e->alloc, from, i, to, at);
    if (oi_dtype_is_float(to->dtype)) {
        double a = oi_elem_get_double(to->dtype, to->data, at), b = oi_elem_get_double(from->dtype, from->data, i);
        oi_elem_set_double(to->dtype, to->data, at, combine_double(how, a, b));
        return ONNX_INFER_OK;
    }
    if (!oi_dtype_is_int(to->dtype) && to->dtype != ONNX_INFER_BOOL)
        return oi_eval_bad_type(e, 0);
    int64_t a = oi_elem_get_int(to->dtype, to->data, at), b = oi_elem_get_int(from->dtype, from->data, i);
    oi_elem_set_int(to->dtype, to->data, at, combine_int(how, a, b, oi_dtype_is_signed(to->dtype)));
    return ONNX_INFER_OK;
}

static oi_status read_index(const oi_tensor *indices, size_t i, int64_t size, int64_t *out)
{
    int64_t index = oi_elem_get_int(indices->dtype, indices->data, i);
    OI_FAIL_IF(index < -size || index >= size, ONNX_INFER_E_INVALID_ARGUMENT, "index %lld is outside an axis of %lld elements",
               (long long)index, (long long)size);
    *out = index < 0 ? index + size : index;
    return ONNX_INFER_OK;
}

static oi_status start(oi_eval *e, oi_tensor **out)
{
    const oi_tensor *data = oi_eval_in(e, 0), *indices = oi_eval_in(e, 1), *updates = oi_eval_in(e, 2);
    if (indices->dtype != ONNX_INFER_INT64 && indices->dtype != ONNX_INFER_INT32)
        return oi_eval_bad_type(e, 1);
    if (updates->dtype != data->dtype)
        return oi_eval_bad_type(e, 2);
    OI_TRY(oi_eval_out(e, 0, data->dtype, data->rank, data->dim, out));
    return oi_tensor_copy_data(e->alloc, data, *out);
}

static oi_status eval_elements(oi_eval *e)
{
    const scatter_attr *a = e->attr;
    const oi_tensor *data = oi_eval_in(e, 0), *indices = oi_eval_in(e, 1), *updates = oi_eval_in(e, 2);
    int64_t axis = a->axis + (a->axis < 0 ? data->rank : 0), at[OI_MAX_RANK] = {0};
    OI_FAIL_IF(axis < 0 || axis >= data->rank || indices->rank != data->rank || !oi_tensor_same_shape(indices, updates),
               ONNX_INFER_E_SHAPE_MISMATCH, "data of rank %d, axis %lld; indices and updates must have one shape", data->rank,
               (long long)a->axis);
    for (int32_t d = 0; d < data->rank; d++)
        OI_FAIL_IF(d != axis && indices->dim[d] > data->dim[d], ONNX_INFER_E_SHAPE_MISMATCH,
                   "indices have %lld along axis %d, data has %lld", (long long)indices->dim[d], d, (long long)data->dim[d]);
    oi_tensor *out;
    OI_TRY(start(e, &out));
    oi_strided to = oi_strided_dense(data->rank, data->dim);
    size_t n = (size_t)oi_tensor_count(indices);
    int64_t done = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t index = 0, target = 0;
        OI_TRY(oi_eval_check(e, 4, &done));
        OI_TRY(read_index(indices, i, data->dim[axis], &index));
        for (int32_t d = 0; d < data->rank; d++)
            target += (d == axis ? index : at[d]) * to.stride[d];
        OI_TRY(put(e, (reduction)a->reduction, updates, i, out, (size_t)target));
        for (int32_t d = data->rank - 1; d >= 0 && ++at[d] == indices->dim[d]; d--)
            at[d] = 0;
    }
    return ONNX_INFER_OK;
}

static oi_status eval_nd(oi_eval *e)
{
    const scatter_attr *a = e->attr;
    const oi_tensor *data = oi_eval_in(e, 0), *indices = oi_eval_in(e, 1), *updates = oi_eval_in(e, 2);
    OI_FAIL_IF(indices->rank < 1 || data->rank < 1, ONNX_INFER_E_SHAPE_MISMATCH, "data and indices must not be scalars");
    int64_t width = indices->dim[indices->rank - 1], tuples = oi_dims_count(indices->rank - 1, indices->dim);
    OI_FAIL_IF(width > data->rank, ONNX_INFER_E_SHAPE_MISMATCH, "indices name %lld axes of a tensor of rank %d",
               (long long)width, data->rank);
    int64_t inner = oi_dims_count(data->rank - (int32_t)width, data->dim + width);
    OI_FAIL_IF(oi_tensor_count(updates) != tuples * inner, ONNX_INFER_E_SHAPE_MISMATCH,
               "updates have %lld elements, expected %lld", (long long)oi_tensor_count(updates), (long long)(tuples * inner));
    oi_tensor *out;
    OI_TRY(start(e, &out));
    int64_t done = 0;
    for (int64_t t = 0; t < tuples; t++) {
        int64_t target = 0;
        OI_TRY(oi_eval_check(e, 4 * (width + inner), &done));
        for (int64_t d = 0; d < width; d++) {
            int64_t index = 0;
            OI_TRY(read_index(indices, (size_t)(t * width + d), data->dim[d], &index));
            target = target * data->dim[d] + index;
        }
        for (int64_t i = 0; i < inner; i++)
            OI_TRY(put(e, (reduction)a->reduction, updates, (size_t)(t * inner + i), out, (size_t)(target * inner + i)));
    }
    return ONNX_INFER_OK;
}

const oi_op oi_op_ScatterElements = {
    .name = "ScatterElements", .domain = "", .since = 11, .newest = 18, .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
    .attrs = elements_attrs, .attr_size = sizeof(scatter_attr), .infer = infer, .eval = eval_elements,
};

/* The name of ScatterElements in opsets 9 and 10. */
const oi_op oi_op_Scatter = {
    .name = "Scatter", .domain = "", .since = 9, .newest = 11, .deprecated = 11, .min_in = 3, .max_in = 3, .min_out = 1,
    .max_out = 1, .attrs = elements_attrs, .attr_size = sizeof(scatter_attr), .infer = infer, .eval = eval_elements,
};

const oi_op oi_op_ScatterND = {
    .name = "ScatterND", .domain = "", .since = 11, .newest = 18, .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1,
    .attrs = nd_attrs, .attr_size = sizeof(scatter_attr), .infer = infer, .eval = eval_nd,
};
