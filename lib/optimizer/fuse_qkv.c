/* The projections of attention's operands as one product:
 *
 *   AttentionStrided(x Wq + bq, x Wk + bk, x Wv + bv, ...) -> AttentionStrided(p, p, p, ...) with p = x [Wq Wk Wv] + [bq bk bv]
 *
 * Two of the three where only they have the same input. Left alone: weights that are no constants, projections that something
 * else uses. */
#include "base/checked.h"
#include "optimizer/match.h"
#include "optimizer/rules.h"
#include "ops/op_attention_lowered.h"
#include "ops/op_matmul.h"

#include <string.h>

/* v = x w + bias */
typedef struct {
    oi_value_id x, w, bias; /* bias OI_NONE: none */
    bool turned;            /* w is [n, k] */
    int64_t n;
} projection;

/* A constant, or an operator on constants that is still to be folded. */
static bool is_constant(const oi_graph *g, oi_value_id v, int depth)
{
    if (oi_graph_fact(g, v)->konst)
        return true;
    if (depth == 0 || g->value[v].def == OI_NONE)
        return false;
    const oi_node *n = &g->node[g->value[v].def];
    for (uint32_t i = 0; i < n->nin; i++) {
        if (n->in[i] == OI_NONE || !is_constant(g, n->in[i], depth - 1))
            return false;
    }
    return n->nin > 0 && !(n->op->flags & (OI_OP_RANDOM | OI_OP_CONTROL));
}

static bool is_row(const oi_graph *g, oi_value_id v, int64_t n)
{
    const oi_shape *s = &oi_graph_fact(g, v)->shape;
    return is_constant(g, v, 2) && s->rank == 1 && s->dim[0] == n;
}

static bool read_product(const oi_graph *g, oi_value_id v, projection *p)
{
    const oi_node *matmul = oi_match_def(g, v, "MatMul"), *gemm = oi_match_def(g, v, "Gemm"), *n = matmul ? matmul : gemm;
    if (!n || oi_graph_fact(g, v)->dtype != ONNX_INFER_FLOAT)
        return false;
    const oi_shape *s = &oi_graph_fact(g, n->in[1])->shape;
    *p = (projection){.x = n->in[0], .w = n->in[1], .bias = OI_NONE};
    if (s->rank != 2 || !is_constant(g, p->w, 2) || oi_graph_fact(g, p->x)->shape.rank < 2)
        return false;
    if (gemm) {
        const oi_gemm_attr *a = gemm->attr;
        if (a->trans_a || a->alpha != 1 || a->beta != 1)
            return false;
        p->turned = a->trans_b != 0;
    }
    p->n = s->dim[p->turned ? 0 : 1];
    if (gemm && n->nin > 2 && n->in[2] != OI_NONE) {
        p->bias = n->in[2];
        return is_row(g, p->bias, p->n);
    }
    return true;
}

static bool read_projection(const oi_graph *g, oi_value_id v, projection *p)
{
    const oi_node *sum = oi_match_def(g, v, "Add");
    if (!sum)
        return read_product(g, v, p);
    for (uint32_t side = 0; side < 2; side++) {
        if (oi_match_single_use(g, sum->in[side]) && read_product(g, sum->in[side], p) && p->bias == OI_NONE &&
            is_row(g, sum->in[1 - side], p->n)) {
            p->bias = sum->in[1 - side];
            return true;
        }
    }
    return false;
}

/* Where elements lie once rows of n have become rows of `wide` with these at `shift`. False where a stride is neither along a
 * row nor from row to row. */
static bool widen(const oi_attention_lowered_attr *a, oi_ints *list, int64_t rows, int64_t cols, int64_t n, int64_t wide,
                  int64_t shift, oi_arena *arena)
{
    int64_t at[3 + OI_ATTENTION_OUTER], along = list->at[0] % n, step;
    for (uint32_t i = 0; i < list->n; i++) {
        int64_t size = i == 0 ? 2 : i == 1 ? rows : i == 2 ? cols : a->outer.at[i - 3];
        at[i] = size == 1 ? list->at[i] : list->at[i] / n * wide + list->at[i] % n;
        if (i == 0 || size == 1 || list->at[i] % n == 0)
            continue;
        if (list->at[i] > n || !oi_mul_i64(size - 1, list->at[i], &step) || !oi_add_i64(along, step, &along))
            return false;
    }
    at[0] += shift;
    list->at = oi_arena_copy(arena, at, list->n * sizeof *at);
    return list->at && along < n;
}

static oi_value_id joined(oi_rewrite *rw, uint32_t n, const oi_value_id *part, int axis)
{
    return oi_rewrite_op(rw, "", "Concat", axis ? "axis=1" : "axis=0", n, part);
}

static oi_value_id zeros(oi_rewrite *rw, int64_t n)
{
    oi_tensor t = {0};
    if (!rw->status)
        rw->status = oi_tensor_create(oi_arena_alloc_of(rw->g->arena), ONNX_INFER_FLOAT, 1, &n, &t);
    if (!rw->status)
        memset(t.data, 0, (size_t)n * sizeof(float));
    return oi_rewrite_const(rw, &t);
}

oi_status oi_rule_projections(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_attention_lowered_attr *old = n.attr;
    projection p[3] = {{0}};
    bool taken[3];
    uint32_t most = 0, lead = 0;
    for (uint32_t i = 0; i < 3; i++)
        taken[i] = oi_match_single_use(g, n.in[i]) && read_projection(g, n.in[i], &p[i]);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t same = 0;
        for (uint32_t k = 0; k < 3; k++)
            same += taken[i] && taken[k] && p[k].x == p[i].x;
        if (same > most)
            most = same, lead = i;
    }
    if (most < 2)
        return ONNX_INFER_OK;
    oi_attention_lowered_attr *a = oi_arena_copy(g->arena, old, sizeof *old);
    oi_value_id w[3], bias[3], in[3 + OI_ATTENTION_MASKS];
    int64_t wide = 0, shift = 0;
    bool biased = false;
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < 3; i++) {
        taken[i] = taken[i] && p[i].x == p[lead].x;
        wide += taken[i] ? p[i].n : 0;
        biased = biased || (taken[i] && p[i].bias != OI_NONE);
    }
    memcpy(in, n.in, n.nin * sizeof *in);
    uint32_t count = 0;
    oi_ints *const list[3] = {&a->q, &a->k, &a->v};
    const int64_t rows[3] = {a->rows, a->keys, a->keys}, cols[3] = {a->size, a->size, a->value_size};
    for (uint32_t i = 0; i < 3; i++) {
        if (!taken[i])
            continue;
        if (!widen(a, list[i], rows[i], cols[i], p[i].n, wide, shift, g->arena))
            return OI_DECLINED;
        if (!list[i]->at)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        shift += p[i].n;
        w[count] = p[i].turned ? oi_rewrite_op(rw, "", "Transpose", "perm=[1,0]", 1, &p[i].w) : p[i].w;
        bias[count++] = !biased || p[i].bias != OI_NONE ? p[i].bias : zeros(rw, p[i].n);
    }
    oi_value_id product[2] = {p[lead].x, joined(rw, count, w, 1)};
    oi_value_id sum[2] = {oi_rewrite_op(rw, "", "MatMul", "", 2, product), biased ? joined(rw, count, bias, 0) : OI_NONE};
    oi_value_id out = biased ? oi_rewrite_op(rw, "", "Add", "", 2, sum) : sum[0];
    for (uint32_t i = 0; i < 3; i++)
        in[i] = taken[i] ? out : in[i];
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, a, n.nin, in));
    return rw->status;
}
