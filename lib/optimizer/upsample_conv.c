/* Upsampling by repetition in front of a convolution with few outputs, as networks for pictures end:
 *
 *   Conv(Resize(x) {mode=nearest, twice as large}, W) -> DepthToSpace(Conv(x, W')) {blocksize=2, mode=CRD}
 *   Relu(DepthToSpace(x)) -> DepthToSpace(Relu(x))                                  elementwise operators of one value
 *
 * Each pixel of x gives a block of results; the taps of W that meet the same pixel are summed in W'. The large image is
 * never made, and outputs that would leave most of a vector empty fill it. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>

enum { MOST_OUTPUTS = 16 };

static int64_t list_at(const oi_node *n, const char *name, uint32_t i, int64_t absent)
{
    const oi_ints *list = oi_attr_field(n, name);
    return list && list->at && i < list->n ? list->at[i] : absent;
}

/* Repeats every pixel `factor` times along both axes of an image. */
static bool repeats_pixels(const oi_graph *g, const oi_node *resize, int64_t *factor)
{
    const oi_shape *in = &oi_graph_fact(g, resize->in[0])->shape, *out = &oi_graph_fact(g, resize->out[0])->shape;
    const oi_ints *axes = oi_attr_field(resize, "axes");
    const int64_t mode = oi_attr_int(resize, "mode", -1), where = oi_attr_int(resize, "coordinate_transformation_mode", -1);
    const int64_t nearest = oi_attr_int(resize, "nearest_mode", -1);
    enum { NEAREST = 0, HALF_PIXEL = 0, ASYMMETRIC = 4, PREFER_FLOOR = 0, FLOOR = 2 }; /* places of the words in Resize's lists */
    if (in->rank != 4 || (axes && axes->at) || mode != NEAREST || !oi_shape_is_concrete(in) || !oi_shape_is_concrete(out) ||
        !((where == ASYMMETRIC && nearest == FLOOR) || (where == HALF_PIXEL && nearest == PREFER_FLOOR)))
        return false;
    const oi_tensor *scales = resize->nin > 2 ? oi_match_const(g, resize->in[2]) : NULL;
    *factor = in->dim[2] ? out->dim[2] / in->dim[2] : 0;
    for (uint32_t i = 2; i < 4 && scales && scales->dtype == ONNX_INFER_FLOAT && oi_tensor_count(scales) == 4; i++) {
        if (((const float *)scales->data)[i] != (float)*factor)
            return false;
    }
    return *factor > 1 && in->dim[0] == out->dim[0] && in->dim[1] == out->dim[1] && out->dim[2] == *factor * in->dim[2] &&
           out->dim[3] == *factor * in->dim[3];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* W' [oc f f, ic, taps, taps] of W [oc, ic, k, k]. */
static oi_value_id gather_taps(oi_rewrite *rw, const oi_tensor *w, int64_t f, int64_t low, int64_t taps)
{
    const int64_t k = w->dim[2], half = (k - 1) / 2, dims[4] = {w->dim[0] * f * f, w->dim[1], taps, taps};
    oi_tensor t = {0};
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), ONNX_INFER_FLOAT, 4, dims, &t);
    if (rw->status)
        return OI_NONE;
    memset(t.data, 0, t.bytes);
    for (int64_t o = 0; o < w->dim[0]; o++)
        for (int64_t p = 0; p < f * f; p++)
            for (int64_t i = 0; i < w->dim[1]; i++)
                for (int64_t tap = 0; tap < k * k; tap++) {
                    int64_t y = floor_div(p / f + tap / k - half, f) - low, x = floor_div(p % f + tap % k - half, f) - low;
                    ((float *)t.data)[(((o * f * f + p) * w->dim[1] + i) * taps + y) * taps + x] +=
                        ((const float *)w->data)[((o * w->dim[1] + i) * k + tap / k) * k + tap % k];
                }
    return oi_rewrite_const(rw, &t);
}

static oi_value_id repeated(oi_rewrite *rw, const oi_tensor *bias, int64_t times)
{
    const int64_t n = oi_tensor_count(bias) * times;
    oi_tensor t = {0};
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), ONNX_INFER_FLOAT, 1, &n, &t);
    for (int64_t i = 0; i < n && !rw->status; i++)
        ((float *)t.data)[i] = ((const float *)bias->data)[i / times];
    return oi_rewrite_const(rw, &t);
}

oi_status oi_rule_upsample_conv(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_node *resize = oi_match_single_use(g, n.in[0]) ? oi_match_def(g, n.in[0], "Resize") : NULL;
    const oi_tensor *w = resize ? oi_match_const(g, n.in[1]) : NULL, *bias = n.nin > 2 ? oi_match_const(g, n.in[2]) : NULL;
    int64_t f;
    if (!w || w->rank != 4 || w->dtype != ONNX_INFER_FLOAT || w->dim[2] != w->dim[3] || w->dim[2] % 2 == 0 || w->dim[2] < 3 ||
        oi_attr_int(&n, "group", 1) != 1 || oi_attr_int(&n, "auto_pad", 0) != 0 || !repeats_pixels(g, resize, &f) ||
        w->dim[0] * f * f > MOST_OUTPUTS || (n.nin > 2 && n.in[2] != OI_NONE && (!bias || bias->dtype != ONNX_INFER_FLOAT)))
        return ONNX_INFER_OK;
    const int64_t half = (w->dim[2] - 1) / 2, low = floor_div(-half, f), high = floor_div(f - 1 + half, f);
    for (uint32_t i = 0; i < 4; i++) {
        if (list_at(&n, "pads", i, 0) != half || list_at(&n, "strides", i % 2, 1) != 1 || list_at(&n, "dilations", i % 2, 1) != 1)
            return ONNX_INFER_OK;
    }
    char attrs[160];
    snprintf(attrs, sizeof attrs, "kernel_shape=[%lld,%lld], pads=[%lld,%lld,%lld,%lld]", (long long)(high - low + 1),
             (long long)(high - low + 1), (long long)-low, (long long)-low, (long long)high, (long long)high);
    oi_value_id in[3] = {resize->in[0], gather_taps(rw, w, f, low, high - low + 1), bias ? repeated(rw, bias, f * f) : OI_NONE};
    oi_value_id deep = oi_rewrite_op(rw, "", "Conv", attrs, bias ? 3 : 2, in);
    snprintf(attrs, sizeof attrs, "blocksize=%lld, mode=CRD", (long long)f);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "DepthToSpace", attrs, 1, &deep));
    return rw->status;
}

oi_status oi_rule_depth_behind(oi_rewrite *rw, oi_node_id id)
{
    enum { MOST = 4 };
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_node *deep = n.nin >= 1 && n.nin <= MOST ? oi_match_def(g, n.in[0], "DepthToSpace") : NULL;
    if (!(n.op->flags & OI_OP_ELEMENTWISE) || n.op->domain[0] || n.nout != 1 || !deep ||
        !oi_match_single_use(g, n.in[0]) || !oi_match_same(g, n.in[0], n.out[0]))
        return ONNX_INFER_OK;
    const oi_op *op = deep->op;
    void *attr = deep->attr;
    oi_value_id in[MOST] = {deep->in[0]};
    for (uint32_t i = 1; i < n.nin; i++) {
        const oi_fact *f = oi_graph_fact(g, n.in[i]);
        in[i] = n.in[i];
        if (f && (f->shape.rank < 0 || f->shape.rank > 1 || !oi_shape_is_concrete(&f->shape) ||
                  oi_dims_count(f->shape.rank, f->shape.dim) != 1))
            return ONNX_INFER_OK;
    }
    oi_value_id made = oi_rewrite_node(rw, n.op, n.attr, n.nin, in);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, op, attr, 1, &made));
    return rw->status;
}
