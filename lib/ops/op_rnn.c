/* RNN, GRU and LSTM: attributes, shapes and the reference. */
#include "ops/op_rnn.h"

#include "base/checked.h"
#include "ops/widen.h"

#include <math.h>
#include <string.h>
#include <strings.h>

typedef struct {
    oi_rnn_shape shape;
    const void *x, *w, *r, *bias, *h0, *c0, *peephole;
    void *y, *yh, *yc, *scratch;
    const int32_t *lengths;
    float clip;
    bool input_forget, linear_before_reset;
    oi_eval *e;
} rnn_job;

static double activation(const oi_rnn_activation *a, double x)
{
    switch (a->f) {
    case OI_RNN_RELU: return x > 0 ? x : x != x ? x : 0;
    case OI_RNN_TANH: return tanh(x);
    case OI_RNN_SIGMOID: return 1 / (1 + exp(-x));
    case OI_RNN_AFFINE: return a->alpha * x + a->beta;
    case OI_RNN_LEAKY_RELU: return x >= 0 ? x : a->alpha * x;
    case OI_RNN_THRESHOLDED_RELU: return x > a->alpha ? x : 0;
    case OI_RNN_SCALED_TANH: return a->alpha * tanh(a->beta * x);
    case OI_RNN_HARD_SIGMOID: return fmin(fmax(a->alpha * x + a->beta, 0), 1);
    case OI_RNN_ELU: return x >= 0 ? x : a->alpha * expm1(x);
    case OI_RNN_SOFTSIGN: return x / (1 + fabs(x));
    default: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    }
}

#define T float
#define NAME(part) rnn_##part##_float
#include "ops/tmpl/rnn.inc"
#undef NAME
#undef T
#define T double
#define NAME(part) rnn_##part##_double
#include "ops/tmpl/rnn.inc"
#undef NAME
#undef T

/* Rows of n numbers, `stride` apart, as 8 bits and one scale for all hold them, chosen as DynamicQuantizeLinear does. */
static void coarsen(int64_t rows, int64_t n, int64_t stride, const float *v, float *out)
{
    float low = 0, high = 0;
    for (int64_t i = 0; i < rows * n; i++) {
        float x = v[i / n * stride + i % n];
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    float scale = (high - low) / 255, zero = scale > 0 ? (float)rint((double)(-low / scale)) : 0;
    for (int64_t i = 0; i < rows * n; i++) {
        int64_t at = i / n * stride + i % n;
        float q = scale > 0 ? (float)rint((double)(v[at] / scale)) + zero : 0;
        out[at] = ((q < 0 ? 0 : q > 255 ? 255 : q) - zero) * scale;
    }
}

/* All samples of a direction in step, since the scale of their states is one. */
static oi_status turn_coarse(void *arg, size_t dir)
{
    const rnn_job *job = arg;
    const oi_rnn_shape *s = &job->shape;
    int64_t first = (int64_t)dir * s->batch;
    rnn_lane_float l = rnn_lane_of_float(job, first), one;
    for (int64_t b = 0; b < s->batch; b++) {
        one = rnn_lane_of_float(job, first + b);
        rnn_begin_float(job, &one);
    }
    for (int64_t step = 0; step < s->seq; step++) {
        coarsen(s->batch, s->hidden, (s->gates + 3) * s->hidden, l.h, l.more);
        for (int64_t b = 0; b < s->batch; b++) {
            OI_TRY(job->e->host->check(job->e));
            one = rnn_lane_of_float(job, first + b);
            rnn_turn_float(job, &one, step, one.more);
        }
    }
    for (int64_t b = 0; b < s->batch; b++) {
        one = rnn_lane_of_float(job, first + b);
        rnn_end_float(job, &one);
    }
    return ONNX_INFER_OK;
}

#define OFFSET(field) ((uint16_t)offsetof(oi_rnn_attr, field))
#define COMMON_ATTRS                                                                                          \
    {.name = "activation_alpha", .type = OI_ATTR_FLOATS, .offset = OFFSET(activation_alpha)},                 \
    {.name = "activation_beta", .type = OI_ATTR_FLOATS, .offset = OFFSET(activation_beta)},                   \
    {.name = "activations", .type = OI_ATTR_STRINGS, .offset = OFFSET(activations)},                          \
    {.name = "clip", .type = OI_ATTR_FLOAT, .offset = OFFSET(clip)},                                          \
    {.name = "direction", .type = OI_ATTR_ENUM, .offset = OFFSET(direction), .s = "forward|reverse|bidirectional"}, \
    {.name = "hidden_size", .type = OI_ATTR_INT, .offset = OFFSET(hidden_size), .i = OI_UNSET},               \
    {.name = "layout", .type = OI_ATTR_INT, .offset = OFFSET(layout)}
static const oi_attr_spec rnn_attrs[] = {COMMON_ATTRS, {0}};
static const oi_attr_spec gru_attrs[] = {
    COMMON_ATTRS,
    {.name = "linear_before_reset", .type = OI_ATTR_INT, .offset = OFFSET(linear_before_reset)},
    {0},
};
const oi_attr_spec oi_rnn_lstm_attrs[] = {
    COMMON_ATTRS,
    {.name = "input_forget", .type = OI_ATTR_INT, .offset = OFFSET(input_forget)},
    {0},
};

/* `output_sequence` of opset 1 says what the presence of output 0 says since. */
static oi_status import_rnn(oi_import *im)
{
    if (im->opset < 7)
        oi_import_drop(im, "output_sequence");
    return ONNX_INFER_OK;
}

static oi_rnn_kind kind_of(const oi_op *op)
{
    return op == &oi_op_LSTM || op == &oi_op_ms_DynamicQuantizeLSTM ? OI_RNN_LSTM : op == &oi_op_GRU ? OI_RNN_GRU : OI_RNN_PLAIN;
}

static const int64_t gate_count[] = {[OI_RNN_PLAIN] = 1, [OI_RNN_GRU] = 3, [OI_RNN_LSTM] = 4};

static oi_status resolve_activations(oi_rnn_kind kind, const oi_rnn_attr *a, oi_rnn_shape *s)
{
    static const struct { const char *name; bool has_alpha, has_beta; double alpha, beta; } known[] = {
        [OI_RNN_RELU] = {"relu", false, false, 0, 0},
        [OI_RNN_TANH] = {"tanh", false, false, 0, 0},
        [OI_RNN_SIGMOID] = {"sigmoid", false, false, 0, 0},
        [OI_RNN_AFFINE] = {"affine", true, true, 1, 0},
        [OI_RNN_LEAKY_RELU] = {"leakyrelu", true, false, 0.01, 0},
        [OI_RNN_THRESHOLDED_RELU] = {"thresholdedrelu", true, false, 1, 0},
        [OI_RNN_SCALED_TANH] = {"scaledtanh", true, true, 1, 1},
        [OI_RNN_HARD_SIGMOID] = {"hardsigmoid", true, true, 0.2, 0.5},
        [OI_RNN_ELU] = {"elu", true, false, 1, 0},
        [OI_RNN_SOFTSIGN] = {"softsign", false, false, 0, 0},
        [OI_RNN_SOFTPLUS] = {"softplus", false, false, 0, 0},
    };
    static const oi_rnn_function defaults[][3] = {
        [OI_RNN_PLAIN] = {OI_RNN_TANH}, [OI_RNN_GRU] = {OI_RNN_SIGMOID, OI_RNN_TANH},
        [OI_RNN_LSTM] = {OI_RNN_SIGMOID, OI_RNN_TANH, OI_RNN_TANH}};
    uint32_t each = (uint32_t)kind + 1, alpha = 0, beta = 0;
    OI_FAIL_IF(a->activations.at && a->activations.n != each * (uint32_t)s->dirs, ONNX_INFER_E_INVALID_MODEL,
               "attribute activations has %u elements, expected %u", a->activations.n, each * (uint32_t)s->dirs);
    for (uint32_t i = 0; i < each * (uint32_t)s->dirs; i++) {
        oi_rnn_activation *to = &s->act[i / each][i % each];
        to->f = defaults[kind][i % each];
        for (size_t k = 0; a->activations.at; k++) {
            OI_FAIL_IF(k == sizeof known / sizeof *known, ONNX_INFER_E_INVALID_MODEL, "unknown activation '%s'",
                       a->activations.at[i]);
            if (strcasecmp(a->activations.at[i], known[k].name) == 0) {
                to->f = (oi_rnn_function)k;
                break;
            }
        }
        to->alpha = known[to->f].alpha;
        to->beta = known[to->f].beta;
        if (known[to->f].has_alpha && a->activation_alpha.at && alpha < a->activation_alpha.n)
            to->alpha = (double)a->activation_alpha.at[alpha++];
        if (known[to->f].has_beta && a->activation_beta.at && beta < a->activation_beta.n)
            to->beta = (double)a->activation_beta.at[beta++];
    }
    return ONNX_INFER_OK;
}

static oi_status need_count(const oi_tensor *t, const char *name, int64_t n)
{
    OI_FAIL_IF(t && oi_tensor_count(t) != n, ONNX_INFER_E_SHAPE_MISMATCH, "%s has %lld elements, expected %lld", name,
               (long long)oi_tensor_count(t), (long long)n);
    return ONNX_INFER_OK;
}

void oi_rnn_set_strides(oi_rnn_shape *s, bool batch_first)
{
    if (batch_first) {
        s->x_batch = s->seq * s->input, s->x_seq = s->input;
        s->y_batch = s->seq * s->dirs * s->hidden, s->y_seq = s->dirs * s->hidden, s->y_dir = s->hidden;
        s->h_batch = s->dirs * s->hidden, s->h_dir = s->hidden;
    } else {
        s->x_seq = s->batch * s->input, s->x_batch = s->input;
        s->y_seq = s->dirs * s->batch * s->hidden, s->y_dir = s->batch * s->hidden, s->y_batch = s->hidden;
        s->h_dir = s->batch * s->hidden, s->h_batch = s->hidden;
    }
}

oi_status oi_rnn_resolve(const oi_op *op, const oi_rnn_attr *a, const oi_tensor *const *in, uint32_t nin, oi_rnn_shape *s)
{
    const oi_tensor *x = in[0], *w = in[1], *r = in[2];
    memset(s, 0, sizeof *s);
    s->kind = kind_of(op);
    s->coarse = op == &oi_op_ms_DynamicQuantizeLSTM;
    s->gates = gate_count[s->kind];
    s->dirs = a->direction == OI_RNN_BIDIRECTIONAL ? 2 : 1;
    s->reverse[0] = a->direction == OI_RNN_REVERSE;
    s->reverse[1] = true;
    OI_FAIL_IF(x->rank != 3 || w->rank != 3 || r->rank != 3, ONNX_INFER_E_SHAPE_MISMATCH,
               "X, W and R have ranks %d, %d and %d, expected 3", x->rank, w->rank, r->rank);
    s->seq = x->dim[a->layout ? 1 : 0];
    s->batch = x->dim[a->layout ? 0 : 1];
    s->input = x->dim[2];
    s->hidden = r->dim[2];
    int64_t rows = s->gates * s->hidden;
    OI_FAIL_IF(a->hidden_size != OI_UNSET && a->hidden_size != s->hidden, ONNX_INFER_E_INVALID_MODEL,
               "attribute hidden_size is %lld, R has %lld", (long long)a->hidden_size, (long long)s->hidden);
    OI_FAIL_IF(w->dim[0] != s->dirs || w->dim[1] != rows || w->dim[2] != s->input || r->dim[0] != s->dirs ||
                   r->dim[1] != rows,
               ONNX_INFER_E_SHAPE_MISMATCH, "W and R must be %lldx%lldx%lld and %lldx%lldx%lld", (long long)s->dirs,
               (long long)rows, (long long)s->input, (long long)s->dirs, (long long)rows, (long long)s->hidden);
    OI_TRY(need_count(nin > 3 ? in[3] : NULL, "B", s->dirs * 2 * rows));
    OI_TRY(need_count(nin > 4 ? in[4] : NULL, "sequence_lens", s->batch));
    OI_TRY(need_count(nin > 5 ? in[5] : NULL, "initial_h", s->dirs * s->batch * s->hidden));
    OI_TRY(need_count(nin > 6 ? in[6] : NULL, "initial_c", s->dirs * s->batch * s->hidden));
    OI_TRY(need_count(nin > 7 ? in[7] : NULL, "P", s->dirs * 3 * s->hidden));
    oi_rnn_set_strides(s, a->layout != 0);
    return resolve_activations(s->kind, a, s);
}

oi_status oi_rnn_infer(oi_infer *x)
{
    const oi_rnn_attr *a = x->attr;
    const oi_dtype floats[] = {ONNX_INFER_FLOAT, ONNX_INFER_DOUBLE, ONNX_INFER_FLOAT16, ONNX_INFER_BFLOAT16};
    const bool bytes = x->op == &oi_op_ms_DynamicQuantizeLSTM;
    OI_TRY(oi_infer_need_dtype(x, 0, floats, bytes ? 1 : 4));
    for (uint32_t i = 8; bytes && i < 12; i++)
        OI_FAIL_IF(!oi_infer_in(x, i), ONNX_INFER_E_INVALID_MODEL, "input %u is left out, %s needs it", i, x->op->name);
    const oi_shape *in = &x->in[0]->shape, *r = &x->in[2]->shape;
    oi_dtype dtype = x->in[0]->dtype;
    OI_FAIL_IF(in->rank >= 0 && in->rank != 3, ONNX_INFER_E_SHAPE_MISMATCH, "X has rank %d, expected 3", in->rank);
    oi_dim dirs = a->direction == OI_RNN_BIDIRECTIONAL ? 2 : 1;
    oi_dim hidden = r->rank == 3 ? r->dim[bytes ? 1 : 2] : a->hidden_size != OI_UNSET ? a->hidden_size : oi_dim_fresh(x->syms);
    oi_dim seq = in->rank == 3 ? in->dim[a->layout ? 1 : 0] : oi_dim_fresh(x->syms);
    oi_dim batch = in->rank == 3 ? in->dim[a->layout ? 0 : 1] : oi_dim_fresh(x->syms);
    oi_dim y[4] = {seq, dirs, batch, hidden}, h[3] = {dirs, batch, hidden};
    if (a->layout) {
        y[0] = batch, y[1] = seq, y[2] = dirs;
        h[0] = batch, h[1] = dirs;
    }
    oi_infer_set(x, 0, dtype, 4, y);
    for (uint32_t i = 1; i < x->nout; i++)
        oi_infer_set(x, i, dtype, 3, h);
    return ONNX_INFER_OK;
}

oi_status oi_rnn_eval(oi_eval *e)
{
    const oi_rnn_attr *a = e->attr;
    const oi_tensor *in[12];
    oi_tensor weights[2];
    rnn_job job = {.e = e, .clip = a->clip, .input_forget = a->input_forget != 0, .linear_before_reset = a->linear_before_reset != 0};
    oi_rnn_shape *s = &job.shape;
    const bool bytes = e->op == &oi_op_ms_DynamicQuantizeLSTM;
    for (uint32_t i = 0; i < 12; i++)
        in[i] = oi_eval_in(e, i);
    for (uint32_t i = 0; i < 3; i++) {
        if (!in[i])
            return oi_eval_bad_type(e, i);
    }
    for (uint32_t i = 1; bytes && i < 3; i++) {
        weights[i - 1] = oi_rnn_bytes_form(in[i]);
        in[i] = &weights[i - 1];
    }
    OI_TRY(oi_rnn_resolve(e->op, a, in, 8, s));
    oi_dtype dtype = in[0]->dtype;
    if (bytes && dtype != ONNX_INFER_FLOAT)
        return oi_eval_bad_type(e, 0);
    for (uint32_t i = bytes ? 3 : 1; i < 8; i++) {
        if (in[i] && in[i]->dtype != (i == 4 ? ONNX_INFER_INT32 : dtype))
            return oi_eval_bad_type(e, i);
    }
    job.lengths = in[4] ? in[4]->data : NULL;
    for (int64_t b = 0; job.lengths && b < s->batch; b++)
        OI_FAIL_IF(job.lengths[b] < 0 || job.lengths[b] > s->seq, ONNX_INFER_E_INVALID_ARGUMENT,
                   "sequence_lens[%lld] is %d, X has %lld steps", (long long)b, job.lengths[b], (long long)s->seq);
    int64_t y_dims[4] = {s->seq, s->dirs, s->batch, s->hidden}, h_dims[3] = {s->dirs, s->batch, s->hidden};
    if (a->layout) {
        y_dims[0] = s->batch, y_dims[1] = s->seq, y_dims[2] = s->dirs;
        h_dims[0] = s->batch, h_dims[1] = s->dirs;
    }
    size_t pairs = (size_t)(s->dirs * s->batch), each = (size_t)((s->gates + 3) * s->hidden), n;
    OI_FAIL_IF(!oi_mul_size(pairs, each, &n), ONNX_INFER_E_LIMIT, "too many states");
    job.scratch = oi_eval_scratch_array(e, n + 1, dtype == ONNX_INFER_DOUBLE ? sizeof(double) : sizeof(float));
    if (!job.scratch)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    void **const results[] = {&job.y, &job.yh, &job.yc};
    oi_widen_out out[3] = {{0}};
    const void **const sources[] = {&job.x, &job.w, &job.r, &job.bias, NULL, &job.h0, &job.c0, &job.peephole};
    for (uint32_t i = 0; i < 8; i++) {
        const float *wide = NULL;
        if (!in[i] || i == 4)
            continue;
        if (bytes && (i == 1 || i == 2)) {
            OI_TRY(oi_rnn_bytes_widen(e, s, in, i, sources[i]));
            continue;
        }
        if (dtype == ONNX_INFER_DOUBLE) {
            *sources[i] = in[i]->data;
        } else {
            OI_TRY(oi_widen_in(e, i, &wide));
            *sources[i] = wide;
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        if (!oi_eval_wants(e, i))
            continue;
        int32_t rank = i == 0 ? 4 : 3;
        if (dtype == ONNX_INFER_DOUBLE) {
            OI_TRY(oi_eval_out(e, i, dtype, rank, i == 0 ? y_dims : h_dims, &out[i].t));
            *results[i] = out[i].t->data;
        } else {
            OI_TRY(oi_widen_begin(e, i, dtype, rank, i == 0 ? y_dims : h_dims, &out[i]));
            *results[i] = out[i].p;
        }
    }
    bool wide = dtype == ONNX_INFER_DOUBLE;
    if (s->coarse) {
        const size_t rows = (size_t)(s->seq * s->batch), count = (size_t)oi_tensor_count(in[0]);
        float *x = oi_eval_scratch_array(e, count + 1, sizeof *x);
        if (!x)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        coarsen((int64_t)rows, s->input, s->input, job.x, x);
        job.x = x;
        OI_TRY(e->host->parallel(e, (size_t)s->dirs, turn_coarse, &job));
    }
    if (!s->coarse)
        OI_TRY(e->host->parallel(e, pairs, wide ? rnn_pair_double : rnn_pair_float, &job));
    for (uint32_t i = 0; i < 3; i++) {
        if (out[i].p)
            oi_widen_finish(&out[i]);
    }
    return ONNX_INFER_OK;
}

const oi_op oi_op_RNN = {
    .name = "RNN", .domain = "", .since = 1, .newest = 22, .min_in = 3, .max_in = 6, .min_out = 0, .max_out = 2,
    .attrs = rnn_attrs, .attr_size = sizeof(oi_rnn_attr), .import = import_rnn, .infer = oi_rnn_infer, .eval = oi_rnn_eval,
    .lower = oi_rnn_lower,
};

const oi_op oi_op_GRU = {
    .name = "GRU", .domain = "", .since = 1, .newest = 22, .min_in = 3, .max_in = 6, .min_out = 0, .max_out = 2,
    .attrs = gru_attrs, .attr_size = sizeof(oi_rnn_attr), .import = import_rnn, .infer = oi_rnn_infer, .eval = oi_rnn_eval,
    .lower = oi_rnn_lower,
};

const oi_op oi_op_LSTM = {
    .name = "LSTM", .domain = "", .since = 1, .newest = 22, .min_in = 3, .max_in = 8, .min_out = 0, .max_out = 3,
    .attrs = oi_rnn_lstm_attrs, .attr_size = sizeof(oi_rnn_attr), .import = import_rnn, .infer = oi_rnn_infer, .eval = oi_rnn_eval,
    .lower = oi_rnn_lower,
};
