/* Loaded models as bytes, for files that this build reads again instead of the model's own: see ops/graph_bytes.h. */
#ifndef OI_ONNX_MODEL_BYTES_H
#define OI_ONNX_MODEL_BYTES_H

#include "onnx/model_file.h"
#include "ops/graph_bytes.h"

/* Appends a model without issues and without external data, whose graph has been inferred. */
oi_status oi_onnx_model_write(const oi_onnx_model *m, oi_blob *b, const oi_const_writer *w);
/* The model at the cursor, as oi_graph_read; `bytes` are those of the model's file, of which it takes a reference. Freed by
 * oi_onnx_free. */
oi_status oi_onnx_model_read(oi_cursor *c, const oi_alloc *a, const oi_log *log, oi_buffer *buf, const oi_const_reader *r,
                             const oi_bytes *bytes, oi_onnx_model **out);

#endif
