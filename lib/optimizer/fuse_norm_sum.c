/* A sum in front of a norm, as one step that makes both:
 *
 *   LayerNormalization(Add(x, y)), RMSNormalization(Add(x, y))  -> NormOfSum(x, y)      which has the sum as its second output
 *
 * y may have fewer axes in front, as positions have. Left alone: sums that another step makes beside its own work (products take
 * them in before this, chains of elementwise operators behind it), sums that are results of the graph,
 * scales and biases that are not constant. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>
#include <string.h>

/* v is made by an elementwise operator for one user: both will be one step. */
static bool in_chain(const oi_graph *g, oi_value_id v)
{
    return g->value[v].def != OI_NONE && oi_match_single_use(g, v) && (g->node[g->value[v].def].op->flags & OI_OP_ELEMENTWISE);
}

oi_status oi_rule_norm_of_sum(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node norm = g->node[id];
    const oi_node *add = oi_match_def(g, norm.in[0], "Add");
    const float *epsilon = oi_attr_field(&norm, "epsilon");
    if (!add || add->nin != 2 || norm.nin < 2 || !epsilon || g->value[norm.in[0]].is_output)
        return ONNX_INFER_OK;
    for (uint32_t i = 1; i < norm.nout; i++) {
        if (norm.out[i] != OI_NONE)
            return ONNX_INFER_OK;
    }
    const oi_shape *s = &oi_graph_fact(g, norm.in[0])->shape;
    const uint32_t large = oi_match_same(g, add->in[0], norm.in[0]) ? 0 : 1;
    const oi_shape *small = &oi_graph_fact(g, add->in[1 - large])->shape;
    int64_t axis = oi_attr_int(&norm, "axis", -1);
    axis += axis < 0 ? s->rank : 0;
    if (!oi_match_same(g, add->in[large], norm.in[0]) || oi_graph_fact(g, norm.in[0])->dtype != ONNX_INFER_FLOAT || !oi_shape_is_concrete(s) ||
        !oi_shape_is_concrete(small) || in_chain(g, add->in[0]) || in_chain(g, add->in[1]) || axis < 0 || axis >= s->rank)
        return ONNX_INFER_OK;
    bool whole = true; /* axes of the smaller one from here on are those of the sum */
    for (int32_t i = 0; i < small->rank && whole; i++) {
        const int32_t at = s->rank - small->rank + i;
        if (small->dim[i] != s->dim[at]) {
            for (int32_t k = 0; k <= i; k++)
                whole = whole && small->dim[k] == 1;
            whole = whole && at < axis;
        }
    }
    if (!whole || small->rank < s->rank - axis)
        return ONNX_INFER_OK;
    for (uint32_t i = 1; i < norm.nin; i++) {
        const oi_fact *f = oi_graph_fact(g, norm.in[i]);
        if (!f || !f->konst || f->dtype != ONNX_INFER_FLOAT || f->shape.rank != s->rank - axis ||
            memcmp(f->shape.dim, s->dim + axis, (size_t)f->shape.rank * sizeof *s->dim) != 0)
            return ONNX_INFER_OK;
    }
    char attrs[80];
    snprintf(attrs, sizeof attrs, "axis=%d, epsilon=%.9g, rms=%d", (int)(axis - s->rank), *epsilon, *norm.op->name == 'R');
    const oi_op *op = oi_op_find("onnx_infer", "NormOfSum");
    void *attr;
    if (!op)
        return ONNX_INFER_OK;
    OI_TRY(oi_attr_parse_text(rw->g->arena, op, attrs, &attr));
    oi_value_id in[4] = {add->in[large], add->in[1 - large], norm.in[1], norm.nin > 2 ? norm.in[2] : OI_NONE}, out[2];
    const oi_value_id sum = norm.in[0];
    const bool used = !oi_match_single_use(g, sum);
    oi_rewrite_node_multi(rw, op, attr, norm.nin + 1, in, used ? 2 : 1, out);
    oi_rewrite_replace(rw, norm.out[0], out[0]);
    if (used)
        oi_rewrite_replace(rw, sum, out[1]);
    return rw->status;
}
