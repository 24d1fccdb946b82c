# The tool onnx-infer, its sources one a line: tool_sources += tools/x.c
# Once tools/main.c is there: bin_PROGRAMS += tools/onnx-infer
tool_sources =
tools_onnx_infer_SOURCES = $(tool_sources)
tools_onnx_infer_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tools -I$(top_builddir)/tools $(PROTOBUF_C_CFLAGS)
tools_onnx_infer_LDADD = $(core_ldadd)
EXTRA_PROGRAMS = tools/onnx-infer
