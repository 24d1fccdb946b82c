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

/* While a body runs, its condition is true. */
static const bool yes = true;
static const oi_tensor go_on = {.dtype = ONNX_INFER_BOOL, .data = (void *)(uintptr_t)&yes, .bytes = sizeof yes};

static bool is_true(const oi_fact *f)
{
    return f->konst && f->konst->dtype == ONNX_INFER_BOOL && oi_tensor_count(f->konst) == 1 && *(const bool *)f->konst->data;
}

/* How many turns a loop takes, where nothing can end it before the trip count. -1: not known. */
static oi_dim known_turns(const oi_infer *x, const oi_fact *next)
{
    const oi_fact *max = x->in[0], *cond = x->in[1];
    bool counts = max && max->konst && max->konst->dtype == ONNX_INFER_INT64 && oi_tensor_count(max->konst) == 1;
    if (!counts || (cond && !is_true(cond)) || !is_true(next))
        return -1;
    int64_t turns = *(const int64_t *)max->konst->data;
    return turns < 0 ? 0 : turns;
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
    go.konst = &go_on;
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
        dims[0] = known_turns(x, &result[0]);
        if (dims[0] < 0)
            dims[0] = oi_dim_fresh(x->syms);
        for (int32_t d = 0; d < f->shape.rank; d++)
            dims[1 + d] = oi_dim_is_number(f->shape.dim[d]) ? f->shape.dim[d] : oi_dim_fresh(x->syms);
        oi_infer_set(x, i, f->dtype, f->shape.rank + 1, dims);
    }
    return ONNX_INFER_OK;
}

static oi_status feed_counter(oi_eval *e, oi_iteration *s, bool lent)
{
    (void)lent;
    OI_TRY(oi_iteration_own(e, s, 0, ONNX_INFER_INT64, 0, NULL));
    OI_TRY(oi_iteration_own(e, s, 1, ONNX_INFER_BOOL, 0, NULL));
    *(int64_t *)s->view[0].data = s->turn;
    *(bool *)s->view[1].data = s->go;
    return ONNX_INFER_OK;
}

static oi_status read_condition(oi_eval *e, oi_iteration *s, const oi_tensor *first)
{
    (void)e;
    OI_FAIL_IF(!first || first->dtype != ONNX_INFER_BOOL || oi_tensor_count(first) != 1, ONNX_INFER_E_TYPE_MISMATCH,
               "the body's condition must be one bool");
    s->go = *(const bool *)first->data;
    return ONNX_INFER_OK;
}

static oi_status give_outputs(oi_eval *e, const oi_iteration *s)
{
    const oi_graph *body = e->node->sub[0].graph;
    for (uint32_t k = 0; k < s->carried; k++) {
        if (oi_eval_wants(e, k))
            OI_TRY(e->host->out_value(e, k, oi_value_retain(s->in[2 + k])));
    }
    for (uint32_t k = 0; k < s->scans; k++) {
        if (oi_eval_wants(e, s->carried + k))
            OI_TRY(oi_stack_output(e, s->carried + k, &s->scan[k], 0, false,
                                   oi_graph_fact(body, body->output[1 + s->carried + k])));
    }
    return ONNX_INFER_OK;
}

static oi_status eval_loop(oi_eval *e)
{
    const oi_tensor *max = oi_eval_in(e, 0), *cond = oi_eval_in(e, 1);
    uint32_t carried;
    OI_TRY(loop_check(e->node, e->nout, &carried));
    OI_FAIL_IF(max && (max->dtype != ONNX_INFER_INT64 || oi_tensor_count(max) != 1), ONNX_INFER_E_TYPE_MISMATCH,
               "the trip count must be one int64");
    OI_FAIL_IF(cond && (cond->dtype != ONNX_INFER_BOOL || oi_tensor_count(cond) != 1), ONNX_INFER_E_TYPE_MISMATCH,
               "the condition must be one bool");
    oi_iteration s = {
        .nin = carried + 2, .nout = e->node->sub[0].graph->noutput, .carried = carried, .scans = e->nout - carried,
        .carried_in = 2, .carried_out = 1, .turns = max ? *(const int64_t *)max->data : INT64_MAX,
        .go = !cond || *(const bool *)cond->data, .feed = feed_counter, .took = read_condition,
    };
    const oi_graph *body = e->node->sub[0].graph;
    oi_status status = oi_iteration_create(e, &s);
    for (uint32_t k = 0; k < s.scans && !status; k++)
        s.scan[k].into_output = max && is_true(oi_graph_fact(body, body->output[0])) && oi_eval_wants(e, carried + k);
    for (uint32_t i = 0; i < carried && !status; i++)
        status = oi_eval_in_as_value(e, 2 + i, &s.in[2 + i]);
    if (!status)
        status = oi_iterate(e, &s);
    if (!status)
        status = give_outputs(e, &s);
    oi_iteration_free(&s);
    return status;
}

const oi_op oi_op_Loop = {
    .name = "Loop", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_CONTROL,
    .min_in = 2, .max_in = UINT16_MAX, .min_out = 1, .max_out = UINT16_MAX, .infer = infer_loop, .eval = eval_loop,
};
