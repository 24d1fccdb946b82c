/* check_bytes.c - products of 8-bit integers against a plain loop. */
#include "kernel_test.h"

#include "kernels/bytes.h"

#include <stdlib.h>

/* `n` random bytes at the end of guarded floats. */
static uint8_t *bytes(kt *t, size_t n, float **owner)
{
    const size_t words = (n + 3) / 4;
    *owner = kt_floats(t, words, false);
    uint8_t *p = (uint8_t *)*owner + (words * 4 - n);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)kt_between(t, 0, 255);
    return p;
}

static int32_t number(uint8_t v, bool is_signed) { return is_signed ? (int8_t)v : v; }

void check_bytes(kt *t)
{
    const size_t m = kt_between(t, 1, 14), k = kt_between(t, 1, 200), n = kt_between(t, 1, OI_BYTES_COLUMNS), depth = oi_bytes_depth(k);
    const bool a_signed = kt_between(t, 0, 1), b_signed = kt_between(t, 0, 1);
    const size_t a_step = kt_between(t, 0, 1), b_step = kt_between(t, 0, 1), panel_bytes = oi_bytes_panel_size(k);
    kt_detail(t, "m %zu, k %zu, n %zu, A %s, B %s, zero points %zu %zu", m, k, n, a_signed ? "signed" : "unsigned",
              b_signed ? "signed" : "unsigned", a_step, b_step);
    float *a_owner, *b_owner, *packed = kt_floats(t, m * depth / 4, false), *panel = kt_floats(t, panel_bytes / 4, false);
    float *c = kt_floats(t, m * OI_BYTES_COLUMNS, false);
    const uint8_t *a = bytes(t, m * k, &a_owner), *b = bytes(t, k * n, &b_owner);
    int32_t sums[14], a_zero[14], b_zero[OI_BYTES_COLUMNS] = {0};
    for (size_t i = 0; i < m; i++)
        a_zero[i] = number((uint8_t)kt_between(t, 0, 255), a_signed);
    for (size_t j = 0; j < n; j++)
        b_zero[j] = number((uint8_t)kt_between(t, 0, 255), b_signed);
    oi_bytes_pack_a(m, k, a, k, a_signed, (uint8_t *)packed, sums);
    oi_bytes_pack_panel(k, n, b, n, b_signed, panel);
    const oi_bytes_args args = {.m = m, .k = k, .a = (const uint8_t *)packed, .a_sums = sums, .panel = panel, .a_signed = a_signed,
                                .b_signed = b_signed, .a_zero = a_zero, .a_zero_step = a_step, .b_zero = b_zero, .b_zero_step = b_step,
                                .c = (int32_t *)(void *)c, .ldc = OI_BYTES_COLUMNS};
    oi_kernels kernels = *t->kern;
    if (kt_between(t, 0, 1))
        kernels.byte_tile = kernels.byte_tile_basic;
    oi_bytes_multiply(&kernels, &args);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            int64_t want = 0;
            for (size_t s = 0; s < k; s++)
                want += (number(a[i * k + s], a_signed) - a_zero[i * a_step]) * (number(b[s * n + j], b_signed) - b_zero[j * b_step]);
            kt_near(t, "c", i * n + j, (float)args.c[i * OI_BYTES_COLUMNS + j], (double)want, 0);
        }
    }
    kt_free(t, a_owner, (m * k + 3) / 4);
    kt_free(t, b_owner, (k * n + 3) / 4);
    kt_free(t, packed, m * depth / 4);
    kt_free(t, panel, panel_bytes / 4);
    kt_free(t, c, m * OI_BYTES_COLUMNS);
}
