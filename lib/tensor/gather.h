/* Tensors out of memory in which their elements do not lie densely. */
#ifndef OI_TENSOR_GATHER_H
#define OI_TENSOR_GATHER_H

#include "tensor/tensor.h"

/* Byte strides that a dense tensor of this type and shape has, or that differ from those only where they do not matter.
 * Not for packed types. */
bool oi_strides_are_dense(const oi_tensor *t, const int64_t *stride);
/* Copies the elements at data + sum(index * stride) into the dense storage of t (no strings, no packed types). Strides are
 * bytes of any sign; 0 repeats an element. Addresses need no alignment. */
void oi_tensor_gather(oi_tensor *t, const void *data, const int64_t *stride);

#endif
