/* eval for lowered operators: their prepared tasks, one after the other. */
#ifndef OI_OPS_EVAL_PREPARED_H
#define OI_OPS_EVAL_PREPARED_H

#include "ops/op.h"
#include "ops/target.h"

/* Output 0 of this type and shape from e->op->prepare and its run, for operators with one output. */
oi_status oi_eval_prepared(oi_eval *e, oi_cpu_isa isa, oi_dtype dtype, int32_t rank, const int64_t *dims);
/* The same into outputs that are there already, e->nout of them; NULL: left out. */
oi_status oi_eval_prepared_into(oi_eval *e, oi_cpu_isa isa, oi_tensor *const *out);

#endif
