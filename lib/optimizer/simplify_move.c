/* Chains of operators that only move or relabel elements, and views that travel with the data where that makes chains shorter:
 *
 *   Add(Reshape(x), Reshape(y))  -> Reshape(Add(x, y))     any elementwise operator; also of one, and scalars, where only views
 *   Reshape(Tanh(Squeeze(x)))    -> Reshape(Tanh(x))       use the result. Views that something else needs stay. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <string.h>

static bool is_view(const oi_node *n)
{
    static const char *const view[] = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"};
    for (size_t i = 0; i < sizeof view / sizeof *view; i++) {
        if (!n->op->domain[0] && strcmp(n->op->name, view[i]) == 0)
            return true;
    }
    return false;
}

/* perm of a Transpose of this rank, defaults filled in; false where it is not a permutation. */
static bool read_perm(const oi_node *n, int32_t rank, int64_t *perm)
{
    const oi_ints *p = oi_attr_field(n, "perm");
    unsigned seen = 0;
    if (rank < 0 || rank > OI_MAX_RANK || (p && p->at && p->n != (uint32_t)rank))
        return false;
    for (int32_t i = 0; i < rank; i++) {
        perm[i] = p && p->at ? p->at[i] : rank - 1 - i;
        if (perm[i] < 0 || perm[i] >= rank)
            return false;
        seen |= 1u << perm[i];
    }
    return seen == (1u << rank) - 1;
}

oi_status oi_rule_transposes(oi_rewrite *rw, oi_node_id id)
{
    const oi_node second = rw->g->node[id];
    const oi_node *first = oi_match_def(rw->g, second.in[0], "Transpose");
    int32_t rank = oi_graph_fact(rw->g, second.in[0])->shape.rank;
    int64_t a[OI_MAX_RANK], b[OI_MAX_RANK], both[OI_MAX_RANK];
    if (!first || !read_perm(first, rank, a) || !read_perm(&second, rank, b))
        return ONNX_INFER_OK;
    for (int32_t i = 0; i < rank; i++)
        both[i] = a[b[i]];
    oi_rewrite_replace(rw, second.out[0], oi_rewrite_transpose(rw, first->in[0], rank, both));
    return rw->status;
}

/* The shape as a Reshape wants it, with at most one -1; false where more dims are open, or an open one stands beside 0. */
static bool reshape_target(const oi_shape *s, int64_t *dims)
{
    int open = 0;
    bool zero = false;
    for (int32_t i = 0; i < s->rank; i++) {
        bool number = oi_dim_is_number(s->dim[i]);
        dims[i] = number ? s->dim[i] : -1;
        open += !number;
        zero = zero || dims[i] == 0;
    }
    return s->rank >= 0 && open <= 1 && !zero;
}

static oi_status replace_by_reshape(oi_rewrite *rw, oi_value_id x, oi_value_id old)
{
    const oi_shape shape = oi_graph_fact(rw->g, old)->shape;
    int64_t dims[OI_MAX_RANK];
    if (!reshape_target(&shape, dims))
        return ONNX_INFER_OK;
    oi_value_id in[2] = {x, oi_rewrite_const_ints(rw, dims, (uint32_t)shape.rank)};
    oi_rewrite_replace(rw, old, oi_rewrite_op(rw, "", "Reshape", "", 2, in));
    return rw->status;
}

oi_status oi_rule_flat_transpose(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    const oi_shape *s = &oi_graph_fact(rw->g, n.in[0])->shape;
    int64_t perm[OI_MAX_RANK], last = -1;
    bool moves = false;
    if (!read_perm(&n, s->rank, perm))
        return ONNX_INFER_OK;
    for (int32_t i = 0; i < s->rank; i++) {
        if (s->dim[perm[i]] == 1)
            continue;
        moves = moves || perm[i] < last;
        last = perm[i];
    }
    return moves ? ONNX_INFER_OK : replace_by_reshape(rw, n.in[0], n.out[0]);
}

oi_status oi_rule_views(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    if (!is_view(&n) || n.in[0] == OI_NONE || rw->g->value[n.in[0]].def == OI_NONE)
        return ONNX_INFER_OK;
    const oi_node *first = &rw->g->node[rw->g->value[n.in[0]].def];
    return is_view(first) ? replace_by_reshape(rw, first->in[0], n.out[0]) : ONNX_INFER_OK;
}

static bool only_views_use(const oi_graph *g, oi_value_id v)
{
    const oi_value *value = &g->value[v];
    for (uint32_t i = 0; i < value->nuse; i++) {
        if (value->use[i].slot != 0 || !is_view(&g->node[value->use[i].node]))
            return false;
    }
    return value->nuse > 0 && !value->is_output;
}

/* What v is a view of, which nothing else needs; OI_NONE: it is none. */
static oi_value_id viewed(const oi_graph *g, oi_value_id v)
{
    const oi_node *n = oi_match_single_use(g, v) && g->value[v].def != OI_NONE ? &g->node[g->value[v].def] : NULL;
    return n && is_view(n) && !oi_graph_fact(g, n->in[0])->konst && oi_graph_fact(g, n->in[0])->shape.rank > 0 ? n->in[0] : OI_NONE;
}

oi_status oi_rule_views_behind(oi_rewrite *rw, oi_node_id id)
{
    enum { MOST = 4 };
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    oi_value_id in[MOST], first = OI_NONE;
    int views = 0;
    if (!(n.op->flags & OI_OP_ELEMENTWISE) || n.op->domain[0] || n.nout != 1 || n.nin < 1 || n.nin > MOST)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < n.nin; i++) {
        const oi_fact *f = oi_graph_fact(g, n.in[i]);
        in[i] = n.in[i];
        if (!f || (f->konst && f->shape.rank <= 1 && oi_tensor_count(f->konst) == 1))
            continue; /* left out, or one number for all */
        in[i] = viewed(g, n.in[i]);
        if (in[i] == OI_NONE || !oi_shape_equal(&f->shape, &oi_graph_fact(g, n.out[0])->shape) ||
            (first != OI_NONE && !oi_shape_equal(&oi_graph_fact(g, in[i])->shape, &oi_graph_fact(g, first)->shape)))
            return ONNX_INFER_OK;
        first = first == OI_NONE ? in[i] : first;
        views++;
    }
    if (!views || views + only_views_use(g, n.out[0]) < 2)
        return ONNX_INFER_OK;
    return replace_by_reshape(rw, oi_rewrite_node(rw, n.op, n.attr, n.nin, in), n.out[0]);
}

/* Every number of type `from` is one of `to`. */
static bool is_wider(oi_dtype from, oi_dtype to)
{
    static const struct { oi_dtype from, to; } rows[] = {
        {ONNX_INFER_FLOAT16, ONNX_INFER_FLOAT}, {ONNX_INFER_BFLOAT16, ONNX_INFER_FLOAT}, {ONNX_INFER_FLOAT, ONNX_INFER_DOUBLE},
        {ONNX_INFER_FLOAT16, ONNX_INFER_DOUBLE}, {ONNX_INFER_INT32, ONNX_INFER_INT64}, {ONNX_INFER_INT32, ONNX_INFER_DOUBLE},
        {ONNX_INFER_INT8, ONNX_INFER_INT32}, {ONNX_INFER_UINT8, ONNX_INFER_INT32}, {ONNX_INFER_INT8, ONNX_INFER_FLOAT},
        {ONNX_INFER_UINT8, ONNX_INFER_FLOAT}, {ONNX_INFER_UINT8, ONNX_INFER_INT64}, {ONNX_INFER_INT8, ONNX_INFER_INT64},
        {ONNX_INFER_BOOL, ONNX_INFER_INT32}, {ONNX_INFER_BOOL, ONNX_INFER_INT64}, {ONNX_INFER_BOOL, ONNX_INFER_FLOAT},
        {ONNX_INFER_BOOL, ONNX_INFER_UINT8}, {ONNX_INFER_BOOL, ONNX_INFER_INT8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].from == from && rows[i].to == to)
            return true;
    }
    return from == to;
}

oi_status oi_rule_casts(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const oi_node *first = oi_match_def(g, n.in[0], "Cast");
    if (!first)
        return ONNX_INFER_OK;
    oi_dtype from = oi_graph_fact(g, first->in[0])->dtype, middle = oi_graph_fact(g, n.in[0])->dtype;
    /* To bool everything but zero is true, whatever the way; to others the way must lose nothing. */
    if (from == ONNX_INFER_UNDEFINED || !is_wider(from, middle))
        return ONNX_INFER_OK;
    if (oi_match_same(g, first->in[0], n.out[0]) && g->value[first->in[0]].def != OI_NONE)
        oi_rewrite_replace(rw, n.out[0], first->in[0]);
    else
        oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, 1, &first->in[0]));
    return rw->status;
}
