#!/bin/sh
# `onnx-infer bisect` finds a wrong rewrite that was planted in a build of the tool, in whatever list of rules and in a loop's body
# too, and none in the tool as it is.
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/onnx_infer_bisect.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
: "${top_builddir:?run by make check}"
tool=$top_builddir/tools/onnx-infer planted=$top_builddir/tests/optimizer/planted_tool
"$top_builddir/tests/optimizer/write_models" "$work" || exit 1

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

# With what came before the change that was found, results are right; with it they are not.
edge() {
    n=$(sed -n 's/^change \([0-9]*\) is the first.*/\1/p' "$work/log")
    expect "$1: change $n is the edge" 0 GOOD sh -c "
        right=\$('$tool' run '$work/$2.onnx' --stage typed)
        before=\$(PLANTED=$3 '$planted' run '$work/$2.onnx' --stop-after $((${n:-1} - 1)))
        after=\$(PLANTED=$3 '$planted' run '$work/$2.onnx' --stop-after ${n:-1})
        if [ $((${n:-1} - 1)) -eq 0 ]; then before=\$right; fi # 0 is no bound
        [ \"\$right\" = \"\$before\" ] && [ \"\$right\" != \"\$after\" ] && echo GOOD"
}

for model in plain loop; do
    expect "$model: results of the tool as it is agree" 0 'results agree' "$tool" bisect "$work/$model.onnx"
    expect "$model: and of the other one without a rule" 0 'results agree' "$planted" bisect "$work/$model.onnx"
    for list in declutter prepare layout settled epilogue; do
        expect "$model: the rule in $list is found" 1 "is the first after which results differ: .*: planted in $list: Sigmoid -> HardSigmoid" \
            env PLANTED=$list "$planted" bisect "$work/$model.onnx"
        edge "$model, $list" $model $list
    done
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
