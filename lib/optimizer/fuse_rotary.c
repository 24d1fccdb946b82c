/* Rotary embedding out of its pieces, and the standard's operator:
 *
 *   x cos + r sin                 with r = Concat(-x2, x1), x1 and x2 the halves of x's last axis
 *   Concat(x1 cos - x2 sin, x2 cos + x1 sin)
 *   the same with x1 and x2 the even and odd elements, put together by Unsqueeze, Concat, Reshape
 *   RotaryEmbedding(x, cos, sin, positions?)
 *   -> RotaryStrided(x, cos, sin), which reads and writes through Transpose, Reshape, Split and the like
 *
 *   Concat(RotaryStrided(x[.., :k]), x[.., k:]) -> RotaryStrided(x), which copies what it does not turn
 *
 * Left alone: types other than float32, sizes that are not known. */
#include "optimizer/match.h"
#include "optimizer/operand_view.h"
#include "optimizer/rules.h"
#include "ops/op_rotary_lowered.h"
#include "ops/target.h"

#include <string.h>

typedef struct {
    oi_value_id x, cosines, sines;
    int64_t size, turned;
    bool interleaved, half;
    oi_view at_x, at_cosines, at_sines, at_y;
} rotary;

static bool dims_of(const oi_graph *g, oi_value_id v, int32_t *rank, int64_t *dims)
{
    const oi_fact *f = oi_graph_fact(g, v);
    return f && f->kind == ONNX_INFER_TENSOR && f->dtype == ONNX_INFER_FLOAT && oi_fact_dims(f, rank, dims) && *rank >= 1 &&
           oi_dims_count(*rank, dims) > 0;
}

static bool same_view(const oi_view *a, const oi_view *b)
{
    int64_t s, t;
    bool same = a->base == b->base && a->offset == b->offset && a->rank == b->rank;
    for (int32_t i = 0; i < a->rank && same; i++)
        same = oi_view_dim(a, i) == oi_view_dim(b, i) && oi_view_stride(a, i, &s) && oi_view_stride(b, i, &t) &&
               (s == t || oi_view_dim(a, i) == 1);
    return same;
}

/* part = every `step`-th element of x's last axis from `start` on, half of them. */
static bool is_part(const oi_graph *g, oi_value_id part, oi_value_id x, int64_t start, int64_t step)
{
    int64_t dims[OI_MAX_RANK];
    int32_t rank;
    oi_view whole, seen;
    if (!dims_of(g, x, &rank, dims) || dims[rank - 1] % 2)
        return false;
    for (int up = 0; up <= oi_view_depth(g, x, false); up++) {
        if (!oi_view_of(g, x, up, NULL, &whole) || !oi_view_slice(&whole, rank - 1, start, step, dims[rank - 1] / 2))
            continue;
        int64_t half[OI_MAX_RANK];
        memcpy(half, dims, sizeof half);
        half[rank - 1] /= 2;
        for (int way = 1; way <= oi_view_depth(g, part, false); way++) {
            if (oi_view_of(g, part, way, NULL, &seen) && seen.base == whole.base && oi_view_reshape(&seen, rank, half) &&
                same_view(&seen, &whole))
                return true;
        }
    }
    return false;
}

static bool are_parts(const oi_graph *g, oi_value_id first, oi_value_id second, oi_value_id x, bool interleaved)
{
    const oi_shape *s = &oi_graph_fact(g, x)->shape;
    if (s->rank < 1 || !oi_dim_is_number(s->dim[s->rank - 1]))
        return false;
    int64_t half = s->dim[s->rank - 1] / 2;
    return half >= 1 && is_part(g, first, x, 0, interleaved ? 2 : 1) &&
           is_part(g, second, x, interleaved ? 1 : half, interleaved ? 2 : 1);
}

static oi_value_id without_views(const oi_graph *g, oi_value_id v)
{
    while (g->value[v].def != OI_NONE && (g->node[g->value[v].def].op->flags & OI_OP_VIEW))
        v = g->node[g->value[v].def].in[0];
    return v;
}

/* v = Concat(a, b) along the last axis, or the same element by element: a[0], b[0], a[1], ... */
static bool read_pair(const oi_graph *g, oi_value_id v, oi_value_id *a, oi_value_id *b, bool *interleaved)
{
    const oi_node *view = g->value[v].def == OI_NONE ? NULL : &g->node[g->value[v].def];
    *interleaved = view && (view->op->flags & OI_OP_VIEW);
    oi_value_id joined = *interleaved ? without_views(g, v) : v;
    const oi_node *n = oi_match_def(g, joined, "Concat");
    const oi_shape *s = &oi_graph_fact(g, joined)->shape;
    if (!n || n->nin != 2 || s->rank < 1)
        return false;
    int64_t axis = oi_attr_int(n, "axis", 0);
    if (axis != -1 && axis != s->rank - 1)
        return false;
    *a = n->in[0];
    *b = n->in[1];
    if (!*interleaved)
        return oi_match_same(g, *a, *b);
    const oi_shape *one = &oi_graph_fact(g, *a)->shape;
    if (s->dim[s->rank - 1] != 2 || one->dim[one->rank - 1] != 1)
        return false;
    *a = without_views(g, *a);
    *b = without_views(g, *b);
    return true;
}

/* -x, before or behind views */
static oi_value_id negated(const oi_graph *g, oi_value_id v)
{
    oi_value_id x = oi_match_unary(g, v, "Neg");
    if (x == OI_NONE)
        x = oi_match_with_scalar(g, v, "Mul", -1);
    return x;
}

static bool last_stride(const oi_view *v)
{
    int64_t step;
    return oi_view_stride(v, v->rank - 1, &step) && step == 1;
}

/* v broadcast to these dims, as far up as its last axis is dense. */
static bool find_rows(const oi_graph *g, oi_value_id v, int32_t rank, const int64_t *dims, oi_view *out)
{
    for (int up = oi_view_depth(g, v, false); up >= 0; up--) {
        if (oi_view_of(g, v, up, NULL, out) && oi_view_broadcast(out, rank, dims) && last_stride(out))
            return true;
    }
    return false;
}

static oi_ints place(oi_rewrite *rw, const oi_view *v, const int64_t *stride, int n)
{
    int64_t all[1 + OI_ROTARY_OUTER] = {v->offset};
    memcpy(all + 1, stride, (size_t)n * sizeof *stride);
    return oi_rewrite_ints(rw, all, (uint32_t)(1 + n));
}

/* Replaces `result`, which r->at_y lies in. */
static oi_status build(oi_rewrite *rw, const rotary *r, oi_value_id result)
{
    const oi_view *view[4] = {&r->at_x, &r->at_cosines, &r->at_sines, &r->at_y};
    int64_t outer[OI_ROTARY_OUTER], stride[4][OI_ROTARY_OUTER], out[OI_MAX_RANK];
    int32_t rank;
    int n = oi_view_common(view, 4, 1, OI_ROTARY_OUTER, outer, stride[0]);
    if (n < 0 || !dims_of(rw->g, result, &rank, out))
        return OI_DECLINED;
    oi_rotary_lowered_attr *a = oi_attr_new(rw->g->arena, &oi_op_oi_RotaryStrided);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    a->isa = rw->target->isa;
    a->size = r->size, a->turned = r->turned, a->interleaved = r->interleaved, a->half = r->half;
    a->outer = oi_rewrite_ints(rw, outer, (uint32_t)n);
    a->x = place(rw, &r->at_x, stride[0], n);
    a->cosines = place(rw, &r->at_cosines, stride[1], n);
    a->sines = place(rw, &r->at_sines, stride[2], n);
    a->y = place(rw, &r->at_y, stride[3], n);
    a->out = oi_rewrite_ints(rw, out, (uint32_t)rank);
    oi_value_id in[3] = {r->at_x.base, r->at_cosines.base, r->at_sines.base};
    oi_rewrite_replace(rw, result, oi_rewrite_node(rw, &oi_op_oi_RotaryStrided, a, 3, in));
    return rw->status;
}

/* `angled` is what was multiplied by angles: of x's shape, or half of it. */
static oi_status finish(oi_rewrite *rw, rotary *r, oi_value_id angled, oi_value_id y)
{
    enum { LONGEST = 8 };
    const oi_graph *g = rw->g;
    int64_t dims[OI_MAX_RANK], angles[OI_MAX_RANK], out[OI_MAX_RANK];
    int32_t rank, own, out_rank;
    if (!dims_of(g, r->x, &rank, dims) || !dims_of(g, angled, &own, angles) || own != rank || !dims_of(g, y, &out_rank, out) ||
        oi_dims_count(rank, dims) != oi_dims_count(out_rank, out))
        return ONNX_INFER_OK;
    r->size = r->turned = dims[rank - 1];
    angles[rank - 1] *= r->half ? 2 : 1;
    if (memcmp(dims, angles, (size_t)rank * sizeof *dims) != 0)
        return ONNX_INFER_OK;
    angles[rank - 1] /= r->half ? 2 : 1;
    if (!find_rows(g, r->x, rank, dims, &r->at_x) || !find_rows(g, r->cosines, rank, angles, &r->at_cosines) ||
        !find_rows(g, r->sines, rank, angles, &r->at_sines))
        return ONNX_INFER_OK;
    for (int down = LONGEST; down >= 0; down--) {
        if (oi_view_before(g, y, down, &r->at_y) && oi_view_reshape(&r->at_y, rank, dims) && last_stride(&r->at_y))
            return build(rw, r, r->at_y.base);
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_rotary(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node sum = g->node[id];
    for (uint32_t way = 0; sum.nin == 2 && way < 8; way++) {
        const oi_node *plain = oi_match_def(g, sum.in[way & 1], "Mul"), *crossed = oi_match_def(g, sum.in[1 - (way & 1)], "Mul");
        oi_value_id first, second;
        rotary r = {0};
        if (!plain || !crossed || !oi_match_single_use(g, sum.in[0]) || !oi_match_single_use(g, sum.in[1]))
            return ONNX_INFER_OK;
        r.x = plain->in[way >> 1 & 1];
        r.cosines = plain->in[1 - (way >> 1 & 1)];
        r.sines = crossed->in[1 - (way >> 2 & 1)];
        if (!read_pair(g, crossed->in[way >> 2 & 1], &second, &first, &r.interleaved))
            continue;
        second = negated(g, second);
        if (second == OI_NONE)
            continue;
        second = r.interleaved ? without_views(g, second) : second;
        if (are_parts(g, first, second, r.x, r.interleaved) && oi_match_same(g, sum.in[0], r.x) && oi_match_same(g, sum.in[1], r.x))
            return finish(rw, &r, r.x, sum.out[0]);
    }
    return ONNX_INFER_OK;
}

/* v = op(a b, c d), each a product of a part and an angle, of which two are given where not OI_NONE. */
static bool read_products(const oi_graph *g, oi_value_id v, const char *op, uint32_t way, oi_value_id *part, oi_value_id *angle)
{
    const oi_node *n = oi_match_def(g, v, op);
    for (uint32_t i = 0; n && i < 2; i++) {
        const oi_node *mul = oi_match_def(g, n->in[i], "Mul");
        if (!mul)
            return false;
        part[i] = mul->in[way >> i & 1];
        angle[i] = mul->in[1 - (way >> i & 1)];
    }
    return n != NULL;
}

oi_status oi_rule_rotary_parts(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    oi_value_id a, b, p[2], c[2], q[2], d[2];
    rotary r = {.half = true};
    if (n.nout != 1 || !read_pair(g, n.out[0], &a, &b, &r.interleaved) || !oi_match_def(g, a, "Sub") || !oi_match_def(g, b, "Add"))
        return ONNX_INFER_OK;
    for (uint32_t way = 0; way < 16; way++) {
        if (!read_products(g, a, "Sub", way, p, c) || !read_products(g, b, "Add", way >> 2, q, d))
            return ONNX_INFER_OK;
        bool straight = q[0] == p[1] && d[0] == c[0] && q[1] == p[0] && d[1] == c[1]; /* x2 cos + x1 sin */
        bool turned = q[1] == p[1] && d[1] == c[0] && q[0] == p[0] && d[0] == c[1];
        if ((!straight && !turned) || !oi_match_same(g, a, p[0]) || !oi_match_same(g, b, p[0]))
            continue;
        r.cosines = c[0];
        r.sines = c[1];
        oi_view seen;
        for (int up = 1; up <= oi_view_depth(g, p[0], false); up++) {
            if (!oi_view_of(g, p[0], up, NULL, &seen) || !are_parts(g, p[0], p[1], seen.base, r.interleaved))
                continue;
            r.x = seen.base;
            OI_TRY(finish(rw, &r, a, n.out[0]));
            if (rw->nreplace)
                return rw->status;
        }
    }
    return ONNX_INFER_OK;
}

/* The rows of v lie behind those that the node turns, in the same memory. */
static bool follows(const oi_graph *g, oi_value_id v, const oi_node *turned, int64_t length)
{
    const oi_rotary_lowered_attr *a = turned->attr;
    int64_t dims[OI_ROTARY_OUTER + 1], step;
    oi_view seen;
    memcpy(dims, a->outer.at, a->outer.n * sizeof *dims);
    dims[a->outer.n] = length;
    for (int up = 1; up <= oi_view_depth(g, v, false); up++) {
        if (!oi_view_of(g, v, up, NULL, &seen) || seen.base != turned->in[0] || seen.offset != a->x.at[0] + a->size ||
            !oi_view_reshape(&seen, (int32_t)a->outer.n + 1, dims) || !last_stride(&seen))
            continue;
        bool same = true;
        for (uint32_t i = 0; i < a->outer.n && same; i++)
            same = dims[i] == 1 || (oi_view_stride(&seen, (int32_t)i, &step) && step == a->x.at[1 + i]);
        if (same)
            return true;
    }
    return false;
}

oi_status oi_rule_rotary_rest(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id], *turned = n.nin == 2 && oi_match_single_use(g, n.in[0]) ? oi_match_def(g, n.in[0], "RotaryStrided") : NULL;
    int64_t dims[OI_MAX_RANK], rest[OI_MAX_RANK], places[1 + OI_ROTARY_OUTER];
    int32_t rank, rest_rank;
    if (!turned || !dims_of(g, n.in[0], &rank, dims) || !dims_of(g, n.in[1], &rest_rank, rest) || rank != rest_rank)
        return ONNX_INFER_OK;
    const oi_rotary_lowered_attr *a = turned->attr;
    const int64_t axis = oi_attr_int(&n, "axis", OI_UNSET), all = a->size + rest[rank - 1];
    if ((axis != -1 && axis != rank - 1) || a->size != dims[rank - 1] || !follows(g, n.in[1], turned, rest[rank - 1]))
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i <= a->outer.n; i++) { /* rows of the result are longer now */
        bool one = i > 0 && a->outer.at[i - 1] == 1;
        if (!one && a->y.at[i] % a->size)
            return ONNX_INFER_OK;
        places[i] = one ? 0 : a->y.at[i] / a->size * all;
    }
    oi_rotary_lowered_attr *b = oi_arena_copy(g->arena, a, sizeof *a);
    if (!b)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    dims[rank - 1] = b->size = all;
    b->y = oi_rewrite_ints(rw, places, 1 + a->outer.n);
    b->out = oi_rewrite_ints(rw, dims, (uint32_t)rank);
    const oi_value_id in[3] = {turned->in[0], turned->in[1], turned->in[2]};
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, &oi_op_oi_RotaryStrided, b, 3, in));
    return rw->status;
}

/* Cosines or sines as [batch, 1, length, pairs]. */
static oi_value_id angles_of(oi_rewrite *rw, oi_value_id v, oi_value_id positions, const int64_t *dims)
{
    if (positions != OI_NONE) {
        oi_value_id in[2] = {v, positions};
        v = oi_rewrite_op(rw, "", "Gather", "axis=0", 2, in);
    }
    oi_value_id in[2] = {v, oi_rewrite_const_ints(rw, dims, 4)};
    return oi_rewrite_op(rw, "", "Reshape", "", 2, in);
}

oi_status oi_rule_rotary_operator(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    int64_t dims[OI_MAX_RANK], cos[OI_MAX_RANK], sin[OI_MAX_RANK], at[OI_MAX_RANK];
    int32_t rank, cos_rank, sin_rank, at_rank;
    oi_value_id positions = n.nin > 3 ? n.in[3] : OI_NONE;
    if (!dims_of(g, n.in[0], &rank, dims) || (rank != 3 && rank != 4) || !dims_of(g, n.in[1], &cos_rank, cos) ||
        !dims_of(g, n.in[2], &sin_rank, sin) || cos_rank != sin_rank || memcmp(cos, sin, (size_t)cos_rank * sizeof *cos) != 0 ||
        cos_rank != (positions == OI_NONE ? 3 : 2))
        return ONNX_INFER_OK;
    const int64_t pairs = cos[cos_rank - 1], turned = oi_attr_int(&n, "rotary_embedding_dim", 0);
    int64_t heads = rank == 4 ? dims[1] : oi_attr_int(&n, "num_heads", 0), batch = dims[0], length = dims[rank == 4 ? 2 : 1];
    if (rank == 3 && heads < 1)
        heads = dims[2] / (2 * pairs);
    const int64_t size = rank == 4 ? dims[3] : heads > 0 && dims[2] % heads == 0 ? dims[2] / heads : 0;
    if (size < 2 || (turned ? turned : size) != 2 * pairs || 2 * pairs > size ||
        (positions == OI_NONE ? cos[0] != batch || cos[1] != length
                              : !oi_fact_dims(oi_graph_fact(g, positions), &at_rank, at) || oi_dims_count(at_rank, at) != batch * length))
        return ONNX_INFER_OK;
    rotary r = {.half = true, .interleaved = oi_attr_int(&n, "interleaved", 0) != 0, .size = size, .turned = 2 * pairs};
    const int64_t row[4] = {batch, 1, length, pairs}, all[4] = {batch, heads, length, pairs};
    oi_value_id c = angles_of(rw, n.in[1], positions, row), s = angles_of(rw, n.in[2], positions, row);
    if (rw->status || !find_rows(g, c, 4, all, &r.at_cosines) || !find_rows(g, s, 4, all, &r.at_sines))
        return rw->status ? rw->status : OI_DECLINED;
    for (int up = rank == 4 ? oi_view_depth(g, n.in[0], false) : 0; up >= 0; up--) {
        if (oi_view_of(g, n.in[0], up, NULL, &r.at_x) && last_stride(&r.at_x))
            break;
    }
    oi_view *const both[2] = {&r.at_x, &r.at_y};
    if (!oi_view_dense(g, n.out[0], &r.at_y))
        return OI_DECLINED;
    for (int i = 0; i < 2 && rank == 3; i++) {
        if (!oi_view_reshape(both[i], 4, (int64_t[]){batch, length, heads, size}) ||
            !oi_view_transpose(both[i], (const int64_t[]){0, 2, 1, 3}))
            return OI_DECLINED;
    }
    return build(rw, &r, n.out[0]);
}
