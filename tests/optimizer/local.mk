# Tests of the optimizer; see tests/local.mk.
check_suites += tests/optimizer/test_passes
tests_optimizer_test_passes_SOURCES = tests/optimizer/test_passes.c tests/optimizer/graph_text.c tests/optimizer/graph_text.h
tests_optimizer_test_passes_CPPFLAGS = $(check_cppflags) -I$(top_srcdir)/tests/optimizer
tests_optimizer_test_passes_LDADD = $(check_ldadd)
check_suites += tests/optimizer/test_random
tests_optimizer_test_random_SOURCES = tests/optimizer/test_random.c tests/optimizer/graph_text.c tests/optimizer/graph_text.h \
	tests/optimizer/random_attention.c tests/optimizer/random_attention.h
tests_optimizer_test_random_CPPFLAGS = $(check_cppflags) -I$(top_srcdir)/tests/optimizer
tests_optimizer_test_random_LDADD = $(check_ldadd)
check_suites += tests/optimizer/test_graph
tests_optimizer_test_graph_SOURCES = tests/optimizer/test_graph.c tests/optimizer/graph_text.c tests/optimizer/graph_text.h
tests_optimizer_test_graph_CPPFLAGS = $(check_cppflags) -I$(top_srcdir)/tests/optimizer
tests_optimizer_test_graph_LDADD = $(check_ldadd)
check_suites += tests/unit/test_symdim
tests_unit_test_symdim_SOURCES = tests/unit/test_symdim.c
tests_unit_test_symdim_CPPFLAGS = $(check_cppflags)
tests_unit_test_symdim_LDADD = $(check_ldadd)
check_suites += tests/optimizer/test_lowered
tests_optimizer_test_lowered_SOURCES = tests/optimizer/test_lowered.c tests/optimizer/graph_text.c tests/optimizer/graph_text.h
tests_optimizer_test_lowered_CPPFLAGS = $(check_cppflags) -I$(top_srcdir)/tests/optimizer
tests_optimizer_test_lowered_LDADD = $(check_ldadd)
check_suites += tests/optimizer/test_attention
tests_optimizer_test_attention_SOURCES = tests/optimizer/test_attention.c tests/optimizer/graph_text.c tests/optimizer/graph_text.h
tests_optimizer_test_attention_CPPFLAGS = $(check_cppflags) -I$(top_srcdir)/tests/optimizer
tests_optimizer_test_attention_LDADD = $(check_ldadd)
