/* Conv and ConvTranspose: the reference, and lowering to the blocked convolution of op_conv_blocked.c. */
#include "ops/op_conv.h"

#include "ops/rewrite.h"
#include "ops/target.h"
#include "ops/widen.h"

#include <string.h>

typedef struct {
    oi_window window; /* of the transposed one: of the convolution that it inverts */
    int64_t n, ic, oc, groups;
    const void *x, *w, *bias;
    void *y;
    oi_eval *e;
} conv_job;

#define T float
#define NAME conv_float
#include "ops/tmpl/conv.inc"
#undef NAME
#define NAME conv_transpose_float
#include "ops/tmpl/conv_transpose.inc"
#undef NAME
#undef T
#define T double
#define NAME conv_double
#include "ops/tmpl/conv.inc"
#undef NAME
#define NAME conv_transpose_double
#include "ops/tmpl/conv_transpose.inc"
#undef NAME
#undef T

#define OFFSET(field) ((uint16_t)offsetof(oi_conv_attr, field))
static const oi_attr_spec conv_attrs[] = {
    {.name = "auto_pad", .type = OI_ATTR_ENUM, .offset = OFFSET(window.auto_pad), .s = OI_AUTO_PAD_WORDS},
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = OFFSET(window.dilations)},
    {.name = "group", .type = OI_ATTR_INT, .offset = OFFSET(group), .i = 1},
    {.name = "kernel_shape", .type = OI_ATTR_INTS, .offset = OFFSET(window.kernel_shape)},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = OFFSET(window.pads)},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = OFFSET(window.strides)},
    {0},
};
static const oi_attr_spec conv_transpose_attrs[] = {
    {.name = "auto_pad", .type = OI_ATTR_ENUM, .offset = OFFSET(window.auto_pad), .s = OI_AUTO_PAD_WORDS},
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = OFFSET(window.dilations)},
    {.name = "group", .type = OI_ATTR_INT, .offset = OFFSET(group), .i = 1},
    {.name = "kernel_shape", .type = OI_ATTR_INTS, .offset = OFFSET(window.kernel_shape)},
    {.name = "output_padding", .type = OI_ATTR_INTS, .offset = OFFSET(output_padding)},
    {.name = "output_shape", .type = OI_ATTR_INTS, .offset = OFFSET(output_shape)},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = OFFSET(window.pads)},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = OFFSET(window.strides)},
    {0},
};

oi_status oi_conv_check(const oi_conv_attr *a, bool transposed, const int64_t *x, int32_t w_rank, const int64_t *w,
                        int64_t *oc)
{
    OI_FAIL_IF(a->group < 1 || a->group > INT32_MAX, ONNX_INFER_E_INVALID_MODEL, "attribute group is %lld",
               (long long)a->group);
    OI_FAIL_IF(w_rank < 3, ONNX_INFER_E_SHAPE_MISMATCH, "input 1 (weights) has rank %d, expected at least 3", w_rank);
    int64_t channels = transposed ? w[0] : w[1] * a->group;
    if (channels != x[1]) {
        oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has %lld channels, the weights take %lld", (long long)x[1],
                (long long)channels);
        return oi_error_at_axis(1, x[1], channels);
    }
    *oc = transposed ? w[1] * a->group : w[0];
    OI_FAIL_IF(*oc % a->group || x[1] % a->group, ONNX_INFER_E_INVALID_MODEL,
               "%lld input and %lld output channels cannot be split into %lld groups", (long long)x[1], (long long)*oc,
               (long long)a->group);
    return ONNX_INFER_OK;
}

oi_status oi_conv_transpose_resolve(const oi_conv_attr *a, const int64_t *in, oi_window *w)
{
    for (int32_t i = 0; i < w->nd; i++) {
        int64_t extra = a->output_padding.at && (uint32_t)i < a->output_padding.n ? a->output_padding.at[i] : 0;
        int64_t reach = w->dilation[i] * (w->kernel[i] - 1) + 1;
        OI_FAIL_IF(extra < 0 || extra > INT32_MAX || in[i] > INT32_MAX, ONNX_INFER_E_INVALID_MODEL,
                   "spatial axis %d: output_padding %lld or input size %lld out of range", i, (long long)extra,
                   (long long)in[i]);
        int64_t full = w->stride[i] * (in[i] - 1) + extra + reach, total;
        if (a->output_shape.at) {
            uint32_t skip = a->output_shape.n > (uint32_t)w->nd ? a->output_shape.n - (uint32_t)w->nd : 0;
            OI_FAIL_IF(a->output_shape.n != skip + (uint32_t)w->nd, ONNX_INFER_E_INVALID_MODEL,
                       "attribute output_shape has %u elements, expected %d", a->output_shape.n, w->nd);
            w->in[i] = a->output_shape.at[skip + (uint32_t)i];
            total = full - w->in[i];
        } else if (a->window.auto_pad == OI_PAD_SAME_UPPER || a->window.auto_pad == OI_PAD_SAME_LOWER) {
            w->in[i] = in[i] * w->stride[i];
            total = full - w->in[i];
        } else {
            w->in[i] = full - w->begin[i] - w->end[i];
            total = -1;
        }
        if (a->output_shape.at || total >= 0) {
            if (total < 0)
                total = 0;
            /* Half each; the odd one goes to the end for SAME_UPPER and to the beginning otherwise (the standard). */
            w->begin[i] = a->window.auto_pad == OI_PAD_SAME_UPPER ? total / 2 : total - total / 2;
            w->end[i] = total - w->begin[i];
        }
        OI_FAIL_IF(w->in[i] < 0 || w->in[i] > INT32_MAX, ONNX_INFER_E_SHAPE_MISMATCH,
                   "spatial axis %d: the output would have %lld elements", i, (long long)w->in[i]);
        w->out[i] = in[i];
    }
    return ONNX_INFER_OK;
}

static oi_status infer_window(oi_infer *x, bool transposed)
{
    const oi_conv_attr *a = x->attr;
    const oi_fact *in = x->in[0], *w = x->in[1];
    const oi_dtype floats[] = {ONNX_INFER_FLOAT, ONNX_INFER_DOUBLE, ONNX_INFER_FLOAT16, ONNX_INFER_BFLOAT16};
    OI_TRY(oi_infer_need_dtype(x, 0, floats, 4));
    int32_t rank = in->shape.rank, nd = rank - 2;
    oi_infer_set_fresh(x, 0, in->dtype, rank >= 0 ? rank : w->shape.rank);
    if (rank < 0 || w->shape.rank < 0)
        return ONNX_INFER_OK;
    OI_FAIL_IF(w->shape.rank != rank, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, the weights have rank %d", rank,
               w->shape.rank);
    int64_t kernel[OI_WINDOW_MAX];
    bool known = rank >= 3;
    for (int32_t i = 0; i < nd && known; i++) {
        known = oi_dim_is_number(w->shape.dim[2 + i]);
        kernel[i] = w->shape.dim[2 + i];
    }
    oi_dim dims[OI_MAX_RANK];
    memcpy(dims, x->out[0].shape.dim, sizeof dims);
    dims[0] = in->shape.dim[0];
    dims[1] = transposed ? oi_dim_mul(x->syms, w->shape.dim[1], a->group) : w->shape.dim[0];
    if (!known && !a->window.kernel_shape.at) {
        oi_infer_set(x, 0, in->dtype, rank, dims);
        return ONNX_INFER_OK;
    }
    oi_window window;
    OI_TRY(oi_window_init(&a->window, nd, known ? kernel : NULL, &window));
    int64_t in_dims[OI_MAX_RANK], w_dims[OI_MAX_RANK], oc;
    if (oi_fact_dims(in, &rank, in_dims) && oi_fact_dims(w, &rank, w_dims)) {
        OI_TRY(oi_conv_check(a, transposed, in_dims, rank, w_dims, &oc));
        OI_TRY(transposed ? oi_conv_transpose_resolve(a, in_dims + 2, &window)
                          : oi_window_resolve(&a->window, in_dims + 2, &window));
        for (int32_t i = 0; i < nd; i++)
            dims[2 + i] = transposed ? window.in[i] : window.out[i];
    } else if (!transposed) {
        oi_window_infer(x->syms, &a->window, &window, in->shape.dim + 2, dims + 2);
    } else if (!a->output_shape.at && a->window.auto_pad != OI_PAD_SAME_UPPER && a->window.auto_pad != OI_PAD_SAME_LOWER) {
        for (int32_t i = 0; i < nd; i++) {
            int64_t extra = a->output_padding.at && (uint32_t)i < a->output_padding.n ? a->output_padding.at[i] : 0;
            int64_t more = extra + window.dilation[i] * (window.kernel[i] - 1) + 1 - window.stride[i] - window.begin[i] -
                           window.end[i];
            dims[2 + i] = oi_dim_add(x->syms, oi_dim_mul(x->syms, in->shape.dim[2 + i], window.stride[i]), more);
        }
    }
    oi_infer_set(x, 0, in->dtype, rank, dims);
    return ONNX_INFER_OK;
}

static oi_status infer_conv(oi_infer *x)
{
    return infer_window(x, false);
}

static oi_status infer_conv_transpose(oi_infer *x)
{
    return infer_window(x, true);
}

static oi_status eval_window(oi_eval *e, bool transposed)
{
    const oi_conv_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *w = oi_eval_in(e, 1), *bias = oi_eval_in(e, 2);
    int32_t nd = x->rank - 2;
    OI_FAIL_IF(w->rank != x->rank || w->dtype != x->dtype, ONNX_INFER_E_SHAPE_MISMATCH,
               "weights and input differ in rank or element type");
    conv_job job = {.n = x->dim[0], .ic = x->dim[1], .groups = a->group, .e = e};
    OI_TRY(oi_window_init(&a->window, nd, w->dim + 2, &job.window));
    OI_TRY(oi_conv_check(a, transposed, x->dim, w->rank, w->dim, &job.oc));
    OI_TRY(transposed ? oi_conv_transpose_resolve(a, x->dim + 2, &job.window)
                      : oi_window_resolve(&a->window, x->dim + 2, &job.window));
    OI_FAIL_IF(bias && (bias->rank != 1 || bias->dim[0] != job.oc || bias->dtype != x->dtype), ONNX_INFER_E_SHAPE_MISMATCH,
               "input 2 (bias) must be %lld elements of the input's type", (long long)job.oc);
    int64_t dims[OI_MAX_RANK] = {x->dim[0], job.oc};
    memcpy(dims + 2, transposed ? job.window.in : job.window.out, (size_t)nd * sizeof *dims);
    size_t pairs = (size_t)(job.n * job.oc);
    if (x->dtype == ONNX_INFER_DOUBLE) {
        oi_tensor *y;
        OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, dims, &y));
        job.x = x->data, job.w = w->data, job.bias = bias ? bias->data : NULL, job.y = y->data;
        return e->host->parallel(e, pairs, transposed ? conv_transpose_double : conv_double, &job);
    }
    const float *fx, *fw, *fb;
    oi_widen_out out;
    OI_TRY(oi_widen_in(e, 0, &fx));
    OI_TRY(oi_widen_in(e, 1, &fw));
    OI_TRY(oi_widen_in(e, 2, &fb));
    OI_TRY(oi_widen_begin(e, 0, x->dtype, x->rank, dims, &out));
    job.x = fx, job.w = fw, job.bias = fb, job.y = out.p;
    OI_TRY(e->host->parallel(e, pairs, transposed ? conv_transpose_float : conv_float, &job));
    oi_widen_finish(&out);
    return ONNX_INFER_OK;
}

static oi_status eval_conv(oi_eval *e)
{
    return eval_window(e, false);
}

static oi_status eval_conv_transpose(oi_eval *e)
{
    return eval_window(e, true);
}

const oi_op oi_op_Conv = {
    .name = "Conv", .domain = "", .since = 1, .newest = 22, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
    .attrs = conv_attrs, .attr_size = sizeof(oi_conv_attr),
    .infer = infer_conv, .eval = eval_conv, .lower = oi_conv_lower,
};

const oi_op oi_op_ConvTranspose = {
    .name = "ConvTranspose", .domain = "", .since = 1, .newest = 22, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
    .attrs = conv_transpose_attrs, .attr_size = sizeof(oi_conv_attr),
    .infer = infer_conv_transpose, .eval = eval_conv_transpose, .lower = oi_conv_lower,
};
