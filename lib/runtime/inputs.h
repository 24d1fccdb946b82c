/* What a run is given: the inputs by their place in the model, and the sizes that they give to symbols. */
#ifndef OI_RUNTIME_INPUTS_H
#define OI_RUNTIME_INPUTS_H

#include "runtime/session.h"

/* Allocates arg and bound for the plan, which is borrowed. */
oi_status oi_inputs_create(const onnx_infer_plan *p, oi_inputs *x);
void oi_inputs_destroy(oi_inputs *x);
/* Fills in arg from values (borrowed; NULL and beyond n: not given) of the kinds declared. */
oi_status oi_inputs_take(oi_inputs *x, size_t n, const onnx_infer_value *const *v);
/* Checks arg against the declarations, which are law, and the ranges of symbols; sets bound. Messages say what to pass. */
oi_status oi_inputs_check(oi_inputs *x);

#endif
