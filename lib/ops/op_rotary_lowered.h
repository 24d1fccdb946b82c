/* The lowered form of rotary embedding, made by the optimizer out of RotaryEmbedding and of what exporters write instead. */
#ifndef OI_OPS_OP_ROTARY_LOWERED_H
#define OI_OPS_OP_ROTARY_LOWERED_H

#include "ops/op.h"

enum { OI_ROTARY_OUTER = 6 };

/* RotaryStrided(X, cosines, sines) -> Y of shape `out`: turns the first `turned` of `size` elements of each row, see
 * oi_rotate_args; the rest is copied. Rows lie where the lists x, cosines, sines and y say: [offset, stride along outer dim 0,
 * ...] in elements. */
typedef struct {
    int64_t isa, size, turned, interleaved, half;
    oi_ints outer, x, cosines, sines, y, out;
} oi_rotary_lowered_attr;

extern const oi_op oi_op_oi_RotaryStrided;

#endif
