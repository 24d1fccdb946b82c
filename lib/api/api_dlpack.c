/* Exchange of tensors by DLPack's versioned struct. */
#include "api/api_check.h"
#include "tensor/gather.h"
#include "tensor/value.h"

#include <string.h>

/* As DLPack 1.x lays them out; the names of the fields are ours. */
typedef struct {
    int32_t type, id;
} dl_device;

typedef struct {
    uint8_t code, bits;
    uint16_t lanes;
} dl_type;

typedef struct {
    void *data;
    dl_device device;
    int32_t rank;
    dl_type type;
    int64_t *dims, *strides; /* strides in elements; NULL: dense */
    uint64_t offset;         /* bytes */
} dl_tensor;

typedef struct dl_managed dl_managed;
struct dl_managed {
    uint32_t major, minor;
    void *user;
    void (*deleter)(dl_managed *self);
    uint64_t flags;
    dl_tensor tensor;
};

enum { DL_MAJOR = 1, DL_MINOR = 1, DL_CPU = 1, DL_CUDA_HOST = 3 };
enum { DL_READ_ONLY = 1, DL_PADDED = 4 };

static const struct { dl_type type; onnx_infer_dtype dtype; } types[] = {
    {{0, 8, 1}, ONNX_INFER_INT8}, {{0, 16, 1}, ONNX_INFER_INT16}, {{0, 32, 1}, ONNX_INFER_INT32}, {{0, 64, 1}, ONNX_INFER_INT64},
    {{1, 8, 1}, ONNX_INFER_UINT8}, {{1, 16, 1}, ONNX_INFER_UINT16}, {{1, 32, 1}, ONNX_INFER_UINT32},
    {{1, 64, 1}, ONNX_INFER_UINT64}, {{2, 16, 1}, ONNX_INFER_FLOAT16}, {{2, 32, 1}, ONNX_INFER_FLOAT},
    {{2, 64, 1}, ONNX_INFER_DOUBLE}, {{4, 16, 1}, ONNX_INFER_BFLOAT16}, {{5, 64, 1}, ONNX_INFER_COMPLEX64},
    {{5, 128, 1}, ONNX_INFER_COMPLEX128}, {{6, 8, 1}, ONNX_INFER_BOOL}, {{10, 8, 1}, ONNX_INFER_FLOAT8E4M3FN},
    {{11, 8, 1}, ONNX_INFER_FLOAT8E4M3FNUZ}, {{12, 8, 1}, ONNX_INFER_FLOAT8E5M2}, {{13, 8, 1}, ONNX_INFER_FLOAT8E5M2FNUZ},
    {{14, 8, 1}, ONNX_INFER_FLOAT8E8M0}, {{0, 4, 1}, ONNX_INFER_INT4}, {{1, 4, 1}, ONNX_INFER_UINT4},
    {{0, 2, 1}, ONNX_INFER_INT2}, {{1, 2, 1}, ONNX_INFER_UINT2}, {{17, 4, 1}, ONNX_INFER_FLOAT4E2M1},
};

static onnx_infer_dtype dtype_of(const dl_tensor *t)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!memcmp(&types[i].type, &t->type, sizeof t->type))
            return types[i].dtype;
    }
    return ONNX_INFER_UNDEFINED;
}

static void give_back(void *user, void *data)
{
    dl_managed *m = user;
    (void)data;
    if (m->deleter)
        m->deleter(m);
}

static oi_status check(const dl_managed *m)
{
    const dl_tensor *t = &m->tensor;
    OI_FAIL_IF(m->major != DL_MAJOR, ONNX_INFER_E_UNSUPPORTED_VERSION, "the tensor is of DLPack %u.%u; expected %d.x", m->major,
               m->minor, DL_MAJOR);
    OI_FAIL_IF(t->device.type != DL_CPU && t->device.type != DL_CUDA_HOST, ONNX_INFER_E_BACKEND_UNAVAILABLE,
               "the tensor is on a device of DLPack's type %d; copy it to the CPU", (int)t->device.type);
    OI_FAIL_IF(dtype_of(t) == ONNX_INFER_UNDEFINED || (m->flags & DL_PADDED), ONNX_INFER_E_UNSUPPORTED_TYPE,
               "an element type of code %u, %u bits, %u lanes is not supported", t->type.code, t->type.bits, t->type.lanes);
    OI_FAIL_IF(t->rank > 0 && !t->dims, ONNX_INFER_E_INVALID_ARGUMENT, "the tensor has no shape");
    return ONNX_INFER_OK;
}

onnx_infer_status onnx_infer_tensor_from_dlpack(void *managed, onnx_infer_value **out)
{
    dl_managed *m = managed;
    oi_tensor t;
    int64_t stride[OI_MAX_RANK];
    OI_NEED(out);
    *out = NULL;
    OI_NEED(m);
    OI_TRY(check(m));
    OI_TRY(oi_tensor_describe(&t, dtype_of(&m->tensor), m->tensor.rank, m->tensor.dims));
    size_t size = oi_dtype_size(t.dtype);
    bool dense = true, packed = oi_dtype_is_packed(t.dtype);
    char *data = (char *)m->tensor.data + m->tensor.offset;
    OI_FAIL_IF(!m->tensor.data && t.bytes, ONNX_INFER_E_INVALID_ARGUMENT, "the tensor has no data");
    for (int32_t i = 0; m->tensor.strides && i < t.rank; i++)
        stride[i] = m->tensor.strides[i] * (packed ? 1 : (int64_t)size);
    if (m->tensor.strides)
        dense = oi_strides_are_dense(&t, stride);
    OI_FAIL_IF(!dense && packed, ONNX_INFER_E_UNSUPPORTED_TYPE, "tensors of %s must be dense", oi_dtype_name(t.dtype));
    if (dense && (uintptr_t)data % oi_dtype_align(t.dtype) == 0) {
        OI_TRY(oi_buffer_wrap(NULL, data, t.bytes, NULL, NULL, &t.buf));
        t.data = data;
    } else {
        for (int32_t i = t.rank; dense && i-- > 0;)
            stride[i] = i == t.rank - 1 ? (int64_t)size : stride[i + 1] * t.dim[i + 1];
        OI_TRY(oi_tensor_create(NULL, t.dtype, t.rank, m->tensor.dims, &t));
        oi_tensor_gather(&t, data, stride);
    }
    bool copied = t.data != data;
    oi_status st = oi_value_from_tensor(NULL, &t, out);
    if (st != ONNX_INFER_OK) {
        oi_tensor_clear(&t);
        return st;
    }
    (*out)->read_only = !copied && (m->flags & DL_READ_ONLY);
    if (copied)
        give_back(m, NULL);
    else
        oi_buffer_on_free((*out)->tensor.buf, give_back, m); /* only now: a failed call consumes nothing */
    return ONNX_INFER_OK;
}

typedef struct {
    dl_managed managed; /* first */
    onnx_infer_value *value;
    int64_t dims[OI_MAX_RANK], strides[OI_MAX_RANK];
} exported;

static void release(dl_managed *m)
{
    exported *x = (exported *)m;
    oi_value_release(x->value);
    oi_free_mem(NULL, x);
}

onnx_infer_status onnx_infer_tensor_to_dlpack(onnx_infer_value *v, void **out)
{
    OI_NEED(out);
    *out = NULL;
    OI_NEED(v);
    OI_FAIL_IF(v->kind != ONNX_INFER_TENSOR, ONNX_INFER_E_TYPE_MISMATCH, "the value is no tensor");
    const oi_tensor *t = &v->tensor;
    size_t k = 0;
    while (k < sizeof types / sizeof *types && types[k].dtype != t->dtype)
        k++;
    OI_FAIL_IF(k == sizeof types / sizeof *types, ONNX_INFER_E_UNSUPPORTED_TYPE, "DLPack has no element type for %s",
               oi_dtype_name(t->dtype));
    exported *x = oi_alloc_mem(NULL, sizeof *x);
    if (!x)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    int64_t stride = 1;
    for (int32_t i = t->rank; i-- > 0;) {
        x->dims[i] = t->dim[i];
        x->strides[i] = stride;
        stride *= t->dim[i] > 0 ? t->dim[i] : 1;
    }
    x->value = oi_value_retain(v);
    x->managed = (dl_managed){
        .major = DL_MAJOR, .minor = DL_MINOR, .deleter = release, .flags = v->read_only ? DL_READ_ONLY : 0,
        .tensor = {.data = t->data, .device = {DL_CPU, 0}, .rank = t->rank, .type = types[k].type, .dims = x->dims,
                   .strides = x->strides},
    };
    *out = &x->managed;
    return ONNX_INFER_OK;
}
