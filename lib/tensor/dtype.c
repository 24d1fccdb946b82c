/* The table of element types, and single elements of any type. */
#include "tensor/dtype.h"

#include "base/checked.h"
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

enum {
    F = OI_DTYPE_IS_FLOAT,
    I = OI_DTYPE_IS_INT,
    S = OI_DTYPE_IS_INT | OI_DTYPE_IS_SIGNED,
    C = OI_DTYPE_IS_COMPLEX,
    P = OI_DTYPE_IS_PACKED,
};

static const oi_dtype_info infos[OI_DTYPE_COUNT] = {
    [ONNX_INFER_UNDEFINED] = {"undefined", 0, 0},
    [ONNX_INFER_FLOAT] = {"float32", 32, F},
    [ONNX_INFER_UINT8] = {"uint8", 8, I},
    [ONNX_INFER_INT8] = {"int8", 8, S},
    [ONNX_INFER_UINT16] = {"uint16", 16, I},
    [ONNX_INFER_INT16] = {"int16", 16, S},
    [ONNX_INFER_INT32] = {"int32", 32, S},
    [ONNX_INFER_INT64] = {"int64", 64, S},
    [ONNX_INFER_STRING] = {"string", 8 * sizeof(oi_string), 0},
    [ONNX_INFER_BOOL] = {"bool", 8, 0},
    [ONNX_INFER_FLOAT16] = {"float16", 16, F},
    [ONNX_INFER_DOUBLE] = {"float64", 64, F},
    [ONNX_INFER_UINT32] = {"uint32", 32, I},
    [ONNX_INFER_UINT64] = {"uint64", 64, I},
    [ONNX_INFER_COMPLEX64] = {"complex64", 64, C},
    [ONNX_INFER_COMPLEX128] = {"complex128", 128, C},
    [ONNX_INFER_BFLOAT16] = {"bfloat16", 16, F},
    [ONNX_INFER_FLOAT8E4M3FN] = {"float8_e4m3fn", 8, F},
    [ONNX_INFER_FLOAT8E4M3FNUZ] = {"float8_e4m3fnuz", 8, F},
    [ONNX_INFER_FLOAT8E5M2] = {"float8_e5m2", 8, F},
    [ONNX_INFER_FLOAT8E5M2FNUZ] = {"float8_e5m2fnuz", 8, F},
    [ONNX_INFER_UINT4] = {"uint4", 4, I | P},
    [ONNX_INFER_INT4] = {"int4", 4, S | P},
    [ONNX_INFER_FLOAT4E2M1] = {"float4_e2m1fn", 4, F | P},
    [ONNX_INFER_FLOAT8E8M0] = {"float8_e8m0fnu", 8, F},
    [ONNX_INFER_UINT2] = {"uint2", 2, I | P},
    [ONNX_INFER_INT2] = {"int2", 2, S | P},
    [ONNX_INFER_FLOAT6E2M3] = {"float6_e2m3fn", 6, F | P},
    [ONNX_INFER_FLOAT6E3M2] = {"float6_e3m2fn", 6, F | P},
};

bool oi_dtype_valid(oi_dtype t)
{
    return t > ONNX_INFER_UNDEFINED && t < OI_DTYPE_COUNT;
}

const oi_dtype_info *oi_dtype_get(oi_dtype t)
{
    return &infos[oi_dtype_valid(t) ? t : ONNX_INFER_UNDEFINED];
}

size_t oi_dtype_align(oi_dtype t)
{
    size_t n = oi_dtype_size(t);
    return t == ONNX_INFER_STRING ? sizeof(void *) : oi_dtype_is_complex(t) ? n / 2 : n ? n : 1;
}

bool oi_dtype_bytes(oi_dtype t, size_t count, size_t *bytes)
{
    if (!oi_dtype_valid(t))
        return false;
    size_t bits = infos[t].bits;
    if (bits >= 8)
        return oi_mul_size(count, bits / 8, bytes);
    size_t rest = count % 8 * bits; /* eight elements are `bits` bytes */
    *bytes = count / 8 * bits + (rest + 7) / 8;
    return true;
}

uint32_t oi_packed_get(oi_dtype t, const void *data, size_t i)
{
    unsigned bits = infos[t].bits, at = (unsigned)(i % 8) * bits, mask = (1u << bits) - 1;
    const uint8_t *byte = (const uint8_t *)data + i / 8 * bits + at / 8;
    at %= 8;
    uint32_t v = (uint32_t)byte[0] >> at;
    if (at + bits > 8)
        v |= (uint32_t)byte[1] << (8 - at);
    return v & mask;
}

void oi_packed_set(oi_dtype t, void *data, size_t i, uint32_t v)
{
    unsigned bits = infos[t].bits, at = (unsigned)(i % 8) * bits;
    uint32_t mask = (1u << bits) - 1;
    uint8_t *byte = (uint8_t *)data + i / 8 * bits + at / 8;
    at %= 8;
    v &= mask;
    byte[0] = (uint8_t)((byte[0] & ~(mask << at)) | v << at);
    if (at + bits > 8)
        byte[1] = (uint8_t)((byte[1] & ~(mask >> (8 - at))) | v >> (8 - at));
}

/* Storage may be unaligned (bytes of a mapped file), so elements are moved by memcpy. */
#define LOAD(T, name) \
    T name;           \
    memcpy(&name, (const char *)data + i * sizeof(T), sizeof(T))
#define STORE(T, value)                                            \
    do {                                                           \
        T stored_ = (T)(value);                                    \
        memcpy((char *)data + i * sizeof(T), &stored_, sizeof(T)); \
    } while (0)

double oi_elem_get_double(oi_dtype t, const void *data, size_t i)
{
    switch (t) {
    case ONNX_INFER_FLOAT:
    case ONNX_INFER_COMPLEX64: {
        i <<= t == ONNX_INFER_COMPLEX64;
        LOAD(float, v);
        return v;
    }
    case ONNX_INFER_DOUBLE:
    case ONNX_INFER_COMPLEX128: {
        i <<= t == ONNX_INFER_COMPLEX128;
        LOAD(double, v);
        return v;
    }
    case ONNX_INFER_FLOAT16: {
        LOAD(uint16_t, v);
        return oi_half_to_float(v);
    }
    case ONNX_INFER_BFLOAT16: {
        LOAD(uint16_t, v);
        return oi_bfloat16_to_float(v);
    }
    case ONNX_INFER_UINT64: {
        LOAD(uint64_t, v);
        return (double)v;
    }
    default:
        if (oi_dtype_is_float(t))
            return oi_float8_to_float(t, oi_dtype_is_packed(t) ? (uint8_t)oi_packed_get(t, data, i) : ((const uint8_t *)data)[i]);
        return (double)oi_elem_get_int(t, data, i);
    }
}

int64_t oi_elem_get_int(oi_dtype t, const void *data, size_t i)
{
    switch (t) {
    case ONNX_INFER_BOOL:
    case ONNX_INFER_UINT8: return ((const uint8_t *)data)[i];
    case ONNX_INFER_INT8: return ((const int8_t *)data)[i];
    case ONNX_INFER_UINT16: {
        LOAD(uint16_t, v);
        return v;
    }
    case ONNX_INFER_INT16: {
        LOAD(int16_t, v);
        return v;
    }
    case ONNX_INFER_INT32: {
        LOAD(int32_t, v);
        return v;
    }
    case ONNX_INFER_UINT32: {
        LOAD(uint32_t, v);
        return v;
    }
    case ONNX_INFER_INT64:
    case ONNX_INFER_UINT64: {
        LOAD(int64_t, v);
        return v;
    }
    case ONNX_INFER_UINT4:
    case ONNX_INFER_UINT2: return oi_packed_get(t, data, i);
    case ONNX_INFER_INT4: return (int64_t)(oi_packed_get(t, data, i) ^ 8) - 8;
    case ONNX_INFER_INT2: return (int64_t)(oi_packed_get(t, data, i) ^ 2) - 2;
    default:
        if (oi_dtype_is_float(t) || oi_dtype_is_complex(t)) {
            double v = oi_elem_get_double(t, data, i);
            return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
        }
        return 0;
    }
}

void oi_elem_set_double(oi_dtype t, void *data, size_t i, double v)
{
    switch (t) {
    case ONNX_INFER_FLOAT: STORE(float, v); return;
    case ONNX_INFER_DOUBLE: STORE(double, v); return;
    case ONNX_INFER_FLOAT16: STORE(uint16_t, oi_half_from_double(v)); return;
    case ONNX_INFER_BFLOAT16: STORE(uint16_t, oi_bfloat16_from_float((float)v)); return;
    case ONNX_INFER_COMPLEX64: {
        float pair[2] = {(float)v, 0};
        memcpy((char *)data + i * sizeof pair, pair, sizeof pair);
        return;
    }
    case ONNX_INFER_COMPLEX128: {
        double pair[2] = {v, 0};
        memcpy((char *)data + i * sizeof pair, pair, sizeof pair);
        return;
    }
    case ONNX_INFER_BOOL: ((uint8_t *)data)[i] = v != 0; return;
    case ONNX_INFER_UINT64:
        if (v >= 0x1p63) {
            STORE(uint64_t, v < 0x1p64 ? (uint64_t)v : 0);
            return;
        }
        break;
    default:
        if (oi_dtype_is_float(t)) {
            uint8_t code = oi_float8_from_float(t, (float)v, true);
            if (oi_dtype_is_packed(t))
                oi_packed_set(t, data, i, code);
            else
                ((uint8_t *)data)[i] = code;
            return;
        }
    }
    if (!oi_dtype_is_int(t))
        return;
    /* Towards zero; what an int32 or int64 cannot hold becomes the lowest, narrower types keep the low bits. */
    bool narrow = infos[t].bits <= 32 && t != ONNX_INFER_UINT32;
    double low = narrow ? -0x1p31 : -0x1p63, high = narrow ? 0x1p31 : 0x1p63;
    v = trunc(v);
    oi_elem_set_int(t, data, i, v >= low && v < high ? (int64_t)v : (int64_t)low);
}

void oi_elem_set_int(oi_dtype t, void *data, size_t i, int64_t v)
{
    switch (t) {
    case ONNX_INFER_BOOL: ((uint8_t *)data)[i] = v != 0; return;
    case ONNX_INFER_UINT8:
    case ONNX_INFER_INT8: ((uint8_t *)data)[i] = (uint8_t)v; return;
    case ONNX_INFER_UINT16:
    case ONNX_INFER_INT16: STORE(uint16_t, v); return;
    case ONNX_INFER_INT32:
    case ONNX_INFER_UINT32: STORE(uint32_t, v); return;
    case ONNX_INFER_INT64:
    case ONNX_INFER_UINT64: STORE(int64_t, v); return;
    case ONNX_INFER_UINT4:
    case ONNX_INFER_INT4:
    case ONNX_INFER_UINT2:
    case ONNX_INFER_INT2: oi_packed_set(t, data, i, (uint32_t)((uint64_t)v & 15)); return;
    default:
        if (oi_dtype_is_float(t) || oi_dtype_is_complex(t))
            oi_elem_set_double(t, data, i, (double)v);
    }
}

void oi_elem_fill(void *dst, size_t n, size_t size, const void *element)
{
    enum { PIECE = 4096 }; /* copied again and again out of the nearest cache */
    char *to = dst;
    const size_t total = n * size;
    if (!total)
        return;
    memcpy(to, element, size);
    for (size_t done = size, have; done < total; done += have) {
        have = done < PIECE ? done : PIECE / size * size;
        have = have < total - done ? have : total - done;
        memcpy(to + done, to, have);
    }
}
