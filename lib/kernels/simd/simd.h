/* simd.h - picks the vector vocabulary of the instruction set being compiled for (the build defines
 * OI_KERN_x). */
#ifndef OI_KERNELS_SIMD_H
#define OI_KERNELS_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Words: vf VL floats, vi VL int32, vm a truth value a lane. v_loadn/v_storen touch only the first n lanes
 * (1..VL) and load zeros elsewhere. v_fma(a,b,c) = a b + c, v_fnma = c - a b, fused where the hardware fuses.
 * v_max(a,b) and v_min(a,b) return b when b is NaN (and may return either when a is). v_round: half to even.
 * v_to_int rounds; beyond int32 the result is unspecified. v_bits and vi_bits reinterpret. v_transpose turns
 * VL vectors of rows into columns. v_scalef(a,n) = a 2^n rounded once, where OI_SIMD_SCALEF is defined.
 * v_from_u8 and v_from_u4 make 16 / VL vectors of the 16 bytes at p, of the 16 numbers of 4 bits (the lower
 * one of a byte first). v_hmax and v_hmin are for vectors without NaN.
 */
#if defined(OI_KERN_AVX512)
#include "kernels/simd/simd_avx512.h"
#define OI_KNAME(x) oi_avx512_##x
#elif defined(OI_KERN_AVX2)
#include "kernels/simd/simd_avx2.h"
#define OI_KNAME(x) oi_avx2_##x
#elif defined(OI_KERN_SSE2)
#include "kernels/simd/simd_sse2.h"
#define OI_KNAME(x) oi_sse2_##x
#elif defined(OI_KERN_NEON)
#include "kernels/simd/simd_neon.h"
#define OI_KNAME(x) oi_neon_##x
#else
#include "kernels/simd/simd_generic.h"
#define OI_KNAME(x) oi_generic_##x
#endif

#endif
