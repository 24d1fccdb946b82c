# Sources of lib/base, one a line: core_sources += lib/base/x.c
