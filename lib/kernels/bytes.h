/* bytes.h - products of matrices of 8-bit integers, exact in int32 (wrapping), on panels of packed bytes. */
#ifndef OI_KERNELS_BYTES_H
#define OI_KERNELS_BYTES_H

#include "kernels/kernels.h"

/*
 * C[i][j] = sum over k of (A[i][k] - a_zero[i]) * (B[k][j] - b_zero[j]); each matrix is int8 or uint8. The kernels multiply
 * uint8 by int8, four along k at a time; what signs and zero points add is made good from the sums of rows and columns.
 * Packing:
 *   A  rows of oi_bytes_depth(k) bytes, and the sum of each row
 *   B  panels of OI_BYTES_COLUMNS columns, oi_bytes_panel_size(k) bytes each, 64-byte aligned where speed matters
 * Any thread, on outputs of its own. Sizes in elements.
 */
static inline size_t oi_bytes_depth(size_t k) { return (k + 3) / 4 * 4; }
static inline size_t oi_bytes_panel_size(size_t k) /* bytes, with the columns' sums; k below SIZE_MAX / 64 */
{
    return OI_BYTES_COLUMNS * (oi_bytes_depth(k) + sizeof(int32_t));
}

/* Rows a + i * stride, i < m. dst: m * oi_bytes_depth(k) bytes; sums: m. */
void oi_bytes_pack_a(size_t m, size_t k, const void *a, size_t stride, bool is_signed, uint8_t *dst, int32_t *sums);
/* n columns beginning at b, rows `stride` bytes apart, as one panel after another. */
void oi_bytes_pack(size_t k, size_t n, const void *b, size_t stride, bool is_signed, void *panels);

typedef struct oi_bytes_args {
    size_t m, k;
    const uint8_t *a;      /* packed */
    const int32_t *a_sums;
    const void *panel;
    bool a_signed, b_signed;
    const int32_t *a_zero; /* of row i: a_zero[i * a_zero_step] */
    size_t a_zero_step;    /* 0 or 1 */
    const int32_t *b_zero; /* of column j of the panel: b_zero[j * b_zero_step] */
    size_t b_zero_step;
    int32_t *c;            /* m rows of OI_BYTES_COLUMNS, ldc apart; columns beyond B's are written too, with anything */
    size_t ldc;
} oi_bytes_args;

void oi_bytes_multiply(const oi_kernels *kernels, const oi_bytes_args *args);

/* The scale and the zero point (a whole number of 0..255) by which uint8 holds numbers from low to high, as
 * DynamicQuantizeLinear chooses them. Where all are 0, so is the scale; NaN makes it NaN. */
void oi_bytes_scale(float low, float high, float *scale, float *zero);
/* The same for n numbers, which are then rows of k, k apart: packed as A, with their sums. */
void oi_bytes_pack_floats(const oi_kernels *kernels, size_t m, size_t k, const float *a, float *scale, float *zero, uint8_t *dst,
                          int32_t *sums);

/* y[i][j] = C[i][j] * (factor * scale[j]) + add[i * ld_add + j] for the columns of `panels` panels, all of each. */
typedef struct oi_bytes_float_args {
    size_t m, k, panels;
    const uint8_t *a;      /* packed, unsigned */
    const int32_t *a_sums;
    int32_t a_zero;
    const void *panel;     /* the first; the others follow */
    const int32_t *b_zero; /* of each column, less 128 where B is uint8; NULL: zeros */
    const float *scale;    /* of each column */
    float factor;
    const float *add;      /* not y */
    size_t ld_add;
    float *y;
    size_t ldy;
} oi_bytes_float_args;

void oi_bytes_multiply_floats(const oi_kernels *kernels, const oi_bytes_float_args *args);

/* y[i] = round((sum[i] + bias) * factor[i * factor_step]) + zero in float32, half to even, saturated to int8 or uint8. A NaN
 * becomes the lowest number. */
void oi_bytes_requantize(size_t n, const int32_t *sum, int32_t bias, const float *factor, size_t factor_step, int32_t zero,
                         bool is_signed, void *y);

#endif
