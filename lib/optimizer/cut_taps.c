/* Taps of a convolution that read nothing but padding, as wide dilations on small images have them:
 *
 *   Conv(x, W) {kernel_shape=[3,3], dilations=[36,36], pads=[36,36,36,36]} of 20x20
 *   -> Conv(x, Slice(W)) {kernel_shape=[1,1], pads=[0,0,0,0]} */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>

enum { MOST_AXES = 3 };

typedef struct {
    int64_t size, out, kernel, stride, dilation, begin, end; /* of one axis; pads before and behind */
    int64_t first, last;                                     /* taps that are kept */
} tap_axis;

static int64_t list_at(const oi_node *n, const char *name, uint32_t i, int64_t absent)
{
    const oi_ints *list = oi_attr_field(n, name);
    return list && list->at && i < list->n ? list->at[i] : absent;
}

static bool reads_image(const tap_axis *a, int64_t tap)
{
    for (int64_t o = 0; o < a->out; o++) {
        int64_t at = o * a->stride - a->begin + tap * a->dilation;
        if (at >= 0 && at < a->size)
            return true;
    }
    return false;
}

static bool cut(tap_axis *a)
{
    a->first = 0;
    a->last = a->kernel - 1;
    while (a->first < a->last && !reads_image(a, a->first) && a->begin >= (a->first + 1) * a->dilation)
        a->first++;
    while (a->last > a->first && !reads_image(a, a->last) && a->end >= (a->kernel - a->last) * a->dilation)
        a->last--;
    a->begin -= a->first * a->dilation;
    a->end -= (a->kernel - 1 - a->last) * a->dilation;
    return a->last - a->first + 1 < a->kernel;
}

static void put_list(char *text, size_t cap, const char *name, int32_t n, const int64_t *v)
{
    size_t used = strlen(text);
    used += (size_t)snprintf(text + used, cap - used, ", %s=[", name);
    for (int32_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, cap - used, "%s%lld", i ? "," : "", (long long)v[i]);
    snprintf(text + used, cap - used, "]");
}

oi_status oi_rule_cut_taps(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_shape *in = &oi_graph_fact(g, n.in[0])->shape, *out = &oi_graph_fact(g, n.out[0])->shape;
    const oi_fact *w = oi_graph_fact(g, n.in[1]);
    const int32_t axes = in->rank - 2;
    int64_t kernel[MOST_AXES], stride[MOST_AXES], dilation[MOST_AXES], pads[2 * MOST_AXES];
    int64_t from[MOST_AXES], to[MOST_AXES], axis[MOST_AXES];
    bool any = false;
    if (axes < 1 || axes > MOST_AXES || !w->konst || w->shape.rank != in->rank || !oi_shape_is_concrete(in) ||
        !oi_shape_is_concrete(out) || oi_attr_int(&n, "auto_pad", 0) != 0)
        return ONNX_INFER_OK;
    for (int32_t i = 0; i < axes; i++) {
        uint32_t k = (uint32_t)i;
        tap_axis a = {.size = in->dim[i + 2], .out = out->dim[i + 2], .kernel = w->shape.dim[i + 2],
                      .stride = list_at(&n, "strides", k, 1), .dilation = list_at(&n, "dilations", k, 1), .begin = list_at(&n, "pads", k, 0),
                      .end = list_at(&n, "pads", k + (uint32_t)axes, 0)};
        if (a.kernel < 1 || a.stride < 1 || a.dilation < 1)
            return ONNX_INFER_OK;
        any = cut(&a) || any;
        kernel[i] = a.last - a.first + 1;
        stride[i] = a.stride;
        dilation[i] = kernel[i] == 1 ? 1 : a.dilation;
        pads[i] = a.begin;
        pads[i + axes] = a.end;
        from[i] = a.first;
        to[i] = a.last + 1;
        axis[i] = i + 2;
    }
    if (!any)
        return ONNX_INFER_OK;
    char attrs[512];
    snprintf(attrs, sizeof attrs, "group=%lld", (long long)oi_attr_int(&n, "group", 1));
    put_list(attrs, sizeof attrs, "kernel_shape", axes, kernel);
    put_list(attrs, sizeof attrs, "strides", axes, stride);
    put_list(attrs, sizeof attrs, "dilations", axes, dilation);
    put_list(attrs, sizeof attrs, "pads", 2 * axes, pads);
    const uint32_t count = (uint32_t)axes;
    oi_value_id slice[4] = {n.in[1], oi_rewrite_const_ints(rw, from, count), oi_rewrite_const_ints(rw, to, count),
                            oi_rewrite_const_ints(rw, axis, count)};
    oi_value_id args[3] = {n.in[0], oi_rewrite_op(rw, "", "Slice", "", 4, slice), n.nin > 2 ? n.in[2] : OI_NONE};
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "Conv", attrs, args[2] == OI_NONE ? 2 : 3, args));
    return rw->status;
}
