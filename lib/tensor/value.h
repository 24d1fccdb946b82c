/* onnx_infer_value: the reference-counted runtime value of the C interface; also what sequences, optionals and maps are
 * made of inside the engine. */
#ifndef OI_TENSOR_VALUE_H
#define OI_TENSOR_VALUE_H

#include "tensor/tensor.h"

#include <stdatomic.h>

struct onnx_infer_value {
    atomic_uint refs;
    onnx_infer_kind kind;
    bool read_only;        /* of a tensor: memory of somebody who does not want it written */
    oi_alloc alloc;        /* of this struct and its item array; a copy, since values outlive what made them */
    oi_tensor tensor;      /* kind TENSOR */
    oi_dtype elem_dtype;   /* of an empty sequence or optional of tensors: what it would hold; else UNDEFINED */
    /* SEQUENCE: items; OPTIONAL: none or one; MAP: keys, values. Each holds a reference. */
    onnx_infer_value **item;
    size_t count, cap;
    onnx_infer_value *next_freed; /* used while a tree of values is freed */
};

/* Takes over the tensor's reference (the tensor is cleared); on failure the tensor stays the caller's. */
oi_status oi_value_from_tensor(const oi_alloc *a, oi_tensor *t, onnx_infer_value **out);
oi_status oi_value_create(const oi_alloc *a, onnx_infer_kind kind, onnx_infer_value **out);
/* Retains the item. An optional takes one. */
oi_status oi_value_push(onnx_infer_value *container, onnx_infer_value *item);
/* Inserts before `at` (0..count). Retains the item. */
oi_status oi_value_insert(onnx_infer_value *sequence, size_t at, onnx_infer_value *item);
/* A new container with the same items. */
oi_status oi_value_copy_container(const oi_alloc *a, const onnx_infer_value *v, onnx_infer_value **out);
onnx_infer_value *oi_value_retain(onnx_infer_value *v);
void oi_value_release(onnx_infer_value *v); /* accepts NULL */

#endif
