/* Normalisations over the elements of each sample: layer, root mean square, instance, group, mean and variance. */
#include "ops/loop.h"
#include "ops/normalize.h"
#include "ops/target.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t axis, stash_type, num_groups, rms;
    float epsilon;
    oi_ints axes;
} norm_attr;

extern const oi_op oi_op_GroupNormalization, oi_op_InstanceNormalization, oi_op_LayerNormalization, oi_op_RMSNormalization;
extern const oi_op oi_op_oi_NormOfSum;

/* --- infer --- */

static oi_status infer_layer(oi_infer *x)
{
    const norm_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    oi_infer_set_same(x, 0, 0);
    if (f->shape.rank < 0 || x->nout < 2)
        return ONNX_INFER_OK;
    int32_t axis;
    OI_TRY(oi_infer_axis(x, a->axis, f->shape.rank, &axis));
    oi_shape s = f->shape;
    for (int32_t i = axis; i < s.rank; i++)
        s.dim[i] = 1;
    for (uint32_t i = 1; i < x->nout; i++)
        oi_infer_set(x, i, (oi_dtype)a->stash_type, s.rank, s.dim);
    return ONNX_INFER_OK;
}

static oi_status infer_sum(oi_infer *x)
{
    for (uint32_t i = 0; i < x->nout; i++)
        oi_infer_set_same(x, i, 0);
    return ONNX_INFER_OK;
}

static oi_status infer_same(oi_infer *x)
{
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

/* --- eval --- */

static oi_status broadcast_values(oi_eval *e, uint32_t in, const oi_tensor *x, const double **values, int64_t *stride)
{
    const oi_tensor *t = oi_eval_in(e, in);
    if (!t)
        return ONNX_INFER_OK;
    int32_t rank;
    int64_t dims[OI_MAX_RANK];
    OI_FAIL_IF(!oi_dims_broadcast(x->rank, x->dim, t->rank, t->dim, &rank, dims) || rank != x->rank ||
                   memcmp(dims, x->dim, (size_t)rank * sizeof *dims) != 0,
               ONNX_INFER_E_SHAPE_MISMATCH, "%s: the shape of input %u does not broadcast to that of input 0", e->op->name, in);
    double *v;
    OI_TRY(oi_normalize_values(e, t, &v));
    *values = v;
    oi_dims_broadcast_strides(t->rank, t->dim, x->rank, x->dim, stride);
    return ONNX_INFER_OK;
}

/* y (output 0) of x, with scale and bias from inputs `scale` and the one behind it; `m` keeps the statistics. */
static oi_status eval_rows(oi_eval *e, const oi_tensor *x, bool rms, uint32_t scale, oi_normalize *m)
{
    const norm_attr *a = e->attr;
    bool reduced[OI_MAX_RANK];
    oi_tensor *y;
    int64_t axis = a->axis < 0 ? a->axis + x->rank : a->axis;
    OI_FAIL_IF(axis < 0 || axis >= x->rank, ONNX_INFER_E_INVALID_MODEL, "%s: axis %lld is out of range for rank %d", e->op->name,
               (long long)a->axis, (int)x->rank);
    for (int32_t i = 0; i < x->rank; i++)
        reduced[i] = i >= axis;
    OI_TRY(oi_normalize_view(e, m, x->rank, x->dim, reduced));
    OI_TRY(oi_normalize_stats(m, x, rms));
    oi_normalize_invert(m, a->epsilon);
    OI_TRY(broadcast_values(e, scale, x, &m->scale, m->scale_stride));
    OI_TRY(broadcast_values(e, scale + 1, x, &m->bias, m->bias_stride));
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    return oi_normalize_apply(m, x, y);
}

static oi_status eval_layer(oi_eval *e)
{
    const norm_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    if (!x)
        return oi_eval_bad_type(e, 0);
    oi_normalize m;
    oi_tensor *y;
    int64_t dims[OI_MAX_RANK];
    OI_TRY(eval_rows(e, x, e->op == &oi_op_RMSNormalization, 1, &m));
    for (int32_t i = 0; i < x->rank; i++)
        dims[i] = i >= (a->axis < 0 ? a->axis + x->rank : a->axis) ? 1 : x->dim[i];
    for (uint32_t k = 1; k < 3; k++) {
        if (!oi_eval_wants(e, k))
            continue;
        OI_TRY(oi_eval_out(e, k, (oi_dtype)a->stash_type, x->rank, dims, &y));
        for (int64_t i = 0; i < m.stats; i++)
            oi_elem_set_double(y->dtype, y->data, (size_t)i, k == 1 ? m.mean[i] : m.inv[i]);
    }
    return ONNX_INFER_OK;
}

/* x + add, the latter with as many rows or fewer, which repeat; then as a layer. */
static oi_status eval_sum(oi_eval *e)
{
    const norm_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *add = oi_eval_in(e, 1);
    oi_tensor here, *sum = &here;
    oi_normalize m;
    if (!x || !add || x->dtype != ONNX_INFER_FLOAT || add->dtype != ONNX_INFER_FLOAT)
        return oi_eval_bad_type(e, x && x->dtype == ONNX_INFER_FLOAT);
    const int64_t n = oi_tensor_count(x), repeat = oi_tensor_count(add);
    OI_FAIL_IF(n && (!repeat || n % repeat), ONNX_INFER_E_SHAPE_MISMATCH, "NormOfSum: %lld elements and %lld", (long long)n,
               (long long)repeat);
    if (oi_eval_wants(e, 1)) {
        OI_TRY(oi_eval_out(e, 1, x->dtype, x->rank, x->dim, &sum));
    } else {
        here = *x;
        here.data = oi_eval_scratch(e, x->bytes + 1);
        if (!here.data)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < n; i++)
        ((float *)sum->data)[i] = ((const float *)x->data)[i] + ((const float *)add->data)[i % repeat];
    return eval_rows(e, sum, a->rms, 2, &m);
}

/* Instance and group normalisation: x as [N, groups, channels of a group, elements of a channel]. */
static oi_status eval_group(oi_eval *e)
{
    const norm_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *scale = oi_eval_in(e, 1), *bias = oi_eval_in(e, 2);
    if (!x)
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(x->rank < 2, ONNX_INFER_E_SHAPE_MISMATCH, "%s: input 0 has rank %d, at least 2 is needed", e->op->name, (int)x->rank);
    int64_t channels = x->dim[1], groups = e->op == &oi_op_GroupNormalization ? a->num_groups : channels;
    OI_FAIL_IF(groups < 0 || (groups ? channels % groups : channels) != 0, ONNX_INFER_E_SHAPE_MISMATCH,
               "%s: %lld channels do not divide into %lld groups", e->op->name, (long long)channels, (long long)groups);
    if (!scale || !bias)
        return oi_eval_bad_type(e, scale ? 2 : 1);
    OI_FAIL_IF(oi_tensor_count(scale) != channels || oi_tensor_count(bias) != channels, ONNX_INFER_E_SHAPE_MISMATCH,
               "%s: scale and bias need one element for each of %lld channels", e->op->name, (long long)channels);
    int64_t dims[4] = {x->dim[0], groups, groups ? channels / groups : 0, oi_dims_count(x->rank - 2, x->dim + 2)};
    oi_normalize m;
    oi_tensor *y;
    double *s, *b;
    OI_TRY(oi_normalize_view(e, &m, 4, dims, (const bool[]){false, false, true, true}));
    OI_TRY(oi_normalize_stats(&m, x, false));
    oi_normalize_invert(&m, a->epsilon);
    OI_TRY(oi_normalize_values(e, scale, &s));
    OI_TRY(oi_normalize_values(e, bias, &b));
    m.scale = s;
    m.bias = b;
    m.scale_stride[1] = m.bias_stride[1] = dims[2];
    m.scale_stride[2] = m.bias_stride[2] = 1;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    return oi_normalize_apply(&m, x, y);
}

static oi_status eval_mean_variance(oi_eval *e)
{
    static const int64_t usual[] = {0, 2, 3};
    const norm_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    if (!x)
        return oi_eval_bad_type(e, 0);
    const int64_t *axes = a->axes.at ? a->axes.at : usual;
    uint32_t n = a->axes.at ? a->axes.n : 3;
    bool reduced[OI_MAX_RANK] = {false};
    for (uint32_t i = 0; i < n; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + x->rank : axes[i];
        OI_FAIL_IF(axis < 0 || axis >= x->rank, ONNX_INFER_E_INVALID_MODEL, "MeanVarianceNormalization: axis %lld is out of range for rank %d",
                   (long long)axes[i], (int)x->rank);
        reduced[axis] = true;
    }
    oi_normalize m;
    oi_tensor *y;
    OI_TRY(oi_normalize_view(e, &m, x->rank, x->dim, reduced));
    OI_TRY(oi_normalize_stats(&m, x, false));
    for (int64_t s = 0; s < m.stats; s++)
        m.inv[s] = 1 / (sqrt(m.inv[s]) + 1e-9);
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    return oi_normalize_apply(&m, x, y);
}

/* --- prepare and run: float32, rows --- */

typedef struct {
    const oi_kernels *k;
    int64_t rows, n, block; /* rows of a task */
    int64_t channels;       /* of the group that a row is: each n / channels elements with a scale and bias of their own */
    int64_t groups;         /* rows that share scales with none before them; 0: gamma and beta go along a row */
    int64_t repeat;         /* rows of what is added before */
    float epsilon;
    bool rms;
} norm_state;

static oi_status run_layer(const oi_run *r, uint32_t task)
{
    const norm_state *s = r->step->state;
    int64_t first = (int64_t)task * s->block;
    oi_norm_args args = {
        .rows = (size_t)(s->rows - first < s->block ? s->rows - first : s->block), .n = (size_t)s->n,
        .x = (const float *)r->in[0] + first * s->n, .gamma = r->in[1], .beta = r->step->nin > 2 ? r->in[2] : NULL,
        .y = (float *)r->out[0] + first * s->n, .eps = s->epsilon, .rms = s->rms,
        .mean = r->step->nout > 1 && r->out[1] ? (float *)r->out[1] + first : NULL,
        .inv_std = r->step->nout > 2 && r->out[2] ? (float *)r->out[2] + first : NULL,
    };
    s->k->norm(&args);
    return ONNX_INFER_OK;
}

static oi_status run_sum(const oi_run *r, uint32_t task)
{
    const norm_state *s = r->step->state;
    int64_t first = (int64_t)task * s->block, end = first + s->block < s->rows ? first + s->block : s->rows;
    while (first < end) {
        int64_t at = first % s->repeat, rows = s->repeat - at < end - first ? s->repeat - at : end - first;
        oi_norm_args args = {
            .rows = (size_t)rows, .n = (size_t)s->n, .x = (const float *)r->in[0] + first * s->n, .add = (const float *)r->in[1] + at * s->n,
            .gamma = r->in[2], .beta = r->step->nin > 3 ? r->in[3] : NULL, .y = (float *)r->out[0] + first * s->n,
            .sum = r->step->nout > 1 && r->out[1] ? (float *)r->out[1] + first * s->n : NULL, .eps = s->epsilon, .rms = s->rms,
        };
        s->k->norm(&args);
        first += rows;
    }
    return ONNX_INFER_OK;
}

static oi_status run_group(const oi_run *r, uint32_t task)
{
    const norm_state *s = r->step->state;
    int64_t first = (int64_t)task * s->block, end = first + s->block < s->rows ? first + s->block : s->rows;
    int64_t each = s->n / s->channels;
    const float *scale = r->in[1], *bias = r->in[2];
    for (int64_t row = first; row < end; row++) {
        float *y = (float *)r->out[0] + row * s->n;
        oi_norm_args args = {.rows = 1, .n = (size_t)s->n, .x = (const float *)r->in[0] + row * s->n, .y = y, .eps = s->epsilon};
        s->k->norm(&args);
        int64_t channel = row % s->groups * s->channels;
        for (int64_t c = 0; c < s->channels; c++)
            s->k->unary[OI_UNARY_AFFINE]((size_t)each, y + c * each, y + c * each, scale[channel + c], bias[channel + c]);
    }
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const norm_attr *a = step->attr;
    const oi_tensor *x = &step->in[0];
    int64_t count = oi_tensor_count(x);
    for (uint32_t i = 0; i < step->nin; i++) {
        if (step->in[i].dtype && step->in[i].dtype != ONNX_INFER_FLOAT)
            return ONNX_INFER_OK;
    }
    for (uint32_t i = 0; i < step->nout; i++) {
        if (step->out[i].dtype && step->out[i].dtype != ONNX_INFER_FLOAT)
            return ONNX_INFER_OK;
    }
    if (count == 0 || x->dtype != ONNX_INFER_FLOAT)
        return ONNX_INFER_OK;
    norm_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *s = (norm_state){.k = p->target->kernels, .epsilon = a->epsilon, .rms = step->op == &oi_op_RMSNormalization};
    const bool sum = step->op == &oi_op_oi_NormOfSum;
    if (sum)
        s->rms = a->rms != 0;
    if (sum || step->op == &oi_op_LayerNormalization || s->rms) {
        int32_t axis = (int32_t)(a->axis < 0 ? a->axis + x->rank : a->axis);
        if (axis < 0 || axis >= x->rank)
            return ONNX_INFER_OK;
        s->n = oi_dims_count(x->rank - axis, x->dim + axis);
        for (uint32_t i = sum ? 2 : 1; i < step->nin; i++) {
            const oi_tensor *t = &step->in[i];
            if (t->dtype && (oi_tensor_count(t) != s->n || t->rank < x->rank - axis ||
                             memcmp(t->dim + t->rank - (x->rank - axis), x->dim + axis, (size_t)(x->rank - axis) * sizeof *t->dim)))
                return ONNX_INFER_OK;
        }
        if (sum && (step->nin < 3 || oi_tensor_count(&step->in[1]) % s->n || count % oi_tensor_count(&step->in[1])))
            return ONNX_INFER_OK;
        s->repeat = sum ? oi_tensor_count(&step->in[1]) / s->n : 0;
        step->run = sum ? run_sum : run_layer;
    } else {
        s->groups = step->op == &oi_op_GroupNormalization ? a->num_groups : x->rank > 1 ? x->dim[1] : 0;
        if (x->rank < 2 || s->groups < 1 || x->dim[1] % s->groups || oi_tensor_count(&step->in[1]) != x->dim[1] ||
            oi_tensor_count(&step->in[2]) != x->dim[1])
            return ONNX_INFER_OK;
        s->channels = x->dim[1] / s->groups;
        s->n = s->channels * oi_dims_count(x->rank - 2, x->dim + 2);
        step->run = run_group;
    }
    s->rows = count / s->n;
    s->block = OI_LOOP_TASK / s->n < 1 ? 1 : OI_LOOP_TASK / s->n;
    step->kernel = "rows";
    step->state = s;
    step->n_tasks = (uint32_t)((s->rows + s->block - 1) / s->block);
    step->in_place = 0;
    return ONNX_INFER_OK;
}

/* --- import --- */

static oi_status import_instance(oi_import *im)
{
    oi_import_drop(im, "consumed_inputs");
    return ONNX_INFER_OK;
}

/* Until opset 20 scale and bias were one element a group: repeat each for the channels of its group. */
static oi_status import_group(oi_import *im)
{
    const oi_raw_attr *a = oi_import_find(im, "num_groups");
    if (im->opset >= 21 || im->nin != 3 || !a)
        return ONNX_INFER_OK;
    oi_value_id groups, minus, one, channels = OI_NONE, each = OI_NONE, to = OI_NONE;
    OI_TRY(oi_import_const_ints(im, &a->i, 1, 1, &groups));
    OI_TRY(oi_import_const_ints(im, &(int64_t){-1}, 1, 1, &minus));
    OI_TRY(oi_import_const_ints(im, &(int64_t){1}, 1, 1, &one));
    OI_TRY(oi_import_node(im, "Shape", "start=1, end=2", 1, im->in, 1, &channels));
    OI_TRY(oi_import_node(im, "Div", "", 2, (oi_value_id[]){channels, groups}, 1, &each));
    OI_TRY(oi_import_node(im, "Concat", "axis=0", 2, (oi_value_id[]){groups, each}, 1, &to));
    for (uint32_t i = 1; i < 3; i++) {
        oi_value_id column = OI_NONE, spread = OI_NONE, flat = OI_NONE;
        OI_TRY(oi_import_node(im, "Unsqueeze", "", 2, (oi_value_id[]){im->in[i], one}, 1, &column));
        OI_TRY(oi_import_node(im, "Expand", "", 2, (oi_value_id[]){column, to}, 1, &spread));
        OI_TRY(oi_import_node(im, "Reshape", "", 2, (oi_value_id[]){spread, minus}, 1, &flat));
        OI_TRY(oi_import_set_input(im, i, flat));
    }
    return ONNX_INFER_OK;
}

/* --- definitions --- */

#define EPSILON {.name = "epsilon", .type = OI_ATTR_FLOAT, .offset = offsetof(norm_attr, epsilon), .f = 1e-5f}
#define STASH {.name = "stash_type", .type = OI_ATTR_INT, .offset = offsetof(norm_attr, stash_type), .i = 1}

static const oi_attr_spec layer_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(norm_attr, axis), .i = -1}, EPSILON, STASH, {0}};
static const oi_attr_spec sum_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(norm_attr, axis), .i = -1}, EPSILON,
    {.name = "rms", .type = OI_ATTR_INT, .offset = offsetof(norm_attr, rms)}, {0}};
static const oi_attr_spec instance_attrs[] = {EPSILON, {0}};
static const oi_attr_spec group_attrs[] = {
    EPSILON, {.name = "num_groups", .type = OI_ATTR_INT, .offset = offsetof(norm_attr, num_groups), .flags = OI_ATTR_REQUIRED}, STASH, {0}};
static const oi_attr_spec mean_variance_attrs[] = {
    {.name = "axes", .type = OI_ATTR_INTS, .offset = offsetof(norm_attr, axes)}, {0}};

#define NORM(id, first, latest) \
    .name = #id, .domain = "", .since = first, .newest = latest, .min_out = 1, .attr_size = sizeof(norm_attr)

const oi_op oi_op_GroupNormalization = {
    NORM(GroupNormalization, 18, 21), .min_in = 3, .max_in = 3, .max_out = 1, .attrs = group_attrs, .import = import_group,
    .infer = infer_same, .eval = eval_group, .prepare = prepare,
};
const oi_op oi_op_InstanceNormalization = {
    NORM(InstanceNormalization, 1, 22), .min_in = 3, .max_in = 3, .max_out = 1, .attrs = instance_attrs, .import = import_instance,
    .infer = infer_same, .eval = eval_group, .prepare = prepare,
};
const oi_op oi_op_LayerNormalization = {
    NORM(LayerNormalization, 17, 17), .min_in = 2, .max_in = 3, .max_out = 3, .attrs = layer_attrs, .infer = infer_layer,
    .eval = eval_layer, .prepare = prepare,
};
const oi_op oi_op_MeanVarianceNormalization = {
    NORM(MeanVarianceNormalization, 9, 13), .min_in = 1, .max_in = 1, .max_out = 1, .attrs = mean_variance_attrs, .infer = infer_same,
    .eval = eval_mean_variance,
};
const oi_op oi_op_RMSNormalization = {
    NORM(RMSNormalization, 23, 23), .min_in = 2, .max_in = 2, .max_out = 1, .attrs = layer_attrs, .infer = infer_layer,
    .eval = eval_layer, .prepare = prepare,
};

/* Inputs: x, what is added to it, scale, bias (optional); float32. Outputs: the norm of the sum, and the sum (optional). */
const oi_op oi_op_oi_NormOfSum = {
    .name = "NormOfSum", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 3, .max_in = 4,
    .min_out = 1, .max_out = 2, .attrs = sum_attrs, .attr_size = sizeof(norm_attr), .infer = infer_sum, .eval = eval_sum, .prepare = prepare,
};
