"""Saves the standard's cases and the networks by `onnx-infer save` and judges the files.

Each must pass onnx.checker, and where ONNX Runtime runs the original it must run the saved one and give the same. All
cases are also run by `onnx-infer verify --reload`, at two levels. The last line is `N passed, M failed`.
"""
import argparse
import pathlib
import re
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

import conformance
import generate
import harness

# Operators that draw numbers: two runs of one model differ.
RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli", "Dropout",
          "TrainingDropout"}
RTOL, ATOL = 1e-3, 1e-5
QUANTISED = 0.05


def operators(graph):
    """All operator types, those of subgraphs too."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from operators(attribute.g)


def session(path):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def read_value(path, port):
    """A value as ONNX Runtime takes it."""
    kind = port.type.WhichOneof("value")
    if kind == "tensor_type":
        tensor = onnx.TensorProto.FromString(path.read_bytes())
        if tensor.data_type in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13):
            return onnx.numpy_helper.to_array(tensor)
        raise NotImplementedError(f"element type {tensor.data_type}")
    if kind == "sequence_type":
        return onnx.numpy_helper.to_list(onnx.SequenceProto.FromString(path.read_bytes()))
    raise NotImplementedError(kind)


def read_inputs(folder, model):
    initial = {tensor.name for tensor in model.graph.initializer}
    ports = [port for port in model.graph.input if port.name not in initial]
    data = folder / "test_data_set_0"
    if len(list(data.glob("input_*.pb"))) > len(ports):
        ports = list(model.graph.input)
    return {port.name: read_value(data / f"input_{k}.pb", port) for k, port in enumerate(ports)
            if (data / f"input_{k}.pb").is_file()}


def draw_inputs(model):
    """The same inputs for a network of any shape: open sizes are small."""
    rng = np.random.default_rng(5)
    initial = {tensor.name for tensor in model.graph.initializer}
    values = {}
    for port in model.graph.input:
        if port.name in initial:
            continue
        tensor = port.type.tensor_type
        dims = [d.dim_value or 4 for d in tensor.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        values[port.name] = (rng.standard_normal(dims) if dtype.kind == "f" else np.ones(dims)).astype(dtype)
    return values


def same(a, b):
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if a is None or b is None:
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind in "fc":
        return np.allclose(a.astype(np.complex128), b.astype(np.complex128), rtol=RTOL, atol=ATOL * max(1, float(np.abs(a[np.isfinite(a)]).max(initial=0))), equal_nan=True)
    if a.dtype.kind in "iu" and a.dtype.itemsize == 1: # a rounding of floats may be one step off
        return bool(np.all(np.abs(a.astype(int) - b.astype(int)) <= 1))
    return bool(np.all(a == b))


def near(a, b):
    """Quantised networks round values near a step's edge one way or the other."""
    return np.linalg.norm(a - b) <= QUANTISED * np.linalg.norm(a)


def judge(path, inputs, out):
    """None, or what is wrong with what is saved of the model at `path`; inputs(model) gives its inputs."""
    saved = out / "saved.onnx"
    done = harness.run_tool("save", path, saved)
    if done.code:
        return f"save: {done.why()}"
    model = onnx.load(path)
    try:
        onnx.checker.check_model(str(saved))
    except Exception as why:  # pylint: disable=broad-exception-caught
        return f"checker: {str(why).splitlines()[0][:200]}"
    if RANDOM & set(operators(model.graph)):
        return None
    try:
        values = inputs(model)
        expected = session(str(path)).run(None, values)
    except Exception:  # pylint: disable=broad-exception-caught
        return None  # ONNX Runtime has no say
    if any(node.domain == "onnx_infer" for node in onnx.load(saved).graph.node):
        return None
    try:
        got = session(str(saved)).run(None, values)
    except Exception as why:  # pylint: disable=broad-exception-caught
        return f"ONNX Runtime: {str(why).splitlines()[0][:300]}"
    if same(expected, got):
        return None
    if "DequantizeLinear" in set(operators(model.graph)) and all(near(*pair) for pair in zip(expected, got, strict=True)):
        return None
    return "ONNX Runtime gives another answer"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", metavar="REGEX", default="", help="only cases whose KIND/NAME it finds")
    parser.add_argument("--every", type=int, default=4, help="judge each N-th of the standard's cases [%(default)s]")
    args = parser.parse_args()
    harness.tool()
    folder = generate.cached()
    listed = conformance.read_manifest()
    kinds = [kind for kind in generate.KINDS if kind != "light"]
    cases = [f"{path.parent.parent.name}/{path.parent.name}" for kind in kinds for path in sorted((folder / kind).glob("*/model.onnx"))]
    cases = [case for case in cases if case in listed and listed[case] is None and re.search(args.filter, case)]
    score = harness.Score()
    for level in ("typed", "lowered"):
        outcome = conformance.verify(folder, cases, ["--reload", "--stage", level])
        for case, reason in outcome.items():
            if reason:
                score.add(False, f"{case}, saved and loaded again at {level}: {reason}")
            else:
                score.passed += 1
    with tempfile.TemporaryDirectory() as out:
        out = pathlib.Path(out)
        for case in cases[::args.every]:
            harness.progress(case)
            reason = judge(folder / case / "model.onnx", lambda model, case=case: read_inputs(folder / case, model), out)
            if reason:
                score.add(False, f"{case}: {reason}")
            else:
                score.passed += 1
        for path in sorted((harness.CACHE / "models" / "light").glob("*.onnx")):
            if re.search(args.filter, f"light/{path.stem}"):
                reason = judge(path, draw_inputs, out)
                score.add(not reason, f"light/{path.stem}: {reason or 'same'}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
