/* Vectors brought to length 1, in the spellings of PyTorch, TensorFlow and Keras, and LpNormalization; for lowering, since the
 * standard's operator has no epsilon:
 *
 *   x / Max(ReduceL2(x), e), x / Clip(ReduceL2(x), e)        -> NormalizeL2(x) {low=e}          F.normalize
 *   x / (ReduceL2(x) + e)                                   -> NormalizeL2(x) {outside=e}
 *   x / Sqrt(ReduceSum(x * x) + e)                          -> NormalizeL2(x) {inside=e}
 *   x * Reciprocal(Sqrt(Max(ReduceSum(x * x), e)))          -> NormalizeL2(x) {low=sqrt e}     tf.math.l2_normalize
 *   LpNormalization(x) {p=2}                                -> NormalizeL2(x) {low=the least number}
 *
 * with ReduceSumSquare in the place of the sum, too. Left alone: other types than float32, axes that are no neighbours, sums
 * that something else uses. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

typedef struct {
    double inside, outside, low;
    int64_t axis, axes;
} l2;

/* v = Max(inner, c): inner */
static oi_value_id above(const oi_graph *g, oi_value_id v, double *c)
{
    const oi_node *max = oi_match_def(g, v, "Max"), *clip = oi_match_def(g, v, "Clip");
    double high = INFINITY;
    if (max && max->nin == 2 && oi_match_scalar(g, max->in[1], c))
        return max->in[0];
    if (clip && clip->nin > 1 && clip->in[1] != OI_NONE && oi_match_scalar(g, clip->in[1], c) &&
        (clip->nin < 3 || clip->in[2] == OI_NONE || (oi_match_scalar(g, clip->in[2], &high) && high == INFINITY)))
        return clip->in[0];
    return OI_NONE;
}

/* v = inner + c: inner */
static oi_value_id sum_with(const oi_graph *g, oi_value_id v, double *c)
{
    const oi_node *add = oi_match_def(g, v, "Add");
    return add && add->nin == 2 && oi_match_scalar(g, add->in[1], c) && *c >= 0 ? add->in[0] : OI_NONE;
}

/* v reduces x by op over neighbouring axes, which stay with size 1. */
static bool reduces(const oi_graph *g, oi_value_id v, const char *op, oi_value_id x, int32_t rank, l2 *l)
{
    const oi_node *n = oi_match_def(g, v, op);
    const oi_tensor *axes = n && n->nin > 1 ? oi_match_const(g, n->in[1]) : NULL;
    unsigned seen = 0;
    if (!axes || n->in[0] != x || oi_attr_int(n, "keepdims", 1) != 1 || oi_tensor_count(axes) < 1)
        return false;
    for (int64_t i = 0; i < oi_tensor_count(axes); i++) {
        int64_t a = oi_elem_get_int(axes->dtype, axes->data, (size_t)i);
        a += a < 0 ? rank : 0;
        if (a < 0 || a >= rank)
            return false;
        seen |= 1u << a;
    }
    for (l->axis = 0; !(seen >> l->axis & 1);)
        l->axis++;
    for (l->axes = 0; seen >> (l->axis + l->axes) & 1;)
        l->axes++;
    return seen >> (l->axis + l->axes) == 0;
}

static bool sums_squares(const oi_graph *g, oi_value_id v, oi_value_id x, int32_t rank, l2 *l)
{
    const oi_node *sum = oi_match_def(g, v, "ReduceSum");
    if (reduces(g, v, "ReduceSumSquare", x, rank, l))
        return true;
    return sum && (oi_match_other(g, sum->in[0], "Mul", x) == x || oi_match_with_scalar(g, sum->in[0], "Pow", 2) == x) &&
           reduces(g, v, "ReduceSum", sum->in[0], rank, l);
}

/* v is the length of the vectors of x, with what keeps it from being 0. */
static bool read_length(const oi_graph *g, oi_value_id v, oi_value_id x, int32_t rank, l2 *l)
{
    double c;
    *l = (l2){0};
    if (!oi_match_single_use(g, v))
        return false;
    oi_value_id inner = above(g, v, &c);
    if (inner != OI_NONE) {
        l->low = c;
        v = inner;
    }
    inner = sum_with(g, v, &c);
    if (inner != OI_NONE) {
        l->outside = c;
        v = inner;
    }
    if (reduces(g, v, "ReduceL2", x, rank, l))
        return oi_match_single_use(g, v);
    oi_value_id squares = oi_match_unary(g, v, "Sqrt");
    squares = squares == OI_NONE ? oi_match_with_scalar(g, v, "Pow", 0.5) : squares;
    if (squares == OI_NONE)
        return false;
    inner = above(g, squares, &c);
    if (inner != OI_NONE && l->outside == 0 && c >= 0) {
        l->low = sqrt(c) > l->low ? sqrt(c) : l->low;
        squares = inner;
    } else if ((inner = sum_with(g, squares, &c)) != OI_NONE) {
        l->inside = c;
        squares = inner;
    }
    return sums_squares(g, squares, x, rank, l) && oi_match_single_use(g, squares);
}

/* v = 1 / length: length */
static oi_value_id inverse_of(const oi_graph *g, oi_value_id v)
{
    const oi_node *div = oi_match_def(g, v, "Div");
    double one;
    if (div && oi_match_scalar(g, div->in[0], &one) && one == 1)
        return div->in[1];
    return oi_match_unary(g, v, "Reciprocal");
}

oi_status oi_rule_l2(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    oi_value_id x = n.in[0];
    const oi_fact *f = oi_graph_fact(g, n.out[0]);
    const int32_t rank = f->shape.rank;
    l2 l = {0};
    bool found = false;
    if (f->dtype != ONNX_INFER_FLOAT || rank < 1 || rank > OI_MAX_RANK || !oi_shape_is_concrete(&f->shape))
        return ONNX_INFER_OK;
    if (oi_match_def(g, n.out[0], "LpNormalization")) {
        const int64_t axis = oi_attr_int(&n, "axis", -1);
        l = (l2){.low = FLT_MIN, .axis = axis + (axis < 0 ? rank : 0), .axes = 1};
        found = oi_attr_int(&n, "p", 2) == 2 && l.axis >= 0 && l.axis < rank;
    } else if (oi_match_def(g, n.out[0], "Div")) {
        found = read_length(g, n.in[1], x, rank, &l);
    } else {
        for (uint32_t side = 0; n.nin == 2 && side < 2 && !found; side++) {
            oi_value_id length = inverse_of(g, n.in[1 - side]);
            x = n.in[side];
            found = length != OI_NONE && oi_match_single_use(g, n.in[1 - side]) && read_length(g, length, x, rank, &l);
        }
    }
    if (!found || !oi_match_same(g, x, n.out[0]) || !(l.low >= 0))
        return ONNX_INFER_OK;
    char attrs[160];
    snprintf(attrs, sizeof attrs, "axis=%lld, axes=%lld, inside=%.9g, outside=%.9g, low=%.9g", (long long)l.axis, (long long)l.axes, l.inside,
             l.outside, l.low);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "onnx_infer", "NormalizeL2", attrs, 1, &x));
    return rw->status;
}
