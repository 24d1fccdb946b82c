/* bench.c - speeds of convolutions, products and vector kernels beside the measured peak of one core. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel_test.h"

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static float *floats(size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof *p + 127) / 64 * 64);
    if (!p)
        exit(2);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(i % 17) * 0.01f;
    return p;
}

/* Billions of multiply-adds a second of the widest tile on operands in the level 1 cache. */
static double measure_peak(const oi_kernels *kern)
{
    const size_t nv = 2, mr = kern->max_mr[nv], k = 256, vl = kern->vl;
    float *a = floats(mr * k), *b = floats(k * nv * vl), *c = floats(mr * nv * vl);
    const ptrdiff_t tap = 0;
    const oi_tile_args t = {.a = a,
                            .b = b,
                            .taps = &tap,
                            .ntaps0 = 1,
                            .kc0 = k,
                            .a_row = 0,
                            .bs = 0,
                            .c = c,
                            .c_row = (ptrdiff_t)(nv * vl),
                            .c_half = (ptrdiff_t)((mr - mr / 2) * nv * vl),
                            .c_vec = (ptrdiff_t)vl,
                            .lanes = vl,
                            .alpha = 1,
                            .beta = 1};
    double best = 1e9;
    for (int i = 0; i < 200; i++) {
        const double s = now();
        for (int j = 0; j < 20; j++)
            kern->tile[nv][mr](&t);
        const double d = (now() - s) / 20;
        best = d < best ? d : best;
    }
    free(a);
    free(b);
    free(c);
    return (double)(mr * nv * vl * k) / best * 1e-9;
}

static void report(const char *name, double macs, double seconds, double peak)
{
    printf("%-46s %9.1f us %8.1f GMAC/s %5.1f %% of peak\n", name, seconds * 1e6, macs / seconds * 1e-9,
           100 * macs / seconds * 1e-9 / peak);
}

/*
 * Adds up the shortest time of each task over some runs, so that what else the machine does counts for
 * little. Task times go to best[], which starts at a large value.
 */
static double shortest(size_t n, const double *best)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += best[i];
    return sum;
}

static double *large(size_t n)
{
    double *p = malloc(n * sizeof *p + 8);
    if (!p)
        exit(2);
    for (size_t i = 0; i < n; i++)
        p[i] = 1e9;
    return p;
}

static void keep_shorter(double *best, double start)
{
    const double d = now() - start;
    if (d < *best)
        *best = d;
}

static void evict(void)
{
    enum { N = 48 << 20 };
    static char *junk;
    if (!junk)
        junk = malloc(N);
    for (size_t i = 0; junk && i < N; i += 64)
        junk[i]++;
}

typedef struct conv_line {
    const char *name;
    size_t c, hw, oc, k, s, groups;
    bool plain;
} conv_line;

static const conv_line conv_lines[] = {
    {"stem 7x7/2 3->64 224", 3, 224, 64, 7, 2, 1, true},
    {"stem 3x3/2 3->32 224", 3, 224, 32, 3, 2, 1, true},
    {"1x1 64->64 56", 64, 56, 64, 1, 1, 1, false},
    {"3x3 64->64 56", 64, 56, 64, 3, 1, 1, false},
    {"1x1 64->256 56", 64, 56, 256, 1, 1, 1, false},
    {"1x1 256->64 56", 256, 56, 64, 1, 1, 1, false},
    {"1x1 256->128 56", 256, 56, 128, 1, 1, 1, false},
    {"3x3/2 128->128 56", 128, 56, 128, 3, 2, 1, false},
    {"1x1/2 256->512 56", 256, 56, 512, 1, 2, 1, false},
    {"1x1 128->512 28", 128, 28, 512, 1, 1, 1, false},
    {"1x1 512->128 28", 512, 28, 128, 1, 1, 1, false},
    {"3x3 128->128 28", 128, 28, 128, 3, 1, 1, false},
    {"1x1 256->1024 14", 256, 14, 1024, 1, 1, 1, false},
    {"1x1 1024->256 14", 1024, 14, 256, 1, 1, 1, false},
    {"3x3 256->256 14", 256, 14, 256, 3, 1, 1, false},
    {"1x1/2 1024->2048 14", 1024, 14, 2048, 1, 2, 1, false},
    {"1x1 512->2048 7", 512, 7, 2048, 1, 1, 1, false},
    {"1x1 2048->512 7", 2048, 7, 512, 1, 1, 1, false},
    {"3x3 512->512 7", 512, 7, 512, 3, 1, 1, false},
    {"3x3/2 512->512 14", 512, 14, 512, 3, 2, 1, false},
    {"1x1 16->96 112", 16, 112, 96, 1, 1, 1, false},
    {"1x1 96->24 56", 96, 56, 24, 1, 1, 1, false},
    {"1x1 144->24 56", 144, 56, 24, 1, 1, 1, false},
    {"1x1 192->32 28", 192, 28, 32, 1, 1, 1, false},
    {"1x1 64->384 14", 64, 14, 384, 1, 1, 1, false},
    {"1x1 384->96 14", 384, 14, 96, 1, 1, 1, false},
    {"1x1 960->160 7", 960, 7, 160, 1, 1, 1, false},
    {"1x1 320->1280 7", 320, 7, 1280, 1, 1, 1, false},
    {"dw 3x3 32 112", 32, 112, 32, 3, 1, 32, false},
    {"dw 3x3/2 96 112", 96, 112, 96, 3, 2, 96, false},
    {"dw 3x3 144 56", 144, 56, 144, 3, 1, 144, false},
    {"dw 3x3/2 144 56", 144, 56, 144, 3, 2, 144, false},
    {"dw 3x3 384 14", 384, 14, 384, 3, 1, 384, false},
    {"dw 3x3 960 7", 960, 7, 960, 3, 1, 960, false},
    {"dw 5x5 240 28", 240, 28, 240, 5, 1, 240, false},
    {"dw 5x5/2 672 14", 672, 14, 672, 5, 2, 672, false},
    {"3x3 32x4d 128->128 56", 128, 56, 128, 3, 1, 32, false},
    {"3x3 80->80 80", 80, 80, 80, 3, 1, 1, false},
    {"3x3 64->64 40", 64, 40, 64, 3, 1, 1, false},
    {"3x3 128->128 20", 128, 20, 128, 3, 1, 1, false},
};

/* The best of some runs, each with all caches cold when `cold`. */
static void bench_convs(const oi_kernels *kern, const char *filter, double peak)
{
    double total = 0, macs_all = 0;
    for (size_t i = 0; i < sizeof conv_lines / sizeof *conv_lines; i++) {
        const conv_line *l = &conv_lines[i];
        if (!strstr(l->name, filter))
            continue;
        const size_t pad = l->k / 2, o = oi_conv_out_size(l->hw, l->k, l->s, 1, pad, pad);
        const oi_conv_shape s = {.n = 1,
                                 .c = l->c,
                                 .h = l->hw,
                                 .w = l->hw,
                                 .oc = l->oc,
                                 .oh = o,
                                 .ow = o,
                                 .kh = l->k,
                                 .kw = l->k,
                                 .sh = l->s,
                                 .sw = l->s,
                                 .dh = 1,
                                 .dw = 1,
                                 .pt = pad,
                                 .pl = pad,
                                 .groups = l->groups,
                                 .in_plain = l->plain};
        oi_conv_plan p;
        if (oi_conv_plan_init(&p, kern, &s) != ONNX_INFER_OK)
            continue;
        const size_t nw = l->oc * (l->c / l->groups) * l->k * l->k;
        float *w = floats(nw), *packed = floats(p.packed), *ws = floats(p.workspace), *bias = floats(l->oc);
        float *x = floats(oi_blocked_size(kern, 1, l->c, l->hw * l->hw)),
              *y = floats(oi_blocked_size(kern, 1, l->oc, o * o));
        for (size_t part = 0; part < oi_conv_pack_parts(&p); part++)
            oi_conv_pack_part(&p, w, NULL, part, packed);
        oi_conv_args args = {.x = x, .weights = packed, .y = y, .epilogue = oi_epilogue_none()};
        args.epilogue.bias = bias;
        args.epilogue.act = OI_UNARY_RELU;
        const double macs = (double)(o * o * nw);
        double best[2];
        for (int cold = 0; cold < 2; cold++) {
            double *tasks = large(p.n_tasks);
            for (int run = 0; run < (cold ? 4 : 12); run++) {
                if (cold)
                    evict();
                for (size_t t = 0; t < p.n_tasks; t++) {
                    const double start = now();
                    oi_conv_run(&p, &args, t, ws);
                    keep_shorter(&tasks[t], start);
                }
            }
            best[cold] = shortest(p.n_tasks, tasks);
            free(tasks);
        }
        char name[96];
        snprintf(name, sizeof name, "%-26s (%2zu tasks, cold %5.1f %%)", l->name, p.n_tasks,
                 100e-9 * macs / best[1] / peak);
        report(name, macs, best[0], peak);
        total += best[0];
        macs_all += macs;
        free(w);
        free(packed);
        free(ws);
        free(bias);
        free(x);
        free(y);
    }
    if (total > 0)
        report("all of these", macs_all, total, peak);
}

static const struct {
    const char *name;
    size_t m, n, k;
    bool packed, trans;
} gemm_lines[] = {
    {"gemm 128x384x384 packed", 128, 384, 384, true, false},
    {"gemm 128x1536x384 packed", 128, 1536, 384, true, false},
    {"gemm 128x384x1536 packed", 128, 384, 1536, true, false},
    {"gemm 128x3072x768 packed", 128, 3072, 768, true, false},
    {"gemm 128x768x3072 packed", 128, 768, 3072, true, false},
    {"gemm 197x768x3072 packed", 197, 768, 3072, true, false},
    {"gemm 197x3072x768 packed", 197, 3072, 768, true, false},
    {"gemm 1500x384x1536 packed", 1500, 384, 1536, true, false},
    {"gemm 1500x1500x64 transposed", 1500, 1500, 64, false, true},
    {"gemm 1500x64x1500", 1500, 64, 1500, false, false},
    {"gemm 1024x1024x1024 packed", 1024, 1024, 1024, true, false},
    {"gemm 1024x1024x1024", 1024, 1024, 1024, false, false},
    {"gemm 128x128x32 transposed", 128, 128, 32, false, true},
    {"gemm 128x32x128", 128, 32, 128, false, false},
    {"gemm 512x512x64 transposed", 512, 512, 64, false, true},
    {"gemm 197x192x192 packed", 197, 192, 192, true, false},
    {"gemv 1x1000x2048 packed", 1, 1000, 2048, true, false},
    {"gemv 1x4096x4096 packed", 1, 4096, 4096, true, false},
    {"gemv 1x1000x2048 transposed", 1, 1000, 2048, false, true},
    {"gemv 1x1000x2048", 1, 1000, 2048, false, false},
    {"gemm 4x1024x1024 packed", 4, 1024, 1024, true, false},
    {"gemm 16x1024x1024 packed", 16, 1024, 1024, true, false},
    {"gemv 1x128x256 packed", 1, 128, 256, true, false},
};

static void bench_gemms(const oi_kernels *kern, const char *filter, double peak)
{
    for (size_t i = 0; i < sizeof gemm_lines / sizeof *gemm_lines; i++) {
        const size_t m = gemm_lines[i].m, n = gemm_lines[i].n, k = gemm_lines[i].k;
        if (!strstr(gemm_lines[i].name, filter))
            continue;
        const bool trans = gemm_lines[i].trans;
        const oi_gemm_shape s = {
            .m = m, .n = n, .k = k, .batch = 1, .trans_b = trans, .b_packed = gemm_lines[i].packed};
        oi_gemm_plan p;
        if (oi_gemm_plan_init(&p, kern, &s) != ONNX_INFER_OK)
            continue;
        float *a = floats(m * k), *b = floats(n * k), *c = floats(m * n), *ws = floats(p.workspace);
        float *packed = floats(oi_gemm_packed_size(kern, k, n));
        oi_gemm_pack_b(kern, k, n, b, trans ? k : n, trans, 1.0f, packed);
        const oi_gemm_args g = {.a = a,
                                .b = s.b_packed ? packed : b,
                                .c = c,
                                .lda = k,
                                .ldb = trans ? k : n,
                                .ldc = n,
                                .alpha = 1,
                                .epilogue = oi_epilogue_none()};
        double *tasks = large(p.n_tasks);
        for (int run = 0; run < 15; run++)
            for (size_t t = 0; t < p.n_tasks; t++) {
                const double start = now();
                oi_gemm_run(&p, &g, t, ws);
                keep_shorter(&tasks[t], start);
            }
        const double best = shortest(p.n_tasks, tasks);
        free(tasks);
        char name[96];
        snprintf(name, sizeof name, "%-28s (%2zu tasks, %4.0f GB/s)", gemm_lines[i].name, p.n_tasks,
                 4e-9 * (double)(n * k) / best);
        report(name, (double)(m * n * k), best, peak);
        free(a);
        free(b);
        free(c);
        free(ws);
        free(packed);
    }
}

static void bench_vectors(const oi_kernels *kern, const char *filter)
{
    enum { N = 4096, ROUNDS = 50 };
    static const char *const names[OI_UNARY_COUNT] = {
        "none",    "relu",  "clip",       "leaky",    "thresholded", "hard sigmoid", "hard swish",
        "sigmoid", "swish", "tanh",       "gelu erf", "gelu tanh",   "mish",         "elu",
        "selu",    "celu",  "softplus",   "softsign", "exp",         "log",          "erf",
        "sqrt",    "rsqrt", "reciprocal", "abs",      "neg",         "floor",        "ceil",
        "round",   "sign",  "square",     "affine",   "sin",         "cos",
        "quantise u8", "quantise s8"};
    float *x = floats(N), *y = floats(N);
    for (int op = 0; op < OI_UNARY_COUNT; op++) {
        if (!strstr("unary", filter) && !strstr(names[op], filter))
            continue;
        double best = 1e9;
        for (int run = 0; run < 10; run++) {
            const double start = now();
            for (int r = 0; r < ROUNDS; r++)
                kern->unary[op](N, x, y, 0.5f, 1.0f);
            const double d = (now() - start) / ROUNDS;
            best = d < best ? d : best;
        }
        printf("unary %-14s %6.2f Gelem/s\n", names[op], N / best * 1e-9);
    }
    if (strstr("softmax", filter)) {
        double best = 1e9;
        for (int run = 0; run < 200; run++) {
            const double start = now();
            kern->softmax(N / 128, 128, x, y);
            const double d = now() - start;
            best = d < best ? d : best;
        }
        printf("softmax of 128         %6.2f Gelem/s\n", N / best * 1e-9);
    }
    free(x);
    free(y);
}

void bench(const oi_kernels *kern, const char *filter)
{
    measure_peak(kern);
    const double peak = measure_peak(kern);
    printf("%s, one core, peak %.1f GMAC/s\n", kern->name, peak);
    bench_convs(kern, filter, peak);
    bench_gemms(kern, filter, peak);
    bench_vectors(kern, filter);
}
