/* Blocks of pixels that become channels, and channels that become blocks, out of their pieces:
 *
 *   Reshape(Transpose(Reshape(x)))  with x [n, c b b, h, w] seen as [n, b, b, c, h, w] and turned by [0, 3, 4, 1, 5, 2],
 *                                   or as [n, c, b, b, h, w] and turned by [0, 1, 4, 2, 5, 3]
 *                                   -> DepthToSpace(x) {blocksize=b, mode=DCR or CRD}
 *                                   with x [n, c, h b, w b] seen as [n, c, h, b, w, b] and turned by [0, 3, 5, 1, 2, 4] or
 *                                   [0, 1, 3, 5, 2, 4]
 *                                   -> SpaceToDepth(x) {blocksize=b, mode=DCR or CRD}
 *
 * Axes of size 1 may be left out or stand anywhere. Left alone: pieces that something else uses, channels last (the same number
 * of steps in any form). */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>

enum { AXES = 6 };

/* What it takes to know the operator again: the sizes that x is seen with, and how they are turned. */
typedef struct {
    int32_t rank;
    oi_dim dim[OI_MAX_RANK];
    int64_t perm[OI_MAX_RANK];
} turned;

/* The same without axes of size 1. */
static turned squeezed(int32_t rank, const oi_dim *dim, const int64_t *perm)
{
    turned t = {0};
    int64_t place[OI_MAX_RANK];
    for (int32_t i = 0; i < rank; i++) {
        place[i] = t.rank;
        if (dim[i] != 1)
            t.dim[t.rank++] = dim[i];
    }
    for (int32_t i = 0, k = 0; i < rank; i++) {
        if (dim[perm[i]] != 1)
            t.perm[k++] = place[perm[i]];
    }
    return t;
}

static bool same_turn(const turned *a, const turned *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0 &&
           memcmp(a->perm, b->perm, (size_t)a->rank * sizeof *a->perm) == 0;
}

static bool read_turn(const oi_graph *g, const oi_node *transpose, turned *t)
{
    const oi_shape *s = &oi_graph_fact(g, transpose->in[0])->shape;
    const oi_ints *perm = oi_attr_field(transpose, "perm");
    if (s->rank < 2 || !perm || !perm->at || perm->n != (uint32_t)s->rank)
        return false;
    *t = squeezed(s->rank, s->dim, perm->at);
    return true;
}

/* The quotient of two sizes that stand for b * d and d, b > 1 the same for both; 0: they do not. */
static int64_t block_of(const oi_graph *g, const oi_shape *large, const oi_shape *small)
{
    int64_t b = 0;
    for (int32_t i = 2; i < 4; i++) {
        if (oi_dim_is_number(large->dim[i]) && oi_dim_is_number(small->dim[i]) && small->dim[i] > 0 && large->dim[i] % small->dim[i] == 0)
            b = large->dim[i] / small->dim[i];
    }
    if (b < 2 && oi_dim_is_number(large->dim[1]) && oi_dim_is_number(small->dim[1]) && large->dim[1] > 0) {
        for (b = 2; b * b * large->dim[1] < small->dim[1] && b < INT16_MAX;)
            b++;
    }
    for (int32_t i = 2; i < 4 && b > 1; i++) {
        if (large->dim[i] != oi_dim_mul(g->syms, small->dim[i], b))
            return 0;
    }
    return b > 1 && b < INT16_MAX && small->dim[1] == oi_dim_mul(g->syms, large->dim[1], b * b) ? b : 0;
}

oi_status oi_rule_space(oi_rewrite *rw, oi_node_id id)
{
    static const int64_t perms[2][2][AXES] = {{{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}}, {{0, 3, 5, 1, 2, 4}, {0, 1, 3, 5, 2, 4}}};
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_node *transpose = oi_match_single_use(g, n.in[0]) ? oi_match_def(g, n.in[0], "Transpose") : NULL;
    const oi_node *first = transpose ? oi_match_def(g, transpose->in[0], "Reshape") : NULL;
    turned is;
    if (!first || !oi_match_single_use(g, transpose->in[0]) || !read_turn(g, transpose, &is))
        return ONNX_INFER_OK;
    const oi_shape *in = &oi_graph_fact(g, first->in[0])->shape, *out = &oi_graph_fact(g, n.out[0])->shape;
    if (in->rank != 4 || out->rank != 4 || in->dim[0] != out->dim[0])
        return ONNX_INFER_OK;
    for (int to_depth = 0; to_depth < 2; to_depth++) {
        const oi_shape *large = to_depth ? in : out, *small = to_depth ? out : in;
        const int64_t b = block_of(g, large, small);
        if (!b)
            continue;
        const oi_dim batch = in->dim[0], c = large->dim[1], h = small->dim[2], w = small->dim[3];
        const oi_dim seen[2][2][AXES] = {{{batch, b, b, c, h, w}, {batch, c, b, b, h, w}}, {{batch, c, h, b, w, b}, {batch, c, h, b, w, b}}};
        for (int crd = 0; crd < 2; crd++) {
            const turned want = squeezed(AXES, seen[to_depth][crd], perms[to_depth][crd]);
            if (!same_turn(&is, &want))
                continue;
            char attrs[48];
            snprintf(attrs, sizeof attrs, "blocksize=%lld, mode=%s", (long long)b, crd ? "CRD" : "DCR");
            oi_value_id x = first->in[0];
            oi_rewrite_replace(rw, n.out[0], oi_rewrite_op(rw, "", to_depth ? "SpaceToDepth" : "DepthToSpace", attrs, 1, &x));
            return rw->status;
        }
    }
    return ONNX_INFER_OK;
}
