# Tests that make check runs.
#
# A libcheck program of internals:
#   check_suites += tests/unit/test_x
#   tests_unit_test_x_SOURCES = tests/unit/test_x.c
#   tests_unit_test_x_CPPFLAGS = $(check_cppflags)
#   tests_unit_test_x_LDADD = $(check_ldadd)
# A script: shell_tests += tests/support/x  (exit status 77 means skipped, its last line the reason; it finds
# top_srcdir, top_builddir, CC, READELF and PYTHON3 in the environment)
# Files that tests read: EXTRA_DIST += tests/x
check_suites =
shell_tests =
check_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(PROTOBUF_C_CFLAGS) $(CHECK_CFLAGS)
check_ldadd = $(core_ldadd) $(CHECK_LIBS)

# Tests of the public functions (tests/api) link $(api_ldadd): what each function returned there, and which of its
# arguments were NULL, is noted in tests/api/covered.txt by a shim made from the header, and test_covered.sh, after them,
# compares that with the header's comments (make covered does it again). Without pycparser or a linker that has --wrap
# they link without the shim.
if API_SHIM
api_ldadd = tests/support/libcovered.a $(API_WRAP) $(check_ldadd)
check_LIBRARIES = tests/support/libcovered.a
nodist_tests_support_libcovered_a_SOURCES = tests/support/covered_shim.c
tests_support_libcovered_a_SOURCES = tests/support/covered.c tests/support/covered.h
tests_support_libcovered_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_support_libcovered_a_DEPENDENCIES = tests/support/covered.wrap
CLEANFILES += tests/support/covered_shim.c tests/support/covered.wrap tests/api/covered.txt
header_tool = CC='$(CC)' $(PYTHON3) $(top_srcdir)/tests/support/header.py
tests/support/covered_shim.c: include/onnx_infer.h tests/support/header.py
	$(AM_V_GEN)$(MKDIR_P) tests/support && $(header_tool) shim >$@.tmp && mv $@.tmp $@
tests/support/covered.wrap: include/onnx_infer.h tests/support/header.py
	$(AM_V_GEN)$(MKDIR_P) tests/support && $(header_tool) wrap >$@.tmp && mv $@.tmp $@

covered:
	$(header_tool) covered tests/api/covered.txt
else
api_ldadd = $(check_ldadd)
endif
EXTRA_DIST += tests/support/header.py

AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	CC='$(CC)'; export CC; READELF='$(READELF)'; export READELF; \
	OI_SAN_CFLAGS='$(OI_SAN_CFLAGS)'; export OI_SAN_CFLAGS; \
	OPENBLAS_LIBS='$(OPENBLAS_LIBS)'; export OPENBLAS_LIBS; \
	PYTHON3='$(PYTHON3)'; export PYTHON3; \
	ONNX_INFER_MODULES='$(abs_top_builddir)/.libs'; export ONNX_INFER_MODULES; \
	OP_LIBRARY='$(abs_top_builddir)/tests/api/.libs/op_library.so'; test -f "$$OP_LIBRARY" && export OP_LIBRARY; \
	ONNX_INFER_COVERED='$(abs_top_builddir)/tests/api/covered.txt'; export ONNX_INFER_COVERED;

shell_tests += tests/support/check_includes
shell_tests += tests/support/check_template
shell_tests += tests/api/test_covered.sh
shell_tests += tests/api/test_cpp.sh
EXTRA_DIST += tests/api/test_cpp.cpp tests/api/test_image.cpp
shell_tests += tests/api/test_header.sh
shell_tests += tests/api/test_install.sh
shell_tests += tests/api/test_symbols.sh
check_PROGRAMS += tests/api/test_unload
TESTS += tests/api/test_unload
tests_api_test_unload_SOURCES = tests/api/test_unload.c

# The list of what the library shows, after a public function was added.
symbols: all
	top_srcdir='$(top_srcdir)' top_builddir='$(top_builddir)' $(srcdir)/tests/api/test_symbols.sh --update
EXTRA_DIST += tests/data
EXTRA_DIST += bench
EXTRA_DIST += tests/conformance
EXTRA_DIST += tests/examples
EXTRA_DIST += tests/models
EXTRA_DIST += tests/py
EXTRA_DIST += tests/python
EXTRA_DIST += tests/requirements.txt
EXTRA_DIST += tests/requirements-sklearn.txt
EXTRA_DIST += tests/api/dlpack tests/api/dlpack.py
EXTRA_DIST += tests/suites.txt

check_suites += tests/unit/test_blas
tests_unit_test_blas_SOURCES = tests/unit/test_blas.c
tests_unit_test_blas_CPPFLAGS = $(check_cppflags)
tests_unit_test_blas_LDADD = $(check_ldadd)
check_suites += tests/unit/test_half
tests_unit_test_half_SOURCES = tests/unit/test_half.c
tests_unit_test_half_CPPFLAGS = $(check_cppflags)
tests_unit_test_half_LDADD = $(check_ldadd)
check_suites += tests/unit/test_memplan
tests_unit_test_memplan_SOURCES = tests/unit/test_memplan.c
tests_unit_test_memplan_CPPFLAGS = $(check_cppflags)
tests_unit_test_memplan_LDADD = $(check_ldadd)
api_help = tests/support/api_help.c tests/support/api_help.h tests/support/little_model.c tests/support/little_model.h
scarce_memory = tests/support/scarce_memory.c tests/support/scarce_memory.h
memory_file = tests/support/memory_file.c tests/support/memory_file.h
check_suites += tests/api/test_models
tests_api_test_models_SOURCES = tests/api/test_models.c $(api_help)
tests_api_test_models_CPPFLAGS = $(check_cppflags)
tests_api_test_models_LDADD = $(api_ldadd)
check_suites += tests/api/test_custom_op
tests_api_test_custom_op_SOURCES = tests/api/test_custom_op.c $(api_help) $(scarce_memory)
tests_api_test_custom_op_CPPFLAGS = $(check_cppflags)
tests_api_test_custom_op_LDADD = $(api_ldadd)
tests_api_test_custom_op_LDFLAGS = $(AM_LDFLAGS) -export-dynamic
if BUILD_SHARED
# A library that is loaded at run time; -rpath makes libtool build it as one.
check_LTLIBRARIES += tests/api/op_library.la
tests_api_op_library_la_SOURCES = tests/api/op_library.c
tests_api_op_library_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere
endif
# Programs that count or refuse what the library asks of the C library (tests/support/interpose.h).
interpose_ldflags = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=posix_memalign,--wrap=free \
	-Wl,--wrap=mmap,--wrap=munmap,--wrap=pthread_mutex_lock,--wrap=pthread_cond_wait,--wrap=pthread_cond_timedwait \
	-Wl,--wrap=pthread_create
interpose = tests/support/interpose.c tests/support/interpose.h
if API_SHIM
check_suites += tests/api/test_bind
tests_api_test_bind_SOURCES = tests/api/test_bind.c $(api_help) $(interpose)
tests_api_test_bind_CPPFLAGS = $(check_cppflags)
tests_api_test_bind_LDADD = $(api_ldadd)
tests_api_test_bind_LDFLAGS = $(AM_LDFLAGS) $(interpose_ldflags)
check_suites += tests/api/test_async
tests_api_test_async_SOURCES = tests/api/test_async.c $(api_help) $(interpose)
tests_api_test_async_CPPFLAGS = $(check_cppflags)
tests_api_test_async_LDADD = $(api_ldadd)
tests_api_test_async_LDFLAGS = $(AM_LDFLAGS) $(interpose_ldflags)
check_suites += tests/api/test_pool_hooks
tests_api_test_pool_hooks_SOURCES = tests/api/test_pool_hooks.c $(api_help) $(interpose)
tests_api_test_pool_hooks_CPPFLAGS = $(check_cppflags)
tests_api_test_pool_hooks_LDADD = $(api_ldadd)
tests_api_test_pool_hooks_LDFLAGS = $(AM_LDFLAGS) $(interpose_ldflags)
check_suites += tests/api/test_faults
tests_api_test_faults_SOURCES = tests/api/test_faults.c $(api_help) $(interpose)
tests_api_test_faults_CPPFLAGS = $(check_cppflags)
tests_api_test_faults_LDADD = $(api_ldadd)
tests_api_test_faults_LDFLAGS = $(AM_LDFLAGS) $(interpose_ldflags)
check_suites += tests/api/test_status
tests_api_test_status_SOURCES = tests/api/test_status.c $(api_help) $(interpose)
tests_api_test_status_CPPFLAGS = $(check_cppflags)
tests_api_test_status_LDADD = $(api_ldadd)
tests_api_test_status_LDFLAGS = $(AM_LDFLAGS) $(interpose_ldflags)
check_suites += tests/api/test_cancel
tests_api_test_cancel_SOURCES = tests/api/test_cancel.c $(api_help)
tests_api_test_cancel_CPPFLAGS = $(check_cppflags)
tests_api_test_cancel_LDADD = $(api_ldadd)
tests_api_test_cancel_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=oi_run_check
check_suites += tests/api/test_contract
tests_api_test_contract_SOURCES = tests/api/test_contract.c $(api_help) $(interpose) $(memory_file)
tests_api_test_contract_CPPFLAGS = $(check_cppflags)
tests_api_test_contract_LDADD = $(api_ldadd)
tests_api_test_contract_LDFLAGS = $(AM_LDFLAGS) $(interpose_ldflags)
endif
check_suites += tests/api/test_values
tests_api_test_values_SOURCES = tests/api/test_values.c $(api_help)
tests_api_test_values_CPPFLAGS = $(check_cppflags)
tests_api_test_values_LDADD = $(api_ldadd)
tests_api_test_values_LDFLAGS = $(AM_LDFLAGS) -export-dynamic
check_suites += tests/api/test_options
tests_api_test_options_SOURCES = tests/api/test_options.c $(api_help) $(scarce_memory)
tests_api_test_options_CPPFLAGS = $(check_cppflags)
tests_api_test_options_LDADD = $(api_ldadd)
check_suites += tests/api/test_plan_file
tests_api_test_plan_file_SOURCES = tests/api/test_plan_file.c $(api_help) $(scarce_memory) $(memory_file)
tests_api_test_plan_file_CPPFLAGS = $(check_cppflags)
tests_api_test_plan_file_LDADD = $(api_ldadd)
check_suites += tests/api/test_save
tests_api_test_save_SOURCES = tests/api/test_save.c $(api_help) $(scarce_memory) $(memory_file)
tests_api_test_save_CPPFLAGS = $(check_cppflags)
tests_api_test_save_LDADD = $(api_ldadd)
check_suites += tests/api/test_soak
tests_api_test_soak_SOURCES = tests/api/test_soak.c $(api_help)
tests_api_test_soak_CPPFLAGS = $(check_cppflags)
tests_api_test_soak_LDADD = $(api_ldadd)
check_suites += tests/api/test_run
tests_api_test_run_SOURCES = tests/api/test_run.c $(api_help)
tests_api_test_run_CPPFLAGS = $(check_cppflags)
tests_api_test_run_LDADD = $(api_ldadd)
check_suites += tests/unit/test_pool
tests_unit_test_pool_SOURCES = tests/unit/test_pool.c
tests_unit_test_pool_CPPFLAGS = $(check_cppflags)
tests_unit_test_pool_LDADD = $(check_ldadd)
check_suites += tests/unit/test_tensor
tests_unit_test_tensor_SOURCES = tests/unit/test_tensor.c
tests_unit_test_tensor_CPPFLAGS = $(check_cppflags)
tests_unit_test_tensor_LDADD = $(check_ldadd)

include tests/kernels/local.mk
include tests/optimizer/local.mk

# After all that calls the public functions. Named by a variable, or automake would leave the making of it to this line.
covered_log = tests/api/test_covered.sh.log
if HAVE_CHECK
$(covered_log): tests/api/test_cpp.sh.log $(addsuffix .log,$(filter tests/api/%,$(check_suites)))
endif

if HAVE_CHECK
check_PROGRAMS += $(check_suites)
TESTS += $(check_suites)
endif
EXTRA_PROGRAMS += $(check_suites)
TESTS += $(shell_tests)
EXTRA_DIST += $(shell_tests)
EXTRA_DIST += tests/ocr

check_suites += tests/unit/test_ops_reference
tests_unit_test_ops_reference_SOURCES = tests/unit/test_ops_reference.c tests/support/eval_host.c tests/support/eval_host.h
tests_unit_test_ops_reference_CPPFLAGS = $(check_cppflags)
tests_unit_test_ops_reference_LDADD = $(check_ldadd)

check_suites += tests/unit/test_ops_prepared
tests_unit_test_ops_prepared_SOURCES = tests/unit/test_ops_prepared.c tests/support/eval_host.c tests/support/eval_host.h
tests_unit_test_ops_prepared_CPPFLAGS = $(check_cppflags)
tests_unit_test_ops_prepared_LDADD = $(check_ldadd)

check_suites += tests/unit/test_import
tests_unit_test_import_SOURCES = tests/unit/test_import.c
tests_unit_test_import_CPPFLAGS = $(check_cppflags)
tests_unit_test_import_LDADD = $(check_ldadd)

check_suites += tests/unit/test_graph_bytes
tests_unit_test_graph_bytes_SOURCES = tests/unit/test_graph_bytes.c
tests_unit_test_graph_bytes_CPPFLAGS = $(check_cppflags)
tests_unit_test_graph_bytes_LDADD = $(check_ldadd)

check_suites += tests/unit/test_hostile
tests_unit_test_hostile_SOURCES = tests/unit/test_hostile.c
tests_unit_test_hostile_CPPFLAGS = $(check_cppflags)
tests_unit_test_hostile_LDADD = $(check_ldadd)

# Replays what a fuzzer has found: make tests/fuzz/fuzz_model. With clang: CC=clang, CFLAGS=-fsanitize=fuzzer-no-link for
# the library, then link tests/fuzz/fuzz_model.c -DFUZZING with -fsanitize=fuzzer.
EXTRA_PROGRAMS += tests/fuzz/fuzz_model
tests_fuzz_fuzz_model_SOURCES = tests/fuzz/fuzz_model.c
tests_fuzz_fuzz_model_CPPFLAGS = $(check_cppflags)
tests_fuzz_fuzz_model_LDADD = $(core_ldadd)
check_suites += tests/unit/test_modules
tests_unit_test_modules_SOURCES = tests/unit/test_modules.c
tests_unit_test_modules_CPPFLAGS = $(check_cppflags)
tests_unit_test_modules_LDADD = $(check_ldadd)
check_suites += tests/unit/test_tree
tests_unit_test_tree_SOURCES = tests/unit/test_tree.c
tests_unit_test_tree_CPPFLAGS = $(check_cppflags)
tests_unit_test_tree_LDADD = $(check_ldadd)
