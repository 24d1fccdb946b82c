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


oi_status oi_stack_push(oi_eval *e, oi_stack *s, onnx_infer_value *v)
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

void oi_stack_free(oi_eval *e, oi_stack *s)
{
    for (size_t i = 0; i < s->n; i++)
        oi_value_release(s->item[i]);
    oi_free_mem(e->alloc, s->item);
    *s = (oi_stack){0};
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

void oi_value_swap(onnx_infer_value **slot, onnx_infer_value *v)
{
    oi_value_release(*slot);
    *slot = v;
}

oi_status oi_iteration_create(oi_eval *e, oi_iteration *s)
{
    s->in = oi_eval_scratch_array(e, s->nin + 1, sizeof *s->in);
    s->out = oi_eval_scratch_array(e, s->nout + 1, sizeof *s->out);
    s->scan = oi_eval_scratch_array(e, s->scans + 1, sizeof *s->scan);
    return s->in && s->out && s->scan ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
}

void oi_iteration_free(oi_eval *e, oi_iteration *s)
{
    for (uint32_t i = 0; s->in && i < s->nin; i++)
        oi_value_release(s->in[i]);
    for (uint32_t i = 0; s->out && i < s->nout; i++)
        oi_value_release(s->out[i]);
    for (uint32_t i = 0; s->scan && i < s->scans; i++)
        oi_stack_free(e, &s->scan[i]);
}

