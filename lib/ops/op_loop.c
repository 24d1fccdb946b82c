/* Loop. The body is run by the host; captures are its business too. */
#include "ops/iteration.h"

static oi_status loop_check(const oi_node *node, uint32_t nout, uint32_t *carried)
{
    OI_FAIL_IF(node->nsub != 1, ONNX_INFER_E_INVALID_MODEL, "Loop has %u subgraphs, expected 1", node->nsub);
    uint32_t formal = oi_body_formals(node), outs = node->sub[0].graph->noutput;
    uint32_t given = node->nin - node->sub[0].ncapture;
    OI_FAIL_IF(formal < 2 || given != formal || outs < formal - 1 || nout != outs - 1, ONNX_INFER_E_INVALID_MODEL,
               "the body has %u inputs and %u outputs, the node %u and %u", formal, outs, given, nout);
    *carried = formal - 2;
    return ONNX_INFER_OK;
}

static oi_status infer_loop(oi_infer *x)
{
    uint32_t carried = 0;
    OI_TRY(loop_check(x->node, x->nout, &carried));
    uint32_t outs = x->node->sub[0].graph->noutput;
    oi_fact iteration = oi_fact_tensor(ONNX_INFER_INT64, 0, NULL), go = oi_fact_tensor(ONNX_INFER_BOOL, 0, NULL);
    oi_fact *state = oi_infer_facts(x, carried), *result = oi_infer_facts(x, outs);
    const oi_fact **formal = oi_arena_array(x->arena, carried + 2, sizeof *formal);
    if (!state || !result || !formal)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    formal[0] = &iteration;
    formal[1] = &go;
    for (uint32_t i = 0; i < carried; i++) {
        OI_FAIL_IF(!x->in[2 + i], ONNX_INFER_E_INVALID_MODEL, "loop-carried input %u is missing", 2 + i);
        state[i] = oi_fact_without_content(x->in[2 + i]);
        formal[2 + i] = &state[i];
    }
    /* A carried shape that the body changes becomes unknown, which may change others: to a fixed point. Each round but
     * the last loses a dimension or a rank, so it ends. */
    for (uint32_t round = 0;; round++) {
        bool changed = false;
        OI_TRY(x->sub(x, 0, formal, carried + 2, result));
        for (uint32_t i = 0; i < carried; i++) {
            oi_fact before = state[i], after = oi_fact_without_content(&result[1 + i]);
            if (before.kind != ONNX_INFER_TENSOR)
                continue;
            if (before.shape.rank != after.shape.rank) {
                state[i].shape.rank = -1;
                changed = changed || before.shape.rank != -1;
            } else {
                for (int32_t d = 0; d < before.shape.rank; d++) {
                    if (before.shape.dim[d] != after.shape.dim[d] && oi_dim_is_number(before.shape.dim[d])) {
                        state[i].shape.dim[d] = oi_dim_fresh(x->syms);
                        changed = true;
                    } else if (before.shape.dim[d] != after.shape.dim[d] && round > 0) {
                        state[i].shape.dim[d] = oi_dim_fresh(x->syms);
                    }
                }
            }
        }
        if (!changed || round > 8)
            break;
    }
    for (uint32_t i = 0; i < carried; i++) {
        x->out[i] = oi_fact_without_content(&result[1 + i]);
        if (x->out[i].kind == ONNX_INFER_TENSOR) {
            oi_fact initial = oi_fact_without_content(x->in[2 + i]);
            oi_fact_join(x, &x->out[i], &initial); /* no iteration may take place */
        }
    }
    for (uint32_t i = carried; i < x->nout; i++) {
        const oi_fact *f = &result[1 + i];
        oi_dim dims[OI_MAX_RANK];
        if (f->shape.rank < 0 || f->shape.rank + 1 > OI_MAX_RANK) {
            oi_infer_set_fresh(x, i, f->dtype, -1);
            continue;
        }
        dims[0] = oi_dim_fresh(x->syms);
        for (int32_t d = 0; d < f->shape.rank; d++)
            dims[1 + d] = oi_dim_is_number(f->shape.dim[d]) ? f->shape.dim[d] : oi_dim_fresh(x->syms);
        oi_infer_set(x, i, f->dtype, f->shape.rank + 1, dims);
    }
    return ONNX_INFER_OK;
}

static oi_status scalar_value(oi_eval *e, oi_dtype dtype, int64_t v, onnx_infer_value **out)
{
    oi_tensor t;
    OI_TRY(oi_tensor_create(e->alloc, dtype, 0, NULL, &t));
    if (dtype == ONNX_INFER_BOOL)
        *(bool *)t.data = v != 0;
    else
        *(int64_t *)t.data = v;
    oi_status status = oi_value_from_tensor(e->alloc, &t, out);
    if (status)
        oi_tensor_clear(&t);
    return status;
}

static oi_status loop_iterate(oi_eval *e, oi_iteration *s, int64_t trips, bool go)
{
    for (int64_t i = 0; i < trips && go; i++) {
        onnx_infer_value *v = NULL;
        OI_TRY(e->host->check(e));
        OI_TRY(scalar_value(e, ONNX_INFER_INT64, i, &v));
        oi_value_swap(&s->in[0], v);
        v = NULL;
        OI_TRY(scalar_value(e, ONNX_INFER_BOOL, go, &v));
        oi_value_swap(&s->in[1], v);
        OI_TRY(e->host->sub(e, 0, s->nin, s->in, s->nout, s->out));
        const onnx_infer_value *next = s->out[0];
        bool is_bool = next->kind == ONNX_INFER_TENSOR && next->tensor.dtype == ONNX_INFER_BOOL &&
                       oi_tensor_count(&next->tensor) == 1;
        OI_FAIL_IF(!is_bool, ONNX_INFER_E_TYPE_MISMATCH, "the body's condition must be one bool");
        go = *(const bool *)next->tensor.data;
        oi_value_swap(&s->out[0], NULL);
        for (uint32_t k = 0; k < s->carried; k++) {
            oi_value_swap(&s->in[2 + k], s->out[1 + k]);
            s->out[1 + k] = NULL;
        }
        for (uint32_t k = 0; k < s->scans; k++) {
            v = s->out[1 + s->carried + k];
            s->out[1 + s->carried + k] = NULL;
            OI_TRY(oi_stack_push(e, &s->scan[k], v));
        }
    }
    for (uint32_t k = 0; k < s->carried; k++) {
        if (oi_eval_wants(e, k))
            OI_TRY(e->host->out_value(e, k, oi_value_retain(s->in[2 + k])));
    }
    const oi_graph *body = e->node->sub[0].graph;
    for (uint32_t k = 0; k < s->scans; k++) {
        if (oi_eval_wants(e, s->carried + k))
            OI_TRY(oi_stack_output(e, s->carried + k, &s->scan[k], 0, false,
                                oi_graph_fact(body, body->output[1 + s->carried + k])));
    }
    return ONNX_INFER_OK;
}

static oi_status eval_loop(oi_eval *e)
{
    oi_iteration s = {0};
    OI_TRY(loop_check(e->node, e->nout, &s.carried));
    const oi_tensor *max = oi_eval_in(e, 0), *cond = oi_eval_in(e, 1);
    OI_FAIL_IF(max && (max->dtype != ONNX_INFER_INT64 || oi_tensor_count(max) != 1), ONNX_INFER_E_TYPE_MISMATCH,
               "the trip count must be one int64");
    OI_FAIL_IF(cond && (cond->dtype != ONNX_INFER_BOOL || oi_tensor_count(cond) != 1), ONNX_INFER_E_TYPE_MISMATCH,
               "the condition must be one bool");
    s.scans = e->nout - s.carried;
    s.nin = s.carried + 2;
    s.nout = e->node->sub[0].graph->noutput;
    OI_TRY(oi_iteration_create(e, &s));
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < s.carried && !status; i++)
        status = oi_eval_in_as_value(e, 2 + i, &s.in[2 + i]);
    if (!status)
        status = loop_iterate(e, &s, max ? *(const int64_t *)max->data : INT64_MAX, !cond || *(const bool *)cond->data);
    oi_iteration_free(e, &s);
    return status;
}

const oi_op oi_op_Loop = {
    .name = "Loop", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_CONTROL,
    .min_in = 2, .max_in = UINT16_MAX, .min_out = 1, .max_out = UINT16_MAX, .infer = infer_loop, .eval = eval_loop,
};
