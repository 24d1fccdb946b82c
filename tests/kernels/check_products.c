/* check_products.c - gemm and conv against references, over random shapes, strides, epilogues and task
 * orders. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_test.h"

static const struct {
    oi_unary act;
    float p0, p1;
} acts[] = {
    {OI_UNARY_NONE, 0, 0},       {OI_UNARY_RELU, 0, 0},          {OI_UNARY_CLIP, -0.25f, 0.5f},
    {OI_UNARY_NONE, 0, 0},       {OI_UNARY_LEAKY_RELU, 0.1f, 0}, {OI_UNARY_SWISH, 1, 0},
    {OI_UNARY_HARD_SWISH, 0, 0}, {OI_UNARY_SIGMOID, 0, 0},       {OI_UNARY_TANH, 0, 0},
    {OI_UNARY_GELU_ERF, 0, 0},   {OI_UNARY_MISH, 0, 0},          {OI_UNARY_HARD_SIGMOID, 0.2f, 0.5f},
    {OI_UNARY_GELU_TANH, 0, 0},  {OI_UNARY_ELU, 0.7f, 0},
};

static void random_act(kt *t, oi_epilogue *e)
{
    const size_t a = kt_between(t, 0, sizeof acts / sizeof *acts - 1);
    e->act = acts[a].act;
    e->p0 = acts[a].p0;
    e->p1 = acts[a].p1;
}

static bool coin(kt *t) { return kt_random(t) % 2; }

/* A size near a multiple of a tile now and then. */
static size_t size_near(kt *t, size_t most)
{
    const size_t tile = t->kern->vl * kt_between(t, 1, 4);
    const size_t n = coin(t) ? kt_between(t, 1, most) : tile * kt_between(t, 1, 3) + kt_between(t, 0, 2) - 1;
    return n > most ? most : n;
}

/* All numbers below n in random order. */
static size_t *shuffled(kt *t, size_t n)
{
    size_t *order = malloc((n + 1) * sizeof *order);
    for (size_t i = 0; i < n; i++) {
        const size_t j = kt_between(t, 0, i);
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

/* A copy at an address that is no multiple of 4, to be freed. */
static void *loose_copy(const float *x, size_t n, oi_loose_float **copy)
{
    char *bytes = malloc(n * sizeof *x + 1);
    memcpy(bytes + 1, x, n * sizeof *x);
    *copy = (oi_loose_float *)(void *)(bytes + 1);
    return bytes;
}

void check_gemm(kt *t)
{
    const oi_kernels *kern = t->kern;
    oi_gemm_shape s = {.m = size_near(t, 70),
                       .n = size_near(t, 150),
                       .k = size_near(t, 90),
                       .batch = kt_between(t, 1, 3),
                       .trans_a = kt_random(t) % 4 == 0,
                       .trans_b = coin(t),
                       .b_packed = coin(t)};
    switch (kt_random(t) % 12) {
    case 0:
        s.k = 1024 + kt_between(t, 0, 1100);
        s.m = kt_between(t, 1, 20);
        s.n = kt_between(t, 1, 40);
        break;
    case 1: s.m = kt_between(t, 1, 4); break;
    case 2: s.k = kt_between(t, 0, 3); break;
    case 3:
        s.m = kt_between(t, 170, 700);
        s.n = size_near(t, 40);
        s.k = kt_between(t, 1, 20);
        break;
    case 4: /* a B that is read once, from memory */
        s = (oi_gemm_shape){.m = kt_between(t, 1, 4), .n = 60 + kt_between(t, 0, 9), .k = 2400 + kt_between(t, 0, 99), .batch = 1,
                            .trans_b = true};
        break;
    default: break;
    }
    const size_t ra = s.trans_a ? s.k : s.m, ca = s.trans_a ? s.m : s.k;
    const size_t rb = s.trans_b ? s.n : s.k, cb = s.trans_b ? s.k : s.n;
    oi_gemm_args g = {.lda = ca + kt_between(t, 0, 5),
                      .ldb = cb + kt_between(t, 0, 5),
                      .ldc = s.n + kt_between(t, 0, 5),
                      .alpha = coin(t) ? 1.0f : 0.75f,
                      .epilogue = oi_epilogue_none()};
    if (kt_random(t) % 16 == 0)
        g.lda = (ca + 511) / 512 * 512;
    oi_epilogue *e = &g.epilogue;
    random_act(t, e);
    const bool bias = coin(t), row_bias = kt_random(t) % 4 == 0, residual = kt_random(t) % 3 == 0,
               share_b = coin(t);
    e->residual_after = coin(t);
    e->beta = coin(t) ? 1.0f : -0.5f;
    g.a_batch = ra * g.lda;
    g.b_batch = share_b ? 0 : rb * g.ldb;
    g.c_batch = s.m * g.ldc;
    g.ldr = coin(t) ? s.n + 2 : 0;
    g.r_batch = s.m * g.ldr;
    kt_detail(t,
              "m %zu n %zu k %zu batch %zu trans %d %d packed %d act %d bias %d %d residual %d after %d "
              "alpha %g lda %zu",
              s.m, s.n, s.k, s.batch, s.trans_a, s.trans_b, s.b_packed, (int)e->act, bias, row_bias, residual,
              e->residual_after, (double)g.alpha, g.lda);

    /* The last row of a matrix ends with its last element. */
    const size_t na = s.batch * g.a_batch - (ra ? g.lda - ca : 0) + (ra == 0),
                 nc = s.batch * g.c_batch - (g.ldc - s.n);
    const size_t nb = (share_b ? 1 : s.batch) * rb * g.ldb - (rb ? g.ldb - cb : 0) + (rb == 0);
    const size_t nr = s.batch * g.r_batch - (g.ldr ? g.ldr - s.n : 0) + (g.ldr ? 0 : s.n);
    float *a = kt_floats(t, na, false), *b = kt_floats(t, nb, false), *c = kt_floats(t, nc, false);
    float *before = malloc(nc * sizeof *before);
    memcpy(before, c, nc * sizeof *before);
    float *vb = kt_floats(t, s.n, false), *vr = kt_floats(t, s.m, false), *r = kt_floats(t, nr, false);
    e->bias = bias ? vb : NULL;
    g.row_bias = row_bias ? vr : NULL;
    e->residual = residual ? r : NULL;
    g.a = a;
    g.b = b;
    g.c = c;
    oi_gemm_plan plan;
    if (oi_gemm_plan_init(&plan, kern, &s) != ONNX_INFER_OK) {
        kt_fail(t, "no plan");
        return;
    }
    const size_t packed_one = oi_gemm_packed_size(kern, s.k, s.n), copies = share_b ? 1 : s.batch;
    float *packed = kt_floats(t, packed_one * copies, false);
    oi_gemm_args run = g;
    if (s.b_packed) {
        const size_t parts = oi_gemm_pack_parts(kern, s.n);
        size_t *part = shuffled(t, parts);
        oi_loose_float *from;
        void *copy = loose_copy(b, nb, &from);
        for (size_t i = 0; i < copies * parts; i++)
            oi_gemm_pack_part(kern, s.k, s.n, from + i / parts * g.b_batch, g.ldb, s.trans_b, 1.0f, part[i % parts],
                              packed + i / parts * packed_one);
        free(copy);
        free(part);
        run.b = packed;
        run.b_batch = share_b ? 0 : packed_one;
    }
    oi_loose_float *loose_b = NULL;
    void *b_copy = NULL;
    if (!s.b_packed && s.trans_b && !s.trans_a && s.m <= OI_GEMM_DOT_ROWS) {
        b_copy = loose_copy(b, nb, &loose_b);
        run.b = loose_b;
    }
    float *ws = kt_floats(t, plan.workspace, false);
    size_t *order = shuffled(t, plan.n_tasks);
    for (size_t i = 0; i < plan.n_tasks; i++)
        oi_gemm_run(&plan, &run, order[i], ws);
    free(b_copy);
    double *want = malloc(s.m * s.n * 2 * sizeof *want), *bound = want + s.m * s.n;
    for (size_t i = 0; i < s.batch; i++) {
        oi_gemm_args one = g;
        one.a += i * g.a_batch;
        one.b += i * g.b_batch;
        if (one.epilogue.residual)
            one.epilogue.residual += i * g.r_batch;
        oi_ref_gemm(&s, &one, want, bound);
        for (size_t y = 0; y < s.m; y++)
            for (size_t x = 0; x < g.ldc; x++) {
                const size_t at = i * g.c_batch + y * g.ldc + x;
                if (x < s.n)
                    kt_near(t, "c", at, c[at], want[y * s.n + x], bound[y * s.n + x]);
                else if (at < nc && c[at] != before[at])
                    kt_fail(t, "wrote beyond a row at %zu", at);
            }
    }
    free(want);
    free(order);
    free(before);
    kt_free(t, a, na);
    kt_free(t, b, nb);
    kt_free(t, c, nc);
    kt_free(t, vb, s.n);
    kt_free(t, vr, s.m);
    kt_free(t, r, nr);
    kt_free(t, packed, packed_one * copies);
    kt_free(t, ws, plan.workspace);
}

static void random_conv(kt *t, oi_conv_shape *s)
{
    s->n = kt_between(t, 1, 2);
    s->groups = 1;
    s->c = size_near(t, 50);
    s->oc = size_near(t, 60);
    s->h = kt_between(t, 1, 18);
    s->w = kt_between(t, 1, 40);
    s->kh = s->kw = 1;
    s->sh = s->sw = s->dh = s->dw = 1;
    switch (kt_random(t) % 8) {
    case 0:
    case 1: break;
    case 2: s->kh = s->kw = 3; break;
    default:
        s->kh = kt_between(t, 1, 5);
        s->kw = kt_between(t, 1, 7);
        s->sh = kt_between(t, 1, 3);
        s->sw = kt_between(t, 1, 3);
        s->dh = kt_between(t, 1, 2);
        s->dw = kt_between(t, 1, 2);
    }
    if (kt_random(t) % 6 == 0)
        s->sh = s->sw = 2;
    switch (kt_random(t) % 8) {
    case 0:
    case 1: /* depthwise, often in the sizes that have tiles of their own */
        s->groups = s->oc = s->c;
        s->kw = 1 + 2 * kt_between(t, 0, 3);
        s->sw = kt_between(t, 1, 2);
        s->dw = kt_random(t) % 4 == 0 ? 2 : 1;
        break;
    case 2: /* groups of any size */
        s->groups = kt_between(t, 2, 6);
        s->c = s->groups * kt_between(t, 1, 9);
        s->oc = s->groups * kt_between(t, 1, 9);
        break;
    case 3: /* groups of whole blocks */
        s->groups = kt_between(t, 2, 3);
        s->c = s->groups * t->kern->vl * kt_between(t, 1, 2);
        s->oc = s->groups * t->kern->vl * kt_between(t, 1, 3);
        break;
    default: break;
    }
    s->in_plain = kt_random(t) % 5 == 0;
    s->transposed = kt_random(t) % 5 == 0;
    s->pt = kt_between(t, 0, s->kh);
    s->pl = kt_between(t, 0, s->kw);
    if (s->transposed) {
        s->oh = (s->h - 1) * s->sh + (s->kh - 1) * s->dh + 1 + kt_between(t, 0, 2);
        s->ow = (s->w - 1) * s->sw + (s->kw - 1) * s->dw + 1 + kt_between(t, 0, 2);
        s->oh = s->oh > 2 * s->pt ? s->oh - 2 * s->pt : 1;
        s->ow = s->ow > 2 * s->pl ? s->ow - 2 * s->pl : 1;
    } else {
        s->oh = oi_conv_out_size(s->h, s->kh, s->sh, s->dh, s->pt, kt_between(t, 0, s->kh));
        s->ow = oi_conv_out_size(s->w, s->kw, s->sw, s->dw, s->pl, kt_between(t, 0, s->kw));
    }
}

void check_conv(kt *t)
{
    const oi_kernels *kern = t->kern;
    const size_t vl = kern->vl;
    oi_conv_shape s = {0};
    random_conv(t, &s);
    const size_t in = s.h * s.w, out = s.oh * s.ow, nw = s.c * (s.oc / s.groups) * s.kh * s.kw;
    const size_t nx = s.n * s.c * in, ny = s.n * s.oc * out;
    const bool bias = coin(t), residual = kt_random(t) % 3 == 0, in_place = coin(t),
               scaled = kt_random(t) % 4 == 0;
    oi_epilogue e = oi_epilogue_none();
    random_act(t, &e);
    e.residual_after = coin(t);
    e.beta = coin(t) ? 1.0f : -0.5f;
    kt_detail(t,
              "n %zu c %zu %zux%zu oc %zu %zux%zu k %zux%zu s %zux%zu d %zux%zu p %zux%zu g %zu plain %d "
              "transposed %d "
              "act %d bias %d residual %d after %d in place %d beta %g",
              s.n, s.c, s.h, s.w, s.oc, s.oh, s.ow, s.kh, s.kw, s.sh, s.sw, s.dh, s.dw, s.pt, s.pl, s.groups,
              s.in_plain, s.transposed, (int)e.act, bias, residual, e.residual_after, in_place,
              (double)e.beta);
    oi_conv_plan plan;
    if (oi_conv_plan_init(&plan, kern, &s) != ONNX_INFER_OK) {
        kt_fail(t, "no plan");
        return;
    }
    if (out == 0)
        return;
    float *x = kt_floats(t, nx, false), *w = kt_floats(t, nw, false), *b = kt_floats(t, s.oc, false);
    float *scale = kt_floats(t, s.oc, false), *r = kt_floats(t, ny, false);
    const size_t nxb = s.in_plain ? nx : oi_blocked_size(kern, s.n, s.c, in),
                 nyb = oi_blocked_size(kern, s.n, s.oc, out);
    float *xb = kt_floats(t, nxb, false), *yb = kt_floats(t, nyb, false), *rb = kt_floats(t, nyb, false);
    if (s.in_plain) {
        memcpy(xb, x, nx * sizeof *x);
    } else {
        oi_ref_to_blocked(s.n, s.c, in, vl, x, xb);
        /* Padding lanes of the input may hold anything. */
        const size_t blocks = (s.c + vl - 1) / vl;
        for (size_t i = 0; s.groups != s.c && i < nxb; i++)
            if (i / vl / in % blocks * vl + i % vl >= s.c)
                xb[i] = NAN;
    }
    oi_ref_to_blocked(s.n, s.oc, out, vl, r, rb);
    float *packed = kt_floats(t, plan.packed, false);
    /* Aligned as promised, which the buffer's end decides. */
    const size_t nws = (plan.workspace + 15) / 16 * 16;
    float *ws = kt_floats(t, nws, false);
    oi_loose_float *from;
    void *copy = loose_copy(w, nw, &from);
    size_t *part = shuffled(t, oi_conv_pack_parts(&plan));
    for (size_t i = 0; i < oi_conv_pack_parts(&plan); i++)
        oi_conv_pack_part(&plan, from, scaled ? scale : NULL, part[i], packed);
    free(part);
    free(copy);
    /* A factor for each input channel, on the weights. */
    const size_t factor_parts = coin(t) ? oi_conv_scale_parts(&plan) : 0, nf = factor_parts ? plan.packed : 1;
    float *factor = kt_floats(t, s.c, false), *again = kt_floats(t, nf, false);
    part = shuffled(t, factor_parts);
    for (size_t i = 0; i < factor_parts; i++)
        oi_conv_scale_part(&plan, packed, factor, part[i], again);
    free(part);
    for (size_t i = 0; factor_parts && i < nw; i++)
        w[i] *= factor[s.transposed ? i / s.oc : i % s.c];
    oi_conv_args args = {.x = xb, .weights = factor_parts ? again : packed, .y = yb, .epilogue = e};
    args.epilogue.bias = bias ? b : NULL;
    if (residual) {
        args.epilogue.residual = in_place ? yb : rb;
        memcpy(yb, rb, nyb * sizeof *yb);
    }
    size_t *order = shuffled(t, plan.n_tasks);
    for (size_t i = 0; i < plan.n_tasks; i++)
        oi_conv_run(&plan, &args, order[i], ws);
    float *y = malloc(ny * sizeof *y);
    oi_ref_from_blocked(s.n, s.oc, out, vl, yb, y);
    const size_t per = s.kh * s.kw, ocg = s.oc / s.groups;
    for (size_t i = 0; scaled && i < nw; i++) {
        const size_t oc =
            s.transposed ? i / per / ocg / (s.c / s.groups) * ocg + i / per % ocg : i / (nw / s.oc);
        w[i] *= scale[oc];
    }
    e.bias = args.epilogue.bias;
    e.residual = residual ? r : NULL;
    double *want = malloc(ny * 2 * sizeof *want);
    oi_ref_conv(&s, x, w, &e, want, want + ny);
    for (size_t i = 0; i < ny; i++)
        kt_near(t, "y", i, y[i], want[i], want[ny + i]);
    free(want);
    free(y);
    free(order);
    kt_free(t, x, nx);
    kt_free(t, w, nw);
    kt_free(t, b, s.oc);
    kt_free(t, scale, s.oc);
    kt_free(t, factor, s.c);
    kt_free(t, again, nf);
    kt_free(t, r, ny);
    kt_free(t, xb, nxb);
    kt_free(t, yb, nyb);
    kt_free(t, rb, nyb);
    kt_free(t, packed, plan.packed);
    kt_free(t, ws, nws);
}
