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
    oi_iteration s;
    const oi_tensor *const *in; /* the node's inputs, of one batch element */
    int64_t length;
} scan_state;

static oi_status scan_iterate(oi_eval *e, const scan_attr *a, scan_state *c)
{
    oi_iteration *s = &c->s;
    for (int64_t i = 0; i < c->length; i++) {
        OI_TRY(e->host->check(e));
        for (uint32_t k = s->carried; k < s->nin; k++) {
            const oi_tensor *t = c->in[k];
            int64_t axis = list_at(&a->in_axes, k - s->carried, 0);
            bool reversed = list_at(&a->in_directions, k - s->carried, 0) != 0;
            onnx_infer_value *v = NULL;
            axis += axis < 0 ? t->rank : 0;
            OI_TRY(take_slice(e, t, (int32_t)axis, reversed ? c->length - 1 - i : i, &v));
            oi_value_swap(&s->in[k], v);
        }
        OI_TRY(e->host->sub(e, 0, s->nin, s->in, s->nout, s->out));
        for (uint32_t k = 0; k < s->carried; k++) {
            oi_value_swap(&s->in[k], s->out[k]);
            s->out[k] = NULL;
        }
        for (uint32_t k = 0; k < s->scans; k++) {
            onnx_infer_value *v = s->out[s->carried + k];
            s->out[s->carried + k] = NULL;
            OI_TRY(oi_stack_push(e, &s->scan[k], v));
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
    oi_iteration *s = &c->s;
    OI_TRY(scan_length(a, c));
    OI_TRY(oi_iteration_create(e, s));
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
    oi_iteration *s = &c->s;
    const oi_graph *body = e->node->sub[0].graph;
    OI_TRY(scan_once(e, a, c));
    for (uint32_t k = 0; k < s->carried; k++) {
        if (oi_eval_wants(e, k))
            OI_TRY(e->host->out_value(e, k, oi_value_retain(s->in[k])));
    }
    for (uint32_t k = 0; k < s->scans; k++) {
        if (oi_eval_wants(e, s->carried + k))
            OI_TRY(oi_stack_output(e, s->carried + k, &s->scan[k], list_at(&a->out_axes, k, 0),
                                list_at(&a->out_directions, k, 0) != 0, oi_graph_fact(body, body->output[s->carried + k])));
    }
    return ONNX_INFER_OK;
}

/* Opset 8: every batch element by itself, results written into its part of the outputs. */
static oi_status scan_batched(oi_eval *e, const scan_attr *a, const oi_iteration *shape)
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
            const oi_iteration *s = &c.s;
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
        oi_iteration_free(e, &c.s);
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
    oi_iteration_free(e, &c.s);
    return status;
}

const oi_op oi_op_Scan = {
    .name = "Scan", .domain = "", .since = 8, .newest = 25, .flags = OI_OP_CONTROL,
    .min_in = 1, .max_in = UINT16_MAX, .min_out = 1, .max_out = UINT16_MAX, .attrs = scan_attrs, .attr_size = sizeof(scan_attr),
    .import = import_scan, .infer = infer_scan, .eval = eval_scan,
};
