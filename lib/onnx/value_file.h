/* Values in files of their own: TensorProto, SequenceProto, OptionalProto and MapProto, as test data hold them. */
#ifndef OI_ONNX_VALUE_FILE_H
#define OI_ONNX_VALUE_FILE_H

#include "base/writer.h"
#include "base/arena.h"
#include "onnx/onnx.pb-c.h"
#include "tensor/value.h"

/* Reads a file that holds a value of this kind (the file itself does not say which). Tensors use the mapped file in place
 * where they can. A map whose values are all single elements of one type gets them as one tensor. */
oi_status oi_onnx_read_value(const oi_alloc *a, const char *path, onnx_infer_kind kind, onnx_infer_value **out);
/* Writes the message of the value's kind, with raw data. Tensors of 2 GiB and more are ONNX_INFER_E_LIMIT. */
oi_status oi_onnx_write_value(const onnx_infer_value *v, const oi_writer *w);

/* The tensor as a message that borrows its data; `any_size`: also one that is too large to be packed with its data. */
oi_status oi_onnx_tensor_message(oi_arena *arena, const oi_tensor *t, bool any_size, OiOnnx__TensorProto **out);
oi_status oi_onnx_pack(const ProtobufCMessage *p, const oi_writer *w);

#endif
