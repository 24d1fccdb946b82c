/* Transposes travel with the data, to where another one cancels them or a layout takes them in:
 *
 *   Add(Transpose(x), Transpose(y))  -> Transpose(Add(x, y))              any elementwise operator, equal permutations
 *   Mul(Transpose(x), constant)      -> Transpose(Mul(x, constant'))
 *   Concat(Transpose(x), Transpose(y), ...) -> Transpose(Concat(x, y, ...))
 *
 *   Add(Add(Transpose(x), y), Transpose(z)) -> Transpose(Add(Add(x, Transpose(y)), z))     a chain that began without
 *
 * One that goes has no other user, so there are as many as before at most; in the last form one that is at the beginning of
 * a chain pays for all of it. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include "ops/op_conv_bytes.h"

#include <string.h>

enum { MOST = 32 };

/* The first permutation among the inputs; *dies says whether one of its Transposes has no other user. */
static const int64_t *common_permutation(const oi_graph *g, const oi_node *n, int32_t rank, bool *dies)
{
    const int64_t *common = NULL;
    *dies = false;
    for (uint32_t i = 0; i < n->nin; i++) {
        const int64_t *perm = oi_match_permutation(g, n->in[i], rank);
        if (!perm)
            continue;
        if (common && memcmp(common, perm, (size_t)rank * sizeof *perm) != 0)
            return NULL;
        common = perm;
        *dies = *dies || oi_match_single_use(g, n->in[i]);
    }
    return common;
}

/* What the permutation would have made v of. */
static oi_value_id unpermuted(oi_rewrite *rw, oi_value_id v, int32_t rank, const int64_t *perm)
{
    int64_t inverse[OI_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        inverse[perm[i]] = i;
    return oi_rewrite_transpose(rw, v, rank, inverse);
}

static oi_value_id of_rank(oi_rewrite *rw, const oi_tensor *t, int32_t rank)
{
    int64_t dims[OI_MAX_RANK];
    oi_tensor view;
    for (int32_t i = 0; i < rank; i++)
        dims[i] = i < rank - t->rank ? 1 : t->dim[i - (rank - t->rank)];
    oi_tensor_share_as(&view, t, rank, dims);
    return oi_rewrite_const(rw, &view);
}

/* The only result of n goes on into an elementwise operator beside a value of the same permutation. */
static bool goes_on(const oi_graph *g, const oi_node *n, int32_t rank, const int64_t *perm)
{
    const oi_value *v = &g->value[n->out[0]];
    for (uint32_t i = 0; i < v->nuse; i++) {
        const oi_node *user = &g->node[v->use[i].node];
        for (uint32_t k = 0; (user->op->flags & OI_OP_ELEMENTWISE) && k < user->nin; k++) {
            const int64_t *other = oi_match_permutation(g, user->in[k], rank);
            if (other && memcmp(other, perm, (size_t)rank * sizeof *perm) == 0 && oi_match_single_use(g, user->in[k]))
                return true;
        }
    }
    return false;
}

/* Moves the operator of node n, with these attributes, in front of the Transposes of its inputs. */
static oi_status move_down(oi_rewrite *rw, const oi_node *n, void *attr, int32_t rank, const int64_t *perm, bool constants)
{
    const oi_graph *g = rw->g;
    oi_value_id in[MOST];
    if (n->nin > MOST)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < n->nin; i++) {
        in[i] = n->in[i];
        const oi_fact *f = oi_graph_fact(g, in[i]);
        if (oi_match_permutation(g, in[i], rank)) {
            in[i] = oi_match_def(g, in[i], "Transpose")->in[0];
        } else if (!f || (constants && f->shape.rank >= 0 && oi_shape_is_concrete(&f->shape) &&
                          oi_dims_count(f->shape.rank, f->shape.dim) == 1 && f->shape.rank <= 1)) {
            continue; /* left out, or one number for all */
        } else if (constants && f->konst && f->shape.rank <= rank) {
            const oi_tensor *t = oi_match_const(g, in[i]);
            if (!t)
                return OI_DECLINED;
            in[i] = unpermuted(rw, of_rank(rw, t, rank), rank, perm);
        } else if (constants && n->nin == 2 && oi_match_same(g, in[i], n->out[0]) && goes_on(g, n, rank, perm)) {
            in[i] = unpermuted(rw, in[i], rank, perm);
        } else {
            return OI_DECLINED;
        }
    }
    oi_value_id made = oi_rewrite_node(rw, n->op, attr, n->nin, in);
    oi_rewrite_replace(rw, n->out[0], oi_rewrite_transpose(rw, made, rank, perm));
    return rw->status;
}

oi_status oi_rule_transpose_down(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    if (!(n.op->flags & OI_OP_ELEMENTWISE) || (n.op->domain[0] && n.op != &oi_op_oi_BinaryBytes) || n.nout != 1 || n.nin < 1)
        return ONNX_INFER_OK;
    int32_t rank = oi_graph_fact(rw->g, n.out[0])->shape.rank;
    bool dies;
    const int64_t *perm = common_permutation(rw->g, &n, rank, &dies);
    return perm && dies ? move_down(rw, &n, n.attr, rank, perm, true) : ONNX_INFER_OK;
}

oi_status oi_rule_transpose_concat(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    int32_t rank = oi_graph_fact(rw->g, n.out[0])->shape.rank;
    bool dies;
    const int64_t *perm = common_permutation(rw->g, &n, rank, &dies);
    int64_t axis = oi_attr_int(&n, "axis", OI_UNSET);
    axis += axis < 0 ? rank : 0;
    if (!perm || !dies || axis < 0 || axis >= rank)
        return ONNX_INFER_OK;
    void *attr = oi_arena_copy(rw->g->arena, n.attr, n.op->attr_size);
    if (!attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    const oi_node like = {.op = n.op, .attr = attr};
    *(int64_t *)oi_attr_field(&like, "axis") = perm[axis];
    return move_down(rw, &n, attr, rank, perm, false);
}
