/* If. Its branches are run by the host; captures are its business too. */
#include "ops/iteration.h"

#include <string.h>

static const oi_dtype bools[] = {ONNX_INFER_BOOL};

/* The subgraph to take for a condition. */
static uint32_t branch(const oi_node *node, bool cond)
{
    bool first_is_then = strcmp(node->sub[0].name, "then_branch") == 0;
    return cond == first_is_then ? 0 : 1;
}

static oi_status infer_if(oi_infer *x)
{
    OI_TRY(oi_infer_need_dtype(x, 0, bools, 1));
    OI_FAIL_IF(x->node->nsub != 2, ONNX_INFER_E_INVALID_MODEL, "If has %u subgraphs, expected 2", x->node->nsub);
    const oi_tensor *cond = x->in[0]->konst;
    const oi_error before = *oi_error_current();
    uint32_t inferred = 0;
    for (uint32_t s = 0; s < 2; s++) {
        uint32_t n = x->node->sub[s].graph->noutput;
        OI_FAIL_IF(n != x->nout, ONNX_INFER_E_INVALID_MODEL, "a branch has %u outputs, the node has %u", n, x->nout);
        if (cond && branch(x->node, *(const bool *)cond->data) != s)
            continue;
        oi_fact *outs = oi_infer_facts(x, n);
        if (!outs)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        /* A branch that contradicts the shapes is the one that is not taken: exporters guard by such an If. */
        oi_status status = x->sub(x, s, NULL, 0, outs);
        if (status && (cond || (s == 1 && !inferred) || status == ONNX_INFER_E_OUT_OF_MEMORY))
            return status;
        for (uint32_t i = 0; i < n && !status; i++) {
            if (!inferred)
                x->out[i] = outs[i];
            else
                oi_fact_join(x, &x->out[i], &outs[i]);
        }
        inferred += !status;
    }
    *oi_error_current() = before;
    return ONNX_INFER_OK;
}

static oi_status take_outputs(oi_eval *e, uint32_t n, onnx_infer_value **v)
{
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (!status && oi_eval_wants(e, i))
            status = e->host->out_value(e, i, v[i]);
        else
            oi_value_release(v[i]);
        v[i] = NULL;
    }
    return status;
}

static oi_status eval_if(oi_eval *e)
{
    const oi_tensor *cond = oi_eval_in(e, 0);
    OI_FAIL_IF(cond->dtype != ONNX_INFER_BOOL || oi_tensor_count(cond) != 1, ONNX_INFER_E_TYPE_MISMATCH,
               "the condition must be one bool");
    onnx_infer_value **outs = oi_eval_scratch_array(e, e->nout + 1, sizeof *outs);
    if (!outs)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(e->host->sub(e, branch(e->node, *(const bool *)cond->data), 0, NULL, e->nout, outs));
    return take_outputs(e, e->nout, outs);
}

const oi_op oi_op_If = {
    .name = "If", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_CONTROL,
    .min_in = 1, .max_in = UINT16_MAX, .min_out = 1, .max_out = UINT16_MAX, .infer = infer_if, .eval = eval_if,
};
