/* cpu.c - CPU identification by cpuid, caches and usable threads by what the system says. */
#include "base/cpu.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

static const char *const isa_names[OI_ISA_COUNT] = {"generic", "sse2", "avx2", "avx512", "neon"};

#if defined(__x86_64__) || defined(__i386__)
/* Register states that the operating system saves. */
static uint32_t enabled_states(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

static oi_cpu_isa probe(void)
{
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, F16C = 1 << 29, SSE2 = 1 << 26 };
    enum { AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30 };
    const uint32_t avx512vl = 1u << 31;
    uint32_t a, b, c, d, b7 = 0, c7, d7;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(d & SSE2))
        return OI_ISA_GENERIC;
    if (!(c & OSXSAVE) || !(c & FMA) || !(c & F16C) || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) ||
        !(b7 & AVX2))
        return OI_ISA_SSE2;
    const uint32_t states = enabled_states();
    if ((states & 0x06) != 0x06)
        return OI_ISA_SSE2;
    const uint32_t need = AVX512F | AVX512DQ | AVX512BW | avx512vl;
    return (states & 0xe6) == 0xe6 && (b7 & need) == need ? OI_ISA_AVX512 : OI_ISA_AVX2;
}

static bool probe_feature(oi_cpu_feature feature)
{
    uint32_t a, b, c, d;
    if (feature == OI_CPU_AVX512_VNNI)
        return probe() == OI_ISA_AVX512 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1 << 11);
    return probe() >= OI_ISA_AVX2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 4);
}

/* Size of the data or unified cache at `level`, from the leaf that Intel (4) and AMD (0x8000001d) share the
 * form of. */
static size_t probe_cache(unsigned level)
{
    uint32_t a, b, c, d, vendor_b, top;
    if (!__get_cpuid(0, &top, &vendor_b, &c, &d))
        return 0;
    const bool amd = c == 0x444d4163; /* "cAMD" */
    const uint32_t leaf = amd ? 0x8000001d : 4;
    for (unsigned i = 0; i < 16; i++) {
        if (!__get_cpuid_count(leaf, i, &a, &b, &c, &d) || (a & 31) == 0)
            break;
        if (((a >> 5) & 7) == level && (a & 31) != 2)
            return ((size_t)(b >> 22) + 1) * (((b >> 12) & 1023) + 1) * ((b & 4095) + 1) * ((size_t)c + 1);
    }
    return 0;
}
#else
static oi_cpu_isa probe(void)
{
#if defined(__aarch64__)
    return OI_ISA_NEON;
#else
    return OI_ISA_GENERIC;
#endif
}

static bool probe_feature(oi_cpu_feature feature)
{
    (void)feature;
    return false;
}

static size_t probe_cache(unsigned level)
{
    long n = -1;
#if defined(_SC_LEVEL1_DCACHE_SIZE) && defined(_SC_LEVEL2_CACHE_SIZE)
    n = sysconf(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : _SC_LEVEL2_CACHE_SIZE);
#else
    (void)level;
#endif
    return n > 0 ? (size_t)n : 0;
}
#endif

/* Each is 0 until found; a race only finds the same value twice. */
static atomic_int native_isa, capped_isa, features[OI_CPU_FEATURE_COUNT];
static atomic_size_t cache_bytes[3];

static oi_cpu_isa native(void)
{
    int v = atomic_load_explicit(&native_isa, memory_order_relaxed);
    if (v == 0) {
        v = (int)probe() + 1;
        atomic_store_explicit(&native_isa, v, memory_order_relaxed);
    }
    return (oi_cpu_isa)(v - 1);
}

bool oi_cpu_has(oi_cpu_feature feature)
{
    int v = atomic_load_explicit(&features[feature], memory_order_relaxed);
    if (v == 0) {
        v = probe_feature(feature) ? 2 : 1;
        atomic_store_explicit(&features[feature], v, memory_order_relaxed);
    }
    return v == 2;
}

static bool is_arm(oi_cpu_isa isa) { return isa == OI_ISA_NEON; }

bool oi_cpu_isa_available(oi_cpu_isa isa)
{
    const oi_cpu_isa best = native();
    return isa == OI_ISA_GENERIC || (isa <= best && is_arm(isa) == is_arm(best));
}

oi_cpu_isa oi_cpu_isa_detect(void)
{
    int v = atomic_load_explicit(&capped_isa, memory_order_relaxed);
    if (v == 0) {
        const char *name = getenv("ONNX_INFER_ISA");
        const oi_cpu_isa cap = name ? oi_cpu_isa_from_name(name) : OI_ISA_COUNT;
        v = (int)(cap != OI_ISA_COUNT && oi_cpu_isa_available(cap) ? cap : native()) + 1;
        atomic_store_explicit(&capped_isa, v, memory_order_relaxed);
    }
    return (oi_cpu_isa)(v - 1);
}

oi_cpu_isa oi_cpu_isa_from_name(const char *name)
{
    int i = 0;
    while (i < OI_ISA_COUNT && strcmp(name, isa_names[i]) != 0)
        i++;
    return (oi_cpu_isa)i;
}

const char *oi_cpu_isa_name(oi_cpu_isa isa) { return (unsigned)isa < OI_ISA_COUNT ? isa_names[isa] : "?"; }

static size_t cache_size(unsigned level, size_t unknown)
{
    size_t n = atomic_load_explicit(&cache_bytes[level], memory_order_relaxed);
    if (n == 0) {
        n = probe_cache(level);
        if (n == 0)
            n = unknown;
        atomic_store_explicit(&cache_bytes[level], n, memory_order_relaxed);
    }
    return n;
}

size_t oi_cpu_l1_bytes(void) { return cache_size(1, 32 * 1024); }
size_t oi_cpu_l2_bytes(void) { return cache_size(2, 512 * 1024); }

#ifdef __linux__
/* The first `n` numbers in a file, "max" counting as -1; how many were read. */
static int read_numbers(const char *path, long long *v, int n)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    int got = 0;
    char word[32];
    while (got < n && fscanf(f, "%31s", word) == 1)
        v[got++] = strcmp(word, "max") == 0 ? -1 : strtoll(word, NULL, 10);
    fclose(f);
    return got;
}

static void lower(size_t *cpus, long long quota, long long period)
{
    if (quota > 0 && period > 0) {
        const size_t n = (size_t)((quota + period - 1) / period);
        if (n < *cpus)
            *cpus = n;
    }
}

/* Applies the quotas of the control group `path` below `root` and of all groups above it. */
static void apply_quotas(size_t *cpus, const char *root, const char *path, bool v2)
{
    char dir[512], file[600];
    snprintf(dir, sizeof dir, "%s", strcmp(path, "/") == 0 ? "" : path);
    for (;;) {
        long long v[2];
        if (v2) {
            snprintf(file, sizeof file, "%s%s/cpu.max", root, dir);
            if (read_numbers(file, v, 2) == 2)
                lower(cpus, v[0], v[1]);
        } else {
            snprintf(file, sizeof file, "%s%s/cpu.cfs_quota_us", root, dir);
            if (read_numbers(file, v, 1) == 1) {
                snprintf(file, sizeof file, "%s%s/cpu.cfs_period_us", root, dir);
                if (read_numbers(file, v + 1, 1) == 1)
                    lower(cpus, v[0], v[1]);
            }
        }
        char *slash = strrchr(dir, '/');
        if (!slash)
            return;
        *slash = 0;
    }
}

/* Whether `list`, comma separated, holds `word`. */
static bool has_word(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == 0))
            return true;
    }
    return false;
}

static void apply_control_groups(size_t *cpus)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f)
        return;
    char line[640];
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *controllers++ = 0;
        *path++ = 0;
        if (*controllers == 0) {
            apply_quotas(cpus, "/sys/fs/cgroup", path, true);
        } else if (has_word(controllers, "cpu")) {
            apply_quotas(cpus, "/sys/fs/cgroup/cpu", path, false);
            apply_quotas(cpus, "/sys/fs/cgroup/cpu,cpuacct", path, false);
        }
    }
    fclose(f);
}
#endif

size_t oi_cpu_default_threads(void)
{
    size_t cpus = 0;
#ifdef __linux__
    /* The kernel may know more CPUs than cpu_set_t has room for. */
    for (int room = CPU_SETSIZE; cpus == 0 && room <= 1 << 20; room *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)room);
        if (!set)
            break;
        if (sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)room), set) == 0)
            cpus = (size_t)CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)room), set);
        CPU_FREE(set);
    }
#endif
    if (cpus == 0) {
        const long n = sysconf(_SC_NPROCESSORS_ONLN);
        cpus = n > 0 ? (size_t)n : 1;
    }
#ifdef __linux__
    apply_control_groups(&cpus);
#endif
    return cpus;
}
