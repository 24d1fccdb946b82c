/* LRN (across channels) and LpNormalization. */
#include "ops/dtypes.h"
#include "ops/loop.h"
#include "ops/op.h"
#include "ops/target.h"

#include <math.h>

typedef void lp_fn(int64_t n, int64_t step, const void *x, void *y, int64_t p);
typedef void lrn_fn(int64_t n, const void *x, void *y, int64_t first, int64_t end, int64_t channel, float factor, float beta, float bias);

#define TMPL "ops/tmpl/lane_norm.inc"
#include "ops/tmpl/each_float.inc"

static lp_fn *const lp_lanes[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(lp_lane)};
static lrn_fn *const lrn_rows[OI_DTYPE_COUNT] = {OI_FLOAT_ROWS(lrn_row)};

typedef struct {
    int64_t axis, p;
} lp_attr;

typedef struct {
    int64_t size;
    float alpha, beta, bias;
} lrn_attr;

static oi_status infer(oi_infer *x)
{
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static oi_status eval_lp(oi_eval *e)
{
    const lp_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    if (!x || !lp_lanes[x->dtype])
        return oi_eval_bad_type(e, 0);
    int64_t axis = a->axis < 0 ? a->axis + x->rank : a->axis, outer, n, inner, size = (int64_t)oi_dtype_size(x->dtype);
    OI_FAIL_IF(axis < 0 || axis >= x->rank, ONNX_INFER_E_INVALID_MODEL, "LpNormalization: axis %lld is out of range for rank %d",
               (long long)a->axis, (int)x->rank);
    OI_FAIL_IF(a->p != 1 && a->p != 2, ONNX_INFER_E_INVALID_MODEL, "LpNormalization: p is %lld, not 1 or 2", (long long)a->p);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    oi_loop_axis(x->rank, x->dim, (int32_t)axis, &outer, &n, &inner);
    for (int64_t i = 0; i < outer * inner; i++) {
        int64_t at = (i / inner * n * inner + i % inner) * size;
        lp_lanes[x->dtype](n, inner, (const char *)x->data + at, (char *)y->data + at, a->p);
    }
    return ONNX_INFER_OK;
}

/* The channels [*first, *end) around one. */
static void window(const lrn_attr *a, int64_t channel, int64_t channels, int64_t *first, int64_t *end)
{
    *first = channel - (a->size - 1) / 2;
    *end = channel + a->size / 2 + 1;
    *first = *first < 0 ? 0 : *first;
    *end = *end > channels ? channels : *end;
}

static oi_status eval_lrn(oi_eval *e)
{
    const lrn_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    if (!x || !lrn_rows[x->dtype])
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(x->rank < 2, ONNX_INFER_E_SHAPE_MISMATCH, "LRN: input 0 has rank %d, at least 2 is needed", (int)x->rank);
    OI_FAIL_IF(a->size < 1 || a->size > INT32_MAX, ONNX_INFER_E_INVALID_MODEL, "LRN: size is %lld", (long long)a->size);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    int64_t samples, channels, n, first, end, size = (int64_t)oi_dtype_size(x->dtype);
    oi_loop_axis(x->rank, x->dim, 1, &samples, &channels, &n);
    for (int64_t s = 0; s < samples; s++) {
        int64_t at = s * channels * n * size;
        for (int64_t c = 0; c < channels; c++) {
            window(a, c, channels, &first, &end);
            lrn_rows[x->dtype](n, (const char *)x->data + at, (char *)y->data + at, first, end, c, a->alpha / (float)a->size, a->beta,
                               a->bias);
        }
    }
    return ONNX_INFER_OK;
}

typedef struct {
    const oi_kernels *k;
    const lrn_attr *a;
    int64_t samples, channels, n;
} lrn_state;

enum { LRN_BLOCK = 512 };

/* One channel of one sample, block by block: sums of squares, their power, the quotient. */
static oi_status run_lrn(const oi_run *r, uint32_t task)
{
    const lrn_state *s = r->step->state;
    int64_t channel = (int64_t)task % s->channels, first, end;
    const float *x = (const float *)r->in[0] + (int64_t)task / s->channels * s->channels * s->n;
    float *y = (float *)r->out[0] + (int64_t)task * s->n, sum[LRN_BLOCK], square[LRN_BLOCK], beta = s->a->beta;
    window(s->a, channel, s->channels, &first, &end);
    for (int64_t at = 0; at < s->n; at += LRN_BLOCK) {
        size_t n = (size_t)(s->n - at < LRN_BLOCK ? s->n - at : LRN_BLOCK);
        oi_binary_args add = {.rows = 1, .n = n, .a = sum, .b = square, .y = sum};
        for (int64_t c = first; c < end; c++) {
            s->k->unary[OI_UNARY_SQUARE](n, x + c * s->n + at, c == first ? sum : square, 0, 0);
            if (c > first)
                s->k->binary[OI_BINARY_ADD](&add);
        }
        s->k->unary[OI_UNARY_AFFINE](n, sum, sum, s->a->alpha / (float)s->a->size, s->a->bias);
        oi_binary_args power = {.rows = 1, .n = n, .a = sum, .b = &beta, .y = sum, .b_scalar = true};
        s->k->binary[OI_BINARY_POW](&power);
        oi_binary_args divide = {.rows = 1, .n = n, .a = x + channel * s->n + at, .b = sum, .y = y + at};
        s->k->binary[OI_BINARY_DIV](&divide);
    }
    return ONNX_INFER_OK;
}

static oi_status prepare_lrn(oi_prepare *p)
{
    oi_step *step = p->step;
    const oi_tensor *x = &step->in[0];
    const lrn_attr *a = step->attr;
    if (x->dtype != ONNX_INFER_FLOAT || x->rank < 2 || a->size < 1 || a->size > INT32_MAX || oi_tensor_count(x) == 0)
        return ONNX_INFER_OK;
    lrn_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->k = p->target->kernels;
    s->a = a;
    oi_loop_axis(x->rank, x->dim, 1, &s->samples, &s->channels, &s->n);
    if (s->samples * s->channels > INT32_MAX)
        return ONNX_INFER_OK;
    step->kernel = "rows";
    step->state = s;
    step->n_tasks = (uint32_t)(s->samples * s->channels);
    step->run = run_lrn;
    return ONNX_INFER_OK;
}

static const oi_attr_spec lp_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(lp_attr, axis), .i = -1},
    {.name = "p", .type = OI_ATTR_INT, .offset = offsetof(lp_attr, p), .i = 2},
    {0},
};
static const oi_attr_spec lrn_attrs[] = {
    {.name = "alpha", .type = OI_ATTR_FLOAT, .offset = offsetof(lrn_attr, alpha), .f = 1e-4f},
    {.name = "beta", .type = OI_ATTR_FLOAT, .offset = offsetof(lrn_attr, beta), .f = 0.75f},
    {.name = "bias", .type = OI_ATTR_FLOAT, .offset = offsetof(lrn_attr, bias), .f = 1.0f},
    {.name = "size", .type = OI_ATTR_INT, .offset = offsetof(lrn_attr, size), .flags = OI_ATTR_REQUIRED},
    {0},
};

const oi_op oi_op_LRN = {
    .name = "LRN", .domain = "", .since = 1, .newest = 13, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = lrn_attrs,
    .attr_size = sizeof(lrn_attr), .infer = infer, .eval = eval_lrn, .prepare = prepare_lrn,
};
const oi_op oi_op_LpNormalization = {
    .name = "LpNormalization", .domain = "", .since = 1, .newest = 22, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .attrs = lp_attrs, .attr_size = sizeof(lp_attr), .infer = infer, .eval = eval_lp,
};
