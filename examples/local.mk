# Examples use the installed library through pkg-config alone; nothing here is built by make.
# One a line: EXTRA_DIST += examples/x.cpp
