/* Conversion of runs of elements between any two numeric types, as Cast asks. */
#ifndef OI_TENSOR_CONVERT_H
#define OI_TENSOR_CONVERT_H

#include "tensor/dtype.h"

/* True for bool, integers and real floats of every width; complex converts to complex only. */
bool oi_convert_known(oi_dtype from, oi_dtype to);
/* dst[dst_at .. + n) = src[src_at .. + n), counted in elements. The two do not overlap. Floats become integers towards
 * zero and wrap where they do not fit; `saturate` is Cast's attribute for 8-bit floats. Packed types are written in rising
 * order: the bits behind the last element in its byte become 0. */
void oi_convert(oi_dtype from, const void *src, size_t src_at, oi_dtype to, void *dst, size_t dst_at, size_t n, bool saturate);

#endif
