/* Fourier transforms of any length in n log n: passes of small radix, Bluestein's convolution where a prime factor is
 * large. Arithmetic is in the element type, float32 or float64. */
#ifndef OI_OPS_FFT_H
#define OI_OPS_FFT_H

#include "ops/op.h"

enum { OI_FFT_MAX_PASSES = 40, OI_FFT_MAX_RADIX = 61 };

typedef struct {
    oi_dtype type;       /* FLOAT or DOUBLE: of everything below */
    int64_t n;           /* of the transform */
    int64_t length;      /* of the passes: n, or that of Bluestein's convolution */
    int32_t passes;
    int32_t radix[OI_FFT_MAX_PASSES];
    void *roots;         /* `length` complex: e^(-2 pi i k / length) */
    void *chirp;         /* Bluestein: n complex, e^(-pi i k^2 / n); else NULL */
    void *filter;        /* Bluestein: the transform of the conjugate chirp */
} oi_fft;

/* Tables for n >= 1 in the evaluation's scratch. */
oi_status oi_fft_init(oi_eval *e, oi_fft *f, oi_dtype type, int64_t n);
/* Elements of `type` that a transform needs beside its data. */
size_t oi_fft_room(const oi_fft *f);
/* Transforms the n complex numbers (pairs) at `data` in place; the inverse is not divided by n. Any thread, with a room of
 * its own. */
void oi_fft_run(const oi_fft *f, void *data, void *room, bool inverse);

#endif
