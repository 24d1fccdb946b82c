#!/bin/sh
# The C++ headers: they compile without a warning by both compilers, for C++17 and C++20, with and without exceptions, and
# the tests of onnx_infer.hpp (test_cpp.cpp) pass in both modes; onnx_infer_image.hpp gives OpenCV's bits (test_image.cpp).
set -u
: "${top_srcdir:?run by make check}" "${top_builddir:?run by make check}"
[ -e "$top_builddir/libonnx_infer.a" ] || { echo "skipped: the static library is not built"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/onnx_infer_cpp.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
warn="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -I$top_srcdir/include"
libs="$top_builddir/libonnx_infer.a ${OPENBLAS_LIBS:-} ${OI_SAN_CFLAGS:-} -lm -lpthread"
shim=
[ ! -e "$top_builddir/tests/support/libcovered.a" ] ||
    shim="$top_builddir/tests/support/libcovered.a -Wl,@$top_builddir/tests/support/covered.wrap"

# shellcheck disable=SC2086
try() {
    text=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $text"
        sed 's/^/    /' "$work/log"
    fi
}

# run COMPILER-AND-FLAGS SOURCE [LIBRARIES]: builds it and runs it.
# shellcheck disable=SC2086
run() {
    try "$1 builds $2" $1 $warn -O1 "$top_srcdir/tests/api/$2" -o "$work/test" $shim $libs ${3:-}
    "$work/test" >"$work/log" 2>&1 || sed 's/^/    /' "$work/log"
    passed=$((passed + $(sed -n 's/ passed, .*//p' "$work/log" | grep . || echo 0)))
    failed=$((failed + $(sed -n 's/.* passed, \(.*\) failed/\1/p' "$work/log" | grep . || echo 1)))
    rm -f "$work/test"
}

for header in "$top_srcdir"/include/*.hpp; do
    printf '#include <%s>\n' "$(basename "$header")" >"$work/alone.cpp"
    for c in g++ clang++; do
        command -v $c >/dev/null || { echo "note: no $c"; continue; }
        for std in c++17 c++20; do
            # shellcheck disable=SC2086
            for mode in "" -fno-exceptions; do
                try "$(basename "$header"), $c $std $mode" $c -std=$std $mode $warn -fsyntax-only "$work/alone.cpp"
            done
        done
    done
done
! command -v g++ >/dev/null || {
    run "g++ -std=c++17" test_cpp.cpp
    run "g++ -std=c++17 -fno-exceptions" test_cpp.cpp
    run "g++ -std=c++20 -fno-exceptions -DNO_OPENCV" test_image.cpp
    opencv=/usr/include/opencv4
    if [ -e $opencv/opencv2/imgproc.hpp ]; then
        run "g++ -std=c++17 -isystem $opencv" test_image.cpp "-lopencv_imgproc -lopencv_core"
    else
        echo "note: OpenCV is not installed (Debian: libopencv-imgproc-dev); pictures are not compared with it"
    fi
}
! command -v clang++ >/dev/null || [ -n "${OI_SAN_CFLAGS:-}" ] || run "clang++ -std=c++20" test_cpp.cpp
echo "$passed passed, $failed failed"
[ $failed = 0 ]
