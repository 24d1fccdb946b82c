/* Rows of tables that are indexed by element type. */
#ifndef OI_OPS_DTYPES_H
#define OI_OPS_DTYPES_H

#include "tensor/dtype.h"

/* The functions that tmpl/each_float.inc and tmpl/each_int.inc make of one template: [dtype] = name_suffix. */
#define OI_FLOAT_ROWS(name) \
    [ONNX_INFER_FLOAT] = name##_f32, [ONNX_INFER_DOUBLE] = name##_f64, [ONNX_INFER_FLOAT16] = name##_f16, \
    [ONNX_INFER_BFLOAT16] = name##_bf16
#define OI_SIGNED_ROWS(name) \
    [ONNX_INFER_INT8] = name##_i8, [ONNX_INFER_INT16] = name##_i16, [ONNX_INFER_INT32] = name##_i32, \
    [ONNX_INFER_INT64] = name##_i64
#define OI_UNSIGNED_ROWS(name) \
    [ONNX_INFER_UINT8] = name##_u8, [ONNX_INFER_UINT16] = name##_u16, [ONNX_INFER_UINT32] = name##_u32, \
    [ONNX_INFER_UINT64] = name##_u64
#define OI_INT_ROWS(name) OI_SIGNED_ROWS(name), OI_UNSIGNED_ROWS(name)

#endif
