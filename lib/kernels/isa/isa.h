/* isa.h - what the sources that are compiled once for each instruction set share. */
#ifndef OI_KERNELS_ISA_ISA_H
#define OI_KERNELS_ISA_ISA_H

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/simd/simd.h"

/* The parts of this instruction set's table; isa/table.c joins them. */
extern const uint8_t OI_KNAME(tile_rows)[OI_TILE_MAX_NV + 1];
extern oi_tile_fn *const OI_KNAME(tile)[OI_TILE_MAX_NV + 1][OI_TILE_MAX_MR + 1];
extern oi_unary_fn *const OI_KNAME(unary)[OI_UNARY_COUNT];
extern oi_binary_fn *const OI_KNAME(binary)[OI_BINARY_COUNT];
extern oi_reduce_inner_fn *const OI_KNAME(reduce_inner)[OI_REDUCE_COUNT];
extern oi_reduce_outer_fn *const OI_KNAME(reduce_outer)[OI_REDUCE_COUNT];
oi_depthwise_fn OI_KNAME(depthwise);
oi_softmax_fn OI_KNAME(softmax), OI_KNAME(log_softmax);
oi_norm_fn OI_KNAME(norm);
oi_transpose_fn OI_KNAME(transpose);
oi_reorder_fn OI_KNAME(to_blocked), OI_KNAME(from_blocked);
oi_scale_shift_fn OI_KNAME(scale_shift);
oi_lane_sum_fn OI_KNAME(lane_sum);
oi_pool_fn OI_KNAME(pool);
oi_dot_rows_fn OI_KNAME(dot_rows);
oi_soften_fn OI_KNAME(soften);
oi_keep_fn OI_KNAME(keep);
oi_nbits_expand_fn OI_KNAME(nbits_expand);
oi_nbits_dot_fn OI_KNAME(nbits_dot);
oi_hash_fn OI_KNAME(hash);
oi_rotate_fn OI_KNAME(rotate);
oi_byte_tile_fn OI_KNAME(byte_tile), OI_KNAME(byte_tile_basic);
oi_to_bytes_fn OI_KNAME(to_bytes);
oi_byte_floats_fn OI_KNAME(byte_floats);
oi_byte_panel_fn OI_KNAME(byte_panel), OI_KNAME(byte_panel_basic);
oi_byte_depthwise_fn OI_KNAME(byte_depthwise), OI_KNAME(byte_depthwise_basic);
oi_byte_binary_fn OI_KNAME(byte_binary);

/* 128-bit parts of the vectors that byte_depthwise works on. */
#if defined(OI_KERN_AVX512)
#define OI_BYTE_LANES 4
#elif defined(OI_KERN_AVX2)
#define OI_BYTE_LANES 2
#else
#define OI_BYTE_LANES 1
#endif

#endif
