# Sources of lib/runtime, one a line: core_sources += lib/runtime/x.c
