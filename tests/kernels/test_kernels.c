/*
 * test_kernels.c - every kernel of every instruction set that this machine can run, against plain references.
 *   test_kernels [--seed N] [--isa NAME] [--rounds N] [--bench [WORD]] [--sweep [WORD]] [CHECK...]
 */
#include "kernel_test.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { GUARD = 16 };
static const float guard_value = -7.0625e12f;

uint64_t kt_random(kt *t)
{
    /* splitmix64 */
    uint64_t z = (t->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t kt_between(kt *t, size_t lo, size_t hi) { return lo + (size_t)(kt_random(t) % (hi - lo + 1)); }

float kt_float(kt *t) { return (float)((double)(kt_random(t) >> 40) / (double)(1 << 23) - 1.0); }

static size_t mapped(size_t n, size_t page) { return ((n + GUARD) * sizeof(float) + page - 1) / page * page; }

float *kt_floats(kt *t, size_t n, bool special)
{
    static const float odd[] = {NAN,     INFINITY, -INFINITY, 0.0f,  -0.0f,  1e-40f,
                                -1e-42f, 3e38f,    -3e38f,    88.5f, -88.5f, -103.9f};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = mapped(n, page);
    char *base = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + size, page, PROT_NONE) != 0) {
        perror("mmap");
        exit(2);
    }
    float *p = (float *)(void *)(base + size) - n;
    for (size_t i = 0; i < GUARD; i++)
        p[-(ptrdiff_t)i - 1] = guard_value;
    for (size_t i = 0; i < n; i++) {
        p[i] = kt_float(t);
        if (special && kt_random(t) % 8 == 0)
            p[i] = odd[kt_random(t) % (sizeof odd / sizeof *odd)];
        else if (special)
            p[i] *= 20.0f;
    }
    return p;
}

void kt_free(kt *t, float *p, size_t n)
{
    for (size_t i = 0; i < GUARD; i++)
        if (p[-(ptrdiff_t)i - 1] != guard_value)
            kt_fail(t, "wrote %zu floats before a buffer", i + 1);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = mapped(n, page);
    munmap((char *)(p + n) - size, size + page);
}

void kt_detail(kt *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->detail, sizeof t->detail, fmt, ap);
    va_end(ap);
}

void kt_fail(kt *t, const char *fmt, ...)
{
    if (t->failures++ < 10) {
        printf("FAIL %s/%s seed %llu: ", t->kern->name, t->what, (unsigned long long)t->seed);
        va_list ap;
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        printf(" (%s)\n", t->detail);
    }
}

void kt_near(kt *t, const char *name, size_t index, double got, double want, double bound)
{
    const bool same = isnan(want)                 ? isnan(got)
                      : fabs(want) > 3.4028235e38 ? got == (want > 0 ? INFINITY : -INFINITY)
                                                  : fabs(got - want) <= bound;
    if (!same)
        kt_fail(t, "%s[%zu] is %.9g, expected %.9g within %.2g", name, index, got, want, bound);
}

static const struct {
    const char *name;
    void (*run)(kt *t);
    int rounds;
} checks[] = {
    {"gemm", check_gemm, 150},    {"attention", check_attention, 150}, {"conv", check_conv, 250},
    {"unary", check_unary, 8},    {"binary", check_binary, 30},        {"reduce", check_reduce, 30},
    {"softmax", check_softmax, 30}, {"norm", check_norm, 30},          {"layout", check_layout, 30},
    {"pool", check_pool, 100},    {"nbits", check_nbits, 60},          {"rotate", check_rotate, 60},
    {"bytes", check_bytes, 200},
    {"byte floats", check_byte_floats, 100},
    {"conv_bytes", check_conv_bytes, 300}, {"byte_moves", check_byte_moves, 100},
};

int main(int argc, char **argv)
{
    uint64_t seed = (uint64_t)time(NULL);
    int rounds = 0, picked = 0;
    bool fixed = false, benching = false, sweeping = false;
    const char *filter = "";
    oi_cpu_isa only = OI_ISA_COUNT;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 0);
            fixed = true;
        } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) {
            only = oi_cpu_isa_from_name(argv[++i]);
        } else if (strcmp(argv[i], "--bench") == 0 || strcmp(argv[i], "--sweep") == 0) {
            *(argv[i][2] == 'b' ? &benching : &sweeping) = true;
            if (i + 1 < argc && argv[i + 1][0] != '-')
                filter = argv[++i];
        } else if (argv[i][0] == '-') {
            fprintf(stderr,
                    "usage: %s [--seed N] [--isa NAME] [--rounds N] [--bench [WORD]] [--sweep [WORD]] "
                    "[CHECK...]\n",
                    argv[0]);
            return 2;
        } else {
            picked++;
        }
    }
    if (benching || sweeping) {
        const oi_kernels *kern = oi_kernels_for(only == OI_ISA_COUNT ? oi_cpu_isa_detect() : only);
        (benching ? bench : sweep)(kern, filter);
        return 0;
    }
    int failures = 0;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int isa = 0; isa < OI_ISA_COUNT; isa++) {
        const oi_kernels *kern = oi_kernels_for((oi_cpu_isa)isa);
        if (kern->isa != (oi_cpu_isa)isa || (only != OI_ISA_COUNT && kern->isa != only))
            continue;
        for (size_t c = 0; c < sizeof checks / sizeof *checks; c++) {
            bool wanted = picked == 0;
            for (int i = 1; i < argc; i++)
                wanted = wanted || strcmp(argv[i], checks[c].name) == 0;
            if (!wanted)
                continue;
            kt t = {.kern = kern, .what = checks[c].name};
            const int n = rounds ? rounds : checks[c].rounds;
            int done = 0;
            for (; done < n && t.failures < 10; done++) {
                t.seed = seed + (uint64_t)(fixed && rounds == 1 ? 0 : done);
                t.state = t.seed * 0x2545f4914f6cdd1du + 1;
                t.detail[0] = 0;
                checks[c].run(&t);
            }
            printf("%-8s %-8s %d rounds%s\n", kern->name, checks[c].name, done, t.failures ? ": FAILED" : "");
            failures += t.failures;
        }
    }
    return failures != 0;
}
