/* Iteration over a body: facts, stacked values, the values of one turn. */
#include "ops/iteration.h"

#include <string.h>

void oi_fact_join(oi_infer *x, oi_fact *a, const oi_fact *b)
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

oi_fact oi_fact_without_content(const oi_fact *f)
{
    oi_fact bare = *f;
    bare.konst = NULL;
    bare.nsym = 0;
    return bare;
}

oi_fact *oi_infer_facts(oi_infer *x, uint32_t n)
{
    return oi_arena_array(x->arena, n + 1, sizeof(oi_fact));
}

uint32_t oi_body_formals(const oi_node *node)
{
    return node->sub[0].graph->ninput - node->sub[0].ncapture;
}


/* --- stacked values ---------------------------------------------------------------------------------------------------- */

static oi_status stack_grow(oi_eval *e, oi_stack *s, const oi_tensor *item, int64_t most)
{
    int64_t dims[OI_MAX_RANK], cap = s->n < 8 ? 16 : 2 * s->n;
    oi_tensor grown, old = s->rows;
    OI_FAIL_IF(s->n > INT64_MAX / 4, ONNX_INFER_E_LIMIT, "a scan output of %lld rows", (long long)s->n);
    dims[0] = cap < most ? cap : most;
    memcpy(dims + 1, item->dim, (size_t)item->rank * sizeof *dims);
    OI_TRY(oi_tensor_create(e->alloc, item->dtype, item->rank + 1, dims, &grown));
    old.bytes = grown.bytes / (size_t)dims[0] * (size_t)s->n;
    oi_status status = s->n ? oi_tensor_copy_data(e->alloc, &old, &grown) : ONNX_INFER_OK;
    oi_tensor_clear(status ? &grown : &s->rows);
    if (!status)
        s->rows = grown;
    return status;
}

/* Room for one more row of the item's type and shape in stack k; *row describes it. */
static oi_status stack_reserve(oi_eval *e, oi_iteration *it, uint32_t k, const oi_tensor *item, oi_tensor *row)
{
    oi_stack *s = &it->scan[k];
    OI_FAIL_IF(item->rank + 1 > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a rank of %d, at most %d is supported", item->rank + 1, OI_MAX_RANK);
    bool none = s->rows.dtype == ONNX_INFER_UNDEFINED;
    if (none && s->into_output) {
        int64_t dims[OI_MAX_RANK] = {it->turns};
        oi_tensor *out;
        memcpy(dims + 1, item->dim, (size_t)item->rank * sizeof *dims);
        OI_TRY(oi_eval_out(e, it->carried + k, item->dtype, item->rank + 1, dims, &out));
        s->rows = *out;
        s->rows.buf = NULL;
    } else if (none || s->n == s->rows.dim[0]) {
        OI_TRY(stack_grow(e, s, item, it->turns));
    }
    *row = *item;
    row->buf = NULL;
    row->data = (char *)s->rows.data + s->rows.bytes / (size_t)s->rows.dim[0] * (size_t)s->n;
    return ONNX_INFER_OK;
}

static oi_status stack_push(oi_eval *e, oi_iteration *it, uint32_t k, const onnx_infer_value *v)
{
    oi_stack *s = &it->scan[k];
    oi_tensor row;
    const oi_tensor *t = &v->tensor;
    bool same = v->kind == ONNX_INFER_TENSOR;
    if (same && s->n)
        same = t->dtype == s->rows.dtype && t->rank == s->rows.rank - 1 &&
               !memcmp(t->dim, s->rows.dim + 1, (size_t)t->rank * sizeof *t->dim);
    OI_FAIL_IF(!same, ONNX_INFER_E_SHAPE_MISMATCH, "scan output %u changes its shape at iteration %lld, or is no tensor", k,
               (long long)s->n);
    OI_TRY(stack_reserve(e, it, k, t, &row));
    row.buf = s->rows.buf; /* whose allocator texts are copied with */
    OI_TRY(oi_tensor_copy_data(e->alloc, t, &row));
    s->n++;
    return ONNX_INFER_OK;
}

void oi_stack_free(oi_stack *s)
{
    oi_tensor_clear(&s->rows);
    s->n = 0;
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

oi_status oi_stack_output(oi_eval *e, uint32_t i, const oi_stack *s, int64_t axis, bool reversed, const oi_fact *body)
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
    if (s->into_output)
        return ONNX_INFER_OK;
    oi_tensor row = s->rows;
    int32_t rank = s->rows.rank;
    axis += axis < 0 ? rank : 0;
    OI_FAIL_IF(axis < 0 || axis >= rank, ONNX_INFER_E_INVALID_MODEL, "scan axis %lld of rank %d", (long long)axis, rank);
    for (int32_t d = 0, from = 1; d < rank; d++)
        dims[d] = d == axis ? s->n : s->rows.dim[from++];
    row.bytes = s->rows.bytes / (size_t)s->rows.dim[0];
    if (axis == 0 && !reversed) {
        row.dim[0] = s->n;
        row.bytes *= (size_t)s->n;
        return e->host->out_view(e, i, &row, rank, dims);
    }
    OI_TRY(oi_eval_out(e, i, row.dtype, rank, dims, &out));
    for (int64_t k = 0; k < s->n; k++) {
        OI_TRY(place(e, &row, out, (int32_t)axis, reversed ? s->n - 1 - k : k));
        row.data = (char *)row.data + row.bytes;
    }
    return ONNX_INFER_OK;
}

/* --- turns -------------------------------------------------------------------------------------------------------------- */

oi_status oi_iteration_create(oi_eval *e, oi_iteration *s)
{
    s->in = oi_eval_scratch_array(e, s->nin + 1, sizeof *s->in);
    s->out = oi_eval_scratch_array(e, s->nout + 1, sizeof *s->out);
    s->spare = oi_eval_scratch_array(e, s->carried + 1, sizeof *s->spare);
    s->view = oi_eval_scratch_array(e, s->nin + 1, sizeof *s->view);
    s->result = oi_eval_scratch_array(e, s->nout + 1, sizeof *s->result);
    s->scan = oi_eval_scratch_array(e, s->scans + 1, sizeof *s->scan);
    return s->in && s->out && s->spare && s->view && s->result && s->scan ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

void oi_value_swap(onnx_infer_value **slot, onnx_infer_value *v)
{
    oi_value_release(*slot);
    *slot = v;
}

void oi_iteration_free(oi_iteration *s)
{
    for (uint32_t i = 0; s->in && i < s->nin; i++)
        oi_value_swap(&s->in[i], NULL);
    for (uint32_t i = 0; s->out && i < s->nout; i++)
        oi_value_swap(&s->out[i], NULL);
    for (uint32_t i = 0; s->spare && i < s->carried; i++)
        oi_value_swap(&s->spare[i], NULL);
    for (uint32_t i = 0; s->scan && i < s->scans; i++)
        oi_stack_free(&s->scan[i]);
}

static oi_status new_tensor_value(oi_eval *e, oi_dtype dtype, int32_t rank, const int64_t *dims, onnx_infer_value **out)
{
    oi_tensor t;
    OI_TRY(oi_tensor_create(e->alloc, dtype, rank, dims, &t));
    oi_status status = oi_value_from_tensor(e->alloc, &t, out);
    if (status)
        oi_tensor_clear(&t);
    return status;
}

oi_status oi_iteration_own(oi_eval *e, oi_iteration *s, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    onnx_infer_value *v = s->in[i];
    bool own = v && atomic_load_explicit(&v->refs, memory_order_relaxed) == 1 && oi_buffer_is_unique(v->tensor.buf) &&
               v->tensor.dtype == dtype && v->tensor.rank == rank &&
               (rank == 0 || !memcmp(v->tensor.dim, dims, (size_t)rank * sizeof *dims));
    if (!own) {
        v = NULL;
        OI_TRY(new_tensor_value(e, dtype, rank, dims, &v));
        oi_value_swap(&s->in[i], v);
    }
    s->view[i] = v->tensor;
    s->view[i].buf = NULL;
    return ONNX_INFER_OK;
}

static bool same_tensors(const onnx_infer_value *a, const onnx_infer_value *b)
{
    return a->kind == ONNX_INFER_TENSOR && b->kind == ONNX_INFER_TENSOR && a->tensor.dtype == b->tensor.dtype &&
           a->tensor.dtype != ONNX_INFER_STRING && oi_tensor_same_shape(&a->tensor, &b->tensor);
}

/* One turn, of whatever shapes and kinds. */
static oi_status one_turn(oi_eval *e, oi_iteration *s)
{
    for (uint32_t i = 0; i < s->nout; i++)
        oi_value_swap(&s->out[i], NULL);
    OI_TRY(s->feed(e, s, false));
    OI_TRY(e->host->sub(e, 0, s->nin, s->in, s->nout, s->out));
    if (s->took)
        OI_TRY(s->took(e, s, s->out[0]->kind == ONNX_INFER_TENSOR ? &s->out[0]->tensor : NULL));
    s->steady = true;
    for (uint32_t k = 0; k < s->carried; k++) {
        onnx_infer_value **in = &s->in[s->carried_in + k], **out = &s->out[s->carried_out + k];
        bool same = same_tensors(*in, *out);
        s->steady = s->steady && same;
        if (!same)
            oi_value_swap(&s->spare[k], NULL);
        oi_value_swap(in, *out);
        *out = NULL;
    }
    for (uint32_t k = 0; k < s->scans; k++) {
        onnx_infer_value **out = &s->out[s->carried_out + s->carried + k];
        OI_TRY(stack_push(e, s, k, *out));
        s->steady = s->steady && s->scan[k].rows.dtype != ONNX_INFER_STRING;
        oi_value_swap(out, NULL);
    }
    s->tried = s->tried && s->steady;
    s->turn++;
    return ONNX_INFER_OK;
}

typedef struct {
    oi_eval *e;
    oi_iteration *s;
} turning;

/* Where turn s->turn finds its inputs and puts its results. */
static oi_status aim(oi_eval *e, oi_iteration *s)
{
    OI_TRY(s->feed(e, s, true));
    for (uint32_t k = 0; k < s->carried; k++) {
        s->view[s->carried_in + k].data = s->in[s->carried_in + k]->tensor.data;
        s->result[s->carried_out + k].data = s->spare[k]->tensor.data;
    }
    for (uint32_t k = 0; k < s->scans; k++) {
        oi_tensor *row = &s->result[s->carried_out + s->carried + k];
        oi_tensor item = *row;
        OI_TRY(stack_reserve(e, s, k, &item, row));
    }
    return ONNX_INFER_OK;
}

static oi_status next_turn(void *arg, bool *again)
{
    turning *t = arg;
    oi_iteration *s = t->s;
    for (uint32_t k = 0; k < s->carried; k++) {
        onnx_infer_value *made = s->spare[k];
        s->spare[k] = s->in[s->carried_in + k];
        s->in[s->carried_in + k] = made;
    }
    for (uint32_t k = 0; k < s->scans; k++)
        s->scan[k].n++;
    s->turn++;
    if (s->took)
        OI_TRY(s->took(t->e, s, &s->result[0]));
    *again = s->go && s->turn < s->turns;
    return *again ? aim(t->e, s) : ONNX_INFER_OK;
}

/* Turns in a row in the memory of the last one; *ran false: the host cannot. */
static oi_status turns_in_a_row(oi_eval *e, oi_iteration *s, bool *ran)
{
    for (uint32_t i = 0; i < s->carried_out; i++) {
        s->result[i] = s->out[i]->tensor;
        s->result[i].buf = NULL;
    }
    for (uint32_t k = 0; k < s->carried; k++) {
        const oi_tensor *t = &s->in[s->carried_in + k]->tensor;
        if (!s->spare[k])
            OI_TRY(new_tensor_value(e, t->dtype, t->rank, t->dim, &s->spare[k]));
        s->view[s->carried_in + k] = s->result[s->carried_out + k] = *t;
        s->view[s->carried_in + k].buf = s->result[s->carried_out + k].buf = NULL;
    }
    for (uint32_t k = 0; k < s->scans; k++) {
        const oi_tensor *rows = &s->scan[k].rows;
        OI_TRY(oi_tensor_describe(&s->result[s->carried_out + s->carried + k], rows->dtype, rows->rank - 1, rows->dim + 1));
    }
    OI_TRY(aim(e, s));
    turning t = {e, s};
    oi_turns turns = {.nin = s->nin, .nout = s->nout, .in = s->view, .out = s->result, .next = next_turn, .arg = &t};
    return e->host->turns(e, 0, &turns, ran);
}

oi_status oi_iterate(oi_eval *e, oi_iteration *s)
{
    while (s->go && s->turn < s->turns) {
        bool ran = false;
        OI_TRY(e->host->check(e));
        if (s->steady && !s->tried && e->host->turns) {
            OI_TRY(turns_in_a_row(e, s, &ran));
            s->tried = true;
        }
        if (!ran)
            OI_TRY(one_turn(e, s));
    }
    return ONNX_INFER_OK;
}
