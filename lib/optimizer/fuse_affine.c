/* x * scale + shift by channel, of BatchNormalization and of products and sums with one constant for each channel: into
 * the weights and the bias of the convolution or matrix product before or behind it, or a depthwise convolution. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    double *scale, *shift; /* one for each channel: y = x * scale + shift */
    int64_t channels;
    bool scales;           /* some scale is not 1 */
} affine;

static oi_status affine_create(oi_rewrite *rw, int64_t channels, affine *a)
{
    a->channels = channels;
    a->scale = oi_arena_array(rw->g->arena, (size_t)channels, sizeof *a->scale);
    a->shift = oi_arena_array(rw->g->arena, (size_t)channels, sizeof *a->shift);
    if (!a->scale || !a->shift)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t c = 0; c < channels; c++)
        a->scale[c] = 1;
    return ONNX_INFER_OK;
}

/* Element c of a constant that holds one number, or one for each channel along `axis` of a result of this rank. */
static bool by_channel(const oi_tensor *t, int32_t rank, int32_t axis, int64_t channels)
{
    if (!t || t->rank > rank || !oi_dtype_is_float(t->dtype))
        return false;
    int64_t count = oi_tensor_count(t);
    if (count == 1)
        return true;
    int32_t at = axis - (rank - t->rank);
    return count == channels && at >= 0 && t->dim[at] == channels;
}

static double element(const oi_tensor *t, int64_t c)
{
    return oi_elem_get_double(t->dtype, t->data, oi_tensor_count(t) == 1 ? 0 : (size_t)c);
}

static bool read_batch_norm(const oi_graph *g, const oi_node *n, affine *a)
{
    const oi_tensor *p[4];
    const float *epsilon = oi_attr_field(n, "epsilon");
    if (n->nin != 5 || n->nout != 1 || oi_attr_int(n, "training_mode", 0) || !epsilon)
        return false;
    for (int i = 0; i < 4; i++) {
        p[i] = oi_match_const(g, n->in[i + 1]);
        if (!p[i] || p[i]->rank != 1 || p[i]->dim[0] != a->channels || !oi_dtype_is_float(p[i]->dtype))
            return false;
    }
    for (int64_t c = 0; c < a->channels; c++) {
        a->scale[c] = element(p[0], c) / sqrt(element(p[3], c) + (double)*epsilon);
        a->shift[c] = element(p[1], c) - element(p[2], c) * a->scale[c];
    }
    return true;
}

/* What node n does to channel c of its input `side`, whose shape its result has. */
static bool read_affine(const oi_graph *g, const oi_node *n, uint32_t side, int32_t rank, int32_t axis, affine *a)
{
    const char *op = n->op->name;
    if (strcmp(op, "BatchNormalization") == 0)
        return read_batch_norm(g, n, a);
    for (int64_t c = 0; strcmp(op, "Neg") == 0 && c < a->channels; c++)
        a->scale[c] = -1;
    if (strcmp(op, "Neg") == 0)
        return true;
    const oi_tensor *t = n->nin == 2 ? oi_match_const(g, n->in[1 - side]) : NULL;
    if (!by_channel(t, rank, axis, a->channels))
        return false;
    for (int64_t c = 0; c < a->channels; c++) {
        double v = element(t, c);
        if (strcmp(op, "Mul") == 0)
            a->scale[c] = v;
        else if (strcmp(op, "Div") == 0 && side == 0)
            a->scale[c] = 1 / v;
        else if (strcmp(op, "Add") == 0)
            a->shift[c] = v;
        else if (strcmp(op, "Sub") == 0 && side == 0)
            a->shift[c] = -v;
        else if (strcmp(op, "Sub") == 0)
            a->scale[c] = -1, a->shift[c] = v;
        else
            return false;
    }
    return true;
}

/* The axis of the weights that output channels lie along; -1: this producer takes nothing in. */
static int32_t weight_axis(const oi_node *producer, int32_t w_rank)
{
    const char *op = producer->op->name;
    if (strcmp(op, "Conv") == 0)
        return 0;
    if (strcmp(op, "ConvTranspose") == 0)
        return oi_attr_int(producer, "group", 1) == 1 ? 1 : -1;
    if (strcmp(op, "Gemm") == 0 && w_rank == 2) {
        const float *beta = oi_attr_field(producer, "beta");
        return beta && *beta == 1 ? (oi_attr_int(producer, "transB", 0) ? 0 : 1) : -1;
    }
    return -1;
}

/* A constant of one element for each channel, along `axis` of its `rank` axes. */
static oi_value_id channel_const(oi_rewrite *rw, oi_dtype dtype, int32_t rank, int32_t axis, int64_t n, const double *v)
{
    int64_t dims[OI_MAX_RANK];
    oi_tensor t = {0};
    for (int32_t i = 0; i < rank; i++)
        dims[i] = i == axis ? n : 1;
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), dtype, rank, dims, &t);
    for (int64_t i = 0; i < n && !rw->status; i++)
        oi_elem_set_double(dtype, t.data, (size_t)i, v[i]);
    return oi_rewrite_const(rw, &t);
}

/* BatchNormalization takes what follows it into its own scale and shift. */
static oi_status fuse_into_norm(oi_rewrite *rw, const oi_node *n, const oi_node *producer, affine *a)
{
    const oi_tensor *gamma = oi_match_const(rw->g, producer->in[1]), *beta = oi_match_const(rw->g, producer->in[2]);
    if (!gamma || !beta || gamma->rank != 1 || beta->rank != 1 || gamma->dim[0] != a->channels || beta->dim[0] != a->channels ||
        !oi_dtype_is_float(gamma->dtype) || !oi_dtype_is_float(beta->dtype) || oi_attr_int(producer, "training_mode", 0) ||
        producer->nout != 1)
        return ONNX_INFER_OK;
    for (int64_t c = 0; c < a->channels; c++) {
        a->shift[c] += element(beta, c) * a->scale[c];
        a->scale[c] *= element(gamma, c);
    }
    oi_value_id in[5] = {producer->in[0], channel_const(rw, gamma->dtype, 1, 0, a->channels, a->scale),
                         channel_const(rw, beta->dtype, 1, 0, a->channels, a->shift), producer->in[3], producer->in[4]};
    oi_rewrite_replace(rw, n->out[0], oi_rewrite_node(rw, producer->op, producer->attr, 5, in));
    return rw->status;
}

/* Constant, or to be folded once it is lowered: too large before. */
static bool is_constant(const oi_graph *g, oi_value_id v, int depth)
{
    if (v == OI_NONE || g->value[v].fact.konst)
        return true;
    if (g->value[v].def == OI_NONE || depth == 0)
        return false;
    const oi_node *n = &g->node[g->value[v].def];
    bool all = !(n->op->flags & (OI_OP_RANDOM | OI_OP_CONTROL));
    for (uint32_t i = 0; i < n->nin && all; i++)
        all = is_constant(g, n->in[i], depth - 1);
    return all;
}

static oi_status fuse(oi_rewrite *rw, oi_node_id id, uint32_t side)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    oi_value_id x = n.in[side];
    if (!oi_match_single_use(g, x) || g->value[x].def == OI_NONE || !oi_match_same(g, x, n.out[0]))
        return ONNX_INFER_OK;
    const oi_node producer = g->node[g->value[x].def];
    if (producer.op->domain[0] || producer.nin < 2 || producer.in[1] == OI_NONE)
        return ONNX_INFER_OK;
    const bool norm = oi_match_def(g, x, "BatchNormalization") && producer.nin == 5;
    const oi_fact *w = oi_graph_fact(g, producer.in[1]);
    const oi_tensor *bias = producer.nin > 2 && producer.in[2] != OI_NONE ? oi_match_const(g, producer.in[2]) : NULL;
    const int32_t rank = oi_graph_fact(g, x)->shape.rank, axis = weight_axis(&producer, w->shape.rank);
    bool open_bias = producer.nin > 2 && producer.in[2] != OI_NONE && !bias;
    affine a = {0};
    oi_dim channels = rank < 2 ? -1 : oi_graph_fact(g, x)->shape.dim[1];
    if (!oi_dim_is_number(channels) || channels < 1)
        return ONNX_INFER_OK;
    if (norm) {
        OI_TRY(affine_create(rw, channels, &a));
        return read_affine(g, &n, side, rank, 1, &a) ? fuse_into_norm(rw, &n, &producer, &a) : ONNX_INFER_OK;
    }
    if (axis < 0 || open_bias || rank < 2 || w->shape.rank < 2 || !oi_dtype_is_float(w->dtype) || w->dtype != oi_graph_fact(g, x)->dtype)
        return ONNX_INFER_OK;
    if (w->shape.dim[axis] != channels ||
        (bias && !by_channel(bias, rank == 2 ? 2 : 1, rank == 2 ? 1 : 0, channels)))
        return ONNX_INFER_OK;
    OI_TRY(affine_create(rw, channels, &a));
    if (!read_affine(g, &n, side, rank, 1, &a))
        return ONNX_INFER_OK;
    double *sum = oi_arena_array(g->arena, (size_t)channels, sizeof *sum);
    if (!sum)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    bool shifts = bias != NULL;
    for (int64_t c = 0; c < channels; c++) {
        a.scales = a.scales || a.scale[c] != 1;
        sum[c] = (bias ? element(bias, c) * a.scale[c] : 0) + a.shift[c];
        shifts = shifts || a.shift[c] != 0;
    }
    enum { DEEPEST = 4 };
    if (a.scales && !is_constant(g, producer.in[1], DEEPEST))
        return ONNX_INFER_OK; /* weights that are no constant would be scaled in every run */
    oi_value_id in[3] = {producer.in[0], producer.in[1], OI_NONE};
    const oi_dtype dtype = w->dtype;
    if (a.scales) {
        oi_value_id mul[2] = {in[1], channel_const(rw, dtype, w->shape.rank, axis, channels, a.scale)};
        in[1] = oi_rewrite_op(rw, "", "Mul", "", 2, mul);
    }
    if (shifts)
        in[2] = channel_const(rw, dtype, 1, 0, channels, sum);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, producer.op, producer.attr, shifts ? 3 : 2, in));
    return rw->status;
}

oi_status oi_rule_affine(oi_rewrite *rw, oi_node_id id)
{
    static const char *const ops[] = {"BatchNormalization", "Neg", "Mul", "Div", "Add", "Sub"};
    const oi_node *n = &rw->g->node[id];
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (n->op->domain[0] || strcmp(n->op->name, ops[i]) != 0)
            continue;
        for (uint32_t side = 0; side < (i > 1 ? 2 : 1) && !rw->nreplace && !rw->status; side++)
            OI_TRY(fuse(rw, id, side));
    }
    return rw->status;
}

/* --- behind a product -------------------------------------------------------------------------------------------- */

/* A constant with one number for each column of a result of this rank, and nothing else. */
static const oi_tensor *column_const(const oi_graph *g, oi_value_id v, int32_t rank, int64_t columns)
{
    const oi_tensor *t = oi_match_const(g, v);
    return t && oi_tensor_count(t) == columns && by_channel(t, rank, rank - 1, columns) ? t : NULL;
}

static oi_value_id product_of(oi_rewrite *rw, oi_value_id a, oi_value_id b)
{
    oi_value_id in[2] = {a, b};
    return oi_rewrite_op(rw, "", "Mul", "", 2, in);
}

/* Mul(MatMul(x, W), c) -> MatMul(x, W c); Mul(Add(MatMul(x, W), b), c) -> Add(MatMul(x, W c), b c) */
oi_status oi_rule_scale_columns(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_fact out = *oi_graph_fact(g, n.out[0]);
    const int32_t rank = out.shape.rank;
    if (n.nin != 2 || rank < 2 || out.dtype != ONNX_INFER_FLOAT || !oi_dim_is_number(out.shape.dim[rank - 1]) ||
        !oi_match_same(g, n.in[0], n.out[0]) || !oi_match_single_use(g, n.in[0]))
        return ONNX_INFER_OK;
    const int64_t columns = out.shape.dim[rank - 1];
    const oi_node *sum = oi_match_def(g, n.in[0], "Add"), *product = oi_match_def(g, sum ? sum->in[0] : n.in[0], "MatMul");
    const oi_fact *w = product ? oi_graph_fact(g, product->in[1]) : NULL;
    if (!column_const(g, n.in[1], rank, columns) || !product || !w->konst || w->shape.rank != 2 || w->dtype != ONNX_INFER_FLOAT ||
        (sum && (!oi_match_single_use(g, sum->in[0]) || !column_const(g, sum->in[1], rank, columns))))
        return ONNX_INFER_OK;
    oi_tensor flat;
    oi_tensor_share_as(&flat, oi_match_const(g, n.in[1]), 1, &columns);
    oi_value_id scale = oi_rewrite_const(rw, &flat);
    oi_value_id in[2] = {product->in[0], product_of(rw, product->in[1], scale)};
    oi_value_id made = oi_rewrite_node(rw, product->op, product->attr, 2, in);
    if (sum) {
        oi_value_id terms[2] = {made, product_of(rw, sum->in[1], scale)};
        made = oi_rewrite_node(rw, sum->op, sum->attr, 2, terms);
    }
    oi_rewrite_replace(rw, n.out[0], made);
    return rw->status;
}

/* --- in front of a convolution ----------------------------------------------------------------------------------- */

static bool no_padding(const oi_node *conv)
{
    const oi_ints *pads = oi_attr_field(conv, "pads");
    for (uint32_t i = 0; pads && pads->at && i < pads->n; i++) {
        if (pads->at[i])
            return false;
    }
    int64_t automatic = oi_attr_int(conv, "auto_pad", 0); /* NOTSET|SAME_UPPER|SAME_LOWER|VALID */
    return automatic == 0 || automatic == 3;
}

/* The affine operator that makes v for one user only, and which of its inputs it is applied to. */
static bool sole_affine(const oi_graph *g, oi_value_id v, int32_t rank, affine *a, oi_value_id *x)
{
    static const char *const ops[] = {"BatchNormalization", "Mul", "Div", "Add", "Sub"};
    if (!oi_match_single_use(g, v))
        return false;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        const oi_node *n = oi_match_def(g, v, ops[i]);
        for (uint32_t side = 0; n && side < (i ? 2 : 1); side++) {
            if (oi_match_same(g, n->in[side], v) && read_affine(g, n, side, rank, 1, a)) {
                *x = n->in[side];
                return true;
            }
        }
    }
    return false;
}

oi_status oi_rule_affine_before(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_fact *f = oi_graph_fact(g, n.in[0]);
    const oi_tensor *w = oi_graph_fact(g, n.in[1])->konst; /* as it lies: large, and seldom read here */
    const oi_tensor *bias = n.nin > 2 && n.in[2] != OI_NONE ? oi_match_const(g, n.in[2]) : NULL;
    int32_t rank = f->shape.rank;
    oi_value_id x;
    affine a = {0};
    if (rank < 3 || !w || w->rank != rank || w->dtype != f->dtype || !oi_dtype_is_float(w->dtype) ||
        (n.nin > 2 && n.in[2] != OI_NONE && (!bias || bias->rank != 1 || bias->dim[0] != w->dim[0])) ||
        !oi_dim_is_number(f->shape.dim[1]) || f->shape.dim[1] < 1 || !oi_match_single_use(g, n.in[0]))
        return ONNX_INFER_OK;
    const int64_t channels = f->shape.dim[1], group = oi_attr_int(&n, "group", 1), oc = w->dim[0], per_group = w->dim[1];
    const int64_t taps = oi_dims_count(rank - 2, w->dim + 2);
    if (group < 1 || oc % group || per_group * group != channels || (group != 1 && per_group != 1))
        return ONNX_INFER_OK;
    OI_TRY(affine_create(rw, channels, &a));
    if (!sole_affine(g, n.in[0], rank, &a, &x))
        return ONNX_INFER_OK;
    bool shifts = false, padded = !no_padding(&n);
    for (int64_t c = 0; c < channels; c++) {
        shifts = shifts || a.shift[c] != 0;
        a.scales = a.scales || a.scale[c] != 1;
    }
    if (shifts && padded) /* the pads would have to be shifted too */
        return ONNX_INFER_OK;
    const int64_t out_per_group = oc / group;
    double *sum = oi_arena_array(g->arena, (size_t)oc, sizeof *sum), *scale = oi_arena_array(g->arena, (size_t)oc, sizeof *scale);
    if (!sum || !scale)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t o = 0; o < oc; o++) {
        int64_t first = o / out_per_group * per_group;
        scale[o] = a.scale[first];
        sum[o] = bias ? element(bias, o) : 0;
        for (int64_t i = 0; i < per_group * taps && shifts; i++)
            sum[o] += oi_elem_get_double(w->dtype, w->data, (size_t)(o * per_group * taps + i)) * a.shift[first + i / taps];
    }
    oi_value_id in[3] = {x, n.in[1], n.nin > 2 ? n.in[2] : OI_NONE};
    const oi_dtype dtype = w->dtype;
    if (a.scales) {
        oi_value_id factor = group == 1 ? channel_const(rw, dtype, rank, 1, channels, a.scale)
                                        : channel_const(rw, dtype, rank, 0, oc, scale);
        oi_value_id mul[2] = {in[1], factor};
        in[1] = oi_rewrite_op(rw, "", "Mul", "", 2, mul);
    }
    if (shifts)
        in[2] = channel_const(rw, dtype, 1, 0, oc, sum);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, in[2] == OI_NONE ? 2 : 3, in));
    return rw->status;
}

/* --- as a convolution -------------------------------------------------------------------------------------------- */

/* BatchNormalization, or a product and then a sum, as a depthwise convolution of 1x1: one step that keeps the blocked
 * layout and takes an activation. */
oi_status oi_rule_affine_conv(oi_rewrite *rw, oi_node_id id)
{
    enum { FEWEST_CHANNELS = 8 };
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_fact out = *oi_graph_fact(g, n.out[0]);
    affine last = {0}, first = {0};
    oi_value_id x = OI_NONE, inner = OI_NONE;
    if (out.dtype != ONNX_INFER_FLOAT || out.shape.rank != 4 || !oi_shape_is_concrete(&out.shape) ||
        out.shape.dim[1] < FEWEST_CHANNELS || n.op->domain[0])
        return ONNX_INFER_OK;
    const int64_t channels = out.shape.dim[1];
    OI_TRY(affine_create(rw, channels, &last));
    OI_TRY(affine_create(rw, channels, &first));
    if (oi_match_def(g, n.out[0], "BatchNormalization")) {
        if (!read_batch_norm(g, &n, &last) || !oi_match_same(g, n.in[0], n.out[0]))
            return ONNX_INFER_OK;
        x = n.in[0];
    } else {
        for (uint32_t side = 0; n.nin == 2 && side < 2 && x == OI_NONE; side++) {
            inner = n.in[side];
            if (oi_match_same(g, inner, n.out[0]) && read_affine(g, &n, side, 4, 1, &last) && oi_match_def(g, inner, "Mul"))
                (void)sole_affine(g, inner, 4, &first, &x);
        }
        if (x == OI_NONE)
            return ONNX_INFER_OK;
        for (int64_t c = 0; c < channels; c++) {
            last.shift[c] += first.shift[c] * last.scale[c];
            last.scale[c] *= first.scale[c];
        }
    }
    char attrs[64];
    snprintf(attrs, sizeof attrs, "group=%lld, kernel_shape=[1,1]", (long long)channels);
    oi_value_id in[3] = {x, channel_const(rw, ONNX_INFER_FLOAT, 4, 0, channels, last.scale),
                         channel_const(rw, ONNX_INFER_FLOAT, 1, 0, channels, last.shift)};
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", "Conv", attrs, 3, in));
    return rw->status;
}
