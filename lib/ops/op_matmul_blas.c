/* MatMul and Gemm by OpenBLAS. */
#include "ops/op_matmul_blas.h"

#include "kernels/blas.h"

bool oi_matmul_blas_serves(const oi_target *target, oi_dtype dtype)
{
    bool wanted = dtype == ONNX_INFER_DOUBLE || (dtype == ONNX_INFER_FLOAT && target->kernels->isa == OI_ISA_GENERIC);
    return wanted && oi_blas_available();
}

/* A task is a run of rows of one product. */
typedef struct {
    oi_blas_shape shape; /* m: rows of a whole product */
    const size_t *a_offset, *b_offset;
    size_t rows_per_task, tasks_per_product;
} blas_state;

enum { MULTIPLICATIONS_PER_TASK = 1 << 20 };

static oi_status run(const oi_run *r, uint32_t task)
{
    const blas_state *s = r->step->state;
    oi_blas_shape shape = s->shape;
    size_t product = task / s->tasks_per_product, first = task % s->tasks_per_product * s->rows_per_task;
    size_t a = s->a_offset[product] + (shape.trans_a ? first : first * shape.lda), b = s->b_offset[product];
    size_t c = (product * shape.m + first) * shape.n;
    shape.m = shape.m - first < s->rows_per_task ? shape.m - first : s->rows_per_task;
    if (r->step->out[0].dtype == ONNX_INFER_DOUBLE)
        oi_blas_gemm_f64(&shape, (const double *)r->in[0] + a, (const double *)r->in[1] + b, (double *)r->out[0] + c);
    else
        oi_blas_gemm_f32(&shape, (const float *)r->in[0] + a, (const float *)r->in[1] + b, (float *)r->out[0] + c);
    return ONNX_INFER_OK;
}

oi_status oi_matmul_blas_prepare(oi_prepare *p, const oi_matmul_shape *product, const oi_gemm_attr *gemm)
{
    if (product->m > INT32_MAX || product->n > INT32_MAX || product->k > INT32_MAX || product->k == 0 || product->n == 0)
        return ONNX_INFER_OK;
    blas_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    size_t m = (size_t)product->m, n = (size_t)product->n, k = (size_t)product->k;
    s->shape = (oi_blas_shape){.trans_a = gemm && gemm->trans_a, .trans_b = gemm && gemm->trans_b, .m = m, .n = n, .k = k,
                               .alpha = gemm ? (double)gemm->alpha : 1};
    s->shape.lda = s->shape.trans_a ? m : k;
    s->shape.ldb = s->shape.trans_b ? k : n;
    s->shape.ldc = n;
    s->a_offset = product->a_offset;
    s->b_offset = product->b_offset;
    s->rows_per_task = MULTIPLICATIONS_PER_TASK / (n * k + 1) + 1;
    s->tasks_per_product = (m + s->rows_per_task - 1) / s->rows_per_task;
    p->step->state = s;
    p->step->run = run;
    p->step->n_tasks = (uint32_t)(s->tasks_per_product * product->batch);
    p->step->flops = 2 * (uint64_t)product->batch * m * n * k;
    p->step->kernel = oi_arena_format(p->arena, "gemm %zux%zux%zu openblas", m, n, k);
    return ONNX_INFER_OK;
}
