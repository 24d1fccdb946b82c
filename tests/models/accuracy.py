"""Checks what networks are judged by.

First the judge: it must refuse outputs that are off or that do not move with their input. Then the reference
evaluators: the standard's node cases are rewritten in float64, onnx.reference computes their answers, and
`onnx-infer verify` must agree with the graphs as they were loaded. Random operators, quantisation, cases that
onnx.reference cannot run in float64 and those that the conformance manifest lists as failing are left out. The last line
is `N passed, M failed`.
"""
import argparse
import json
import pathlib
import re
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

import float64
import generate
import harness
import judge
import run

RTOL, ATOL = 1e-10, 1e-12
# No float64 answer: random, quantised, training, text and image operators, types that the schema does not allow, ...
LEFT_OUT = re.compile("bernoulli|random|dropout|quantize|quantized|qlinear|integer|adam|adagrad|momentum|image_decoder|tfidf|string|"
                      "regex|cast|optional|sequence|training|bf16|fp16|float8|float16|bfloat16|uint|int|ml_|nonmaxsuppression|linear_attention")
# Cases where onnx.reference itself is less exact than float64 (erf, silu, the root of Attention's scale, coordinates of
# Resize, GridSample and DeformConv, which samples by it, in float32, 1/6 as float32): their tolerance, relative and, times ten, absolute.
ROUGH = {re.compile("^test_(erf|gelu|hardswish|attention.*scaled|flexattention|.*deform_conv|causal_conv_.*(silu|swish)|gridsample)"): 5e-7, re.compile("^test_resize_.*cubic"): 5e-6}
# Cases where it does not do what the standard says: the shape of Range's function body.
WRONG = {"test_range_float_type_positive_delta_expanded"}


def check_judge(score):
    rng = np.random.default_rng(0)
    exact = [rng.standard_normal((4, 50)) for _ in range(2)]
    theirs = [value.astype(np.float32) for value in exact]
    good = judge.accuracy(theirs[0], theirs[0], exact[0])
    score.add(good.ok, "judge accepts ONNX Runtime's own answer")
    off = theirs[0].copy()
    off[2, 7] += 6e-5 * np.abs(off).max()
    score.add(not judge.accuracy(off, theirs[0], exact[0]).ok, "judge refuses one element off by 6e-5 of the magnitude")
    rough = exact[0] * (1 + 1e-4)
    score.add(judge.accuracy((exact[0] * (1 + 3e-4)).astype(np.float32), rough.astype(np.float32), exact[0]).ok,
              "judge grants four times ONNX Runtime's own error")
    score.add(not judge.accuracy((exact[0] * (1 + 5e-4)).astype(np.float32), rough.astype(np.float32), exact[0]).ok,
              "judge refuses five times ONNX Runtime's own error")
    hole = theirs[0].copy()
    hole[0, 0] = np.nan
    score.add(not judge.accuracy(hole, theirs[0], exact[0]).ok, "judge refuses a NaN")
    score.add(not judge.accuracy(theirs[0][:, :49], theirs[0], exact[0]).ok, "judge refuses another shape")
    score.add(not judge.accuracy(exact[0], theirs[0], exact[0]).ok, "judge refuses another type")
    score.add(judge.movement(theirs, theirs, judge.FLOOR) is None, "judge sees an output move")
    score.add(judge.movement([theirs[0], theirs[0]], theirs, judge.FLOOR) is not None, "judge refuses an output that stands still")
    part = theirs[1].copy()
    part[3] = theirs[0][3]
    score.add(judge.movement([theirs[0], part], theirs, judge.FLOOR) is not None, "judge refuses an output of which a part stands still")
    near = [theirs[0], theirs[0] * np.float32(1 + 1e-5)]
    score.add(judge.movement(near, near, judge.FLOOR) is not None, "judge refuses to judge by inputs that change nothing")


def floats_in(model):
    return any(port.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE for port in (*model.graph.input, *model.graph.output))


def answer(model, inputs, outputs):
    """What onnx.reference answers in float64, or None."""
    feed = {port.name: value for port, value in zip(model.graph.input, inputs, strict=True)}
    try:
        answers = ReferenceEvaluator(model).run(None, feed)
    except Exception:  # noqa: BLE001  whatever onnx.reference lacks
        return None
    for value, shipped in zip(answers, outputs, strict=True):
        kind = np.asarray(shipped).dtype.kind
        if not isinstance(value, (np.ndarray, np.generic)) or (kind == "f" and value.dtype != np.float64):
            return None
    return answers


def widened(case):
    return float64.widen(onnx.ModelProto.FromString(case.model.SerializeToString()))


def write_wide(case, siblings, directory):
    """Writes a case in float64 with the answers of onnx.reference; nothing where it has none.

    What onnx.reference cannot run in float64 (LayerNormalization) it can as the standard's function body: `siblings`
    are the cases whose operator is expanded so.
    """
    model = widened(case)
    if not floats_in(model):
        return
    inputs, outputs = case.data_sets[0]
    if not all(isinstance(value, (np.ndarray, np.generic)) for value in (*inputs, *outputs)):
        return
    inputs = [value.astype(np.float64) if value.dtype.kind == "f" else value for value in map(np.asarray, inputs)]
    answers = next(filter(None, (answer(other, inputs, outputs) for other in (model, *map(widened, siblings)))), None)
    if answers is None:
        return
    generate.write(directory / "model.onnx", model.SerializeToString())
    rough = next((value for pattern, value in ROUGH.items() if pattern.match(case.name)), None)
    tolerance = {"rtol": rough, "atol": 10 * rough} if rough else {"rtol": RTOL, "atol": ATOL}
    generate.write(directory / "case.json", json.dumps(tolerance).encode())
    for what, values, ports in (("input", inputs, model.graph.input), ("output", answers, model.graph.output)):
        for k, (value, port) in enumerate(zip(values, ports, strict=True)):
            generate.write(directory / "test_data_set_0" / f"{what}_{k}.pb", generate.encode(value, port))


def wide_cases():
    """The folder of float64 cases, made once."""
    warnings.simplefilter("ignore")
    from onnx.backend.test.case.node import collect_testcases

    out = harness.CACHE / "conformance-float64"
    stamp = out / "stamp"
    sources = (pathlib.Path(__file__), pathlib.Path(float64.__file__))
    mark = onnx.__version__ + "".join(run.models.digest(source) for source in sources)
    if stamp.is_file() and stamp.read_text() == mark:
        return out
    shutil.rmtree(out, ignore_errors=True)
    with np.errstate(all="ignore"):
        cases = collect_testcases(None)
        expanded = {}
        for case in cases:
            expanded.setdefault(case.name.partition("_expanded")[0], []).append(case)
        for case in cases:
            if not LEFT_OUT.search(case.name) and case.name not in WRONG:
                harness.progress(case.name)
                siblings = [other for other in expanded.get(case.name, ()) if other is not case]
                write_wide(case, siblings, out / "node" / case.name)
    stamp.write_text(mark)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", metavar="REGEX", default="", help="only cases whose name it finds")
    args = parser.parse_args()
    harness.tool()
    score = harness.Score()
    check_judge(score)
    import conformance

    out = wide_cases()
    listed = conformance.read_manifest()
    cases = sorted(f"node/{path.parent.name}" for path in out.glob("node/*/model.onnx") if re.search(args.filter, path.parent.name))
    cases = [case for case in cases if listed.get(case, "unlisted") is None]
    for case, reason in conformance.verify(out, cases, ["--stage", "typed"]).items():
        if reason is None:
            score.passed += 1
        else:
            score.add(False, f"{case}  {reason}")
    print(f"{len(cases)} cases in float64 against onnx.reference")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
