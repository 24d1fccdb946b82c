/* From TensorProto to tensors: in place in the file where that can be, else decoded or copied. */
#ifndef OI_ONNX_TENSOR_PROTO_H
#define OI_ONNX_TENSOR_PROTO_H

#include "onnx/file.h"
#include "onnx/onnx.pb-c.h"

typedef struct {
    const oi_alloc *alloc;
    const oi_bytes *bytes;     /* what the wire scan saw: payload offsets count in it */
    oi_source *source;         /* for external data; NULL: there are none */
    uint64_t max_tensor_bytes;
    bool unaligned;            /* large tensors may stay at unaligned addresses (oi_tensor_align) */
    uint64_t in_place, copied; /* bytes so far */
} oi_tensor_reader;

/* A new reference in *out. Failures name the tensor. */
oi_status oi_onnx_read_tensor(oi_tensor_reader *r, const OiOnnx__TensorProto *p, oi_tensor *out);
/* The same as a dense tensor. */
oi_status oi_onnx_read_sparse(oi_tensor_reader *r, const OiOnnx__SparseTensorProto *p, oi_tensor *out);

#endif
