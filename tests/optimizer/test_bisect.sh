#!/bin/sh
# `onnx-infer bisect` finds a wrong rewrite that was planted in a build of the tool, and none in the tool as it is.
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/onnx_infer_bisect.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# y = Tanh(Identity(Sigmoid(Neg(Identity(x))))) of four floats
{
    printf '\010\010\072\165'
    printf '\012\020\012\001x\022\001w\042\010Identity'
    printf '\012\013\012\001w\022\001a\042\003Neg'
    printf '\012\017\012\001a\022\001b\042\007Sigmoid'
    printf '\012\020\012\001b\022\001c\042\010Identity'
    printf '\012\014\012\001c\022\001y\042\004Tanh'
    printf '\022\001g'
    printf '\132\017\012\001x\022\012\012\010\010\001\022\004\012\002\010\004'
    printf '\142\017\012\001y\022\012\012\010\010\001\022\004\012\002\010\004'
    printf '\102\002\020\015'
} >"$work/model.onnx"

# expect TEXT CODE PATTERN COMMAND...: the command ends with the code (0, or another: 1) and prints the pattern.
expect() {
    text=$1 code=$2 pattern=$3
    shift 3
    "$@" >"$work/log" 2>&1
    got=$?
    [ "$got" -eq 0 ] || got=1
    if [ "$got" -eq "$code" ] && grep -q "$pattern" "$work/log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $text"
        sed 's/^/    /' "$work/log"
    fi
}

: "${top_builddir:?run by make check}"
expect "results of the tool as it is agree" 0 'results agree' "$top_builddir/tools/onnx-infer" bisect "$work/model.onnx"
expect "the planted rule is found" 1 'is the first after which results differ: .*planted: Sigmoid -> HardSigmoid' \
    "$top_builddir/tests/optimizer/planted_tool" bisect "$work/model.onnx"
expect "without it results are right" 0 'GOOD' sh -c "
    a=\$($top_builddir/tests/optimizer/planted_tool run $work/model.onnx --stop-after 1)
    b=\$($top_builddir/tools/onnx-infer run $work/model.onnx --stage typed)
    [ \"\$a\" = \"\$b\" ] && echo GOOD"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
