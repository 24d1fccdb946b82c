/* Quantised networks as exporters write them, on integers: operators between DequantizeLinear and QuantizeLinear.
 *
 *   QuantizeLinear(Conv(DequantizeLinear(x), DequantizeLinear(W), b))  -> ConvBytes(x, W, b); Gemm and MatMul, too
 *   QuantizeLinear(Add(DequantizeLinear(x), DequantizeLinear(y)))      -> BinaryBytes(x, y); Mul, too
 *   QuantizeLinear(GlobalAveragePool(DequantizeLinear(x)))             -> PoolBytes(x)
 *   QuantizeLinear(MaxPool(DequantizeLinear(x)))                       -> MaxPool(x); all that only moves elements, with equal codes
 *   QuantizeLinear(Sigmoid(DequantizeLinear(x)))                       -> LookupBytes(x); all functions of one number, and chains
 *   BinaryBytes(ConvBytes(x), y)                                          -> ConvBytes(x) with y as its residual
 *
 * A Relu or Clip in front of QuantizeLinear becomes bounds of the codes. Values that others read as floats stay floats. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include "ops/op_conv_bytes.h"
#include "ops/op_matmul.h"
#include "ops/op_pool.h"

#include <math.h>
#include <string.h>

enum { MOST = 32 };

/* v = DequantizeLinear(x) with one scale, x of bytes. */
static bool dequantized(const oi_graph *g, oi_value_id v, oi_value_id *x, oi_codes *codes)
{
    const oi_node *n = v == OI_NONE ? NULL : oi_match_def(g, v, "DequantizeLinear");
    if (!n || oi_graph_fact(g, v)->dtype != ONNX_INFER_FLOAT || oi_attr_int(n, "block_size", 0) != 0)
        return false;
    *x = n->in[0];
    return oi_codes_read(g, n->in[1], n->nin > 2 ? n->in[2] : OI_NONE, oi_graph_fact(g, *x)->dtype, codes);
}

/* v = DequantizeLinear(w) of constant bytes with one scale, or one for each index of `axis`. */
static bool dequantized_weights(const oi_graph *g, oi_value_id v, int64_t axis, oi_conv_bytes_spec *spec)
{
    const oi_node *n = v == OI_NONE ? NULL : oi_match_def(g, v, "DequantizeLinear");
    if (!n || oi_graph_fact(g, v)->dtype != ONNX_INFER_FLOAT || oi_attr_int(n, "block_size", 0) != 0)
        return false;
    const oi_fact *w = oi_graph_fact(g, n->in[0]), *scale = oi_graph_fact(g, n->in[1]);
    int64_t at = oi_attr_int(n, "axis", 1);
    at += at < 0 ? w->shape.rank : 0;
    spec->w = n->in[0];
    spec->w_scale = n->in[1];
    spec->w_zero = n->nin > 2 ? n->in[2] : OI_NONE;
    return w->konst && scale->konst && scale->shape.rank <= 1 && (at == axis || oi_tensor_count(scale->konst) == 1);
}

/* --- what stands in front of QuantizeLinear --- */

typedef struct {
    oi_codes codes;
    int32_t low, high;
    oi_value_id v;  /* what is quantised, in front of activations */
    const oi_node *from; /* its node; it has no other user */
} quantised;

static int32_t code_of(double v, const oi_codes *c)
{
    const double code = rint((double)((float)v / c->scale)) + c->zero, low = oi_codes_low(c->is_signed), high = oi_codes_high(c->is_signed);
    return (int32_t)(code > low ? code < high ? code : high : low);
}

/* Codes that a Relu or Clip lets through; false where n is neither. */
static bool read_bounds(const oi_graph *g, const oi_node *n, const oi_codes *c, int32_t *low, int32_t *high)
{
    const bool clip = strcmp(n->op->name, "Clip") == 0;
    double least = clip ? -INFINITY : 0, most = INFINITY;
    if (n->op->domain[0] || (!clip && strcmp(n->op->name, "Relu") != 0))
        return false;
    if (clip && ((n->nin > 1 && n->in[1] != OI_NONE && !oi_match_scalar(g, n->in[1], &least)) ||
                 (n->nin > 2 && n->in[2] != OI_NONE && !oi_match_scalar(g, n->in[2], &most)) || !(least <= most)))
        return false;
    *low = code_of(least, c);
    *high = code_of(most, c);
    return true;
}

static int32_t within(int32_t v, int32_t low, int32_t high) { return v < low ? low : v > high ? high : v; }

/* Node n as the quantisation of a node's only result; false where it is none, or others read what is quantised. */
static bool read_quantised(const oi_graph *g, const oi_node *n, quantised *q)
{
    const oi_fact *f = oi_graph_fact(g, n->in[0]);
    q->v = n->in[0];
    if (!f || f->dtype != ONNX_INFER_FLOAT || oi_attr_int(n, "block_size", 0) != 0 || oi_attr_int(n, "precision", 0) > ONNX_INFER_FLOAT ||
        !oi_codes_read(g, n->in[1], n->nin > 2 ? n->in[2] : OI_NONE, oi_graph_fact(g, n->out[0])->dtype, &q->codes))
        return false;
    q->low = oi_codes_low(q->codes.is_signed);
    q->high = oi_codes_high(q->codes.is_signed);
    for (;;) {
        int32_t low, high;
        if (!oi_match_single_use(g, q->v) || g->value[q->v].def == OI_NONE)
            return false;
        q->from = &g->node[g->value[q->v].def];
        if (!read_bounds(g, q->from, &q->codes, &low, &high))
            return true;
        low = within(low, q->low, q->high);
        q->high = within(high, q->low, q->high);
        q->low = low;
        q->v = q->from->in[0];
    }
}

/* --- products --- */

/* A float bias as int32 of the sums' scale, constant; OI_NONE where it is all zeros. False where it does not come close enough. */
static bool whole_bias(oi_rewrite *rw, oi_value_id bias, const oi_conv_bytes_spec *spec, int64_t oc, oi_value_id *out)
{
    const oi_graph *g = rw->g;
    const oi_tensor *scale = oi_match_const(g, spec->w_scale), *b = bias == OI_NONE ? NULL : oi_match_const(g, bias);
    bool some = false;
    *out = OI_NONE;
    if (bias == OI_NONE)
        return true;
    if (!b || !scale || b->dtype != ONNX_INFER_FLOAT || scale->dtype != ONNX_INFER_FLOAT || oi_tensor_count(b) != oc)
        return false;
    const int64_t scales = oi_tensor_count(scale);
    oi_tensor t;
    if (scales != 1 && scales != oc)
        return false;
    rw->status = oi_tensor_create(oi_arena_alloc_of(g->arena), ONNX_INFER_INT32, 1, &oc, &t);
    if (rw->status)
        return false;
    for (int64_t o = 0; o < oc; o++) {
        const double unit = (double)spec->x_codes.scale * ((const float *)scale->data)[scales > 1 ? o : 0];
        const double v = ((const float *)b->data)[o], sums = rint(v / unit);
        if (!(fabs(sums) < 1 << 30) || fabs(v - sums * unit) > spec->y_codes.scale / 256) {
            oi_tensor_clear(&t);
            return false;
        }
        ((int32_t *)t.data)[o] = (int32_t)sums;
        some = some || sums != 0;
    }
    if (some)
        *out = oi_rewrite_const(rw, &t);
    else
        oi_tensor_clear(&t);
    return !rw->status;
}

static void take_codes(oi_conv_bytes_spec *spec, const quantised *q)
{
    spec->y_codes = q->codes;
    spec->low = q->low;
    spec->high = q->high;
}

static oi_status quantised_conv(oi_rewrite *rw, oi_value_id out, const quantised *q)
{
    const oi_graph *g = rw->g;
    const oi_node conv = *q->from;
    oi_conv_bytes_spec spec = {.conv = conv.attr};
    take_codes(&spec, q);
    if (!dequantized(g, conv.in[0], &spec.x, &spec.x_codes) || !dequantized_weights(g, conv.in[1], 0, &spec) ||
        !whole_bias(rw, conv.nin > 2 ? conv.in[2] : OI_NONE, &spec, oi_graph_fact(g, spec.w)->shape.dim[0], &spec.bias))
        return rw->status;
    const oi_value_id y = oi_conv_bytes_build(rw, &spec, rw->target);
    if (y != OI_NONE)
        oi_rewrite_replace(rw, out, y);
    return rw->status || y != OI_NONE ? rw->status : OI_DECLINED;
}

static oi_value_id reshaped(oi_rewrite *rw, oi_value_id v, const int64_t *dims, uint32_t n)
{
    const oi_value_id in[2] = {v, oi_rewrite_const_ints(rw, dims, n)};
    return oi_rewrite_op(rw, "", "Reshape", "", 2, in);
}

/* Rows of x by weights: pixels of an image. */
static oi_status quantised_product(oi_rewrite *rw, oi_value_id out, const quantised *q)
{
    const oi_graph *g = rw->g;
    const oi_node n = *q->from;
    const bool gemm = n.op == &oi_op_Gemm;
    const oi_gemm_attr *a = gemm ? n.attr : NULL;
    int64_t in[OI_MAX_RANK], y[OI_MAX_RANK];
    int32_t rank, y_rank;
    oi_conv_bytes_spec spec = {.last = true, .columns = !gemm || !a->trans_b};
    take_codes(&spec, q);
    if ((gemm && (a->alpha != 1 || a->beta != 1 || a->trans_a)) || !dequantized(g, n.in[0], &spec.x, &spec.x_codes) ||
        !dequantized_weights(g, n.in[1], spec.columns ? 1 : 0, &spec))
        return ONNX_INFER_OK;
    const oi_shape *w = &oi_graph_fact(g, spec.w)->shape;
    if (w->rank != 2 || !oi_fact_dims(oi_graph_fact(g, spec.x), &rank, in) || !oi_fact_dims(oi_graph_fact(g, out), &y_rank, y) || rank < 2 ||
        oi_dims_count(rank, in) == 0 || oi_dims_count(y_rank, y) == 0 ||
        !whole_bias(rw, n.nin > 2 ? n.in[2] : OI_NONE, &spec, w->dim[spec.columns ? 1 : 0], &spec.bias))
        return rw->status;
    const int64_t k = in[rank - 1], image[4] = {1, 1, oi_dims_count(rank - 1, in), k};
    spec.x = reshaped(rw, spec.x, image, 4);
    OI_TRY(rw->status);
    const oi_value_id product = oi_conv_bytes_build(rw, &spec, rw->target);
    OI_TRY(rw->status);
    if (product == OI_NONE)
        return OI_DECLINED;
    oi_rewrite_replace(rw, out, reshaped(rw, product, y, (uint32_t)y_rank));
    return rw->status;
}

/* --- sums and averages --- */

static oi_status quantised_binary(oi_rewrite *rw, oi_value_id out, const quantised *q)
{
    oi_graph *g = rw->g;
    const oi_node n = *q->from;
    oi_value_id in[2];
    oi_codes a, b;
    if (n.nin != 2 || !dequantized(g, n.in[0], &in[0], &a) || !dequantized(g, n.in[1], &in[1], &b) ||
        !oi_shape_is_concrete(&oi_graph_fact(g, n.in[0])->shape) ||
        !oi_shape_equal(&oi_graph_fact(g, n.in[0])->shape, &oi_graph_fact(g, n.in[1])->shape))
        return ONNX_INFER_OK;
    oi_binary_bytes_attr *attr = oi_attr_new(g->arena, &oi_op_oi_BinaryBytes);
    if (!attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *attr = (oi_binary_bytes_attr){.product = strcmp(n.op->name, "Mul") == 0, .a_scale = a.scale, .a_zero = a.zero, .b_scale = b.scale, .b_zero = b.zero, .y_scale = q->codes.scale,
                                .y_zero = q->codes.zero, .y_signed = q->codes.is_signed, .low = q->low, .high = q->high};
    oi_rewrite_replace(rw, out, oi_rewrite_node(rw, &oi_op_oi_BinaryBytes, attr, 2, in));
    return rw->status;
}

static oi_status quantised_average(oi_rewrite *rw, oi_value_id out, const quantised *q)
{
    oi_graph *g = rw->g;
    oi_value_id x;
    oi_codes codes;
    int64_t in[OI_MAX_RANK];
    int32_t rank;
    if (!dequantized(g, q->from->in[0], &x, &codes) || !oi_fact_dims(oi_graph_fact(g, x), &rank, in) || rank != 4 || oi_dims_count(rank, in) == 0 ||
        in[2] > 4096 || in[3] > 512)
        return ONNX_INFER_OK;
    oi_pool_bytes_attr *a = oi_attr_new(g->arena, &oi_op_oi_PoolBytes);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const int64_t ones[4] = {1, 1, 1, 1}, none[4] = {0};
    *a = (oi_pool_bytes_attr){.average = 1, .kernel = oi_rewrite_ints(rw, in + 2, 2), .strides = oi_rewrite_ints(rw, ones, 2),
                              .dilations = oi_rewrite_ints(rw, ones, 2), .pads = oi_rewrite_ints(rw, none, 4), .out = oi_rewrite_ints(rw, ones, 2),
                              .x_zero = codes.zero, .x_scale = codes.scale, .y_zero = q->codes.zero, .y_scale = q->codes.scale,
                              .y_signed = q->codes.is_signed, .low = q->low, .high = q->high};
    OI_TRY(rw->status);
    x = oi_bytes_to_last(rw, x);
    oi_rewrite_replace(rw, out, oi_bytes_from_last(rw, oi_rewrite_node(rw, &oi_op_oi_PoolBytes, a, 1, &x)));
    return rw->status;
}

/* --- what only moves elements --- */

static bool same_codes(const oi_codes *a, const oi_codes *b)
{
    return a->scale == b->scale && a->zero == b->zero && a->is_signed == b->is_signed;
}

static oi_status quantised_move(oi_rewrite *rw, oi_value_id out, const quantised *q)
{
    const oi_graph *g = rw->g;
    const oi_node n = *q->from;
    const bool all = strcmp(n.op->name, "Concat") == 0; /* its inputs are all of a kind */
    oi_value_id in[MOST];
    oi_codes codes;
    if (n.nin > MOST || n.nout != 1 || q->low != oi_codes_low(q->codes.is_signed) || q->high != oi_codes_high(q->codes.is_signed))
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < n.nin; i++) {
        in[i] = n.in[i];
        if ((all || i == 0) && (!dequantized(g, n.in[i], &in[i], &codes) || !same_codes(&codes, &q->codes)))
            return ONNX_INFER_OK;
    }
    /* What came from floats and goes back to them is better moved as floats: both ends become one operator. */
    if (oi_match_def(g, in[0], "QuantizeLinear") && !oi_match_used_as_codes(g, out))
        return ONNX_INFER_OK;
    oi_rewrite_replace(rw, out, oi_rewrite_node(rw, n.op, n.attr, n.nin, in));
    return rw->status;
}

static const struct {
    const char *op;
    oi_status (*fn)(oi_rewrite *rw, oi_value_id out, const quantised *q);
} quantised_rows[] = {
    {"Conv", quantised_conv},          {"Gemm", quantised_product},  {"MatMul", quantised_product},
    {"Add", quantised_binary},         {"Sum", quantised_binary},    {"Mul", quantised_binary},
    {"GlobalAveragePool", quantised_average},
    {"Concat", quantised_move},        {"DepthToSpace", quantised_move}, {"Expand", quantised_move},
    {"Flatten", quantised_move},       {"Gather", quantised_move},   {"MaxPool", quantised_move},
    {"Reshape", quantised_move},       {"Slice", quantised_move},    {"SpaceToDepth", quantised_move},
    {"Squeeze", quantised_move},       {"Tile", quantised_move},     {"Transpose", quantised_move},
    {"Unsqueeze", quantised_move},
};

oi_status oi_rule_quantised_operator(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    quantised q;
    if (!read_quantised(rw->g, &n, &q) || q.from->op->domain[0])
        return ONNX_INFER_OK;
    for (size_t i = 0; i < sizeof quantised_rows / sizeof *quantised_rows; i++) {
        if (strcmp(quantised_rows[i].op, q.from->op->name) == 0)
            return quantised_rows[i].fn(rw, n.out[0], &q);
    }
    return ONNX_INFER_OK;
}

/* --- functions --- */

/* A function of one number: elementwise, the other operands one constant number each. */
static bool is_function(const oi_graph *g, const oi_node *n)
{
    if (!(n->op->flags & OI_OP_ELEMENTWISE) || (n->op->flags & OI_OP_RANDOM) || n->op->domain[0] || n->nout != 1 || !n->nin || n->nsub ||
        n->nin > MOST || oi_graph_fact(g, n->out[0])->dtype != ONNX_INFER_FLOAT || strcmp(n->op->name, "DequantizeLinear") == 0)
        return false;
    for (uint32_t i = 1; i < n->nin; i++) {
        const oi_fact *f = n->in[i] == OI_NONE ? NULL : oi_graph_fact(g, n->in[i]);
        if (f && (!f->konst || oi_tensor_count(f->konst) != 1 || f->shape.rank > oi_graph_fact(g, n->in[0])->shape.rank))
            return false;
    }
    return true;
}

/* Every code there is, as the chain's input. */
static oi_value_id all_codes(oi_rewrite *rw, oi_dtype dtype)
{
    oi_tensor t;
    rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), dtype, 1, &(int64_t){256}, &t);
    if (rw->status)
        return OI_NONE;
    for (size_t i = 0; i < 256; i++)
        ((uint8_t *)t.data)[i] = (uint8_t)i;
    return oi_rewrite_const(rw, &t);
}

oi_status oi_rule_quantised_function(oi_rewrite *rw, oi_node_id id)
{
    enum { LONGEST = 8 };
    oi_graph *g = rw->g;
    oi_node chain[LONGEST + 2]; /* QuantizeLinear, functions, DequantizeLinear */
    oi_codes codes;
    oi_value_id x;
    uint32_t n = 1;
    chain[0] = g->node[id];
    const oi_fact *f = oi_graph_fact(g, chain[0].in[0]);
    if (!f || f->dtype != ONNX_INFER_FLOAT || f->konst || oi_attr_int(&chain[0], "block_size", 0) != 0 ||
        !oi_codes_read(g, chain[0].in[1], chain[0].nin > 2 ? chain[0].in[2] : OI_NONE, oi_graph_fact(g, chain[0].out[0])->dtype, &codes))
        return ONNX_INFER_OK;
    for (;; n++) {
        const oi_value_id v = chain[n - 1].in[0];
        if (g->value[v].def == OI_NONE || n == LONGEST + 2)
            return ONNX_INFER_OK;
        chain[n] = g->node[g->value[v].def];
        if (dequantized(g, v, &x, &codes))
            break;
        if (!oi_match_single_use(g, v) || !is_function(g, &chain[n]))
            return ONNX_INFER_OK;
    }
    if (n == 1 || oi_graph_fact(g, x)->konst || (oi_match_def(g, x, "QuantizeLinear") && !oi_match_used_as_codes(g, chain[0].out[0])))
        return ONNX_INFER_OK;
    oi_value_id table = all_codes(rw, oi_graph_fact(g, x)->dtype);
    for (uint32_t i = n + 1; i-- > 0 && !rw->status;) {
        oi_value_id in[MOST];
        memcpy(in, chain[i].in, chain[i].nin * sizeof *in);
        in[0] = table;
        table = oi_rewrite_node(rw, chain[i].op, chain[i].attr, chain[i].nin, in);
    }
    const oi_value_id in[2] = {x, table};
    oi_rewrite_replace(rw, chain[0].out[0], oi_rewrite_node(rw, &oi_op_oi_LookupBytes, NULL, 2, in));
    return rw->status;
}

/* --- layout and residuals --- */

static bool of_bytes(const oi_graph *g, oi_value_id v)
{
    const oi_fact *f = oi_graph_fact(g, v);
    return f->dtype == ONNX_INFER_UINT8 || f->dtype == ONNX_INFER_INT8;
}

/* The rules for Transposes, where they move bytes. */
oi_status oi_rule_bytes_transposed(oi_rewrite *rw, oi_node_id id)
{
    static oi_status (*const rules[])(oi_rewrite *rw, oi_node_id id) = {oi_rule_idle, oi_rule_transposes, oi_rule_flat_transpose};
    if (!of_bytes(rw->g, rw->g->node[id].out[0]))
        return ONNX_INFER_OK;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        OI_TRY(rules[i](rw, id));
        if (rw->nreplace)
            break;
    }
    return rw->status;
}

/* LookupBytes(Transpose(x), t) -> Transpose(LookupBytes(x, t)) */
static oi_status function_down(oi_rewrite *rw, const oi_node *n)
{
    const oi_node *before = oi_match_single_use(rw->g, n->in[0]) ? oi_match_def(rw->g, n->in[0], "Transpose") : NULL;
    if (!before)
        return ONNX_INFER_OK;
    const oi_op *op = before->op;
    void *attr = before->attr;
    const oi_value_id in[2] = {before->in[0], n->in[1]}, out = n->out[0];
    const oi_value_id y = oi_rewrite_node(rw, &oi_op_oi_LookupBytes, NULL, 2, in);
    oi_rewrite_replace(rw, out, oi_rewrite_node(rw, op, attr, 1, &y));
    return rw->status;
}

oi_status oi_rule_bytes_down(oi_rewrite *rw, oi_node_id id)
{
    const oi_node *n = &rw->g->node[id];
    if (!n->nout || n->out[0] == OI_NONE || !of_bytes(rw->g, n->out[0]))
        return ONNX_INFER_OK;
    if (n->op == &oi_op_oi_LookupBytes)
        return function_down(rw, n);
    return strcmp(n->op->name, "Concat") == 0 ? oi_rule_transpose_concat(rw, id) : oi_rule_transpose_down(rw, id);
}

oi_status oi_rule_bytes_views(oi_rewrite *rw, oi_node_id id)
{
    const oi_node *n = &rw->g->node[id];
    return n->nout && n->out[0] != OI_NONE && of_bytes(rw->g, n->out[0]) ? oi_rule_views(rw, id) : ONNX_INFER_OK;
}

oi_status oi_rule_bytes_residual(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node sum = g->node[id];
    const oi_binary_bytes_attr *s = sum.attr;
    for (uint32_t side = 0; side < 2 && !s->product; side++) {
        const oi_value_id v = sum.in[side], other = sum.in[1 - side];
        const oi_node *n = oi_match_single_use(g, v) ? oi_match_def(g, v, "ConvBytes") : NULL;
        const oi_conv_bytes_attr *conv = n ? n->attr : NULL;
        enum { BEFORE = 5 };
        if (!conv || n->nin > BEFORE || (conv->group > 1 && conv->group == conv->channels) || conv->y_scale != (side ? s->b_scale : s->a_scale) ||
            conv->y_zero != (side ? s->b_zero : s->a_zero))
            continue;
        oi_value_id in[BEFORE + 1] = {OI_NONE, OI_NONE, OI_NONE, OI_NONE, OI_NONE, other};
        memcpy(in, n->in, n->nin * sizeof *in);
        oi_conv_bytes_attr *a = oi_arena_copy(g->arena, conv, sizeof *conv);
        if (!a)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        a->r_scale = side ? s->a_scale : s->b_scale;
        a->r_zero = side ? s->a_zero : s->b_zero;
        a->sum_scale = s->y_scale;
        a->sum_zero = s->y_zero;
        a->sum_signed = s->y_signed;
        a->sum_low = s->low;
        a->sum_high = s->high;
        oi_rewrite_replace(rw, sum.out[0], oi_rewrite_node(rw, &oi_op_oi_ConvBytes, a, BEFORE + 1, in));
        return rw->status;
    }
    return ONNX_INFER_OK;
}
