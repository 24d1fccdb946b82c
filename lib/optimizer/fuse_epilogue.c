/* Activations, residual sums and biases into the lowered convolution or product before them; see layout.h. */
#include "optimizer/layout.h"

#include "ops/op_conv_blocked.h"
#include "ops/op_matmul.h"

#include <math.h>
#include <string.h>

enum { INPUT, WEIGHTS, BIAS, RESIDUAL, INPUTS }; /* of both lowered operators */

/* The ConvBlocked or GemmPacked that makes v for one user only; NULL otherwise. */
static const oi_node *sole_producer(const oi_graph *g, oi_value_id v)
{
    if (v == OI_NONE || !oi_match_single_use(g, v))
        return NULL;
    const oi_node *n = oi_match_def(g, v, "ConvBlocked");
    return n ? n : oi_match_def(g, v, "GemmPacked");
}

static oi_activation *activation_of(const oi_op *op, void *attr)
{
    if (op == &oi_op_oi_ConvBlocked)
        return &((oi_conv_blocked_attr *)attr)->act;
    return &((oi_gemm_packed_attr *)attr)->act;
}

/* The producer again with another epilogue, in place of `result`. The parameters are copied. */
static oi_status again(oi_rewrite *rw, oi_node_id id, const oi_value_id *in, const oi_activation *act, oi_value_id result)
{
    const oi_node node = rw->g->node[id];
    void *attr = oi_arena_copy(rw->g->arena, node.attr, node.op->attr_size);
    if (!attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *activation_of(node.op, attr) = *act;
    uint32_t nin = in[RESIDUAL] != OI_NONE ? 4 : in[BIAS] != OI_NONE ? 3 : 2;
    oi_rewrite_replace(rw, result, oi_rewrite_node(rw, node.op, attr, nin, in));
    return rw->status;
}

static void inputs_of(const oi_node *n, oi_value_id *in)
{
    for (uint32_t i = 0; i < INPUTS; i++)
        in[i] = i < n->nin ? n->in[i] : OI_NONE;
}

/* --- activations -------------------------------------------------------------------------------------------------------- */

/* Where the parameters of an operator's activation are found. */
typedef struct {
    const char *op;
    oi_unary kind;
    const char *p0, *p1; /* FLOAT attributes; NULL: none */
} activation_row;

static const activation_row activations[] = {
    {"Relu", OI_UNARY_RELU, NULL, NULL},
    {"LeakyRelu", OI_UNARY_LEAKY_RELU, "alpha", NULL},
    {"ThresholdedRelu", OI_UNARY_THRESHOLDED_RELU, "alpha", NULL},
    {"HardSigmoid", OI_UNARY_HARD_SIGMOID, "alpha", "beta"},
    {"HardSwish", OI_UNARY_HARD_SWISH, NULL, NULL},
    {"Sigmoid", OI_UNARY_SIGMOID, NULL, NULL},
    {"Swish", OI_UNARY_SWISH, "alpha", NULL},
    {"Tanh", OI_UNARY_TANH, NULL, NULL},
    {"Mish", OI_UNARY_MISH, NULL, NULL},
    {"Elu", OI_UNARY_ELU, "alpha", NULL},
    {"Selu", OI_UNARY_SELU, "alpha", "gamma"},
    {"Celu", OI_UNARY_CELU, "alpha", NULL},
    {"Softplus", OI_UNARY_SOFTPLUS, NULL, NULL},
    {"Softsign", OI_UNARY_SOFTSIGN, NULL, NULL},
};

static bool read_clip(const oi_graph *g, const oi_node *n, oi_activation *act)
{
    double low = -INFINITY, high = INFINITY;
    if (n->nin > 1 && n->in[1] != OI_NONE && !oi_match_scalar(g, n->in[1], &low))
        return false;
    if (n->nin > 2 && n->in[2] != OI_NONE && !oi_match_scalar(g, n->in[2], &high))
        return false;
    *act = (oi_activation){.kind = OI_UNARY_CLIP, .p0 = (float)low, .p1 = (float)high};
    return low <= high;
}

static bool read_activation(const oi_graph *g, const oi_node *n, oi_activation *act)
{
    if (n->op->domain[0] && strcmp(n->op->name, "QuantizeDequantize") != 0)
        return false;
    if (n->op->domain[0]) {
        const float *scale = oi_attr_field(n, "scale"), *zero = oi_attr_field(n, "zero_point");
        *act = (oi_activation){.kind = oi_attr_int(n, "signed", 0) ? OI_UNARY_QUANTISE_S8 : OI_UNARY_QUANTISE_U8, .p0 = *scale,
                               .p1 = *zero};
        return true;
    }
    if (strcmp(n->op->name, "Clip") == 0)
        return read_clip(g, n, act);
    if (strcmp(n->op->name, "Gelu") == 0) {
        const int64_t *approximate = oi_attr_field(n, "approximate"); /* none|tanh */
        *act = (oi_activation){.kind = approximate && *approximate ? OI_UNARY_GELU_TANH : OI_UNARY_GELU_ERF};
        return true;
    }
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        const activation_row *row = &activations[i];
        if (strcmp(n->op->name, row->op) != 0)
            continue;
        const float *p0 = row->p0 ? oi_attr_field(n, row->p0) : NULL, *p1 = row->p1 ? oi_attr_field(n, row->p1) : NULL;
        *act = (oi_activation){.kind = row->kind, .p0 = p0 ? *p0 : 0, .p1 = p1 ? *p1 : 0};
        return true;
    }
    return false;
}

static oi_status fuse_activation(oi_rewrite *rw, oi_node_id id)
{
    const oi_node node = rw->g->node[id];
    oi_activation act;
    if (!(node.op->flags & OI_OP_ELEMENTWISE) || node.nin < 1 || node.nout != 1)
        return ONNX_INFER_OK;
    const oi_node *producer = sole_producer(rw->g, node.in[0]);
    if (!producer || !read_activation(rw->g, &node, &act))
        return ONNX_INFER_OK;
    const oi_activation *now = activation_of(producer->op, producer->attr);
    if (now->kind != OI_UNARY_NONE || now->residual_after)
        return ONNX_INFER_OK;
    oi_value_id in[INPUTS];
    inputs_of(producer, in);
    return again(rw, rw->g->value[node.in[0]].def, in, &act, node.out[0]);
}

/* --- sums ----------------------------------------------------------------------------------------------------------------- */

/* Whether v can be the bias of the producer: a constant with an element for each output channel. */
static bool is_bias(const oi_graph *g, const oi_node *producer, oi_value_id v)
{
    const oi_tensor *t = oi_match_const(g, v);
    const oi_shape *out = &oi_graph_fact(g, producer->out[0])->shape;
    if (!t || t->dtype != ONNX_INFER_FLOAT)
        return false;
    if (producer->op == &oi_op_oi_GemmPacked)
        return t->rank >= 1 && t->dim[t->rank - 1] == out->dim[out->rank - 1] && oi_tensor_count(t) == t->dim[t->rank - 1];
    return t->rank == 5 && t->dim[1] == out->dim[1] && t->dim[4] == out->dim[4] && oi_tensor_count(t) == t->dim[1] * t->dim[4];
}

static oi_status fuse_sum_side(oi_rewrite *rw, const oi_node *node, uint32_t side, bool *done)
{
    const oi_graph *g = rw->g;
    oi_value_id v = node->in[side], other = node->in[1 - side], in[INPUTS];
    const oi_node *producer = sole_producer(g, v);
    if (!producer || other == OI_NONE || other == v)
        return ONNX_INFER_OK;
    oi_activation act = *activation_of(producer->op, producer->attr);
    inputs_of(producer, in);
    if (in[RESIDUAL] != OI_NONE)
        return ONNX_INFER_OK;
    *done = true;
    oi_node_id id = g->value[v].def;
    if (in[BIAS] == OI_NONE && act.kind == OI_UNARY_NONE && is_bias(g, producer, other)) {
        in[BIAS] = other;
        return again(rw, id, in, &act, node->out[0]);
    }
    const oi_fact *a = oi_graph_fact(g, v), *b = oi_graph_fact(g, other);
    if (b->dtype == ONNX_INFER_FLOAT && oi_shape_is_concrete(&b->shape) && oi_shape_equal(&a->shape, &b->shape)) {
        in[RESIDUAL] = other;
        act.residual_after = act.kind != OI_UNARY_NONE;
        return again(rw, id, in, &act, node->out[0]);
    }
    *done = false;
    return ONNX_INFER_OK;
}

static oi_status fuse_sum(oi_rewrite *rw, oi_node_id id)
{
    const oi_node node = rw->g->node[id];
    bool done = false;
    if (node.nin != 2)
        return ONNX_INFER_OK;
    for (uint32_t side = 0; side < 2 && !done; side++)
        OI_TRY(fuse_sum_side(rw, &node, side, &done));
    return ONNX_INFER_OK;
}

static const oi_rule rules[] = {
    {"fuse sum", "Add", fuse_sum, OI_ROUNDS},
    {"fuse sum", "Sum", fuse_sum, OI_ROUNDS},
    {"fuse activation", NULL, fuse_activation, OI_ROUNDS},
#ifdef OI_PLANTED_RULE /* tests/optimizer/planted.c */
    OI_PLANTED_RULE("epilogue")
#endif
};
const oi_rules oi_epilogue_rules = {rules, sizeof rules / sizeof *rules};
