# Sources of lib/graph, one a line: core_sources += lib/graph/x.c
core_sources += lib/graph/fact.h
core_sources += lib/graph/graph.h
core_sources += lib/graph/fact.c
core_sources += lib/graph/graph.c
