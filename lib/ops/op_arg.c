/* ArgMax, ArgMin: places of the largest and smallest elements along an axis. */
#include "ops/dtypes.h"
#include "ops/loop.h"
#include "ops/op.h"

typedef int64_t arg_fn(int64_t n, int64_t step, const void *x, bool smallest, bool last);

#define TMPL "ops/tmpl/arg_lane.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/arg_lane.inc"
#include "ops/tmpl/each_int.inc"

static arg_fn *const lanes[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(arg), OI_INT_ROWS(arg)};

typedef struct {
    int64_t axis, keepdims, select_last_index;
} arg_attr;

extern const oi_op oi_op_ArgMin;

static oi_status infer(oi_infer *x)
{
    const arg_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    OI_FAIL_IF(f->dtype && !lanes[f->dtype], ONNX_INFER_E_UNSUPPORTED_TYPE, "input 0: %s does not take element type %s", x->op->name,
               oi_dtype_name(f->dtype));
    if (f->shape.rank < 0) {
        oi_infer_set_fresh(x, 0, ONNX_INFER_INT64, -1);
        return ONNX_INFER_OK;
    }
    int32_t axis = 0, rank = 0;
    oi_dim dims[OI_MAX_RANK];
    if (f->shape.rank)
        OI_TRY(oi_infer_axis(x, a->axis, f->shape.rank, &axis));
    for (int32_t i = 0; i < f->shape.rank; i++) {
        if (i != axis || a->keepdims)
            dims[rank++] = i == axis ? 1 : f->shape.dim[i];
    }
    oi_infer_set(x, 0, ONNX_INFER_INT64, rank, dims);
    return ONNX_INFER_OK;
}

typedef struct {
    arg_fn *fn;
    int64_t outer, n, inner, block; /* lanes of a task */
    size_t size;
    bool smallest, last;
} arg_state;

static bool setup(arg_state *s, const oi_op *op, const arg_attr *a, const oi_tensor *t)
{
    int64_t axis = a->axis < 0 ? a->axis + t->rank : a->axis;
    if (t->rank && (axis < 0 || axis >= t->rank))
        return false;
    *s = (arg_state){.fn = lanes[t->dtype], .outer = 1, .n = 1, .inner = 1, .size = oi_dtype_size(t->dtype),
                     .smallest = op == &oi_op_ArgMin, .last = a->select_last_index != 0};
    if (t->rank)
        oi_loop_axis(t->rank, t->dim, (int32_t)axis, &s->outer, &s->n, &s->inner);
    s->block = s->n > OI_LOOP_TASK ? 1 : s->n > 0 ? OI_LOOP_TASK / s->n : OI_LOOP_TASK;
    return true;
}

static void search(const arg_state *s, int64_t first, int64_t end, const void *x, int64_t *y)
{
    for (int64_t i = first; i < end; i++) {
        int64_t at = i / s->inner * s->n * s->inner + i % s->inner;
        y[i] = s->fn(s->n, s->inner, (const char *)x + (size_t)at * s->size, s->smallest, s->last);
    }
}

static oi_status eval(oi_eval *e)
{
    const arg_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    arg_state s;
    if (!t || !lanes[t->dtype])
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(!setup(&s, e->op, a, t), ONNX_INFER_E_INVALID_MODEL, "%s: axis %lld is out of range for rank %d", e->op->name,
               (long long)a->axis, (int)t->rank);
    int64_t axis = a->axis < 0 ? a->axis + t->rank : a->axis, dims[OI_MAX_RANK];
    int32_t rank = 0;
    for (int32_t i = 0; i < t->rank; i++) {
        if (i != axis || a->keepdims)
            dims[rank++] = i == axis ? 1 : t->dim[i];
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, rank, dims, &y));
    OI_FAIL_IF(s.n == 0 && s.outer * s.inner > 0, ONNX_INFER_E_SHAPE_MISMATCH, "%s: axis %lld has size 0", e->op->name, (long long)axis);
    search(&s, 0, s.outer * s.inner, t->data, y->data);
    return ONNX_INFER_OK;
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const arg_state *s = r->step->state;
    int64_t total = s->outer * s->inner, first = (int64_t)task * s->block;
    search(s, first, first + s->block < total ? first + s->block : total, r->in[0], r->out[0]);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_tensor *t = &step->in[0];
    arg_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (!lanes[t->dtype] || !setup(s, step->op, step->attr, t) || s->n == 0)
        return ONNX_INFER_OK;
    step->kernel = "loop";
    step->state = s;
    step->n_tasks = (uint32_t)((s->outer * s->inner + s->block - 1) / s->block);
    step->run = run;
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(arg_attr, axis)},
    {.name = "keepdims", .type = OI_ATTR_INT, .offset = offsetof(arg_attr, keepdims), .i = 1},
    {.name = "select_last_index", .type = OI_ATTR_INT, .offset = offsetof(arg_attr, select_last_index)},
    {0},
};

#define ARG(id)                                                                                                           \
    const oi_op oi_op_##id = {.name = #id, .domain = "", .since = 1, .newest = 13, .min_in = 1, .max_in = 1, .min_out = 1, \
                              .max_out = 1, .attrs = attrs, .attr_size = sizeof(arg_attr), .infer = infer, .eval = eval,  \
                              .prepare = prepare}
ARG(ArgMax);
ARG(ArgMin);
