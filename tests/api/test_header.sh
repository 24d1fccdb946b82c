#!/bin/sh
# The header alone: it compiles in every language and by every compiler that it promises, and each declaration keeps the
# rules of a header that can stay stable (tests/support/header.py, through pycparser).
set -u
: "${top_srcdir:?run by make check}"
CC=${CC:-cc}
PYTHON3=${PYTHON3:-python3}
work=$(mktemp -d "${TMPDIR:-/tmp}/onnx_infer_header.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() {
    text=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $text: $*"
        sed 's/^/    /' "$work/log"
    fi
}

printf '#include <onnx_infer.h>\n#include <onnx_infer.h>\n' >"$work/alone.c"
cp "$work/alone.c" "$work/alone.cpp"
strict="-Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only -I$top_srcdir/include"
for c in "$CC" gcc clang; do
    command -v "${c##* }" >/dev/null || { echo "note: no $c"; continue; }
    # shellcheck disable=SC2086
    for std in c99 c11; do check "$c $std" $c -std=$std $strict "$work/alone.c"; done
done
for c in g++ clang++; do
    command -v $c >/dev/null || { echo "note: no $c"; continue; }
    # shellcheck disable=SC2086
    for std in c++11 c++17 c++20; do check "$c $std" $c -std=$std $strict "$work/alone.cpp"; done
done

"$PYTHON3" "$top_srcdir/tests/support/header.py" rules >"$work/rules"
rc=$?
if [ $rc = 77 ]; then
    echo "note: $(cat "$work/rules")"
else
    grep -v ' passed, ' "$work/rules"
    passed=$((passed + $(sed -n 's/ passed, .*//p' "$work/rules" | grep . || echo 0)))
    failed=$((failed + $(sed -n 's/.* passed, \(.*\) failed/\1/p' "$work/rules" | grep . || echo 1)))
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
