/* Contributed products with something fused into them: transposes and factors, sums and activations; convolutions and
 * pools with the channels last. */
#include "ops/contrib.h"

#include <math.h>

/* --- products --- */

typedef struct {
    int64_t transA, transB, transBatchA, transBatchB;
    float alpha;
} matmul_attr;

static const oi_attr_spec matmul_attrs[] = {
    OI_FLOAT_ATTR(matmul_attr, alpha, 1.0f), OI_INT_ATTR(matmul_attr, transA, 0), OI_INT_ATTR(matmul_attr, transB, 0),
    OI_INT_ATTR(matmul_attr, transBatchA, 0), OI_INT_ATTR(matmul_attr, transBatchB, 0), {0}};

static oi_value_id operand(oi_expand *x, oi_value_id v, bool matrix, bool batch)
{
    if (batch)
        return OI_NODE(x, "Einsum", matrix ? "equation='b...i->...ib'" : "equation='b...i->...bi'", v);
    return matrix ? oi_expand_swap(x, v) : v;
}

static oi_status import_matmul(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const matmul_attr *a = x.attr;
    oi_value_id v = OI_NODE(&x, "MatMul", NULL, operand(&x, im->in[0], a->transA, a->transBatchA),
                            operand(&x, im->in[1], a->transB, a->transBatchB));
    oi_expand_out(&x, 0, a->alpha == 1 ? v : oi_expand_mul(&x, v, oi_expand_scalar(&x, a->alpha, im->in[0])));
    return oi_expand_end(&x);
}

typedef struct {
    int64_t transA, transB;
    float alpha, beta, activation_alpha, activation_beta, activation_gamma;
    const char *activation;
} gemm_attr;

static const oi_attr_spec gemm_attrs[] = {
    OI_TEXT_ATTR(gemm_attr, activation), OI_FLOAT_ATTR(gemm_attr, activation_alpha, NAN), OI_FLOAT_ATTR(gemm_attr, activation_beta, NAN),
    OI_FLOAT_ATTR(gemm_attr, activation_gamma, NAN), OI_FLOAT_ATTR(gemm_attr, alpha, 1.0f), OI_FLOAT_ATTR(gemm_attr, beta, 1.0f),
    OI_INT_ATTR(gemm_attr, transA, 0), OI_INT_ATTR(gemm_attr, transB, 0), {0}};

static oi_status import_gemm(oi_import *im)
{
    static const char *const extra[] = {"activation", "activation_alpha", "activation_beta", "activation_gamma"};
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const gemm_attr *a = x.attr;
    for (size_t i = 0; i < sizeof extra / sizeof *extra; i++)
        oi_import_drop(im, extra[i]);
    const float p[] = {a->activation_alpha, isnan(a->activation_beta) ? a->activation_gamma : a->activation_beta};
    oi_expand_out(&x, 0, oi_expand_activation(&x, a->activation, 2, p, oi_expand_same(&x, "Gemm", im->nin, im->in)));
    return oi_expand_end(&x);
}

/* --- convolutions --- */

typedef struct {
    const char *activation, *auto_pad;
    oi_floats activation_params;
    oi_ints dilations, kernel_shape, pads, strides;
    int64_t group;
} conv_attr;

#define CONV_ATTRS                                                                                                     \
    OI_TEXT_ATTR(conv_attr, auto_pad), OI_INTS_ATTR(conv_attr, dilations), OI_INT_ATTR(conv_attr, group, 1),           \
    OI_INTS_ATTR(conv_attr, kernel_shape), OI_INTS_ATTR(conv_attr, pads), OI_INTS_ATTR(conv_attr, strides)

static const oi_attr_spec conv_attrs[] = {CONV_ATTRS, {0}};
static const oi_attr_spec fused_conv_attrs[] = {
    OI_TEXT_ATTR(conv_attr, activation),
    {.name = "activation_params", .type = OI_ATTR_FLOATS, .offset = offsetof(conv_attr, activation_params)}, CONV_ATTRS, {0}};

/* Inputs: data, weights, bias, what to add. NhwcConv has the channels of its weights last too; NhwcFusedConv has not. */
static oi_status import_conv(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const conv_attr *a = x.attr;
    bool last = im->op != &oi_op_ms_FusedConv;
    oi_value_id in[3] = {im->in[0], im->in[1], oi_expand_in(&x, 2)}, sum = oi_expand_in(&x, 3), v;
    oi_import_drop(im, "activation");
    oi_import_drop(im, "activation_params");
    if (last)
        in[0] = oi_expand_channels_first(&x, in[0]);
    if (im->op == &oi_op_ms_NhwcConv)
        in[1] = oi_expand_channels_first(&x, in[1]);
    if (last && sum != OI_NONE)
        sum = oi_expand_channels_first(&x, sum);
    v = oi_expand_add(&x, oi_expand_same(&x, "Conv", 3, in), sum);
    v = oi_expand_activation(&x, a->activation, a->activation_params.n, a->activation_params.at, v);
    oi_expand_out(&x, 0, last ? oi_expand_channels_last(&x, v) : v);
    return oi_expand_end(&x);
}

typedef struct {
    const char *auto_pad;
    oi_ints dilations, kernel_shape, pads, strides;
    int64_t ceil_mode;
} pool_attr;

static const oi_attr_spec pool_attrs[] = {
    OI_TEXT_ATTR(pool_attr, auto_pad), OI_INT_ATTR(pool_attr, ceil_mode, 0), OI_INTS_ATTR(pool_attr, dilations),
    OI_INTS_ATTR(pool_attr, kernel_shape), OI_INTS_ATTR(pool_attr, pads), OI_INTS_ATTR(pool_attr, strides), {0}};

static oi_status import_pool(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    oi_value_id v = oi_expand_channels_first(&x, im->in[0]);
    oi_expand_out(&x, 0, oi_expand_channels_last(&x, oi_expand_same(&x, "MaxPool", 1, &v)));
    return oi_expand_end(&x);
}

#define MS "com.microsoft"

const oi_op oi_op_ms_FusedMatMul = {OI_EXPANDED("FusedMatMul", MS, 2, 2, 1, 1, import_matmul), OI_WITH(matmul_attrs, matmul_attr)};
const oi_op oi_op_ms_TransposeMatMul = {OI_EXPANDED("TransposeMatMul", MS, 2, 2, 1, 1, import_matmul), OI_WITH(matmul_attrs, matmul_attr)};
const oi_op oi_op_ms_FusedGemm = {OI_EXPANDED("FusedGemm", MS, 2, 3, 1, 1, import_gemm), OI_WITH(gemm_attrs, gemm_attr)};
const oi_op oi_op_ms_FusedConv = {OI_EXPANDED("FusedConv", MS, 2, 4, 1, 1, import_conv), OI_WITH(fused_conv_attrs, conv_attr)};
const oi_op oi_op_ms_NhwcConv = {OI_EXPANDED("NhwcConv", MS, 2, 3, 1, 1, import_conv), OI_WITH(conv_attrs, conv_attr)};
const oi_op oi_op_ms_NhwcFusedConv = {OI_EXPANDED("NhwcFusedConv", MS, 2, 4, 1, 1, import_conv), OI_WITH(fused_conv_attrs, conv_attr)};
const oi_op oi_op_ms_NhwcMaxPool = {OI_EXPANDED("NhwcMaxPool", MS, 1, 1, 1, 1, import_pool), OI_WITH(pool_attrs, pool_attr)};
