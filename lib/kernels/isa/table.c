/* table.c - joins one instruction set's kernels into its table. */
#include "kernels/isa/isa.h"

#if defined(OI_KERN_AVX512)
#define NAME "avx512"
#define ISA  OI_ISA_AVX512
#elif defined(OI_KERN_AVX2)
#define NAME "avx2"
#define ISA  OI_ISA_AVX2
#elif defined(OI_KERN_SSE2)
#define NAME "sse2"
#define ISA  OI_ISA_SSE2
#elif defined(OI_KERN_NEON)
#define NAME "neon"
#define ISA  OI_ISA_NEON
#else
#define NAME "generic"
#define ISA  OI_ISA_GENERIC
#endif

extern const oi_kernels OI_KNAME(kernels);
const oi_kernels OI_KNAME(kernels) = {
    .name = NAME,
    .isa = ISA,
    .vl = VL,
    .max_mr = OI_KNAME(tile_rows),
    .tile = OI_KNAME(tile),
    .depthwise = OI_KNAME(depthwise),
    .unary = OI_KNAME(unary),
    .binary = OI_KNAME(binary),
    .reduce_inner = OI_KNAME(reduce_inner),
    .reduce_outer = OI_KNAME(reduce_outer),
    .softmax = OI_KNAME(softmax),
    .log_softmax = OI_KNAME(log_softmax),
    .norm = OI_KNAME(norm),
    .transpose = OI_KNAME(transpose),
    .to_blocked = OI_KNAME(to_blocked),
    .from_blocked = OI_KNAME(from_blocked),
    .scale_shift = OI_KNAME(scale_shift),
    .lane_sum = OI_KNAME(lane_sum),
    .pool = OI_KNAME(pool),
    .dot_rows = OI_KNAME(dot_rows),
    .soften = OI_KNAME(soften),
    .keep = OI_KNAME(keep),
    .nbits_expand = OI_KNAME(nbits_expand),
    .nbits_dot = OI_KNAME(nbits_dot),
    .hash = OI_KNAME(hash),
    .rotate = OI_KNAME(rotate),
    .byte_tile = OI_KNAME(byte_tile),
    .byte_tile_basic = OI_KNAME(byte_tile_basic),
    .to_bytes = OI_KNAME(to_bytes),
    .byte_floats = OI_KNAME(byte_floats),
    .byte_panel = OI_KNAME(byte_panel),
    .byte_panel_basic = OI_KNAME(byte_panel_basic),
    .byte_depthwise = OI_KNAME(byte_depthwise),
    .byte_depthwise_basic = OI_KNAME(byte_depthwise_basic),
    .byte_binary = OI_KNAME(byte_binary),
    .byte_lanes = OI_BYTE_LANES,
};
