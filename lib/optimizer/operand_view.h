/* Where the elements of a value lie in another one that views, transposes, slices and the like made it of. */
#ifndef OI_OPTIMIZER_OPERAND_VIEW_H
#define OI_OPTIMIZER_OPERAND_VIEW_H

#include "ops/rewrite.h"

enum { OI_VIEW_ATOMS = 24, OI_VIEWS = 8 };

/* Each axis is a product of atoms, outermost first: element (i_0, i_1, ...) lies at offset + sum of i_k stride_k, in
 * elements of the dense tensor `base`. An axis of size 1 has no atoms. */
typedef struct {
    oi_value_id base;
    int64_t offset;
    int32_t rank, natom;
    int32_t first[OI_MAX_RANK + 1]; /* atoms of axis i: first[i] .. first[i+1]-1 */
    int64_t size[OI_VIEW_ATOMS], stride[OI_VIEW_ATOMS];
} oi_view;

/* The value itself, row-major. Every dim a positive number; false otherwise. */
bool oi_view_dense(const oi_graph *g, oi_value_id v, oi_view *view);
/* v as seen in the `up`-th value before it along its data inputs; false where an operator between cannot be seen through,
 * or there are fewer. Factors of scalar products on the way are multiplied into *factor; NULL: they end the way. */
bool oi_view_of(const oi_graph *g, oi_value_id v, int up, double *factor, oi_view *view);
/* The longest way that oi_view_of may go. */
int oi_view_depth(const oi_graph *g, oi_value_id v, bool factors);
/* `v` as part of `of`, which it becomes by Transpose and views only: oi_view_dense(of) taken back `down` operators. */
bool oi_view_before(const oi_graph *g, oi_value_id v, int down, oi_view *view);

/* Each turns the view in place; false where the result is no such view. */
bool oi_view_transpose(oi_view *v, const int64_t *perm);
bool oi_view_reshape(oi_view *v, int32_t rank, const int64_t *dims);
bool oi_view_broadcast(oi_view *v, int32_t rank, const int64_t *dims);
bool oi_view_slice(oi_view *v, int32_t axis, int64_t start, int64_t step, int64_t count);

/* All axes but the `inner` last of n <= OI_VIEWS views of as many members as the same dims, as few as can be: returns how many
 * dims, view i lies stride[i * most + d] apart along dim d. -1: more than `most`, or they do not fit each other. */
int oi_view_common(const oi_view *const *view, int n, int inner, int most, int64_t *size, int64_t *stride);

int64_t oi_view_dim(const oi_view *v, int32_t axis);
/* The axis as one stride (1 where it has one element only); false where its atoms do not join. */
bool oi_view_stride(const oi_view *v, int32_t axis, int64_t *stride);

#endif
