/* Copying a strided view of a tensor into a dense one: what Transpose, Slice, Expand and their like are. */
#ifndef OI_OPS_STRIDED_H
#define OI_OPS_STRIDED_H

#include "ops/op.h"

/* The view: element (i0, i1, ...) of the result is source element offset + i0 * stride[0] + i1 * stride[1] + ...
 * Strides may be 0 or negative. */
typedef struct {
    int32_t rank;
    int64_t dim[OI_MAX_RANK], stride[OI_MAX_RANK];
    int64_t offset;
} oi_strided;

/* The whole of a dense tensor. */
oi_strided oi_strided_dense(int32_t rank, const int64_t *dims);
/* Removes axes of 1 and merges neighbours that lie one behind the other. */
void oi_strided_simplify(oi_strided *v);
/* Copies the view's rows [first, last) of its outermost axis; elements of `size` bytes (1, 2, 4, 8 or 16). dst is the
 * start of the whole result. A rank 0 view is one row. */
void oi_strided_copy(const oi_strided *v, size_t size, const void *src, void *dst, int64_t first, int64_t last);

/* For eval: copies the view of src into dst of the same type, any type: packed ones and strings too. */
oi_status oi_strided_copy_tensor(oi_eval *e, const oi_strided *v, const oi_tensor *src, oi_tensor *dst);
/* dst element i = src element index[i], any type. */
oi_status oi_take_elements(const oi_alloc *a, const oi_tensor *src, const int64_t *index, size_t n, oi_tensor *dst);
/* dst element to = src element from, types equal. */
oi_status oi_copy_element(const oi_alloc *a, const oi_tensor *src, size_t from, oi_tensor *dst, size_t to);

/* For prepare: output 0 is this view of input 0. Declines (run stays NULL) for packed types and strings. */
oi_status oi_strided_prepare(oi_prepare *p, const oi_strided *v, const char *kernel);

#endif
