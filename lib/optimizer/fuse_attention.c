/* Scaled dot-product attention out of its pieces, and the standard's operator:
 *
 *   MatMul(Softmax(scores), v)  with  scores = MatMul(q, k) behind products with scalars, sums with masks, Where with a
 *                               scalar, and views; Where(IsNaN(p), 0, p) around the Softmax. Masks beyond two that act
 *                               alike become one: scores + a + b + c is scores + (a + b) + c
 *   Attention(q, k, v, mask?, past key?, past value?)
 *   -> AttentionStrided(q, k, v, mask?, mask?), which reads and writes through Transpose, Reshape, Split, Slice, Gather and
 *      Expand in front of its operands and behind its result
 *
 * Left alone: weights of attention that something else uses, operands whose places are no strides, constant k or v (two
 * products with packed weights), types other than float32, sizes that are not known. */
#include "optimizer/match.h"
#include "optimizer/operand_view.h"
#include "optimizer/rules.h"
#include "ops/op_attention_lowered.h"

#include <math.h>
#include <string.h>

typedef struct {
    oi_value_id value;
    oi_mask_kind kind;
    double fill;
    int32_t rank;               /* of the scores it is applied to */
    int64_t dim[OI_MAX_RANK];
    oi_view at;
} found_mask;

enum { MOST_MASKS = 6 }; /* of which some become one, or are known to hide later keys */

typedef struct {
    const oi_graph *g;
    int32_t rank;               /* of the frame: outer dims, rows, columns */
    int64_t dim[OI_MAX_RANK];
    int64_t rows, keys, size, value_size;
    double scale, softcap;
    bool causal, zero_rows;
    int64_t ahead;
    found_mask mask[MOST_MASKS];
    int nmask;
    oi_view q, k, v, y;
} attention;

static bool dims_of(const oi_graph *g, oi_value_id v, int32_t *rank, int64_t *dims)
{
    const oi_fact *f = oi_graph_fact(g, v);
    return f && f->kind == ONNX_INFER_TENSOR && oi_fact_dims(f, rank, dims) && *rank >= 2 && oi_dims_count(*rank, dims) > 0;
}

static bool is_float(const oi_graph *g, oi_value_id v)
{
    return oi_graph_fact(g, v)->dtype == ONNX_INFER_FLOAT;
}

/* --- operands ----------------------------------------------------------------------------------------------------------- */

/* The view, of dims [own frame..., r, c], in the frame of the result, with the last two axes changed over if `turned`. */
static bool into_frame(const attention *m, oi_view *v, bool turned)
{
    int64_t dims[OI_MAX_RANK], perm[OI_MAX_RANK];
    if (v->rank < 2)
        return false;
    for (int32_t i = 0; i < v->rank; i++)
        perm[i] = i;
    if (turned) {
        perm[v->rank - 1] = v->rank - 2;
        perm[v->rank - 2] = v->rank - 1;
        oi_view_transpose(v, perm);
    }
    memcpy(dims, m->dim, sizeof dims);
    dims[m->rank - 2] = oi_view_dim(v, v->rank - 2);
    dims[m->rank - 1] = oi_view_dim(v, v->rank - 1);
    return oi_view_reshape(v, m->rank, dims);
}

static bool strides(const oi_view *v, int64_t *row, int64_t *col)
{
    return oi_view_stride(v, v->rank - 2, row) && oi_view_stride(v, v->rank - 1, col);
}

/* Looks for `v`, a stack of matrices with outer dims dim[0..rank-3] (to broadcast to), as far up as its strides allow. */
static bool find_operand(const attention *m, oi_value_id v, int32_t rank, const int64_t *dim, bool turned, bool either,
                         double *factor, oi_view *out)
{
    int64_t dims[OI_MAX_RANK], own[OI_MAX_RANK], row, col;
    int32_t own_rank;
    if (!is_float(m->g, v) || !dims_of(m->g, v, &own_rank, own) || own_rank > rank)
        return false;
    memcpy(dims, dim, sizeof dims);
    dims[rank - 2] = own[own_rank - 2];
    dims[rank - 1] = own[own_rank - 1];
    for (int up = oi_view_depth(m->g, v, factor != NULL); up >= 0; up--) {
        if (oi_view_of(m->g, v, up, factor, out) && oi_view_broadcast(out, rank, dims) && into_frame(m, out, turned) &&
            strides(out, &row, &col) && (col == 1 || (either && row == 1)))
            return true;
    }
    return false;
}

static bool find_mask(const attention *m, found_mask *mask)
{
    int64_t row, col, dims[OI_MAX_RANK];
    memcpy(dims, m->dim, sizeof dims);
    dims[m->rank - 1] = m->keys;
    for (int up = oi_view_depth(m->g, mask->value, false); up >= 0; up--) {
        if (oi_view_of(m->g, mask->value, up, NULL, &mask->at) && oi_view_broadcast(&mask->at, mask->rank, mask->dim) &&
            oi_view_reshape(&mask->at, m->rank, dims) && strides(&mask->at, &row, &col) &&
            (col == 1 || (col == 0 && mask->kind == OI_MASK_ADD)))
            return true;
    }
    return false;
}

static const double MASKED = -1e30; /* at or below this a sum with any usual score is the same */

/* Masks behind mask `i` may give hidden keys another score than -inf. */
static bool shown_again(const attention *m, int i)
{
    for (i++; i < m->nmask; i++) {
        if (m->mask[i].kind != OI_MASK_ADD && m->mask[i].fill != -INFINITY)
            return true;
    }
    return false;
}

/* A constant that lets row i see the keys up to i + ahead, and nothing else. Beside another mask only -inf hides a key for
 * good: where that one hides all others, keys that were made merely small are what is left. */
static bool is_causal(const attention *m, const found_mask *mask, int64_t *ahead)
{
    const oi_tensor *t = oi_match_const(m->g, mask->value);
    const double hidden = m->nmask == 1 ? MASKED : -INFINITY;
    if (!t || oi_tensor_count(t) != m->rows * m->keys || t->rank < 2 || t->dim[t->rank - 1] != m->keys ||
        (mask->kind != OI_MASK_ADD && !(mask->fill <= hidden)))
        return false;
    for (int64_t i = 0; i < m->rows; i++) {
        int64_t seen = 0;
        for (int64_t j = 0; j < m->keys; j++) {
            double x = oi_elem_get_double(t->dtype, t->data, (size_t)(i * m->keys + j));
            bool add = mask->kind == OI_MASK_ADD, sees = add ? x == 0 : (x != 0) == (mask->kind == OI_MASK_KEEP);
            if (sees ? seen != j : add && !(x <= hidden))
                return false;
            seen += sees;
        }
        if (i == 0)
            *ahead = seen - 1;
        if (seen < 1 || seen != (i + *ahead + 1 < m->keys ? i + *ahead + 1 : m->keys))
            return false;
    }
    return *ahead < m->keys - 1;
}

/* Where(c, 0, -inf) that is added to scores keeps those where c is true; a number far below any usual score does, too,
 * where no mask has been applied before. */
static bool sum_as_choice(const attention *m, const found_mask *mask, found_mask *out)
{
    const double hidden = mask == m->mask ? MASKED : -INFINITY;
    const oi_node *n = oi_match_def(m->g, mask->value, "Where");
    double a, b;
    if (mask->kind != OI_MASK_ADD || !n || !oi_match_uniform(m->g, n->in[1], &a) || !oi_match_uniform(m->g, n->in[2], &b))
        return false;
    *out = *mask;
    out->value = n->in[0];
    out->kind = a == 0 ? OI_MASK_KEEP : OI_MASK_DROP;
    out->fill = a == 0 ? b : a;
    return (a == 0 || b == 0) && out->fill <= hidden && find_mask(m, out);
}

static bool settle_masks(attention *m)
{
    int n = 0;
    for (int i = 0; i < m->nmask; i++) {
        found_mask *mask = &m->mask[i], choice;
        if (!m->causal && !shown_again(m, i) && is_causal(m, mask, &m->ahead)) {
            m->causal = true;
            continue;
        }
        if (sum_as_choice(m, mask, &choice))
            *mask = choice;
        else if (!find_mask(m, mask))
            return false;
        m->mask[n++] = *mask;
    }
    m->nmask = n;
    return true;
}

/* Two masks that are applied one behind the other and act alike as one. */
static bool join_two(oi_rewrite *rw, const attention *m, const found_mask *a, const found_mask *b, found_mask *out)
{
    static const char *const op[] = {[OI_MASK_ADD] = "Add", [OI_MASK_KEEP] = "And", [OI_MASK_DROP] = "Or"};
    if (a->kind != b->kind || (a->kind != OI_MASK_ADD && a->fill != b->fill) || a->rank != b->rank ||
        memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) != 0)
        return false;
    const oi_value_id in[2] = {a->value, b->value};
    found_mask both = *b;
    both.value = oi_rewrite_op(rw, "", op[a->kind], "", 2, in);
    if (rw->status || !find_mask(m, &both))
        return false;
    *out = both;
    return true;
}

/* As many masks as the step takes. */
static bool join_masks(oi_rewrite *rw, attention *m)
{
    while (m->nmask > OI_ATTENTION_MASKS) {
        int i = 0;
        while (i + 1 < m->nmask && !join_two(rw, m, &m->mask[i], &m->mask[i + 1], &m->mask[i]))
            i++;
        if (i + 1 >= m->nmask)
            return false;
        memmove(&m->mask[i + 1], &m->mask[i + 2], (size_t)(m->nmask - i - 2) * sizeof *m->mask);
        m->nmask--;
    }
    return true;
}

static bool find_result(attention *m, oi_value_id y, oi_value_id *end)
{
    enum { LONGEST = 8 };
    int64_t row, col;
    for (int down = LONGEST; down >= 0; down--) {
        if (!oi_view_before(m->g, y, down, &m->y) || !strides(&m->y, &row, &col) || col != 1)
            continue;
        *end = m->y.base;
        return true;
    }
    return false;
}

/* --- building ------------------------------------------------------------------------------------------------------------- */

enum { OPERANDS = 4 + OI_ATTENTION_MASKS };

static oi_ints place(oi_rewrite *rw, const oi_view *v, const int64_t *outer, int n)
{
    int64_t all[3 + OI_ATTENTION_OUTER] = {v->offset};
    strides(v, &all[1], &all[2]);
    memcpy(all + 3, outer, (size_t)n * sizeof *outer);
    return oi_rewrite_ints(rw, all, (uint32_t)(3 + n));
}

/* Replaces `result`, which m->y lies in, by the lowered node. */
static oi_status build(oi_rewrite *rw, const attention *m, oi_value_id result)
{
    const oi_view *view[OPERANDS] = {&m->q, &m->k, &m->v, &m->y};
    int64_t size[OI_ATTENTION_OUTER], stride[OPERANDS][OI_ATTENTION_OUTER], out[OI_MAX_RANK];
    int32_t out_rank;
    for (int i = 0; i < m->nmask; i++)
        view[4 + i] = &m->mask[i].at;
    int outer = oi_view_common(view, 4 + m->nmask, 2, OI_ATTENTION_OUTER, size, stride[0]);
    if (outer < 0 || !oi_fact_dims(oi_graph_fact(rw->g, result), &out_rank, out))
        return OI_DECLINED;
    oi_attention_lowered_attr *a = oi_attr_new(rw->g->arena, &oi_op_oi_AttentionStrided);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    a->isa = rw->target->isa;
    a->rows = m->rows, a->keys = m->keys, a->size = m->size, a->value_size = m->value_size;
    a->outer = oi_rewrite_ints(rw, size, (uint32_t)outer);
    a->q = place(rw, &m->q, stride[0], outer);
    a->k = place(rw, &m->k, stride[1], outer);
    a->v = place(rw, &m->v, stride[2], outer);
    a->y = place(rw, &m->y, stride[3], outer);
    a->out = oi_rewrite_ints(rw, out, (uint32_t)out_rank);
    a->causal = m->causal, a->ahead = m->causal ? m->ahead : 0, a->zero_rows = m->zero_rows;
    a->scale = (float)m->scale, a->softcap = (float)m->softcap;
    oi_value_id in[3 + OI_ATTENTION_MASKS] = {m->q.base, m->k.base, m->v.base};
    for (int i = 0; i < m->nmask; i++) {
        a->kind[i] = m->mask[i].kind;
        a->fill[i] = (float)m->mask[i].fill;
        a->at[i] = place(rw, &m->mask[i].at, stride[4 + i], outer);
        in[3 + i] = m->mask[i].at.base;
    }
    oi_rewrite_replace(rw, result, oi_rewrite_node(rw, &oi_op_oi_AttentionStrided, a, 3 + (uint32_t)m->nmask, in));
    return rw->status;
}

/* --- the pieces ------------------------------------------------------------------------------------------------------------- */

/* v = a view of something whose last dim is the same: that something. */
static oi_value_id outer_view(const oi_graph *g, oi_value_id v)
{
    const oi_node *n = g->value[v].def == OI_NONE ? NULL : &g->node[g->value[v].def];
    int64_t a[OI_MAX_RANK], b[OI_MAX_RANK];
    int32_t ra, rb;
    if (!n || !(n->op->flags & OI_OP_VIEW) || !dims_of(g, v, &ra, a) || !dims_of(g, n->in[0], &rb, b) || a[ra - 1] != b[rb - 1])
        return OI_NONE;
    return n->in[0];
}

static bool same_shape(const oi_graph *g, oi_value_id a, oi_value_id b)
{
    return oi_shape_equal(&oi_graph_fact(g, a)->shape, &oi_graph_fact(g, b)->shape);
}

static bool walk_scores(attention *m, oi_value_id v, bool scaled, int depth, oi_value_id *product);

static bool walk_mask(attention *m, oi_value_id v, oi_value_id scores, oi_value_id mask, oi_mask_kind kind, double fill, bool scaled,
                      int depth, oi_value_id *product)
{
    const attention before = *m;
    if (m->nmask == MOST_MASKS || (scaled && (kind == OI_MASK_ADD || !(m->scale > 0))) || !same_shape(m->g, v, scores))
        return false;
    memmove(m->mask + 1, m->mask, sizeof *m->mask * (MOST_MASKS - 1)); /* the one below is applied first */
    found_mask *f = &m->mask[0];
    *f = (found_mask){.value = mask, .kind = kind, .fill = scaled ? fill * m->scale : fill};
    m->nmask++;
    if (dims_of(m->g, v, &f->rank, f->dim) && walk_scores(m, scores, scaled, depth + 1, product))
        return true;
    *m = before;
    return false;
}

/* v is a product of queries and keys behind scales and masks, each used once. */
static bool walk_scores(attention *m, oi_value_id v, bool scaled, int depth, oi_value_id *product)
{
    enum { DEEPEST = 12 };
    const oi_graph *g = m->g;
    double c;
    if (depth > DEEPEST || !oi_match_single_use(g, v) || g->value[v].def == OI_NONE)
        return false;
    if (oi_match_def(g, v, "MatMul")) {
        *product = v;
        return true;
    }
    oi_value_id under = outer_view(g, v);
    if (under != OI_NONE)
        return walk_scores(m, under, scaled, depth + 1, product);
    const oi_node *mul = oi_match_def(g, v, "Mul"), *div = oi_match_def(g, v, "Div"), *n = mul ? mul : div;
    for (uint32_t side = 0; n && n->nin == 2 && side < (mul ? 2 : 1); side++) {
        if (!oi_match_scalar(g, n->in[1 - side], &c) || !same_shape(g, v, n->in[side]))
            continue;
        const double before = m->scale;
        m->scale *= mul ? c : 1 / c;
        if (walk_scores(m, n->in[side], true, depth + 1, product))
            return true;
        m->scale = before;
    }
    n = oi_match_def(g, v, "Add");
    for (uint32_t side = 0; n && n->nin == 2 && side < 2; side++) {
        if (is_float(g, n->in[1 - side]) &&
            walk_mask(m, v, n->in[side], n->in[1 - side], OI_MASK_ADD, 0, scaled, depth, product))
            return true;
    }
    n = oi_match_def(g, v, "Where");
    if (n && oi_match_uniform(g, n->in[2], &c) && walk_mask(m, v, n->in[1], n->in[0], OI_MASK_KEEP, c, scaled, depth, product))
        return true;
    return n && oi_match_uniform(g, n->in[1], &c) && walk_mask(m, v, n->in[2], n->in[0], OI_MASK_DROP, c, scaled, depth, product);
}

/* v = Where(IsNaN(p), 0, p), and nothing else uses p: p */
static oi_value_id guarded(const oi_graph *g, oi_value_id v)
{
    const oi_node *where = oi_match_def(g, v, "Where");
    double zero;
    if (!where || !oi_match_uniform(g, where->in[1], &zero) || zero != 0 || !same_shape(g, v, where->in[2]))
        return OI_NONE;
    oi_value_id p = where->in[2], is_nan = where->in[0];
    return oi_match_unary(g, is_nan, "IsNaN") == p && oi_match_single_use(g, is_nan) && g->value[p].nuse == 2 && !g->value[p].is_output
               ? p
               : OI_NONE;
}

/* The scores whose softmax the probabilities v are. */
static oi_value_id under_softmax(attention *m, oi_value_id v)
{
    enum { MOST = 6 };
    const oi_graph *g = m->g;
    for (int i = 0; i < MOST; i++) {
        const oi_node *n = oi_match_def(g, v, "Softmax");
        oi_value_id under = n ? OI_NONE : outer_view(g, v), p = n ? OI_NONE : guarded(g, v);
        if (!m->zero_rows && !oi_match_single_use(g, v))
            return OI_NONE;
        if (n) {
            int64_t axis = oi_attr_int(n, "axis", -1);
            return axis == -1 || axis == oi_graph_fact(g, v)->shape.rank - 1 ? n->in[0] : OI_NONE;
        }
        if (p != OI_NONE && !m->zero_rows)
            m->zero_rows = true;
        else if (under == OI_NONE || !oi_match_single_use(g, v))
            return OI_NONE;
        v = p != OI_NONE ? p : under;
    }
    return OI_NONE;
}

static bool is_const(const oi_graph *g, oi_value_id v)
{
    return oi_graph_fact(g, v)->konst != NULL;
}

oi_status oi_rule_attention_pieces(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    attention m = {.g = g, .scale = 1};
    int64_t p_dim[OI_MAX_RANK], dim[OI_MAX_RANK];
    int32_t p_rank, rank;
    oi_value_id product, end;
    double factor_q, factor_k;
    if (!is_float(g, n.out[0]) || is_const(g, n.in[1]) || !dims_of(g, n.out[0], &m.rank, m.dim) || !dims_of(g, n.in[0], &p_rank, p_dim))
        return ONNX_INFER_OK;
    if (p_rank > m.rank || oi_dims_count(p_rank - 2, p_dim) != oi_dims_count(m.rank - 2, m.dim))
        return ONNX_INFER_OK; /* the weights are shared by several values */
    oi_value_id scores = under_softmax(&m, n.in[0]);
    if (scores == OI_NONE || !walk_scores(&m, scores, false, 0, &product) || !dims_of(g, product, &rank, dim))
        return ONNX_INFER_OK;
    const oi_node *qk = oi_match_def(g, product, "MatMul");
    const oi_shape *k_shape = &oi_graph_fact(g, qk->in[1])->shape;
    if (k_shape->rank < 2 || is_const(g, qk->in[1]))
        return ONNX_INFER_OK;
    m.rows = m.dim[m.rank - 2];
    m.value_size = m.dim[m.rank - 1];
    m.keys = p_dim[p_rank - 1];
    m.size = k_shape->dim[k_shape->rank - 2];
    if (!find_operand(&m, qk->in[0], rank, dim, false, false, &factor_q, &m.q) ||
        !find_operand(&m, qk->in[1], rank, dim, true, true, &factor_k, &m.k) ||
        !find_operand(&m, n.in[1], m.rank, m.dim, false, false, NULL, &m.v) || !settle_masks(&m) ||
        !find_result(&m, n.out[0], &end) || !join_masks(rw, &m))
        return rw->status;
    if (oi_view_dim(&m.q, m.rank - 2) != m.rows || oi_view_dim(&m.q, m.rank - 1) != m.size || oi_view_dim(&m.k, m.rank - 2) != m.keys)
        return ONNX_INFER_OK;
    m.scale *= factor_q * factor_k;
    return build(rw, &m, end);
}

/* --- the operator ------------------------------------------------------------------------------------------------------------- */

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_KEY, IN_PAST_VALUE, IN_LENGTHS };

static oi_value_id input(const oi_node *n, uint32_t i)
{
    return i < n->nin ? n->in[i] : OI_NONE;
}

/* [batch, length, heads * size] or [batch, heads, length, size] as [batch, heads, length, size]. */
static oi_value_id with_heads(oi_rewrite *rw, oi_value_id v, int64_t heads)
{
    int64_t d[OI_MAX_RANK];
    int32_t rank;
    if (rw->status || !dims_of(rw->g, v, &rank, d) || rank == 4)
        return v;
    oi_value_id in[2] = {v, oi_rewrite_const_ints(rw, (int64_t[]){d[0], d[1], heads, d[2] / heads}, 4)};
    v = oi_rewrite_op(rw, "", "Reshape", "", 2, in);
    return oi_rewrite_op(rw, "", "Transpose", "perm=[0,2,1,3]", 1, &v);
}

/* Keys or values with what is past in front of them. */
static oi_value_id with_past(oi_rewrite *rw, oi_value_id past, oi_value_id v)
{
    if (past == OI_NONE)
        return v;
    oi_value_id in[2] = {past, v};
    return oi_rewrite_op(rw, "", "Concat", "axis=2", 2, in);
}

static bool find_heads(attention *m, oi_value_id v, int64_t heads, oi_view *out)
{
    int64_t row, col;
    for (int up = oi_view_depth(m->g, v, false); up >= 0; up--) {
        if (!oi_view_of(m->g, v, up, NULL, out) || out->rank != 4)
            continue;
        int64_t batch = oi_view_dim(out, 0), own = oi_view_dim(out, 1), length = oi_view_dim(out, 2), size = oi_view_dim(out, 3);
        int64_t split[5] = {batch, own, 1, length, size}, wide[5] = {batch, own, heads / own, length, size};
        if (oi_view_reshape(out, 5, split) && oi_view_broadcast(out, 5, wide) &&
            oi_view_reshape(out, 4, (int64_t[]){batch, heads, length, size}) && strides(out, &row, &col) && col == 1)
            return true;
    }
    return false;
}

oi_status oi_rule_attention_operator(oi_rewrite *rw, oi_node_id id)
{
    oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const float *scale = oi_attr_field(&n, "scale"), *softcap = oi_attr_field(&n, "softcap");
    const bool used[4] = {true, n.nout > 1 && g->value[n.out[1]].nuse + g->value[n.out[1]].is_output > 0,
                          n.nout > 2 && g->value[n.out[2]].nuse + g->value[n.out[2]].is_output > 0,
                          n.nout > 3 && g->value[n.out[3]].nuse + g->value[n.out[3]].is_output > 0};
    int64_t dq[OI_MAX_RANK], dk[OI_MAX_RANK], dv[OI_MAX_RANK], dm[OI_MAX_RANK], softmax_type = oi_attr_int(&n, "softmax_precision", 0);
    int32_t rq, rk, rv, rm;
    oi_value_id in[IN_LENGTHS + 1], mask;
    for (uint32_t i = 0; i <= IN_LENGTHS; i++)
        in[i] = input(&n, i);
    if (!is_float(g, in[IN_Q]) || !is_float(g, in[IN_K]) || !is_float(g, in[IN_V]) || !dims_of(g, in[IN_Q], &rq, dq) ||
        !dims_of(g, in[IN_K], &rk, dk) || !dims_of(g, in[IN_V], &rv, dv) || rq != rk || rq != rv || (rq != 3 && rq != 4) ||
        used[3] || in[IN_LENGTHS] != OI_NONE || (softmax_type && softmax_type != ONNX_INFER_FLOAT) ||
        oi_attr_int(&n, "left_window_size", -1) >= 0 || oi_attr_int(&n, "right_window_size", -1) >= 0 || !scale || !softcap ||
        (in[IN_PAST_KEY] == OI_NONE) != (in[IN_PAST_VALUE] == OI_NONE))
        return ONNX_INFER_OK;
    int64_t heads = rq == 4 ? dq[1] : oi_attr_int(&n, "q_num_heads", 0), kv_heads = rq == 4 ? dk[1] : oi_attr_int(&n, "kv_num_heads", 0);
    if (heads < 1 || kv_heads < 1 || heads % kv_heads || (rq == 3 && (dq[2] % heads || dk[2] % kv_heads || dv[2] % kv_heads)))
        return ONNX_INFER_OK;
    attention m = {.g = g, .rank = 4, .softcap = (double)*softcap, .zero_rows = true, .causal = oi_attr_int(&n, "is_causal", 0) != 0};
    oi_value_id q = with_heads(rw, in[IN_Q], heads);
    oi_value_id k = with_past(rw, in[IN_PAST_KEY], with_heads(rw, in[IN_K], kv_heads));
    oi_value_id v = with_past(rw, in[IN_PAST_VALUE], with_heads(rw, in[IN_V], kv_heads));
    if (rw->status || !dims_of(g, q, &rq, dq) || !dims_of(g, k, &rk, dk) || !dims_of(g, v, &rv, dv) || dk[1] != kv_heads ||
        dv[1] != kv_heads || dk[2] != dv[2] || dk[3] != dq[3] || dk[0] != dq[0] || dv[0] != dq[0])
        return rw->status ? rw->status : OI_DECLINED;
    m.rows = dq[2], m.keys = dk[2], m.size = dq[3], m.value_size = dv[3];
    memcpy(m.dim, (int64_t[]){dq[0], heads, m.rows, m.value_size}, 4 * sizeof *m.dim);
    m.scale = isnan(*scale) ? 1 / sqrt((double)m.size) : (double)*scale;
    m.ahead = in[IN_PAST_KEY] == OI_NONE ? 0 : oi_graph_fact(g, in[IN_PAST_KEY])->shape.dim[2];
    if (!find_heads(&m, q, heads, &m.q) || !find_heads(&m, k, heads, &m.k) || !find_heads(&m, v, heads, &m.v))
        return OI_DECLINED;
    mask = in[IN_MASK];
    if (mask != OI_NONE) {
        const oi_fact *f = oi_graph_fact(g, mask);
        if ((f->dtype != ONNX_INFER_FLOAT && f->dtype != ONNX_INFER_BOOL) || !oi_fact_dims(f, &rm, dm) || rm < 2 || rm > 4 || dm[rm - 1] != m.keys)
            return OI_DECLINED; /* a shorter mask hides the keys behind it */
        m.mask[0] = (found_mask){.value = mask, .kind = f->dtype == ONNX_INFER_BOOL ? OI_MASK_KEEP : OI_MASK_ADD,
                                 .fill = -INFINITY, .rank = 4};
        memcpy(m.mask[0].dim, (int64_t[]){dq[0], heads, m.rows, m.keys}, 4 * sizeof *dm);
        m.nmask = 1;
    }
    oi_view y;
    if (!settle_masks(&m))
        return OI_DECLINED;
    if (!oi_view_dense(g, n.out[0], &y))
        return OI_DECLINED;
    if (y.rank == 3 && (!oi_view_reshape(&y, 4, (int64_t[]){dq[0], m.rows, heads, m.value_size}) ||
                        !oi_view_transpose(&y, (const int64_t[]){0, 2, 1, 3})))
        return OI_DECLINED;
    m.y = y;
    if (used[1])
        oi_rewrite_replace(rw, n.out[1], k);
    if (used[2])
        oi_rewrite_replace(rw, n.out[2], v);
    OI_TRY(build(rw, &m, n.out[0]));
    return rw->status;
}
