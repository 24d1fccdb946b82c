# Sources of lib/graph, one a line: core_sources += lib/graph/x.c
