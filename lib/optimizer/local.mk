# Sources of lib/optimizer, one a line: core_sources += lib/optimizer/x.c
core_sources += lib/optimizer/optimizer.h
core_sources += lib/optimizer/optimizer.c
core_sources += lib/optimizer/fuse_epilogue.c
core_sources += lib/optimizer/layout.c lib/optimizer/layout.h
