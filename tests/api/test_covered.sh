#!/bin/sh
# After the programs of tests/api: what they saw the public functions return, against what the header's comments promise
# (make covered says the same). The notes grow until make clean: what a test that
# is gone has seen counts until then. Skipped where they ran without the shim, or without failing allocations, since a
# sanitizer's malloc cannot be replaced.
set -u
: "${top_srcdir:?run by make check}" "${top_builddir:?run by make check}"
if grep -q '^[A-Z_]*CFLAGS = .*-fsanitize' "$top_builddir/Makefile" 2>/dev/null; then
    echo "skipped: sanitizers are on, under which no allocation is made to fail"
    exit 77
fi
notes=$top_builddir/tests/api/covered.txt
[ -e "$top_builddir/tests/support/libcovered.a" ] || { echo "skipped: the shim is not built (Debian: python3-pycparser)"; exit 77; }
[ -e "$notes" ] || { echo "skipped: no program of tests/api has run"; exit 77; }
"${PYTHON3:-python3}" "$top_srcdir/tests/support/header.py" covered "$notes"
