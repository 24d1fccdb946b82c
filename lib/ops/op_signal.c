/* What signals are prepared with: HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix. */
#include "ops/op.h"

#include <math.h>
#include <string.h>

#define TWO_PI 6.28318530717958647692

typedef struct {
    int64_t periodic, output_datatype;
} signal_attr;

/* --- windows --- */

extern const oi_op oi_op_HannWindow, oi_op_HammingWindow;

static oi_status window_type(const oi_op *op, const signal_attr *a)
{
    oi_dtype t = a->output_datatype > 0 && a->output_datatype < OI_DTYPE_COUNT ? (oi_dtype)a->output_datatype : ONNX_INFER_UNDEFINED;
    OI_FAIL_IF(!oi_dtype_is_float(t) && !oi_dtype_is_int(t), ONNX_INFER_E_UNSUPPORTED_TYPE, "%s does not make element type %lld", op->name,
               (long long)a->output_datatype);
    return ONNX_INFER_OK;
}

static oi_status infer_window(oi_infer *x)
{
    const signal_attr *a = x->attr;
    oi_dim n;
    OI_TRY(window_type(x->op, a));
    if (oi_infer_content(x, 0, &n, 1) != 1)
        n = oi_dim_fresh(x->syms);
    oi_infer_set(x, 0, (oi_dtype)a->output_datatype, 1, &n);
    return ONNX_INFER_OK;
}

static oi_status eval_window(oi_eval *e)
{
    const signal_attr *a = e->attr;
    int64_t n = 0;
    OI_TRY(window_type(e->op, a));
    if (!oi_eval_in(e, 0))
        return oi_eval_bad_type(e, 0);
    OI_TRY(oi_eval_int(e, 0, &n));
    OI_FAIL_IF(n < 0, ONNX_INFER_E_INVALID_ARGUMENT, "%s: size %lld", e->op->name, (long long)n);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, (oi_dtype)a->output_datatype, 1, &n, &y));
    double turns = a->periodic ? (double)n : n > 1 ? (double)(n - 1) : 1;
    bool hann = e->op == &oi_op_HannWindow, hamming = e->op == &oi_op_HammingWindow;
    double mean = hann ? 0.5 : hamming ? 25.0 / 46 : 0.42, first = hann ? 0.5 : hamming ? 21.0 / 46 : 0.5, second = hann || hamming ? 0 : 0.08;
    for (int64_t i = 0; i < n; i++) {
        double angle = TWO_PI * (double)i / turns;
        oi_elem_set_double(y->dtype, y->data, (size_t)i, mean - first * cos(angle) + second * cos(2 * angle));
    }
    return ONNX_INFER_OK;
}

/* --- MelWeightMatrix --- */

static oi_status infer_mel(oi_infer *x)
{
    const signal_attr *a = x->attr;
    oi_dim dims[2], length;
    OI_TRY(window_type(x->op, a));
    if (oi_infer_content(x, 0, &dims[1], 1) != 1)
        dims[1] = oi_dim_fresh(x->syms);
    dims[0] = oi_infer_content(x, 1, &length, 1) == 1 ? oi_dim_add(x->syms, oi_dim_floordiv(x->syms, length, 2), 1) : oi_dim_fresh(x->syms);
    oi_infer_set(x, 0, (oi_dtype)a->output_datatype, 2, dims);
    return ONNX_INFER_OK;
}

/* 2595 log10(1 + hertz / 700), in the precision of the input as far as its logarithm. */
static oi_status mel_of(const oi_eval *e, uint32_t in, double *mel)
{
    const oi_tensor *t = oi_eval_in(e, in);
    if (!t || !oi_dtype_is_float(t->dtype) || oi_tensor_count(t) != 1)
        return oi_eval_bad_type(e, in);
    double hertz = oi_elem_get_double(t->dtype, t->data, 0);
    if (t->dtype == ONNX_INFER_DOUBLE)
        *mel = 2595 * log1p(hertz / 700) / log(10);
    else
        *mel = (double)(2595 * log1pf((float)hertz / 700)) / log(10);
    return ONNX_INFER_OK;
}

/* Writes the line from 0 at `zero` to 1 at `one` into the column, as far as it lies inside the spectrum. */
static void mel_slope(oi_tensor *y, int64_t bins, int64_t column, double zero, double one)
{
    double low = zero < one ? zero : one, high = zero < one ? one : zero;
    double first = low < 0 ? 0 : low, last = high > (double)(y->dim[0] - 1) ? (double)(y->dim[0] - 1) : high;
    for (double at = first; at <= last; at++)
        oi_elem_set_double(y->dtype, y->data, (size_t)((int64_t)at * bins + column), (at - zero) / (one - zero));
}

static oi_status eval_mel(oi_eval *e)
{
    const signal_attr *a = e->attr;
    int64_t bins = 0, length = 0, rate = 0;
    double low, high;
    OI_TRY(window_type(e->op, a));
    OI_TRY(oi_eval_int(e, 0, &bins));
    OI_TRY(oi_eval_int(e, 1, &length));
    OI_TRY(oi_eval_int(e, 2, &rate));
    OI_TRY(mel_of(e, 3, &low));
    OI_TRY(mel_of(e, 4, &high));
    OI_FAIL_IF(bins < 0 || length < 0 || rate < 1, ONNX_INFER_E_INVALID_ARGUMENT,
               "MelWeightMatrix: %lld bands of %lld frequencies at sample rate %lld", (long long)bins, (long long)length, (long long)rate);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, (oi_dtype)a->output_datatype, 2, (const int64_t[]){length / 2 + 1, bins}, &y));
    if (y->bytes)
        memset(y->data, 0, y->bytes);
    double step = (high - low) / ((double)bins + 2), edge[3];
    for (int64_t i = 0; i < bins; i++) {
        for (int64_t k = 0; k < 3; k++) {
            double hertz = 700 * expm1(((double)(i + k) * step + low) / 2595 * log(10));
            edge[k] = floor(((double)length + 1) * hertz / (double)rate);
        }
        if (edge[0] < edge[1])
            mel_slope(y, bins, i, edge[0], edge[1]);
        else if (edge[1] >= 0 && edge[1] < (double)y->dim[0])
            oi_elem_set_double(y->dtype, y->data, (size_t)((int64_t)edge[1] * bins + i), 1);
        if (edge[1] < edge[2])
            mel_slope(y, bins, i, edge[2], edge[1]);
    }
    return ONNX_INFER_OK;
}

#define INT_ATTR(label, field, value) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(signal_attr, field), .i = value}

static const oi_attr_spec window_attrs[] = {INT_ATTR("output_datatype", output_datatype, 1), INT_ATTR("periodic", periodic, 1), {0}};

#define WINDOW(id)                                                                                                         \
    const oi_op oi_op_##id = {.name = #id, .domain = "", .since = 17, .newest = 17, .flags = OI_OP_DATA_SHAPES, .min_in = 1, \
                              .max_in = 1, .min_out = 1, .max_out = 1, .attrs = window_attrs,                              \
                              .attr_size = sizeof(signal_attr), .infer = infer_window, .eval = eval_window}
WINDOW(BlackmanWindow);
WINDOW(HammingWindow);
WINDOW(HannWindow);

static const oi_attr_spec mel_attrs[] = {INT_ATTR("output_datatype", output_datatype, 1), {0}};

const oi_op oi_op_MelWeightMatrix = {
    .name = "MelWeightMatrix", .domain = "", .since = 17, .newest = 17, .flags = OI_OP_DATA_SHAPES, .min_in = 5, .max_in = 5,
    .min_out = 1, .max_out = 1, .attrs = mel_attrs, .attr_size = sizeof(signal_attr), .infer = infer_mel, .eval = eval_mel,
};
