# Sources of lib/kernels, one a line:
#   core_sources += lib/kernels/x.c      portable: references, registry, loops
#   isa_sources += lib/kernels/isa/x.c   compiled for each instruction set of this build, with
#                                        -DOI_ISA=<generic|sse2|avx2|avx512|neon> -DOI_ISA_<GENERIC|SSE2|...>
# config.h has OI_HAVE_ISA_<SSE2|AVX2|AVX512|NEON> for the sets beside generic.
isa_cppflags = $(AM_CPPFLAGS) -DONNX_INFER_BUILD
isa_cflags = $(AM_CFLAGS)

kernel_libs += libonnx_infer_isa_generic.la
libonnx_infer_isa_generic_la_SOURCES = $(isa_sources)
libonnx_infer_isa_generic_la_CPPFLAGS = $(isa_cppflags) -DOI_ISA=generic -DOI_ISA_GENERIC
libonnx_infer_isa_generic_la_CFLAGS = $(isa_cflags)

if ISA_SSE2
kernel_libs += libonnx_infer_isa_sse2.la
endif
libonnx_infer_isa_sse2_la_SOURCES = $(isa_sources)
libonnx_infer_isa_sse2_la_CPPFLAGS = $(isa_cppflags) -DOI_ISA=sse2 -DOI_ISA_SSE2
libonnx_infer_isa_sse2_la_CFLAGS = $(isa_cflags) $(ISA_SSE2_CFLAGS)

if ISA_AVX2
kernel_libs += libonnx_infer_isa_avx2.la
endif
libonnx_infer_isa_avx2_la_SOURCES = $(isa_sources)
libonnx_infer_isa_avx2_la_CPPFLAGS = $(isa_cppflags) -DOI_ISA=avx2 -DOI_ISA_AVX2
libonnx_infer_isa_avx2_la_CFLAGS = $(isa_cflags) $(ISA_AVX2_CFLAGS)

if ISA_AVX512
kernel_libs += libonnx_infer_isa_avx512.la
endif
libonnx_infer_isa_avx512_la_SOURCES = $(isa_sources)
libonnx_infer_isa_avx512_la_CPPFLAGS = $(isa_cppflags) -DOI_ISA=avx512 -DOI_ISA_AVX512
libonnx_infer_isa_avx512_la_CFLAGS = $(isa_cflags) $(ISA_AVX512_CFLAGS)

if ISA_NEON
kernel_libs += libonnx_infer_isa_neon.la
endif
libonnx_infer_isa_neon_la_SOURCES = $(isa_sources)
libonnx_infer_isa_neon_la_CPPFLAGS = $(isa_cppflags) -DOI_ISA=neon -DOI_ISA_NEON
libonnx_infer_isa_neon_la_CFLAGS = $(isa_cflags) $(ISA_NEON_CFLAGS)

EXTRA_LTLIBRARIES = libonnx_infer_isa_generic.la libonnx_infer_isa_sse2.la libonnx_infer_isa_avx2.la \
	libonnx_infer_isa_avx512.la libonnx_infer_isa_neon.la
