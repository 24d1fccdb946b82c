#!/bin/sh
# After the programs of tests/api: what they saw the public functions return, against what the header's comments promise
# (make covered says the same). The notes grow until make clean: what a test that
# is gone has seen counts until then. Skipped where they ran without the shim.
set -u
: "${top_srcdir:?run by make check}" "${top_builddir:?run by make check}"
notes=$top_builddir/tests/api/covered.txt
[ -e "$top_builddir/tests/support/libcovered.a" ] || { echo "skipped: the shim is not built (Debian: python3-pycparser)"; exit 77; }
[ -e "$notes" ] || { echo "skipped: no program of tests/api has run"; exit 77; }
"${PYTHON3:-python3}" "$top_srcdir/tests/support/header.py" covered "$notes"
