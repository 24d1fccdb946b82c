/* Reference-counted values: tensors and containers of values. */
#include "tensor/value.h"

#include <string.h>

oi_status oi_value_create(const oi_alloc *a, onnx_infer_kind kind, onnx_infer_value **out)
{
    onnx_infer_value *v = oi_alloc_mem(a, sizeof *v);
    *out = NULL;
    if (!v)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    atomic_init(&v->refs, 1);
    v->kind = kind;
    v->alloc = a ? *a : oi_alloc_libc;
    *out = v;
    return ONNX_INFER_OK;
}

oi_status oi_value_from_tensor(const oi_alloc *a, oi_tensor *t, onnx_infer_value **out)
{
    OI_TRY(oi_value_create(a, ONNX_INFER_TENSOR, out));
    (*out)->tensor = *t;
    memset(t, 0, sizeof *t);
    return ONNX_INFER_OK;
}

oi_status oi_value_insert(onnx_infer_value *sequence, size_t at, onnx_infer_value *item)
{
    onnx_infer_value *v = sequence;
    OI_FAIL_IF(at > v->count, ONNX_INFER_E_INVALID_ARGUMENT, "position %zu is outside of a sequence of %zu items", at, v->count);
    if (v->count == v->cap) {
        size_t cap = v->cap ? 2 * v->cap : 4;
        if (cap > SIZE_MAX / sizeof *v->item)
            return oi_fail_out_of_memory(SIZE_MAX);
        onnx_infer_value **grown = oi_realloc_mem(&v->alloc, v->item, cap * sizeof *grown);
        if (!grown)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        v->item = grown;
        v->cap = cap;
    }
    memmove(v->item + at + 1, v->item + at, (v->count - at) * sizeof *v->item);
    v->item[at] = oi_value_retain(item);
    v->count++;
    return ONNX_INFER_OK;
}

oi_status oi_value_push(onnx_infer_value *container, onnx_infer_value *item)
{
    size_t most = container->kind == ONNX_INFER_OPTIONAL ? 1 : container->kind == ONNX_INFER_MAP ? 2 : SIZE_MAX;
    OI_FAIL_IF(container->kind == ONNX_INFER_TENSOR, ONNX_INFER_E_TYPE_MISMATCH, "a tensor takes no items");
    OI_FAIL_IF(container->count >= most, ONNX_INFER_E_INVALID_ARGUMENT, "the container holds %zu of at most %zu items",
               container->count, most);
    return oi_value_insert(container, container->count, item);
}

oi_status oi_value_copy_container(const oi_alloc *a, const onnx_infer_value *v, onnx_infer_value **out)
{
    onnx_infer_value *copy;
    *out = NULL;
    OI_TRY(oi_value_create(a, v->kind, &copy));
    copy->elem_dtype = v->elem_dtype;
    for (size_t i = 0; i < v->count; i++) {
        oi_status st = oi_value_push(copy, v->item[i]);
        if (st != ONNX_INFER_OK) {
            oi_value_release(copy);
            return st;
        }
    }
    *out = copy;
    return ONNX_INFER_OK;
}

onnx_infer_value *oi_value_retain(onnx_infer_value *v)
{
    if (v)
        atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

/* Items whose last reference goes are chained, so that deep nesting takes no stack. */
void oi_value_release(onnx_infer_value *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    v->next_freed = NULL;
    onnx_infer_value *todo = v;
    while (todo) {
        v = todo;
        todo = v->next_freed;
        for (size_t i = 0; i < v->count; i++) {
            onnx_infer_value *item = v->item[i];
            if (item && atomic_fetch_sub_explicit(&item->refs, 1, memory_order_acq_rel) == 1) {
                item->next_freed = todo;
                todo = item;
            }
        }
        oi_alloc alloc = v->alloc;
        oi_free_mem(&alloc, v->item);
        oi_tensor_clear(&v->tensor);
        oi_free_mem(&alloc, v);
    }
}
