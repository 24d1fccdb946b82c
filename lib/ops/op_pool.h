/* What the plain and the blocked pooling share. */
#ifndef OI_OPS_OP_POOL_H
#define OI_OPS_OP_POOL_H

#include "ops/window.h"

typedef struct {
    oi_window_attr window;
    int64_t count_include_pad, storage_order, p;
} oi_pool_attr;

/* MaxPool, AveragePool and the global pools in float32 with one or two spatial axes, to PoolBlocked between reorders. */
oi_status oi_pool_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target);

extern const oi_op oi_op_MaxPool, oi_op_AveragePool, oi_op_GlobalAveragePool, oi_op_GlobalMaxPool;

#endif
