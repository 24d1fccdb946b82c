/* Sequences and optionals: SequenceConstruct, SequenceEmpty, SequenceInsert, SequenceErase, SequenceAt, SequenceLength,
 * ConcatFromSequence, SplitToSequence, SequenceMap, Optional, OptionalHasElement, OptionalGetElement. */
#include "ops/strided.h"

#include <string.h>

typedef struct {
    int64_t axis, new_axis, keepdims, dtype;
    const oi_fact *type;
} sequence_attr;

#define OFFSET(field) ((uint16_t)offsetof(sequence_attr, field))

static oi_fact container(onnx_infer_kind kind, const oi_fact *elem)
{
    oi_fact f = oi_fact_unknown();
    f.kind = kind;
    f.elem = elem;
    return f;
}

/* A copy of a fact in the arena, without content. */
static const oi_fact *kept(oi_infer *x, const oi_fact *f)
{
    oi_fact *copy = oi_arena_copy(x->arena, f, sizeof *f);
    if (copy) {
        copy->konst = NULL;
        copy->nsym = 0;
    }
    return copy;
}

static oi_status elem_fact(oi_infer *x, uint32_t i, onnx_infer_kind kind, oi_fact *out)
{
    const oi_fact *f = x->in[i];
    OI_FAIL_IF(f->kind != kind, ONNX_INFER_E_TYPE_MISMATCH, "input %u is no %s", i,
               kind == ONNX_INFER_SEQUENCE ? "sequence" : "optional");
    *out = f->elem ? *f->elem : oi_fact_unknown();
    return ONNX_INFER_OK;
}

static const onnx_infer_value *in_container(const oi_eval *e, uint32_t i)
{
    return i < e->nin && e->in_value ? e->in_value[i] : NULL;
}

static oi_status need_sequence(const oi_eval *e, uint32_t i, const onnx_infer_value **out)
{
    *out = in_container(e, i);
    OI_FAIL_IF(!*out || (*out)->kind != ONNX_INFER_SEQUENCE, ONNX_INFER_E_TYPE_MISMATCH, "input %u is no sequence", i);
    return ONNX_INFER_OK;
}

/* A position given as a scalar tensor; `extra` 1 admits the position behind the last item. */
static oi_status position(const oi_tensor *t, size_t count, size_t extra, size_t *out)
{
    OI_FAIL_IF((t->dtype != ONNX_INFER_INT64 && t->dtype != ONNX_INFER_INT32) || oi_tensor_count(t) != 1,
               ONNX_INFER_E_TYPE_MISMATCH, "a position must be one int64 or int32");
    int64_t at = oi_elem_get_int(t->dtype, t->data, 0), n = (int64_t)count;
    OI_FAIL_IF(at < -n || at >= n + (int64_t)extra, ONNX_INFER_E_INVALID_ARGUMENT, "position %lld of a sequence of %zu",
               (long long)at, count);
    *out = (size_t)(at < 0 ? at + n : at);
    return ONNX_INFER_OK;
}

static oi_status out_int64(oi_eval *e, int64_t v)
{
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 0, NULL, &out));
    *(int64_t *)out->data = v;
    return ONNX_INFER_OK;
}

/* --- making and changing ---------------------------------------------------------------------------------------------- */

static oi_status infer_construct(oi_infer *x)
{
    oi_fact elem = *x->in[0];
    for (uint32_t i = 1; i < x->nin; i++) {
        OI_FAIL_IF(x->in[i]->dtype && elem.dtype && x->in[i]->dtype != elem.dtype, ONNX_INFER_E_TYPE_MISMATCH,
                   "input %u is %s, input 0 is %s", i, oi_dtype_name(x->in[i]->dtype), oi_dtype_name(elem.dtype));
        if (!oi_shape_equal(&elem.shape, &x->in[i]->shape))
            elem.shape.rank = -1;
    }
    x->out[0] = container(ONNX_INFER_SEQUENCE, kept(x, &elem));
    return ONNX_INFER_OK;
}

static oi_status eval_construct(oi_eval *e)
{
    onnx_infer_value *s, *item;
    OI_TRY(oi_value_create(e->alloc, ONNX_INFER_SEQUENCE, &s));
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < e->nin && !status; i++) {
        status = oi_eval_in_as_value(e, i, &item);
        if (!status) {
            status = oi_value_push(s, item);
            oi_value_release(item);
        }
    }
    if (!status)
        return e->host->out_value(e, 0, s);
    oi_value_release(s);
    return status;
}

static oi_status infer_empty(oi_infer *x)
{
    const sequence_attr *a = x->attr;
    oi_fact elem = oi_fact_unknown();
    elem.dtype = (oi_dtype)a->dtype;
    x->out[0] = container(ONNX_INFER_SEQUENCE, kept(x, &elem));
    return ONNX_INFER_OK;
}

static oi_status eval_empty(oi_eval *e)
{
    onnx_infer_value *s;
    OI_TRY(oi_value_create(e->alloc, ONNX_INFER_SEQUENCE, &s));
    s->elem_dtype = (oi_dtype)((const sequence_attr *)e->attr)->dtype;
    return e->host->out_value(e, 0, s);
}

static oi_status infer_changed(oi_infer *x)
{
    oi_fact elem = oi_fact_unknown();
    OI_TRY(elem_fact(x, 0, ONNX_INFER_SEQUENCE, &elem));
    elem.shape.rank = -1;
    if (x->nin > 1 && strcmp(x->op->name, "SequenceInsert") == 0 && !elem.dtype)
        elem.dtype = x->in[1]->dtype;
    x->out[0] = container(ONNX_INFER_SEQUENCE, kept(x, &elem));
    return ONNX_INFER_OK;
}

static oi_status eval_insert(oi_eval *e)
{
    const onnx_infer_value *s;
    const oi_tensor *at = oi_eval_in(e, 2);
    onnx_infer_value *copy, *item;
    OI_TRY(need_sequence(e, 0, &s));
    size_t where = s->count;
    if (at)
        OI_TRY(position(at, s->count, 1, &where));
    OI_TRY(oi_value_copy_container(e->alloc, s, &copy));
    oi_status status = oi_eval_in_as_value(e, 1, &item);
    if (!status) {
        status = oi_value_insert(copy, where, item);
        oi_value_release(item);
    }
    if (!status)
        return e->host->out_value(e, 0, copy);
    oi_value_release(copy);
    return status;
}

static oi_status eval_erase(oi_eval *e)
{
    const onnx_infer_value *s;
    const oi_tensor *at = oi_eval_in(e, 1);
    onnx_infer_value *copy;
    OI_TRY(need_sequence(e, 0, &s));
    OI_FAIL_IF(s->count == 0, ONNX_INFER_E_INVALID_ARGUMENT, "nothing to erase: the sequence is empty");
    size_t where = s->count - 1;
    if (at)
        OI_TRY(position(at, s->count, 0, &where));
    OI_TRY(oi_value_create(e->alloc, ONNX_INFER_SEQUENCE, &copy));
    copy->elem_dtype = s->elem_dtype;
    oi_status status = ONNX_INFER_OK;
    for (size_t i = 0; i < s->count && !status; i++) {
        if (i != where)
            status = oi_value_push(copy, s->item[i]);
    }
    if (!status)
        return e->host->out_value(e, 0, copy);
    oi_value_release(copy);
    return status;
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

static oi_status infer_at(oi_infer *x)
{
    OI_TRY(elem_fact(x, 0, ONNX_INFER_SEQUENCE, &x->out[0]));
    return ONNX_INFER_OK;
}

static oi_status eval_at(oi_eval *e)
{
    const onnx_infer_value *s;
    size_t at;
    OI_TRY(need_sequence(e, 0, &s));
    OI_TRY(position(oi_eval_in(e, 1), s->count, 0, &at));
    return e->host->out_value(e, 0, oi_value_retain(s->item[at]));
}

static oi_status infer_length(oi_infer *x)
{
    oi_infer_set(x, 0, ONNX_INFER_INT64, 0, NULL);
    return ONNX_INFER_OK;
}

static oi_status eval_length(oi_eval *e)
{
    const onnx_infer_value *s;
    OI_TRY(need_sequence(e, 0, &s));
    return out_int64(e, (int64_t)s->count);
}

/* --- between tensors and sequences ---------------------------------------------------------------------------------------- */

static oi_status infer_concat(oi_infer *x)
{
    oi_fact elem = oi_fact_unknown();
    OI_TRY(elem_fact(x, 0, ONNX_INFER_SEQUENCE, &elem));
    int32_t rank = elem.shape.rank < 0 ? -1 : elem.shape.rank + (((const sequence_attr *)x->attr)->new_axis != 0);
    oi_infer_set_fresh(x, 0, elem.dtype, rank > OI_MAX_RANK ? -1 : rank);
    return ONNX_INFER_OK;
}

static oi_status eval_concat(oi_eval *e)
{
    const sequence_attr *a = e->attr;
    const onnx_infer_value *s;
    OI_TRY(need_sequence(e, 0, &s));
    OI_FAIL_IF(s->count == 0 || s->item[0]->kind != ONNX_INFER_TENSOR, ONNX_INFER_E_INVALID_ARGUMENT,
               "the sequence has no tensors");
    const oi_tensor *first = &s->item[0]->tensor;
    bool fresh = a->new_axis != 0;
    int32_t rank = first->rank + fresh;
    int64_t axis = a->axis + (a->axis < 0 ? rank : 0), dims[OI_MAX_RANK], at = 0, total = 0;
    OI_FAIL_IF(rank > OI_MAX_RANK || axis < 0 || axis >= rank, ONNX_INFER_E_INVALID_MODEL, "axis %lld of rank %d",
               (long long)a->axis, rank);
    for (size_t i = 0; i < s->count; i++) {
        const oi_tensor *t = &s->item[i]->tensor;
        bool same = s->item[i]->kind == ONNX_INFER_TENSOR && t->dtype == first->dtype && t->rank == first->rank;
        for (int32_t d = 0; same && d < t->rank; d++)
            same = t->dim[d] == first->dim[d] || (!fresh && d == axis);
        OI_FAIL_IF(!same, ONNX_INFER_E_SHAPE_MISMATCH, "item %zu does not fit to item 0", i);
        total += fresh ? 1 : t->dim[axis];
    }
    for (int32_t d = 0, from = 0; d < rank; d++)
        dims[d] = d == axis ? (from += !fresh, total) : first->dim[from++];
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, first->dtype, rank, dims, &out));
    int64_t outer = oi_dims_count((int32_t)axis, dims), inner = oi_dims_count(rank - (int32_t)axis - 1, dims + axis + 1);
    for (size_t i = 0; i < s->count; i++) {
        const oi_tensor *t = &s->item[i]->tensor;
        int64_t run = (fresh ? 1 : t->dim[axis]) * inner;
        for (int64_t o = 0; o < outer; o++) {
            for (int64_t k = 0; k < run; k++)
                OI_TRY(oi_copy_element(e->alloc, t, (size_t)(o * run + k), out, (size_t)(o * total * inner + at + k)));
        }
        at += run;
    }
    return ONNX_INFER_OK;
}

static oi_status infer_split(oi_infer *x)
{
    const sequence_attr *a = x->attr;
    oi_fact elem = *x->in[0];
    if (elem.shape.rank >= 0) {
        int32_t axis = 0;
        OI_TRY(oi_infer_axis(x, a->axis, elem.shape.rank, &axis));
        if (!oi_infer_in(x, 1) && !a->keepdims) {
            memmove(elem.shape.dim + axis, elem.shape.dim + axis + 1, (size_t)(elem.shape.rank - axis - 1) * sizeof(oi_dim));
            elem.shape.rank--;
        } else {
            elem.shape.dim[axis] = oi_dim_fresh(x->syms);
        }
    }
    x->out[0] = container(ONNX_INFER_SEQUENCE, kept(x, &elem));
    return ONNX_INFER_OK;
}

/* Elements [from, from + size) along axis as an item of the sequence. */
static oi_status push_part(oi_eval *e, onnx_infer_value *s, const oi_tensor *t, int32_t axis, int64_t from, int64_t size,
                           bool drop_axis)
{
    oi_strided v = oi_strided_dense(t->rank, t->dim);
    oi_tensor part;
    onnx_infer_value *item = NULL;
    int64_t dims[OI_MAX_RANK];
    int32_t rank = 0;
    v.offset = from * v.stride[axis];
    v.dim[axis] = size;
    for (int32_t d = 0; d < t->rank; d++) {
        if (d != axis || !drop_axis)
            dims[rank++] = v.dim[d];
    }
    OI_TRY(oi_tensor_create(e->alloc, t->dtype, rank, dims, &part));
    oi_status status = oi_strided_copy_tensor(e, &v, t, &part);
    if (!status)
        status = oi_value_from_tensor(e->alloc, &part, &item);
    if (status) {
        oi_tensor_clear(&part);
        return status;
    }
    status = oi_value_push(s, item);
    oi_value_release(item);
    return status;
}

static oi_status split_parts(oi_eval *e, onnx_infer_value *s)
{
    const sequence_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0), *sizes = oi_eval_in(e, 1);
    int64_t axis = a->axis + (a->axis < 0 ? t->rank : 0), at = 0;
    OI_FAIL_IF(axis < 0 || axis >= t->rank, ONNX_INFER_E_INVALID_MODEL, "axis %lld of rank %d", (long long)a->axis, t->rank);
    int64_t total = t->dim[axis];
    if (sizes && sizes->dtype != ONNX_INFER_INT64 && sizes->dtype != ONNX_INFER_INT32)
        return oi_eval_bad_type(e, 1);
    bool listed = sizes && sizes->rank > 0; /* then each size makes an item, an empty one too */
    for (size_t i = 0; listed ? i < (size_t)oi_tensor_count(sizes) : at < total; i++) {
        int64_t size = 1;
        if (sizes) {
            size = oi_elem_get_int(sizes->dtype, sizes->data, listed ? i : 0);
            OI_FAIL_IF(size < 0 || (!listed && size == 0), ONNX_INFER_E_INVALID_ARGUMENT, "a size of %lld",
                       (long long)size);
            if (size > total - at) {
                OI_FAIL_IF(listed, ONNX_INFER_E_SHAPE_MISMATCH, "the sizes exceed the %lld of axis %lld",
                           (long long)total, (long long)axis);
                size = total - at;
            }
        }
        OI_TRY(push_part(e, s, t, (int32_t)axis, at, size, !sizes && !a->keepdims));
        at += size;
    }
    OI_FAIL_IF(at != total, ONNX_INFER_E_SHAPE_MISMATCH, "the sizes add up to %lld, axis %lld has %lld", (long long)at,
               (long long)axis, (long long)total);
    return ONNX_INFER_OK;
}

static oi_status eval_split(oi_eval *e)
{
    onnx_infer_value *s;
    OI_TRY(oi_value_create(e->alloc, ONNX_INFER_SEQUENCE, &s));
    s->elem_dtype = oi_eval_in(e, 0)->dtype;
    oi_status status = split_parts(e, s);
    if (!status)
        return e->host->out_value(e, 0, s);
    oi_value_release(s);
    return status;
}

/* --- SequenceMap ------------------------------------------------------------------------------------------------------------ */

static oi_status infer_map(oi_infer *x)
{
    const oi_sub *body = x->node->nsub == 1 ? &x->node->sub[0] : NULL;
    OI_FAIL_IF(!body || body->graph->noutput != x->nout, ONNX_INFER_E_INVALID_MODEL, "the body's outputs are not the node's");
    uint32_t n = body->graph->ninput - body->ncapture;
    OI_FAIL_IF(x->node->nin - body->ncapture != n, ONNX_INFER_E_INVALID_MODEL, "the body's inputs are not the node's");
    oi_fact *formal = oi_arena_array(x->arena, n + 1, sizeof *formal), *outs = oi_arena_array(x->arena, x->nout + 1, sizeof *outs);
    const oi_fact **list = oi_arena_array(x->arena, n + 1, sizeof *list);
    if (!formal || !outs || !list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        formal[i] = *x->in[i];
        if (formal[i].kind == ONNX_INFER_SEQUENCE)
            formal[i] = x->in[i]->elem ? *x->in[i]->elem : oi_fact_unknown();
        formal[i].konst = NULL;
        formal[i].nsym = 0;
        list[i] = &formal[i];
    }
    OI_TRY(x->sub(x, 0, list, n, outs));
    for (uint32_t i = 0; i < x->nout; i++)
        x->out[i] = container(ONNX_INFER_SEQUENCE, kept(x, &outs[i]));
    return ONNX_INFER_OK;
}

static oi_status map_items(oi_eval *e, const onnx_infer_value *first, uint32_t n, onnx_infer_value **in, onnx_infer_value **out,
                           onnx_infer_value **result)
{
    for (size_t k = 0; k < first->count; k++) {
        OI_TRY(e->host->check(e));
        oi_status status = ONNX_INFER_OK;
        for (uint32_t i = 0; i < n && !status; i++) {
            const onnx_infer_value *s = in_container(e, i);
            if (s && s->kind == ONNX_INFER_SEQUENCE) {
                if (k >= s->count)
                    status = oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input %u has %zu items, input 0 has %zu", i, s->count,
                                     first->count);
                else
                    in[i] = oi_value_retain(s->item[k]);
            } else {
                status = oi_eval_in_as_value(e, i, &in[i]);
            }
        }
        if (!status)
            status = e->host->sub(e, 0, n, in, e->nout, out);
        for (uint32_t i = 0; i < n; i++) {
            oi_value_release(in[i]);
            in[i] = NULL;
        }
        for (uint32_t i = 0; i < e->nout; i++) {
            if (!status)
                status = oi_value_push(result[i], out[i]);
            oi_value_release(out[i]);
            out[i] = NULL;
        }
        OI_TRY(status);
    }
    return ONNX_INFER_OK;
}

static oi_status eval_map(oi_eval *e)
{
    const onnx_infer_value *first;
    const oi_sub *body = &e->node->sub[0];
    uint32_t n = body->graph->ninput - body->ncapture;
    OI_TRY(need_sequence(e, 0, &first));
    onnx_infer_value **in = oi_eval_scratch_array(e, n + 1, sizeof *in);
    onnx_infer_value **out = oi_eval_scratch_array(e, e->nout + 1, sizeof *out);
    onnx_infer_value **result = oi_eval_scratch_array(e, e->nout + 1, sizeof *result);
    if (!in || !out || !result)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < e->nout && !status; i++) {
        status = oi_value_create(e->alloc, ONNX_INFER_SEQUENCE, &result[i]);
        if (!status)
            result[i]->elem_dtype = oi_graph_fact(body->graph, body->graph->output[i])->dtype;
    }
    if (!status)
        status = map_items(e, first, n, in, out, result);
    for (uint32_t i = 0; i < e->nout; i++) {
        if (!status && oi_eval_wants(e, i))
            status = e->host->out_value(e, i, result[i]);
        else
            oi_value_release(result[i]);
    }
    return status;
}

/* --- optionals ------------------------------------------------------------------------------------------------------------------ */

static oi_status infer_optional(oi_infer *x)
{
    const sequence_attr *a = x->attr;
    const oi_fact *in = oi_infer_in(x, 0);
    OI_FAIL_IF(!in && !a->type, ONNX_INFER_E_INVALID_MODEL, "an empty Optional needs the attribute type");
    x->out[0] = container(ONNX_INFER_OPTIONAL, in ? kept(x, in) : a->type);
    return ONNX_INFER_OK;
}

static oi_status eval_optional(oi_eval *e)
{
    const sequence_attr *a = e->attr;
    onnx_infer_value *v, *item;
    bool given = e->nin > 0 && (oi_eval_in(e, 0) || in_container(e, 0));
    OI_TRY(oi_value_create(e->alloc, ONNX_INFER_OPTIONAL, &v));
    oi_status status = ONNX_INFER_OK;
    if (given) {
        status = oi_eval_in_as_value(e, 0, &item);
        if (!status) {
            status = oi_value_push(v, item);
            oi_value_release(item);
        }
    } else if (a->type) {
        v->elem_dtype = a->type->dtype;
    }
    if (!status)
        return e->host->out_value(e, 0, v);
    oi_value_release(v);
    return status;
}

static oi_status infer_has(oi_infer *x)
{
    oi_infer_set(x, 0, ONNX_INFER_BOOL, 0, NULL);
    return ONNX_INFER_OK;
}

static oi_status eval_has(oi_eval *e)
{
    const onnx_infer_value *v = in_container(e, 0);
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_BOOL, 0, NULL, &out));
    *(bool *)out->data = v && v->kind == ONNX_INFER_OPTIONAL ? v->count > 0 : v || oi_eval_in(e, 0);
    return ONNX_INFER_OK;
}

static oi_status infer_get(oi_infer *x)
{
    if (x->in[0]->kind == ONNX_INFER_OPTIONAL)
        return elem_fact(x, 0, ONNX_INFER_OPTIONAL, &x->out[0]);
    x->out[0] = *x->in[0];
    return ONNX_INFER_OK;
}

static oi_status eval_get(oi_eval *e)
{
    const onnx_infer_value *v = in_container(e, 0);
    if (v && v->kind == ONNX_INFER_OPTIONAL) {
        OI_FAIL_IF(v->count == 0, ONNX_INFER_E_INVALID_ARGUMENT, "the optional is empty");
        return e->host->out_value(e, 0, oi_value_retain(v->item[0]));
    }
    onnx_infer_value *item;
    OI_TRY(oi_eval_in_as_value(e, 0, &item));
    return e->host->out_value(e, 0, item);
}

/* --- definitions ------------------------------------------------------------------------------------------------------------------ */

static const oi_attr_spec empty_attrs[] = {
    {.name = "dtype", .type = OI_ATTR_INT, .offset = OFFSET(dtype), .i = ONNX_INFER_FLOAT}, {0}};
static const oi_attr_spec concat_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = OFFSET(axis), .flags = OI_ATTR_REQUIRED},
    {.name = "new_axis", .type = OI_ATTR_INT, .offset = OFFSET(new_axis)}, {0}};
static const oi_attr_spec split_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = OFFSET(axis)},
    {.name = "keepdims", .type = OI_ATTR_INT, .offset = OFFSET(keepdims), .i = 1}, {0}};
static const oi_attr_spec optional_attrs[] = {{.name = "type", .type = OI_ATTR_TYPE, .offset = OFFSET(type)}, {0}};

#define SEQUENCE_OP(id, first, latest, ins_min, ins_max, table, infers, evals)                                         \
    const oi_op oi_op_##id = {                                                                                          \
        .name = #id, .domain = "", .since = first, .newest = latest, .min_in = ins_min, .max_in = ins_max,              \
        .min_out = 1, .max_out = 1, .attrs = table, .attr_size = sizeof(sequence_attr), .infer = infers, .eval = evals}
SEQUENCE_OP(SequenceConstruct, 11, 11, 1, UINT16_MAX, NULL, infer_construct, eval_construct);
SEQUENCE_OP(SequenceEmpty, 11, 11, 0, 0, empty_attrs, infer_empty, eval_empty);
SEQUENCE_OP(SequenceInsert, 11, 11, 2, 3, NULL, infer_changed, eval_insert);
SEQUENCE_OP(SequenceErase, 11, 11, 1, 2, NULL, infer_changed, eval_erase);
SEQUENCE_OP(SequenceAt, 11, 11, 2, 2, NULL, infer_at, eval_at);
SEQUENCE_OP(SequenceLength, 11, 11, 1, 1, NULL, infer_length, eval_length);
SEQUENCE_OP(ConcatFromSequence, 11, 11, 1, 1, concat_attrs, infer_concat, eval_concat);
SEQUENCE_OP(SplitToSequence, 11, 24, 1, 2, split_attrs, infer_split, eval_split);
SEQUENCE_OP(Optional, 15, 15, 0, 1, optional_attrs, infer_optional, eval_optional);
SEQUENCE_OP(OptionalHasElement, 15, 18, 0, 1, NULL, infer_has, eval_has);
SEQUENCE_OP(OptionalGetElement, 15, 18, 1, 1, NULL, infer_get, eval_get);

const oi_op oi_op_SequenceMap = {
    .name = "SequenceMap", .domain = "", .since = 17, .newest = 17, .flags = OI_OP_CONTROL, .min_in = 1, .max_in = UINT16_MAX,
    .min_out = 1, .max_out = UINT16_MAX, .infer = infer_map, .eval = eval_map,
};
