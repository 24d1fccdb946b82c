/* The reference of every normalisation: statistics over some axes, then (x - mean) * inverse * scale + bias. */
#ifndef OI_OPS_NORMALIZE_H
#define OI_OPS_NORMALIZE_H

#include "ops/op.h"

/* x viewed under a shape of its own, with what belongs to it. Strides of 0 say "the same along this axis". */
typedef struct {
    int32_t rank;
    int64_t dim[OI_MAX_RANK];
    int64_t stat_stride[OI_MAX_RANK], scale_stride[OI_MAX_RANK], bias_stride[OI_MAX_RANK];
    int64_t stats;              /* how many means there are */
    int64_t count;              /* elements behind each */
    double *mean, *inv;         /* stats each; inv: 1 / standard deviation */
    const double *scale, *bias; /* NULL: none */
} oi_normalize;

/* Views x under its own shape; axis i is averaged over where reduced[i]. Sets stat_stride, stats, count, and makes room
 * for mean and inv in the evaluation's scratch. */
oi_status oi_normalize_view(oi_eval *e, oi_normalize *m, int32_t rank, const int64_t *dims, const bool *reduced);
/* Mean and variance (not yet its inverse root) of x, in n->mean and n->inv. With `rms` the mean stays 0. */
oi_status oi_normalize_stats(const oi_normalize *m, const oi_tensor *x, bool rms);
/* inv = 1 / sqrt(inv + epsilon) */
void oi_normalize_invert(const oi_normalize *m, double epsilon);
/* The elements of t as double, in scratch. */
oi_status oi_normalize_values(oi_eval *e, const oi_tensor *t, double **out);
/* y = (x - mean) * inv * scale + bias; y has the type and size of x. */
oi_status oi_normalize_apply(const oi_normalize *m, const oi_tensor *x, oi_tensor *y);

#endif
