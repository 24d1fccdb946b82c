/* From a graph to an ONNX file. */
#ifndef OI_ONNX_EXPORT_H
#define OI_ONNX_EXPORT_H

#include "base/writer.h"
#include "onnx/model_file.h"

typedef struct {
    const oi_onnx_model *model; /* what the file says besides its graph: ports, metadata */
    const oi_graph *graph;      /* the model's, or a copy of it; TYPED or DECLUTTERED */
    const oi_writer *out;
    const oi_writer *data;      /* where large tensors go; NULL: all are in the model, which fails with E_LIMIT from 2 GiB on */
    const char *location;       /* with `data`: its file's name, relative to the model's */
} oi_onnx_export;

/* Bytes of constants from which on a model needs a file of external data. */
#define OI_ONNX_MAX_INLINE ((uint64_t)2000 << 20)
uint64_t oi_onnx_constant_bytes(const oi_graph *g);

/* Operators of the standard in their form of opset 21 or of a newer one that the graph needs; where a node has no such form it
 * is written with the domain "onnx_infer", which the importer takes back. Functions are inlined already. */
oi_status oi_onnx_write_model(const oi_alloc *a, const oi_onnx_export *e);

#endif
