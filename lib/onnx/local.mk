# Sources of lib/onnx, one a line: core_sources += lib/onnx/x.c
# onnx.pb-c.[ch] are made from onnx.proto by protoc-c and shipped in the source tarball.
EXTRA_DIST += lib/onnx/onnx.proto
BUILT_SOURCES += lib/onnx/onnx.pb-c.h
core_sources += lib/onnx/onnx.pb-c.c
core_sources += lib/onnx/onnx.pb-c.h
MAINTAINERCLEANFILES = lib/onnx/onnx.pb-c.c lib/onnx/onnx.pb-c.h

lib/onnx/onnx.pb-c.c: lib/onnx/onnx.proto
	@test '$(PROTOC_C)' != no || { \
	    echo 'protoc-c is needed to build from a checkout (Debian: protobuf-c-compiler)' >&2; exit 1; }
	$(AM_V_GEN)$(MKDIR_P) lib/onnx
	$(AM_V_at)$(PROTOC_C) --c_out=lib/onnx -I$(srcdir)/lib/onnx $(srcdir)/lib/onnx/onnx.proto
	$(AM_V_at)sed -e '1i\' -e '#define NDEBUG 1 /* a library does not end the process */' $@ >$@.tmp && mv $@.tmp $@
lib/onnx/onnx.pb-c.h: lib/onnx/onnx.pb-c.c
	@test -f $@ || { rm -f $<; $(MAKE) $(AM_MAKEFLAGS) $<; }
core_sources += lib/onnx/export.c
core_sources += lib/onnx/export.h
core_sources += lib/onnx/export_node.c
core_sources += lib/onnx/export_parts.h
core_sources += lib/onnx/file.c
core_sources += lib/onnx/file.h
core_sources += lib/onnx/import.c
core_sources += lib/onnx/import.h
core_sources += lib/onnx/import_attr.c
core_sources += lib/onnx/import_function.c
core_sources += lib/onnx/import_graph.c
core_sources += lib/onnx/import_node.c
core_sources += lib/onnx/model_bytes.c
core_sources += lib/onnx/model_bytes.h
core_sources += lib/onnx/model_file.h
core_sources += lib/onnx/names.c
core_sources += lib/onnx/names.h
core_sources += lib/onnx/tensor_proto.c
core_sources += lib/onnx/tensor_proto.h
core_sources += lib/onnx/wire.c
core_sources += lib/onnx/wire.h
core_sources += lib/onnx/value_file.c
core_sources += lib/onnx/value_file.h
