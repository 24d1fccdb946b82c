/* Blocks of pixels that become channels in front of a convolution, as the first layers of detectors have them ("focus"):
 *
 *   Conv(SpaceToDepth(x), W)                                       -> Conv(x, W') {larger kernel, strides, pads}
 *   Conv(Concat(x[::2, ::2], x[1::2, ::2], x[::2, 1::2], ...), W)  -> the same, in any order of the slices
 *
 * W' has the same numbers in another order, so there is as much to multiply, and no image is rearranged. Left alone: weights
 * that are not constant, groups, dilations, sizes that blocks do not divide, rearranged images that something else uses. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include "ops/op_conv.h"

#include <string.h>

enum { MOST_BLOCK = 4 };

/* Channel i of the rearranged image is channel[i] of x at row[i], column[i] of each block. */
typedef struct {
    oi_value_id x;
    int64_t block, channels;
    bool by_channel;                                /* channels of x are the slow index */
    int64_t place[MOST_BLOCK * MOST_BLOCK];         /* of each block of channels: row * block + column */
} blocks;

/* v takes every `step`th row and column of x, from `start` on; chains of slices do it by axes. */
static oi_value_id sliced(const oi_graph *g, oi_value_id v, const oi_shape *whole, int64_t *start, int64_t *step)
{
    step[0] = step[1] = 1;
    start[0] = start[1] = 0;
    for (int i = 0; i < 2; i++) {
        const oi_node *n = oi_match_def(g, v, "Slice");
        const oi_tensor *t[4] = {0};
        for (uint32_t k = 1; n && n->nin == 5 && k < 5; k++)
            t[k - 1] = oi_match_const(g, n->in[k]);
        if (!n)
            break;
        if (!t[0] || !t[1] || !t[2] || !t[3])
            return OI_NONE;
        for (int64_t k = 0; k < oi_tensor_count(t[2]) && oi_tensor_count(t[0]) == oi_tensor_count(t[2]); k++) {
            const size_t at = (size_t)k;
            int64_t axis = oi_elem_get_int(t[2]->dtype, t[2]->data, at), first = oi_elem_get_int(t[0]->dtype, t[0]->data, at);
            axis += axis < 0 ? 4 : 0;
            if (axis < 2 || axis > 3 || step[axis - 2] != 1 || first < 0 ||
                oi_elem_get_int(t[1]->dtype, t[1]->data, at) < whole->dim[axis])
                return OI_NONE;
            start[axis - 2] = first;
            step[axis - 2] = oi_elem_get_int(t[3]->dtype, t[3]->data, at);
        }
        v = n->in[0];
    }
    return v;
}

static oi_value_id first_source(const oi_graph *g, oi_value_id v)
{
    for (int i = 0; i < 2 && oi_match_def(g, v, "Slice"); i++)
        v = oi_match_def(g, v, "Slice")->in[0];
    return v;
}

static bool read_slices(const oi_graph *g, const oi_node *concat, blocks *b)
{
    const int64_t axis = oi_attr_int(concat, "axis", 0);
    unsigned seen = 0;
    b->block = concat->nin == 4 ? 2 : concat->nin == 9 ? 3 : concat->nin == 16 ? 4 : 0;
    b->x = b->block ? first_source(g, concat->in[0]) : OI_NONE;
    const oi_fact *x = oi_graph_fact(g, b->x);
    if (!x || x->shape.rank != 4 || (axis != 1 && axis != -3) || !oi_dim_is_number(x->shape.dim[2]) || !oi_dim_is_number(x->shape.dim[3]))
        return false;
    for (uint32_t i = 0; i < concat->nin; i++) {
        int64_t start[2], step[2];
        if (sliced(g, concat->in[i], &x->shape, start, step) != b->x || step[0] != b->block || step[1] != b->block ||
            start[0] >= b->block || start[1] >= b->block)
            return false;
        b->place[i] = start[0] * b->block + start[1];
        seen |= 1u << b->place[i];
    }
    return seen == (1u << concat->nin) - 1;
}

static bool read_blocks(const oi_graph *g, oi_value_id v, blocks *b)
{
    const oi_node *deep = oi_match_def(g, v, "SpaceToDepth"), *concat = oi_match_def(g, v, "Concat");
    *b = (blocks){.x = OI_NONE};
    if (deep) {
        b->x = deep->in[0];
        b->block = oi_attr_int(deep, "blocksize", 0);
        b->by_channel = oi_attr_int(deep, "mode", 0) != 0; /* DCR|CRD */
        for (int64_t i = 0; i < b->block * b->block && b->block <= MOST_BLOCK; i++)
            b->place[i] = i;
    } else if (!concat || !read_slices(g, concat, b)) {
        return false;
    }
    const oi_shape *s = &oi_graph_fact(g, b->x)->shape;
    if (b->block < 2 || b->block > MOST_BLOCK || s->rank != 4 || !oi_dim_is_number(s->dim[1]) || !oi_dim_is_number(s->dim[2]) ||
        !oi_dim_is_number(s->dim[3]) || s->dim[2] % b->block || s->dim[3] % b->block)
        return false;
    b->channels = s->dim[1];
    return b->channels > 0;
}

/* W' [oc, c, kh b, kw b] of W [oc, c b b, kh, kw]. */
static oi_value_id rearranged(oi_rewrite *rw, const oi_tensor *w, const blocks *b)
{
    const int64_t n = b->block, kh = w->dim[2], kw = w->dim[3], dims[4] = {w->dim[0], b->channels, kh * n, kw * n};
    const size_t size = oi_dtype_size(w->dtype);
    oi_tensor t = {0};
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), w->dtype, 4, dims, &t);
    if (rw->status)
        return OI_NONE;
    const char *from = w->data;
    for (int64_t o = 0; o < w->dim[0]; o++)
        for (int64_t i = 0; i < w->dim[1]; i++) {
            const int64_t place = b->place[b->by_channel ? i % (n * n) : i / b->channels];
            const int64_t c = b->by_channel ? i / (n * n) : i % b->channels;
            for (int64_t k = 0; k < kh * kw; k++, from += size) {
                const int64_t y = k / kw * n + place / n, x = k % kw * n + place % n;
                memcpy((char *)t.data + (size_t)(((o * b->channels + c) * kh * n + y) * kw * n + x) * size, from, size);
            }
        }
    return oi_rewrite_const(rw, &t);
}

oi_status oi_rule_blocks_conv(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_conv_attr *a = n.attr;
    const oi_fact *weights = oi_graph_fact(g, n.in[1]);
    blocks b;
    oi_window w;
    if (!weights->konst || weights->shape.rank != 4 || a->group != 1 || !oi_match_single_use(g, n.in[0]) || !read_blocks(g, n.in[0], &b) ||
        oi_graph_fact(g, b.x)->dtype != weights->dtype || oi_dtype_is_packed(weights->dtype) ||
        weights->shape.dim[1] != b.channels * b.block * b.block)
        return ONNX_INFER_OK;
    const oi_shape *deep = &oi_graph_fact(g, n.in[0])->shape;
    if (oi_window_init(&a->window, 2, weights->shape.dim + 2, &w) || !oi_dim_is_number(deep->dim[2]) || !oi_dim_is_number(deep->dim[3]) ||
        oi_window_resolve(&a->window, deep->dim + 2, &w))
        return ONNX_INFER_OK;
    int64_t kernel[2], strides[2], pads[4];
    for (int32_t i = 0; i < 2; i++) {
        if (w.dilation[i] != 1)
            return ONNX_INFER_OK;
        kernel[i] = w.kernel[i] * b.block;
        strides[i] = w.stride[i] * b.block;
        pads[i] = w.begin[i] * b.block;
        pads[2 + i] = w.end[i] * b.block;
    }
    const oi_tensor *t = oi_match_const(g, n.in[1]);
    oi_conv_attr *attr = oi_arena_copy(g->arena, a, sizeof *a);
    if (!t || !attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    attr->window = (oi_window_attr){.kernel_shape = oi_rewrite_ints(rw, kernel, 2), .strides = oi_rewrite_ints(rw, strides, 2),
                                    .pads = oi_rewrite_ints(rw, pads, 4), .auto_pad = OI_PAD_NOTSET};
    oi_value_id in[3] = {b.x, rearranged(rw, t, &b), n.nin > 2 ? n.in[2] : OI_NONE};
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, attr, in[2] == OI_NONE ? 2 : 3, in));
    return rw->status;
}
