/* Transposes travel with the data through operators that have axes, whose axes change instead:
 *
 *   ReduceMean(Transpose(x), axes) -> Transpose(ReduceMean(x, axes'))     any reduction, ArgMax, ArgMin: less is transposed
 *   Gather(Transpose(x), i)        -> Gather(x, i)                        and Squeeze, where the axes that are left keep their order
 *   op(Transpose(x))               -> Transpose(op(x))                    where only Transposes use the result, with which it merges
 *
 * with op one of Softmax, LogSoftmax, Hardmax, LpNormalization, CumSum, LayerNormalization and RMSNormalization (of axes that
 * stay the last ones), Slice, Split, Gather, Pad, Squeeze and Unsqueeze. The Transpose that goes has no other user. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <string.h>

enum { MOST_PARTS = 16 };

typedef struct {
    oi_rewrite *rw;
    oi_node n;
    oi_value_id x;      /* what is transposed */
    int32_t rank;
    const int64_t *perm;
} job;

/* Every user of v is a Transpose. */
static bool is_transposed_back(const oi_graph *g, oi_value_id v)
{
    const oi_value *value = &g->value[v];
    for (uint32_t i = 0; i < value->nuse; i++) {
        const oi_node *n = &g->node[value->use[i].node];
        if (n->op->domain[0] || strcmp(n->op->name, "Transpose") != 0)
            return false;
    }
    return value->nuse > 0 && !value->is_output;
}

/* Axes out of input `slot`; false where they are not constant. Left out: *n = -1. */
static bool read_axes(const job *j, uint32_t slot, int32_t rank, int64_t *axes, int32_t *n)
{
    oi_value_id v = slot < j->n.nin ? j->n.in[slot] : OI_NONE;
    *n = -1;
    if (v == OI_NONE)
        return true;
    const oi_tensor *t = oi_match_const(j->rw->g, v);
    if (!t || oi_tensor_count(t) > rank)
        return false;
    *n = (int32_t)oi_tensor_count(t);
    for (int32_t i = 0; i < *n; i++) {
        axes[i] = oi_elem_get_int(t->dtype, t->data, (size_t)i);
        axes[i] += axes[i] < 0 ? rank : 0;
        if (axes[i] < 0 || axes[i] >= rank)
            return false;
    }
    return true;
}

/* The axis attribute, not negative; -1: it is none of this rank. */
static int64_t read_axis(const job *j, int64_t absent)
{
    int64_t axis = oi_attr_int(&j->n, "axis", absent);
    axis += axis < 0 ? j->rank : 0;
    return axis >= 0 && axis < j->rank ? axis : -1;
}

/* The node's attributes with another axis; NULL without memory. */
static void *with_axis(const job *j, int64_t axis)
{
    void *attr = oi_arena_copy(j->rw->g->arena, j->n.attr, j->n.op->attr_size);
    const oi_node like = {.op = j->n.op, .attr = attr};
    if (attr)
        *(int64_t *)oi_attr_field(&like, "axis") = axis;
    else
        j->rw->status = ONNX_INFER_E_OUT_OF_MEMORY;
    return attr;
}

/* The permutation of what is left without these axes of the transposed value; true: it keeps the order. */
static bool without(const job *j, int32_t n, const int64_t *axes, int64_t *perm, int32_t *rank)
{
    bool gone[OI_MAX_RANK] = {false}, ordered = true;
    int64_t place[OI_MAX_RANK]; /* of x's axes among those that are left */
    for (int32_t i = 0; i < n; i++)
        gone[j->perm[axes[i]]] = true;
    for (int32_t i = 0, at = 0; i < j->rank; i++) {
        place[i] = at;
        at += !gone[i];
    }
    *rank = 0;
    for (int32_t i = 0; i < j->rank; i++) {
        if (gone[j->perm[i]])
            continue;
        perm[*rank] = place[j->perm[i]];
        ordered = ordered && perm[*rank] == *rank;
        ++*rank;
    }
    return ordered;
}

/* The result of the node is `v`, transposed. */
static oi_status give(const job *j, oi_value_id v, int32_t rank, const int64_t *perm, bool ordered)
{
    oi_rewrite_replace(j->rw, j->n.out[0], ordered ? v : oi_rewrite_transpose(j->rw, v, rank, perm));
    return j->rw->status;
}

static oi_status give_whole(const job *j, oi_value_id v)
{
    return give(j, v, j->rank, j->perm, false);
}

/* The node with x as its first input and another in place of input `slot`. */
static oi_value_id again(const job *j, void *attr, uint32_t slot, oi_value_id other)
{
    oi_value_id in[8];
    if (j->n.nin > 8)
        return OI_NONE;
    memcpy(in, j->n.in, j->n.nin * sizeof *in);
    in[0] = j->x;
    if (slot)
        in[slot] = other;
    return oi_rewrite_node(j->rw, j->n.op, attr, j->n.nin, in);
}

static oi_value_id axes_const(const job *j, int32_t n, const int64_t *axes)
{
    int64_t moved[OI_MAX_RANK];
    for (int32_t i = 0; i < n; i++)
        moved[i] = j->perm[axes[i]];
    return oi_rewrite_const_ints(j->rw, moved, (uint32_t)n);
}

/* --- reductions -------------------------------------------------------------------------------------------------- */

static oi_status reduced(const job *j, oi_value_id v, int32_t n, const int64_t *axes)
{
    int64_t perm[OI_MAX_RANK];
    int32_t rank;
    if (oi_attr_int(&j->n, "keepdims", 1))
        return give_whole(j, v);
    bool ordered = without(j, n, axes, perm, &rank);
    return give(j, v, rank, perm, ordered);
}

static oi_status reduce(const job *j)
{
    int64_t axes[OI_MAX_RANK];
    int32_t n;
    if (!read_axes(j, 1, j->rank, axes, &n) || n == 0)
        return ONNX_INFER_OK;
    if (n > 0)
        return reduced(j, again(j, j->n.attr, 1, axes_const(j, n, axes)), n, axes);
    if (oi_attr_int(&j->n, "noop_with_empty_axes", 0))
        return ONNX_INFER_OK;
    return give(j, again(j, j->n.attr, 0, OI_NONE), 0, NULL, true); /* over all: axes of size 1 have no order */
}

static oi_status arg(const job *j)
{
    const int64_t axis = read_axis(j, 0);
    void *attr = axis < 0 ? NULL : with_axis(j, j->perm[axis]);
    return attr ? reduced(j, again(j, attr, 0, OI_NONE), 1, &axis) : j->rw->status;
}

/* --- the same shape ---------------------------------------------------------------------------------------------- */

static oi_status along_axis(const job *j)
{
    const int64_t axis = is_transposed_back(j->rw->g, j->n.out[0]) ? read_axis(j, -1) : -1;
    void *attr = axis < 0 ? NULL : with_axis(j, j->perm[axis]);
    return attr ? give_whole(j, again(j, attr, 0, OI_NONE)) : j->rw->status;
}

static oi_status cumulate(const job *j)
{
    int64_t axis;
    int32_t n;
    if (!is_transposed_back(j->rw->g, j->n.out[0]) || !read_axes(j, 1, j->rank, &axis, &n) || n != 1)
        return ONNX_INFER_OK;
    oi_tensor t; /* a scalar, as the operator wants it */
    OI_TRY(oi_tensor_create(oi_arena_alloc_of(j->rw->g->arena), ONNX_INFER_INT64, 0, NULL, &t));
    oi_elem_set_int(ONNX_INFER_INT64, t.data, 0, j->perm[axis]);
    return give_whole(j, again(j, j->n.attr, 1, oi_rewrite_const(j->rw, &t)));
}

static oi_status norm(const job *j)
{
    const int64_t axis = read_axis(j, -1);
    if (axis < 0 || !is_transposed_back(j->rw->g, j->n.out[0]))
        return ONNX_INFER_OK;
    for (uint32_t i = 1; i < j->n.nout; i++) {
        if (j->n.out[i] != OI_NONE && (j->rw->g->value[j->n.out[i]].nuse || j->rw->g->value[j->n.out[i]].is_output))
            return ONNX_INFER_OK;
    }
    for (int64_t i = axis; i < j->rank; i++) {
        if (j->perm[i] != i)
            return ONNX_INFER_OK;
    }
    return give_whole(j, again(j, j->n.attr, 0, OI_NONE));
}

/* --- parts ------------------------------------------------------------------------------------------------------- */

static oi_status slice(const job *j)
{
    int64_t axes[OI_MAX_RANK];
    int32_t n;
    if (!is_transposed_back(j->rw->g, j->n.out[0]) || !read_axes(j, 3, j->rank, axes, &n) || n < 1)
        return ONNX_INFER_OK;
    return give_whole(j, again(j, j->n.attr, 3, axes_const(j, n, axes)));
}

static oi_status split(const job *j)
{
    oi_value_id in[2] = {j->x, j->n.nin > 1 ? j->n.in[1] : OI_NONE}, out[MOST_PARTS];
    const int64_t axis = read_axis(j, 0);
    if (axis < 0 || j->n.nout > MOST_PARTS)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < j->n.nout; i++) {
        const oi_value *v = j->n.out[i] == OI_NONE ? NULL : &j->rw->g->value[j->n.out[i]];
        if (v && (v->nuse || v->is_output) && !is_transposed_back(j->rw->g, j->n.out[i]))
            return ONNX_INFER_OK;
    }
    void *attr = with_axis(j, j->perm[axis]);
    if (!attr)
        return j->rw->status;
    oi_rewrite_node_multi(j->rw, j->n.op, attr, j->n.nin, in, j->n.nout, out);
    for (uint32_t i = 0; i < j->n.nout && !j->rw->status; i++) {
        if (j->n.out[i] != OI_NONE && j->rw->g->value[j->n.out[i]].nuse)
            oi_rewrite_replace(j->rw, j->n.out[i], oi_rewrite_transpose(j->rw, out[i], j->rank, j->perm));
    }
    return j->rw->status;
}

static oi_status gather(const job *j)
{
    int64_t axis = read_axis(j, 0), perm[OI_MAX_RANK];
    const int32_t places = axis < 0 ? -1 : oi_graph_fact(j->rw->g, j->n.in[1])->shape.rank;
    int32_t rank = j->rank;
    const bool back = is_transposed_back(j->rw->g, j->n.out[0]);
    const bool ordered = places == 0 && without(j, 1, &axis, perm, &rank);
    if ((places != 0 && places != 1) || !(ordered || back))
        return ONNX_INFER_OK;
    void *attr = with_axis(j, j->perm[axis]);
    if (!attr)
        return j->rw->status;
    oi_value_id v = again(j, attr, 0, OI_NONE);
    return places == 1 ? give_whole(j, v) : give(j, v, rank, perm, ordered);
}

static oi_status squeeze(const job *j)
{
    int64_t axes[OI_MAX_RANK], perm[OI_MAX_RANK];
    int32_t n, rank;
    if (!read_axes(j, 1, j->rank, axes, &n) || n < 1)
        return ONNX_INFER_OK;
    const bool ordered = without(j, n, axes, perm, &rank);
    if (!ordered && !is_transposed_back(j->rw->g, j->n.out[0]))
        return ONNX_INFER_OK;
    return give(j, again(j, j->n.attr, 1, axes_const(j, n, axes)), rank, perm, ordered);
}

static oi_status unsqueeze(const job *j)
{
    int64_t axes[OI_MAX_RANK], perm[OI_MAX_RANK], place[OI_MAX_RANK];
    bool fresh[OI_MAX_RANK] = {false};
    int32_t n, rank = oi_graph_fact(j->rw->g, j->n.out[0])->shape.rank;
    if (rank <= j->rank || !is_transposed_back(j->rw->g, j->n.out[0]) || !read_axes(j, 1, rank, axes, &n) || j->rank + n != rank)
        return ONNX_INFER_OK;
    for (int32_t i = 0; i < n; i++)
        fresh[axes[i]] = true;
    for (int32_t i = 0, old = 0; i < rank; i++) {
        if (!fresh[i])
            place[old++] = i;
    }
    for (int32_t i = 0, old = 0; i < rank; i++)
        perm[i] = fresh[i] ? i : place[j->perm[old++]];
    return give(j, again(j, j->n.attr, 0, OI_NONE), rank, perm, false);
}

static oi_status pad(const job *j)
{
    const oi_tensor *pads = oi_match_const(j->rw->g, j->n.in[1]);
    int64_t axes[OI_MAX_RANK], moved[2 * OI_MAX_RANK];
    int32_t n;
    if (!pads || !is_transposed_back(j->rw->g, j->n.out[0]) || !read_axes(j, 3, j->rank, axes, &n))
        return ONNX_INFER_OK;
    if (n > 0)
        return give_whole(j, again(j, j->n.attr, 3, axes_const(j, n, axes)));
    if (n == 0 || oi_tensor_count(pads) != 2 * (int64_t)j->rank)
        return ONNX_INFER_OK;
    for (int32_t i = 0; i < j->rank; i++) {
        moved[j->perm[i]] = oi_elem_get_int(pads->dtype, pads->data, (size_t)i);
        moved[j->rank + j->perm[i]] = oi_elem_get_int(pads->dtype, pads->data, (size_t)(j->rank + i));
    }
    return give_whole(j, again(j, j->n.attr, 1, oi_rewrite_const_ints(j->rw, moved, 2 * (uint32_t)j->rank)));
}

/* --- the rules --------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *op;
    oi_status (*move)(const job *j);
} row;

static const row sums[] = {
    {"LayerNormalization", norm}, {"LogSoftmax", along_axis}, {"LpNormalization", along_axis}, {"ReduceL1", reduce}, {"ReduceL2", reduce},
    {"ReduceLogSum", reduce}, {"ReduceLogSumExp", reduce}, {"ReduceMean", reduce}, {"ReduceProd", reduce}, {"ReduceSum", reduce},
    {"ReduceSumSquare", reduce}, {"RMSNormalization", norm}, {"Softmax", along_axis},
};

static const row choices[] = {
    {"ArgMax", arg}, {"ArgMin", arg}, {"CumSum", cumulate}, {"Gather", gather}, {"Hardmax", along_axis}, {"Pad", pad},
    {"ReduceMax", reduce}, {"ReduceMin", reduce}, {"Slice", slice}, {"Split", split}, {"Squeeze", squeeze}, {"Unsqueeze", unsqueeze},
};

static oi_status move(oi_rewrite *rw, oi_node_id id, const row *rows, size_t n)
{
    const oi_node *node = &rw->g->node[id];
    if (node->op->domain[0] || node->nin < 1 || node->in[0] == OI_NONE || node->nout < 1 || node->out[0] == OI_NONE)
        return ONNX_INFER_OK;
    job j = {.rw = rw, .n = *node, .rank = oi_graph_fact(rw->g, node->in[0])->shape.rank};
    j.perm = oi_match_permutation(rw->g, node->in[0], j.rank);
    if (!j.perm || !oi_match_single_use(rw->g, node->in[0]))
        return ONNX_INFER_OK;
    j.x = oi_match_def(rw->g, node->in[0], "Transpose")->in[0];
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].op, node->op->name) == 0)
            return rows[i].move(&j);
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_transpose_sum(oi_rewrite *rw, oi_node_id id)
{
    return move(rw, id, sums, sizeof sums / sizeof *sums);
}

oi_status oi_rule_transpose_choice(oi_rewrite *rw, oi_node_id id)
{
    return move(rw, id, choices, sizeof choices / sizeof *choices);
}
