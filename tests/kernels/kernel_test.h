/* kernel_test.h - what the kernel checks share: random data from a printed seed, fenced buffers, comparisons.
 */
#ifndef OI_TESTS_KERNELS_KERNEL_TEST_H
#define OI_TESTS_KERNELS_KERNEL_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/ref/ref.h"

/* The state of one check. Every random choice comes from `state`. */
typedef struct kt {
    const oi_kernels *kern;
    uint64_t state, seed;
    int failures;
    const char *what; /* described in a failure */
    char detail[320];
} kt;

uint64_t kt_random(kt *t);
/* A whole number in [lo, hi]. */
size_t kt_between(kt *t, size_t lo, size_t hi);
float kt_float(kt *t);

/*
 * n floats that end at an unreadable page, so that reading or writing beyond them ends the program; the
 * floats before them are a pattern that kt_free checks. Filled with random numbers; `special` sprinkles NaN,
 * infinities, zeros, subnormals and large numbers over them.
 */
float *kt_floats(kt *t, size_t n, bool special);
void kt_free(kt *t, float *p, size_t n);

/* Reports a difference of got and want beyond bound; NaN and infinities must agree. */
void kt_near(kt *t, const char *name, size_t index, double got, double want, double bound);
/* Reports a failure with the check's detail. */
void kt_fail(kt *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets the detail: the shape being checked. */
void kt_detail(kt *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void check_gemm(kt *t);
void check_attention(kt *t);
void check_rotate(kt *t);
void check_conv(kt *t);
void check_unary(kt *t);
void check_binary(kt *t);
void check_reduce(kt *t);
void check_softmax(kt *t);
void check_norm(kt *t);
void check_layout(kt *t);
void check_pool(kt *t);
void check_bytes(kt *t);
void check_byte_floats(kt *t);
void check_conv_bytes(kt *t);
void check_byte_moves(kt *t);
void check_nbits(kt *t);

/* Prints speeds beside the measured peak; `filter` selects lines that contain it. */
void bench(const oi_kernels *kern, const char *filter);
/* Every float through each function; prints the largest errors in units of the last place. */
void sweep(const oi_kernels *kern, const char *filter);

#endif
