/* Softmax, LogSoftmax, Hardmax. */
#include "ops/dtypes.h"
#include "ops/loop.h"
#include "ops/op.h"
#include "ops/target.h"

#include <math.h>

typedef void lane_fn(int64_t n, int64_t step, const void *x, void *y);

#define TMPL "ops/tmpl/softmax.inc"
#include "ops/tmpl/each_float.inc"

typedef struct {
    int64_t axis;
} softmax_attr;

typedef struct {
    const oi_op *op;
    lane_fn *lane[OI_DTYPE_COUNT];
} softmax_def;

extern const oi_op oi_op_Hardmax, oi_op_LogSoftmax, oi_op_Softmax;

static const softmax_def defs[] = {
    {&oi_op_Softmax, {OI_FLOAT_ROWS(softmax)}},
    {&oi_op_LogSoftmax, {OI_FLOAT_ROWS(log_softmax)}},
    {&oi_op_Hardmax, {OI_FLOAT_ROWS(hardmax)}},
};

static const softmax_def *find(const oi_op *op)
{
    const softmax_def *d = defs;
    while (d->op != op)
        d++;
    return d;
}

/* Until opset 12 the input counted as a matrix whose columns begin at the axis. */
static oi_status import(oi_import *im)
{
    if (im->opset >= 13 || im->nin != 1)
        return ONNX_INFER_OK;
    const oi_raw_attr *a = oi_import_find(im, "axis");
    int64_t axis = a ? a->i : 1;
    const oi_fact *f = oi_graph_fact(im->g, im->in[0]);
    if (axis == -1 || (f && f->shape.rank > 0 && axis == f->shape.rank - 1))
        return oi_import_set_int(im, "axis", -1);
    char attrs[48] = "axis=";
    char *end = attrs + 5;
    if (axis < 0)
        *end++ = '-';
    OI_FAIL_IF(axis < -OI_MAX_RANK || axis > OI_MAX_RANK, ONNX_INFER_E_INVALID_MODEL, "%s: axis %lld is out of range", im->op->name,
               (long long)axis);
    *end++ = (char)('0' + (axis < 0 ? -axis : axis));
    *end = 0;
    oi_value_id shape = OI_NONE, flat = OI_NONE, soft = OI_NONE;
    OI_TRY(oi_import_node(im, "Shape", "", 1, im->in, 1, &shape));
    OI_TRY(oi_import_node(im, "Flatten", attrs, 1, im->in, 1, &flat));
    OI_TRY(oi_import_node(im, im->op->name, "axis=-1", 1, &flat, 1, &soft));
    OI_TRY(oi_import_node(im, "Reshape", "allowzero=1", 2, (oi_value_id[]){soft, shape}, 1, im->out));
    im->done = true;
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    OI_FAIL_IF(f->dtype && !find(x->op)->lane[f->dtype], ONNX_INFER_E_UNSUPPORTED_TYPE, "input 0: %s does not take element type %s",
               x->op->name, oi_dtype_name(f->dtype));
    int32_t axis;
    if (f->shape.rank > 0)
        OI_TRY(oi_infer_axis(x, ((const softmax_attr *)x->attr)->axis, f->shape.rank, &axis));
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static void geometry(const softmax_attr *a, const oi_tensor *t, int64_t *outer, int64_t *n, int64_t *inner)
{
    int32_t axis = (int32_t)(a->axis < 0 ? a->axis + t->rank : a->axis);
    *outer = *n = *inner = 1;
    if (t->rank)
        oi_loop_axis(t->rank, t->dim, axis, outer, n, inner);
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    lane_fn *lane = t ? find(e->op)->lane[t->dtype] : NULL;
    if (!lane)
        return oi_eval_bad_type(e, 0);
    const softmax_attr *a = e->attr;
    OI_FAIL_IF(t->rank && (a->axis < -t->rank || a->axis >= t->rank), ONNX_INFER_E_INVALID_MODEL, "%s: axis %lld is out of range for rank %d",
               e->op->name, (long long)a->axis, (int)t->rank);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, t->dtype, t->rank, t->dim, &y));
    int64_t outer, n, inner, size = (int64_t)oi_dtype_size(t->dtype);
    geometry(a, t, &outer, &n, &inner);
    int64_t done = 0;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            OI_TRY(oi_eval_check(e, n, &done));
            int64_t at = (o * n * inner + i) * size;
            lane(n, inner, (const char *)t->data + at, (char *)y->data + at);
        }
    }
    return ONNX_INFER_OK;
}

typedef struct {
    oi_softmax_fn *kernel;
    oi_transpose_fn *transpose;
    int64_t outer, n, inner;
    int64_t block;           /* rows of a task (inner 1), or lanes side by side */
    int64_t blocks;          /* of lanes for each outer index */
} softmax_state;

static oi_status run_rows(const oi_run *r, uint32_t task)
{
    const softmax_state *s = r->step->state;
    int64_t first = (int64_t)task * s->block, rows = s->outer - first < s->block ? s->outer - first : s->block;
    s->kernel((size_t)rows, (size_t)s->n, (const float *)r->in[0] + first * s->n, (float *)r->out[0] + first * s->n);
    return ONNX_INFER_OK;
}

static oi_status run_lanes(const oi_run *r, uint32_t task)
{
    const softmax_state *s = r->step->state;
    int64_t o = (int64_t)task / s->blocks, lane = (int64_t)task % s->blocks * s->block;
    size_t lanes = (size_t)(s->inner - lane < s->block ? s->inner - lane : s->block), n = (size_t)s->n, inner = (size_t)s->inner;
    const float *x = (const float *)r->in[0] + o * s->n * s->inner + lane;
    float *y = (float *)r->out[0] + o * s->n * s->inner + lane, *turned = r->thread_workspace;
    s->transpose(n, lanes, x, inner, turned, n);
    s->kernel(lanes, n, turned, turned);
    s->transpose(lanes, n, turned, n, y, inner);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_tensor *t = &step->in[0];
    int64_t count = oi_tensor_count(&step->out[0]);
    if (t->dtype != ONNX_INFER_FLOAT || step->op == &oi_op_Hardmax || count == 0)
        return ONNX_INFER_OK;
    softmax_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->kernel = step->op == &oi_op_Softmax ? p->target->kernels->softmax : p->target->kernels->log_softmax;
    s->transpose = p->target->kernels->transpose;
    geometry(step->attr, t, &s->outer, &s->n, &s->inner);
    s->block = OI_LOOP_TASK / s->n < 1 ? 1 : OI_LOOP_TASK / s->n;
    if (s->inner > 1) {
        s->block = s->block < 16 ? 16 : s->block;
        s->block = s->block > s->inner ? s->inner : s->block;
        s->blocks = (s->inner + s->block - 1) / s->block;
        step->n_tasks = (uint32_t)(s->outer * s->blocks);
        step->thread_workspace = (size_t)(s->block * s->n) * sizeof(float);
        step->run = run_lanes;
    } else {
        step->n_tasks = (uint32_t)((s->outer + s->block - 1) / s->block);
        step->run = run_rows;
    }
    step->kernel = "vector";
    step->state = s;
    step->in_place = 0;
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {{.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(softmax_attr, axis), .i = -1}, {0}};

#define SOFTMAX(id)                                                                                                          \
    const oi_op oi_op_##id = {.name = #id, .domain = "", .since = 1, .newest = 13, .min_in = 1, .max_in = 1, .min_out = 1,   \
                              .max_out = 1, .attrs = attrs, .attr_size = sizeof(softmax_attr), .import = import,             \
                              .infer = infer, .eval = eval, .prepare = prepare}
SOFTMAX(Hardmax);
SOFTMAX(LogSoftmax);
SOFTMAX(Softmax);
