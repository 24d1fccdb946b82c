/* QuantizeLinear, DequantizeLinear (one scale, one along an axis, or one a block), DynamicQuantizeLinear. */
#include "kernels/bytes.h"
#include "ops/loop.h"
#include "ops/op.h"
#include "ops/target.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t axis, block_size, output_dtype, saturate, precision;
} quantize_attr;

extern const oi_op oi_op_QuantizeLinear;

/* How scales lie over x: [outer][n][inner], each block of `block` along the axis with scales of its own. */
typedef struct {
    int64_t outer, n, inner, block;
    int64_t blocks;  /* along the axis */
    bool along;      /* a scale for each inner element too (blocked), else one for all of them */
    bool one;        /* one scale in all */
} layout;

static oi_status lay_out(const char *op, const quantize_attr *a, const oi_tensor *x, const oi_tensor *scale, const oi_tensor *zero,
                         layout *l)
{
    int64_t count = oi_tensor_count(scale), axis = a->axis < 0 ? a->axis + x->rank : a->axis;
    OI_FAIL_IF(zero && oi_tensor_count(zero) != count, ONNX_INFER_E_SHAPE_MISMATCH, "%s: scale has %lld elements but the zero point has %lld",
               op, (long long)count, (long long)oi_tensor_count(zero));
    *l = (layout){.outer = 1, .n = 1, .inner = oi_tensor_count(x), .block = 1, .blocks = 1, .one = true};
    if (scale->rank == 0 || (scale->rank == 1 && count == 1 && !a->block_size))
        return ONNX_INFER_OK;
    if (scale->rank == 1 && x->rank == 1 && !a->block_size)
        axis = 0;
    OI_FAIL_IF(axis < 0 || axis >= x->rank, ONNX_INFER_E_INVALID_MODEL, "%s: axis %lld is out of range for rank %d", op,
               (long long)a->axis, (int)x->rank);
    l->one = false;
    oi_loop_axis(x->rank, x->dim, (int32_t)axis, &l->outer, &l->n, &l->inner);
    l->blocks = l->n;
    if (!a->block_size) {
        OI_FAIL_IF(scale->rank != 1 || count != l->n, ONNX_INFER_E_SHAPE_MISMATCH, "%s: axis %lld has %lld elements but there are %lld scales",
                   op, (long long)axis, (long long)l->n, (long long)count);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(a->block_size < 0 || scale->rank != x->rank, ONNX_INFER_E_SHAPE_MISMATCH,
               "%s: scales of blocks need rank %d and a positive block size", op, (int)x->rank);
    l->block = a->block_size < l->n || l->n == 0 ? a->block_size : l->n;
    l->blocks = (l->n + l->block - 1) / l->block;
    l->along = true;
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t want = i == axis ? l->blocks : x->dim[i];
        OI_FAIL_IF(scale->dim[i] != want, ONNX_INFER_E_SHAPE_MISMATCH, "%s: scale has %lld elements along axis %d, %lld are needed", op,
                   (long long)scale->dim[i], (int)i, (long long)want);
    }
    return ONNX_INFER_OK;
}

/* The scale of element `at` of x, and for how many elements on it holds or (step 1) goes on one by one. */
static int64_t scale_at(const layout *l, int64_t at, int64_t *index, int64_t *step)
{
    *step = 0;
    *index = 0;
    if (l->one)
        return INT64_MAX;
    int64_t i = at % l->inner, d = at / l->inner % l->n, o = at / l->inner / l->n;
    if (!l->along) {
        *index = d;
        if (l->inner > 1)
            return l->inner - i;
        *step = 1;
        return l->n - d;
    }
    *index = (o * l->blocks + d / l->block) * l->inner + i;
    if (l->inner > 1) {
        *step = 1;
        return l->inner - i;
    }
    int64_t end = (d / l->block + 1) * l->block;
    return (end < l->n ? end : l->n) - d;
}

enum { BLOCK = 256 };

typedef struct {
    layout l;
    oi_dtype x, y, scale;
    oi_dtype precision; /* that quotients and products are rounded to */
    bool saturate;
} quantize_state;

static float round_to(oi_dtype t, float v)
{
    return t == ONNX_INFER_FLOAT16 ? oi_half_to_float(oi_half_from_float(v)) :
           t == ONNX_INFER_BFLOAT16 ? oi_bfloat16_to_float(oi_bfloat16_from_float(v)) : v;
}

/* Up to BLOCK elements from `at`, with scales s and zero points z (NULL: 0) that advance by step. */
static void quantize_block(const quantize_state *q, const void *x, int64_t at, int64_t n, const float *s, const float *z, int64_t step,
                           void *y)
{
    float v[BLOCK];
    oi_convert(q->x, x, (size_t)at, ONNX_INFER_FLOAT, v, 0, (size_t)n, true);
    for (int64_t i = 0; i < n; i++)
        v[i] /= s[i * step];
    if (q->precision == ONNX_INFER_FLOAT16 || q->precision == ONNX_INFER_BFLOAT16) {
        for (int64_t i = 0; i < n; i++)
            v[i] = round_to(q->precision, v[i]);
    }
    if (oi_dtype_is_float(q->y)) {
        for (int64_t i = 0; z && i < n; i++)
            v[i] += z[i * step];
        oi_convert(ONNX_INFER_FLOAT, v, 0, q->y, y, (size_t)at, (size_t)n, q->saturate);
        return;
    }
    unsigned bits = oi_dtype_get(q->y)->bits;
    bool is_signed = oi_dtype_is_signed(q->y);
    float low = is_signed ? -(float)(1u << (bits - 1)) : 0, high = (float)((1u << (is_signed ? bits - 1 : bits)) - 1);
    int32_t whole[BLOCK];
    for (int64_t i = 0; i < n; i++) {
        float w = rintf(v[i]) + (z ? z[i * step] : 0);
        w = w > low ? w : low; /* NaN too */
        whole[i] = (int32_t)(w < high ? w : high);
    }
    oi_convert(ONNX_INFER_INT32, whole, 0, q->y, y, (size_t)at, (size_t)n, true);
}

static void dequantize_block(const quantize_state *q, const void *x, int64_t at, int64_t n, const float *s, const float *z, int64_t step,
                             void *y)
{
    float v[BLOCK];
    oi_convert(q->x, x, (size_t)at, ONNX_INFER_FLOAT, v, 0, (size_t)n, true);
    for (int64_t i = 0; i < n; i++)
        v[i] = (z ? v[i] - z[i * step] : v[i]) * s[i * step];
    oi_convert(ONNX_INFER_FLOAT, v, 0, q->y, y, (size_t)at, (size_t)n, true);
}

/* The common case: float32 and bytes, one scale. Loops of a fixed length become vectors at any level of optimisation.
 * Adding and taking away 1.5 * 2^23 rounds to even. */
enum { RUN = 64 };

static inline uint8_t quantize_one(float x, float s, float low, float high, float z)
{
    float v = x / s, whole = 12582912.0f;
    v = v > low ? v : low;
    v = v < high ? v : high;
    v = (v + whole) - whole;
    return (uint8_t)(int32_t)(v + z);
}

static void quantize_bytes(bool is_signed, int64_t n, const float *restrict x, float s, float z, uint8_t *restrict y)
{
    float low = (is_signed ? -128.0f : 0.0f) - z, high = (is_signed ? 127.0f : 255.0f) - z;
    int64_t i = 0;
    for (; n - i >= RUN; i += RUN) {
        for (int64_t k = 0; k < RUN; k++)
            y[i + k] = quantize_one(x[i + k], s, low, high, z);
    }
    for (; i < n; i++)
        y[i] = quantize_one(x[i], s, low, high, z);
}

static void dequantize_unsigned(int64_t n, const uint8_t *restrict x, float s, float z, float *restrict y)
{
    int64_t i = 0;
    for (; n - i >= RUN; i += RUN) {
        for (int64_t k = 0; k < RUN; k++)
            y[i + k] = ((float)x[i + k] - z) * s;
    }
    for (; i < n; i++)
        y[i] = ((float)x[i] - z) * s;
}

static void dequantize_signed(int64_t n, const int8_t *restrict x, float s, float z, float *restrict y)
{
    int64_t i = 0;
    for (; n - i >= RUN; i += RUN) {
        for (int64_t k = 0; k < RUN; k++)
            y[i + k] = ((float)x[i + k] - z) * s;
    }
    for (; i < n; i++)
        y[i] = ((float)x[i] - z) * s;
}

static bool is_byte(oi_dtype t)
{
    return t == ONNX_INFER_UINT8 || t == ONNX_INFER_INT8;
}

/* n elements from `at` with one scale; false where the general way must do it. */
static bool walk_bytes(const quantize_state *q, bool quantize, int64_t at, int64_t n, const void *x, float s, float z, void *y)
{
    if (quantize) {
        if (q->x != ONNX_INFER_FLOAT || !is_byte(q->y) || q->precision != ONNX_INFER_FLOAT)
            return false;
        quantize_bytes(q->y == ONNX_INFER_INT8, n, (const float *)x + at, s, z, (uint8_t *)y + at);
        return true;
    }
    if (q->y != ONNX_INFER_FLOAT || !is_byte(q->x))
        return false;
    if (q->x == ONNX_INFER_UINT8)
        dequantize_unsigned(n, (const uint8_t *)x + at, s, z, (float *)y + at);
    else
        dequantize_signed(n, (const int8_t *)x + at, s, z, (float *)y + at);
    return true;
}

static void walk(const quantize_state *q, bool quantize, int64_t first, int64_t count, const void *x, const void *scale, const void *zero,
                 void *y)
{
    float s[BLOCK], z[BLOCK];
    oi_dtype zero_type = quantize ? q->y : q->x;
    for (int64_t end = first + count, at = first; at < end;) {
        int64_t index, step, n = scale_at(&q->l, at, &index, &step);
        n = n < end - at ? n : end - at;
        if (!step) {
            oi_convert(q->scale, scale, (size_t)index, ONNX_INFER_FLOAT, s, 0, 1, true);
            z[0] = 0;
            if (zero)
                oi_convert(zero_type, zero, (size_t)index, ONNX_INFER_FLOAT, z, 0, 1, true);
            if (walk_bytes(q, quantize, at, n, x, s[0], z[0], y)) {
                at += n;
                continue;
            }
        }
        while (n > 0) {
            int64_t some = n < BLOCK ? n : BLOCK;
            size_t scales = step ? (size_t)some : 1;
            oi_convert(q->scale, scale, (size_t)index, ONNX_INFER_FLOAT, s, 0, scales, true);
            if (zero)
                oi_convert(zero_type, zero, (size_t)index, ONNX_INFER_FLOAT, z, 0, scales, true);
            (quantize ? quantize_block : dequantize_block)(q, x, at, some, s, zero ? z : NULL, step, y);
            at += some;
            n -= some;
            index += step * some;
        }
    }
}

/* --- the operators --- */

static oi_status result_type(const char *op, bool quantize, const quantize_attr *a, oi_dtype scale, oi_dtype zero, oi_dtype *out)
{
    OI_FAIL_IF(a->output_dtype < 0 || a->output_dtype >= OI_DTYPE_COUNT, ONNX_INFER_E_INVALID_MODEL, "%s: there is no element type %lld", op,
               (long long)a->output_dtype);
    oi_dtype asked = (oi_dtype)a->output_dtype;
    *out = asked ? asked : quantize ? (zero ? zero : ONNX_INFER_UINT8) : scale;
    OI_FAIL_IF(quantize && asked && zero && asked != zero, ONNX_INFER_E_TYPE_MISMATCH, "%s: output_dtype is %s but the zero point is %s", op,
               oi_dtype_name(asked), oi_dtype_name(zero));
    return ONNX_INFER_OK;
}

static bool quantized(oi_dtype t)
{
    return (oi_dtype_is_int(t) && oi_dtype_get(t)->bits <= 16) ||
           (oi_dtype_is_float(t) && oi_dtype_get(t)->bits <= 8 && t != ONNX_INFER_FLOAT8E8M0);
}

static bool real(oi_dtype t)
{
    return t == ONNX_INFER_FLOAT || t == ONNX_INFER_FLOAT16 || t == ONNX_INFER_BFLOAT16;
}

static oi_status check(const char *op, bool quantize, oi_dtype x, oi_dtype scale, oi_dtype y)
{
    bool x_good = quantize ? real(x) || x == ONNX_INFER_INT32 : quantized(x) || x == ONNX_INFER_INT32;
    OI_FAIL_IF(x && !x_good, ONNX_INFER_E_UNSUPPORTED_TYPE, "%s does not take element type %s", op, oi_dtype_name(x));
    OI_FAIL_IF(scale && !real(scale) && scale != ONNX_INFER_FLOAT8E8M0 && scale != ONNX_INFER_INT32, ONNX_INFER_E_UNSUPPORTED_TYPE,
               "%s: scales cannot be %s", op, oi_dtype_name(scale));
    OI_FAIL_IF(y && (quantize ? !quantized(y) : !real(y)), ONNX_INFER_E_UNSUPPORTED_TYPE, "%s does not make element type %s", op,
               oi_dtype_name(y));
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0], *zero = oi_infer_in(x, 2);
    bool quantize = x->op == &oi_op_QuantizeLinear;
    oi_dtype y;
    OI_TRY(result_type(x->op->name, quantize, x->attr, x->in[1]->dtype, zero ? zero->dtype : ONNX_INFER_UNDEFINED, &y));
    OI_TRY(check(x->op->name, quantize, f->dtype, x->in[1]->dtype, y));
    oi_infer_set(x, 0, y, f->shape.rank, f->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status make_state(const oi_op *op, const quantize_attr *a, const oi_tensor *x, const oi_tensor *scale, const oi_tensor *zero,
                            quantize_state *q)
{
    bool quantize = op == &oi_op_QuantizeLinear;
    *q = (quantize_state){.x = x->dtype, .scale = scale->dtype, .saturate = a->saturate != 0,
                          .precision = a->precision ? (oi_dtype)a->precision : scale->dtype};
    OI_TRY(result_type(op->name, quantize, a, scale->dtype, zero ? zero->dtype : ONNX_INFER_UNDEFINED, &q->y));
    OI_TRY(check(op->name, quantize, x->dtype, scale->dtype, q->y));
    return lay_out(op->name, a, x, scale, zero, &q->l);
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *scale = oi_eval_in(e, 1), *zero = oi_eval_in(e, 2);
    quantize_state q;
    if (!x || !scale)
        return oi_eval_bad_type(e, x ? 1 : 0);
    OI_TRY(make_state(e->op, e->attr, x, scale, zero, &q));
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, q.y, x->rank, x->dim, &y));
    walk(&q, e->op == &oi_op_QuantizeLinear, 0, oi_tensor_count(x), x->data, scale->data, zero ? zero->data : NULL, y->data);
    return ONNX_INFER_OK;
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const oi_step *step = r->step;
    int64_t first, n;
    oi_loop_flat(oi_tensor_count(&step->out[0]), step->n_tasks, task, &first, &n);
    walk(step->state, step->op == &oi_op_QuantizeLinear, first, n, r->in[0], r->in[1], step->nin > 2 ? r->in[2] : NULL, r->out[0]);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    quantize_state *q = oi_arena_mem(p->arena, sizeof *q);
    if (!q)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(make_state(step->op, step->attr, &step->in[0], &step->in[1], step->nin > 2 && step->in[2].dtype ? &step->in[2] : NULL, q));
    step->kernel = "loop";
    step->state = q;
    step->n_tasks = oi_loop_flat_tasks(oi_tensor_count(&step->out[0]));
    step->run = run;
    return ONNX_INFER_OK;
}

/* --- DynamicQuantizeLinear --- */

static oi_status infer_dynamic(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    oi_infer_set(x, 0, ONNX_INFER_UINT8, f->shape.rank, f->shape.dim);
    oi_infer_set(x, 1, ONNX_INFER_FLOAT, 0, NULL);
    oi_infer_set(x, 2, ONNX_INFER_UINT8, 0, NULL);
    return ONNX_INFER_OK;
}

/* Of n numbers and 0; NaN does not count. */
static void find_range(int64_t n, const float *v, float *low, float *high)
{
    *low = *high = 0;
    for (int64_t i = 0; i < n; i++) {
        *low = v[i] < *low ? v[i] : *low;
        *high = v[i] > *high ? v[i] : *high;
    }
}

static oi_status eval_dynamic(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0);
    if (!x || x->dtype != ONNX_INFER_FLOAT)
        return oi_eval_bad_type(e, 0);
    const float *v = x->data;
    int64_t n = oi_tensor_count(x);
    float low, high;
    find_range(n, v, &low, &high);
    float scale = (high - low) / 255, zero = scale > 0 ? rintf(0 - low / scale) : 0;
    uint8_t point = (uint8_t)(zero < 0 ? 0 : zero > 255 ? 255 : zero);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_UINT8, x->rank, x->dim, &y));
    quantize_state q = {.l = {.one = true}, .x = ONNX_INFER_FLOAT, .y = ONNX_INFER_UINT8, .scale = ONNX_INFER_FLOAT,
                        .precision = ONNX_INFER_FLOAT, .saturate = true};
    float divisor = scale > 0 ? scale : 1;
    walk(&q, true, 0, n, v, &divisor, &point, y->data);
    OI_TRY(oi_eval_out(e, 1, ONNX_INFER_FLOAT, 0, NULL, &y));
    *(float *)y->data = scale;
    OI_TRY(oi_eval_out(e, 2, ONNX_INFER_UINT8, 0, NULL, &y));
    *(uint8_t *)y->data = point;
    return ONNX_INFER_OK;
}

/* Phase 0: the range of each task's part. Phase 1: the parts in bytes, scale and zero point by the first. */
static oi_status run_dynamic(const oi_run *r, uint32_t task)
{
    const oi_kernels *kernels = r->step->state;
    const uint32_t parts = r->step->phase_end[0];
    const float *x = r->in[0];
    float *range = r->workspace, low = 0, high = 0, scale, zero;
    int64_t first, n;
    oi_loop_flat(oi_tensor_count(&r->step->in[0]), parts, task % parts, &first, &n);
    if (task < parts) {
        kernels->reduce_inner[OI_REDUCE_MIN](1, (size_t)n, x + first, (size_t)n, &range[2 * task]);
        kernels->reduce_inner[OI_REDUCE_MAX](1, (size_t)n, x + first, (size_t)n, &range[2 * task + 1]);
        if (range[2 * task] != range[2 * task])
            find_range(n, x + first, &range[2 * task], &range[2 * task + 1]);
        return ONNX_INFER_OK;
    }
    for (uint32_t i = 0; i < parts; i++) {
        low = range[2 * i] < low ? range[2 * i] : low;
        high = range[2 * i + 1] > high ? range[2 * i + 1] : high;
    }
    oi_bytes_scale(low, high, &scale, &zero);
    kernels->to_bytes((size_t)n, x + first, scale > 0 ? scale : 1, zero, (uint8_t *)r->out[0] + first);
    if (task == parts && r->out[1])
        *(float *)r->out[1] = scale;
    if (task == parts && r->out[2])
        *(uint8_t *)r->out[2] = (uint8_t)zero;
    return ONNX_INFER_OK;
}

static oi_status prepare_dynamic(oi_prepare *p)
{
    oi_step *step = p->step;
    int64_t count = oi_tensor_count(&step->in[0]);
    if (step->in[0].dtype != ONNX_INFER_FLOAT || count == 0 || !step->out[0].dtype)
        return ONNX_INFER_OK;
    uint32_t parts = oi_loop_flat_tasks(count);
    step->kernel = "loop";
    step->state = p->target->kernels;
    step->phases = 2;
    step->phase_end[0] = parts;
    step->n_tasks = step->phase_end[1] = 2 * parts;
    step->workspace = 2 * parts * sizeof(float);
    step->run = run_dynamic;
    return ONNX_INFER_OK;
}

/* --- definitions --- */

#define INT_ATTR(label, field, value) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(quantize_attr, field), .i = value}

static const oi_attr_spec quantize_attrs[] = {
    INT_ATTR("axis", axis, 1), INT_ATTR("block_size", block_size, 0), INT_ATTR("output_dtype", output_dtype, 0),
    INT_ATTR("precision", precision, 0), INT_ATTR("saturate", saturate, 1), {0},
};
static const oi_attr_spec dequantize_attrs[] = {
    INT_ATTR("axis", axis, 1), INT_ATTR("block_size", block_size, 0), INT_ATTR("output_dtype", output_dtype, 0), {0}};

const oi_op oi_op_QuantizeLinear = {
    .name = "QuantizeLinear", .domain = "", .since = 10, .newest = 28, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
    .attrs = quantize_attrs, .attr_size = sizeof(quantize_attr), .infer = infer, .eval = eval, .prepare = prepare,
};
const oi_op oi_op_DequantizeLinear = {
    .name = "DequantizeLinear", .domain = "", .since = 10, .newest = 28, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
    .attrs = dequantize_attrs, .attr_size = sizeof(quantize_attr), .infer = infer, .eval = eval, .prepare = prepare,
};
const oi_op oi_op_DynamicQuantizeLinear = {
    .name = "DynamicQuantizeLinear", .domain = "", .since = 11, .newest = 11, .min_in = 1, .max_in = 1, .min_out = 3, .max_out = 3,
    .infer = infer_dynamic, .eval = eval_dynamic, .prepare = prepare_dynamic,
};
