# The examples use the installed library through pkg-config or CMake alone; nothing here is built by make. See README.md.
EXTRA_DIST += examples/CMakeLists.txt
EXTRA_DIST += examples/Makefile
EXTRA_DIST += examples/README.md
EXTRA_DIST += examples/batch.cpp
EXTRA_DIST += examples/data
EXTRA_DIST += examples/deadline.c
EXTRA_DIST += examples/digit.cpp
EXTRA_DIST += examples/linear.c
EXTRA_DIST += examples/linear_cpp.cpp
EXTRA_DIST += examples/ocr
EXTRA_DIST += examples/operator
EXTRA_DIST += examples/photo.cpp
EXTRA_DIST += examples/sealed.cpp
EXTRA_DIST += examples/serve.cpp
EXTRA_DIST += examples/speech.cpp
