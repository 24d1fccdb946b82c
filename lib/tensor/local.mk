# Sources of lib/tensor, one a line: core_sources += lib/tensor/x.c
