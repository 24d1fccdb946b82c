/* gemm.h - single precision matrix product over the register tiles, split into tasks. */
#ifndef OI_KERNELS_GEMM_H
#define OI_KERNELS_GEMM_H

#include "base/stop.h"
#include "base/status.h"
#include "kernels/kernels.h"

/*
 * C[b] = act(alpha * op(A[b]) * op(B[b]) + bias + row_bias + beta * residual[b]) for b < batch; op(A) is m x
 * k, op(B) is k x n. Storage is row major: A [m][lda] (or [k][lda] when trans_a), B [k][ldb] (or [n][ldb]
 * when trans_b).
 *
 * How to use it:
 *   prepare:  fill oi_gemm_shape; OI_TRY(oi_gemm_plan_init(&plan, kernels, &shape));
 *             constant B: allocate oi_gemm_packed_size(kernels, k, n) floats, 64-byte aligned, and
 * oi_gemm_pack_b(...); set shape.b_packed. A packed B depends only on k, n, and the table: one copy serves
 * every m. run:      for each task < plan.n_tasks, on any thread, in any order, at most one at a time on one
 * workspace: oi_gemm_run(&plan, &args, task, workspace); workspace: plan.workspace floats, 64-byte aligned,
 * one for each thread; needs no clearing.
 */
typedef struct oi_gemm_shape {
    size_t m, n, k;
    size_t batch; /* number of products; 1 for a plain one */
    bool trans_a, trans_b;
    bool b_packed; /* args.b points to what oi_gemm_pack_b wrote (trans_b was settled there) */
} oi_gemm_shape;

typedef struct oi_gemm_plan {
    const oi_kernels *kern;
    oi_gemm_shape shape;
    size_t n_tasks;
    size_t workspace; /* floats for each thread; may be 0 */
    /* The rest is the driver's own. */
    size_t mc, m_tasks;     /* rows of a task, tasks along them */
    size_t chunk, n_chunks; /* panels of a task, tasks along them */
    size_t kc;              /* depth of one pass */
    size_t group;           /* products of a task */
    size_t a_stride;        /* row stride of a packed block of A */
} oi_gemm_plan;

typedef struct oi_gemm_args {
    const float *a, *b;
    float *c;
    size_t lda, ldb, ldc; /* ldb is ignored for packed B */
    /*
     * Where product i starts, in floats: x + x_offsets[i] when the table is given, else x + i * x_batch. A
     * batch stride of 0 shares one matrix (also of a packed B).
     */
    size_t a_batch, b_batch, c_batch;
    const size_t *a_offsets, *b_offsets, *c_offsets;
    float alpha;           /* 1 for a plain product */
    const float *row_bias; /* [m], added to every column; NULL: none */
    size_t ldr, r_batch;   /* rows and products of epilogue.residual; ldr = 0 repeats one row */
    oi_epilogue epilogue;
    oi_stop *stop; /* NULL: nobody stops it */
} oi_gemm_args;

/* Up to this many rows a transposed B is multiplied where it lies, at any address, at the speed of memory: packing gains
 * nothing. */
enum { OI_GEMM_DOT_ROWS = 4 };

/* Fills *plan. Fails only if sizes overflow. The split depends on the shape and the CPU, never on a thread
 * count. */
oi_status oi_gemm_plan_init(oi_gemm_plan *plan, const oi_kernels *kern, const oi_gemm_shape *shape);

/* Floats that a packed k x n B takes, or 0 if that overflows size_t. */
size_t oi_gemm_packed_size(const oi_kernels *kern, size_t k, size_t n);

/* Packs B ([k][ldb], or [n][ldb] when trans_b), times alpha, into dst (oi_gemm_packed_size floats). */
void oi_gemm_pack_b(const oi_kernels *kern, size_t k, size_t n, const oi_loose_float *b, size_t ldb, bool trans_b,
                    float alpha, float *dst);
/* The same by parts, in any order and on any threads: part i of oi_gemm_pack_parts. */
size_t oi_gemm_pack_parts(const oi_kernels *kern, size_t n);
void oi_gemm_pack_part(const oi_kernels *kern, size_t k, size_t n, const oi_loose_float *b, size_t ldb, bool trans_b,
                       float alpha, size_t i, float *dst);

/* Runs one task; see above. C must not overlap A or B. */
void oi_gemm_run(const oi_gemm_plan *plan, const oi_gemm_args *args, size_t task, float *workspace);

#endif
