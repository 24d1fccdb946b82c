/* check_nbits.c - weights of few bits against a plain loop. */
#include "kernel_test.h"

#include <stdlib.h>

void check_nbits(kt *t)
{
    static const unsigned widths[] = {2, 4, 8};
    const unsigned bits = widths[kt_between(t, 0, 2)];
    const size_t blocks = kt_between(t, 1, 9), block = 16 * kt_between(t, 1, 5), k = blocks * block;
    const size_t bytes = k * bits / 8, words = (bytes + 3) / 4, zero_bytes = (blocks * bits + 7) / 8, zero_words = (zero_bytes + 3) / 4;
    const size_t kind = kt_between(t, 0, 2);
    kt_detail(t, "%u bits, %zu blocks of %zu, zero points %zu", bits, blocks, block, kind);
    float *q = kt_floats(t, words, false), *scale = kt_floats(t, blocks, false), *zero = kt_floats(t, kind == 1 ? zero_words : blocks, false);
    float *a = kt_floats(t, k, false), *out = kt_floats(t, k, false);
    uint8_t *numbers = (uint8_t *)q + (words * 4 - bytes), *points = (uint8_t *)zero + (kind == 1 ? zero_words * 4 - zero_bytes : 0);
    for (size_t i = 0; i < bytes; i++)
        numbers[i] = (uint8_t)kt_between(t, 0, 255);
    for (size_t i = 0; i < zero_bytes && kind == 1; i++)
        points[i] = (uint8_t)kt_between(t, 0, 255);
    const oi_nbits_row row = {.blocks = blocks, .block = block, .bits = bits, .q = numbers, .scale = scale,
                              .zero = kind == 1 ? points : NULL, .zero_float = kind == 2 ? zero : NULL};
    double sum = 0, size = 1;
    t->kern->nbits_expand(&row, out);
    for (size_t i = 0; i < k; i++) {
        const size_t b = i / block, mask = (1u << bits) - 1;
        const double number = (double)(numbers[i * bits / 8] >> i * bits % 8 & mask);
        const double point = kind == 2 ? zero[b] : kind == 1 ? (double)(points[b * bits / 8] >> b * bits % 8 & mask) : (double)(1u << (bits - 1));
        const double want = (number - point) * scale[b];
        kt_near(t, "out", i, out[i], want, 1e-5 * (1 + (want < 0 ? -want : want)));
        sum += want * a[i];
        size += want * a[i] < 0 ? -want * a[i] : want * a[i];
    }
    kt_near(t, "dot", 0, t->kern->nbits_dot(&row, a), sum, 1e-5 * size);
    kt_free(t, q, words);
    kt_free(t, scale, blocks);
    kt_free(t, zero, kind == 1 ? zero_words : blocks);
    kt_free(t, a, k);
    kt_free(t, out, k);
}
