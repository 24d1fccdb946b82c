/* Edges cut off behind a transposed convolution, as causal decoders do, which need not be made:
 *
 *   Slice(ConvTranspose(x))           -> ConvTranspose(x) {larger pads}     slices of step 1 along axes of the image
 *   Pad(ConvTranspose(x), negative)   -> ConvTranspose(x) {larger pads}
 *
 * Left alone: slices of samples or channels or with other steps, results that something else uses, sizes that are given. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include "ops/op_conv.h"

#include <string.h>

typedef struct {
    int64_t begin[OI_MAX_RANK], end[OI_MAX_RANK]; /* cut off along each axis */
} edges;

static bool read_axis(const oi_tensor *axes, int64_t i, int32_t rank, int64_t *axis)
{
    *axis = axes ? oi_elem_get_int(axes->dtype, axes->data, (size_t)i) : i;
    *axis += *axis < 0 ? rank : 0;
    return *axis >= 0 && *axis < rank;
}

static bool read_slice(const oi_graph *g, const oi_node *n, const oi_shape *s, edges *e)
{
    const oi_tensor *t[4] = {0}; /* starts, ends, axes, steps */
    for (uint32_t i = 1; i < n->nin; i++) {
        t[i - 1] = oi_match_const(g, n->in[i]);
        if (n->in[i] != OI_NONE && !t[i - 1])
            return false;
    }
    const int64_t count = t[0] && t[1] ? oi_tensor_count(t[0]) : -1;
    if (count < 1 || oi_tensor_count(t[1]) != count || (t[2] && oi_tensor_count(t[2]) != count) || (t[3] && oi_tensor_count(t[3]) != count))
        return false;
    for (int64_t i = 0; i < count; i++) {
        int64_t axis, start = oi_elem_get_int(t[0]->dtype, t[0]->data, (size_t)i), end = oi_elem_get_int(t[1]->dtype, t[1]->data, (size_t)i);
        if (!read_axis(t[2], i, s->rank, &axis) || (t[3] && oi_elem_get_int(t[3]->dtype, t[3]->data, (size_t)i) != 1))
            return false;
        const int64_t size = oi_dim_is_number(s->dim[axis]) ? s->dim[axis] : -1;
        if (size >= 0) {
            start = start < 0 ? start + size : start;
            end = end < 0 ? end + size : end > size ? size : end;
            if (start < 0 || start >= size || end <= start)
                return false;
            end -= size;
        } else if (end >= INT32_MAX) {
            end = 0;
        } else if (end >= 0) { /* counted from the beginning */
            return false;
        }
        if (start < 0 || start > INT16_MAX || end < INT16_MIN)
            return false;
        e->begin[axis] = start;
        e->end[axis] = -end;
    }
    return true;
}

static bool read_pad(const oi_graph *g, const oi_node *n, const oi_shape *s, edges *e)
{
    const oi_tensor *pads = oi_match_const(g, n->in[1]), *axes = n->nin > 3 ? oi_match_const(g, n->in[3]) : NULL;
    if (!pads || pads->dtype != ONNX_INFER_INT64 || (n->nin > 3 && n->in[3] != OI_NONE && !axes))
        return false;
    const int64_t count = axes ? oi_tensor_count(axes) : s->rank, *p = pads->data;
    for (int64_t i = 0; oi_tensor_count(pads) == 2 * count && i < count; i++) {
        int64_t axis;
        if (!read_axis(axes, i, s->rank, &axis) || p[i] > 0 || p[count + i] > 0 || p[i] < INT16_MIN || p[count + i] < INT16_MIN)
            return false;
        e->begin[axis] = -p[i];
        e->end[axis] = -p[count + i];
    }
    return oi_tensor_count(pads) == 2 * count;
}

oi_status oi_rule_crop_transposed(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_node *conv = oi_match_single_use(g, n.in[0]) ? oi_match_def(g, n.in[0], "ConvTranspose") : NULL;
    const oi_conv_attr *a = conv ? conv->attr : NULL;
    edges e = {{0}, {0}};
    if (!conv || a->window.auto_pad != OI_PAD_NOTSET || a->output_shape.at)
        return ONNX_INFER_OK;
    const oi_shape *s = &oi_graph_fact(g, n.in[0])->shape;
    const int32_t nd = s->rank - 2;
    if (nd < 1 || nd > OI_WINDOW_MAX || (a->window.pads.at && a->window.pads.n != 2 * (uint32_t)nd) ||
        !(oi_match_def(g, n.out[0], "Pad") ? read_pad(g, &n, s, &e) : read_slice(g, &n, s, &e)) || e.begin[0] || e.end[0] || e.begin[1] ||
        e.end[1])
        return ONNX_INFER_OK;
    int64_t pads[2 * OI_WINDOW_MAX];
    const oi_shape *w = &oi_graph_fact(g, conv->in[1])->shape;
    for (int32_t i = 0; i < nd; i++) {
        pads[i] = (a->window.pads.at ? a->window.pads.at[i] : 0) + e.begin[i + 2];
        pads[nd + i] = (a->window.pads.at ? a->window.pads.at[nd + i] : 0) + e.end[i + 2];
        /* one element gives what the window is wide: no size that may come leaves less than nothing */
        if (!oi_dim_is_number(s->dim[i + 2]) &&
            (w->rank != nd + 2 || !oi_dim_is_number(w->dim[i + 2]) || pads[i] + pads[nd + i] >= w->dim[i + 2]))
            return ONNX_INFER_OK;
    }
    oi_conv_attr *attr = oi_arena_copy(g->arena, a, sizeof *a);
    if (!attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    attr->window.pads = oi_rewrite_ints(rw, pads, 2 * (uint32_t)nd);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, conv->op, attr, conv->nin, conv->in));
    return rw->status;
}
