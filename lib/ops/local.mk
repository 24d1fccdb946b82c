# Sources of lib/ops, one a line: core_sources += lib/ops/x.c
