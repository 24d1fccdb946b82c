/* Which parts of a tensor lie in it without gaps. */
#include "ops/parts.h"

#include <string.h>

static bool is(const oi_node *n, const char *op)
{
    return !n->op->domain[0] && strcmp(n->op->name, op) == 0;
}

static bool ones_before(const oi_tensor *t, int32_t axis)
{
    for (int32_t i = 0; i < axis; i++) {
        if (t->dim[i] != 1)
            return false;
    }
    return true;
}

static size_t bytes_behind(const oi_tensor *t, int32_t axis)
{
    return (size_t)oi_dims_count(t->rank - axis - 1, t->dim + axis + 1) * oi_dtype_size(t->dtype);
}

static bool axis_of(const oi_node *n, int32_t rank, int64_t absent, int32_t *out)
{
    int64_t axis = oi_attr_int(n, "axis", absent);
    axis += axis < 0 ? rank : 0;
    *out = (int32_t)axis;
    return axis >= 0 && axis < rank;
}

/* Element k of an integer constant of one axis; false where there is none. */
static bool int_at(const oi_tensor *t, int64_t k, int64_t *out)
{
    if (!t->data || !oi_dtype_is_int(t->dtype) || k >= oi_tensor_count(t))
        return false;
    *out = oi_elem_get_int(t->dtype, t->data, (size_t)k);
    return true;
}

static bool slice_part(const oi_node *n, const oi_tensor *in, const oi_tensor *out, size_t *offset)
{
    const oi_tensor *x = &in[0];
    int64_t count = oi_tensor_count(&in[1]), start, step = 1;
    int32_t cut = 0;
    if (n->nin < 3 || x->rank != out->rank)
        return false;
    while (cut < x->rank && x->dim[cut] == out->dim[cut])
        cut++;
    if (cut == x->rank || !ones_before(x, cut) ||
        memcmp(x->dim + cut + 1, out->dim + cut + 1, (size_t)(x->rank - cut - 1) * sizeof *x->dim))
        return false;
    *offset = SIZE_MAX;
    for (int64_t k = 0; k < count; k++) {
        int64_t axis = k;
        if ((n->nin > 3 && n->in[3] != OI_NONE && !int_at(&in[3], k, &axis)) ||
            (n->nin > 4 && n->in[4] != OI_NONE && !int_at(&in[4], k, &step)) || step != 1 || !int_at(&in[1], k, &start))
            return false;
        axis += axis < 0 ? x->rank : 0;
        if (axis != cut)
            continue;
        start += start < 0 ? x->dim[cut] : 0;
        start = start < 0 ? 0 : start;
        if (start > x->dim[cut] - out->dim[cut])
            return false;
        *offset = (size_t)start * bytes_behind(x, cut);
    }
    return *offset != SIZE_MAX;
}

static bool gather_part(const oi_node *n, const oi_tensor *in, size_t *offset)
{
    int32_t axis;
    int64_t at;
    if (n->nin != 2 || !axis_of(n, in[0].rank, 0, &axis) || !ones_before(&in[0], axis) || oi_tensor_count(&in[1]) != 1 ||
        !int_at(&in[1], 0, &at))
        return false;
    at += at < 0 ? in[0].dim[axis] : 0;
    *offset = (size_t)at * bytes_behind(&in[0], axis);
    return at >= 0 && at < in[0].dim[axis];
}

static bool split_part(const oi_node *n, const oi_tensor *in, const oi_tensor *out, uint32_t i, size_t *offset)
{
    int32_t axis;
    *offset = 0;
    if (!axis_of(n, in[0].rank, 0, &axis) || !ones_before(&in[0], axis))
        return false;
    for (uint32_t k = 0; k < i; k++) {
        if (out[k].dtype == ONNX_INFER_UNDEFINED)
            return false;
        *offset += out[k].bytes;
    }
    return true;
}

bool oi_output_is_part(const oi_node *n, const oi_tensor *in, const oi_tensor *out, uint32_t i, size_t *offset)
{
    if (out[i].dtype != in[0].dtype || in[0].dtype == ONNX_INFER_STRING || oi_dtype_is_packed(in[0].dtype) || !out[i].bytes)
        return false;
    bool part = is(n, "Slice")    ? slice_part(n, in, &out[i], offset)
                : is(n, "Gather") ? gather_part(n, in, offset)
                : is(n, "Split")  ? split_part(n, in, out, i, offset)
                                  : false;
    return part && *offset <= in[0].bytes && out[i].bytes <= in[0].bytes - *offset;
}

bool oi_inputs_are_parts(const oi_node *n, const oi_tensor *in, const oi_tensor *out)
{
    int32_t axis;
    size_t total = 0;
    if (!is(n, "Concat") || out->dtype == ONNX_INFER_STRING || oi_dtype_is_packed(out->dtype) ||
        !axis_of(n, out->rank, OI_UNSET / 2, &axis) || !ones_before(out, axis))
        return false;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (in[i].dtype != out->dtype || !in[i].bytes)
            return false;
        total += in[i].bytes;
    }
    return total == out->bytes;
}
