/* What a loop computes anew in each turn though it is always the same moves in front of it:
 *
 *   Loop(M, c, v...) { ... op(a, b) ... }  with captured a, b  ->  t = op(a, b); Loop(M, c, v...) { ... t ... }      Scan likewise
 *
 * A loop that may turn zero times gives away only what cannot fail whatever its inputs hold. Left alone: operators that draw
 * numbers, have subgraphs or are a caller's own; what would keep large results alive for as long as the loop runs. */
#include "optimizer/pass.h"

#include <string.h>

enum { MOST_BYTES = 64 << 20 /* of results that a loop gives away, where sizes are known */ };

/* Fail for want of memory only, once the sizes of their inputs fit. */
typedef struct {
    const char *name;
    bool any_size;  /* one input's sizes always fit: they need not be known */
    bool parameters; /* inputs behind the first must be constant */
} steady_op;

static const steady_op steady[] = {
    {"AveragePool", false, false}, {"BatchNormalization", false, false},
    {"Concat", false, false}, {"Conv", false, false}, {"CumSum", false, true}, {"Expand", false, true}, {"Flatten", true, false},
    {"Gemm", false, false}, {"GlobalAveragePool", false, false}, {"Identity", true, false}, {"InstanceNormalization", false, false},
    {"LayerNormalization", false, false}, {"LogSoftmax", true, false}, {"MatMul", false, false}, {"MaxPool", false, false},
    {"Pad", false, true}, {"ReduceL1", true, true}, {"ReduceL2", true, true}, {"ReduceLogSum", true, true},
    {"ReduceLogSumExp", true, true}, {"ReduceMax", true, true}, {"ReduceMean", true, true}, {"ReduceMin", true, true},
    {"ReduceProd", true, true}, {"ReduceSum", true, true}, {"ReduceSumSquare", true, true}, {"Reshape", false, true},
    {"RMSNormalization", false, false}, {"Shape", true, false}, {"Size", true, false}, {"Slice", false, true},
    {"Softmax", true, false}, {"Split", false, true}, {"Squeeze", false, true}, {"Tile", false, true}, {"Transpose", true, false},
    {"Unsqueeze", true, true},
};

static const steady_op *find_steady(const oi_op *op)
{
    size_t low = 0, high = sizeof steady / sizeof *steady;
    while (low < high) {
        size_t at = (low + high) / 2;
        int order = strcmp(op->name, steady[at].name);
        if (order == 0)
            return &steady[at];
        if (order < 0)
            high = at;
        else
            low = at + 1;
    }
    return NULL;
}

static bool all_concrete(const oi_graph *g, uint32_t n, const oi_value_id *v)
{
    for (uint32_t i = 0; i < n; i++) {
        if (v[i] != OI_NONE && !oi_shape_is_concrete(&oi_graph_fact(g, v[i])->shape))
            return false;
    }
    return true;
}

/* The axes of two inputs are 1 or the same, whatever the open ones are; but for the last `skip` of each. */
static bool broadcast(const oi_shape *a, const oi_shape *b, int32_t skip)
{
    for (int32_t d = 1 + skip; d <= a->rank && d <= b->rank; d++) {
        oi_dim x = a->dim[a->rank - d], y = b->dim[b->rank - d];
        if (x != y && x != 1 && y != 1)
            return false;
    }
    return a->rank >= 0 && b->rank >= 0;
}

static bool always_multiplies(const oi_graph *g, const oi_node *n)
{
    const oi_shape *a = &oi_graph_fact(g, n->in[0])->shape, *b = &oi_graph_fact(g, n->in[1])->shape;
    return a->rank >= 2 && b->rank >= 2 && a->dim[a->rank - 1] == b->dim[b->rank - 2] && broadcast(a, b, 2);
}

static bool always_broadcasts(const oi_graph *g, const oi_node *n)
{
    for (uint32_t i = 0; i < n->nin; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (n->in[i] == OI_NONE || n->in[k] == OI_NONE)
                continue;
            if (!broadcast(&oi_graph_fact(g, n->in[i])->shape, &oi_graph_fact(g, n->in[k])->shape, 0))
                return false;
        }
    }
    return true;
}

static bool is_number(oi_dtype t)
{
    return oi_dtype_is_float(t) || (t >= ONNX_INFER_UINT8 && t <= ONNX_INFER_INT64) || t == ONNX_INFER_UINT32 || t == ONNX_INFER_UINT64 ||
           t == ONNX_INFER_BOOL;
}

static bool cannot_fail(const oi_graph *g, const oi_node *n)
{
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] != OI_NONE && !is_number(oi_graph_fact(g, n->in[i])->dtype))
            return false;
    }
    if (n->op->flags & OI_OP_ELEMENTWISE) {
        bool divides = strcmp(n->op->name, "Div") == 0 || strcmp(n->op->name, "Mod") == 0;
        const oi_fact *made = oi_graph_fact(g, n->out[0]);
        return is_number(made->dtype) && !(divides && !oi_dtype_is_float(made->dtype)) && strcmp(n->op->name, "BitCast") != 0 &&
               always_broadcasts(g, n);
    }
    const steady_op *s = find_steady(n->op);
    if (s && strcmp(s->name, "MatMul") == 0)
        return always_multiplies(g, n);
    if (!s || (!s->any_size && !(all_concrete(g, n->nin, n->in) && all_concrete(g, n->nout, n->out))) ||
        (s->any_size && oi_graph_fact(g, n->in[0])->shape.rank < 0))
        return false;
    for (uint32_t i = 1; s->parameters && i < n->nin; i++) {
        if (n->in[i] != OI_NONE && !oi_graph_fact(g, n->in[i])->konst)
            return false;
    }
    return true;
}

static bool is_true(const oi_fact *f)
{
    return f && f->konst && oi_tensor_count(f->konst) == 1 && oi_elem_get_int(f->konst->dtype, f->konst->data, 0) != 0;
}

/* The first turn is certain. */
static bool turns(const oi_graph *g, const oi_node *n)
{
    if (strcmp(n->op->name, "Loop") == 0) {
        if (oi_node_formal_inputs(n) < 2)
            return false;
        const oi_fact *most = oi_graph_fact(g, n->in[0]), *condition = oi_graph_fact(g, n->in[1]);
        bool some = !most || (most->konst && oi_tensor_count(most->konst) == 1 &&
                              oi_elem_get_int(most->konst->dtype, most->konst->data, 0) > 0);
        return some && (!condition || is_true(condition));
    }
    const oi_ints *axes = oi_attr_field(n, "scan_input_axes");
    int64_t scanned = oi_attr_int(n, "num_scan_inputs", 0), carried = (int64_t)oi_node_formal_inputs(n) - scanned;
    if (oi_attr_int(n, "batched", 0) || scanned < 1 || carried < 0 || n->in[carried] == OI_NONE)
        return false;
    const oi_shape *s = &oi_graph_fact(g, n->in[carried])->shape;
    int64_t axis = axes && axes->at && axes->n > 0 ? axes->at[0] : 0;
    axis += axis < 0 ? s->rank : 0;
    return axis >= 0 && axis < s->rank && oi_dim_is_number(s->dim[axis]) && s->dim[axis] > 0;
}

/* Makes more of less, so that it is not worth keeping where it is not known how much. */
static bool may_grow(const oi_graph *g, const oi_node *n)
{
    const oi_shape *out = &oi_graph_fact(g, n->out[0])->shape;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] != OI_NONE && out->rank >= 0 && oi_shape_equal(out, &oi_graph_fact(g, n->in[i])->shape))
            return false;
    }
    const steady_op *s = find_steady(n->op);
    return !s || !s->any_size;
}

static bool fits(const oi_graph *g, const oi_node *n, size_t *budget)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n->nout; i++) {
        const oi_fact *f = oi_graph_fact(g, n->out[i]);
        int32_t rank;
        int64_t dims[OI_MAX_RANK], count;
        if (!f)
            continue;
        if (f->kind != ONNX_INFER_TENSOR || f->dtype == ONNX_INFER_UNDEFINED)
            return false;
        if (!oi_fact_dims(f, &rank, dims)) {
            if (may_grow(g, n))
                return false;
            continue;
        }
        count = oi_dims_count(rank, dims);
        if (count < 0 || (size_t)count > *budget)
            return false;
        bytes += (size_t)count * oi_dtype_size(f->dtype);
    }
    if (bytes > *budget)
        return false;
    *budget -= bytes;
    return true;
}

/* Everything that it reads is captured or constant, and not all of it constant, which is for folding. */
static bool is_invariant(const oi_graph *body, const oi_node *n, const oi_value_id *outside)
{
    bool captures = false;
    for (uint32_t i = 0; i < n->nin; i++) {
        oi_value_id v = n->in[i];
        if (v == OI_NONE)
            continue;
        if (outside[v] != OI_NONE)
            captures = true;
        else if (body->value[v].def != OI_NONE || body->value[v].is_input)
            return false;
        if (body->value[v].fact.kind != ONNX_INFER_TENSOR)
            return false;
    }
    return captures && n->nout > 0 && n->out[0] != OI_NONE;
}

static oi_status hoist_from(oi_graph *g, oi_node_id id, oi_pass *p)
{
    const oi_graph *body = g->node[id].sub[0].graph;
    const bool certain = turns(g, &g->node[id]);
    size_t budget = MOST_BYTES;
    uint32_t n, moved = 0;
    oi_node_id *order;
    OI_TRY(oi_graph_order((oi_graph *)body, &order, &n));
    bool *gone = oi_arena_array(g->arena, body->nnode, sizeof *gone);
    oi_value_id *outside = oi_pass_outside(g, id, 0);
    if (!gone || !outside)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        const oi_node *node = &body->node[order[i]];
        if (node->nsub || (node->op->flags & (OI_OP_RANDOM | OI_OP_CONTROL | OI_OP_CUSTOM)) || node->op->domain[0] ||
            !is_invariant(body, node, outside) || !(certain || cannot_fail(body, node)) || !fits(body, node, &budget))
            continue;
        oi_value_id *in = oi_arena_array(g->arena, node->nin, sizeof *in);
        if (!in)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (uint32_t k = 0; k < node->nin; k++) {
            in[k] = node->in[k] == OI_NONE ? OI_NONE : outside[node->in[k]];
            if (node->in[k] != OI_NONE && in[k] == OI_NONE) {
                OI_TRY(oi_pass_same_const(g, body, node->in[k], &in[k]));
                outside[node->in[k]] = in[k];
            }
        }
        OI_TRY(oi_pass_copy_out(g, body, node, in, outside));
        gone[order[i]] = true;
        moved++;
    }
    if (!moved)
        return ONNX_INFER_OK;
    p->rewriter.commits++;
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: hoisted: %u nodes out of '%s' (%llu)", p->rewriter.stage, moved, g->node[id].name,
                 (unsigned long long)p->rewriter.commits);
    return oi_pass_take_out(g, id, 0, order, n, gone, outside);
}

oi_status oi_pass_hoist(oi_graph *g, oi_pass *p)
{
    const oi_node_id n = g->nnode; /* what moves out has no subgraphs */
    for (oi_node_id i = 0; i < n && !oi_pass_stopped(p); i++) {
        const oi_op *op = g->node[i].op;
        if (!op || !g->node[i].nsub)
            continue;
        for (uint32_t k = 0; k < g->node[i].nsub; k++)
            OI_TRY(oi_pass_hoist(g->node[i].sub[k].graph, p));
        if (!op->domain[0] && (strcmp(op->name, "Loop") == 0 || strcmp(op->name, "Scan") == 0) && !oi_pass_stopped(p))
            OI_TRY(hoist_from(g, i, p));
    }
    return ONNX_INFER_OK;
}
