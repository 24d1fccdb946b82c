/* Contributed operators on quantised tensors: dequantised, the operator of the standard, quantised again; products of bytes
 * with their scales. */
#include "ops/contrib.h"

#include <string.h>

static oi_value_id dequantized(oi_expand *x, uint32_t at)
{
    return OI_NODE(x, "DequantizeLinear", NULL, oi_expand_in(x, at), oi_expand_in(x, at + 1), oi_expand_in(x, at + 2));
}

/* v by the scale and zero point at input `at`; without a zero point in the type of input `like`. */
static oi_value_id quantized(oi_expand *x, oi_value_id v, uint32_t at, uint32_t like)
{
    oi_value_id zero = oi_expand_in(x, at + 1);
    if (zero == OI_NONE)
        zero = oi_expand_scalar(x, 0, oi_expand_in(x, like));
    return OI_NODE(x, "QuantizeLinear", NULL, v, oi_expand_in(x, at), zero);
}

/* --- two operands --- */

static oi_status import_binary(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const char *op = im->op->name + strlen("QLinear");
    oi_expand_out(&x, 0, quantized(&x, OI_NODE(&x, op, NULL, dequantized(&x, 0), dequantized(&x, 3)), 6, 0));
    return oi_expand_end(&x);
}

/* condition, then both with scale and zero point */
static oi_status import_where(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    oi_expand_out(&x, 0, quantized(&x, OI_NODE(&x, "Where", NULL, im->in[0], dequantized(&x, 1), dequantized(&x, 4)), 7, 1));
    return oi_expand_end(&x);
}

typedef struct {
    int64_t axis;
} axis_attr;

static const oi_attr_spec concat_attrs[] = {OI_NEEDED_INT(axis_attr, axis), {0}};

/* scale and zero point of the result, then each tensor with its own */
static oi_status import_concat(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const axis_attr *a = x.attr;
    OI_FAIL_IF(im->nin % 3 != 2, ONNX_INFER_E_INVALID_MODEL, "it has %u inputs; each tensor needs a scale and a zero point", im->nin);
    uint32_t n = (im->nin - 2) / 3;
    oi_value_id *part = oi_arena_array(im->g->arena, n + 1, sizeof *part);
    if (!part)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++)
        part[i] = dequantized(&x, 2 + 3 * i);
    oi_value_id v = oi_expand_node(&x, "Concat", oi_expand_text(&x, "axis=%lld", (long long)a->axis), n, part);
    oi_expand_out(&x, 0, quantized(&x, v, 0, 2));
    return oi_expand_end(&x);
}

/* --- one operand: X, its scale and zero point, those of the result --- */

typedef struct {
    float alpha;
} leaky_attr;

static const oi_attr_spec leaky_attrs[] = {OI_FLOAT_ATTR(leaky_attr, alpha, 0.01f), {0}};

static oi_status import_unary(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    oi_value_id v = dequantized(&x, 0);
    oi_expand_out(&x, 0, quantized(&x, oi_expand_same(&x, im->op->name + strlen("QLinear"), 1, &v), 3, 0));
    return oi_expand_end(&x);
}

typedef struct {
    int64_t axis, opset;
} softmax_attr;

static const oi_attr_spec softmax_attrs[] = {OI_INT_ATTR(softmax_attr, axis, -1), OI_NEEDED_INT(softmax_attr, opset), {0}};

/* Before opset 13 everything from the axis on was one axis. */
static oi_status import_softmax(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const softmax_attr *a = x.attr;
    oi_value_id v = dequantized(&x, 0);
    const char *axis = oi_expand_text(&x, "axis=%lld", (long long)a->axis);
    if (a->opset >= 13)
        v = OI_NODE(&x, "Softmax", axis, v);
    else
        v = OI_NODE(&x, "Reshape", NULL, OI_NODE(&x, "Softmax", "axis=-1", OI_NODE(&x, "Flatten", axis, v)), OI_NODE(&x, "Shape", NULL, v));
    oi_expand_out(&x, 0, quantized(&x, v, 3, 0));
    return oi_expand_end(&x);
}

typedef struct {
    const char *auto_pad;
    oi_ints dilations, kernel_shape, pads, strides;
    int64_t ceil_mode, channels_last, count_include_pad, group;
} window_attr;

static const oi_attr_spec pool_attrs[] = {
    OI_TEXT_ATTR(window_attr, auto_pad), OI_INT_ATTR(window_attr, ceil_mode, 0), OI_INT_ATTR(window_attr, channels_last, 0),
    OI_INT_ATTR(window_attr, count_include_pad, 0), OI_INTS_ATTR(window_attr, kernel_shape), OI_INTS_ATTR(window_attr, pads),
    OI_INTS_ATTR(window_attr, strides), {0}};
static const oi_attr_spec global_attrs[] = {OI_INT_ATTR(window_attr, channels_last, 0), {0}};
static const oi_attr_spec conv_attrs[] = {
    OI_TEXT_ATTR(window_attr, auto_pad), OI_INT_ATTR(window_attr, channels_last, 0), OI_INTS_ATTR(window_attr, dilations),
    OI_INT_ATTR(window_attr, group, 1), OI_INTS_ATTR(window_attr, kernel_shape), OI_INTS_ATTR(window_attr, pads),
    OI_INTS_ATTR(window_attr, strides), {0}};

static oi_status import_pool(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const window_attr *a = x.attr;
    oi_value_id v = dequantized(&x, 0);
    oi_import_drop(im, "channels_last");
    if (a->channels_last)
        v = oi_expand_channels_first(&x, v);
    v = quantized(&x, oi_expand_same(&x, im->op->name + strlen("QLinear"), 1, &v), 3, 0);
    oi_expand_out(&x, 0, a->channels_last ? oi_expand_channels_last(&x, v) : v);
    return oi_expand_end(&x);
}

static oi_status import_conv(oi_import *im)
{
    oi_expand x;
    oi_value_id in[9];
    OI_TRY(oi_expand_begin(&x, im));
    const window_attr *a = x.attr;
    for (uint32_t i = 0; i < 9; i++)
        in[i] = oi_expand_in(&x, i);
    oi_import_drop(im, "channels_last");
    if (a->channels_last)
        in[0] = oi_expand_channels_first(&x, in[0]);
    oi_value_id v = oi_expand_same(&x, "QLinearConv", 9, in);
    oi_expand_out(&x, 0, a->channels_last ? oi_expand_channels_last(&x, v) : v);
    return oi_expand_end(&x);
}

typedef struct {
    oi_ints axes;
    int64_t keepdims;
} mean_attr;

static const oi_attr_spec mean_attrs[] = {OI_INTS_ATTR(mean_attr, axes), OI_NEEDED_INT(mean_attr, keepdims), {0}};

static oi_status import_mean(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const mean_attr *a = x.attr;
    oi_value_id axes = a->axes.n ? oi_expand_ints(&x, 1, a->axes.n, a->axes.at) : OI_NONE;
    oi_value_id v = OI_NODE(&x, "ReduceMean", oi_expand_text(&x, "keepdims=%lld", (long long)a->keepdims), dequantized(&x, 0), axes);
    oi_expand_out(&x, 0, quantized(&x, v, 3, 0));
    return oi_expand_end(&x);
}

/* --- products --- */

/* A, B, their scales (the left one may be left out), zero points and the bias */
static oi_value_id product(oi_expand *x, oi_value_id a, oi_value_id b, oi_value_id scale, oi_value_id a_zero, oi_value_id b_zero,
                           oi_value_id bias)
{
    oi_value_id sum = OI_NODE(x, "Cast", "to=1", OI_NODE(x, "MatMulInteger", NULL, a, b, a_zero, b_zero));
    oi_value_id v = OI_NODE(x, "CastLike", NULL, oi_expand_mul(x, sum, scale), scale);
    return oi_expand_add(x, v, bias);
}

static oi_status import_to_float(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    oi_value_id scale = oi_expand_mul(&x, im->in[2], im->in[3]);
    oi_expand_out(&x, 0, product(&x, im->in[0], im->in[1], scale, oi_expand_in(&x, 4), oi_expand_in(&x, 5), oi_expand_in(&x, 6)));
    return oi_expand_end(&x);
}

static oi_status import_dynamic(oi_import *im)
{
    oi_expand x;
    oi_value_id a[3];
    OI_TRY(oi_expand_begin(&x, im));
    oi_expand_nodes(&x, "DynamicQuantizeLinear", NULL, 1, im->in, 3, a);
    oi_value_id scale = oi_expand_mul(&x, a[1], im->in[2]);
    oi_expand_out(&x, 0, product(&x, a[0], im->in[1], scale, a[2], oi_expand_in(&x, 3), oi_expand_in(&x, 4)));
    return oi_expand_end(&x);
}

typedef struct {
    int64_t transA, transB;
    float alpha;
} gemm_attr;

static const oi_attr_spec gemm_attrs[] = {
    OI_FLOAT_ATTR(gemm_attr, alpha, 1.0f), OI_INT_ATTR(gemm_attr, transA, 0), OI_INT_ATTR(gemm_attr, transB, 0), {0}};

/* A, B each with scale and zero point; C of the product's scale; scale and zero point of Y, or Y is float32 */
static oi_status import_gemm(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const gemm_attr *a = x.attr;
    oi_value_id left = im->in[0], right = im->in[3];
    if (a->transA)
        left = OI_NODE(&x, "Transpose", "perm=[1,0]", left);
    if (a->transB)
        right = OI_NODE(&x, "Transpose", "perm=[1,0]", right);
    oi_value_id sum = OI_NODE(&x, "MatMulInteger", NULL, left, right, im->in[2], oi_expand_in(&x, 5));
    oi_value_id scale = oi_expand_mul(&x, im->in[1], im->in[4]);
    if (a->alpha != 1)
        scale = oi_expand_mul(&x, scale, oi_expand_scalar(&x, a->alpha, im->in[1]));
    oi_value_id v = oi_expand_mul(&x, OI_NODE(&x, "Cast", "to=1", oi_expand_add(&x, sum, oi_expand_in(&x, 6))), scale);
    oi_expand_out(&x, 0, oi_expand_in(&x, 7) == OI_NONE ? v : quantized(&x, v, 7, 0));
    return oi_expand_end(&x);
}

#define MS "com.microsoft"

const oi_op oi_op_ms_QLinearAdd = {OI_EXPANDED("QLinearAdd", MS, 7, 8, 1, 1, import_binary)};
const oi_op oi_op_ms_QLinearMul = {OI_EXPANDED("QLinearMul", MS, 7, 8, 1, 1, import_binary)};
const oi_op oi_op_ms_QLinearWhere = {OI_EXPANDED("QLinearWhere", MS, 9, 9, 1, 1, import_where)};
const oi_op oi_op_ms_QLinearConcat = {OI_EXPANDED("QLinearConcat", MS, 5, UINT16_MAX, 1, 1, import_concat), OI_WITH(concat_attrs, axis_attr)};
const oi_op oi_op_ms_QLinearSigmoid = {OI_EXPANDED("QLinearSigmoid", MS, 4, 5, 1, 1, import_unary)};
const oi_op oi_op_ms_QLinearLeakyRelu = {OI_EXPANDED("QLinearLeakyRelu", MS, 4, 5, 1, 1, import_unary), OI_WITH(leaky_attrs, leaky_attr)};
const oi_op oi_op_ms_QLinearSoftmax = {OI_EXPANDED("QLinearSoftmax", MS, 5, 5, 1, 1, import_softmax), OI_WITH(softmax_attrs, softmax_attr)};
const oi_op oi_op_ms_QLinearAveragePool = {OI_EXPANDED("QLinearAveragePool", MS, 4, 5, 1, 1, import_pool), OI_WITH(pool_attrs, window_attr)};
const oi_op oi_op_ms_QLinearGlobalAveragePool = {
    OI_EXPANDED("QLinearGlobalAveragePool", MS, 5, 5, 1, 1, import_pool), OI_WITH(global_attrs, window_attr)};
const oi_op oi_op_ms_QLinearConv = {OI_EXPANDED("QLinearConv", MS, 8, 9, 1, 1, import_conv), OI_WITH(conv_attrs, window_attr)};
const oi_op oi_op_ms_QLinearReduceMean = {OI_EXPANDED("QLinearReduceMean", MS, 4, 5, 1, 1, import_mean), OI_WITH(mean_attrs, mean_attr)};
const oi_op oi_op_ms_MatMulIntegerToFloat = {OI_EXPANDED("MatMulIntegerToFloat", MS, 4, 7, 1, 1, import_to_float)};
const oi_op oi_op_ms_DynamicQuantizeMatMul = {OI_EXPANDED("DynamicQuantizeMatMul", MS, 3, 5, 1, 1, import_dynamic)};
const oi_op oi_op_ms_QGemm = {OI_EXPANDED("QGemm", MS, 6, 9, 1, 1, import_gemm), OI_WITH(gemm_attrs, gemm_attr)};
