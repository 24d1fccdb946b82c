#!/bin/sh
# What the shared library shows and needs: its symbols and their version nodes equal lib/onnx_infer.symbols, it runs no
# code when it is loaded, and it takes nothing from libc that ends the process, prints, or changes signals or the
# environment. Its types are compared with those of the last release (lib/onnx_infer.abi) where abidiff is installed.
# test_symbols.sh --update writes lib/onnx_infer.symbols, --dump lib/onnx_infer.abi (when a release is tagged).
set -u
: "${top_srcdir:?run by make check}" "${top_builddir:?run by make check}"
READELF=${READELF:-readelf}
so=$top_builddir/.libs/libonnx_infer.so
list=$top_srcdir/lib/onnx_infer.symbols
abi=$top_srcdir/lib/onnx_infer.abi
[ -e "$so" ] || { echo "skipped: the shared library is not built"; exit 77; }
[ -z "${OI_SAN_CFLAGS:-}" ] || { echo "skipped: a sanitizer build needs more"; exit 77; }
command -v nm >/dev/null && command -v "$READELF" >/dev/null || { echo "skipped: binutils are not installed"; exit 77; }
shown() {
    nm -D --defined-only "$so" | sed -n 's/^[0-9a-f]* [TDBRVW] //p' | sed 's/@@/ /' | LC_ALL=C sort
}
case ${1:-} in
--update) shown >"$list"; exit ;;
--dump) abidw --drop-private-types --headers-dir "$top_srcdir/include" --out-file "$abi" "$so"; exit ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/onnx_infer_symbols.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
check() {
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

as_listed() {
    shown | diff "$list" - || { echo "a symbol that is meant goes into the list: make symbols"; return 1; }
}
takes_nothing_forbidden() {
    nm -D --undefined-only "$so" | awk '{ sub(/@.*/, "", $2); print $2 }' | grep -x -E \
        'abort|_?_?exit|_Exit|quick_exit|(__cxa_)?at(_quick_)?exit|on_exit|(__)?v?f?printf(_chk)?|v?dprintf|puts|putchar|fputs|perror|signal|sigaction|raise|kill|setenv|putenv|unsetenv|clearenv|system|popen|err|warn|error|pthread_atfork|__register_atfork|setlocale|chdir|umask|srand|rand|stdout|stderr' \
        >"$work/forbidden"
    cat "$work/forbidden"
    [ ! -s "$work/forbidden" ]
}
# The only assertions are those of protobuf-c's archive, for descriptors that no compiler writes.
asserts_nothing() {
    ! nm -A "$top_builddir/.libs/libonnx_infer_core.a" 2>/dev/null | grep -w -E 'U (__assert_fail|__assert|__assert_c99)'
}
# frame_dummy and __do_global_dtors_aux of the compiler, and one hook at most that frees thread-local state.
runs_nothing() {
    "$READELF" -W -S "$so" | sed 's/^ *\[ *[0-9]*\] *//' | awk '
        $1 == ".init_array" && $5 != "000008" && $5 != "000004" { print; bad = 1 }
        $1 == ".fini_array" && $5 !~ /^0000(04|08|10)$/ { print; bad = 1 }
        $1 == ".ctors" || $1 == ".dtors" || $1 == ".preinit_array" { print; bad = 1 }
        END { exit bad }'
}
check "the symbols are those of lib/onnx_infer.symbols" as_listed
check "nothing is taken that ends the process, prints, or changes signals or the environment" takes_nothing_forbidden
check "no assertion of ours" asserts_nothing
check "no code runs at loading" runs_nothing
if [ ! -e "$abi" ]; then
    echo "note: no release is tagged yet, so there is no lib/onnx_infer.abi for abidiff to compare with"
elif ! command -v abidiff >/dev/null; then
    echo "note: abidiff is not installed (Debian: abigail-tools); types are not compared with the last release"
else
    compatible() {
        abidiff --headers-dir2 "$top_srcdir/include" --no-added-syms "$abi" "$so"
        rc=$?
        [ $((rc & 8)) = 0 ] && [ $((rc & 3)) = 0 ]
    }
    check "the binary interface is that of the last release, or more" compatible
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
