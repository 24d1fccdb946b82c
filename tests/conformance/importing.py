"""Runs models that the standard allows and few exporters write: repeated and unused opset imports, inputs that have
initializers, functions with overloads and graphs for attributes, forms of operators that the standard's cases do not hold.

Each case is a function below that returns a model, its inputs and the outputs it must have. The last line is
`N passed, M failed`.
"""
import argparse
import json
import pathlib
import re
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import conformance
import generate
import harness

CASES = {}
FLOAT = TensorProto.FLOAT
TRAINING = "ai.onnx.preview.training"


def case(function):
    CASES[function.__name__] = function
    return function


def ports(values, names="xyzuvw"):
    """Declarations x, y, z, ... of arrays."""
    return [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in zip(names, values)]


def model(nodes, inputs, outputs, opsets=(("", 20),), initializers=(), functions=(), ir_version=10):
    constants = [numpy_helper.from_array(value, name) for name, value in initializers]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info(name) for name in outputs], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*pair) for pair in opsets], functions=functions,
                             ir_version=ir_version)


def random(*shape, seed=0):
    return np.random.default_rng(seed + 17 * len(shape)).standard_normal(shape).astype(np.float32)


# --- Gradient ------------------------------------------------------------------------------------------------------


def gradient_case(name, nodes, function, *inputs):
    """Gradient of the sum of `function` of the inputs x, y, ..., which the nodes compute as "out", by differences."""
    def build():
        names = "xyzuvw"[:len(inputs)]
        slopes = [f"d{name}" for name in names]
        node = helper.make_node("Gradient", list(names), slopes, xs=list(names), y="out", domain=TRAINING)
        wide, expected, step = [value.astype(np.float64) for value in inputs], [], 1e-5
        for value in wide:
            slope = np.zeros_like(value)
            for at in np.ndindex(value.shape):
                kept = value[at]
                value[at] = kept + step
                upper = function(*wide).sum()
                value[at] = kept - step
                slope[at] = (upper - function(*wide).sum()) / (2 * step)
                value[at] = kept
            expected.append(slope.astype(np.float32))
        return model([*nodes, node], ports(inputs), slopes, opsets=(("", 20), (TRAINING, 1))), inputs, expected
    CASES[f"gradient_{name}"] = build


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


make = helper.make_node
gradient_case("broadcast", [make("Mul", ["x", "y"], ["p"]), make("Div", ["p", "z"], ["q"]), make("Sub", ["q", "y"], ["out"])],
              lambda x, y, z: x * y / z - y, random(2, 3), random(3), 2 + np.abs(random(2, 1)))
gradient_case("unary", [make("Tanh", ["x"], ["a"]), make("Exp", ["a"], ["b"]), make("Sigmoid", ["b"], ["c"]), make("Log", ["c"], ["d"]),
                        make("Relu", ["x"], ["e"]), make("Sin", ["d"], ["f"]), make("Add", ["e", "f"], ["out"])],
              lambda x: np.maximum(x, 0) + np.sin(np.log(1 / (1 + np.exp(-np.exp(np.tanh(x)))))), random(4, 5))
gradient_case("gemm", [make("Gemm", ["x", "y", "z"], ["out"], transA=1, alpha=0.5, beta=2.0)],
              lambda x, y, z: 0.5 * x.T @ y + 2 * z, random(3, 2), random(3, 4), random(4))
gradient_case("gemm_transposed", [make("Gemm", ["x", "y"], ["p"], transB=1), make("Mul", ["p", "p"], ["out"])],
              lambda x, y: (x @ y.T) ** 2, random(3, 2), random(4, 2))
gradient_case("layers", [make("MatMul", ["x", "y"], ["p"]), make("Transpose", ["p"], ["t"], perm=[0, 2, 1]),
                         make("ReduceMean", ["t"], ["m"], keepdims=0), make("Softmax", ["t"], ["s"]), make("Mul", ["s", "t"], ["q"]),
                         make("Add", ["q", "m"], ["out"])],
              lambda x, y: softmax((x @ y).transpose(0, 2, 1)) * (x @ y).transpose(0, 2, 1) + (x @ y).mean(), random(2, 3, 4), random(4, 5))


@case
def gradient_at_another_place():
    """The inputs of Gradient are other values than the tensors it names: y and its slope are computed again."""
    x, y = random(3), random(3, seed=1)
    node = make("Gradient", ["y"], ["d"], xs=["x"], y="out", domain=TRAINING)
    return model([make("Mul", ["x", "x"], ["p"]), make("Mul", ["p", "x"], ["out"]), node], ports([x, y]), ["out", "d"],
                 opsets=(("", 20), (TRAINING, 1))), [x, y], [x**3, 3 * y**2]


@case
def gradient_of_a_gradient():
    x = random(3)
    first = make("Gradient", ["x"], ["d"], xs=["x"], y="out", domain=TRAINING)
    second = make("Gradient", ["x"], ["dd"], xs=["x"], y="d", domain=TRAINING)
    return model([make("Mul", ["x", "x"], ["p"]), make("Mul", ["p", "x"], ["out"]), first, second], ports([x]), ["d", "dd"],
                 opsets=(("", 20), (TRAINING, 1))), [x], [3 * x**2, 6 * x]


# --- the run -------------------------------------------------------------------------------------------------------


def write(directory, build):
    built, inputs, outputs = build()
    generate.write(directory / "model.onnx", built.SerializeToString())
    generate.write(directory / "case.json", json.dumps({"rtol": 1e-4, "atol": 1e-5}).encode())
    for what, values, declared in (("input", inputs, built.graph.input), ("output", outputs, built.graph.output)):
        for k, (value, port) in enumerate(zip(values, declared)):
            generate.write(directory / "test_data_set_0" / f"{what}_{k}.pb", numpy_helper.from_array(value, port.name).SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", metavar="REGEX", default="", help="only cases whose name it finds")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave the cases there")
    args = parser.parse_args()
    harness.tool()
    score = harness.Score()
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or pathlib.Path(folder)
        chosen = [name for name in CASES if re.search(args.filter, name)]
        for name in chosen:
            write(folder / "importing" / name, CASES[name])
        cases = [f"importing/{name}" for name in sorted(chosen)]
        for stage in ("typed", "lowered"):
            for name, reason in conformance.verify(folder, cases, ["--stage", stage], kinds=("importing",)).items():
                score.add(reason is None, f"{name} {stage}" if reason is None else f"{name} {stage}: {reason}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
