/* The order of the stages, and copies of graphs for given inputs. */
#include "optimizer/optimizer.h"

#include "ops/infer.h"

oi_status oi_optimize(oi_graph *g, oi_stage to, const oi_target *target)
{
    (void)to, (void)target;
    OI_TRY(oi_graph_compact(g));
    return oi_graph_verify(g);
}

/* What is known of input i; content becomes a constant that takes over its uses. */
static oi_status set_input(oi_graph *g, uint32_t i, const oi_fact *known)
{
    oi_value_id in = g->input[i], constant;
    oi_fact fact = *known;
    oi_tensor shared;
    fact.konst = NULL;
    OI_TRY(oi_graph_set_fact(g, in, &fact));
    if (!known->konst)
        return ONNX_INFER_OK;
    oi_tensor_share(&shared, known->konst);
    oi_status st = oi_graph_add_const(g, "", &shared, &constant);
    if (st != ONNX_INFER_OK) {
        oi_tensor_clear(&shared);
        return st;
    }
    return oi_graph_replace_uses(g, in, constant);
}

oi_status oi_optimize_for(const oi_alloc *a, const oi_graph *g, const int64_t *bound, const oi_fact *const *input, oi_stage to,
                          const oi_target *target, oi_graph **out)
{
    oi_graph *copy;
    *out = NULL;
    OI_TRY(oi_graph_clone(a, g, bound, &copy));
    oi_status st = ONNX_INFER_OK;
    for (uint32_t i = 0; input && i < copy->ninput && st == ONNX_INFER_OK; i++) {
        if (input[i])
            st = set_input(copy, i, input[i]);
    }
    if (st == ONNX_INFER_OK)
        st = oi_infer_graph(copy);
    if (st == ONNX_INFER_OK)
        st = oi_optimize(copy, to, target);
    if (st != ONNX_INFER_OK) {
        oi_graph_destroy(copy);
        return st;
    }
    *out = copy;
    return ONNX_INFER_OK;
}
