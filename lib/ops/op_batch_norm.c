/* BatchNormalization: by given statistics, or in training mode by those of the batch. */
#include "ops/loop.h"
#include "ops/normalize.h"
#include "ops/target.h"

#include <math.h>

typedef struct {
    int64_t training_mode;
    float epsilon, momentum;
} batch_attr;

/* Until opset 13 training was asked for by is_test or by more outputs; opset 1 to 8 had `spatial`, whose 0 shows in the
 * rank of the statistics. */
static oi_status import(oi_import *im)
{
    const oi_raw_attr *test = oi_import_find(im, "is_test");
    bool statistics = im->nout > 1 && im->out[1] != OI_NONE;
    if (im->opset < 14 && ((im->opset < 7 && test && !test->i && statistics) || (im->opset >= 7 && statistics)))
        OI_TRY(oi_import_set_int(im, "training_mode", 1));
    oi_import_drop(im, "is_test");
    oi_import_drop(im, "spatial");
    oi_import_drop(im, "consumed_inputs");
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    oi_infer_set_same(x, 0, 0);
    for (uint32_t i = 1; i < x->nout && i < 5; i++)
        oi_infer_set_same(x, i, i % 2 ? 3 : 4);
    return ONNX_INFER_OK;
}

/* Statistics and parameters are one a channel, or of the shape of a sample. */
static oi_status parameter(oi_eval *e, uint32_t in, const oi_tensor *x, double **values, int64_t *stride)
{
    const oi_tensor *t = oi_eval_in(e, in);
    if (!t)
        return oi_eval_bad_type(e, in);
    bool sample = t->rank > 1;
    int32_t rank = sample ? x->rank - 1 : 1;
    int64_t channels = x->rank > 1 ? x->dim[1] : 1, count = sample ? oi_dims_count(x->rank - 1, x->dim + 1) : channels;
    OI_FAIL_IF(t->rank != rank || oi_tensor_count(t) != count, ONNX_INFER_E_SHAPE_MISMATCH,
               "BatchNormalization: input %u has %lld elements but input 0 has %lld channels", in, (long long)oi_tensor_count(t),
               (long long)channels);
    int64_t at = 1;
    for (int32_t i = 0; i < x->rank; i++)
        stride[i] = 0;
    if (!sample && x->rank > 1)
        stride[1] = 1;
    for (int32_t i = x->rank; sample && i-- > 1;) {
        stride[i] = at;
        at *= x->dim[i];
    }
    return oi_normalize_values(e, t, values);
}

static oi_status eval(oi_eval *e)
{
    const batch_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    if (!x)
        return oi_eval_bad_type(e, 0);
    bool reduced[OI_MAX_RANK];
    for (int32_t i = 0; i < x->rank; i++)
        reduced[i] = i != 1;
    oi_normalize m;
    oi_tensor *y;
    double *scale, *bias, *mean, *var;
    int64_t stride[OI_MAX_RANK];
    OI_TRY(oi_normalize_view(e, &m, x->rank, x->dim, reduced));
    OI_TRY(parameter(e, 1, x, &scale, m.scale_stride));
    OI_TRY(parameter(e, 2, x, &bias, m.bias_stride));
    OI_TRY(parameter(e, 3, x, &mean, stride));
    OI_TRY(parameter(e, 4, x, &var, stride));
    OI_FAIL_IF(oi_tensor_count(e->in[4]) != oi_tensor_count(e->in[3]), ONNX_INFER_E_SHAPE_MISMATCH,
               "BatchNormalization: mean and variance differ in size");
    m.scale = scale;
    m.bias = bias;
    if (a->training_mode) {
        OI_FAIL_IF(e->in[3]->rank > 1, ONNX_INFER_E_INVALID_MODEL, "BatchNormalization: training needs one mean a channel");
        OI_TRY(oi_normalize_stats(&m, x, false));
        for (uint32_t k = 1; k < 5; k++) { /* running mean and variance, then (old forms) those of the batch */
            if (!oi_eval_wants(e, k))
                continue;
            OI_TRY(oi_eval_out(e, k, e->in[k % 2 ? 3 : 4]->dtype, 1, e->in[3]->dim, &y));
            const double *batch = k % 2 ? m.mean : m.inv, *old = k % 2 ? mean : var;
            double keep = k < 3 ? a->momentum : 0;
            for (int64_t i = 0; i < m.stats; i++)
                oi_elem_set_double(y->dtype, y->data, (size_t)i, old[i] * keep + batch[i] * (1 - keep));
        }
    } else {
        m.stats = oi_tensor_count(e->in[3]);
        m.mean = mean;
        m.inv = var;
        for (int32_t i = 0; i < x->rank; i++)
            m.stat_stride[i] = stride[i];
    }
    oi_normalize_invert(&m, a->epsilon);
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    return oi_normalize_apply(&m, x, y);
}

typedef struct {
    oi_unary_fn *affine;
    int64_t channels, inner, rows, block; /* rows of a task: a row is one channel of one sample, or with inner 1 a sample */
    float epsilon;
} batch_state;

static oi_status run(const oi_run *r, uint32_t task)
{
    const batch_state *s = r->step->state;
    const float *scale = r->in[1], *bias = r->in[2], *mean = r->in[3], *var = r->in[4];
    int64_t first = (int64_t)task * s->block, end = first + s->block < s->rows ? first + s->block : s->rows;
    for (int64_t row = first; row < end; row++) {
        if (s->inner == 1) {
            const float *x = (const float *)r->in[0] + row * s->channels;
            float *y = (float *)r->out[0] + row * s->channels;
            for (int64_t c = 0; c < s->channels; c++)
                y[c] = (x[c] - mean[c]) * (scale[c] / sqrtf(var[c] + s->epsilon)) + bias[c];
            continue;
        }
        int64_t c = row % s->channels;
        float factor = scale[c] / sqrtf(var[c] + s->epsilon);
        s->affine((size_t)s->inner, (const float *)r->in[0] + row * s->inner, (float *)r->out[0] + row * s->inner, factor,
                  bias[c] - mean[c] * factor);
    }
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const batch_attr *a = step->attr;
    const oi_tensor *x = &step->in[0];
    int64_t count = oi_tensor_count(x);
    if (a->training_mode || x->rank < 2 || count == 0 || step->nin != 5)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < 5; i++) {
        const oi_tensor *t = &step->in[i];
        if (t->dtype != ONNX_INFER_FLOAT || (i && (t->rank != 1 || t->dim[0] != x->dim[1])))
            return ONNX_INFER_OK;
    }
    batch_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->affine = p->target->kernels->unary[OI_UNARY_AFFINE];
    s->epsilon = a->epsilon;
    s->channels = x->dim[1];
    s->inner = oi_dims_count(x->rank - 2, x->dim + 2);
    int64_t length = s->inner == 1 ? s->channels : s->inner;
    s->rows = count / length;
    s->block = OI_LOOP_TASK / length < 1 ? 1 : OI_LOOP_TASK / length;
    step->kernel = "rows";
    step->state = s;
    step->n_tasks = (uint32_t)((s->rows + s->block - 1) / s->block);
    step->in_place = 0;
    step->run = run;
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "epsilon", .type = OI_ATTR_FLOAT, .offset = offsetof(batch_attr, epsilon), .f = 1e-5f},
    {.name = "momentum", .type = OI_ATTR_FLOAT, .offset = offsetof(batch_attr, momentum), .f = 0.9f},
    {.name = "training_mode", .type = OI_ATTR_INT, .offset = offsetof(batch_attr, training_mode)},
    {0},
};

const oi_op oi_op_BatchNormalization = {
    .name = "BatchNormalization", .domain = "", .since = 1, .newest = 15, .min_in = 5, .max_in = 5, .min_out = 1, .max_out = 5,
    .attrs = attrs, .attr_size = sizeof(batch_attr), .import = import, .infer = infer, .eval = eval, .prepare = prepare,
};
