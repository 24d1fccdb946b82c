/* Reads and writes values as protobuf messages. */
#include "onnx/value_file.h"

#include "onnx/import.h"

#include <string.h>

enum { MAX_DEPTH = 16, MAX_VALUES = 1000000 };
enum { HOLDS_TENSOR = 1, HOLDS_SPARSE, HOLDS_SEQUENCE, HOLDS_MAP, HOLDS_OPTIONAL }; /* elem_type of sequences and optionals */

/* --- reading --------------------------------------------------------------------------------------------------------- */

static oi_status take_tensor(const oi_alloc *a, oi_status status, oi_tensor *t, onnx_infer_value **out)
{
    OI_TRY(status);
    status = oi_value_from_tensor(a, t, out);
    if (status)
        oi_tensor_clear(t);
    return status;
}

static oi_status read_tensor(oi_tensor_reader *r, const OiOnnx__TensorProto *p, onnx_infer_value **out)
{
    oi_tensor t;
    return take_tensor(r->alloc, oi_onnx_read_tensor(r, p, &t), &t, out);
}

static oi_status read_sparse(oi_tensor_reader *r, const OiOnnx__SparseTensorProto *p, onnx_infer_value **out)
{
    oi_tensor t;
    return take_tensor(r->alloc, oi_onnx_read_sparse(r, p, &t), &t, out);
}

static oi_status read_optional(oi_tensor_reader *r, const OiOnnx__OptionalProto *p, onnx_infer_value **out);
static oi_status read_map(oi_tensor_reader *r, const OiOnnx__MapProto *p, onnx_infer_value **out);

static oi_status read_sequence(oi_tensor_reader *r, const OiOnnx__SequenceProto *p, onnx_infer_value **out)
{
    size_t n = p->elem_type == HOLDS_TENSOR     ? p->n_tensor_values
               : p->elem_type == HOLDS_SPARSE   ? p->n_sparse_tensor_values
               : p->elem_type == HOLDS_SEQUENCE ? p->n_sequence_values
               : p->elem_type == HOLDS_MAP      ? p->n_map_values
               : p->elem_type == HOLDS_OPTIONAL ? p->n_optional_values
                                                : 0;
    OI_TRY(oi_value_create(r->alloc, ONNX_INFER_SEQUENCE, out));
    for (size_t i = 0; i < n; i++) {
        onnx_infer_value *item = NULL;
        oi_status status = p->elem_type == HOLDS_TENSOR     ? read_tensor(r, p->tensor_values[i], &item)
                           : p->elem_type == HOLDS_SPARSE   ? read_sparse(r, p->sparse_tensor_values[i], &item)
                           : p->elem_type == HOLDS_SEQUENCE ? read_sequence(r, p->sequence_values[i], &item)
                           : p->elem_type == HOLDS_MAP      ? read_map(r, p->map_values[i], &item)
                                                            : read_optional(r, p->optional_values[i], &item);
        if (!status)
            status = oi_value_push(*out, item);
        oi_value_release(item);
        if (status) {
            oi_value_release(*out);
            *out = NULL;
            return status;
        }
    }
    return ONNX_INFER_OK;
}

static oi_status read_optional(oi_tensor_reader *r, const OiOnnx__OptionalProto *p, onnx_infer_value **out)
{
    onnx_infer_value *item = NULL;
    if (p->tensor_value)
        OI_TRY(read_tensor(r, p->tensor_value, &item));
    else if (p->sparse_tensor_value)
        OI_TRY(read_sparse(r, p->sparse_tensor_value, &item));
    else if (p->sequence_value)
        OI_TRY(read_sequence(r, p->sequence_value, &item));
    else if (p->map_value)
        OI_TRY(read_map(r, p->map_value, &item));
    else if (p->optional_value)
        OI_TRY(read_optional(r, p->optional_value, &item));
    oi_status status = oi_value_create(r->alloc, ONNX_INFER_OPTIONAL, out);
    if (!status && item)
        status = oi_value_push(*out, item);
    oi_value_release(item);
    if (status) {
        oi_value_release(*out);
        *out = NULL;
    }
    return status;
}

static oi_status read_keys(oi_tensor_reader *r, const OiOnnx__MapProto *p, onnx_infer_value **out)
{
    bool strings = p->key_type == ONNX_INFER_STRING;
    int64_t n = (int64_t)(strings ? p->n_string_keys : p->n_keys);
    OI_FAIL_IF(!strings && !oi_dtype_is_int(p->key_type), ONNX_INFER_E_UNSUPPORTED_TYPE, "a map with keys of type %d", (int)p->key_type);
    oi_tensor t;
    oi_status status = oi_tensor_create(r->alloc, p->key_type, 1, &n, &t);
    for (int64_t i = 0; !status && i < n; i++) {
        if (strings)
            status = oi_tensor_set_string(r->alloc, &t, (size_t)i, (const char *)p->string_keys[i].data, p->string_keys[i].len);
        else
            oi_elem_set_int(p->key_type, t.data, (size_t)i, p->keys[i]);
        if (status)
            oi_tensor_clear(&t);
    }
    return take_tensor(r->alloc, status, &t, out);
}

/* A sequence of single elements of one plain type as a tensor; anything else stays. */
static oi_status flatten(const oi_alloc *a, onnx_infer_value **v)
{
    const onnx_infer_value *seq = *v;
    oi_dtype dtype = seq->count && seq->item[0]->kind == ONNX_INFER_TENSOR ? seq->item[0]->tensor.dtype : ONNX_INFER_UNDEFINED;
    if (!dtype || dtype == ONNX_INFER_STRING || oi_dtype_is_packed(dtype))
        return ONNX_INFER_OK;
    for (size_t i = 0; i < seq->count; i++) {
        const onnx_infer_value *item = seq->item[i];
        if (item->kind != ONNX_INFER_TENSOR || item->tensor.dtype != dtype || oi_tensor_count(&item->tensor) != 1)
            return ONNX_INFER_OK;
    }
    oi_tensor t;
    int64_t n = (int64_t)seq->count;
    OI_TRY(oi_tensor_create(a, dtype, 1, &n, &t));
    for (size_t i = 0; i < seq->count; i++)
        memcpy((char *)t.data + i * oi_dtype_size(dtype), seq->item[i]->tensor.data, oi_dtype_size(dtype));
    oi_value_release(*v);
    *v = NULL;
    return take_tensor(a, ONNX_INFER_OK, &t, v);
}

static oi_status read_map(oi_tensor_reader *r, const OiOnnx__MapProto *p, onnx_infer_value **out)
{
    onnx_infer_value *keys = NULL, *values = NULL;
    OI_FAIL_IF(!p->values, ONNX_INFER_E_PARSE, "a map without values");
    oi_status status = read_keys(r, p, &keys);
    if (!status)
        status = read_sequence(r, p->values, &values);
    if (!status && (size_t)oi_tensor_count(&keys->tensor) != values->count)
        status = oi_fail(ONNX_INFER_E_PARSE, "a map with %lld keys and %zu values", (long long)oi_tensor_count(&keys->tensor),
                         values->count);
    if (!status)
        status = flatten(r->alloc, &values);
    if (!status)
        status = oi_value_create(r->alloc, ONNX_INFER_MAP, out);
    if (!status)
        status = oi_value_push(*out, keys);
    if (!status)
        status = oi_value_push(*out, values);
    oi_value_release(keys);
    oi_value_release(values);
    if (status) {
        oi_value_release(*out);
        *out = NULL;
    }
    return status;
}

static oi_status read_kind(oi_tensor_reader *r, oi_arena *scratch, onnx_infer_kind kind, onnx_infer_value **out)
{
    static const ProtobufCMessageDescriptor *const type[] = {
        [ONNX_INFER_TENSOR] = &oi_onnx__tensor_proto__descriptor,
        [ONNX_INFER_SEQUENCE] = &oi_onnx__sequence_proto__descriptor,
        [ONNX_INFER_OPTIONAL] = &oi_onnx__optional_proto__descriptor,
        [ONNX_INFER_MAP] = &oi_onnx__map_proto__descriptor,
    };
    ProtobufCMessage *p;
    OI_FAIL_IF(kind < 0 || (size_t)kind >= sizeof type / sizeof *type, ONNX_INFER_E_INVALID_ARGUMENT, "no kind of value: %d", (int)kind);
    OI_TRY(oi_onnx_unpack(r->alloc, scratch, r->bytes, type[kind], MAX_VALUES, MAX_DEPTH, &p));
    switch (kind) {
    case ONNX_INFER_TENSOR:
        return read_tensor(r, (const OiOnnx__TensorProto *)p, out);
    case ONNX_INFER_SEQUENCE:
        return read_sequence(r, (const OiOnnx__SequenceProto *)p, out);
    case ONNX_INFER_OPTIONAL:
        return read_optional(r, (const OiOnnx__OptionalProto *)p, out);
    default:
        return read_map(r, (const OiOnnx__MapProto *)p, out);
    }
}

oi_status oi_onnx_read_value(const oi_alloc *a, const char *path, onnx_infer_kind kind, onnx_infer_value **out)
{
    oi_source source;
    oi_bytes bytes;
    *out = NULL;
    oi_status status = oi_source_file(a, path, &source, &bytes);
    if (!status) {
        oi_tensor_reader r = {.alloc = a, .bytes = &bytes, .max_tensor_bytes = (uint64_t)64 << 30};
        oi_arena *scratch = oi_arena_create(a);
        status = scratch ? read_kind(&r, scratch, kind, out) : ONNX_INFER_E_OUT_OF_MEMORY;
        oi_arena_destroy(scratch);
        if (status)
            oi_error_prefix("%s: ", path);
    }
    oi_bytes_clear(&bytes);
    oi_source_close(&source);
    return status;
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

oi_status oi_onnx_tensor_message(oi_arena *arena, const oi_tensor *t, bool any_size, OiOnnx__TensorProto **out)
{
    OiOnnx__TensorProto *p = oi_arena_mem(arena, sizeof *p);
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_FAIL_IF(!any_size && t->bytes > INT32_MAX - 4096, ONNX_INFER_E_LIMIT, "a tensor of %zu bytes does not fit in a protobuf message", t->bytes);
    oi_onnx__tensor_proto__init(p);
    *out = p;
    p->n_dims = (size_t)t->rank;
    p->dims = (int64_t *)(uintptr_t)t->dim;
    p->has_data_type = 1;
    p->data_type = t->dtype;
    if (t->dtype != ONNX_INFER_STRING) {
        p->has_raw_data = 1;
        p->raw_data = (ProtobufCBinaryData){t->bytes, t->data};
        return ONNX_INFER_OK;
    }
    const oi_string *s = t->data;
    p->n_string_data = (size_t)oi_tensor_count(t);
    p->string_data = oi_arena_array(arena, p->n_string_data + 1, sizeof *p->string_data);
    if (!p->string_data)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < p->n_string_data; i++)
        p->string_data[i] = (ProtobufCBinaryData){s[i].n, (uint8_t *)s[i].text};
    return ONNX_INFER_OK;
}

static oi_status to_message(oi_arena *arena, const onnx_infer_value *v, ProtobufCMessage **out);

static int32_t holds(const onnx_infer_value *item)
{
    static const int32_t by_kind[] = {
        [ONNX_INFER_TENSOR] = HOLDS_TENSOR,
        [ONNX_INFER_SEQUENCE] = HOLDS_SEQUENCE,
        [ONNX_INFER_OPTIONAL] = HOLDS_OPTIONAL,
        [ONNX_INFER_MAP] = HOLDS_MAP,
    };
    return by_kind[item->kind];
}

static oi_status to_sequence(oi_arena *arena, const onnx_infer_value *v, OiOnnx__SequenceProto **out)
{
    OiOnnx__SequenceProto *p = oi_arena_mem(arena, sizeof *p);
    ProtobufCMessage **list = oi_arena_array(arena, v->count + 1, sizeof *list);
    if (!p || !list)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__sequence_proto__init(p);
    *out = p;
    p->has_elem_type = 1;
    p->elem_type = v->count ? holds(v->item[0]) : HOLDS_TENSOR;
    for (size_t i = 0; i < v->count; i++)
        OI_TRY(to_message(arena, v->item[i], &list[i]));
    switch (p->elem_type) {
    case HOLDS_TENSOR:
        p->n_tensor_values = v->count;
        p->tensor_values = (OiOnnx__TensorProto **)list;
        break;
    case HOLDS_SEQUENCE:
        p->n_sequence_values = v->count;
        p->sequence_values = (OiOnnx__SequenceProto **)list;
        break;
    case HOLDS_MAP:
        p->n_map_values = v->count;
        p->map_values = (OiOnnx__MapProto **)list;
        break;
    default:
        p->n_optional_values = v->count;
        p->optional_values = (OiOnnx__OptionalProto **)list;
    }
    return ONNX_INFER_OK;
}

static oi_status to_optional(oi_arena *arena, const onnx_infer_value *v, OiOnnx__OptionalProto **out)
{
    OiOnnx__OptionalProto *p = oi_arena_mem(arena, sizeof *p);
    ProtobufCMessage *item = NULL;
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__optional_proto__init(p);
    *out = p;
    p->has_elem_type = 1;
    if (!v->count)
        return ONNX_INFER_OK;
    OI_TRY(to_message(arena, v->item[0], &item));
    p->elem_type = holds(v->item[0]);
    switch (p->elem_type) {
    case HOLDS_TENSOR:
        p->tensor_value = (OiOnnx__TensorProto *)item;
        break;
    case HOLDS_SEQUENCE:
        p->sequence_value = (OiOnnx__SequenceProto *)item;
        break;
    case HOLDS_MAP:
        p->map_value = (OiOnnx__MapProto *)item;
        break;
    default:
        p->optional_value = (OiOnnx__OptionalProto *)item;
    }
    return ONNX_INFER_OK;
}

/* The elements of a tensor as tensors of rank 0, or the items of a sequence. */
static oi_status map_values(oi_arena *arena, const onnx_infer_value *v, OiOnnx__SequenceProto **out)
{
    if (v->kind != ONNX_INFER_TENSOR)
        return to_sequence(arena, v, out);
    OiOnnx__SequenceProto *p = oi_arena_mem(arena, sizeof *p);
    size_t n = (size_t)oi_tensor_count(&v->tensor), width = oi_dtype_size(v->tensor.dtype);
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__sequence_proto__init(p);
    *out = p;
    p->has_elem_type = 1;
    p->elem_type = HOLDS_TENSOR;
    p->n_tensor_values = n;
    p->tensor_values = oi_arena_array(arena, n + 1, sizeof *p->tensor_values);
    if (!p->tensor_values)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        oi_tensor one = {.dtype = v->tensor.dtype, .data = (char *)v->tensor.data + i * width, .bytes = width};
        OI_TRY(oi_onnx_tensor_message(arena, &one, false, &p->tensor_values[i]));
        p->tensor_values[i]->dims = NULL;
    }
    return ONNX_INFER_OK;
}

static oi_status to_map(oi_arena *arena, const onnx_infer_value *v, OiOnnx__MapProto **out)
{
    OiOnnx__MapProto *p = oi_arena_mem(arena, sizeof *p);
    const oi_tensor *keys = &v->item[0]->tensor;
    size_t n = (size_t)oi_tensor_count(keys);
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_onnx__map_proto__init(p);
    *out = p;
    p->has_key_type = 1;
    p->key_type = keys->dtype;
    if (keys->dtype == ONNX_INFER_STRING) {
        const oi_string *s = keys->data;
        p->n_string_keys = n;
        p->string_keys = oi_arena_array(arena, n + 1, sizeof *p->string_keys);
        if (!p->string_keys)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (size_t i = 0; i < n; i++)
            p->string_keys[i] = (ProtobufCBinaryData){s[i].n, (uint8_t *)s[i].text};
    } else {
        p->n_keys = n;
        p->keys = oi_arena_array(arena, n + 1, sizeof *p->keys);
        if (!p->keys)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        for (size_t i = 0; i < n; i++)
            p->keys[i] = oi_elem_get_int(keys->dtype, keys->data, i);
    }
    return map_values(arena, v->item[1], &p->values);
}

static oi_status to_message(oi_arena *arena, const onnx_infer_value *v, ProtobufCMessage **out)
{
    switch (v->kind) {
    case ONNX_INFER_TENSOR:
        return oi_onnx_tensor_message(arena, &v->tensor, false, (OiOnnx__TensorProto **)out);
    case ONNX_INFER_SEQUENCE:
        return to_sequence(arena, v, (OiOnnx__SequenceProto **)out);
    case ONNX_INFER_OPTIONAL:
        return to_optional(arena, v, (OiOnnx__OptionalProto **)out);
    default:
        return to_map(arena, v, (OiOnnx__MapProto **)out);
    }
}

typedef struct {
    ProtobufCBuffer base;
    const oi_writer *w;
    oi_status status;
} sink;

static void append(ProtobufCBuffer *buffer, size_t n, const uint8_t *p)
{
    sink *s = (sink *)buffer;
    if (!s->status)
        s->status = oi_write(s->w, p, n);
}

oi_status oi_onnx_pack(const ProtobufCMessage *p, const oi_writer *w)
{
    sink s = {{append}, w, ONNX_INFER_OK};
    protobuf_c_message_pack_to_buffer(p, &s.base);
    return s.status;
}

oi_status oi_onnx_write_value(const onnx_infer_value *v, const oi_writer *w)
{
    oi_arena *arena = oi_arena_create(NULL);
    ProtobufCMessage *p = NULL;
    oi_status status = arena ? to_message(arena, v, &p) : ONNX_INFER_E_OUT_OF_MEMORY;
    if (!status)
        status = oi_onnx_pack(p, w);
    oi_arena_destroy(arena);
    return status;
}
