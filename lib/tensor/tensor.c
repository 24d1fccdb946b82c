/* Tensors: description, storage, copies and broadcasting of shapes. */
#include "tensor/tensor.h"

#include "base/checked.h"

#include <stdio.h>
#include <string.h>

oi_status oi_tensor_describe(oi_tensor *t, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    oi_tensor d = {.dtype = dtype, .rank = rank};
    OI_FAIL_IF(!oi_dtype_valid(dtype), ONNX_INFER_E_UNSUPPORTED_TYPE, "element type %d is none of the standard's", (int)dtype);
    OI_FAIL_IF(rank < 0, ONNX_INFER_E_INVALID_ARGUMENT, "a tensor's rank is %d; expected 0 to %d", (int)rank, OI_MAX_RANK);
    OI_FAIL_IF(rank > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "a tensor's rank is %d; this build holds at most %d", (int)rank,
               OI_MAX_RANK);
    bool empty = false, fits = true;
    size_t count = 1;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "dimension %d of a tensor is %lld; expected 0 or more", (int)i,
                    (long long)dims[i]);
            return oi_error_at_axis(i, dims[i], -1);
        }
        d.dim[i] = dims[i];
        if (dims[i])
            fits = fits && oi_mul_size(count, (size_t)dims[i], &count); /* even where it is empty: strides need it */
        else
            empty = true;
    }
    fits = fits && count <= INT64_MAX && oi_dtype_bytes(dtype, empty ? 0 : count, &d.bytes) && d.bytes <= INT64_MAX;
    if (!fits) {
        char text[200];
        return oi_fail(ONNX_INFER_E_LIMIT, "a tensor of %s %s has more elements than memory can address",
                       oi_dims_text(rank, dims, text, sizeof text), oi_dtype_name(dtype));
    }
    *t = d;
    return ONNX_INFER_OK;
}

oi_status oi_tensor_create(const oi_alloc *a, oi_dtype dtype, int32_t rank, const int64_t *dims, oi_tensor *out)
{
    oi_tensor t;
    memset(out, 0, sizeof *out);
    OI_TRY(oi_tensor_describe(&t, dtype, rank, dims));
    if (dtype == ONNX_INFER_STRING)
        OI_TRY(oi_buffer_create_strings(a, t.bytes / sizeof(oi_string), &t.buf));
    else
        OI_TRY(oi_buffer_create(a, t.bytes, &t.buf));
    t.data = oi_buffer_data(t.buf);
    *out = t;
    return ONNX_INFER_OK;
}

void oi_tensor_share(oi_tensor *dst, const oi_tensor *src)
{
    oi_tensor t = *src;
    oi_buffer_retain(t.buf);
    *dst = t;
}

void oi_tensor_share_as(oi_tensor *dst, const oi_tensor *src, int32_t rank, const int64_t *dims)
{
    oi_tensor t = *src;
    memset(t.dim, 0, sizeof t.dim);
    t.rank = rank;
    if (rank > 0)
        memcpy(t.dim, dims, (size_t)rank * sizeof *dims);
    oi_buffer_retain(t.buf);
    *dst = t;
}

oi_status oi_tensor_clone(const oi_alloc *a, const oi_tensor *src, oi_tensor *dst)
{
    oi_tensor t;
    OI_TRY(oi_tensor_create(a, src->dtype, src->rank, src->dim, &t));
    oi_status st = oi_tensor_copy_data(a, src, &t);
    if (st != ONNX_INFER_OK) {
        oi_tensor_clear(&t);
        return st;
    }
    *dst = t;
    return ONNX_INFER_OK;
}

oi_status oi_tensor_copy_data(const oi_alloc *a, const oi_tensor *src, oi_tensor *dst)
{
    if (src->dtype != ONNX_INFER_STRING) {
        if (src->bytes && src->data != dst->data)
            memmove(dst->data, src->data, src->bytes);
        return ONNX_INFER_OK;
    }
    const oi_string *s = src->data;
    if (src->data == dst->data)
        return ONNX_INFER_OK;
    for (size_t i = 0; i < src->bytes / sizeof *s; i++)
        OI_TRY(oi_tensor_set_string(a, dst, i, s[i].text, s[i].n));
    return ONNX_INFER_OK;
}

void oi_tensor_clear(oi_tensor *t)
{
    oi_buffer_release(t->buf);
    memset(t, 0, sizeof *t);
}

oi_status oi_tensor_set_string(const oi_alloc *a, oi_tensor *t, size_t i, const char *text, size_t n)
{
    oi_string *s = (oi_string *)t->data + i;
    if (t->buf)
        a = oi_buffer_alloc(t->buf);
    char *copy = NULL;
    if (n) {
        copy = oi_alloc_text(a, text, n);
        if (!copy)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    oi_free_mem(a, s->text);
    s->text = copy;
    s->n = n;
    return ONNX_INFER_OK;
}

bool oi_tensor_same_shape(const oi_tensor *a, const oi_tensor *b)
{
    return a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

bool oi_tensor_equal(const oi_tensor *a, const oi_tensor *b)
{
    if (a->dtype != b->dtype || !oi_tensor_same_shape(a, b) || a->bytes != b->bytes)
        return false;
    if (a->data == b->data || !a->bytes)
        return true;
    if (a->dtype != ONNX_INFER_STRING)
        return !memcmp(a->data, b->data, a->bytes);
    const oi_string *x = a->data, *y = b->data;
    for (size_t i = 0; i < a->bytes / sizeof *x; i++)
        if (x[i].n != y[i].n || (x[i].n && memcmp(x[i].text, y[i].text, x[i].n)))
            return false;
    return true;
}

const char *oi_dims_text(int32_t rank, const int64_t *dims, char *buf, size_t cap)
{
    size_t used = 0;
    if (!cap)
        return "";
    buf[0] = 0;
    if (rank < 0)
        snprintf(buf, cap, "unknown rank");
    else if (rank == 0)
        snprintf(buf, cap, "scalar");
    for (int32_t i = 0; i < rank && used < cap; i++) {
        int n = snprintf(buf + used, cap - used, i ? "x%lld" : "%lld", (long long)dims[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return buf;
}

bool oi_dims_broadcast(int32_t rank_a, const int64_t *a, int32_t rank_b, const int64_t *b, int32_t *rank, int64_t *out)
{
    int32_t r = rank_a > rank_b ? rank_a : rank_b;
    int64_t result[OI_MAX_RANK];
    if (r > OI_MAX_RANK)
        return false;
    for (int32_t i = 0; i < r; i++) {
        int32_t ia = i - (r - rank_a), ib = i - (r - rank_b);
        int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
        if (da != db && da != 1 && db != 1)
            return false;
        result[i] = da == 1 ? db : da;
    }
    *rank = r;
    memcpy(out, result, (size_t)r * sizeof *out);
    return true;
}

void oi_dims_broadcast_strides(int32_t rank_a, const int64_t *a, int32_t rank, const int64_t *to, int64_t *stride)
{
    int64_t step = 1;
    for (int32_t i = rank; i-- > 0;) {
        int32_t ia = i - (rank - rank_a);
        int64_t d = ia < 0 ? 1 : a[ia];
        stride[i] = ia < 0 || (d == 1 && to[i] != 1) ? 0 : step;
        step *= d;
    }
}
