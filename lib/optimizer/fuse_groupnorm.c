/* Group normalization out of its pieces, and what follows instance and group normalization:
 *
 *   Reshape(n)  with  n = InstanceNormalization(Reshape(x), s, b) or LayerNormalization(Reshape(x), 1), x as [N, groups, ...]
 *               -> GroupNormalization(x, s, b)
 *   InstanceNormalization(x, s, b) * c -> InstanceNormalization(x, s c, b c), the same with + d -> (x, s, b + d), the same of
 *               GroupNormalization; c and d constant, one element or one for each channel
 *
 * Left alone: norms that something else uses, channels that are not known. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>

static double element(const oi_tensor *t, int64_t i)
{
    return oi_elem_get_double(t->dtype, t->data, (size_t)i);
}

static oi_value_id channel_row(oi_rewrite *rw, oi_dtype dtype, int64_t n, const double *v)
{
    oi_tensor t = {0};
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), dtype, 1, &n, &t);
    for (int64_t i = 0; !rw->status && i < n; i++)
        oi_elem_set_double(dtype, t.data, (size_t)i, v[i]);
    return oi_rewrite_const(rw, &t);
}

static const oi_node *sole(const oi_graph *g, oi_value_id v, const char *op)
{
    const oi_node *n = oi_match_single_use(g, v) ? oi_match_def(g, v, op) : NULL;
    return n && n->nout == 1 ? n : NULL;
}

/* Scale and bias of the norm `inner`, one for each of `groups`; NULL constants mean 1 and 0. */
static bool read_inner(const oi_graph *g, const oi_node *inner, int64_t groups, const oi_tensor **scale, const oi_tensor **bias)
{
    double one;
    if (strcmp(inner->op->name, "LayerNormalization") == 0) {
        int32_t rank = oi_graph_fact(g, inner->in[0])->shape.rank;
        int64_t axis = oi_attr_int(inner, "axis", -1);
        axis += axis < 0 ? rank : 0;
        return axis == 2 && inner->nin == 2 && oi_match_uniform(g, inner->in[1], &one) && one == 1;
    }
    *scale = oi_match_const(g, inner->in[1]);
    *bias = oi_match_const(g, inner->in[2]);
    return *scale && *bias && oi_tensor_count(*scale) == groups && oi_tensor_count(*bias) == groups;
}

oi_status oi_rule_group_norm(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_node *instance = sole(g, n.in[0], "InstanceNormalization"), *inner = instance ? instance : sole(g, n.in[0], "LayerNormalization");
    const oi_node *before = inner ? sole(g, inner->in[0], "Reshape") : NULL;
    const oi_tensor *scale = NULL, *bias = NULL;
    if (!before || !oi_match_same(g, before->in[0], n.out[0]))
        return ONNX_INFER_OK;
    const oi_fact *x = oi_graph_fact(g, n.out[0]);
    const oi_shape *grouped = &oi_graph_fact(g, inner->in[0])->shape;
    const float *epsilon = oi_attr_field(inner, "epsilon");
    if (x->shape.rank < 3 || grouped->rank < 3 || grouped->dim[0] != x->shape.dim[0] || !oi_dim_is_number(x->shape.dim[1]) ||
        !oi_dim_is_number(grouped->dim[1]) || !oi_dtype_is_float(x->dtype) || !epsilon)
        return ONNX_INFER_OK;
    const int64_t channels = x->shape.dim[1], groups = grouped->dim[1];
    if (groups < 1 || channels < 1 || channels % groups || !read_inner(g, inner, groups, &scale, &bias))
        return ONNX_INFER_OK;
    double *v[2] = {oi_arena_array(g->arena, (size_t)channels, sizeof(double)), oi_arena_array(g->arena, (size_t)channels, sizeof(double))};
    if (!v[0] || !v[1])
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t c = 0; c < channels; c++) {
        v[0][c] = scale ? element(scale, c / (channels / groups)) : 1;
        v[1][c] = bias ? element(bias, c / (channels / groups)) : 0;
    }
    char attrs[64];
    snprintf(attrs, sizeof attrs, "num_groups=%lld, epsilon=%.9g", (long long)groups, (double)*epsilon);
    const oi_dtype dtype = x->dtype;
    oi_value_id in[3] = {before->in[0], channel_row(rw, dtype, channels, v[0]), channel_row(rw, dtype, channels, v[1])};
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "GroupNormalization", attrs, 3, in));
    return rw->status;
}

/* A constant of one element, or one for each channel of x's shape. */
static bool by_channel(const oi_tensor *t, const oi_shape *x)
{
    if (!t || !oi_dtype_is_float(t->dtype) || t->rank > x->rank)
        return false;
    int64_t count = oi_tensor_count(t);
    int32_t at = 1 - (x->rank - t->rank);
    return count == 1 || (count == x->dim[1] && at >= 0 && t->dim[at] == count);
}

oi_status oi_rule_channel_norm(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const bool product = strcmp(n.op->name, "Mul") == 0;
    for (uint32_t side = 0; n.nin == 2 && side < 2; side++) {
        const oi_node *instance = sole(g, n.in[side], "InstanceNormalization");
        const oi_node *norm = instance ? instance : sole(g, n.in[side], "GroupNormalization");
        const oi_tensor *t = oi_match_const(g, n.in[1 - side]);
        if (!norm || !oi_match_same(g, n.in[side], n.out[0]))
            continue;
        const oi_fact *x = oi_graph_fact(g, n.out[0]);
        const oi_tensor *scale = oi_match_const(g, norm->in[1]), *bias = oi_match_const(g, norm->in[2]);
        if (x->shape.rank < 2 || !by_channel(t, &x->shape) || !scale || !bias || scale->rank != 1 || bias->rank != 1 ||
            scale->dim[0] != x->shape.dim[1] || bias->dim[0] != x->shape.dim[1] || !oi_dtype_is_float(scale->dtype))
            continue;
        const int64_t channels = scale->dim[0];
        double *v[2] = {oi_arena_array(g->arena, (size_t)channels, sizeof(double)), oi_arena_array(g->arena, (size_t)channels, sizeof(double))};
        if (!v[0] || !v[1])
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (int64_t c = 0; c < channels; c++) {
            double k = element(t, oi_tensor_count(t) == 1 ? 0 : c);
            v[0][c] = element(scale, c) * (product ? k : 1);
            v[1][c] = product ? element(bias, c) * k : element(bias, c) + k;
        }
        const oi_dtype dtype = scale->dtype;
        oi_value_id in[3] = {norm->in[0], channel_row(rw, dtype, channels, v[0]), channel_row(rw, dtype, channels, v[1])};
        oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, norm->op, norm->attr, 3, in));
        return rw->status;
    }
    return ONNX_INFER_OK;
}
