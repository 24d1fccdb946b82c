# Tests that make check runs.
#
# A libcheck program of internals, in tests/unit/x.c (three lines, inside `if HAVE_CHECK`):
#   check_suites += unit_x
#   unit_x_SOURCES = tests/unit/x.c
#   unit_x_CPPFLAGS = $(check_cppflags)
#   unit_x_LDADD = $(check_ldadd)
# A script: shell_tests += tests/support/x.sh  (exit status 77 means skipped, its last line the reason)
# Another program: check_PROGRAMS += x, TESTS += x.
check_suites =
shell_tests =
check_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(PROTOBUF_C_CFLAGS) $(CHECK_CFLAGS)
check_ldadd = $(core_ldadd) $(CHECK_LIBS)

AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	CC='$(CC)'; export CC; READELF='$(READELF)'; export READELF; \
	PYTHON3='$(PYTHON3)'; export PYTHON3; \
	ASAN_OPTIONS="$${ASAN_OPTIONS-detect_leaks=1}"; export ASAN_OPTIONS;

shell_tests += tests/support/check_includes

if HAVE_CHECK
endif

check_PROGRAMS += $(check_suites)
TESTS += $(check_suites) $(shell_tests)
EXTRA_DIST += $(shell_tests)
