/* ref.h - the kernels again in plain C and double precision: what tests compare with. */
#ifndef OI_KERNELS_REF_REF_H
#define OI_KERNELS_REF_REF_H

#include "kernels/conv.h"
#include "kernels/gemm.h"

/* The function `op` at x. */
double oi_ref_unary(oi_unary op, double x, double p0, double p1);

/* a op b, rounded as float arithmetic rounds. */
float oi_ref_binary(oi_binary op, float a, float b);

/* Reduction of n floats, `stride` apart. */
double oi_ref_reduce(oi_reduce op, size_t n, const float *x, size_t stride);

/*
 * C and, beside each element, a bound of the error that float arithmetic may make (a few units of the last
 * place of the sum of magnitudes). Plain row-major operands as oi_gemm_args has them, one product.
 */
void oi_ref_gemm(const oi_gemm_shape *s, const oi_gemm_args *g, double *c, double *bound);

/* The same for convolutions: x [n][c][h][w], w as oi_conv_pack_part takes it, residual and y
 * [n][oc][oh][ow]. */
void oi_ref_conv(const oi_conv_shape *s, const float *x, const float *w, const oi_epilogue *e, double *y,
                 double *bound);

/* One plane of pooling over plain floats: x [h][w], y [oh][ow]. */
void oi_ref_pool(const oi_pool_shape *s, const float *x, double *y);

/* Plain [n][c][pixels] to blocked with `block` channels a block, and back. Padding lanes become zero. */
void oi_ref_to_blocked(size_t n, size_t c, size_t pixels, size_t block, const float *src, float *dst);
void oi_ref_from_blocked(size_t n, size_t c, size_t pixels, size_t block, const float *src, float *dst);

#endif
