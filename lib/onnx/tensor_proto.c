/* Reads TensorProto and SparseTensorProto: raw, typed, string and external data, of every element type. */
#include "onnx/tensor_proto.h"

#include "base/checked.h"
#include "onnx/wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FLOAT_DATA = 4, INT32_DATA = 5, INT64_DATA = 7, RAW_DATA = 9, DOUBLE_DATA = 10, UINT64_DATA = 11 };

enum { LARGE_BYTES = 1 << 16 };

static const uint64_t SPARSE_MAX_BYTES = (uint64_t)2 << 30; /* a small file must not make a large dense tensor */

/* Which typed field holds elements of each type. */
static const uint8_t typed_field[OI_DTYPE_COUNT] = {
    [ONNX_INFER_FLOAT] = FLOAT_DATA,
    [ONNX_INFER_COMPLEX64] = FLOAT_DATA,
    [ONNX_INFER_DOUBLE] = DOUBLE_DATA,
    [ONNX_INFER_COMPLEX128] = DOUBLE_DATA,
    [ONNX_INFER_INT64] = INT64_DATA,
    [ONNX_INFER_UINT32] = UINT64_DATA,
    [ONNX_INFER_UINT64] = UINT64_DATA,
    [ONNX_INFER_UINT8] = INT32_DATA,
    [ONNX_INFER_INT8] = INT32_DATA,
    [ONNX_INFER_UINT16] = INT32_DATA,
    [ONNX_INFER_INT16] = INT32_DATA,
    [ONNX_INFER_INT32] = INT32_DATA,
    [ONNX_INFER_BOOL] = INT32_DATA,
    [ONNX_INFER_FLOAT16] = INT32_DATA,
    [ONNX_INFER_BFLOAT16] = INT32_DATA,
    [ONNX_INFER_FLOAT8E4M3FN] = INT32_DATA,
    [ONNX_INFER_FLOAT8E4M3FNUZ] = INT32_DATA,
    [ONNX_INFER_FLOAT8E5M2] = INT32_DATA,
    [ONNX_INFER_FLOAT8E5M2FNUZ] = INT32_DATA,
    [ONNX_INFER_FLOAT8E8M0] = INT32_DATA,
    [ONNX_INFER_UINT4] = INT32_DATA,
    [ONNX_INFER_INT4] = INT32_DATA,
    [ONNX_INFER_FLOAT4E2M1] = INT32_DATA,
    [ONNX_INFER_UINT2] = INT32_DATA,
    [ONNX_INFER_INT2] = INT32_DATA,
    [ONNX_INFER_FLOAT6E2M3] = INT32_DATA,
    [ONNX_INFER_FLOAT6E3M2] = INT32_DATA,
};

/* Uses `at` in the source's memory where it is aligned and has room behind it for vector loads; else a copy. Large
 * constants of graphs stay where they are even unaligned: most are only read to be packed. */
static oi_status use_or_copy(oi_tensor_reader *r, const oi_bytes *b, const uint8_t *at, oi_tensor *t)
{
    bool roomy = b->mapped || (size_t)(b->data + b->size - at) >= t->bytes + OI_ALIGN;
    bool fits = (uintptr_t)at % oi_dtype_align(t->dtype) == 0 || (r->unaligned && t->bytes >= LARGE_BYTES);
    if (roomy && fits && t->dtype != ONNX_INFER_BOOL) {
        t->buf = oi_buffer_retain(b->buf);
        t->data = (void *)(uintptr_t)at;
        r->in_place += t->bytes;
        return ONNX_INFER_OK;
    }
    OI_TRY(oi_buffer_create(r->alloc, t->bytes, &t->buf));
    t->data = oi_buffer_data(t->buf);
    r->copied += t->bytes;
    if (t->dtype == ONNX_INFER_BOOL) {
        for (size_t i = 0; i < t->bytes; i++)
            ((uint8_t *)t->data)[i] = at[i] != 0;
    } else if (t->bytes) {
        memcpy(t->data, at, t->bytes);
    }
    oi_buffer_drop_pages(b->buf, at, t->bytes);
    return ONNX_INFER_OK;
}

static oi_status read_raw(oi_tensor_reader *r, const oi_bytes *b, uint64_t offset, uint64_t n, oi_tensor *t)
{
    OI_FAIL_IF(n != t->bytes, ONNX_INFER_E_INVALID_MODEL, "its shape and type need %zu bytes of data, the file has %" PRIu64,
               t->bytes, n);
    return use_or_copy(r, b, b->data + offset, t);
}

static const char *external_entry(const OiOnnx__TensorProto *p, const char *key)
{
    for (size_t i = 0; i < p->n_external_data; i++)
        if (p->external_data[i]->key && !strcmp(p->external_data[i]->key, key))
            return p->external_data[i]->value ? p->external_data[i]->value : "";
    return NULL;
}

static oi_status external_number(const OiOnnx__TensorProto *p, const char *key, uint64_t *v, bool *there)
{
    const char *text = external_entry(p, key);
    char *end;
    *there = text && *text;
    if (!*there)
        return ONNX_INFER_OK;
    *v = strtoull(text, &end, 10);
    OI_FAIL_IF(*end || *text < '0' || *text > '9', ONNX_INFER_E_INVALID_MODEL, "external data: %s \"%s\" is no number", key, text);
    return ONNX_INFER_OK;
}

static oi_status read_external(oi_tensor_reader *r, const OiOnnx__TensorProto *p, oi_tensor *t)
{
    const char *location = external_entry(p, "location");
    uint64_t offset = 0, n = 0;
    bool has_offset, has_length;
    const oi_bytes *b;
    OI_FAIL_IF(!location, ONNX_INFER_E_INVALID_MODEL, "external data without a location");
    OI_FAIL_IF(!r->source, ONNX_INFER_E_INVALID_MODEL, "external data ('%s') cannot be used here", location);
    OI_TRY(external_number(p, "offset", &offset, &has_offset));
    OI_TRY(external_number(p, "length", &n, &has_length));
    if (t->bytes == 0)
        return read_raw(r, r->bytes, 0, 0, t);
    OI_TRY(oi_source_external(r->source, location, &b));
    if (!has_length)
        n = t->bytes;
    OI_FAIL_IF(offset > b->size || n > b->size - offset, ONNX_INFER_E_INVALID_MODEL,
               "external data: %" PRIu64 " bytes at %" PRIu64 " are not in '%s', which has %zu", n, offset, location, b->size);
    return read_raw(r, b, offset, n, t);
}

/* Types of 6 bits have a number for each element, other packed ones one for each byte of elements. */
static bool one_each(oi_dtype t)
{
    return oi_dtype_get(t)->bits == 6;
}

/* Stores the low bytes of v as number i of the tensor's data. */
static void store(oi_tensor *t, uint64_t i, size_t width, uint64_t v)
{
    if (one_each(t->dtype))
        oi_packed_set(t->dtype, t->data, i, (uint32_t)(v & 63));
    else
        memcpy((uint8_t *)t->data + i * width, &v, width); /* little-endian, as the library's machines are */
}

static oi_status too_many(uint64_t got, uint64_t want)
{
    return oi_fail(ONNX_INFER_E_INVALID_MODEL, "its shape needs %" PRIu64 " numbers, the file has %s%" PRIu64, want,
                   got > want ? "at least " : "", got);
}

/* Typed data in their packed form: pieces of varints, or of fixed 4- or 8-byte numbers. */
static oi_status read_packed(oi_tensor_reader *r, const OiOnnx__TensorProto *p, uint32_t field, size_t width, uint64_t want,
                             oi_tensor *t)
{
    const uint64_t *piece = p->payload;
    bool fixed = field == FLOAT_DATA || field == DOUBLE_DATA;
    if (fixed && p->n_payload == 3)
        return read_raw(r, r->bytes, piece[1], piece[2], t);
    OI_TRY(oi_buffer_create(r->alloc, t->bytes, &t->buf));
    uint8_t *to = t->data = oi_buffer_data(t->buf);
    uint64_t got = 0;
    if (one_each(t->dtype))
        memset(to, 0, t->bytes);
    r->copied += t->bytes;
    for (size_t i = 0; i < p->n_payload; i += 3) {
        const uint8_t *at = r->bytes->data + piece[i + 1], *end = at + piece[i + 2];
        if (fixed) {
            uint64_t n = piece[i + 2] / width;
            if (piece[i + 2] % width || n > want - got)
                return too_many(got + n, want);
            memcpy(to + got * width, at, piece[i + 2]);
            got += n;
            continue;
        }
        while (at < end) {
            uint64_t v;
            OI_FAIL_IF(!oi_wire_varint(&at, end, &v), ONNX_INFER_E_PARSE, "a number of its data is cut off");
            if (got == want)
                return too_many(got + 1, want);
            store(t, got++, width, v);
        }
        oi_buffer_drop_pages(r->bytes->buf, r->bytes->data + piece[i + 1], piece[i + 2]);
    }
    return got == want ? ONNX_INFER_OK : too_many(got, want);
}

/* Typed data one by one, as protobuf-c has read them. */
static oi_status read_single(oi_tensor_reader *r, const OiOnnx__TensorProto *p, uint32_t field, size_t width, uint64_t want,
                             oi_tensor *t)
{
    uint64_t n = field == FLOAT_DATA    ? p->n_float_data
                 : field == DOUBLE_DATA ? p->n_double_data
                 : field == INT64_DATA  ? p->n_int64_data
                 : field == UINT64_DATA ? p->n_uint64_data
                                        : p->n_int32_data;
    if (n != want)
        return n ? too_many(n, want) : oi_fail(ONNX_INFER_E_INVALID_MODEL, "it has no data");
    OI_TRY(oi_buffer_create(r->alloc, t->bytes, &t->buf));
    uint8_t *to = t->data = oi_buffer_data(t->buf);
    if (one_each(t->dtype))
        memset(to, 0, t->bytes);
    r->copied += t->bytes;
    for (uint64_t i = 0; i < n; i++) {
        if (field == FLOAT_DATA)
            memcpy(to + i * width, &p->float_data[i], width);
        else if (field == DOUBLE_DATA)
            memcpy(to + i * width, &p->double_data[i], width);
        else
            store(t, i, width,
                  field == INT64_DATA    ? (uint64_t)p->int64_data[i]
                  : field == UINT64_DATA ? p->uint64_data[i]
                                         : (uint64_t)(int64_t)p->int32_data[i]);
    }
    return ONNX_INFER_OK;
}

static oi_status read_typed(oi_tensor_reader *r, const OiOnnx__TensorProto *p, oi_tensor *t)
{
    uint32_t field = typed_field[t->dtype];
    uint64_t want = t->bytes;
    size_t width = 1; /* packed sub-byte types: a byte of elements in each number */
    for (size_t i = 0; i < p->n_payload; i += 3)
        OI_FAIL_IF(p->payload[i] != field, ONNX_INFER_E_INVALID_MODEL, "its data are in the field of another type than %s",
                   oi_dtype_name(t->dtype));
    if (one_each(t->dtype)) {
        want = (uint64_t)oi_tensor_count(t);
    } else if (!oi_dtype_is_packed(t->dtype)) {
        width = field == FLOAT_DATA ? 4 : field == DOUBLE_DATA ? 8 : oi_dtype_size(t->dtype);
        want = t->bytes / width;
    }
    size_t single = p->n_float_data + p->n_int32_data + p->n_int64_data + p->n_double_data + p->n_uint64_data;
    OI_FAIL_IF(single && p->n_payload, ONNX_INFER_E_INVALID_MODEL, "its data are partly packed and partly not");
    OI_TRY(p->n_payload ? read_packed(r, p, field, width, want, t) : read_single(r, p, field, width, want, t));
    if (t->dtype == ONNX_INFER_BOOL)
        for (size_t i = 0; i < t->bytes; i++)
            ((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
    return ONNX_INFER_OK;
}

static oi_status read_strings(oi_tensor_reader *r, const OiOnnx__TensorProto *p, oi_tensor *t)
{
    size_t n = (size_t)oi_tensor_count(t);
    if (p->n_string_data != n)
        return too_many(p->n_string_data, n);
    OI_TRY(oi_buffer_create_strings(r->alloc, n, &t->buf));
    t->data = oi_buffer_data(t->buf);
    r->copied += t->bytes;
    for (size_t i = 0; i < n; i++)
        OI_TRY(oi_tensor_set_string(r->alloc, t, i, (const char *)p->string_data[i].data, p->string_data[i].len));
    return ONNX_INFER_OK;
}

static oi_status read_data(oi_tensor_reader *r, const OiOnnx__TensorProto *p, oi_tensor *t)
{
    if (t->dtype == ONNX_INFER_STRING)
        return read_strings(r, p, t);
    if (p->data_location == 1)
        return read_external(r, p, t);
    if (t->bytes == 0)
        return oi_buffer_create(r->alloc, 0, &t->buf);
    if (p->n_payload && p->payload[p->n_payload - 3] == RAW_DATA)
        return read_raw(r, r->bytes, p->payload[p->n_payload - 2], p->payload[p->n_payload - 1], t);
    return read_typed(r, p, t);
}

static oi_status describe(oi_tensor_reader *r, int32_t dtype, size_t rank, const int64_t *dims, uint64_t max, oi_tensor *t)
{
    memset(t, 0, sizeof *t);
    OI_FAIL_IF(!oi_dtype_valid(dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "element type %d is unknown to this build", (int)dtype);
    OI_FAIL_IF(rank > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "rank %zu is above %d", rank, OI_MAX_RANK);
    for (size_t i = 0; i < rank; i++)
        OI_FAIL_IF(dims[i] < 0, ONNX_INFER_E_INVALID_MODEL, "dimension %zu is %" PRId64, i, dims[i]);
    OI_TRY(oi_tensor_describe(t, dtype, (int32_t)rank, dims));
    max = max < r->max_tensor_bytes ? max : r->max_tensor_bytes;
    OI_FAIL_IF(t->bytes > max, ONNX_INFER_E_LIMIT, "its shape asks for %zu bytes; limit \"tensor_bytes\" is %" PRIu64, t->bytes, max);
    return ONNX_INFER_OK;
}

static oi_status in_tensor(const char *name, oi_status status)
{
    if (status && name && *name && !oi_error_current()->tensor[0]) {
        oi_error_prefix("tensor '%s': ", name);
        oi_error_at_tensor(name);
    }
    return status;
}

oi_status oi_onnx_read_tensor(oi_tensor_reader *r, const OiOnnx__TensorProto *p, oi_tensor *out)
{
    oi_status status = describe(r, p->data_type, p->n_dims, p->dims, UINT64_MAX, out);
    if (!status && p->segment)
        status = oi_fail(ONNX_INFER_E_INVALID_MODEL, "data in segments are not supported");
    if (!status)
        status = read_data(r, p, out);
    if (!status)
        out->data = out->data ? out->data : oi_buffer_data(out->buf);
    else
        oi_tensor_clear(out);
    return in_tensor(p->name, status);
}

/* The flat place of non-zero element i; false where it lies outside. */
static bool sparse_place(const oi_tensor *index, int64_t i, const oi_tensor *dense, int64_t count, int64_t *place)
{
    const int64_t *v = index->data;
    if (index->rank == 1) {
        *place = v[i];
        return v[i] >= 0 && v[i] < count;
    }
    *place = 0;
    for (int32_t axis = 0; axis < dense->rank; axis++) {
        int64_t at = v[i * dense->rank + axis];
        if (at < 0 || at >= dense->dim[axis])
            return false;
        *place = *place * dense->dim[axis] + at;
    }
    return true;
}

static oi_status scatter(oi_tensor_reader *r, const oi_tensor *value, const oi_tensor *index, oi_tensor *out)
{
    int64_t n = oi_tensor_count(value), count = oi_tensor_count(out);
    bool ok = value->rank == 1 && index->dtype == ONNX_INFER_INT64 &&
              ((index->rank == 1 && index->dim[0] == n) ||
               (index->rank == 2 && index->dim[0] == n && index->dim[1] == out->rank));
    OI_FAIL_IF(!ok, ONNX_INFER_E_INVALID_MODEL, "its indices do not fit its values and shape");
    OI_FAIL_IF(oi_dtype_is_packed(out->dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "sparse %s", oi_dtype_name(out->dtype));
    bool strings = out->dtype == ONNX_INFER_STRING;
    size_t width = oi_dtype_size(out->dtype);
    OI_TRY(strings ? oi_buffer_create_strings(r->alloc, (size_t)count, &out->buf)
                   : oi_buffer_create(r->alloc, out->bytes, &out->buf));
    out->data = oi_buffer_data(out->buf);
    r->copied += out->bytes;
    if (!strings)
        memset(out->data, 0, out->bytes);
    for (int64_t i = 0; i < n; i++) {
        int64_t place;
        OI_FAIL_IF(!sparse_place(index, i, out, count, &place), ONNX_INFER_E_INVALID_MODEL, "index %" PRId64 " is outside its shape", i);
        if (strings) {
            const oi_string *s = (const oi_string *)value->data + i;
            OI_TRY(oi_tensor_set_string(r->alloc, out, (size_t)place, s->text, s->n));
        } else {
            memcpy((char *)out->data + (size_t)place * width, (const char *)value->data + (size_t)i * width, width);
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_onnx_read_sparse(oi_tensor_reader *r, const OiOnnx__SparseTensorProto *p, oi_tensor *out)
{
    oi_tensor value = {0}, index = {0};
    memset(out, 0, sizeof *out);
    OI_FAIL_IF(!p->values || !p->indices, ONNX_INFER_E_INVALID_MODEL, "a sparse tensor without values or indices");
    bool unaligned = r->unaligned;
    r->unaligned = false; /* both are read here */
    oi_status status = oi_onnx_read_tensor(r, p->values, &value);
    if (!status)
        status = oi_onnx_read_tensor(r, p->indices, &index);
    r->unaligned = unaligned;
    if (!status)
        status = describe(r, value.dtype, p->n_dims, p->dims, SPARSE_MAX_BYTES, out);
    if (!status)
        status = scatter(r, &value, &index, out);
    oi_tensor_clear(&value);
    oi_tensor_clear(&index);
    if (status)
        oi_tensor_clear(out);
    return in_tensor(p->values->name, status);
}
