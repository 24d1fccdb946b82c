/* check_conv_bytes.c - convolutions of bytes, sums of bytes and transposed bytes against plain loops: the same bits. */
#include "kernel_test.h"

#include "kernels/conv_bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    float *owner;
    uint8_t *p;
    size_t n;
} block;

/* `n` random bytes that end at an unreadable page. */
static block bytes(kt *t, size_t n)
{
    const size_t words = (n + 3) / 4;
    block b = {.owner = kt_floats(t, words, false), .n = n};
    b.p = (uint8_t *)b.owner + (words * 4 - n);
    for (size_t i = 0; i < n; i++)
        b.p[i] = (uint8_t)kt_between(t, 0, 255);
    return b;
}

static void give_back(kt *t, block b) { kt_free(t, b.owner, (b.n + 3) / 4); }

static int32_t number(uint8_t v, bool is_signed) { return is_signed ? (int8_t)v : v; }

static float bounded(float v, float low, float high) { return v > low ? (v < high ? v : high) : low; }

static uint8_t scaled(const oi_byte_scaling *s, bool product, float v, const uint8_t *r)
{
    if (!r)
        return (uint8_t)((int32_t)v + s->zero);
    const float other = ((float)number(*r, s->r_signed) - (float)s->r_zero) * s->r_scale, own = v * s->scale;
    return (uint8_t)((int32_t)nearbyintf(bounded((product ? own * other : own + other) / s->y_scale, s->y_low, s->y_high)) + s->y_zero);
}

static float part_of_one(kt *t) { return (float)kt_between(t, 1, 1000) / 1000.0f; }

static oi_byte_scaling any_scaling(kt *t, bool zero_signed, bool y_signed)
{
    oi_byte_scaling s = {.zero = number((uint8_t)kt_between(t, 0, 255), zero_signed), .scale = part_of_one(t), .r_scale = part_of_one(t),
                         .y_scale = part_of_one(t), .r_signed = kt_between(t, 0, 1), .y_zero = number((uint8_t)kt_between(t, 0, 255), y_signed)};
    s.r_zero = number((uint8_t)kt_between(t, 0, 255), s.r_signed);
    s.low = (float)((zero_signed ? -128 : 0) - s.zero), s.high = (float)((zero_signed ? 127 : 255) - s.zero);
    s.y_low = (float)((y_signed ? -128 : 0) - s.y_zero), s.y_high = (float)((y_signed ? 127 : 255) - s.y_zero);
    if (kt_between(t, 0, 3) == 0)
        s.low = 0; /* as an activation makes it */
    return s;
}

static oi_conv_bytes_shape any_shape(kt *t)
{
    oi_conv_bytes_shape s = {.n = kt_between(t, 1, 2), .h = kt_between(t, 1, 11), .w = kt_between(t, 1, 11), .groups = 1};
    const size_t kind = kt_between(t, 0, 4);
    s.kh = kt_between(t, 1, 4), s.kw = kt_between(t, 1, 4);
    s.sh = kt_between(t, 1, 2), s.sw = kt_between(t, 1, 3), s.dh = kt_between(t, 1, 2), s.dw = kt_between(t, 1, 2);
    s.pt = kt_between(t, 0, 3), s.pl = kt_between(t, 0, 3);
    s.c = kt_between(t, 1, 40), s.oc = kt_between(t, 1, 80);
    if (kind == 0) { /* of one pixel each */
        s.kh = s.kw = s.sh = s.sw = 1;
        s.pt = s.pl = 0;
        s.columns = kt_between(t, 0, 1);
        s.c = s.columns ? kt_between(t, 1, 160) : 4 * kt_between(t, 1, 40);
    } else if (kind == 1) {
        s.groups = kt_between(t, 2, 3);
        s.c = s.groups * kt_between(t, 1, 9);
        s.oc = s.groups * kt_between(t, 1, 40);
    } else if (kind == 2) {
        s.groups = s.c = s.oc = kt_between(t, 2, 150);
        if (kt_between(t, 0, 1))
            s.kh = s.kw = 3;
    }
    const size_t below = kt_between(t, 0, 2), beside = kt_between(t, 0, 2);
    const size_t rows = s.h + s.pt + below, columns = s.w + s.pl + beside, high = (s.kh - 1) * s.dh + 1, wide = (s.kw - 1) * s.dw + 1;
    if (kind == 0) {
        s.oh = s.h, s.ow = s.w;
        return s;
    }
    s.oh = rows < high ? 1 : (rows - high) / s.sh + 1;
    s.ow = columns < wide ? 1 : (columns - wide) / s.sw + 1;
    return s;
}

static int32_t plain_sum(const oi_conv_bytes_shape *s, const uint8_t *x, int32_t x_zero, const uint8_t *w, int32_t w_zero, size_t n, size_t oy,
                         size_t ox, size_t o)
{
    const size_t channels = s->c / s->groups, group = o / (s->oc / s->groups);
    int64_t sum = 0;
    for (size_t ky = 0; ky < s->kh; ky++) {
        for (size_t kx = 0; kx < s->kw; kx++) {
            const ptrdiff_t iy = (ptrdiff_t)(oy * s->sh + ky * s->dh) - (ptrdiff_t)s->pt;
            const ptrdiff_t ix = (ptrdiff_t)(ox * s->sw + kx * s->dw) - (ptrdiff_t)s->pl;
            if (iy < 0 || ix < 0 || iy >= (ptrdiff_t)s->h || ix >= (ptrdiff_t)s->w)
                continue;
            for (size_t c = 0; c < channels; c++) {
                const uint8_t a = x[((n * s->h + (size_t)iy) * s->w + (size_t)ix) * s->c + group * channels + c];
                const uint8_t b = s->columns ? w[c * s->oc + o] : w[((o * channels + c) * s->kh + ky) * s->kw + kx];
                sum += (number(a, s->x_signed) - x_zero) * (number(b, s->w_signed) - w_zero);
            }
        }
    }
    return (int32_t)sum;
}

void check_conv_bytes(kt *t)
{
    oi_conv_bytes_shape s = any_shape(t);
    oi_conv_bytes_plan plan;
    const bool y_signed = kt_between(t, 0, 1), depthwise = oi_conv_bytes_is_depthwise(s.c, s.oc, s.groups);
    const bool many = kt_between(t, 0, 1), has_bias = kt_between(t, 0, 1), in_place = kt_between(t, 0, 1);
    const bool large = kt_between(t, 0, 5) == 0;
    bool zeros = !depthwise && kt_between(t, 0, 1), residual = !depthwise && kt_between(t, 0, 1);
    s.x_signed = kt_between(t, 0, 1), s.w_signed = kt_between(t, 0, 1);
    kt_detail(t, "%zu images of %zux%zux%zu to %zux%zux%zu, kernel %zux%zu strides %zu %zu dilations %zu %zu pads %zu %zu groups %zu, signed %d %d %d, "
              "zeros %d, residual %d, columns %d", s.n, s.h, s.w, s.c, s.oh, s.ow, s.oc, s.kh, s.kw, s.sh, s.sw, s.dh, s.dw, s.pt, s.pl, s.groups,
              s.x_signed, s.w_signed, y_signed, zeros, residual, s.columns);
    if (oi_conv_bytes_plan_init(&plan, t->kern, &s)) {
        kt_fail(t, "no plan");
        return;
    }
    const size_t outs = s.n * s.oh * s.ow * s.oc;
    block x = bytes(t, s.n * s.h * s.w * s.c), w = bytes(t, s.oc * (s.c / s.groups) * s.kh * s.kw), r = bytes(t, outs), y = bytes(t, outs);
    block packed = bytes(t, plan.packed), room = bytes(t, plan.workspace ? plan.workspace : 1), kept = bytes(t, outs);
    oi_conv_bytes_terms terms = {malloc(plan.terms * 4), malloc(plan.terms * 4), malloc(plan.terms * 4), false, false};
    int32_t *bias = malloc(s.oc * sizeof *bias), *w_zero = malloc(s.oc * sizeof *w_zero);
    float *factor = malloc(s.oc * sizeof *factor);
    for (size_t o = 0; o < s.oc; o++) {
        bias[o] = (int32_t)kt_between(t, 0, 20000) - 10000;
        w_zero[o] = zeros ? number((uint8_t)kt_between(t, 0, 255), s.w_signed) : s.w_signed ? 0 : 128;
        factor[o] = part_of_one(t) / (large ? 1 : 100);
    }
    const int32_t x_zero = number((uint8_t)kt_between(t, 0, 255), s.x_signed);
    const oi_byte_scaling scaling = any_scaling(t, residual ? kt_between(t, 0, 1) : y_signed, y_signed);
    memcpy(kept.p, r.p, outs);
    oi_kernels kernels = *t->kern;
    if (kt_between(t, 0, 1)) {
        kernels.byte_panel = kernels.byte_panel_basic;
        kernels.byte_depthwise = kernels.byte_depthwise_basic;
    }
    plan.kern = &kernels;
    oi_conv_bytes_pack(&plan, w.p, packed.p);
    oi_conv_bytes_fill(&plan, packed.p, x_zero, has_bias ? bias : NULL, w_zero, factor, many, &terms);
    const oi_conv_bytes_args args = {.x = x.p, .packed = packed.p, .x_zero = x_zero, .terms = &terms, .scaling = &scaling,
                                     .residual = residual ? r.p : NULL, .y = residual && in_place ? r.p : y.p};
    for (size_t task = 0; task < plan.n_tasks; task++)
        oi_conv_bytes_run(&plan, &args, task, room.p);
    for (size_t i = 0; i < outs; i++) {
        const size_t o = i % s.oc, ox = i / s.oc % s.ow, oy = i / s.oc / s.ow % s.oh, n = i / s.oc / s.ow / s.oh;
        const int32_t sum = plain_sum(&s, x.p, x_zero, w.p, w_zero[o], n, oy, ox, o) + (has_bias ? bias[o] : 0);
        const float v = nearbyintf(bounded((float)sum * factor[many ? o : 0], scaling.low, scaling.high));
        kt_near(t, "y", i, args.y[i], scaled(&scaling, false, v, residual ? &kept.p[i] : NULL), 0);
    }
    block *all[] = {&x, &w, &r, &y, &packed, &room, &kept};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        give_back(t, *all[i]);
    free(terms.bias), free(terms.b_zero), free(terms.factor), free(bias), free(w_zero), free(factor);
}

void check_byte_moves(kt *t)
{
    const size_t rows = kt_between(t, 1, 40), columns = kt_between(t, 1, 200), first = kt_between(t, 0, columns - 1);
    const size_t count = kt_between(t, 1, columns - first), n = rows * columns;
    const bool a_signed = kt_between(t, 0, 1);
    const oi_byte_scaling s = any_scaling(t, a_signed, kt_between(t, 0, 1));
    block x = bytes(t, n), r = bytes(t, n), y = bytes(t, n), kept = bytes(t, n);
    kt_detail(t, "%zu x %zu, columns %zu + %zu", rows, columns, first, count);
    memcpy(kept.p, y.p, n);
    oi_bytes_transpose(rows, columns, first, count, x.p, y.p);
    for (size_t i = 0; i < n; i++) {
        const size_t c = i / rows, from = i % rows * columns + c;
        kt_near(t, "transposed", i, y.p[i], c >= first && c < first + count ? x.p[from] : kept.p[i], 0);
    }
    const oi_byte_binary_args args = {.n = n, .a = x.p, .r = r.p, .y = y.p, .a_signed = a_signed, .product = kt_between(t, 0, 1), .scaling = &s};
    t->kern->byte_binary(&args);
    for (size_t i = 0; i < n; i++)
        kt_near(t, "sum", i, y.p[i], scaled(&s, args.product, (float)number(x.p[i], a_signed) - (float)s.zero, &r.p[i]), 0);
    give_back(t, x), give_back(t, r), give_back(t, y), give_back(t, kept);
}
