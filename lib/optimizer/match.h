/* Patterns that several rules look for. */
#ifndef OI_OPTIMIZER_MATCH_H
#define OI_OPTIMIZER_MATCH_H

#include "ops/rewrite.h"

/* Type and shape are the same and known. */
bool oi_match_same(const oi_graph *g, oi_value_id a, oi_value_id b);
/* A constant all of whose elements are this one; nothing is said of constants of more than 2^20 elements. */
bool oi_match_uniform(const oi_graph *g, oi_value_id v, double *out);
/* v = op(x, c) with c a scalar within 1e-5 (relative) of `value`; Add and Mul in either order. OI_NONE: it is not. */
oi_value_id oi_match_with_scalar(const oi_graph *g, oi_value_id v, const char *op, double value);
/* v = op(x, other), or op(other, x): x. OI_NONE: it is not. */
oi_value_id oi_match_other(const oi_graph *g, oi_value_id v, const char *op, oi_value_id other);
/* v, quantised, is an output or read otherwise than by DequantizeLinear. */
bool oi_match_used_as_codes(const oi_graph *g, oi_value_id v);
/* v = op(x): x. OI_NONE: it is not. */
oi_value_id oi_match_unary(const oi_graph *g, oi_value_id v, const char *op);
/* v = max(low, min(high, x)) in any spelling: x. OI_NONE: it is not. */
oi_value_id oi_match_clip(const oi_graph *g, oi_value_id v, double low, double high);
/* The permutation of the Transpose that makes v, of this rank; NULL where v is made otherwise, or of a constant, which is to
 * be folded. */
const int64_t *oi_match_permutation(const oi_graph *g, oi_value_id v, int32_t rank);

#endif
