/* Keeping values in blocked layout from one convolution to the next; see layout.h. */
#include "optimizer/layout.h"

#include "ops/op_conv_blocked.h"

#include <string.h>

enum { MAX_IN = 32 };

/* The blocked value behind one that a ReorderFromBlocked made (with channels last, or as axis 1); OI_NONE where v is none. */
static oi_value_id blocked_behind(const oi_graph *g, oi_value_id v, bool channels_last)
{
    const oi_node *n = v == OI_NONE ? NULL : oi_match_def(g, v, "ReorderFromBlocked");
    const oi_from_blocked_attr *a = n ? n->attr : NULL;
    return a && a->space == 1 && (a->channels_last != 0) == channels_last ? n->in[0] : OI_NONE;
}

static oi_value_id blocked_of(const oi_graph *g, oi_value_id v)
{
    return blocked_behind(g, v, false);
}

static int64_t block_of(const oi_graph *g, oi_value_id blocked)
{
    return oi_graph_fact(g, blocked)->shape.dim[4];
}

static oi_value_id to_blocked(oi_rewrite *rw, oi_value_id v, int64_t block)
{
    oi_to_blocked_attr *a = oi_attr_new(rw->g->arena, &oi_op_oi_ReorderToBlocked);
    if (!a) {
        rw->status = ONNX_INFER_E_OUT_OF_MEMORY;
        return OI_NONE;
    }
    a->block = block;
    return oi_rewrite_node(rw, &oi_op_oi_ReorderToBlocked, a, 1, &v);
}

/* The plain form, with the shape of `like`, of a blocked value; takes like's place. */
static oi_status replace_by_blocked(oi_rewrite *rw, oi_value_id like, oi_value_id blocked)
{
    const oi_shape shape = oi_graph_fact(rw->g, like)->shape;
    oi_from_blocked_attr *a = oi_attr_new(rw->g->arena, &oi_op_oi_ReorderFromBlocked);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    a->channels = shape.dim[1];
    a->rank = shape.rank;
    oi_rewrite_replace(rw, like, oi_rewrite_node(rw, &oi_op_oi_ReorderFromBlocked, a, 1, &blocked));
    return rw->status;
}

/* --- pairs ------------------------------------------------------------------------------------------------------------ */

static oi_status cancel_to(oi_rewrite *rw, oi_node_id id)
{
    const oi_node node = rw->g->node[id];
    oi_value_id blocked = blocked_behind(rw->g, node.in[0], ((const oi_to_blocked_attr *)node.attr)->channels_last != 0);
    if (blocked != OI_NONE && oi_shape_equal(&oi_graph_fact(rw->g, blocked)->shape, &oi_graph_fact(rw->g, node.out[0])->shape))
        oi_rewrite_replace(rw, node.out[0], blocked);
    return rw->status;
}

/* --- single pixels --------------------------------------------------------------------------------------------------------- */

static oi_status replace_by_view(oi_rewrite *rw, const oi_node *node)
{
    const oi_shape *s = &oi_graph_fact(rw->g, node->out[0])->shape;
    oi_value_id in[2] = {node->in[0], oi_rewrite_const_ints(rw, s->dim, (uint32_t)s->rank)};
    oi_rewrite_replace(rw, node->out[0], oi_rewrite_op(rw, "", "Reshape", "", 2, in));
    return rw->status;
}

/* A reorder of images of one pixel whose blocks are full moves nothing. */
oi_status oi_rule_single_pixel(oi_rewrite *rw, oi_node_id id)
{
    const oi_node node = rw->g->node[id];
    const oi_shape *in = &oi_graph_fact(rw->g, node.in[0])->shape, *out = &oi_graph_fact(rw->g, node.out[0])->shape;
    const oi_shape *blocked = in->rank == 5 ? in : out;
    if (node.op == &oi_op_oi_ReorderFromBlocked && ((const oi_from_blocked_attr *)node.attr)->space > 1)
        return ONNX_INFER_OK;
    if (!oi_shape_is_concrete(in) || !oi_shape_is_concrete(out) || blocked->dim[2] != 1 || blocked->dim[3] != 1 ||
        oi_dims_count(in->rank, in->dim) != oi_dims_count(out->rank, out->dim) || oi_dims_count(in->rank, in->dim) == 0)
        return ONNX_INFER_OK;
    return replace_by_view(rw, &node);
}

/* --- channels last ------------------------------------------------------------------------------------------------------ */

/* The Transpose brings axis 1 to the end, or the last axis to place 1. */
static bool moves_channels(const oi_graph *g, const oi_node *transpose, bool to_end)
{
    const oi_ints *perm = oi_attr_field(transpose, "perm");
    const int32_t rank = oi_graph_fact(g, transpose->in[0])->shape.rank;
    if ((rank != 3 && rank != 4) || !perm || !perm->at || perm->n != (uint32_t)rank || perm->at[0] != 0)
        return false;
    for (int32_t i = 1; i < rank; i++) {
        if (perm->at[i] != (to_end ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1)))
            return false;
    }
    return true;
}

/* Transpose(ReorderFromBlocked(b)) -> ReorderFromBlocked(b) {channels_last=1} */
static oi_status last_from_blocked(oi_rewrite *rw, oi_node_id id)
{
    const oi_node node = rw->g->node[id];
    oi_value_id blocked = blocked_of(rw->g, node.in[0]);
    if (blocked == OI_NONE || !moves_channels(rw->g, &node, true))
        return ONNX_INFER_OK;
    const oi_shape shape = oi_graph_fact(rw->g, node.in[0])->shape;
    oi_from_blocked_attr *a = oi_attr_new(rw->g->arena, &oi_op_oi_ReorderFromBlocked);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    a->channels = shape.dim[1];
    a->rank = shape.rank;
    a->channels_last = 1;
    oi_rewrite_replace(rw, node.out[0], oi_rewrite_node(rw, &oi_op_oi_ReorderFromBlocked, a, 1, &blocked));
    return rw->status;
}

/* ReorderToBlocked(Transpose(x)) -> ReorderToBlocked(x) {channels_last=1} */
static oi_status last_to_blocked(oi_rewrite *rw, oi_node_id id)
{
    const oi_node node = rw->g->node[id];
    const oi_node *transpose = oi_match_def(rw->g, node.in[0], "Transpose");
    const oi_to_blocked_attr *now = node.attr;
    if (!transpose || now->channels_last || !moves_channels(rw->g, transpose, false))
        return ONNX_INFER_OK;
    oi_to_blocked_attr *a = oi_attr_new(rw->g->arena, &oi_op_oi_ReorderToBlocked);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    a->block = now->block;
    a->channels_last = 1;
    oi_rewrite_replace(rw, node.out[0], oi_rewrite_node(rw, &oi_op_oi_ReorderToBlocked, a, 1, &transpose->in[0]));
    return rw->status;
}

/* DepthToSpace(ReorderFromBlocked(b)) -> ReorderFromBlocked(b) {space=blocksize} */
static oi_status space_from_blocked(oi_rewrite *rw, oi_node_id id)
{
    const oi_node node = rw->g->node[id];
    oi_value_id blocked = blocked_of(rw->g, node.in[0]);
    const oi_shape shape = oi_graph_fact(rw->g, node.out[0])->shape;
    if (blocked == OI_NONE || shape.rank != 4 || oi_attr_int(&node, "blocksize", 1) < 2)
        return ONNX_INFER_OK;
    oi_from_blocked_attr *a = oi_attr_new(rw->g->arena, &oi_op_oi_ReorderFromBlocked);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    a->channels = shape.dim[1];
    a->rank = 4;
    a->space = oi_attr_int(&node, "blocksize", 1);
    a->crd = oi_attr_int(&node, "mode", 0); /* DCR|CRD */
    oi_rewrite_replace(rw, node.out[0], oi_rewrite_node(rw, &oi_op_oi_ReorderFromBlocked, a, 1, &blocked));
    return rw->status;
}

/* --- elementwise operators ----------------------------------------------------------------------------------------------- */

/* The shape right-aligned to `rank` axes: missing ones are 1. False where it has more. */
static bool align(const oi_shape *s, int32_t rank, int64_t *dim)
{
    if (s->rank < 0 || s->rank > rank || !oi_shape_is_concrete(s))
        return false;
    for (int32_t i = 0; i < rank; i++)
        dim[i] = i < rank - s->rank ? 1 : s->dim[i - (rank - s->rank)];
    return true;
}

/* A constant under another shape of as many elements. */
static oi_value_id reshaped_const(oi_rewrite *rw, const oi_tensor *t, int32_t rank, const int64_t *dims)
{
    oi_tensor view;
    oi_tensor_share_as(&view, t, rank, dims);
    return oi_rewrite_const(rw, &view);
}

/* Operand v of an elementwise operator whose result is `out` (plain) as an operand for blocked values: itself, another
 * form of it, or OI_NONE where that does not pay. */
static oi_value_id blocked_operand(oi_rewrite *rw, oi_value_id v, const oi_shape *out, int64_t block)
{
    const oi_fact *fact = oi_graph_fact(rw->g, v);
    int64_t dim[4];
    oi_value_id blocked = blocked_of(rw->g, v);
    if (blocked != OI_NONE)
        return fact->shape.rank == out->rank && fact->shape.dim[1] == out->dim[1] && block_of(rw->g, blocked) == block
                   ? blocked : OI_NONE;
    if (!align(&fact->shape, out->rank, dim))
        return OI_NONE;
    const int64_t channels = dim[1], pixels = oi_dims_count(out->rank - 2, dim + 2);
    if (dim[0] * channels * pixels == 1 && fact->shape.rank <= 1)
        return v;
    if (fact->konst && dim[0] * channels * pixels == 1)
        return reshaped_const(rw, fact->konst, 0, NULL);
    if (fact->dtype != ONNX_INFER_FLOAT)
        return OI_NONE;
    if (channels == out->dim[1]) {
        if (fact->konst)
            return to_blocked(rw, reshaped_const(rw, fact->konst, out->rank, dim), block);
        return pixels == 1 && fact->shape.rank == out->rank ? to_blocked(rw, v, block) : OI_NONE;
    }
    if (fact->konst && channels == 1 && out->rank == 4) {
        int64_t spread[5] = {dim[0], 1, dim[2], dim[3], 1};
        return reshaped_const(rw, fact->konst, 5, spread);
    }
    return OI_NONE;
}

static oi_status push_elementwise(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node node = g->node[id];
    if (!(node.op->flags & OI_OP_ELEMENTWISE) || node.nout != 1 || node.nin > MAX_IN || node.nsub)
        return ONNX_INFER_OK;
    const oi_fact result = *oi_graph_fact(g, node.out[0]);
    int64_t block = 0;
    if (result.dtype != ONNX_INFER_FLOAT || result.shape.rank < 3 || result.shape.rank > 4 || result.konst)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < node.nin; i++) {
        oi_value_id b = blocked_of(g, node.in[i]);
        if (b != OI_NONE && oi_shape_equal(&oi_graph_fact(g, node.in[i])->shape, &result.shape))
            block = block_of(g, b);
    }
    if (!block)
        return ONNX_INFER_OK;
    oi_value_id in[MAX_IN];
    for (uint32_t i = 0; i < node.nin; i++) {
        in[i] = node.in[i];
        if (node.in[i] == OI_NONE)
            continue;
        in[i] = blocked_operand(rw, node.in[i], &result.shape, block);
        if (rw->status)
            return rw->status;
        if (in[i] == OI_NONE)
            return OI_DECLINED;
    }
    return replace_by_blocked(rw, node.out[0], oi_rewrite_node(rw, node.op, node.attr, node.nin, in));
}

/* --- Concat ------------------------------------------------------------------------------------------------------------------ */

static oi_status push_concat(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node node = g->node[id];
    const oi_shape out = oi_graph_fact(g, node.out[0])->shape;
    int64_t axis = oi_attr_int(&node, "axis", OI_UNSET), block = 0, inside = 0, total = 0;
    if ((out.rank != 3 && out.rank != 4) || (axis != 1 && axis != 1 - out.rank) || !oi_shape_is_concrete(&out))
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < node.nin; i++) {
        oi_value_id b = blocked_of(g, node.in[i]);
        int64_t channels = oi_graph_fact(g, node.in[i])->shape.dim[1];
        if (b != OI_NONE) {
            block = block_of(g, b);
            inside += channels;
        }
        total += channels;
    }
    if (!block || 2 * inside < total || oi_graph_fact(g, node.out[0])->dtype != ONNX_INFER_FLOAT)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i + 1 < node.nin; i++) {
        if (oi_graph_fact(g, node.in[i])->shape.dim[1] % block)
            return ONNX_INFER_OK;
    }
    oi_value_id *in = oi_arena_array(g->arena, node.nin, sizeof *in);
    if (!in)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < node.nin; i++) {
        in[i] = blocked_of(g, node.in[i]);
        if (in[i] == OI_NONE)
            in[i] = to_blocked(rw, node.in[i], block);
    }
    if (rw->status)
        return rw->status;
    oi_value_id joined = oi_rewrite_op(rw, "", "Concat", "axis=1", node.nin, in);
    return replace_by_blocked(rw, node.out[0], joined);
}

/* --- Resize and Pad: one axis more, untouched ----------------------------------------------------------------------------------- */

static oi_value_id appended_float(oi_rewrite *rw, const oi_tensor *t, float last)
{
    int64_t n = oi_tensor_count(t) + 1;
    oi_tensor longer;
    if (oi_tensor_create(oi_arena_alloc_of(rw->g->arena), ONNX_INFER_FLOAT, 1, &n, &longer)) {
        rw->status = ONNX_INFER_E_OUT_OF_MEMORY;
        return OI_NONE;
    }
    memcpy(longer.data, t->data, t->bytes);
    ((float *)longer.data)[n - 1] = last;
    return oi_rewrite_const(rw, &longer);
}

static oi_status push_resize(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node node = g->node[id];
    oi_value_id blocked = blocked_of(g, node.in[0]);
    const oi_shape in = oi_graph_fact(g, node.in[0])->shape, out = oi_graph_fact(g, node.out[0])->shape;
    if (blocked == OI_NONE || in.rank != 4 || !oi_shape_is_concrete(&out) || in.dim[0] != out.dim[0] || in.dim[1] != out.dim[1])
        return ONNX_INFER_OK;
    const oi_ints *axes = oi_attr_field(&node, "axes");
    if (axes && axes->at)
        return ONNX_INFER_OK;
    /* tf_crop_and_resize has a roi for each axis, which stays behind */
    const oi_tensor *scales = node.nin > 2 && node.in[2] != OI_NONE ? oi_match_const(g, node.in[2]) : NULL;
    const oi_tensor *sizes = node.nin > 3 && node.in[3] != OI_NONE ? oi_match_const(g, node.in[3]) : NULL;
    const oi_fact *roi = node.nin > 1 ? oi_graph_fact(g, node.in[1]) : NULL;
    if (roi && !(roi->konst && oi_tensor_count(roi->konst) == 0) &&
        oi_attr_int(&node, "coordinate_transformation_mode", OI_UNSET) == 5)
        return ONNX_INFER_OK;
    oi_value_id args[4] = {blocked, OI_NONE, OI_NONE, OI_NONE};
    if (sizes && oi_tensor_count(sizes) == 4 && sizes->dtype == ONNX_INFER_INT64) {
        int64_t want[5];
        memcpy(want, sizes->data, 4 * sizeof *want);
        want[1] = oi_graph_fact(g, blocked)->shape.dim[1];
        want[4] = block_of(g, blocked);
        args[3] = oi_rewrite_const_ints(rw, want, 5);
    } else if (scales && oi_tensor_count(scales) == 4 && scales->dtype == ONNX_INFER_FLOAT) {
        args[2] = appended_float(rw, scales, 1);
    } else {
        return ONNX_INFER_OK;
    }
    if (rw->status)
        return rw->status;
    return replace_by_blocked(rw, node.out[0], oi_rewrite_node(rw, node.op, node.attr, args[3] != OI_NONE ? 4 : 3, args));
}

static oi_status push_pad(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node node = g->node[id];
    oi_value_id blocked = blocked_of(g, node.in[0]);
    const oi_tensor *pads = oi_match_const(g, node.in[1]);
    if (blocked == OI_NONE || !pads || pads->dtype != ONNX_INFER_INT64 || oi_tensor_count(pads) != 8 ||
        (node.nin > 3 && node.in[3] != OI_NONE))
        return ONNX_INFER_OK;
    const int64_t *p = pads->data;
    if (p[0] || p[1] || p[4] || p[5])
        return ONNX_INFER_OK;
    const int64_t longer[10] = {0, 0, p[2], p[3], 0, 0, 0, p[6], p[7], 0};
    oi_value_id args[3] = {blocked, oi_rewrite_const_ints(rw, longer, 10), node.nin > 2 ? node.in[2] : OI_NONE};
    if (rw->status)
        return rw->status;
    return replace_by_blocked(rw, node.out[0], oi_rewrite_node(rw, node.op, node.attr, args[2] == OI_NONE ? 2 : 3, args));
}

static const oi_rule rules[] = {
    {"cancel reorders", "ReorderToBlocked", cancel_to, OI_EXACT},
    {"channels last", "Transpose", last_from_blocked, OI_EXACT},
    {"channels last", "ReorderToBlocked", last_to_blocked, OI_EXACT},
    {"depth to space", "DepthToSpace", space_from_blocked, OI_EXACT},
    {"blocked Concat", "Concat", push_concat, OI_EXACT},
    {"blocked Resize", "Resize", push_resize, OI_EXACT},
    {"blocked Pad", "Pad", push_pad, OI_EXACT},
    {"blocked elementwise", NULL, push_elementwise, OI_EXACT},
#ifdef OI_PLANTED_RULE /* tests/optimizer/planted.c */
    OI_PLANTED_RULE("layout")
#endif
};
const oi_rules oi_layout_rules = {rules, sizeof rules / sizeof *rules};
