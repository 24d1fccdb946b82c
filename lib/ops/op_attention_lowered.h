/* The lowered form of attention, made by the optimizer out of Attention and of what exporters write instead. */
#ifndef OI_OPS_OP_ATTENTION_LOWERED_H
#define OI_OPS_OP_ATTENTION_LOWERED_H

#include "kernels/attention.h"
#include "ops/op.h"
#include "ops/target.h"

/* AttentionStrided(Q, K, V, mask 0?, mask 1?) -> Y of shape `out`: see oi_attention_shape. Each operand is read where it
 * lies in its dense tensor: the lists q, k, v, y, mask0 and mask1 are [offset, row, column, outer dim 0, ...] in elements. */
typedef struct {
    int64_t isa, rows, keys, size, value_size;
    oi_ints outer, q, k, v, y, at[OI_ATTENTION_MASKS], out;
    int64_t kind[OI_ATTENTION_MASKS]; /* oi_mask_kind */
    float fill[OI_ATTENTION_MASKS];
    int64_t causal, ahead, zero_rows;
    float scale, softcap;
} oi_attention_lowered_attr;

extern const oi_op oi_op_oi_AttentionStrided;

#endif
