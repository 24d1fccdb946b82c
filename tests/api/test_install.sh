#!/bin/sh
# The library as its users get it: installs into a folder of its own, then builds and runs C and C++ programs by
# pkg-config's word alone, shared and static, also after the folder was moved; the libraries show and need nothing else.
set -u
[ -z "${OI_SAN_CFLAGS:-}" ] || { echo "skipped: a sanitizer build is not for installing"; exit 77; }
command -v pkg-config >/dev/null || { echo "skipped: pkg-config is not installed"; exit 77; }
: "${top_srcdir:?run by make check}" "${top_builddir:?run by make check}"
CC=${CC:-cc}
READELF=${READELF:-readelf}
work=$(mktemp -d "${TMPDIR:-/tmp}/onnx_infer_install.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# check TEXT COMMAND...: counts whether the command succeeds; shows what it said if not.
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

MAKEFLAGS='' make -C "$top_builddir" install prefix="$work/first" exec_prefix="$work/first" >"$work/log" 2>&1 || {
    cat "$work/log"
    echo "0 passed, 1 failed"
    exit 1
}
pc=$(cd "$work/first" && find . -name onnx_infer.pc)
pc=${pc#./}
libdir=$(dirname "$(dirname "$pc")")

cat >"$work/prog.c" <<'X'
#include <onnx_infer.h>
#include <stdio.h>
int main(void)
{
    const char *version = onnx_infer_version();
    return !(version && version[0]) || puts(version) < 0;
}
X
cp "$work/prog.c" "$work/prog.cpp"

# build_and_run PREFIX KIND COMPILER SOURCE: KIND is shared, static (everything) or archive (only ours).
build_and_run() (
    prefix=$1 kind=$2 compiler=$3 source=$4
    PKG_CONFIG_PATH=$prefix/$(dirname "$pc")
    export PKG_CONFIG_PATH
    case $kind in
    shared) flags=$(pkg-config --cflags --libs onnx_infer) || exit 1 ;;
    static) flags="-static $(pkg-config --static --cflags --libs onnx_infer)" || exit 1 ;;
    archive) flags="$(pkg-config --cflags onnx_infer) $prefix/$libdir/libonnx_infer.a -lm -lpthread" || exit 1 ;;
    esac
    # shellcheck disable=SC2086
    $compiler -o "$work/prog" "$source" $flags || exit 1
    [ "$(LD_LIBRARY_PATH=$prefix/$libdir "$work/prog")" = "$(pkg-config --modversion onnx_infer)" ]
)

cxx=
for c in g++ clang++ c++; do command -v $c >/dev/null && cxx="$cxx $c"; done
[ -n "$cxx" ] || echo "note: no C++ compiler, C++ is not tried"

programs() {
    for kind in shared archive static; do
        case $kind in
        shared) [ -e "$1/$libdir/libonnx_infer.so" ] || continue ;;
        *) [ -e "$1/$libdir/libonnx_infer.a" ] || continue ;;
        esac
        if [ $kind = static ]; then
            [ -e "$($CC -print-file-name=libc.a)" ] || continue
            # shellcheck disable=SC2016
            [ -z "${OPENBLAS_LIBS:-}" ] || continue
        fi
        check "$2, C, $kind" build_and_run "$1" $kind "$CC" "$work/prog.c"
        for c in $cxx; do check "$2, $c, $kind" build_and_run "$1" $kind "$c" "$work/prog.cpp"; done
    done
}
programs "$work/first" "as installed"
mv "$work/first" "$work/moved"
programs "$work/moved" "after moving"

# --- CMake -------------------------------------------------------------------------------------------------------
cat >"$work/CMakeLists.txt" <<'X'
cmake_minimum_required(VERSION 3.10)
project(consumer C CXX)
find_package(onnx_infer 0.1 REQUIRED COMPONENTS ${PART})
add_executable(prog_c prog.c)
add_executable(prog_cpp prog.cpp)
target_link_libraries(prog_c PRIVATE onnx_infer::onnx_infer)
target_link_libraries(prog_cpp PRIVATE onnx_infer::${PART})
X
# cmake_consumer PREFIX PART: finds the package there, builds prog.c and prog.cpp and runs them.
cmake_consumer() (
    rm -rf "$work/cmake"
    mkdir "$work/cmake"
    cd "$work/cmake" || exit 1
    cmake -DCMAKE_PREFIX_PATH="$1" -DPART="$2" .. && cmake --build . || exit 1
    for prog in prog_c prog_cpp; do
        [ "$(./$prog)" = "$(sed -n 's/^Version: //p' "$1/$pc")" ] || exit 1
        case $2 in
        shared) "$READELF" -d $prog | grep 'NEEDED.*libonnx_infer' || exit 1 ;;
        static) ! "$READELF" -d $prog | grep 'NEEDED.*libonnx_infer' || exit 1 ;;
        esac
    done
)
cmake_refuses_other_versions() {
    mkdir -p "$work/versions"
    for want in 0.0.1 0.99 1.0; do
        printf 'cmake_minimum_required(VERSION 3.10)\nproject(p C)\nfind_package(onnx_infer %s REQUIRED)\n' $want \
            >"$work/versions/CMakeLists.txt"
        rm -rf "$work/versions/b"
        ! (mkdir "$work/versions/b" && cd "$work/versions/b" && cmake -DCMAKE_PREFIX_PATH="$work/moved" ..) || return 1
    done
}
if command -v cmake >/dev/null && [ -n "$cxx" ]; then
    for part in shared static; do
        [ $part != shared ] || [ -e "$work/moved/$libdir/libonnx_infer.so" ] || continue
        [ $part != static ] || [ -e "$work/moved/$libdir/libonnx_infer.a" ] || continue
        check "CMake, $part, after moving" cmake_consumer "$work/moved" $part
        mv "$work/moved" "$work/first"
        check "CMake, $part, where it was installed" cmake_consumer "$work/first" $part
        mv "$work/first" "$work/moved"
    done
    check "CMake refuses other versions" cmake_refuses_other_versions
else
    echo "note: no cmake, its package is not tried"
fi

# --- the man page and the reference ------------------------------------------------------------------------------
man_is_whole() {
    page=$work/moved/share/man/man1/onnx-infer.1
    [ -s "$page" ] || return 1
    "$work/moved/bin/onnx-infer" --help | sed -n '/^usage/,/^exit/s/^  \([a-z]*\)  .*/\1/p' >"$work/commands"
    [ -s "$work/commands" ] || return 1
    while read -r command; do
        grep -q "^.SS $command$" "$page" || { echo "no section on $command"; return 1; }
    done <"$work/commands"
    ! command -v groff >/dev/null || [ -z "$(groff -ww -man -Tascii "$page" 2>&1 >/dev/null)" ]
}
[ ! -e "$work/moved/bin/onnx-infer" ] || check "the man page names every command and is well-formed" man_is_whole
if command -v doxygen >/dev/null; then
    mkdir "$work/doc"
    check "doxygen makes the reference without a warning" env ONNX_INFER_VERSION=0 ONNX_INFER_DOC="$work/doc" \
        ONNX_INFER_INCLUDE="$work/moved/include" ONNX_INFER_FILTER="$top_srcdir/docs/doxygen_filter" \
        doxygen "$top_srcdir/docs/Doxyfile"
else
    echo "note: no doxygen, the reference is not tried"
fi

# --- the README's first program ----------------------------------------------------------------------------------
readme_program() {
    awk '/^```cpp$/ { on = 1; next } /^```$/ { if (on) exit } on' "$top_srcdir/README.md" >"$work/hello.cpp"
    PKG_CONFIG_PATH=$work/moved/$(dirname "$pc")
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046
    "$1" -std=c++17 -Wall -Wextra -Werror -o "$work/hello" "$work/hello.cpp" $(pkg-config --cflags --libs onnx_infer) &&
        LD_LIBRARY_PATH=$work/moved/$libdir "$work/hello" "$top_srcdir/tests/data/seed-models/simple_cnn/model.onnx" &&
        ! LD_LIBRARY_PATH=$work/moved/$libdir "$work/hello" "$work/no-such-model.onnx"
}
for c in $cxx; do check "the README's first program, $c" readme_program "$c"; done

# --- what the libraries need and show ----------------------------------------------------------------------------
declared=$work/declared
sed -n 's/.*ONNX_INFER_API.*[ *]\(onnx_infer_[a-z0-9_]*\)(.*/\1/p' "$work/moved/include/onnx_infer.h" | sort -u >"$declared"

shows_what_is_declared() {
    nm "$@" | awk '$2 ~ /^[A-Z]$/ && $2 != "U" && $2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/shown"
    diff "$declared" "$work/shown"
}
needs_only_libc() {
    "$READELF" -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' |
        grep -v -E '^(libc|libm|libpthread|ld-linux[^.]*|ld64|ld-musl[^.]*)\.so' >"$work/needed"
    cat "$work/needed"
    [ ! -s "$work/needed" ]
}
so=$work/moved/$libdir/libonnx_infer.so
if [ -e "$so" ] && command -v "$READELF" >/dev/null; then
    [ -n "${OPENBLAS_LIBS:-}" ] || check "the shared library needs only libc and libm" needs_only_libc "$so"
    check "the shared library shows what the header declares" shows_what_is_declared -D --defined-only "$so"
fi
a=$work/moved/$libdir/libonnx_infer.a
[ ! -e "$a" ] || check "the static library shows what the header declares" shows_what_is_declared -g --defined-only "$a"
check "no libtool archive is installed" test ! -e "$work/moved/$libdir/libonnx_infer.la"
[ ! -e "$work/moved/bin/onnx-infer" ] || check "the tool runs" "$work/moved/bin/onnx-infer" --help

# --- modules: found from the tool, from the shared library, and missed with a reason -------------------------------
cases=$top_srcdir/tests/data/modules
# module_works NAME MODEL INPUT: the tool answers without help of the environment.
module_works() (
    unset ONNX_INFER_MODULES
    "$work/moved/bin/onnx-infer" run "$cases/$2" --input "$3"
)
module_is_missed() (
    unset ONNX_INFER_MODULES
    mkdir -p "$work/away"
    mv "$work/moved/$libdir/libonnx_infer_$1.so" "$work/away/"
    "$work/moved/bin/onnx-infer" run "$cases/$2" --input "$3" >"$work/said" 2>&1
    rc=$?
    mv "$work/away/libonnx_infer_$1.so" "$work/moved/$libdir/"
    cat "$work/said"
    [ $rc != 0 ] && grep -q "libonnx_infer_$1.so could not be opened" "$work/said"
)
for module in text image; do
    [ -e "$work/moved/$libdir/libonnx_infer_$module.so" ] || { echo "note: module $module is not built"; continue; }
    case $module in
    text) set -- "$module" regex.onnx "x=$cases/words.pb" ;;
    image) set -- "$module" image.onnx "x=$cases/picture.pb" ;;
    esac
    check "module $module works after moving" module_works "$@"
    check "without module $module the reason is told" module_is_missed "$@"
    check "no libtool archive of module $module is installed" test ! -e "$work/moved/$libdir/libonnx_infer_$module.la"
done

echo "$passed passed, $failed failed"
[ $failed = 0 ]
