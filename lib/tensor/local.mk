# Sources of lib/tensor, one a line: core_sources += lib/tensor/x.c
core_sources += lib/tensor/dtype.h
core_sources += lib/tensor/symdim.h
core_sources += lib/tensor/tensor.h
core_sources += lib/tensor/value.h
