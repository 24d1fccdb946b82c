# Sources of lib/ops, one a line: core_sources += lib/ops/x.c
core_sources += lib/ops/attr.c
core_sources += lib/ops/infer_util.c
core_sources += lib/ops/fold.c
core_sources += lib/ops/infer.c
core_sources += lib/ops/graph_clone.c
core_sources += lib/ops/graph_verify.c
