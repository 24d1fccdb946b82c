/* Values: tensors, strings, sequences, optionals, maps. */
#include "api/api_check.h"
#include "tensor/convert.h"
#include "tensor/gather.h"
#include "tensor/value.h"

#include <string.h>

static oi_status tensor_to_value(oi_tensor *t, onnx_infer_value **out)
{
    oi_status st = oi_value_from_tensor(NULL, t, out);
    if (st != ONNX_INFER_OK)
        oi_tensor_clear(t);
    return st;
}

onnx_infer_status onnx_infer_tensor_create(onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, onnx_infer_value **out)
{
    oi_tensor t;
    OI_NEED(out);
    *out = NULL;
    OI_NEED(dims || rank <= 0);
    OI_TRY(oi_tensor_create(NULL, dtype, rank, dims, &t));
    if (dtype != ONNX_INFER_STRING)
        memset(t.data, 0, t.bytes);
    return tensor_to_value(&t, out);
}

onnx_infer_status onnx_infer_tensor_wrap(onnx_infer_dtype dtype, int32_t rank, const int64_t *dims, void *data, size_t bytes,
                                         onnx_infer_free_fn fn, void *user, onnx_infer_value **out)
{
    oi_tensor t;
    OI_NEED(out);
    *out = NULL;
    OI_NEED(dims || rank <= 0);
    OI_TRY(oi_tensor_describe(&t, dtype, rank, dims));
    OI_FAIL_IF(dtype == ONNX_INFER_STRING, ONNX_INFER_E_UNSUPPORTED_TYPE,
               "strings cannot be wrapped; use onnx_infer_tensor_create and onnx_infer_tensor_set_string");
    OI_NEED(data || !t.bytes);
    OI_FAIL_IF(bytes < t.bytes, ONNX_INFER_E_BUFFER_TOO_SMALL, "the tensor takes %zu bytes, the memory given has %zu", t.bytes, bytes);
    size_t align = oi_dtype_is_complex(dtype) ? oi_dtype_size(dtype) / 2 : oi_dtype_size(dtype);
    OI_FAIL_IF((uintptr_t)data % align, ONNX_INFER_E_INVALID_ARGUMENT, "memory of %s must be aligned to %zu bytes",
               oi_dtype_name(dtype), align);
    OI_TRY(oi_buffer_wrap(NULL, data, t.bytes, NULL, NULL, &t.buf));
    t.data = data;
    OI_TRY(tensor_to_value(&t, out));
    oi_buffer_on_free((*out)->tensor.buf, fn, user); /* only now: a failed call consumes nothing */
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_tensor_wrap_strided(onnx_infer_dtype dtype, int32_t rank, const int64_t *dims,
                                                 const int64_t *byte_strides, void *data, onnx_infer_free_fn fn, void *user,
                                                 onnx_infer_value **out)
{
    oi_tensor t;
    OI_NEED(out);
    *out = NULL;
    OI_NEED((dims && byte_strides) || rank <= 0);
    OI_TRY(oi_tensor_describe(&t, dtype, rank, dims));
    OI_FAIL_IF(dtype == ONNX_INFER_STRING || oi_dtype_is_packed(dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "%s has no strides",
               oi_dtype_name(dtype));
    OI_NEED(data || !t.bytes);
    if (oi_strides_are_dense(&t, byte_strides) && (uintptr_t)data % oi_dtype_align(dtype) == 0)
        return onnx_infer_tensor_wrap(dtype, rank, dims, data, t.bytes, fn, user, out);
    OI_TRY(oi_tensor_create(NULL, dtype, rank, dims, &t));
    oi_tensor_gather(&t, data, byte_strides);
    OI_TRY(tensor_to_value(&t, out));
    if (fn)
        fn(user, data);
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_tensor_copy(const onnx_infer_value *src, onnx_infer_value *dst)
{
    OI_NEED(src);
    OI_NEED(dst);
    OI_FAIL_IF(src->kind != ONNX_INFER_TENSOR || dst->kind != ONNX_INFER_TENSOR, ONNX_INFER_E_TYPE_MISMATCH,
               "only tensors can be copied");
    const oi_tensor *from = &src->tensor;
    oi_tensor *to = &dst->tensor;
    char have[200], want[200];
    OI_FAIL_IF(dst->read_only, ONNX_INFER_E_INVALID_ARGUMENT, "the memory to copy to is read-only");
    OI_FAIL_IF(!oi_tensor_same_shape(from, to), ONNX_INFER_E_SHAPE_MISMATCH, "a tensor of %s cannot be copied to one of %s",
               oi_dims_text(from->rank, from->dim, have, sizeof have), oi_dims_text(to->rank, to->dim, want, sizeof want));
    if (from->dtype == to->dtype)
        return oi_tensor_copy_data(&dst->alloc, from, to);
    OI_FAIL_IF(!oi_convert_known(from->dtype, to->dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "%s cannot be converted to %s",
               oi_dtype_name(from->dtype), oi_dtype_name(to->dtype));
    oi_convert(from->dtype, from->data, 0, to->dtype, to->data, 0, (size_t)oi_tensor_count(from), true);
    return ONNX_INFER_OK;
}

onnx_infer_value *onnx_infer_value_retain(onnx_infer_value *v)
{
    return oi_value_retain(v);
}

void onnx_infer_value_release(onnx_infer_value *v)
{
    oi_value_release(v);
}

onnx_infer_kind onnx_infer_value_kind(const onnx_infer_value *v)
{
    return v ? v->kind : ONNX_INFER_TENSOR;
}

static const oi_tensor *tensor_of(const onnx_infer_value *v)
{
    return v && v->kind == ONNX_INFER_TENSOR ? &v->tensor : NULL;
}

onnx_infer_dtype onnx_infer_tensor_dtype(const onnx_infer_value *v)
{
    return tensor_of(v) ? v->tensor.dtype : ONNX_INFER_UNDEFINED;
}

int32_t onnx_infer_tensor_rank(const onnx_infer_value *v)
{
    return tensor_of(v) ? v->tensor.rank : -1;
}

const int64_t *onnx_infer_tensor_dims(const onnx_infer_value *v)
{
    return tensor_of(v) ? v->tensor.dim : NULL;
}

size_t onnx_infer_tensor_count(const onnx_infer_value *v)
{
    return tensor_of(v) ? (size_t)oi_tensor_count(&v->tensor) : 0;
}

size_t onnx_infer_tensor_bytes(const onnx_infer_value *v)
{
    return tensor_of(v) ? v->tensor.bytes : 0;
}

const void *onnx_infer_tensor_data(const onnx_infer_value *v)
{
    return tensor_of(v) && v->tensor.dtype != ONNX_INFER_STRING ? v->tensor.data : NULL;
}

void *onnx_infer_tensor_mutable_data(onnx_infer_value *v)
{
    return tensor_of(v) && !v->read_only && v->tensor.dtype != ONNX_INFER_STRING ? v->tensor.data : NULL;
}

static bool is_string_at(const onnx_infer_value *v, size_t i)
{
    return tensor_of(v) && v->tensor.dtype == ONNX_INFER_STRING && i < (size_t)oi_tensor_count(&v->tensor);
}

onnx_infer_status onnx_infer_tensor_set_string(onnx_infer_value *v, size_t i, const char *s, size_t n)
{
    OI_NEED(v);
    OI_NEED(s || !n);
    OI_FAIL_IF(!is_string_at(v, i), ONNX_INFER_E_INVALID_ARGUMENT, "the value has no string %zu", i);
    return oi_tensor_set_string(&v->alloc, &v->tensor, i, s, n);
}

const char *onnx_infer_tensor_string(const onnx_infer_value *v, size_t i, size_t *n)
{
    if (n)
        *n = 0;
    if (!is_string_at(v, i))
        return NULL;
    const oi_string *s = (const oi_string *)v->tensor.data + i;
    if (n)
        *n = s->n;
    return s->text ? s->text : "";
}

onnx_infer_status onnx_infer_sequence_create(onnx_infer_value **out)
{
    OI_NEED(out);
    return oi_value_create(NULL, ONNX_INFER_SEQUENCE, out);
}

onnx_infer_status onnx_infer_optional_create(onnx_infer_value **out)
{
    OI_NEED(out);
    return oi_value_create(NULL, ONNX_INFER_OPTIONAL, out);
}

onnx_infer_status onnx_infer_value_push(onnx_infer_value *container, onnx_infer_value *item)
{
    OI_NEED(container);
    OI_NEED(item);
    OI_FAIL_IF(container->kind == ONNX_INFER_MAP, ONNX_INFER_E_TYPE_MISMATCH, "a map takes no items");
    OI_FAIL_IF(container == item, ONNX_INFER_E_INVALID_ARGUMENT, "a value cannot hold itself");
    return oi_value_push(container, item);
}

size_t onnx_infer_value_count(const onnx_infer_value *container)
{
    return container && container->kind != ONNX_INFER_MAP ? container->count : 0;
}

onnx_infer_value *onnx_infer_value_item(const onnx_infer_value *container, size_t i)
{
    return i < onnx_infer_value_count(container) ? container->item[i] : NULL;
}

onnx_infer_status onnx_infer_map_create(onnx_infer_value *keys, onnx_infer_value *values, onnx_infer_value **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(keys);
    OI_NEED(values);
    const oi_tensor *k = tensor_of(keys);
    OI_FAIL_IF(!k || k->rank != 1 || !(k->dtype == ONNX_INFER_STRING || oi_dtype_is_int(k->dtype)), ONNX_INFER_E_TYPE_MISMATCH,
               "the keys of a map are a rank-1 tensor of strings or integers");
    size_t n = tensor_of(values) ? onnx_infer_tensor_count(values) : onnx_infer_value_count(values);
    OI_FAIL_IF(n != (size_t)k->dim[0], ONNX_INFER_E_SHAPE_MISMATCH, "a map of %lld keys is given %zu values", (long long)k->dim[0], n);
    OI_TRY(oi_value_create(NULL, ONNX_INFER_MAP, out));
    oi_status st = oi_value_push(*out, keys);
    if (st == ONNX_INFER_OK)
        st = oi_value_push(*out, values);
    if (st != ONNX_INFER_OK) {
        oi_value_release(*out);
        *out = NULL;
    }
    return st;
}

onnx_infer_value *onnx_infer_map_keys(const onnx_infer_value *map)
{
    return map && map->kind == ONNX_INFER_MAP ? map->item[0] : NULL;
}

onnx_infer_value *onnx_infer_map_values(const onnx_infer_value *map)
{
    return map && map->kind == ONNX_INFER_MAP ? map->item[1] : NULL;
}
