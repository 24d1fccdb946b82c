/* Conversion of runs of elements between any two numeric types: in blocks, by way of double or int64. */
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

/* Towards zero; what does not fit becomes the lowest number of 32 bits, or of 64 for types that need them. */
static int64_t narrow(double v)
{
    return v > -0x1p31 - 1 && v < 0x1p31 ? (int64_t)v : INT32_MIN;
}

static int64_t whole(double v)
{
    return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

static uint64_t whole_unsigned(double v)
{
    return v >= 0x1p63 && v < 0x1p64 ? (uint64_t)v : (uint64_t)whole(v);
}

#define T int8_t
#define FN(name) name##_i8
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) (x)
#define FROM_DOUBLE(v) narrow(v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T uint8_t
#define FN(name) name##_u8
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) (x)
#define FROM_DOUBLE(v) narrow(v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T int16_t
#define FN(name) name##_i16
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) (x)
#define FROM_DOUBLE(v) narrow(v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T uint16_t
#define FN(name) name##_u16
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) (x)
#define FROM_DOUBLE(v) narrow(v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T int32_t
#define FN(name) name##_i32
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) (x)
#define FROM_DOUBLE(v) narrow(v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T uint32_t
#define FN(name) name##_u32
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) (x)
#define FROM_DOUBLE(v) whole(v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T int64_t
#define FN(name) name##_i64
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) (x)
#define FROM_DOUBLE(v) whole(v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T uint64_t
#define FN(name) name##_u64
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) ((int64_t)(x))
#define FROM_DOUBLE(v) whole_unsigned(v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T uint8_t
#define FN(name) name##_bool
#define TO_DOUBLE(x) ((double)((x) != 0))
#define TO_INT(x) ((x) != 0)
#define FROM_DOUBLE(v) ((v) != 0)
#define FROM_INT(v) ((v) != 0)
#include "tensor/tmpl/convert.inc"
#define T float
#define FN(name) name##_f32
#define TO_DOUBLE(x) ((double)(x))
#define TO_INT(x) whole((double)(x))
#define FROM_DOUBLE(v) (v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T double
#define FN(name) name##_f64
#define TO_DOUBLE(x) (x)
#define TO_INT(x) whole(x)
#define FROM_DOUBLE(v) (v)
#define FROM_INT(v) (v)
#include "tensor/tmpl/convert.inc"
#define T uint16_t
#define FN(name) name##_f16
#define TO_DOUBLE(x) ((double)oi_half_to_float(x))
#define TO_INT(x) whole((double)oi_half_to_float(x))
#define FROM_DOUBLE(v) oi_half_from_double(v)
#define FROM_INT(v) oi_half_from_double((double)(v))
#include "tensor/tmpl/convert.inc"
#define T uint16_t
#define FN(name) name##_bf16
#define TO_DOUBLE(x) ((double)oi_bfloat16_to_float(x))
#define TO_INT(x) whole((double)oi_bfloat16_to_float(x))
#define FROM_DOUBLE(v) oi_bfloat16_from_float((float)(v))
#define FROM_INT(v) oi_bfloat16_from_float((float)(v))
#include "tensor/tmpl/convert.inc"

typedef struct {
    void (*to_double)(size_t n, const void *src, double *out);
    void (*to_int)(size_t n, const void *src, int64_t *out);
    void (*from_double)(size_t n, const double *in, void *dst);
    void (*from_int)(size_t n, const int64_t *in, void *dst);
} converter;

/* Types of whole bytes but the 8-bit floats; the rest go element by element. */
static const converter converters[OI_DTYPE_COUNT] = {
    [ONNX_INFER_FLOAT] = {to_double_f32, to_int_f32, from_double_f32, from_int_f32},
    [ONNX_INFER_UINT8] = {to_double_u8, to_int_u8, from_double_u8, from_int_u8},
    [ONNX_INFER_INT8] = {to_double_i8, to_int_i8, from_double_i8, from_int_i8},
    [ONNX_INFER_UINT16] = {to_double_u16, to_int_u16, from_double_u16, from_int_u16},
    [ONNX_INFER_INT16] = {to_double_i16, to_int_i16, from_double_i16, from_int_i16},
    [ONNX_INFER_INT32] = {to_double_i32, to_int_i32, from_double_i32, from_int_i32},
    [ONNX_INFER_INT64] = {to_double_i64, to_int_i64, from_double_i64, from_int_i64},
    [ONNX_INFER_BOOL] = {to_double_bool, to_int_bool, from_double_bool, from_int_bool},
    [ONNX_INFER_FLOAT16] = {to_double_f16, to_int_f16, from_double_f16, from_int_f16},
    [ONNX_INFER_DOUBLE] = {to_double_f64, to_int_f64, from_double_f64, from_int_f64},
    [ONNX_INFER_UINT32] = {to_double_u32, to_int_u32, from_double_u32, from_int_u32},
    [ONNX_INFER_UINT64] = {to_double_u64, to_int_u64, from_double_u64, from_int_u64},
    [ONNX_INFER_BFLOAT16] = {to_double_bf16, to_int_bf16, from_double_bf16, from_int_bf16},
};

static bool is_real(oi_dtype t)
{
    return t == ONNX_INFER_BOOL || oi_dtype_is_int(t) || oi_dtype_is_float(t);
}

bool oi_convert_known(oi_dtype from, oi_dtype to)
{
    return (is_real(from) && is_real(to)) || (oi_dtype_is_complex(from) && oi_dtype_is_complex(to));
}

static void convert_complex(oi_dtype from, const void *src, size_t src_at, oi_dtype to, void *dst, size_t dst_at, size_t n)
{
    oi_dtype part = from == ONNX_INFER_COMPLEX64 ? ONNX_INFER_FLOAT : ONNX_INFER_DOUBLE;
    oi_dtype to_part = to == ONNX_INFER_COMPLEX64 ? ONNX_INFER_FLOAT : ONNX_INFER_DOUBLE;
    oi_convert(part, src, 2 * src_at, to_part, dst, 2 * dst_at, 2 * n, true);
}

enum { BLOCK = 256 };

static void load_double(oi_dtype t, const void *src, size_t at, size_t n, double *out)
{
    if (converters[t].to_double) {
        converters[t].to_double(n, (const char *)src + at * oi_dtype_size(t), out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = oi_elem_get_double(t, src, at + i);
}

static void load_int(oi_dtype t, const void *src, size_t at, size_t n, int64_t *out)
{
    if (converters[t].to_int) {
        converters[t].to_int(n, (const char *)src + at * oi_dtype_size(t), out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = oi_elem_get_int(t, src, at + i);
}

static void store_double(oi_dtype t, void *dst, size_t at, size_t n, const double *in, bool saturate)
{
    if (converters[t].from_double) {
        converters[t].from_double(n, in, (char *)dst + at * oi_dtype_size(t));
    } else if (oi_dtype_is_float(t) && !oi_dtype_is_packed(t)) {
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)dst)[at + i] = oi_float8_from_float(t, (float)in[i], saturate);
    } else {
        for (size_t i = 0; i < n; i++)
            oi_elem_set_double(t, dst, at + i, in[i]);
    }
}

static void store_int(oi_dtype t, void *dst, size_t at, size_t n, const int64_t *in)
{
    if (converters[t].from_int) {
        converters[t].from_int(n, in, (char *)dst + at * oi_dtype_size(t));
        return;
    }
    for (size_t i = 0; i < n; i++)
        oi_elem_set_int(t, dst, at + i, in[i]);
}

/* What weights are made from: no way in between. False for other types. */
static bool bytes_to_float(oi_dtype from, const void *src, float *dst, size_t n)
{
    if (from == ONNX_INFER_INT8) {
        const int8_t *in = src;
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)in[i];
    } else if (from == ONNX_INFER_UINT8) {
        const uint8_t *in = src;
        for (size_t i = 0; i < n; i++)
            dst[i] = (float)in[i];
    } else {
        return false;
    }
    return true;
}

void oi_convert(oi_dtype from, const void *src, size_t src_at, oi_dtype to, void *dst, size_t dst_at, size_t n, bool saturate)
{
    if (!oi_convert_known(from, to))
        return;
    if (oi_dtype_is_complex(from)) {
        convert_complex(from, src, src_at, to, dst, dst_at, n);
        return;
    }
    if (from == to && !oi_dtype_is_packed(from)) {
        size_t size = oi_dtype_size(from);
        if (n)
            memmove((char *)dst + dst_at * size, (const char *)src + src_at * size, n * size);
        return;
    }
    if (from == ONNX_INFER_UINT64 && to == ONNX_INFER_FLOAT) { /* rounded once: neither way in between holds it */
        for (size_t i = 0; i < n; i++)
            ((float *)dst)[dst_at + i] = (float)((const uint64_t *)src)[src_at + i];
        return;
    }
    if (to == ONNX_INFER_FLOAT && bytes_to_float(from, (const char *)src + src_at, (float *)dst + dst_at, n))
        return;
    if (oi_dtype_is_packed(to) && n) {
        size_t bits = oi_dtype_get(to)->bits, end = dst_at + n, at = end % 8 * bits;
        if (at % 8)
            ((uint8_t *)dst)[end / 8 * bits + at / 8] &= (uint8_t)((1u << at % 8) - 1);
    }
    bool by_int = !oi_dtype_is_float(from) && (!oi_dtype_is_float(to) || from != ONNX_INFER_UINT64);
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t count = n - at < BLOCK ? n - at : BLOCK;
        if (by_int) {
            int64_t room[BLOCK];
            load_int(from, src, src_at + at, count, room);
            store_int(to, dst, dst_at + at, count, room);
        } else {
            double room[BLOCK];
            load_double(from, src, src_at + at, count, room);
            store_double(to, dst, dst_at + at, count, room, saturate);
        }
    }
}
