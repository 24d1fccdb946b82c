# The kernels of every instruction set against references; no libcheck, and a benchmark in the same program.
check_PROGRAMS += tests/kernels/test_kernels
TESTS += tests/kernels/test_kernels
tests_kernels_test_kernels_SOURCES = lib/kernels/ref/ref.c lib/kernels/ref/ref.h tests/kernels/bench.c \
	tests/kernels/check_attention.c tests/kernels/check_bytes.c tests/kernels/check_conv_bytes.c tests/kernels/check_nbits.c tests/kernels/check_products.c tests/kernels/check_vectors.c tests/kernels/kernel_test.h \
	tests/kernels/test_kernels.c
tests_kernels_test_kernels_CPPFLAGS = $(check_cppflags)
tests_kernels_test_kernels_LDADD = $(core_ldadd)
shell_tests += tests/kernels/check_spills
