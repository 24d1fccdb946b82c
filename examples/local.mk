# The examples use the installed library through pkg-config alone; nothing here is built by make. See examples/README.md.
EXTRA_DIST += examples/Makefile
EXTRA_DIST += examples/README.md
EXTRA_DIST += examples/classify.cpp
EXTRA_DIST += examples/data
EXTRA_DIST += examples/linear.c
EXTRA_DIST += examples/ocr
