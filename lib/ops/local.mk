# Sources of lib/ops, one a line: core_sources += lib/ops/x.c
core_sources += lib/ops/attr.c
core_sources += lib/ops/infer_util.c
