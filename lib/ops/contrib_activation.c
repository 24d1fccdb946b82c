/* Contributed activations: Gelu and Swish with biases, splits and residuals around them. */
#include "ops/contrib.h"

typedef struct {
    float alpha;
} alpha_attr;

static const oi_attr_spec quick_attrs[] = {OI_FLOAT_ATTR(alpha_attr, alpha, 1.702f), {0}};

/* Gelu of the sum; FastGelu means the one by tanh. */
static oi_status import_bias_gelu(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    bool fast = im->op == &oi_op_ms_FastGelu;
    oi_value_id sum = oi_expand_add(&x, im->in[0], oi_expand_in(&x, 1));
    oi_expand_out(&x, 0, OI_NODE(&x, "Gelu", fast ? "approximate=tanh" : NULL, sum));
    return oi_expand_end(&x);
}

static oi_status import_quick_gelu(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    const alpha_attr *a = x.attr;
    oi_expand_out(&x, 0, OI_NODE(&x, "Swish", oi_expand_float(&x, "alpha", a->alpha), im->in[0]));
    return oi_expand_end(&x);
}

/* The first half of x + bias times the Gelu of the second. */
static oi_status import_bias_split_gelu(oi_import *im)
{
    oi_expand x;
    oi_value_id half[2], sum;
    OI_TRY(oi_expand_begin(&x, im));
    sum = oi_expand_add(&x, im->in[0], im->in[1]);
    oi_expand_nodes(&x, "Split", "axis=-1, num_outputs=2", 1, &sum, 2, half);
    oi_expand_out(&x, 0, oi_expand_mul(&x, half[0], OI_NODE(&x, "Gelu", NULL, half[1])));
    return oi_expand_end(&x);
}

static oi_status import_bias_add(oi_import *im)
{
    oi_expand x;
    OI_TRY(oi_expand_begin(&x, im));
    oi_expand_out(&x, 0, oi_expand_add(&x, oi_expand_add(&x, im->in[0], im->in[1]), im->in[2]));
    return oi_expand_end(&x);
}

#define MS "com.microsoft"

const oi_op oi_op_ms_BiasGelu = {OI_EXPANDED("BiasGelu", MS, 2, 2, 1, 1, import_bias_gelu)};
const oi_op oi_op_ms_FastGelu = {OI_EXPANDED("FastGelu", MS, 1, 2, 1, 1, import_bias_gelu)};
const oi_op oi_op_ms_QuickGelu = {OI_EXPANDED("QuickGelu", MS, 1, 1, 1, 1, import_quick_gelu), OI_WITH(quick_attrs, alpha_attr)};
const oi_op oi_op_ms_BiasSplitGelu = {OI_EXPANDED("BiasSplitGelu", MS, 2, 2, 1, 1, import_bias_split_gelu)};
const oi_op oi_op_ms_BiasAdd = {OI_EXPANDED("BiasAdd", MS, 3, 3, 1, 1, import_bias_add)};
