/* Convolutions of bytes: ConvInteger, QLinearConv. */
#include "ops/op_conv.h"

#include <math.h>

static const oi_attr_spec attrs[] = {
    {.name = "auto_pad", .type = OI_ATTR_ENUM, .offset = offsetof(oi_conv_attr, window.auto_pad), .s = OI_AUTO_PAD_WORDS},
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = offsetof(oi_conv_attr, window.dilations)},
    {.name = "group", .type = OI_ATTR_INT, .offset = offsetof(oi_conv_attr, group), .i = 1},
    {.name = "kernel_shape", .type = OI_ATTR_INTS, .offset = offsetof(oi_conv_attr, window.kernel_shape)},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = offsetof(oi_conv_attr, window.pads)},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = offsetof(oi_conv_attr, window.strides)},
    {0},
};

extern const oi_op oi_op_QLinearConv;

/* Places of the inputs that both have. */
typedef struct {
    uint32_t w, x_zero, w_zero;
} conv_inputs;

static conv_inputs inputs_of(const oi_op *op)
{
    return op == &oi_op_QLinearConv ? (conv_inputs){3, 2, 5} : (conv_inputs){1, 2, 3};
}

static oi_status infer(oi_infer *x)
{
    const oi_conv_attr *a = x->attr;
    const oi_fact *in = x->in[0], *w = x->in[inputs_of(x->op).w];
    oi_dtype dtype = x->op == &oi_op_QLinearConv ? x->in[7]->dtype : ONNX_INFER_INT32;
    int32_t rank = in->shape.rank;
    int64_t kernel[OI_WINDOW_MAX];
    oi_window window;
    oi_infer_set_fresh(x, 0, dtype, rank);
    if (rank < 3 || w->shape.rank != rank)
        return ONNX_INFER_OK;
    x->out[0].shape.dim[0] = in->shape.dim[0];
    x->out[0].shape.dim[1] = w->shape.dim[0];
    for (int32_t i = 0; i < rank - 2; i++) {
        if (!oi_dim_is_number(w->shape.dim[2 + i]))
            return ONNX_INFER_OK;
        kernel[i] = w->shape.dim[2 + i];
    }
    OI_TRY(oi_window_init(&a->window, rank - 2, kernel, &window));
    oi_window_infer(x->syms, &a->window, &window, in->shape.dim + 2, x->out[0].shape.dim + 2);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_window window;
    int64_t channels, out_channels, groups; /* channels: of a group */
    const oi_tensor *x, *w, *w_zero;
    int32_t x_zero;
    oi_tensor *y;
    /* of QLinearConv: */
    const oi_tensor *w_scale;
    const int32_t *bias;
    float factor; /* x_scale / y_scale */
    int32_t y_zero;
} conv_job;

static int32_t byte_at(const oi_tensor *t, int64_t i)
{
    return t->dtype == ONNX_INFER_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

static int64_t pick(const oi_tensor *t, int64_t i)
{
    return oi_tensor_count(t) > 1 ? i : 0;
}

/* The sum at one place of the output; x0, w0: where the group's channels and the channel's weights begin. */
static int32_t sum_at(const conv_job *job, const int64_t *at, int64_t x0, int64_t w0, int32_t w_zero)
{
    const oi_window *w = &job->window;
    int64_t first[OI_WINDOW_MAX], count[OI_WINDOW_MAX], tap[OI_WINDOW_MAX] = {0}, pixels = 1, taps = 1;
    uint32_t sum = 0;
    for (int32_t i = 0; i < w->nd; i++) {
        int64_t last;
        oi_window_taps(w, i, at[i], &first[i], &last);
        count[i] = last - first[i];
        pixels *= w->in[i];
        taps *= w->kernel[i];
        if (count[i] <= 0)
            return 0;
    }
    do {
        int64_t from = 0, with = 0;
        for (int32_t i = 0; i < w->nd; i++) {
            int64_t k = first[i] + tap[i];
            from = from * w->in[i] + at[i] * w->stride[i] - w->begin[i] + k * w->dilation[i];
            with = with * w->kernel[i] + k;
        }
        for (int64_t c = 0; c < job->channels; c++)
            sum += (uint32_t)((byte_at(job->x, x0 + c * pixels + from) - job->x_zero) * (byte_at(job->w, w0 + c * taps + with) - w_zero));
    } while (oi_next_index(w->nd, count, tap));
    return (int32_t)sum;
}

/* One output channel of one sample. */
static oi_status convolve(void *arg, size_t index)
{
    const conv_job *job = arg;
    const oi_window *w = &job->window;
    int64_t oc = (int64_t)index % job->out_channels, n = (int64_t)index / job->out_channels, group = oc / (job->out_channels / job->groups);
    int64_t pixels = oi_dims_count(w->nd, w->in), taps = oi_dims_count(w->nd, w->kernel), outs = oi_dims_count(w->nd, w->out);
    int64_t x0 = (n * job->groups + group) * job->channels * pixels, w0 = oc * job->channels * taps, at[OI_WINDOW_MAX] = {0};
    int32_t w_zero = job->w_zero ? byte_at(job->w_zero, pick(job->w_zero, oc)) : 0;
    float factor = job->w_scale ? job->factor * ((const float *)job->w_scale->data)[pick(job->w_scale, oc)] : 0;
    bool is_signed = job->y->dtype == ONNX_INFER_INT8;
    for (int64_t i = 0; i < outs; i++) {
        int32_t sum = sum_at(job, at, x0, w0, w_zero);
        if (job->w_scale) {
            double low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
            double v = rint(((double)sum + (job->bias ? job->bias[oc] : 0)) * (double)factor) + job->y_zero;
            ((uint8_t *)job->y->data)[(int64_t)index * outs + i] = (uint8_t)(int32_t)(v < low ? low : v > high ? high : v);
        } else {
            ((int32_t *)job->y->data)[(int64_t)index * outs + i] = sum;
        }
        oi_next_index(w->nd, w->out, at);
    }
    return ONNX_INFER_OK;
}

static bool is_byte(const oi_tensor *t)
{
    return t && (t->dtype == ONNX_INFER_INT8 || t->dtype == ONNX_INFER_UINT8);
}

/* What QLinearConv has beside: scales, the output's zero point, a bias. */
static oi_status read_scales(oi_eval *e, conv_job *job, oi_dtype *dtype)
{
    const oi_tensor *bias = oi_eval_in(e, 8);
    float scale[2] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        static const uint32_t places[] = {1, 6, 4};
        const oi_tensor *t = oi_eval_in(e, places[i]);
        if (!t || t->dtype != ONNX_INFER_FLOAT)
            return oi_eval_bad_type(e, places[i]);
        int64_t n = oi_tensor_count(t);
        OI_FAIL_IF(n != 1 && (i < 2 || n != job->out_channels), ONNX_INFER_E_SHAPE_MISMATCH, "QLinearConv: input %u has %lld elements",
                   places[i], (long long)n);
        if (i < 2)
            scale[i] = *(const float *)t->data;
        else
            job->w_scale = t;
    }
    const oi_tensor *zero = oi_eval_in(e, 7);
    if (!is_byte(zero) || oi_tensor_count(zero) != 1)
        return oi_eval_bad_type(e, 7);
    if (bias && (bias->dtype != ONNX_INFER_INT32 || oi_tensor_count(bias) != job->out_channels))
        return oi_eval_bad_type(e, 8);
    job->y_zero = byte_at(zero, 0);
    job->bias = bias ? bias->data : NULL;
    job->factor = scale[0] / scale[1];
    *dtype = zero->dtype;
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_conv_attr *a = e->attr;
    conv_inputs in = inputs_of(e->op);
    const oi_tensor *x = oi_eval_in(e, 0), *w = oi_eval_in(e, in.w), *x_zero = oi_eval_in(e, in.x_zero), *w_zero = oi_eval_in(e, in.w_zero);
    oi_dtype dtype = ONNX_INFER_INT32;
    if (!is_byte(x) || !is_byte(w))
        return oi_eval_bad_type(e, is_byte(x) ? in.w : 0);
    if (x_zero && (x_zero->dtype != x->dtype || oi_tensor_count(x_zero) != 1))
        return oi_eval_bad_type(e, in.x_zero);
    OI_FAIL_IF(x->rank < 3 || w->rank != x->rank, ONNX_INFER_E_SHAPE_MISMATCH, "%s: the input has rank %d, the weights have rank %d",
               e->op->name, (int)x->rank, (int)w->rank);
    conv_job job = {.x = x, .w = w, .w_zero = w_zero, .groups = a->group, .x_zero = x_zero ? byte_at(x_zero, 0) : 0};
    OI_TRY(oi_window_init(&a->window, x->rank - 2, w->dim + 2, &job.window));
    OI_TRY(oi_conv_check(a, false, x->dim, w->rank, w->dim, &job.out_channels));
    OI_TRY(oi_window_resolve(&a->window, x->dim + 2, &job.window));
    job.channels = w->dim[1];
    if (w_zero && (w_zero->dtype != w->dtype || (oi_tensor_count(w_zero) != 1 && oi_tensor_count(w_zero) != job.out_channels)))
        return oi_eval_bad_type(e, in.w_zero);
    if (e->op == &oi_op_QLinearConv)
        OI_TRY(read_scales(e, &job, &dtype));
    int64_t dims[OI_MAX_RANK] = {x->dim[0], job.out_channels};
    for (int32_t i = 2; i < x->rank; i++)
        dims[i] = job.window.out[i - 2];
    OI_TRY(oi_eval_out(e, 0, dtype, x->rank, dims, &job.y));
    return e->host->parallel(e, (size_t)(dims[0] * dims[1]), convolve, &job);
}

const oi_op oi_op_ConvInteger = {
    .name = "ConvInteger", .domain = "", .since = 10, .newest = 10, .min_in = 2, .max_in = 4, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(oi_conv_attr), .infer = infer, .eval = eval,
};
const oi_op oi_op_QLinearConv = {
    .name = "QLinearConv", .domain = "", .since = 10, .newest = 10, .min_in = 8, .max_in = 9, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(oi_conv_attr), .infer = infer, .eval = eval,
};
