# Optional modules: shared objects that the library opens when an operator needs them.
module_links =
if MODULE_TEXT
lib_LTLIBRARIES += libonnx_infer_text.la
libonnx_infer_text_la_SOURCES = lib/modules/text.c lib/modules/text_module.h
libonnx_infer_text_la_CFLAGS = $(AM_CFLAGS) $(PCRE2_CFLAGS)
libonnx_infer_text_la_LDFLAGS = $(AM_LDFLAGS) $(OI_LDFLAGS) -module -avoid-version -shared
libonnx_infer_text_la_LIBADD = $(PCRE2_LIBS) -lunistring
module_links += tools/libonnx_infer_text.so
endif
if MODULE_IMAGE
lib_LTLIBRARIES += libonnx_infer_image.la
libonnx_infer_image_la_SOURCES = lib/modules/image.c lib/modules/image.h lib/modules/image_jp2.c lib/modules/image_jpeg.c \
	lib/modules/image_module.h lib/modules/image_plain.c lib/modules/image_png.c lib/modules/image_tiff.c lib/modules/image_webp.c
libonnx_infer_image_la_CFLAGS = $(AM_CFLAGS) $(IMAGE_CFLAGS)
libonnx_infer_image_la_LDFLAGS = $(AM_LDFLAGS) $(OI_LDFLAGS) -module -avoid-version -shared
libonnx_infer_image_la_LIBADD = $(IMAGE_LIBS)
module_links += tools/libonnx_infer_image.so
endif
core_sources += lib/modules/text_module.h lib/modules/image_module.h

# The tool of the build tree finds them beside itself.
noinst_DATA += $(module_links)
CLEANFILES += $(module_links)
tools/libonnx_infer_text.so: libonnx_infer_text.la
	$(AM_V_at)$(MKDIR_P) tools && ln -sf ../.libs/libonnx_infer_text.so $@
tools/libonnx_infer_image.so: libonnx_infer_image.la
	$(AM_V_at)$(MKDIR_P) tools && ln -sf ../.libs/libonnx_infer_image.so $@
