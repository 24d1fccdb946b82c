/* Elementwise functions of one tensor: arithmetic, trigonometry, activations, tests. */
#include "base/checked.h"
#include "ops/dtypes.h"
#include "ops/legacy.h"
#include "ops/loop.h"
#include "ops/op.h"
#include "ops/target.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef void unary_loop(size_t n, const void *x, void *y, const double *p);

#define TMPL "ops/tmpl/unary_float.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/unary_test.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/unary_test.inc"
#include "ops/tmpl/each_float8.inc"
#define TMPL "ops/tmpl/unary_int.inc"
#include "ops/tmpl/each_int.inc"

static void not_bool(size_t n, const void *x, void *y, const double *p)
{
    const uint8_t *src = x;
    uint8_t *dst = y;
    (void)p;
    for (size_t i = 0; i < n; i++)
        dst[i] = !src[i];
}

/* As QuantizeLinear and DequantizeLinear with one scale do it. */
static void quantise_and_back(size_t n, const void *x, void *y, const double *p)
{
    const float *src = x, scale = (float)p[0], zero = (float)p[1], whole = 12582912.0f;
    const float low = (p[2] != 0 ? -128.0f : 0.0f) - zero, high = (p[2] != 0 ? 127.0f : 255.0f) - zero;
    float *dst = y;
    for (size_t i = 0; i < n; i++) {
        float v = src[i] / scale;
        v = v > low ? v : low;
        v = v < high ? v : high;
        dst[i] = ((v + whole) - whole) * scale;
    }
}

/* Attributes of every operator here: floats p, integers mode. */
typedef struct {
    float p[2];
    int64_t mode[2];
} unary_attr;

#define FLOAT_ATTR(label, slot, value) {.name = label, .type = OI_ATTR_FLOAT, .offset = offsetof(unary_attr, p[slot]), .f = value}
#define INT_ATTR(label, slot, value) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(unary_attr, mode[slot]), .i = value}

typedef struct {
    const oi_op *op;
    unary_loop *loop[OI_DTYPE_COUNT];
    oi_unary kernel, kernel_alt; /* of float32; alt where mode[0] is set. NONE: the loop */
    oi_dtype result;             /* UNDEFINED: that of the input */
} unary_def;

static const unary_def *find(const oi_op *op);

static oi_status infer(oi_infer *x)
{
    const unary_def *d = find(x->op);
    oi_dtype dtype = x->in[0]->dtype;
    OI_FAIL_IF(dtype != ONNX_INFER_UNDEFINED && !d->loop[dtype], ONNX_INFER_E_UNSUPPORTED_TYPE,
               "input 0: %s does not take element type %s", x->op->name, oi_dtype_name(dtype));
    oi_infer_set_same(x, 0, 0);
    if (d->result)
        x->out[0].dtype = d->result;
    return ONNX_INFER_OK;
}

static oi_status infer_neg(oi_infer *x)
{
    oi_dim v[OI_SYM_CONTENT_MAX];
    int32_t n;
    OI_TRY(infer(x));
    n = oi_infer_content(x, 0, v, OI_SYM_CONTENT_MAX);
    for (int32_t i = 0; i < n; i++)
        v[i] = oi_dim_sub(x->syms, 0, v[i]);
    if (n > 0)
        oi_infer_set_content(x, 0, v, (uint32_t)n);
    return ONNX_INFER_OK;
}

static void parameters(const unary_attr *a, double *p)
{
    memset(p, 0, 4 * sizeof *p);
    if (!a)
        return;
    for (int i = 0; i < 2; i++) {
        p[i] = a->p[i];
        p[i + 2] = (double)a->mode[i];
    }
}

static oi_status eval(oi_eval *e)
{
    const unary_def *d = find(e->op);
    const oi_tensor *t = oi_eval_in(e, 0);
    unary_loop *loop = t ? d->loop[t->dtype] : NULL;
    if (!loop)
        return oi_eval_bad_type(e, 0);
    double p[4];
    parameters(e->attr, p);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, d->result ? d->result : t->dtype, t->rank, t->dim, &y));
    loop((size_t)oi_tensor_count(t), t->data, y->data, p);
    return ONNX_INFER_OK;
}

typedef struct {
    unary_loop *loop;
    oi_unary_fn *kernel; /* NULL: loop */
    int64_t n;
    size_t size_in, size_out;
    double p[4];
} unary_state;

static oi_status run(const oi_run *r, uint32_t task)
{
    const unary_state *s = r->step->state;
    int64_t first, n;
    oi_loop_flat(s->n, r->step->n_tasks, task, &first, &n);
    const char *x = (const char *)r->in[0] + (size_t)first * s->size_in;
    char *y = (char *)r->out[0] + (size_t)first * s->size_out;
    if (s->kernel)
        s->kernel((size_t)n, (const float *)x, (float *)y, (float)s->p[0], (float)s->p[1]);
    else
        s->loop((size_t)n, x, y, s->p);
    return ONNX_INFER_OK;
}

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const unary_def *d = find(step->op);
    oi_dtype dtype = step->in[0].dtype;
    if (!d->loop[dtype])
        return ONNX_INFER_OK;
    unary_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->loop = d->loop[dtype];
    s->n = oi_tensor_count(&step->out[0]);
    s->size_in = oi_dtype_size(dtype);
    s->size_out = oi_dtype_size(step->out[0].dtype);
    parameters(step->attr, s->p);
    oi_unary kind = s->p[2] != 0 && d->kernel_alt ? d->kernel_alt : d->kernel;
    if (dtype == ONNX_INFER_FLOAT && kind != OI_UNARY_NONE) {
        s->kernel = p->target->kernels->unary[kind];
        step->kernel = "vector";
    } else {
        step->kernel = "loop";
    }
    step->state = s;
    step->n_tasks = oi_loop_flat_tasks(s->n);
    step->in_place = s->size_in == s->size_out ? 0 : -1;
    step->run = run;
    return ONNX_INFER_OK;
}

#define UNARY(id, first, latest)                                                                                  \
    .name = #id, .domain = "", .since = first, .newest = latest, .flags = OI_OP_ELEMENTWISE, .min_in = 1,         \
    .max_in = 1, .min_out = 1, .max_out = 1, .import = oi_import_unary, .eval = eval, .prepare = prepare
#define PLAIN(id, first, latest) const oi_op oi_op_##id = {UNARY(id, first, latest), .infer = infer}
#define WITH(id, first, latest, specs) \
    const oi_op oi_op_##id = {UNARY(id, first, latest), .infer = infer, .attrs = specs, .attr_size = sizeof(unary_attr)}

static const oi_attr_spec is_inf_attrs[] = {INT_ATTR("detect_negative", 0, 1), INT_ATTR("detect_positive", 1, 1), {0}};
static const oi_attr_spec leaky_relu_attrs[] = {FLOAT_ATTR("alpha", 0, 0.01f), {0}};
static const oi_attr_spec alpha1_attrs[] = {FLOAT_ATTR("alpha", 0, 1.0f), {0}};
static const oi_attr_spec selu_attrs[] = {
    FLOAT_ATTR("alpha", 0, 1.67326319217681884765625f), FLOAT_ATTR("gamma", 1, 1.05070102214813232421875f), {0}};
static const oi_attr_spec hard_sigmoid_attrs[] = {FLOAT_ATTR("alpha", 0, 0.2f), FLOAT_ATTR("beta", 1, 0.5f), {0}};
static const oi_attr_spec shrink_attrs[] = {FLOAT_ATTR("bias", 0, 0.0f), FLOAT_ATTR("lambd", 1, 0.5f), {0}};
static const oi_attr_spec gelu_attrs[] = {
    {.name = "approximate", .type = OI_ATTR_ENUM, .offset = offsetof(unary_attr, mode[0]), .s = "none|tanh"}, {0}};


static oi_status import_selu(oi_import *im)
{
    OI_TRY(oi_import_unary(im));
    if (im->opset < 6 && !oi_import_find(im, "alpha"))
        OI_TRY(oi_import_set_float(im, "alpha", 1.6732f));
    if (im->opset < 6 && !oi_import_find(im, "gamma"))
        OI_TRY(oi_import_set_float(im, "gamma", 1.0507f));
    return ONNX_INFER_OK;
}

PLAIN(Abs, 1, 13);
PLAIN(Acos, 7, 22);
PLAIN(Acosh, 9, 22);
PLAIN(Asin, 7, 22);
PLAIN(Asinh, 9, 22);
PLAIN(Atan, 7, 22);
PLAIN(Atanh, 9, 22);
PLAIN(Ceil, 1, 13);
PLAIN(Cos, 7, 22);
PLAIN(Cosh, 9, 22);
PLAIN(Erf, 9, 13);
PLAIN(Exp, 1, 13);
PLAIN(Floor, 1, 13);
PLAIN(Log, 1, 13);
const oi_op oi_op_Neg = {UNARY(Neg, 1, 13), .infer = infer_neg};
PLAIN(Reciprocal, 1, 13);
PLAIN(Round, 11, 22);
PLAIN(Sigmoid, 1, 13);
PLAIN(Sign, 9, 13);
PLAIN(Sin, 7, 22);
PLAIN(Sinh, 9, 22);
PLAIN(Softplus, 1, 22);
PLAIN(Softsign, 1, 22);
PLAIN(Sqrt, 1, 13);
PLAIN(Tan, 7, 22);
PLAIN(Tanh, 1, 13);
PLAIN(Relu, 1, 14);
WITH(LeakyRelu, 1, 16, leaky_relu_attrs);
WITH(ThresholdedRelu, 10, 22, alpha1_attrs);
WITH(Elu, 1, 22, alpha1_attrs);
const oi_op oi_op_Selu = {
    .name = "Selu", .domain = "", .since = 1, .newest = 22, .flags = OI_OP_ELEMENTWISE, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 1, .import = import_selu, .infer = infer, .eval = eval, .prepare = prepare, .attrs = selu_attrs,
    .attr_size = sizeof(unary_attr),
};
WITH(Celu, 12, 28, alpha1_attrs);
WITH(HardSigmoid, 1, 22, hard_sigmoid_attrs);
PLAIN(HardSwish, 14, 22);
WITH(Gelu, 20, 20, gelu_attrs);
PLAIN(Mish, 18, 22);
WITH(Swish, 24, 24, alpha1_attrs);
WITH(Shrink, 9, 9, shrink_attrs);
static const oi_attr_spec quantise_attrs[] = {
    FLOAT_ATTR("scale", 0, 1.0f), FLOAT_ATTR("zero_point", 1, 0.0f), INT_ATTR("signed", 0, 0), {0}};
const oi_op oi_op_oi_QuantizeDequantize = {
    .name = "QuantizeDequantize", .domain = "onnx_infer", .since = 1, .newest = 1, .flags = OI_OP_ELEMENTWISE | OI_OP_LOWERED_ONLY,
    .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .infer = infer, .eval = eval, .prepare = prepare, .attrs = quantise_attrs,
    .attr_size = sizeof(unary_attr),
};
PLAIN(Not, 1, 1);
PLAIN(BitwiseNot, 18, 18);
PLAIN(IsNaN, 9, 20);
WITH(IsInf, 10, 20, is_inf_attrs);

static const unary_def defs[] = {
    {.op = &oi_op_Abs, .loop = {OI_FLOAT_ROWS(abs), OI_INT_ROWS(abs)}, .kernel = OI_UNARY_ABS},
    {.op = &oi_op_Acos, .loop = {OI_FLOAT_ROWS(acos)}},
    {.op = &oi_op_Acosh, .loop = {OI_FLOAT_ROWS(acosh)}},
    {.op = &oi_op_Asin, .loop = {OI_FLOAT_ROWS(asin)}},
    {.op = &oi_op_Asinh, .loop = {OI_FLOAT_ROWS(asinh)}},
    {.op = &oi_op_Atan, .loop = {OI_FLOAT_ROWS(atan)}},
    {.op = &oi_op_Atanh, .loop = {OI_FLOAT_ROWS(atanh)}},
    {.op = &oi_op_Ceil, .loop = {OI_FLOAT_ROWS(ceil)}, .kernel = OI_UNARY_CEIL},
    {.op = &oi_op_Cos, .loop = {OI_FLOAT_ROWS(cos)}, .kernel = OI_UNARY_COS},
    {.op = &oi_op_Cosh, .loop = {OI_FLOAT_ROWS(cosh)}},
    {.op = &oi_op_Erf, .loop = {OI_FLOAT_ROWS(erf), OI_INT_ROWS(erf)}, .kernel = OI_UNARY_ERF},
    {.op = &oi_op_Exp, .loop = {OI_FLOAT_ROWS(exp)}, .kernel = OI_UNARY_EXP},
    {.op = &oi_op_Floor, .loop = {OI_FLOAT_ROWS(floor)}, .kernel = OI_UNARY_FLOOR},
    {.op = &oi_op_Log, .loop = {OI_FLOAT_ROWS(log)}, .kernel = OI_UNARY_LOG},
    {.op = &oi_op_Neg, .loop = {OI_FLOAT_ROWS(neg), OI_INT_ROWS(neg)}, .kernel = OI_UNARY_NEG},
    {.op = &oi_op_Reciprocal, .loop = {OI_FLOAT_ROWS(reciprocal)}, .kernel = OI_UNARY_RECIPROCAL},
    {.op = &oi_op_Round, .loop = {OI_FLOAT_ROWS(round)}, .kernel = OI_UNARY_ROUND},
    {.op = &oi_op_Sigmoid, .loop = {OI_FLOAT_ROWS(sigmoid)}, .kernel = OI_UNARY_SIGMOID},
    {.op = &oi_op_Sign, .loop = {OI_FLOAT_ROWS(sign), OI_INT_ROWS(sign)}, .kernel = OI_UNARY_SIGN},
    {.op = &oi_op_Sin, .loop = {OI_FLOAT_ROWS(sin)}, .kernel = OI_UNARY_SIN},
    {.op = &oi_op_Sinh, .loop = {OI_FLOAT_ROWS(sinh)}},
    {.op = &oi_op_Softplus, .loop = {OI_FLOAT_ROWS(softplus)}, .kernel = OI_UNARY_SOFTPLUS},
    {.op = &oi_op_Softsign, .loop = {OI_FLOAT_ROWS(softsign)}, .kernel = OI_UNARY_SOFTSIGN},
    {.op = &oi_op_Sqrt, .loop = {OI_FLOAT_ROWS(sqrt)}, .kernel = OI_UNARY_SQRT},
    {.op = &oi_op_Tan, .loop = {OI_FLOAT_ROWS(tan)}},
    {.op = &oi_op_Tanh, .loop = {OI_FLOAT_ROWS(tanh)}, .kernel = OI_UNARY_TANH},
    {.op = &oi_op_Relu, .loop = {OI_FLOAT_ROWS(relu), OI_INT_ROWS(relu)}, .kernel = OI_UNARY_RELU},
    {.op = &oi_op_LeakyRelu, .loop = {OI_FLOAT_ROWS(leaky_relu)}, .kernel = OI_UNARY_LEAKY_RELU},
    {.op = &oi_op_ThresholdedRelu, .loop = {OI_FLOAT_ROWS(thresholded_relu)}, .kernel = OI_UNARY_THRESHOLDED_RELU},
    {.op = &oi_op_Elu, .loop = {OI_FLOAT_ROWS(elu)}, .kernel = OI_UNARY_ELU},
    {.op = &oi_op_Selu, .loop = {OI_FLOAT_ROWS(selu)}, .kernel = OI_UNARY_SELU},
    {.op = &oi_op_Celu, .loop = {OI_FLOAT_ROWS(celu)}, .kernel = OI_UNARY_CELU},
    {.op = &oi_op_HardSigmoid, .loop = {OI_FLOAT_ROWS(hard_sigmoid)}, .kernel = OI_UNARY_HARD_SIGMOID},
    {.op = &oi_op_HardSwish, .loop = {OI_FLOAT_ROWS(hard_swish)}, .kernel = OI_UNARY_HARD_SWISH},
    {.op = &oi_op_Gelu, .loop = {OI_FLOAT_ROWS(gelu)}, .kernel = OI_UNARY_GELU_ERF, .kernel_alt = OI_UNARY_GELU_TANH},
    {.op = &oi_op_Mish, .loop = {OI_FLOAT_ROWS(mish)}, .kernel = OI_UNARY_MISH},
    {.op = &oi_op_Swish, .loop = {OI_FLOAT_ROWS(swish)}, .kernel = OI_UNARY_SWISH},
    {.op = &oi_op_oi_QuantizeDequantize, .loop = {[ONNX_INFER_FLOAT] = quantise_and_back}, .kernel = OI_UNARY_QUANTISE_U8,
     .kernel_alt = OI_UNARY_QUANTISE_S8},
    {.op = &oi_op_Shrink, .loop = {OI_FLOAT_ROWS(shrink), OI_INT_ROWS(shrink)}},
    {.op = &oi_op_Not, .loop = {[ONNX_INFER_BOOL] = not_bool}},
    {.op = &oi_op_BitwiseNot, .loop = {OI_INT_ROWS(bitwise_not)}},
    {.op = &oi_op_IsNaN, .loop = {OI_FLOAT_ROWS(is_nan), [ONNX_INFER_FLOAT8E4M3FN] = is_nan_e4m3fn, [ONNX_INFER_FLOAT8E4M3FNUZ] = is_nan_e4m3fnuz,
      [ONNX_INFER_FLOAT8E5M2] = is_nan_e5m2, [ONNX_INFER_FLOAT8E5M2FNUZ] = is_nan_e5m2fnuz, [ONNX_INFER_FLOAT8E8M0] = is_nan_e8m0},
     .result = ONNX_INFER_BOOL},
    {.op = &oi_op_IsInf, .loop = {OI_FLOAT_ROWS(is_inf), [ONNX_INFER_FLOAT8E4M3FN] = is_inf_e4m3fn, [ONNX_INFER_FLOAT8E4M3FNUZ] = is_inf_e4m3fnuz,
      [ONNX_INFER_FLOAT8E5M2] = is_inf_e5m2, [ONNX_INFER_FLOAT8E5M2FNUZ] = is_inf_e5m2fnuz, [ONNX_INFER_FLOAT8E8M0] = is_inf_e8m0},
     .result = ONNX_INFER_BOOL},
};

static const unary_def *find(const oi_op *op)
{
    const unary_def *d = defs;
    while (d->op != op)
        d++;
    return d;
}
