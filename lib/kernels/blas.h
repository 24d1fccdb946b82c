/* Matrix products by OpenBLAS, for what we have no kernels for: float64, and float32 on CPUs that only the generic table
 * serves. Present with --with-openblas only. */
#ifndef OI_KERNELS_BLAS_H
#define OI_KERNELS_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* C = alpha * op(A) * op(B) + beta * C, row-major, sizes as in oi_gemm_shape; for m, n, k and leading dimensions up to
 * INT32_MAX. Runs on the calling thread alone. */
typedef struct {
    bool trans_a, trans_b;
    size_t m, n, k, lda, ldb, ldc;
    double alpha, beta;
} oi_blas_shape;

/* Whether this build has OpenBLAS. The first call sets OpenBLAS to one thread, which holds for the whole process: this
 * library splits the work itself. */
bool oi_blas_available(void);
/* Only where oi_blas_available(). */
void oi_blas_gemm_f64(const oi_blas_shape *s, const double *a, const double *b, double *c);
void oi_blas_gemm_f32(const oi_blas_shape *s, const float *a, const float *b, float *c);

#endif
