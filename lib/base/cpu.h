/* cpu.h - what the machine offers: instruction set level, cache sizes, usable hardware threads. */
#ifndef OI_BASE_CPU_H
#define OI_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

/* Instruction set levels. Within one architecture a higher value includes the lower ones. */
typedef enum oi_cpu_isa {
    OI_ISA_GENERIC = 0,
    OI_ISA_SSE2,
    OI_ISA_AVX2,   /* AVX2, FMA and F16C */
    OI_ISA_AVX512, /* AVX-512 F, BW, DQ, VL (and everything of AVX2) */
    OI_ISA_NEON,
    OI_ISA_COUNT
} oi_cpu_isa;

/*
 * The best level that this CPU and its operating system offer, lowered by the environment variable
 * ONNX_INFER_ISA (a level's name; unknown names and levels that are not offered are ignored). Found once,
 * then remembered. Safe from any thread.
 */
oi_cpu_isa oi_cpu_isa_detect(void);

/* True if this CPU can execute code of the level `isa`; the environment has no say here. Safe from any
 * thread. */
bool oi_cpu_isa_available(oi_cpu_isa isa);

/* Instructions beyond the levels: sums of products of four bytes. */
typedef enum oi_cpu_feature { OI_CPU_AVX_VNNI, OI_CPU_AVX512_VNNI, OI_CPU_FEATURE_COUNT } oi_cpu_feature;

/* True if this CPU can execute them; the environment has no say here. Found once. Safe from any thread. */
bool oi_cpu_has(oi_cpu_feature feature);

/* The level called `name` ("generic", "sse2", "avx2", "avx512", "neon"), or OI_ISA_COUNT if there is none. */
oi_cpu_isa oi_cpu_isa_from_name(const char *name);

/* The name of `isa`; "?" for values outside the enumeration. */
const char *oi_cpu_isa_name(oi_cpu_isa isa);

/*
 * Bytes of level 1 data cache and of level 2 cache that one core can use. Never 0 (32 KiB and 512 KiB when
 * unknown). Safe from any thread.
 */
size_t oi_cpu_l1_bytes(void);
size_t oi_cpu_l2_bytes(void);

/*
 * The number of threads worth running: CPUs in this thread's affinity mask, capped by the CPU quota of the
 * control group (version 1 or 2; a quota of 1.5 CPUs counts as 2). At least 1. Reads files; call it once and
 * keep the answer.
 */
size_t oi_cpu_default_threads(void);

#endif
