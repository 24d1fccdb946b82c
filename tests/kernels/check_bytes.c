/* check_bytes.c - products of 8-bit integers against a plain loop. */
#include "kernel_test.h"

#include "kernels/bytes.h"

#include <math.h>
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
    oi_bytes_pack(k, n, b, n, b_signed, panel);
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

/* Products of floats taken for bytes, added to something, of several panels. */
void check_byte_floats(kt *t)
{
    enum { MOST = 1100 };
    const size_t m = kt_between(t, 1, 9), k = kt_between(t, 1, 150), n = kt_between(t, 0, 3) ? kt_between(t, 1, 100) : kt_between(t, 1025, MOST);
    const size_t panels = (n + OI_BYTES_COLUMNS - 1) / OI_BYTES_COLUMNS, columns = panels * OI_BYTES_COLUMNS, size = oi_bytes_panel_size(k);
    const size_t depth = oi_bytes_depth(k), stride = n + kt_between(t, 0, 3), left = m * depth / 4;
    const bool b_signed = kt_between(t, 0, 1), zeros = kt_between(t, 0, 1), rows = kt_between(t, 0, 1);
    kt_detail(t, "m %zu, k %zu, n %zu, B %s, zero points %d, rows added %d", m, k, n, b_signed ? "signed" : "unsigned", zeros, rows);
    float *b_owner, *x = kt_floats(t, m * k, false), *packed = kt_floats(t, left, false), *panel = kt_floats(t, panels * size / 4, false);
    float *scale = kt_floats(t, columns, false), *add = kt_floats(t, columns * (rows ? m : 1), false), *y = kt_floats(t, m * columns, false);
    const uint8_t *b = bytes(t, k * stride, &b_owner), *left_bytes = (const uint8_t *)packed;
    int32_t sums[9], b_zero[MOST + OI_BYTES_COLUMNS] = {0};
    const int32_t middle = b_signed ? 0 : 128;
    float low = 0, high = 0, factor, zero, apart, point;
    for (size_t j = 0; j < columns; j++)
        b_zero[j] = zeros && j < n ? number((uint8_t)kt_between(t, 0, 255), b_signed) - middle : 0;
    oi_bytes_pack_floats(t->kern, m, k, x, &factor, &zero, (uint8_t *)packed, sums);
    for (size_t i = 0; i < m * k; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    oi_bytes_scale(low, high, &apart, &point);
    kt_near(t, "scale", 0, factor, apart, 0);
    kt_near(t, "zero point", 0, zero, point, 0);
    for (size_t i = 0; i < m * k; i++) {
        const double q = rint((double)(x[i] / factor)) + (double)zero;
        kt_near(t, "byte", i, left_bytes[i / k * depth + i % k], q < 0 ? 0 : q > 255 ? 255 : q, 0);
    }
    oi_bytes_pack(k, n, b, stride, b_signed, panel);
    const bool given = zeros || !b_signed;
    const oi_bytes_float_args args = {.m = m, .k = k, .panels = panels, .a = left_bytes, .a_sums = sums, .a_zero = (int32_t)zero, .panel = panel,
                                      .b_zero = given ? b_zero : NULL, .scale = scale, .factor = factor, .add = add,
                                      .ld_add = rows ? columns : 0, .y = y, .ldy = columns};
    oi_bytes_multiply_floats(t->kern, &args);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            int32_t sum = 0;
            for (size_t s = 0; s < k; s++)
                sum += (left_bytes[i * depth + s] - (int32_t)zero) * (number(b[s * stride + j], b_signed) - middle - (given ? b_zero[j] : 0));
            const double want = (double)((float)sum * (factor * scale[j]) + add[i * args.ld_add + j]);
            kt_near(t, "y", i * n + j, y[i * columns + j], want, 0);
        }
    }
    kt_free(t, b_owner, (k * stride + 3) / 4);
    kt_free(t, x, m * k);
    kt_free(t, packed, left);
    kt_free(t, panel, panels * size / 4);
    kt_free(t, scale, columns);
    kt_free(t, add, columns * (rows ? m : 1));
    kt_free(t, y, m * columns);
}
