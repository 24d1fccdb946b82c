/* Scan, of opset 8 too. The body is run by the host; captures are its business too. */
#include "ops/iteration.h"

#include <string.h>

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
    uint32_t formal = oi_body_formals(node), outs = node->sub[0].graph->noutput, given = node->nin - node->sub[0].ncapture;
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
    oi_fact *formal = oi_infer_facts(x, formal_n), *result = oi_infer_facts(x, x->nout);
    const oi_fact **list = oi_arena_array(x->arena, formal_n + 1, sizeof *list);
    if (!formal || !result || !list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_dim length = oi_dim_fresh(x->syms), batch = oi_dim_fresh(x->syms);
    bool known = false;
    for (uint32_t i = 0; i < formal_n; i++) {
        formal[i] = oi_fact_without_content(x->in[i]);
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
        oi_fact f = oi_fact_without_content(&result[i]);
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

/* Copies index `at` along `axis` of t into a tensor of one rank less. */
static oi_status copy_slice(oi_eval *e, const oi_tensor *t, int32_t axis, int64_t at, oi_tensor *slice)
{
    int64_t outer = oi_dims_count(axis, t->dim), inner = oi_dims_count(t->rank - axis - 1, t->dim + axis + 1);
    if (t->dtype == ONNX_INFER_STRING) {
        const oi_string *text = t->data;
        for (int64_t i = 0; i < outer * inner; i++) {
            const oi_string *s = &text[(i / inner * t->dim[axis] + at) * inner + i % inner];
            OI_TRY(oi_tensor_set_string(e->alloc, slice, (size_t)i, s->text, s->n));
        }
        return ONNX_INFER_OK;
    }
    size_t run = (size_t)inner * oi_dtype_size(t->dtype);
    for (int64_t o = 0; o < outer && run; o++)
        memcpy((char *)slice->data + (size_t)o * run, (const char *)t->data + (size_t)(o * t->dim[axis] + at) * run, run);
    return ONNX_INFER_OK;
}

typedef struct {
    const scan_attr *attr;
    const oi_tensor *const *in; /* the node's inputs, of one batch element */
} scanned;

static int64_t scan_axis(const scan_attr *a, uint32_t k, const oi_tensor *t)
{
    int64_t axis = list_at(&a->in_axes, k, 0);
    return axis < 0 ? axis + t->rank : axis;
}

/* The slices of turn s->turn; along axis 0 they can be lent. */
static oi_status feed_slices(oi_eval *e, oi_iteration *s, bool lent)
{
    const scanned *c = s->arg;
    for (uint32_t i = s->carried; i < s->nin; i++) {
        const oi_tensor *t = c->in[i];
        int32_t axis = (int32_t)scan_axis(c->attr, i - s->carried, t);
        bool reversed = list_at(&c->attr->in_directions, i - s->carried, 0) != 0;
        int64_t at = reversed ? s->turns - 1 - s->turn : s->turn, dims[OI_MAX_RANK];
        if (lent && axis == 0) {
            s->view[i].data = (char *)t->data + s->view[i].bytes * (size_t)at;
            continue;
        }
        for (int32_t d = 0, to = 0; d < t->rank; d++) {
            if (d != axis)
                dims[to++] = t->dim[d];
        }
        OI_TRY(oi_iteration_own(e, s, i, t->dtype, t->rank - 1, dims));
        oi_tensor slice = s->in[i]->tensor;
        OI_TRY(copy_slice(e, t, axis, at, &slice));
    }
    return ONNX_INFER_OK;
}

/* What all scan inputs have along their axes. */
static oi_status scan_length(const scanned *c, uint32_t carried, uint32_t nin, int64_t *length)
{
    *length = -1;
    for (uint32_t k = carried; k < nin; k++) {
        const oi_tensor *t = c->in[k];
        OI_FAIL_IF(!t || t->rank < 1, ONNX_INFER_E_SHAPE_MISMATCH, "scan input %u is a scalar or missing", k);
        int64_t axis = scan_axis(c->attr, k - carried, t);
        OI_FAIL_IF(axis < 0 || axis >= t->rank, ONNX_INFER_E_INVALID_MODEL, "scan axis %lld of rank %d", (long long)axis, t->rank);
        OI_FAIL_IF(*length >= 0 && t->dim[axis] != *length, ONNX_INFER_E_SHAPE_MISMATCH,
                   "scan inputs have %lld and %lld elements", (long long)*length, (long long)t->dim[axis]);
        *length = t->dim[axis];
    }
    return ONNX_INFER_OK;
}

/* All turns over c->in; results stay in *s, which the caller frees whatever comes of it. */
static oi_status scan_once(oi_eval *e, const scanned *c, uint32_t carried, oi_iteration *s)
{
    uint32_t nin = carried + (uint32_t)c->attr->num_scan_inputs;
    *s = (oi_iteration){.nin = nin, .nout = e->nout, .carried = carried, .scans = e->nout - carried, .go = true,
                        .feed = feed_slices, .arg = c};
    OI_TRY(scan_length(c, carried, nin, &s->turns));
    OI_TRY(oi_iteration_create(e, s));
    for (uint32_t k = 0; k < s->scans; k++)
        s->scan[k].into_output = !c->attr->batched && !list_at(&c->attr->out_axes, k, 0) &&
                                 !list_at(&c->attr->out_directions, k, 0) && oi_eval_wants(e, carried + k);
    for (uint32_t k = 0; k < carried; k++) {
        oi_tensor own;
        if (c->in[k]->buf)
            oi_tensor_share(&own, c->in[k]);
        else /* memory that is lent for this evaluation only */
            OI_TRY(oi_tensor_clone(e->alloc, c->in[k], &own));
        oi_status status = oi_value_from_tensor(e->alloc, &own, &s->in[k]);
        if (status) {
            oi_tensor_clear(&own);
            return status;
        }
    }
    return oi_iterate(e, s);
}

static oi_status scan_plain(oi_eval *e, const scanned *c, uint32_t carried)
{
    const scan_attr *a = c->attr;
    const oi_graph *body = e->node->sub[0].graph;
    oi_iteration s;
    oi_status status = scan_once(e, c, carried, &s);
    for (uint32_t k = 0; k < carried && !status; k++) {
        if (oi_eval_wants(e, k))
            status = e->host->out_value(e, k, oi_value_retain(s.in[k]));
    }
    for (uint32_t k = 0; k < s.scans && !status; k++) {
        if (oi_eval_wants(e, carried + k))
            status = oi_stack_output(e, carried + k, &s.scan[k], list_at(&a->out_axes, k, 0), list_at(&a->out_directions, k, 0) != 0,
                                     oi_graph_fact(body, body->output[carried + k]));
    }
    oi_iteration_free(&s);
    return status;
}

/* Opset 8: every batch element by itself, results written into its part of the outputs. */
static oi_status scan_batched(oi_eval *e, const scan_attr *a, uint32_t carried)
{
    uint32_t nin = carried + (uint32_t)a->num_scan_inputs;
    int64_t batch = oi_eval_in(e, 0)->dim[0];
    oi_tensor **out = oi_eval_scratch_array(e, e->nout + 1, sizeof *out);
    oi_tensor *part = oi_eval_scratch_array(e, e->nin + 1, sizeof *part);
    const oi_tensor **in = oi_eval_scratch_array(e, e->nin + 1, sizeof *in);
    if (!out || !part || !in)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t b = 0; b < batch; b++) {
        for (uint32_t k = 0; k < nin; k++) {
            const oi_tensor *t = oi_eval_in(e, k);
            OI_FAIL_IF(t->rank < 1 || t->dim[0] != batch, ONNX_INFER_E_SHAPE_MISMATCH, "input %u has no batch axis of %lld", k,
                       (long long)batch);
            OI_TRY(oi_tensor_describe(&part[k], t->dtype, t->rank - 1, t->dim + 1));
            part[k].data = (char *)t->data + (size_t)b * part[k].bytes;
            part[k].buf = t->buf;
            in[k] = &part[k];
        }
        scanned c = {a, in};
        oi_iteration s;
        oi_status status = scan_once(e, &c, carried, &s);
        for (uint32_t k = 0; k < e->nout && !status; k++) {
            const oi_stack *stack = k < carried ? NULL : &s.scan[k - carried];
            const oi_tensor *from = stack ? &stack->rows : &s.in[k]->tensor;
            int64_t dims[OI_MAX_RANK + 1] = {batch};
            if ((stack && !stack->n) || from->rank + 1 > OI_MAX_RANK || from->dtype == ONNX_INFER_STRING) {
                status = oi_fail(ONNX_INFER_E_UNSUPPORTED_VERSION, "Scan of opset 8 over nothing, or over strings");
                break;
            }
            memcpy(dims + 1, from->dim, (size_t)from->rank * sizeof *dims);
            if (stack)
                dims[1] = stack->n;
            if (b == 0)
                status = oi_eval_out(e, k, from->dtype, from->rank + 1, dims, &out[k]);
            size_t bytes = status ? 0 : out[k]->bytes / (size_t)batch;
            if (!status && bytes)
                memcpy((char *)out[k]->data + (size_t)b * bytes, from->data, bytes);
        }
        oi_iteration_free(&s);
        OI_TRY(status);
    }
    return ONNX_INFER_OK;
}

static oi_status eval_scan(oi_eval *e)
{
    const scan_attr *a = e->attr;
    uint32_t carried;
    OI_TRY(scan_check(e->node, a, e->nout, &carried));
    return a->batched ? scan_batched(e, a, carried) : scan_plain(e, &(scanned){a, e->in}, carried);
}

const oi_op oi_op_Scan = {
    .name = "Scan", .domain = "", .since = 8, .newest = 25, .flags = OI_OP_CONTROL,
    .min_in = 1, .max_in = UINT16_MAX, .min_out = 1, .max_out = UINT16_MAX, .attrs = scan_attrs, .attr_size = sizeof(scan_attr),
    .import = import_scan, .infer = infer_scan, .eval = eval_scan,
};
