/* Contributed normalisations: simplified (root mean square) layers, layers and groups behind residual sums. */
#include "ops/contrib.h"

typedef struct {
    int64_t axis, stash_type;
    float epsilon;
} simple_attr;

typedef struct {
    float epsilon;
} skip_attr;

typedef struct {
    int64_t activation, channels_last, groups;
    float epsilon;
} group_attr;

static const oi_attr_spec simple_attrs[] = {
    OI_INT_ATTR(simple_attr, axis, -1), OI_FLOAT_ATTR(simple_attr, epsilon, 1e-5f), OI_INT_ATTR(simple_attr, stash_type, 1), {0}};
static const oi_attr_spec skip_attrs[] = {OI_FLOAT_ATTR(skip_attr, epsilon, 1e-12f), {0}};
static const oi_attr_spec group_attrs[] = {
    OI_INT_ATTR(group_attr, activation, 0), OI_INT_ATTR(group_attr, channels_last, 1), OI_FLOAT_ATTR(group_attr, epsilon, 1e-5f),
    OI_NEEDED_INT(group_attr, groups), {0}};

/* 1 / sqrt(mean(v * v) + epsilon) over the last axis. */
static oi_value_id inverse_rms(oi_expand *x, oi_value_id v, float epsilon)
{
    oi_value_id mean = OI_NODE(x, "ReduceMean", NULL, oi_expand_mul(x, v, v), oi_expand_int(x, -1));
    return OI_NODE(x, "Reciprocal", NULL, OI_NODE(x, "Sqrt", NULL, oi_expand_add(x, mean, oi_expand_scalar(x, epsilon, v))));
}

static oi_status import_simplified(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const simple_attr *a = x.attr;
    OI_FAIL_IF(oi_expand_wants(&x, 1) && a->axis != -1, ONNX_INFER_E_UNSUPPORTED_OP,
               "%s with output 1 along axes other than the last one is not in this build", im->op->name);
    const char *attrs = oi_expand_text(&x, "axis=%lld, stash_type=%lld, %s", (long long)a->axis, (long long)a->stash_type,
                                       oi_expand_float(&x, "epsilon", a->epsilon));
    oi_expand_out(&x, 0, oi_expand_node(&x, "RMSNormalization", attrs, 2, im->in));
    if (oi_expand_wants(&x, 1))
        oi_expand_out(&x, 1, inverse_rms(&x, im->in[0], a->epsilon));
    return oi_expand_end(&x);
}

/* Inputs: input, skip, gamma, and of SkipLayerNormalization beta, then bias. Outputs: result, mean, inverse deviation, sum. */
static oi_status import_skip(oi_import *im)
{
    oi_expand x;
    oi_value_id out[3];
    OI_TRY(oi_expand_begin(&x, im));
    const skip_attr *a = x.attr;
    bool simple = im->op == &oi_op_ms_SkipSimplifiedLayerNormalization;
    oi_value_id sum = oi_expand_add(&x, oi_expand_add(&x, im->in[0], im->in[1]), oi_expand_in(&x, simple ? 3 : 4));
    const char *attrs = oi_expand_float(&x, "epsilon", a->epsilon);
    if (simple) {
        oi_expand_out(&x, 0, OI_NODE(&x, "RMSNormalization", attrs, sum, im->in[2]));
        if (oi_expand_wants(&x, 2))
            oi_expand_out(&x, 2, inverse_rms(&x, sum, a->epsilon));
    } else {
        uint32_t n = oi_expand_wants(&x, 2) ? 3 : oi_expand_wants(&x, 1) ? 2 : 1;
        oi_expand_nodes(&x, "LayerNormalization", attrs, 3, (oi_value_id[]){sum, im->in[2], oi_expand_in(&x, 3)}, n, out);
        for (uint32_t i = 0; i < n; i++)
            oi_expand_out(&x, i, out[i]);
    }
    oi_expand_out(&x, 3, sum);
    return oi_expand_end(&x);
}

/* Group normalisation of x (and skip and bias) with the channels last or second, SiLU behind it. */
static oi_status import_group(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const group_attr *a = x.attr;
    oi_value_id skip = oi_expand_in(&x, 3), v = im->in[0];
    if (oi_expand_rank(&x, skip) == 2)
        skip = OI_NODE(&x, "Unsqueeze", NULL, skip, oi_expand_ints(&x, 1, 2, (int64_t[]){1, 2}));
    v = oi_expand_add(&x, oi_expand_add(&x, v, skip), oi_expand_in(&x, 4));
    oi_expand_out(&x, 1, v);
    if (a->channels_last)
        v = oi_expand_channels_first(&x, v);
    const char *attrs = oi_expand_text(&x, "num_groups=%lld, %s", (long long)a->groups, oi_expand_float(&x, "epsilon", a->epsilon));
    v = OI_NODE(&x, "GroupNormalization", attrs, v, OI_NODE(&x, "CastLike", NULL, im->in[1], v), OI_NODE(&x, "CastLike", NULL, im->in[2], v));
    if (a->activation)
        v = OI_NODE(&x, "Swish", NULL, v);
    oi_expand_out(&x, 0, a->channels_last ? oi_expand_channels_last(&x, v) : v);
    return oi_expand_end(&x);
}

#define MS "com.microsoft"

const oi_op oi_op_SimplifiedLayerNormalization = {
    OI_EXPANDED("SimplifiedLayerNormalization", "", 2, 2, 1, 2, import_simplified), OI_WITH(simple_attrs, simple_attr)};
const oi_op oi_op_ms_SimplifiedLayerNormalization = {
    OI_EXPANDED("SimplifiedLayerNormalization", MS, 2, 2, 1, 2, import_simplified), OI_WITH(simple_attrs, simple_attr)};
const oi_op oi_op_ms_SkipLayerNormalization = {
    OI_EXPANDED("SkipLayerNormalization", MS, 3, 5, 1, 4, import_skip), OI_WITH(skip_attrs, skip_attr)};
const oi_op oi_op_ms_SkipSimplifiedLayerNormalization = {
    OI_EXPANDED("SkipSimplifiedLayerNormalization", MS, 3, 4, 1, 4, import_skip), OI_WITH(skip_attrs, skip_attr)};
const oi_op oi_op_ms_GroupNorm = {OI_EXPANDED("GroupNorm", MS, 3, 3, 1, 1, import_group), OI_WITH(group_attrs, group_attr)};
const oi_op oi_op_ms_SkipGroupNorm = {OI_EXPANDED("SkipGroupNorm", MS, 4, 5, 1, 2, import_group), OI_WITH(group_attrs, group_attr)};
