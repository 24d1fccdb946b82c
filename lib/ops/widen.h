/* 16-bit floats for operators that compute in float32: inputs widened into scratch, outputs narrowed. */
#ifndef OI_OPS_WIDEN_H
#define OI_OPS_WIDEN_H

#include "ops/op.h"

/* The storage of input i as float32: in place, or converted into scratch from float16 or bfloat16; *p NULL where the
 * input is left out. Other types: E_UNSUPPORTED_TYPE. */
oi_status oi_widen_in(oi_eval *e, uint32_t i, const float **p);
/* Output i of type dtype: *p to write float32 to, which is the storage itself or scratch; oi_widen_finish then converts. */
typedef struct {
    float *p;
    oi_tensor *t;
} oi_widen_out;
oi_status oi_widen_begin(oi_eval *e, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims, oi_widen_out *out);
void oi_widen_finish(const oi_widen_out *out);

#endif
