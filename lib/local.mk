# Sources directly under lib/.
core_sources += lib/api.c
