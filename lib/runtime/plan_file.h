/* Plans in files: packed weights of a model in the user's cache folder, and whole plans that are saved and loaded. */
#ifndef OI_RUNTIME_PLAN_FILE_H
#define OI_RUNTIME_PLAN_FILE_H

#include "onnx/file.h"
#include "optimizer/pack_cache.h"
#include "runtime/session.h"

/* Looks for the model whose bytes these are in the cache folder of the options; sets m->file where it is there. Failures are
 * logged. */
void oi_plan_file_find_model(onnx_infer_model *m, const onnx_infer_options *o, const oi_source *source, const oi_bytes *bytes);
/* Before anything is planned: with `store` (which is taken over, also on failure), or what is in the folder of the options, if
 * they name one. What is missing, stale or damaged there is no failure; it is logged. */
oi_status oi_plan_file_attach(onnx_infer_plan *p, const onnx_infer_options *o, oi_pack_store *store);
/* Writes the cache file where more has been planned than it holds; unless it is the `last` time, what only prepares for plans to
 * come can wait. Nobody may be planning. Failures are logged. */
void oi_plan_file_update(onnx_infer_plan *p, bool last);
void oi_plan_file_detach(onnx_infer_plan *p); /* frees what attach has made */

oi_status oi_plan_file_save(const onnx_infer_plan *p, const oi_writer *w);
/* The reader is used during the call only. */
oi_status oi_plan_file_load(const onnx_infer_reader *r, const onnx_infer_options *o, onnx_infer_plan **out);

#endif
