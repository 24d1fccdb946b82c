/* The floating-point environment of a run: subnormal numbers count as zero, which keeps their cost out of kernels. */
#ifndef OI_BASE_FPENV_H
#define OI_BASE_FPENV_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

typedef uint64_t oi_fpenv;

/* Sets flush-to-zero (and denormals-are-zero) for the calling thread; returns what to give back to oi_fpenv_leave. */
static inline oi_fpenv oi_fpenv_enter(void)
{
#if defined(__SSE2__)
    uint32_t old = _mm_getcsr();
    _mm_setcsr(old | 0x8040);
    return old;
#elif defined(__aarch64__)
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | (uint64_t)1 << 24));
    return old;
#else
    return 0;
#endif
}

static inline void oi_fpenv_leave(oi_fpenv old)
{
#if defined(__SSE2__)
    _mm_setcsr((uint32_t)old);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}

/* True between enter and leave. */
static inline bool oi_fpenv_is_set(void)
{
#if defined(__SSE2__)
    return (_mm_getcsr() & 0x8040) == 0x8040;
#elif defined(__aarch64__)
    uint64_t now;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now));
    return now >> 24 & 1;
#else
    return false;
#endif
}

#endif
