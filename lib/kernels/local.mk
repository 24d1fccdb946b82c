# Sources of lib/kernels, one a line:
#   core_sources += lib/kernels/x.c      portable: registry, drivers
#   isa_sources += lib/kernels/isa/x.c   compiled for each instruction set of this build, with
#                                        -DOI_KERN_<GENERIC|SSE2|AVX2|AVX512|NEON>
# config.h has OI_HAVE_ISA_<SSE2|AVX2|AVX512|NEON> for the sets beside generic.
core_sources += lib/kernels/attention.c
core_sources += lib/kernels/attention.h
core_sources += lib/kernels/bytes.c
core_sources += lib/kernels/bytes.h
core_sources += lib/kernels/conv.c
core_sources += lib/kernels/conv.h
core_sources += lib/kernels/conv_bytes.c
core_sources += lib/kernels/conv_bytes.h
core_sources += lib/kernels/gemm.c
core_sources += lib/kernels/gemm.h
core_sources += lib/kernels/hash.c
core_sources += lib/kernels/hash.h
core_sources += lib/kernels/kernels.c
core_sources += lib/kernels/kernels.h
core_sources += lib/kernels/panel.h

isa_sources += lib/kernels/isa/rotate.c
isa_sources += lib/kernels/isa/scores.c
isa_sources += lib/kernels/isa/binary.c
isa_sources += lib/kernels/isa/byte_float.c
isa_sources += lib/kernels/isa/byte_depthwise.c
isa_sources += lib/kernels/isa/byte_panel.c
isa_sources += lib/kernels/isa/byte_tile.c
isa_sources += lib/kernels/isa/depthwise.c
isa_sources += lib/kernels/isa/digest.c
isa_sources += lib/kernels/isa/isa.h
isa_sources += lib/kernels/isa/nbits.c
isa_sources += lib/kernels/isa/reorder.c
isa_sources += lib/kernels/isa/pooling.c
isa_sources += lib/kernels/isa/reduce.c
isa_sources += lib/kernels/isa/table.c
isa_sources += lib/kernels/isa/tile.c
isa_sources += lib/kernels/isa/unary.c
isa_sources += lib/kernels/isa/vmath.h
isa_sources += lib/kernels/simd/simd.h
isa_sources += lib/kernels/simd/simd_avx2.h
isa_sources += lib/kernels/simd/simd_avx512.h
isa_sources += lib/kernels/simd/simd_generic.h
isa_sources += lib/kernels/simd/simd_neon.h
isa_sources += lib/kernels/simd/simd_sse2.h
isa_sources += lib/kernels/simd/simd_x86.h
isa_sources += lib/kernels/tmpl/byte_depthwise.inc
isa_sources += lib/kernels/tmpl/tile.inc
isa_sources += lib/kernels/tmpl/tile_rows.inc

isa_cppflags = $(AM_CPPFLAGS) -DONNX_INFER_BUILD
isa_cflags = $(AM_CFLAGS)

kernel_libs += libonnx_infer_isa_generic.la
noinst_LTLIBRARIES += libonnx_infer_isa_generic.la
libonnx_infer_isa_generic_la_SOURCES = $(isa_sources)
libonnx_infer_isa_generic_la_CPPFLAGS = $(isa_cppflags) -DOI_KERN_GENERIC
libonnx_infer_isa_generic_la_CFLAGS = $(isa_cflags)

if ISA_SSE2
kernel_libs += libonnx_infer_isa_sse2.la
noinst_LTLIBRARIES += libonnx_infer_isa_sse2.la
endif
libonnx_infer_isa_sse2_la_SOURCES = $(isa_sources)
libonnx_infer_isa_sse2_la_CPPFLAGS = $(isa_cppflags) -DOI_KERN_SSE2
libonnx_infer_isa_sse2_la_CFLAGS = $(isa_cflags) $(ISA_SSE2_CFLAGS)

if ISA_AVX2
kernel_libs += libonnx_infer_isa_avx2.la
noinst_LTLIBRARIES += libonnx_infer_isa_avx2.la
endif
libonnx_infer_isa_avx2_la_SOURCES = $(isa_sources)
libonnx_infer_isa_avx2_la_CPPFLAGS = $(isa_cppflags) -DOI_KERN_AVX2
libonnx_infer_isa_avx2_la_CFLAGS = $(isa_cflags) $(ISA_AVX2_CFLAGS)

if ISA_AVX512
kernel_libs += libonnx_infer_isa_avx512.la
noinst_LTLIBRARIES += libonnx_infer_isa_avx512.la
endif
libonnx_infer_isa_avx512_la_SOURCES = $(isa_sources)
libonnx_infer_isa_avx512_la_CPPFLAGS = $(isa_cppflags) -DOI_KERN_AVX512
libonnx_infer_isa_avx512_la_CFLAGS = $(isa_cflags) $(ISA_AVX512_CFLAGS)

if ISA_NEON
kernel_libs += libonnx_infer_isa_neon.la
noinst_LTLIBRARIES += libonnx_infer_isa_neon.la
endif
libonnx_infer_isa_neon_la_SOURCES = $(isa_sources)
libonnx_infer_isa_neon_la_CPPFLAGS = $(isa_cppflags) -DOI_KERN_NEON
libonnx_infer_isa_neon_la_CFLAGS = $(isa_cflags) $(ISA_NEON_CFLAGS)
core_sources += lib/kernels/blas.c
core_sources += lib/kernels/blas.h
core_sources += lib/kernels/tree.c lib/kernels/tree.h lib/kernels/tmpl/tree_walk.inc
