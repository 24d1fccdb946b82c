/* BatchNormalization, and products and sums with one constant for each output channel, into the weights and the bias of
 * the convolution or matrix product before them. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <math.h>
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

static oi_status fuse(oi_rewrite *rw, oi_node_id id, uint32_t side)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    oi_value_id x = n.in[side];
    if (!oi_match_single_use(g, x) || g->value[x].def == OI_NONE || !oi_match_same(g, x, n.out[0]))
        return ONNX_INFER_OK;
    const oi_node producer = g->node[g->value[x].def];
    if (producer.op->domain[0] || producer.nin < 2)
        return ONNX_INFER_OK;
    const oi_fact *w = oi_graph_fact(g, producer.in[1]);
    const oi_tensor *bias = producer.nin > 2 && producer.in[2] != OI_NONE ? oi_match_const(g, producer.in[2]) : NULL;
    const int32_t rank = oi_graph_fact(g, x)->shape.rank, axis = weight_axis(&producer, w->shape.rank);
    bool open_bias = producer.nin > 2 && producer.in[2] != OI_NONE && !bias;
    if (axis < 0 || open_bias || rank < 2 || w->shape.rank < 2 || !oi_dtype_is_float(w->dtype) || w->dtype != oi_graph_fact(g, x)->dtype)
        return ONNX_INFER_OK;
    affine a = {0};
    oi_dim channels = oi_graph_fact(g, x)->shape.dim[1];
    if (!oi_dim_is_number(channels) || channels < 1 || w->shape.dim[axis] != channels ||
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
    if (a.scales && !w->konst && !oi_match_def(g, producer.in[1], "Mul"))
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
    static const char *const ops[] = {"BatchNormalization", "Mul", "Div", "Add", "Sub"};
    const oi_node *n = &rw->g->node[id];
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (n->op->domain[0] || strcmp(n->op->name, ops[i]) != 0)
            continue;
        for (uint32_t side = 0; side < (i ? 2 : 1) && !rw->nreplace && !rw->status; side++)
            OI_TRY(fuse(rw, id, side));
    }
    return rw->status;
}
