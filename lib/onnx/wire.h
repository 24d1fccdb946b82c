/* The wire scan: a walk over a protobuf message that leaves the large payloads where they are.
 *
 * protobuf-c copies every bytes field and refuses those of 2 GiB and more. So it never sees the file: it is given a
 * skeleton, the same message without what lib/onnx/onnx.proto does not declare, in which the data of every TensorProto
 * are replaced by their offset and length (TensorProto.payload). */
#ifndef OI_ONNX_WIRE_H
#define OI_ONNX_WIRE_H

#include "base/alloc.h"

#include <protobuf-c/protobuf-c.h>

typedef struct {
    uint64_t max_nodes;    /* NodeProtos, at any depth */
    uint64_t max_messages; /* messages of any type */
    uint32_t max_depth;    /* messages inside messages */
} oi_wire_limits;

typedef struct {
    uint8_t *data; /* oi_free_mem with the allocator of the scan */
    size_t size;
} oi_wire_skeleton;

/* Scans `size` bytes as one message of type `root`. Time is linear in what is not payload; payload bytes are not touched.
 * ONNX_INFER_E_PARSE says where the bytes stop making sense, ONNX_INFER_E_LIMIT which limit was passed. */
oi_status oi_wire_scan(const oi_alloc *a, const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *root,
                       const oi_wire_limits *limits, oi_wire_skeleton *out);

/* Reads a varint at *at, before `end`; false where it is cut off or longer than 64 bits. Moves *at behind it. */
bool oi_wire_varint(const uint8_t **at, const uint8_t *end, uint64_t *v);

#endif
