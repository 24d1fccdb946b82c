/* Scan, of opset 8 too. The body is run by the host; captures are its business too. */
#include "ops/iteration.h"
#include "ops/strided.h"

#include <string.h>

typedef struct {
    int64_t num_scan_inputs, batched;
    oi_ints in_axes, in_directions, out_axes, out_directions;
} scan_attr;

/* Of opset 8: all sequences have the same length, or their lengths are an input behind the scanned ones. */
enum { BATCHED = 1, WITH_LENGTHS = 2 };

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
    oi_value_id lengths = im->nin ? im->in[0] : OI_NONE;
    if (directions)
        directions->name = "scan_input_directions";
    for (uint32_t i = 1; i < im->nin; i++)
        im->in[i - 1] = im->in[i];
    im->nin -= im->nin > 0;
    if (lengths == OI_NONE)
        return oi_import_set_int(im, "batched", BATCHED);
    OI_TRY(oi_import_set_input(im, im->nin, lengths));
    return oi_import_set_int(im, "batched", WITH_LENGTHS);
}

static int64_t list_at(const oi_ints *list, uint32_t i, int64_t absent)
{
    return list->at && i < list->n ? list->at[i] : absent;
}

static oi_status scan_check(const oi_node *node, const scan_attr *a, uint32_t nout, uint32_t *carried)
{
    OI_FAIL_IF(node->nsub != 1, ONNX_INFER_E_INVALID_MODEL, "Scan has %u subgraphs, expected 1", node->nsub);
    uint32_t formal = oi_body_formals(node), outs = node->sub[0].graph->noutput, given = node->nin - node->sub[0].ncapture - (a->batched == WITH_LENGTHS);
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

/* That many turns over c->in; results stay in *s, which the caller frees whatever comes of it. */
static oi_status scan_once(oi_eval *e, const scanned *c, uint32_t carried, int64_t turns, oi_iteration *s)
{
    uint32_t nin = carried + (uint32_t)c->attr->num_scan_inputs;
    *s = (oi_iteration){.nin = nin, .nout = e->nout, .carried = carried, .scans = e->nout - carried, .turns = turns,
                        .go = true, .feed = feed_slices, .arg = c};
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
    oi_iteration s = {0};
    int64_t turns;
    OI_TRY(scan_length(c, carried, carried + (uint32_t)a->num_scan_inputs, &turns));
    oi_status status = scan_once(e, c, carried, turns, &s);
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

/* Output k of a batched scan, all zero: `batch` times `rows` times the result of a turn (no rows: of the last turn). */
static oi_status batched_output(oi_eval *e, uint32_t k, int64_t batch, int64_t rows, oi_dtype dtype, int32_t rank, const int64_t *dims,
                                oi_tensor **out)
{
    int64_t all[OI_MAX_RANK + 2] = {batch, rows};
    int32_t lead = rows < 0 ? 1 : 2;
    OI_FAIL_IF(rank + lead > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "output %u has rank %d, at most %d is supported", k, rank + lead, OI_MAX_RANK);
    memcpy(all + lead, dims, (size_t)rank * sizeof *dims);
    OI_TRY(oi_eval_out(e, k, dtype, rank + lead, all, out));
    if (dtype != ONNX_INFER_STRING && (*out)->bytes)
        memset((*out)->data, 0, (*out)->bytes);
    return ONNX_INFER_OK;
}

/* Writes what batch element b gave as output k; shorter sequences leave zeros behind them. */
static oi_status batched_result(oi_eval *e, uint32_t k, int64_t b, int64_t batch, int64_t length, const oi_stack *stack, const oi_tensor *from,
                                oi_tensor **out)
{
    if (stack && !stack->n)
        return ONNX_INFER_OK;
    if (!*out)
        OI_TRY(batched_output(e, k, batch, stack ? length : -1, from->dtype, stack ? from->rank - 1 : from->rank, from->dim + (stack != NULL),
                              out));
    size_t n = (size_t)oi_tensor_count(from), each = (size_t)(oi_tensor_count(*out) / batch);
    OI_FAIL_IF(n > each || from->dtype != (*out)->dtype, ONNX_INFER_E_SHAPE_MISMATCH, "output %u differs between the sequences of a batch", k);
    for (size_t i = 0; i < n; i++)
        OI_TRY(oi_copy_element(e->alloc, from, i, *out, (size_t)b * each + i));
    return ONNX_INFER_OK;
}

/* Outputs that no turn has given a shape: what the body is known to give, dims that are not known being 0. */
static oi_status batched_nothing(oi_eval *e, uint32_t k, int64_t batch, int64_t length, oi_tensor **out)
{
    const oi_graph *body = e->node->sub[0].graph;
    const oi_fact *f = oi_graph_fact(body, body->output[k]);
    int64_t dims[OI_MAX_RANK] = {0};
    for (int32_t i = 0; i < f->shape.rank; i++)
        dims[i] = oi_dim_is_number(f->shape.dim[i]) ? f->shape.dim[i] : 0;
    return batched_output(e, k, batch, length, f->dtype, f->shape.rank < 0 ? 0 : f->shape.rank, dims, out);
}

/* Opset 8: every batch element by itself, as far as its sequence reaches. */
static oi_status scan_batched(oi_eval *e, const scan_attr *a, uint32_t carried)
{
    uint32_t nin = carried + (uint32_t)a->num_scan_inputs;
    const oi_tensor *lengths = a->batched == WITH_LENGTHS ? oi_eval_in(e, nin) : NULL;
    int64_t batch = oi_eval_in(e, 0)->rank ? oi_eval_in(e, 0)->dim[0] : 0, length = 0;
    oi_tensor **out = oi_eval_scratch_array(e, e->nout + 1, sizeof *out);
    oi_tensor *part = oi_eval_scratch_array(e, e->nin + 1, sizeof *part);
    const oi_tensor **in = oi_eval_scratch_array(e, e->nin + 1, sizeof *in);
    if (!out || !part || !in)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_FAIL_IF(lengths && (lengths->dtype != ONNX_INFER_INT64 || oi_tensor_count(lengths) != batch), ONNX_INFER_E_SHAPE_MISMATCH,
               "the sequence lengths must be %lld int64", (long long)batch);
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
        oi_iteration s = {0};
        OI_TRY(scan_length(&c, carried, nin, &length));
        int64_t turns = lengths ? ((const int64_t *)lengths->data)[b] : length;
        OI_FAIL_IF(turns < 0 || turns > length, ONNX_INFER_E_INVALID_ARGUMENT, "sequence %lld is %lld long, the scan inputs have %lld elements",
                   (long long)b, (long long)turns, (long long)length);
        oi_status status = scan_once(e, &c, carried, turns, &s);
        for (uint32_t k = 0; k < e->nout && !status; k++) {
            const oi_stack *stack = k < carried ? NULL : &s.scan[k - carried];
            status = batched_result(e, k, b, batch, length, stack, stack ? &stack->rows : &s.in[k]->tensor, &out[k]);
        }
        oi_iteration_free(&s);
        OI_TRY(status);
    }
    for (uint32_t k = 0; k < e->nout; k++) {
        if (!out[k])
            OI_TRY(batched_nothing(e, k, batch, k < carried ? -1 : length, &out[k]));
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
