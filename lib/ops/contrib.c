/* Contributed operators that are one of ai.onnx under another name, and what expansions of fused ones share. */
#include "ops/contrib.h"

#include <math.h>
#include <string.h>

oi_status oi_import_as(oi_import *im, const char *name, int64_t opset)
{
    const oi_op *op = oi_op_find("", name);
    OI_FAIL_IF(!op, ONNX_INFER_E_UNSUPPORTED_OP, "operator %s, which %s is, is not in this build", name, im->op->name);
    im->op = op;
    im->opset = opset;
    return op->import ? op->import(im) : ONNX_INFER_OK;
}

oi_value_id oi_expand_activation(oi_expand *x, const char *name, uint32_t n, const float *p, oi_value_id v)
{
    static const struct { const char *name, *op, *param[2]; } known[] = {
        {"Celu", "Celu", {"alpha"}}, {"Elu", "Elu", {"alpha"}}, {"HardSigmoid", "HardSigmoid", {"alpha", "beta"}},
        {"HardSwish", "HardSwish", {0}}, {"LeakyRelu", "LeakyRelu", {"alpha"}}, {"QuickGelu", "Swish", {"alpha"}}, {"Relu", "Relu", {0}},
        {"Selu", "Selu", {"alpha", "gamma"}}, {"SiLU", "Swish", {0}}, {"Sigmoid", "Sigmoid", {0}}, {"Softplus", "Softplus", {0}},
        {"Softsign", "Softsign", {0}}, {"Swish", "Swish", {0}}, {"Tanh", "Tanh", {0}}, {"ThresholdedRelu", "ThresholdedRelu", {"alpha"}},
        {"Gelu", "Gelu", {0}}, {"Erf", "Erf", {0}},
    };
    if (!name || !name[0] || !strcmp(name, "Identity"))
        return v;
    if (!strcmp(name, "Clip"))
        return OI_NODE(x, "Clip", NULL, v, n > 0 ? oi_expand_scalar(x, p[0], v) : OI_NONE, n > 1 ? oi_expand_scalar(x, p[1], v) : OI_NONE);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *attrs = "";
        if (strcmp(name, known[i].name) != 0)
            continue;
        for (uint32_t k = 0; k < 2 && k < n && known[i].param[k]; k++) {
            if (!isnan(p[k]))
                attrs = oi_expand_text(x, "%s%s%s", attrs, attrs[0] ? ", " : "", oi_expand_float(x, known[i].param[k], p[k]));
        }
        return OI_NODE(x, known[i].op, attrs, v);
    }
    oi_expand_fail(x, oi_fail(ONNX_INFER_E_UNSUPPORTED_OP, "%s with activation '%.40s' is not in this build", x->im->op->name, name));
    return OI_NONE;
}

/* --- the same under another name --- */

static oi_status import_gelu(oi_import *im) { return oi_import_as(im, "Gelu", 20); }
static oi_status import_gather_nd(oi_import *im) { return oi_import_as(im, "GatherND", 13); }
static oi_status import_trilu(oi_import *im) { return oi_import_as(im, "Trilu", 14); }
static oi_status import_grid_sample(oi_import *im) { return oi_import_as(im, "GridSample", 16); }
static oi_status import_layer_norm(oi_import *im) { return oi_import_as(im, "LayerNormalization", 17); }

static oi_status import_quantize(oi_import *im)
{
    return oi_import_as(im, im->op == &oi_op_ms_QuantizeLinear ? "QuantizeLinear" : "DequantizeLinear", 21);
}

/* The standard's Pad takes one list of pads; this one also a row of a matrix. */
static oi_status import_pad(oi_import *im)
{
    oi_expand x = {.im = im};
    if (im->nin > 1 && oi_expand_rank(&x, im->in[1]) != 1)
        im->in[1] = OI_NODE(&x, "Reshape", NULL, im->in[1], oi_expand_int(&x, -1));
    OI_TRY(x.status);
    return oi_import_as(im, "Pad", 18);
}

/* The step may be left out. */
static oi_status import_range(oi_import *im)
{
    oi_expand x = {.im = im};
    oi_value_id scalar[3];
    OI_FAIL_IF(im->nin < 2 || im->nin > 3, ONNX_INFER_E_INVALID_MODEL, "Range has %u inputs, it takes 2 or 3", im->nin);
    for (uint32_t i = 0; i < 3; i++) {
        scalar[i] = i < im->nin ? im->in[i] : OI_NONE;
        if (scalar[i] == OI_NONE)
            scalar[i] = oi_expand_scalar(&x, 1, im->in[0]);
        else if (oi_expand_rank(&x, scalar[i]) != 0)
            scalar[i] = OI_NODE(&x, "Reshape", NULL, scalar[i], oi_expand_ints(&x, 1, 0, NULL));
    }
    OI_TRY(x.status);
    for (uint32_t i = 0; i < 3; i++)
        OI_TRY(oi_import_set_input(im, i, scalar[i]));
    return oi_import_as(im, "Range", 11);
}

static oi_status import_expand_dims(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    oi_value_id axis = OI_NODE(&x, "Cast", "to=7", OI_NODE(&x, "Reshape", NULL, im->in[1], oi_expand_int(&x, 1)));
    oi_expand_out(&x, 0, OI_NODE(&x, "Unsqueeze", NULL, im->in[0], axis));
    return oi_expand_end(&x);
}

/* Values in the order in which they come, where each element went, how often each occurs. */
static oi_status import_unique(oi_import *im)
{
    oi_expand x;
    oi_value_id out[4];
    OI_TRY(oi_expand_begin(&x, im));
    oi_expand_nodes(&x, "Unique", "sorted=0", 1, im->in, 4, out);
    oi_expand_out(&x, 0, out[0]);
    oi_expand_out(&x, 1, out[2]);
    oi_expand_out(&x, 2, out[3]);
    return oi_expand_end(&x);
}

#define MS "com.microsoft"

const oi_op oi_op_ms_Gelu = {OI_EXPANDED("Gelu", MS, 1, 1, 1, 1, import_gelu)};
const oi_op oi_op_ms_GatherND = {OI_EXPANDED("GatherND", MS, 2, 2, 1, 1, import_gather_nd)};
const oi_op oi_op_ms_Trilu = {OI_EXPANDED("Trilu", MS, 1, 2, 1, 1, import_trilu)};
const oi_op oi_op_ms_GridSample = {OI_EXPANDED("GridSample", MS, 2, 2, 1, 1, import_grid_sample)};
const oi_op oi_op_ms_LayerNormalization = {OI_EXPANDED("LayerNormalization", MS, 2, 3, 1, 3, import_layer_norm)};
const oi_op oi_op_ms_QuantizeLinear = {OI_EXPANDED("QuantizeLinear", MS, 2, 3, 1, 1, import_quantize)};
const oi_op oi_op_ms_DequantizeLinear = {OI_EXPANDED("DequantizeLinear", MS, 2, 3, 1, 1, import_quantize)};
const oi_op oi_op_ms_Pad = {OI_EXPANDED("Pad", MS, 2, 3, 1, 1, import_pad)};
const oi_op oi_op_ms_Range = {OI_EXPANDED("Range", MS, 2, 3, 1, 1, import_range)};
const oi_op oi_op_ms_ExpandDims = {OI_EXPANDED("ExpandDims", MS, 2, 2, 1, 1, import_expand_dims)};
const oi_op oi_op_ms_Unique = {OI_EXPANDED("Unique", MS, 1, 1, 3, 3, import_unique)};
