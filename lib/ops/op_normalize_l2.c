/* NormalizeL2: x over the length of its vectors along some neighbouring axes; what exporters write around ReduceL2. */
#include "ops/loop.h"
#include "ops/op.h"
#include "ops/target.h"

#include <math.h>

/* y = x / max(sqrt(sum of x^2 + inside) + outside, low) */
typedef struct {
    int64_t axis, axes; /* the first, from 0, and how many */
    float inside, outside, low;
} l2_attr;

#define OFFSET(field) ((uint16_t)offsetof(l2_attr, field))
static const oi_attr_spec attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = OFFSET(axis)},
    {.name = "axes", .type = OI_ATTR_INT, .offset = OFFSET(axes), .i = 1},
    {.name = "inside", .type = OI_ATTR_FLOAT, .offset = OFFSET(inside)},
    {.name = "outside", .type = OI_ATTR_FLOAT, .offset = OFFSET(outside)},
    {.name = "low", .type = OI_ATTR_FLOAT, .offset = OFFSET(low)},
    {0},
};

enum { STRIP = 512 }; /* vectors side by side that a task takes at a time */

typedef struct {
    const oi_kernels *k;
    const l2_attr *a;
    int64_t outer, n, inner;
    int64_t block;  /* vectors of a task */
    int64_t strips; /* of the vectors that lie side by side; 0: each lies in one piece */
} l2_state;

static oi_status infer(oi_infer *x)
{
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static oi_status sizes(const l2_attr *a, int32_t rank, const int64_t *dims, l2_state *s)
{
    OI_FAIL_IF(a->axes < 1 || a->axis < 0 || a->axis > rank - a->axes, ONNX_INFER_E_INTERNAL, "NormalizeL2: axis %lld of rank %d",
               (long long)a->axis, (int)rank);
    s->outer = oi_dims_count((int32_t)a->axis, dims);
    s->n = oi_dims_count((int32_t)a->axes, dims + a->axis);
    s->inner = oi_dims_count(rank - (int32_t)(a->axis + a->axes), dims + a->axis + a->axes);
    return ONNX_INFER_OK;
}

static float length(const l2_attr *a, float squares)
{
    float v = sqrtf(squares + a->inside) + a->outside;
    return v < a->low ? a->low : v; /* NaN stays */
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0);
    l2_state s = {0};
    oi_tensor *out;
    if (!x || x->dtype != ONNX_INFER_FLOAT)
        return oi_eval_bad_type(e, 0);
    OI_TRY(sizes(e->attr, x->rank, x->dim, &s));
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &out));
    for (int64_t i = 0; i < s.outer * s.inner; i++) {
        const int64_t at = i / s.inner * s.n * s.inner + i % s.inner;
        const float *v = (const float *)x->data + at;
        float *y = (float *)out->data + at;
        double sum = 0;
        for (int64_t k = 0; k < s.n; k++)
            sum += (double)v[k * s.inner] * v[k * s.inner];
        const float by = length(e->attr, (float)sum);
        for (int64_t k = 0; k < s.n; k++)
            y[k * s.inner] = v[k * s.inner] / by;
    }
    return ONNX_INFER_OK;
}

static oi_status run_rows(const oi_run *r, uint32_t task)
{
    const l2_state *s = r->step->state;
    const int64_t first = (int64_t)task * s->block, end = first + s->block < s->outer ? first + s->block : s->outer;
    for (int64_t row = first; row < end; row++) {
        const float *x = (const float *)r->in[0] + row * s->n;
        float by;
        s->k->reduce_inner[OI_REDUCE_SUM_SQUARE](1, (size_t)s->n, x, (size_t)s->n, &by);
        by = length(s->a, by);
        const oi_binary_args divide = {.rows = 1, .n = (size_t)s->n, .a = x, .b = &by, .y = (float *)r->out[0] + row * s->n, .b_scalar = true};
        s->k->binary[OI_BINARY_DIV](&divide);
    }
    return ONNX_INFER_OK;
}

static oi_status run_strip(const oi_run *r, uint32_t task)
{
    const l2_state *s = r->step->state;
    const int64_t first = (int64_t)task % s->strips * STRIP, width = s->inner - first < STRIP ? s->inner - first : STRIP;
    const int64_t at = (int64_t)task / s->strips * s->n * s->inner + first;
    const float *x = (const float *)r->in[0] + at;
    float *y = (float *)r->out[0] + at, by[STRIP];
    s->k->reduce_outer[OI_REDUCE_SUM_SQUARE]((size_t)s->n, (size_t)width, x, (size_t)s->inner, by);
    for (int64_t i = 0; i < width; i++)
        by[i] = length(s->a, by[i]);
    const oi_binary_args divide = {.rows = (size_t)s->n, .n = (size_t)width, .a = x, .b = by, .y = y, .as = (size_t)s->inner, .ys = (size_t)s->inner};
    s->k->binary[OI_BINARY_DIV](&divide);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_tensor *x = &step->in[0];
    l2_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *s = (l2_state){.k = p->target->kernels, .a = step->attr};
    OI_TRY(sizes(s->a, x->rank, x->dim, s));
    if (x->dtype != ONNX_INFER_FLOAT || oi_tensor_count(x) == 0)
        return ONNX_INFER_OK;
    if (s->inner == 1) {
        s->block = OI_LOOP_TASK / s->n < 1 ? 1 : OI_LOOP_TASK / s->n;
        step->n_tasks = (uint32_t)((s->outer + s->block - 1) / s->block);
    } else {
        s->strips = (s->inner + STRIP - 1) / STRIP;
        if (s->outer * s->strips > INT32_MAX)
            return ONNX_INFER_OK;
        step->n_tasks = (uint32_t)(s->outer * s->strips);
    }
    step->run = s->inner == 1 ? run_rows : run_strip;
    step->kernel = s->inner == 1 ? "rows" : "strips";
    step->state = s;
    step->in_place = 0;
    return ONNX_INFER_OK;
}

const oi_op oi_op_oi_NormalizeL2 = {
    .name = "NormalizeL2", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_LOWERED_ONLY, .min_in = 1, .max_in = 1,
    .min_out = 1, .max_out = 1, .attrs = attrs, .attr_size = sizeof(l2_attr), .infer = infer, .eval = eval, .prepare = prepare,
};
