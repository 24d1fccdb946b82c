/* Fourier transforms of any length. */
#include "ops/fft.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

/* Cosine and sine of k / n turns, 0 <= k < n, from an angle of at most an eighth of a turn. */
static void turn(int64_t k, int64_t n, double *c, double *s)
{
    int64_t eighth = 8 * k / n; /* n is below 2^33: no overflow */
    double angle = 2 * PI * (double)k / (double)n;
    switch (eighth) {
    case 0: *c = cos(angle), *s = sin(angle); break;
    case 1: case 2: angle = 2 * PI * (double)(4 * k - n) / (4 * (double)n); *c = -sin(angle), *s = cos(angle); break;
    case 3: case 4: angle = 2 * PI * (double)(2 * k - n) / (2 * (double)n); *c = -cos(angle), *s = -sin(angle); break;
    case 5: case 6: angle = 2 * PI * (double)(4 * k - 3 * n) / (4 * (double)n); *c = sin(angle), *s = -cos(angle); break;
    default: angle = 2 * PI * (double)(k - n) / (double)n; *c = cos(angle), *s = sin(angle); break;
    }
}

#define T float
#define FN(name) name##_f32
#include "ops/tmpl/fft.inc"
#undef T
#undef FN
#define T double
#define FN(name) name##_f64
#include "ops/tmpl/fft.inc"
#undef T
#undef FN

/* Radices of n: fours first, a two in front of them, then odd ones. False where a prime is too large. */
static bool factor(int64_t n, oi_fft *f)
{
    f->passes = 0;
    for (; n % 4 == 0; n /= 4)
        f->radix[f->passes++] = 4;
    if (n % 2 == 0) {
        n /= 2;
        f->radix[f->passes] = f->passes ? f->radix[0] : 2;
        f->radix[0] = 2;
        f->passes++;
    }
    for (int32_t r = 3; r <= OI_FFT_MAX_RADIX && n > 1; r += 2) {
        for (; n % r == 0; n /= r)
            f->radix[f->passes++] = r;
    }
    return n == 1;
}

/* The least length of at least `least` without prime factors over 5. */
static int64_t smooth_length(int64_t least)
{
    int64_t best = 1;
    while (best < least)
        best *= 2;
    for (int64_t fives = 1; fives < best; fives *= 5) {
        for (int64_t odd = fives; odd < best; odd *= 3) {
            int64_t n = odd;
            while (n < least)
                n *= 2;
            best = n < best ? n : best;
        }
    }
    return best;
}

oi_status oi_fft_init(oi_eval *e, oi_fft *f, oi_dtype type, int64_t n)
{
    size_t size = type == ONNX_INFER_DOUBLE ? sizeof(double) : sizeof(float);
    OI_FAIL_IF(n < 1 || n > INT32_MAX, ONNX_INFER_E_INVALID_ARGUMENT, "a Fourier transform of length %lld", (long long)n);
    *f = (oi_fft){.type = type, .n = n, .length = n};
    if (!factor(n, f)) {
        f->length = smooth_length(2 * n - 1);
        factor(f->length, f);
        f->chirp = oi_eval_scratch_array(e, (size_t)n, 2 * size);
        f->filter = oi_eval_scratch_array(e, (size_t)f->length, 2 * size);
        if (!f->chirp || !f->filter)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    f->roots = oi_eval_scratch_array(e, (size_t)f->length, 2 * size);
    void *room = f->chirp ? oi_eval_scratch_array(e, (size_t)f->length, 2 * size) : NULL;
    if (!f->roots || (f->chirp && !room))
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (type == ONNX_INFER_DOUBLE)
        tables_f64(f, room);
    else
        tables_f32(f, room);
    return ONNX_INFER_OK;
}

size_t oi_fft_room(const oi_fft *f)
{
    return (f->chirp ? 4 : 2) * (size_t)f->length;
}

void oi_fft_run(const oi_fft *f, void *data, void *room, bool inverse)
{
    if (f->type == ONNX_INFER_DOUBLE)
        run_f64(f, data, room, inverse);
    else
        run_f32(f, data, room, inverse);
}
