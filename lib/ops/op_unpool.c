/* MaxUnpool: puts what MaxPool kept back to where it was. */
#include "base/checked.h"
#include "ops/window.h"

#include <string.h>

/* Size of the pooled input along each axis, as far as the window tells; `out` may be symbolic. */
static oi_status unpooled(oi_symtab *syms, const oi_window_attr *a, int32_t rank, const oi_dim *in, oi_dim *out)
{
    oi_window w;
    OI_FAIL_IF(rank < 3 || rank > OI_MAX_RANK, ONNX_INFER_E_SHAPE_MISMATCH, "MaxUnpool: input 0 has rank %d, expected 3..%d", (int)rank,
               OI_MAX_RANK);
    OI_TRY(oi_window_init(a, rank - 2, NULL, &w));
    out[0] = in[0];
    out[1] = in[1];
    for (int32_t i = 0; i < w.nd; i++) {
        oi_dim steps = oi_dim_mul(syms, oi_dim_sub(syms, in[2 + i], 1), w.stride[i]);
        out[2 + i] = oi_dim_add(syms, steps, w.kernel[i] - w.begin[i] - w.end[i]);
    }
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0], *shape = oi_infer_in(x, 2);
    oi_dim dims[OI_MAX_RANK];
    int32_t rank = f->shape.rank;
    if (shape) {
        int32_t n = oi_infer_content(x, 2, dims, OI_MAX_RANK);
        if (n < 0)
            oi_infer_set_fresh(x, 0, f->dtype, rank);
        else
            oi_infer_set(x, 0, f->dtype, n, dims);
        return ONNX_INFER_OK;
    }
    if (rank >= 0)
        OI_TRY(unpooled(x->syms, x->attr, rank, f->shape.dim, dims));
    oi_infer_set(x, 0, f->dtype, rank, dims);
    return ONNX_INFER_OK;
}

static oi_status window_sizes(const oi_window_attr *a, const oi_tensor *x, int64_t *dims)
{
    oi_window w;
    OI_FAIL_IF(x->rank < 3, ONNX_INFER_E_SHAPE_MISMATCH, "MaxUnpool: input 0 has rank %d, expected 3..%d", (int)x->rank, OI_MAX_RANK);
    OI_TRY(oi_window_init(a, x->rank - 2, NULL, &w));
    dims[0] = x->dim[0];
    dims[1] = x->dim[1];
    for (int32_t i = 0; i < w.nd; i++) {
        int64_t steps;
        bool fits = oi_mul_i64(x->dim[2 + i] - 1, w.stride[i], &steps) && oi_add_i64(steps, w.kernel[i], &dims[2 + i]) &&
                    oi_add_i64(dims[2 + i], -w.begin[i], &dims[2 + i]) && oi_add_i64(dims[2 + i], -w.end[i], &dims[2 + i]);
        OI_FAIL_IF(!fits || dims[2 + i] < 0, ONNX_INFER_E_SHAPE_MISMATCH, "MaxUnpool: axis %d of %lld cannot be unpooled", (int)(i + 2),
                   (long long)x->dim[2 + i]);
    }
    return ONNX_INFER_OK;
}

/* The indices count through the unpooled tensor as the window gives its size; a larger output_shape has it in its first
 * corner. */
static oi_status eval(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *index = oi_eval_in(e, 1), *shape = oi_eval_in(e, 2);
    int64_t dims[OI_MAX_RANK], out[OI_MAX_RANK], total;
    if (!x || !oi_dtype_is_float(x->dtype))
        return oi_eval_bad_type(e, 0);
    if (!index || index->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    OI_FAIL_IF(!oi_tensor_same_shape(x, index), ONNX_INFER_E_SHAPE_MISMATCH, "MaxUnpool: inputs 0 and 1 differ in shape");
    OI_TRY(window_sizes(e->attr, x, dims));
    memcpy(out, dims, sizeof out);
    if (shape) {
        OI_FAIL_IF(shape->dtype != ONNX_INFER_INT64 || oi_tensor_count(shape) != x->rank, ONNX_INFER_E_SHAPE_MISMATCH,
                   "MaxUnpool: output_shape must be %d int64", (int)x->rank);
        memcpy(out, shape->data, (size_t)x->rank * sizeof *out);
    }
    oi_tensor *y, whole;
    OI_TRY(oi_tensor_describe(&whole, x->dtype, x->rank, dims));
    total = oi_tensor_count(&whole);
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, out, &y));
    if (y->bytes)
        memset(y->data, 0, y->bytes);
    size_t size = oi_dtype_size(x->dtype);
    const int64_t *from = index->data;
    for (int64_t i = 0; i < oi_tensor_count(x); i++) {
        int64_t rest = from[i], to = 0, step = 1;
        OI_FAIL_IF(rest < 0 || rest >= total, ONNX_INFER_E_INVALID_ARGUMENT, "MaxUnpool: index %lld is outside the %lld unpooled elements",
                   (long long)rest, (long long)total);
        bool inside = true;
        for (int32_t d = x->rank; d-- > 0; step *= out[d]) {
            int64_t at = rest % dims[d];
            rest /= dims[d];
            inside = inside && at < out[d];
            to += inside ? at * step : 0;
        }
        if (inside)
            memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + (size_t)i * size, size);
    }
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "kernel_shape", .type = OI_ATTR_INTS, .offset = offsetof(oi_window_attr, kernel_shape), .flags = OI_ATTR_REQUIRED},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = offsetof(oi_window_attr, pads)},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = offsetof(oi_window_attr, strides)},
    {0},
};

const oi_op oi_op_MaxUnpool = {
    .name = "MaxUnpool", .domain = "", .since = 9, .newest = 22, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(oi_window_attr), .infer = infer, .eval = eval,
};
