/* Operators whose outputs lie in their input's storage, or whose inputs lie in their output's, one run of bytes each: slices,
 * splits and concatenations of outermost axes. The planner lets them share it. */
#ifndef OI_OPS_PARTS_H
#define OI_OPS_PARTS_H

#include "ops/op.h"

/* Whether output i of n is a part of input 0 without gaps, and where it begins, in bytes. in, out: type and shape of each
 * input and output (dtype UNDEFINED: left out), data of constants. */
bool oi_output_is_part(const oi_node *n, const oi_tensor *in, const oi_tensor *out, uint32_t i, size_t *offset);
/* Whether n's output is its inputs one behind the other, as they are. */
bool oi_inputs_are_parts(const oi_node *n, const oi_tensor *in, const oi_tensor *out);

#endif
