/* Control flow: If, Loop and Scan. Their bodies are run by the host; captures are its business too. */
#include "ops/op.h"

#include <string.h>

static const oi_dtype bools[] = {ONNX_INFER_BOOL};

/* Joins what two branches or two iterations say of a value: what they agree on stays known. */
static void join(oi_infer *x, oi_fact *a, const oi_fact *b)
{
    if (a->kind != b->kind || a->dtype != b->dtype) {
        if (a->dtype == ONNX_INFER_UNDEFINED && a->kind == b->kind)
            a->dtype = b->dtype;
        else if (b->dtype != ONNX_INFER_UNDEFINED || a->kind != b->kind)
            *a = oi_fact_unknown();
    }
    if (a->konst && (!b->konst || !oi_tensor_equal(a->konst, b->konst)))
        a->konst = NULL;
    if (a->nsym != b->nsym || (a->nsym && memcmp(a->sym, b->sym, a->nsym * sizeof *a->sym) != 0))
        a->nsym = 0;
    if (a->shape.rank != b->shape.rank) {
        a->shape.rank = -1;
        return;
    }
    for (int32_t i = 0; i < a->shape.rank; i++) {
        if (a->shape.dim[i] != b->shape.dim[i])
            a->shape.dim[i] = oi_dim_fresh(x->syms);
    }
}

/* A fact without content: what is known of every iteration's value. */
static oi_fact without_content(const oi_fact *f)
{
    oi_fact bare = *f;
    bare.konst = NULL;
    bare.nsym = 0;
    return bare;
}

static oi_fact *facts(oi_infer *x, uint32_t n)
{
    return oi_arena_array(x->arena, n + 1, sizeof(oi_fact));
}

/* --- If -------------------------------------------------------------------------------------------------------------- */

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
        oi_fact *outs = facts(x, n);
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
                join(x, &x->out[i], &outs[i]);
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

/* --- values stacked over iterations ------------------------------------------------------------------------------------- */

typedef struct {
    onnx_infer_value **item;
    size_t n, cap;
} stack;

static oi_status stack_push(oi_eval *e, stack *s, onnx_infer_value *v) /* takes over the reference */
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        onnx_infer_value **grown = oi_realloc_mem(e->alloc, s->item, cap * sizeof *grown);
        if (!grown) {
            oi_value_release(v);
            return ONNX_INFER_E_OUT_OF_MEMORY;
        }
        s->item = grown;
        s->cap = cap;
    }
    s->item[s->n++] = v;
    return ONNX_INFER_OK;
}

static void stack_free(oi_eval *e, stack *s)
{
    for (size_t i = 0; i < s->n; i++)
        oi_value_release(s->item[i]);
    oi_free_mem(e->alloc, s->item);
    *s = (stack){0};
}

/* Copies one element's bits or string from a tensor into position `at` along `axis` of the output. */
static oi_status place(oi_eval *e, const oi_tensor *from, oi_tensor *out, int32_t axis, int64_t at)
{
    int64_t outer = oi_dims_count(axis, out->dim), inner = oi_dims_count(out->rank - axis - 1, out->dim + axis + 1);
    if (out->dtype == ONNX_INFER_STRING) {
        const oi_string *text = from->data;
        for (int64_t i = 0; i < outer * inner; i++)
            OI_TRY(oi_tensor_set_string(e->alloc, out, (size_t)((i / inner * out->dim[axis] + at) * inner + i % inner),
                                        text[i].text, text[i].n));
        return ONNX_INFER_OK;
    }
    size_t run = (size_t)inner * oi_dtype_size(out->dtype);
    for (int64_t o = 0; o < outer && run; o++)
        memcpy((char *)out->data + (size_t)(o * out->dim[axis] + at) * run, (const char *)from->data + (size_t)o * run, run);
    return ONNX_INFER_OK;
}

/* Output i: the stacked values along a new axis, last first where reversed. With none, the shape comes from the
 * output's own fact: a dim that is not known is 0. */
static oi_status stack_output(oi_eval *e, uint32_t i, const stack *s, int64_t axis, bool reversed, const oi_fact *body)
{
    int64_t dims[OI_MAX_RANK];
    oi_tensor *out;
    if (s->n == 0) {
        int32_t rank = body->shape.rank < 0 ? 0 : body->shape.rank;
        OI_FAIL_IF(rank + 1 > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %d", rank + 1);
        axis += axis < 0 ? rank + 1 : 0;
        for (int32_t d = 0, from = 0; d <= rank; d++) {
            oi_dim dim = d == axis ? 0 : body->shape.dim[from++];
            dims[d] = oi_dim_is_number(dim) ? dim : 0;
        }
        return oi_eval_out(e, i, body->dtype, rank + 1, dims, &out);
    }
    const oi_tensor *first = &s->item[0]->tensor;
    OI_FAIL_IF(first->rank + 1 > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %d, at most %d is supported", first->rank + 1,
               OI_MAX_RANK);
    axis += axis < 0 ? first->rank + 1 : 0;
    OI_FAIL_IF(axis < 0 || axis > first->rank, ONNX_INFER_E_INVALID_MODEL, "scan axis %lld of rank %d", (long long)axis,
               first->rank + 1);
    for (int32_t d = 0, from = 0; d <= first->rank; d++)
        dims[d] = d == axis ? (int64_t)s->n : first->dim[from++];
    OI_TRY(oi_eval_out(e, i, first->dtype, first->rank + 1, dims, &out));
    for (size_t k = 0; k < s->n; k++) {
        const onnx_infer_value *v = s->item[k];
        bool same = v->kind == ONNX_INFER_TENSOR && v->tensor.dtype == first->dtype && oi_tensor_same_shape(&v->tensor, first);
        OI_FAIL_IF(!same, ONNX_INFER_E_SHAPE_MISMATCH, "scan output %u changes its shape at iteration %zu", i, k);
        OI_TRY(place(e, &v->tensor, out, (int32_t)axis, (int64_t)(reversed ? s->n - 1 - k : k)));
    }
    return ONNX_INFER_OK;
}

/* --- Loop ---------------------------------------------------------------------------------------------------------------- */

static uint32_t formal_count(const oi_node *node)
{
    return node->sub[0].graph->ninput - node->sub[0].ncapture;
}

static oi_status loop_check(const oi_node *node, uint32_t nout, uint32_t *carried)
{
    OI_FAIL_IF(node->nsub != 1, ONNX_INFER_E_INVALID_MODEL, "Loop has %u subgraphs, expected 1", node->nsub);
    uint32_t formal = formal_count(node), outs = node->sub[0].graph->noutput;
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
    oi_fact *state = facts(x, carried), *result = facts(x, outs);
    const oi_fact **formal = oi_arena_array(x->arena, carried + 2, sizeof *formal);
    if (!state || !result || !formal)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    formal[0] = &iteration;
    formal[1] = &go;
    for (uint32_t i = 0; i < carried; i++) {
        OI_FAIL_IF(!x->in[2 + i], ONNX_INFER_E_INVALID_MODEL, "loop-carried input %u is missing", 2 + i);
        state[i] = without_content(x->in[2 + i]);
        formal[2 + i] = &state[i];
    }
    /* A carried shape that the body changes becomes unknown, which may change others: to a fixed point. Each round but
     * the last loses a dimension or a rank, so it ends. */
    for (uint32_t round = 0;; round++) {
        bool changed = false;
        OI_TRY(x->sub(x, 0, formal, carried + 2, result));
        for (uint32_t i = 0; i < carried; i++) {
            oi_fact before = state[i], after = without_content(&result[1 + i]);
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
        x->out[i] = without_content(&result[1 + i]);
        if (x->out[i].kind == ONNX_INFER_TENSOR) {
            oi_fact initial = without_content(x->in[2 + i]);
            join(x, &x->out[i], &initial); /* no iteration may take place */
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

typedef struct {
    uint32_t carried, scans, nin, nout;
    onnx_infer_value **in, **out; /* of the body: in owns its references between iterations */
    stack *scan;
} loop_state;

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

static void swap_in(onnx_infer_value **slot, onnx_infer_value *v)
{
    oi_value_release(*slot);
    *slot = v;
}

static oi_status loop_iterate(oi_eval *e, loop_state *s, int64_t trips, bool go)
{
    for (int64_t i = 0; i < trips && go; i++) {
        onnx_infer_value *v = NULL;
        OI_TRY(e->host->check(e));
        OI_TRY(scalar_value(e, ONNX_INFER_INT64, i, &v));
        swap_in(&s->in[0], v);
        v = NULL;
        OI_TRY(scalar_value(e, ONNX_INFER_BOOL, go, &v));
        swap_in(&s->in[1], v);
        OI_TRY(e->host->sub(e, 0, s->nin, s->in, s->nout, s->out));
        const onnx_infer_value *next = s->out[0];
        bool is_bool = next->kind == ONNX_INFER_TENSOR && next->tensor.dtype == ONNX_INFER_BOOL &&
                       oi_tensor_count(&next->tensor) == 1;
        OI_FAIL_IF(!is_bool, ONNX_INFER_E_TYPE_MISMATCH, "the body's condition must be one bool");
        go = *(const bool *)next->tensor.data;
        swap_in(&s->out[0], NULL);
        for (uint32_t k = 0; k < s->carried; k++) {
            swap_in(&s->in[2 + k], s->out[1 + k]);
            s->out[1 + k] = NULL;
        }
        for (uint32_t k = 0; k < s->scans; k++) {
            v = s->out[1 + s->carried + k];
            s->out[1 + s->carried + k] = NULL;
            OI_TRY(stack_push(e, &s->scan[k], v));
        }
    }
    for (uint32_t k = 0; k < s->carried; k++) {
        if (oi_eval_wants(e, k))
            OI_TRY(e->host->out_value(e, k, oi_value_retain(s->in[2 + k])));
    }
    const oi_graph *body = e->node->sub[0].graph;
    for (uint32_t k = 0; k < s->scans; k++) {
        if (oi_eval_wants(e, s->carried + k))
            OI_TRY(stack_output(e, s->carried + k, &s->scan[k], 0, false,
                                oi_graph_fact(body, body->output[1 + s->carried + k])));
    }
    return ONNX_INFER_OK;
}

static oi_status loop_state_create(oi_eval *e, loop_state *s)
{
    s->in = oi_eval_scratch_array(e, s->nin + 1, sizeof *s->in);
    s->out = oi_eval_scratch_array(e, s->nout + 1, sizeof *s->out);
    s->scan = oi_eval_scratch_array(e, s->scans + 1, sizeof *s->scan);
    return s->in && s->out && s->scan ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

static void loop_state_free(oi_eval *e, loop_state *s)
{
    for (uint32_t i = 0; s->in && i < s->nin; i++)
        oi_value_release(s->in[i]);
    for (uint32_t i = 0; s->out && i < s->nout; i++)
        oi_value_release(s->out[i]);
    for (uint32_t i = 0; s->scan && i < s->scans; i++)
        stack_free(e, &s->scan[i]);
}

static oi_status eval_loop(oi_eval *e)
{
    loop_state s = {0};
    OI_TRY(loop_check(e->node, e->nout, &s.carried));
    const oi_tensor *max = oi_eval_in(e, 0), *cond = oi_eval_in(e, 1);
    OI_FAIL_IF(max && (max->dtype != ONNX_INFER_INT64 || oi_tensor_count(max) != 1), ONNX_INFER_E_TYPE_MISMATCH,
               "the trip count must be one int64");
    OI_FAIL_IF(cond && (cond->dtype != ONNX_INFER_BOOL || oi_tensor_count(cond) != 1), ONNX_INFER_E_TYPE_MISMATCH,
               "the condition must be one bool");
    s.scans = e->nout - s.carried;
    s.nin = s.carried + 2;
    s.nout = e->node->sub[0].graph->noutput;
    OI_TRY(loop_state_create(e, &s));
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < s.carried && !status; i++)
        status = oi_eval_in_as_value(e, 2 + i, &s.in[2 + i]);
    if (!status)
        status = loop_iterate(e, &s, max ? *(const int64_t *)max->data : INT64_MAX, !cond || *(const bool *)cond->data);
    loop_state_free(e, &s);
    return status;
}

const oi_op oi_op_Loop = {
    .name = "Loop", .domain = "", .since = 1, .newest = 25, .flags = OI_OP_CONTROL,
    .min_in = 2, .max_in = UINT16_MAX, .min_out = 1, .max_out = UINT16_MAX, .infer = infer_loop, .eval = eval_loop,
};

/* --- Scan ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    int64_t num_scan_inputs, batched;
    oi_ints in_axes, in_directions, out_axes, out_directions;
} scan_attr;

static const oi_attr_spec scan_attrs[] = {
    {.name = "num_scan_inputs", .type = OI_ATTR_INT, .offset = offsetof(scan_attr, num_scan_inputs), .flags = OI_ATTR_REQUIRED},
    {.name = "scan_input_axes", .type = OI_ATTR_INTS, .offset = offsetof(scan_attr, in_axes)},
    {.name = "scan_input_directions", .type = OI_ATTR_INTS, .offset = offsetof(scan_attr, in_directions)},
    {.name = "scan_output_axes", .type = OI_ATTR_INTS, .offset = offsetof(scan_attr, out_axes)},
    {.name = "scan_output_directions", .type = OI_ATTR_INTS, .offset = offsetof(scan_attr, out_directions)},
    {.name = "batched", .type = OI_ATTR_INT, .offset = offsetof(scan_attr, batched), .flags = OI_ATTR_INTERNAL},
    {0},
};

/* Opset 8 has a first input of sequence lengths, `directions`, and a batch axis in front of every value. */
static oi_status import_scan(oi_import *im)
{
    if (im->opset >= 9)
        return ONNX_INFER_OK;
    oi_raw_attr *directions = oi_import_find(im, "directions");
    if (directions)
        directions->name = "scan_input_directions";
    OI_FAIL_IF(im->nin && im->in[0] != OI_NONE, ONNX_INFER_E_UNSUPPORTED_VERSION,
               "Scan of opset 8 with sequence lengths is not supported; convert the model to opset 9");
    for (uint32_t i = 1; i < im->nin; i++)
        im->in[i - 1] = im->in[i];
    im->nin -= im->nin > 0;
    return oi_import_set_int(im, "batched", 1);
}

static int64_t list_at(const oi_ints *list, uint32_t i, int64_t absent)
{
    return list->at && i < list->n ? list->at[i] : absent;
}

static oi_status scan_check(const oi_node *node, const scan_attr *a, uint32_t nout, uint32_t *carried)
{
    OI_FAIL_IF(node->nsub != 1, ONNX_INFER_E_INVALID_MODEL, "Scan has %u subgraphs, expected 1", node->nsub);
    uint32_t formal = formal_count(node), outs = node->sub[0].graph->noutput, given = node->nin - node->sub[0].ncapture;
    OI_FAIL_IF(a->num_scan_inputs < 1 || a->num_scan_inputs > formal || given != formal || outs != nout ||
                   formal - (uint32_t)a->num_scan_inputs > outs,
               ONNX_INFER_E_INVALID_MODEL, "the body has %u inputs and %u outputs, the node %u and %u, %lld of them scanned",
               formal, outs, given, nout, (long long)a->num_scan_inputs);
    *carried = formal - (uint32_t)a->num_scan_inputs;
    return ONNX_INFER_OK;
}

static oi_status infer_scan(oi_infer *x)
{
    const scan_attr *a = x->attr;
    uint32_t carried = 0;
    OI_TRY(scan_check(x->node, a, x->nout, &carried));
    int32_t lead = a->batched ? 1 : 0; /* axes in front of what the body sees */
    uint32_t formal_n = carried + (uint32_t)a->num_scan_inputs;
    oi_fact *formal = facts(x, formal_n), *result = facts(x, x->nout);
    const oi_fact **list = oi_arena_array(x->arena, formal_n + 1, sizeof *list);
    if (!formal || !result || !list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_dim length = oi_dim_fresh(x->syms), batch = oi_dim_fresh(x->syms);
    bool known = false;
    for (uint32_t i = 0; i < formal_n; i++) {
        formal[i] = without_content(x->in[i]);
        list[i] = &formal[i];
        oi_shape *s = &formal[i].shape;
        if (s->rank < 1)
            continue;
        if (lead) {
            batch = s->dim[0];
            memmove(s->dim, s->dim + 1, (size_t)(--s->rank) * sizeof *s->dim);
        }
        if (i < carried)
            continue;
        int32_t axis = 0;
        OI_TRY(oi_infer_axis(x, list_at(&a->in_axes, i - carried, 0), s->rank, &axis));
        if (!known || oi_dim_is_number(s->dim[axis]))
            length = s->dim[axis];
        known = true;
        memmove(s->dim + axis, s->dim + axis + 1, (size_t)(s->rank - axis - 1) * sizeof *s->dim);
        s->rank--;
    }
    OI_TRY(x->sub(x, 0, list, formal_n, result));
    for (uint32_t i = 0; i < x->nout; i++) {
        oi_fact f = without_content(&result[i]);
        int32_t rank = f.shape.rank;
        if (rank >= 0 && rank + 1 + lead <= OI_MAX_RANK) {
            if (i >= carried) {
                int64_t axis = list_at(&a->out_axes, i - carried, 0);
                int32_t at = 0;
                OI_TRY(oi_infer_axis(x, axis, rank + 1, &at));
                memmove(f.shape.dim + at + 1, f.shape.dim + at, (size_t)(rank - at) * sizeof *f.shape.dim);
                f.shape.dim[at] = length;
                f.shape.rank++;
            }
            if (lead) {
                memmove(f.shape.dim + 1, f.shape.dim, (size_t)f.shape.rank * sizeof *f.shape.dim);
                f.shape.dim[0] = batch;
                f.shape.rank++;
            }
        } else {
            f.shape.rank = -1;
        }
        x->out[i] = f;
    }
    return ONNX_INFER_OK;
}

/* Index `at` along `axis` of t as a tensor of one rank less, of its own. */
static oi_status take_slice(oi_eval *e, const oi_tensor *t, int32_t axis, int64_t at, onnx_infer_value **out)
{
    int64_t dims[OI_MAX_RANK];
    for (int32_t d = 0, to = 0; d < t->rank; d++) {
        if (d != axis)
            dims[to++] = t->dim[d];
    }
    oi_tensor slice;
    OI_TRY(oi_tensor_create(e->alloc, t->dtype, t->rank - 1, dims, &slice));
    int64_t outer = oi_dims_count(axis, t->dim), inner = oi_dims_count(t->rank - axis - 1, t->dim + axis + 1);
    oi_status status = ONNX_INFER_OK;
    if (t->dtype == ONNX_INFER_STRING) {
        const oi_string *text = t->data;
        for (int64_t i = 0; i < outer * inner && !status; i++) {
            const oi_string *s = &text[(i / inner * t->dim[axis] + at) * inner + i % inner];
            status = oi_tensor_set_string(e->alloc, &slice, (size_t)i, s->text, s->n);
        }
    } else {
        size_t run = (size_t)inner * oi_dtype_size(t->dtype);
        for (int64_t o = 0; o < outer && run; o++)
            memcpy((char *)slice.data + (size_t)o * run, (const char *)t->data + (size_t)(o * t->dim[axis] + at) * run, run);
    }
    if (!status)
        status = oi_value_from_tensor(e->alloc, &slice, out);
    if (status)
        oi_tensor_clear(&slice);
    return status;
}

typedef struct {
    loop_state s;
    const oi_tensor *const *in; /* the node's inputs, of one batch element */
    int64_t length;
} scan_state;

static oi_status scan_iterate(oi_eval *e, const scan_attr *a, scan_state *c)
{
    loop_state *s = &c->s;
    for (int64_t i = 0; i < c->length; i++) {
        OI_TRY(e->host->check(e));
        for (uint32_t k = s->carried; k < s->nin; k++) {
            const oi_tensor *t = c->in[k];
            int64_t axis = list_at(&a->in_axes, k - s->carried, 0);
            bool reversed = list_at(&a->in_directions, k - s->carried, 0) != 0;
            onnx_infer_value *v = NULL;
            axis += axis < 0 ? t->rank : 0;
            OI_TRY(take_slice(e, t, (int32_t)axis, reversed ? c->length - 1 - i : i, &v));
            swap_in(&s->in[k], v);
        }
        OI_TRY(e->host->sub(e, 0, s->nin, s->in, s->nout, s->out));
        for (uint32_t k = 0; k < s->carried; k++) {
            swap_in(&s->in[k], s->out[k]);
            s->out[k] = NULL;
        }
        for (uint32_t k = 0; k < s->scans; k++) {
            onnx_infer_value *v = s->out[s->carried + k];
            s->out[s->carried + k] = NULL;
            OI_TRY(stack_push(e, &s->scan[k], v));
        }
    }
    return ONNX_INFER_OK;
}

static oi_status scan_length(const scan_attr *a, scan_state *c)
{
    c->length = -1;
    for (uint32_t k = c->s.carried; k < c->s.nin; k++) {
        const oi_tensor *t = c->in[k];
        OI_FAIL_IF(!t || t->rank < 1, ONNX_INFER_E_SHAPE_MISMATCH, "scan input %u is a scalar or missing", k);
        int64_t axis = list_at(&a->in_axes, k - c->s.carried, 0);
        axis += axis < 0 ? t->rank : 0;
        OI_FAIL_IF(axis < 0 || axis >= t->rank, ONNX_INFER_E_INVALID_MODEL, "scan axis %lld of rank %d", (long long)axis, t->rank);
        OI_FAIL_IF(c->length >= 0 && t->dim[axis] != c->length, ONNX_INFER_E_SHAPE_MISMATCH,
                   "scan inputs have %lld and %lld elements", (long long)c->length, (long long)t->dim[axis]);
        c->length = t->dim[axis];
    }
    return ONNX_INFER_OK;
}

static oi_status scan_once(oi_eval *e, const scan_attr *a, scan_state *c)
{
    loop_state *s = &c->s;
    OI_TRY(scan_length(a, c));
    OI_TRY(loop_state_create(e, s));
    for (uint32_t k = 0; k < s->carried; k++) {
        oi_tensor shared;
        oi_tensor_share(&shared, c->in[k]);
        oi_status status = oi_value_from_tensor(e->alloc, &shared, &s->in[k]);
        if (status) {
            oi_tensor_clear(&shared);
            return status;
        }
    }
    return scan_iterate(e, a, c);
}

static oi_status scan_plain(oi_eval *e, const scan_attr *a, scan_state *c)
{
    loop_state *s = &c->s;
    const oi_graph *body = e->node->sub[0].graph;
    OI_TRY(scan_once(e, a, c));
    for (uint32_t k = 0; k < s->carried; k++) {
        if (oi_eval_wants(e, k))
            OI_TRY(e->host->out_value(e, k, oi_value_retain(s->in[k])));
    }
    for (uint32_t k = 0; k < s->scans; k++) {
        if (oi_eval_wants(e, s->carried + k))
            OI_TRY(stack_output(e, s->carried + k, &s->scan[k], list_at(&a->out_axes, k, 0),
                                list_at(&a->out_directions, k, 0) != 0, oi_graph_fact(body, body->output[s->carried + k])));
    }
    return ONNX_INFER_OK;
}

/* Opset 8: every batch element by itself, results written into its part of the outputs. */
static oi_status scan_batched(oi_eval *e, const scan_attr *a, const loop_state *shape)
{
    int64_t batch = oi_eval_in(e, 0)->dim[0];
    oi_tensor **out = oi_eval_scratch_array(e, e->nout + 1, sizeof *out);
    oi_tensor *part = oi_eval_scratch_array(e, e->nin + 1, sizeof *part);
    const oi_tensor **in = oi_eval_scratch_array(e, e->nin + 1, sizeof *in);
    if (!out || !part || !in)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t b = 0; b < batch; b++) {
        for (uint32_t k = 0; k < shape->nin; k++) {
            const oi_tensor *t = oi_eval_in(e, k);
            OI_FAIL_IF(t->rank < 1 || t->dim[0] != batch, ONNX_INFER_E_SHAPE_MISMATCH, "input %u has no batch axis of %lld", k,
                       (long long)batch);
            OI_TRY(oi_tensor_describe(&part[k], t->dtype, t->rank - 1, t->dim + 1));
            part[k].data = (char *)t->data + (size_t)b * part[k].bytes;
            part[k].buf = t->buf;
            in[k] = &part[k];
        }
        scan_state c = {.s = *shape, .in = in};
        oi_status status = scan_once(e, a, &c);
        for (uint32_t k = 0; k < e->nout && !status; k++) {
            const loop_state *s = &c.s;
            const oi_tensor *one = k < s->carried ? &s->in[k]->tensor
                                 : s->scan[k - s->carried].n ? &s->scan[k - s->carried].item[0]->tensor : NULL;
            size_t count = k < s->carried ? 1 : s->scan[k - s->carried].n;
            int64_t dims[OI_MAX_RANK + 1] = {batch};
            int32_t rank = 1;
            if (!one || one->rank + 2 > OI_MAX_RANK) {
                status = oi_fail(ONNX_INFER_E_UNSUPPORTED_VERSION, "Scan of opset 8 over nothing");
                break;
            }
            if (k >= s->carried)
                dims[rank++] = (int64_t)count;
            memcpy(dims + rank, one->dim, (size_t)one->rank * sizeof *dims);
            if (b == 0)
                status = oi_eval_out(e, k, one->dtype, rank + one->rank, dims, &out[k]);
            for (size_t i = 0; i < count && !status; i++) {
                const oi_tensor *from = k < s->carried ? one : &s->scan[k - s->carried].item[i]->tensor;
                memcpy((char *)out[k]->data + ((size_t)b * count + i) * from->bytes, from->data, from->bytes);
            }
        }
        loop_state_free(e, &c.s);
        OI_TRY(status);
    }
    return ONNX_INFER_OK;
}

static oi_status eval_scan(oi_eval *e)
{
    const scan_attr *a = e->attr;
    scan_state c = {.in = e->in};
    OI_TRY(scan_check(e->node, a, e->nout, &c.s.carried));
    c.s.scans = e->nout - c.s.carried;
    c.s.nin = c.s.carried + (uint32_t)a->num_scan_inputs;
    c.s.nout = e->nout;
    if (a->batched)
        return scan_batched(e, a, &c.s);
    oi_status status = scan_plain(e, a, &c);
    loop_state_free(e, &c.s);
    return status;
}

const oi_op oi_op_Scan = {
    .name = "Scan", .domain = "", .since = 8, .newest = 25, .flags = OI_OP_CONTROL,
    .min_in = 1, .max_in = UINT16_MAX, .min_out = 1, .max_out = UINT16_MAX, .attrs = scan_attrs, .attr_size = sizeof(scan_attr),
    .import = import_scan, .infer = infer_scan, .eval = eval_scan,
};
