/* MatMul and Gemm by OpenBLAS, where that is better than what we have: see kernels/blas.h. */
#ifndef OI_OPS_OP_MATMUL_BLAS_H
#define OI_OPS_OP_MATMUL_BLAS_H

#include "ops/op_matmul.h"

/* Whether products of this element type should go to OpenBLAS on this target. */
bool oi_matmul_blas_serves(const oi_target *target, oi_dtype dtype);
/* A stack of products; with `gemm` set one product with its transpositions, alpha and no C. Declines (run stays NULL)
 * where a size is beyond OpenBLAS's integers. */
oi_status oi_matmul_blas_prepare(oi_prepare *p, const oi_matmul_shape *product, const oi_gemm_attr *gemm);

#endif
