/* LayerNormalization and RMSNormalization out of their pieces. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>

/* v = op of x over the last axes, kept: how many axes; 0: it is not. */
static int32_t reduced_axes(const oi_graph *g, oi_value_id v, const char *op, oi_value_id x)
{
    const oi_node *n = oi_match_def(g, v, op);
    const oi_tensor *axes = n && n->nin > 1 ? oi_match_const(g, n->in[1]) : NULL;
    int32_t rank = oi_graph_fact(g, x)->shape.rank, count;
    unsigned seen = 0;
    if (!n || n->in[0] != x || !axes || rank < 1 || rank > OI_MAX_RANK || oi_attr_int(n, "keepdims", 1) != 1)
        return 0;
    count = (int32_t)oi_tensor_count(axes);
    for (int32_t i = 0; i < count && i < rank; i++) {
        int64_t a = oi_elem_get_int(axes->dtype, axes->data, (size_t)i);
        a = a < 0 ? a + rank : a;
        if (a < 0 || a >= rank)
            return 0;
        seen |= 1u << a;
    }
    unsigned last = ((1u << rank) - 1) & ~((1u << (rank - count)) - 1);
    return count >= 1 && count <= rank && seen == last ? count : 0;
}

static int32_t mean_axes(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    return reduced_axes(g, v, "ReduceMean", x);
}

/* v = d * d */
static bool is_square(const oi_graph *g, oi_value_id v, oi_value_id d)
{
    return oi_match_with_scalar(g, v, "Pow", 2) == d || oi_match_other(g, v, "Mul", d) == d;
}

/* v = the mean of d * d over the last axes, also as a sum of squares by their number: how many axes; 0: it is not. */
static int32_t mean_square_axes(const oi_graph *g, oi_value_id v, oi_value_id d)
{
    const oi_node *mean = oi_match_def(g, v, "ReduceMean"), *div = oi_match_def(g, v, "Div"), *mul = oi_match_def(g, v, "Mul");
    double n;
    if (mean)
        return is_square(g, mean->in[0], d) ? mean_axes(g, v, mean->in[0]) : 0;
    const oi_node *by = div ? div : mul;
    if (!by || by->nin != 2 || !oi_match_scalar(g, by->in[1], &n))
        return 0;
    const oi_shape *s = &oi_graph_fact(g, d)->shape;
    int32_t axes = reduced_axes(g, by->in[0], "ReduceSumSquare", d);
    double count = div ? 1 / n : n;
    for (int32_t i = s->rank - axes; i < s->rank; i++)
        count *= oi_dim_is_number(s->dim[i]) ? (double)s->dim[i] : 0;
    return count > 1 - 1e-6 && count < 1 + 1e-6 ? axes : 0;
}

/* sum = mean + epsilon: mean */
static oi_value_id above_epsilon(const oi_graph *g, oi_value_id sum, double *epsilon)
{
    const oi_node *add = sum == OI_NONE ? NULL : oi_match_def(g, sum, "Add");
    for (uint32_t side = 0; add && add->nin == 2 && side < 2; side++) {
        if (oi_match_scalar(g, add->in[side], epsilon) && *epsilon >= 0)
            return add->in[1 - side];
    }
    return OI_NONE;
}

/* v = sqrt(mean + epsilon): mean */
static oi_value_id root_of_mean(const oi_graph *g, oi_value_id v, double *epsilon)
{
    oi_value_id sum = oi_match_unary(g, v, "Sqrt");
    return above_epsilon(g, sum == OI_NONE ? oi_match_with_scalar(g, v, "Pow", 0.5) : sum, epsilon);
}

/* v = 1 / sqrt(mean + epsilon): mean */
static oi_value_id inverse_root(const oi_graph *g, oi_value_id v, double *epsilon)
{
    const oi_node *one_over = oi_match_def(g, v, "Div");
    double one;
    oi_value_id root = oi_match_unary(g, v, "Reciprocal");
    if (one_over && oi_match_scalar(g, one_over->in[0], &one) && one == 1)
        root = one_over->in[1];
    if (root != OI_NONE)
        return root_of_mean(g, root, epsilon);
    return above_epsilon(g, oi_match_with_scalar(g, v, "Pow", -0.5), epsilon);
}

/* out = d / sqrt(mean + epsilon), also as a product with the reciprocal: d and mean. */
static bool match_quotient(const oi_graph *g, oi_value_id out, oi_value_id *d, oi_value_id *mean, double *epsilon)
{
    const oi_node *div = oi_match_def(g, out, "Div"), *mul = oi_match_def(g, out, "Mul");
    if (div) {
        *d = div->in[0];
        *mean = root_of_mean(g, div->in[1], epsilon);
        return *mean != OI_NONE;
    }
    for (uint32_t side = 0; mul && mul->nin == 2 && side < 2; side++) {
        *d = mul->in[1 - side];
        *mean = inverse_root(g, mul->in[side], epsilon);
        if (*mean != OI_NONE)
            return true;
    }
    return false;
}

static oi_value_id ones(oi_rewrite *rw, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    oi_tensor t = {0};
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), dtype, rank, dims, &t);
    for (int64_t i = 0; !rw->status && i < oi_tensor_count(&t); i++)
        oi_elem_set_double(dtype, t.data, (size_t)i, 1);
    return oi_rewrite_const(rw, &t);
}

/* Over all axes behind the channels, of which the size is known: instance normalization, whose scale and bias go by channel. */
static oi_status replace_by_instance_norm(oi_rewrite *rw, oi_value_id out, oi_value_id x, double epsilon)
{
    const oi_fact *f = oi_graph_fact(rw->g, x);
    const int64_t channels = f->shape.dim[1];
    char attrs[32];
    oi_tensor zero = {0};
    if (!oi_match_same(rw->g, x, out) || !oi_dtype_is_float(f->dtype))
        return ONNX_INFER_OK;
    snprintf(attrs, sizeof attrs, "epsilon=%.9g", epsilon);
    OI_TRY(oi_tensor_create(oi_arena_alloc_of(rw->g->arena), f->dtype, 1, &channels, &zero));
    for (int64_t i = 0; i < channels; i++)
        oi_elem_set_double(f->dtype, zero.data, (size_t)i, 0);
    const oi_dtype dtype = f->dtype;
    oi_value_id in[3] = {x, ones(rw, dtype, 1, &channels), oi_rewrite_const(rw, &zero)};
    oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "InstanceNormalization", attrs, 3, in));
    return rw->status;
}

static oi_status replace_by_norm(oi_rewrite *rw, oi_value_id out, const char *op, oi_value_id x, int32_t axes, double epsilon)
{
    const oi_fact *f = oi_graph_fact(rw->g, x);
    int64_t dims[OI_MAX_RANK], count = 1;
    char attrs[64];
    for (int32_t i = 0; i < axes; i++) {
        dims[i] = f->shape.dim[f->shape.rank - axes + i];
        if (!oi_dim_is_number(dims[i]) || dims[i] < 1 || dims[i] > (1 << 20))
            return ONNX_INFER_OK;
        count *= dims[i];
        if (count > (1 << 22))
            return ONNX_INFER_OK;
    }
    if (!oi_match_same(rw->g, x, out) || !oi_dtype_is_float(f->dtype))
        return ONNX_INFER_OK;
    snprintf(attrs, sizeof attrs, "axis=%d, epsilon=%.9g", -axes, epsilon);
    oi_value_id in[2] = {x, ones(rw, f->dtype, axes, dims)};
    oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", op, attrs, 2, in));
    return rw->status;
}

/* variance = mean of (x - mean)^2 over the last axes: how many; 0: it is not. */
static int32_t variance_axes(const oi_graph *g, oi_value_id variance, oi_value_id x, oi_value_id *mean)
{
    const oi_node *outer = oi_match_def(g, variance, "ReduceMean");
    const oi_node *square = outer ? oi_match_def(g, outer->in[0], "Mul") : NULL;
    square = outer && !square ? oi_match_def(g, outer->in[0], "Pow") : square;
    const oi_node *sub = square ? oi_match_def(g, square->in[0], "Sub") : NULL;
    if (!sub || !is_square(g, outer->in[0], square->in[0]))
        return 0;
    uint32_t side = sub->in[0] == x ? 0 : 1; /* the square has no sign */
    *mean = sub->in[1 - side];
    int32_t axes = sub->in[side] == x ? mean_axes(g, *mean, x) : 0;
    return axes && mean_axes(g, variance, outer->in[0]) == axes ? axes : 0;
}

/* The constant v, which has an element for each channel of an image of this rank, flat; OI_NONE: it has not. */
static oi_value_id by_channel(oi_rewrite *rw, oi_value_id v, int32_t rank, int64_t channels, oi_dtype dtype)
{
    const oi_tensor *t = oi_match_const(rw->g, v);
    const int32_t at = t ? 1 - (rank - t->rank) : -1;
    if (!t || t->dtype != dtype || at < 0 || at >= t->rank || t->dim[at] != channels || oi_tensor_count(t) != channels)
        return OI_NONE;
    oi_tensor view;
    oi_tensor_share_as(&view, t, 1, &channels);
    return oi_rewrite_const(rw, &view);
}

/* The same over the pixels of each channel, with a scale (and a bias, if there is one) by channel. */
static oi_status split_instance_norm(oi_rewrite *rw, oi_value_id out, oi_value_id x, oi_value_id gamma, oi_value_id bias, double epsilon)
{
    const oi_shape *s = &oi_graph_fact(rw->g, x)->shape;
    const oi_dtype dtype = oi_graph_fact(rw->g, x)->dtype;
    const int64_t channels = s->dim[1];
    const int32_t rank = s->rank;
    if (!oi_dim_is_number(channels) || channels < 1 || !oi_match_same(rw->g, x, out) || !oi_dtype_is_float(dtype))
        return ONNX_INFER_OK;
    oi_value_id in[3] = {x, by_channel(rw, gamma, rank, channels, dtype), OI_NONE};
    if (in[1] != OI_NONE && bias == OI_NONE) {
        oi_tensor zero = {0};
        OI_TRY(oi_tensor_create(oi_arena_alloc_of(rw->g->arena), dtype, 1, &channels, &zero));
        memset(zero.data, 0, zero.bytes);
        in[2] = oi_rewrite_const(rw, &zero);
    } else if (in[1] != OI_NONE) {
        in[2] = by_channel(rw, bias, rank, channels, dtype);
    }
    if (in[2] == OI_NONE)
        return rw->status ? rw->status : OI_DECLINED;
    char attrs[32];
    snprintf(attrs, sizeof attrs, "epsilon=%.9g", epsilon);
    oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "InstanceNormalization", attrs, 3, in));
    return rw->status;
}

/* out = x k - mean k + bias with k = gamma / sqrt(variance + epsilon); bias OI_NONE: there is none. */
static oi_status split_norm(oi_rewrite *rw, oi_value_id out, const oi_node *scaled, oi_value_id shift, oi_value_id bias_in)
{
    const oi_graph *g = rw->g;
    for (uint32_t way = 0; scaled->nin == 2 && way < 4; way++) {
        oi_value_id x = scaled->in[way & 1], factor = scaled->in[1 - (way & 1)], mean;
        const oi_node *k = oi_match_def(g, factor, "Mul");
        oi_value_id moved = oi_match_other(g, shift, "Mul", factor);
        double epsilon;
        if (!k || moved == OI_NONE)
            continue;
        oi_value_id gamma = k->in[way >> 1], variance = inverse_root(g, k->in[1 - (way >> 1)], &epsilon);
        int32_t axes = variance == OI_NONE ? 0 : variance_axes(g, variance, x, &mean);
        if (!axes || mean != moved)
            continue;
        const oi_shape *s = &oi_graph_fact(g, x)->shape;
        const oi_tensor *scale = oi_match_const(g, gamma), *bias = oi_match_const(g, bias_in);
        if (s->rank >= 4 && axes == s->rank - 2 && scale && scale->rank > axes)
            return split_instance_norm(rw, out, x, gamma, bias_in, epsilon);
        bool fits = scale && scale->rank == axes && oi_match_same(g, x, out);
        fits = fits && (bias_in == OI_NONE || (bias && bias->rank == axes));
        for (int32_t i = 0; i < axes && fits; i++)
            fits = scale->dim[i] == s->dim[s->rank - axes + i] && (!bias || bias->dim[i] == scale->dim[i]);
        if (!fits)
            continue;
        char attrs[64];
        snprintf(attrs, sizeof attrs, "axis=%d, epsilon=%.9g", -axes, epsilon);
        oi_value_id in[3] = {x, gamma, bias_in};
        oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "LayerNormalization", attrs, bias ? 3 : 2, in));
        return rw->status;
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_norm_split(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node sum = g->node[id];
    const oi_node *scaled = sum.nin == 2 ? oi_match_def(g, sum.in[0], "Mul") : NULL;
    if (oi_match_def(g, sum.out[0], "Sub"))
        return scaled ? split_norm(rw, sum.out[0], scaled, sum.in[1], OI_NONE) : ONNX_INFER_OK;
    for (uint32_t side = 0; sum.nin == 2 && side < 2; side++) {
        const oi_node *rest = oi_match_def(g, sum.in[1 - side], "Sub");
        scaled = oi_match_def(g, sum.in[side], "Mul");
        if (scaled && rest) {
            const oi_value_id shift = rest->in[1], bias = rest->in[0];
            OI_TRY(split_norm(rw, sum.out[0], scaled, shift, bias));
        }
        if (rw->nreplace)
            break;
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_layer_norm(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    oi_value_id out = g->node[id].out[0], d, variance;
    double epsilon;
    if (!match_quotient(g, out, &d, &variance, &epsilon))
        return ONNX_INFER_OK;
    const oi_node *sub = oi_match_def(g, d, "Sub"), *mean = oi_match_def(g, variance, "ReduceMean");
    if (!sub)
        return ONNX_INFER_OK;
    oi_value_id x = sub->in[0];
    int32_t axes = mean_axes(g, sub->in[1], x);
    bool square = axes && mean_square_axes(g, variance, d) == axes;
    if (axes && !square && mean && mean_axes(g, variance, mean->in[0]) == axes) { /* exporters may write the difference twice */
        const oi_node *pow = oi_match_def(g, mean->in[0], "Pow"), *again = pow ? oi_match_def(g, pow->in[0], "Sub") : NULL;
        square = again && again->in[0] == x && mean_axes(g, again->in[1], x) == axes && is_square(g, mean->in[0], pow->in[0]);
    }
    if (!square)
        return ONNX_INFER_OK;
    const oi_shape *s = &oi_graph_fact(g, x)->shape;
    if (s->rank >= 4 && axes == s->rank - 2 && oi_dim_is_number(s->dim[1]) && s->dim[1] > 0 && s->dim[1] < (1 << 20))
        return replace_by_instance_norm(rw, out, x, epsilon);
    return replace_by_norm(rw, out, "LayerNormalization", x, axes, epsilon);
}

/* v = the mean of x over axis 1 alone, which stays. */
static bool is_channel_mean(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    const oi_node *n = oi_match_def(g, v, "ReduceMean");
    const oi_tensor *axes = n && n->nin > 1 ? oi_match_const(g, n->in[1]) : NULL;
    if (!axes || n->in[0] != x || oi_attr_int(n, "keepdims", 1) != 1 || oi_tensor_count(axes) != 1)
        return false;
    const int64_t axis = oi_elem_get_int(axes->dtype, axes->data, 0);
    return axis == 1 || axis + oi_graph_fact(g, x)->shape.rank == 1;
}

oi_status oi_rule_layer_norm_channels(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_value_id out = g->node[id].out[0];
    oi_value_id d, variance;
    double epsilon;
    if (!match_quotient(g, out, &d, &variance, &epsilon))
        return ONNX_INFER_OK;
    const oi_node *sub = oi_match_def(g, d, "Sub"), *mean = oi_match_def(g, variance, "ReduceMean");
    if (!sub || !mean || !is_square(g, mean->in[0], d) || !is_channel_mean(g, variance, mean->in[0]) || !is_channel_mean(g, sub->in[1], sub->in[0]))
        return ONNX_INFER_OK;
    oi_value_id x = sub->in[0];
    const oi_fact *f = oi_graph_fact(g, x);
    const int32_t rank = f->shape.rank;
    const oi_dtype dtype = f->dtype;
    const int64_t channels = rank == 3 || rank == 4 ? f->shape.dim[1] : -1;
    if (!oi_dim_is_number(channels) || channels < 1 || channels > (1 << 20) || !oi_match_same(g, x, out) || !oi_dtype_is_float(dtype))
        return ONNX_INFER_OK;
    char attrs[48];
    snprintf(attrs, sizeof attrs, "axis=-1, epsilon=%.9g", epsilon);
    oi_value_id in[2] = {oi_rewrite_op(rw, "", "Transpose", rank == 4 ? "perm=[0,2,3,1]" : "perm=[0,2,1]", 1, &x),
                         ones(rw, dtype, 1, &channels)};
    oi_value_id y = oi_rewrite_op(rw, "", "LayerNormalization", attrs, 2, in);
    oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "Transpose", rank == 4 ? "perm=[0,3,1,2]" : "perm=[0,2,1]", 1, &y));
    return rw->status;
}

oi_status oi_rule_rms_norm(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    oi_value_id out = g->node[id].out[0], x, mean;
    double epsilon;
    if (!match_quotient(g, out, &x, &mean, &epsilon))
        return ONNX_INFER_OK;
    int32_t axes = mean_square_axes(g, mean, x);
    return axes ? replace_by_norm(rw, out, "RMSNormalization", x, axes, epsilon) : ONNX_INFER_OK;
}

/* The norm that makes v for one user only. */
static const oi_node *sole_norm(const oi_graph *g, oi_value_id v, bool rms_too)
{
    if (!oi_match_single_use(g, v))
        return NULL;
    const oi_node *n = oi_match_def(g, v, "LayerNormalization");
    if (!n && rms_too)
        n = oi_match_def(g, v, "RMSNormalization");
    return n && n->nout == 1 ? n : NULL;
}

/* The constant v with the shape of `like`, axes of size 1 in front left out; OI_NONE: it has another. */
static oi_value_id shaped_like(oi_rewrite *rw, oi_value_id v, oi_value_id like)
{
    const oi_tensor *t = oi_match_const(rw->g, v), *want = oi_match_const(rw->g, like);
    if (!t || !want || t->dtype != want->dtype || t->rank < want->rank)
        return OI_NONE;
    const int32_t extra = t->rank - want->rank;
    for (int32_t i = 0; i < t->rank; i++) {
        if (t->dim[i] != (i < extra ? 1 : want->dim[i - extra]))
            return OI_NONE;
    }
    if (!extra)
        return v;
    oi_tensor view;
    oi_tensor_share_as(&view, t, want->rank, want->dim);
    return oi_rewrite_const(rw, &view);
}

oi_status oi_rule_norm_scale(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node mul = g->node[id];
    for (uint32_t side = 0; mul.nin == 2 && side < 2; side++) {
        const oi_node *norm = sole_norm(g, mul.in[side], true);
        double one;
        if (!norm || norm->nin != 2 || !oi_match_uniform(g, norm->in[1], &one) || one != 1 || !oi_match_same(g, mul.in[side], mul.out[0]))
            continue;
        const oi_node n = *norm;
        oi_value_id in[2] = {n.in[0], shaped_like(rw, mul.in[1 - side], n.in[1])};
        if (in[1] == OI_NONE)
            continue;
        oi_rewrite_replace(rw, mul.out[0], oi_rewrite_node(rw, n.op, n.attr, 2, in));
        return rw->status;
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_norm_bias(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node add = g->node[id];
    for (uint32_t side = 0; add.nin == 2 && side < 2; side++) {
        const oi_node *norm = sole_norm(g, add.in[side], false);
        if (!norm || norm->nin != 2 || !oi_match_same(g, add.in[side], add.out[0]))
            continue;
        const oi_node n = *norm;
        oi_value_id in[3] = {n.in[0], n.in[1], shaped_like(rw, add.in[1 - side], n.in[1])};
        if (in[2] == OI_NONE)
            continue;
        oi_rewrite_replace(rw, add.out[0], oi_rewrite_node(rw, n.op, n.attr, 3, in));
        return rw->status;
    }
    return ONNX_INFER_OK;
}
