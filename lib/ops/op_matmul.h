/* What MatMul, Gemm and their lowered form share. */
#ifndef OI_OPS_OP_MATMUL_H
#define OI_OPS_OP_MATMUL_H

#include "ops/activation.h"
#include "ops/target.h"

/* A stack of products [m,k] x [k,n], broadcast over leading dims. */
typedef struct {
    int64_t m, n, k;
    size_t batch;
    const size_t *a_offset, *b_offset; /* of each product, in elements */
    int32_t rank;                      /* of the result */
    int64_t dim[OI_MAX_RANK];
} oi_matmul_shape;

typedef struct {
    oi_matmul_shape shape;
    bool trans_a, trans_b;
    const void *a, *b;
    void *c;
} oi_matmul_job;

/* Numpy's matmul of these shapes. Offsets are made by offsets(host, n), NULL meaning no memory. */
oi_status oi_matmul_resolve(int32_t a_rank, const int64_t *a, int32_t b_rank, const int64_t *b,
                            void *(*mem)(void *host, size_t bytes), void *host, oi_matmul_shape *out);

/* GemmPacked(A [..., k], packed B, bias [n]?, residual as the result?) -> [..., n]; `as_is`: B is [n,k], not packed, and
 * multiplied by alpha while running. */
typedef struct {
    int64_t isa, k, n, as_is;
    float alpha;
    oi_activation act;
} oi_gemm_packed_attr;

/* PackGemmB(B [k,n], or [n,k] with transposed): times alpha, in the kernels' form. */
typedef struct {
    int64_t isa, k, n, transposed;
    float alpha;
} oi_pack_gemm_attr;

typedef struct {
    float alpha, beta;
    int64_t trans_a, trans_b;
} oi_gemm_attr;

oi_status oi_matmul_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target);
oi_status oi_gemm_lower(oi_rewrite *rw, oi_node_id id, const oi_target *target);
/* Whether the second operand of a MatMul or Gemm is a Transpose of a constant, which lowering can do without. */
bool oi_matmul_takes_transposed(const oi_graph *g, const oi_node *n);
oi_status oi_matmul_prepare(oi_prepare *p);
oi_status oi_gemm_prepare(oi_prepare *p);

extern const oi_op oi_op_MatMul, oi_op_Gemm, oi_op_oi_GemmPacked, oi_op_oi_PackGemmB;

#endif
