/* Matrix products by OpenBLAS. */
#include "config.h"

#include "kernels/blas.h"

#if OI_HAVE_OPENBLAS

#include <cblas.h>

bool oi_blas_available(void)
{
    openblas_set_num_threads(1);
    return true;
}

static CBLAS_TRANSPOSE how(bool transposed)
{
    return transposed ? CblasTrans : CblasNoTrans;
}

void oi_blas_gemm_f64(const oi_blas_shape *s, const double *a, const double *b, double *c)
{
    cblas_dgemm(CblasRowMajor, how(s->trans_a), how(s->trans_b), (blasint)s->m, (blasint)s->n, (blasint)s->k, s->alpha, a,
                (blasint)s->lda, b, (blasint)s->ldb, s->beta, c, (blasint)s->ldc);
}

void oi_blas_gemm_f32(const oi_blas_shape *s, const float *a, const float *b, float *c)
{
    cblas_sgemm(CblasRowMajor, how(s->trans_a), how(s->trans_b), (blasint)s->m, (blasint)s->n, (blasint)s->k, (float)s->alpha,
                a, (blasint)s->lda, b, (blasint)s->ldb, (float)s->beta, c, (blasint)s->ldc);
}

#else

bool oi_blas_available(void)
{
    return false;
}

void oi_blas_gemm_f64(const oi_blas_shape *s, const double *a, const double *b, double *c)
{
    (void)s, (void)a, (void)b, (void)c;
}

void oi_blas_gemm_f32(const oi_blas_shape *s, const float *a, const float *b, float *c)
{
    (void)s, (void)a, (void)b, (void)c;
}

#endif
