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

import ml_dtypes
import numpy as np
import onnx
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


# --- opset imports, initializers, functions ------------------------------------------------------------------------


@case
def opsets_repeated_and_unused():
    """The highest version of a domain counts; "" and "ai.onnx" are one; a domain that no node is of does not matter."""
    x = random(2, 3)
    return model([make("ReduceSum", ["x", "axes"], ["out"], keepdims=0)], ports([x]), ["out"],
                 opsets=(("", 11), ("ai.onnx", 18), ("", 13), ("org.nobody", 7), ("com.microsoft", 99)),
                 initializers=[("axes", np.array([1], np.int64))]), [x], [x.sum(1)]


@case
def initializer_overridden_by_input():
    x, y = random(2, 3), random(3, seed=1)
    return model([make("Add", ["x", "y"], ["out"])], ports([x, y]), ["out"], initializers=[("y", np.zeros(3, np.float32))]), [x, y], [x + y]


@case
def initializer_as_default():
    x, y = random(2, 3), random(3, seed=1)
    return model([make("Add", ["x", "y"], ["out"])], ports([x, y]), ["out"], initializers=[("y", y)]), [x], [x + y]


def function(name, inputs, outputs, nodes, overload="", attributes=(), opset=20):
    made = helper.make_function("local", name, inputs, outputs, nodes, [helper.make_opsetid("", opset)], attributes)
    made.overload = overload
    return made


def call(name, inputs, outputs, overload="", **attributes):
    node = make(name, inputs, outputs, domain="local", **attributes)
    node.overload = overload
    return node


@case
def functions_with_overloads():
    x = random(3)
    functions = [function("F", ["a"], ["b"], [make("Neg", ["a"], ["b"])], "negative"),
                 function("F", ["a"], ["b"], [make("Exp", ["a"], ["b"])], "exponential"), function("F", ["a"], ["b"], [make("Abs", ["a"], ["b"])])]
    nodes = [call("F", ["x"], ["p"], "negative"), call("F", ["p"], ["q"], "exponential"), call("F", ["p"], ["r"])]
    return model(nodes, ports([x]), ["q", "r"], opsets=(("", 20), ("local", 1)), functions=functions), [x], [np.exp(-x), np.abs(x)]


def reference(op, inputs, outputs, **names):
    """A node whose attributes are a function's: attribute = function's name for it."""
    node = make(op, inputs, outputs)
    for attribute, (of, kind) in names.items():
        node.attribute.append(onnx.AttributeProto(name=attribute, ref_attr_name=of, type=kind))
    return node


@case
def function_with_graph_attributes():
    """A call hands whole subgraphs to the function, which capture values of the caller, not of the function."""
    flag, y = np.array(True), random(3)
    def branch(op):
        return helper.make_graph([make(op, ["y"], ["t"])], op, [], [helper.make_empty_tensor_value_info("t")])
    body = [reference("If", ["c"], ["r"], then_branch=("first", onnx.AttributeProto.GRAPH), else_branch=("second", onnx.AttributeProto.GRAPH)),
            make("Identity", ["a"], ["y"]), make("Add", ["r", "y"], ["out"])]
    choose = function("Choose", ["c", "a"], ["out"], body, attributes=["first", "second"])
    nodes = [call("Choose", ["x", "y"], ["yes"], first=branch("Neg"), second=branch("Abs")), make("Not", ["x"], ["other"]),
             call("Choose", ["other", "y"], ["no"], first=branch("Neg"), second=branch("Abs"))]
    return model(nodes, ports([flag, y]), ["yes", "no"], opsets=(("", 20), ("local", 1)), functions=[choose]), [flag, y], [y - y, np.abs(y) + y]


@case
def function_with_a_graph_through_another():
    """The graph goes through two calls; its own nodes are of the caller's opset."""
    flag, y = np.array(False), random(3)
    def branch(op):
        return helper.make_graph([make(op, ["y"], ["t"])], op, [], [helper.make_empty_tensor_value_info("t")])
    inner = function("Inner", ["c"], ["r"], [reference("If", ["c"], ["r"], then_branch=("p", onnx.AttributeProto.GRAPH),
                                                       else_branch=("q", onnx.AttributeProto.GRAPH))], attributes=["p", "q"])
    outer = function("Outer", ["c"], ["r"], [call("Inner", ["c"], ["r"])], attributes=["a", "b"])
    outer.opset_import.append(helper.make_opsetid("local", 1))
    outer.node[0].attribute.append(onnx.AttributeProto(name="p", ref_attr_name="a", type=onnx.AttributeProto.GRAPH))
    outer.node[0].attribute.append(onnx.AttributeProto(name="q", ref_attr_name="b", type=onnx.AttributeProto.GRAPH))
    return model([call("Outer", ["x"], ["out"], a=branch("Neg"), b=branch("Exp"))], ports([flag, y]), ["out"],
                 opsets=(("", 20), ("local", 1)), functions=[inner, outer]), [flag, y], [np.exp(y)]


# --- types -------------------------------------------------------------------------------------------------------------


def float6_case(name, dtype, number):
    def build():
        x = np.concatenate([np.linspace(-9, 9, 41), [0.0, 0.06, -0.031, 30.0, np.inf]]).astype(np.float32)
        table = np.arange(64, dtype=np.uint8).view(dtype)
        raw = numpy_helper.from_array(table, "raw")
        single = TensorProto(name="single", dims=[5], data_type=number, int32_data=[1, 31, 33, 63, 12])
        nodes = [make("Cast", ["x"], ["six"], to=number), make("Cast", ["six"], ["out"], to=FLOAT), make("Cast", ["raw"], ["all"], to=FLOAT),
                 make("Cast", ["single"], ["some"], to=FLOAT), make("Slice", ["raw", "from", "to"], ["part"]), make("Cast", ["part"], ["cut"], to=FLOAT),
                 make("QuantizeLinear", ["x", "scale"], ["q"], output_dtype=number), make("DequantizeLinear", ["q", "scale"], ["d"])]
        made = model(nodes, ports([x]), ["out", "all", "some", "cut", "d"], opsets=(("", 28),), ir_version=14,
                     initializers=[("from", np.array([3])), ("to", np.array([10])), ("scale", np.float32(0.5))])
        made.graph.initializer.extend([raw, single])
        values = table.astype(np.float32)
        return made, [x], [x.astype(dtype).astype(np.float32), values, values[[1, 31, 33, 63, 12]], values[3:10],
                           (x / np.float32(0.5)).astype(dtype).astype(np.float32) * np.float32(0.5)]
    CASES[name] = build


float6_case("float6_e2m3", ml_dtypes.float6_e2m3fn, TensorProto.FLOAT6E2M3)
float6_case("float6_e3m2", ml_dtypes.float6_e3m2fn, TensorProto.FLOAT6E3M2)


@case
def erf_of_integers():
    x = np.array([-7, 0, 1, 7], np.int32)
    return model([make("Erf", ["x"], ["out"])], ports([x]), ["out"], opsets=(("", 9),)), [x], [np.array([-1, 0, 0, 1], np.int32)]


@case
def dropout_mask_of_old():
    """Before opset 10 the mask has the input's type, at inference all ones."""
    x = random(2, 3)
    return model([make("Dropout", ["x"], ["out", "mask"], ratio=0.4)], ports([x]), ["out", "mask"], opsets=(("", 7),), ir_version=3), [x], [
        x, np.ones_like(x)]


# --- old forms -----------------------------------------------------------------------------------------------------------


@case
def tile_of_opset_1():
    """The count and the axis are inputs that only the run knows."""
    x, count, axis = random(2, 3), np.float32(3), np.float32(1)
    return model([make("Tile", ["x", "y", "z"], ["out"])], ports([x, np.asarray(count), np.asarray(axis)]), ["out"], opsets=(("", 1),),
                 ir_version=3), [x, np.asarray(count), np.asarray(axis)], [np.tile(x, (1, 3))]


def scan8(lengths, directions=(0,)):
    """Opset 8: running sums of each sequence of a batch, which may be shorter than the tensor."""
    start, x = random(3, 2), random(3, 4, 2, seed=1)
    body = helper.make_graph([make("Add", ["s", "e"], ["t"]), make("Identity", ["t"], ["o"])], "body", [
        helper.make_tensor_value_info("s", FLOAT, [2]), helper.make_tensor_value_info("e", FLOAT, [2])], [
        helper.make_tensor_value_info("t", FLOAT, [2]), helper.make_tensor_value_info("o", FLOAT, [2])])
    node = make("Scan", ["lengths" if lengths else "", "x", "y"], ["last", "all"], body=body, num_scan_inputs=1, directions=list(directions))
    last, every = start.copy(), np.zeros_like(x)
    for b in range(3):
        n = lengths[b] if lengths else 4
        for i in range(n):
            last[b] += x[b, n - 1 - i if directions[0] else i]
            every[b, i] = last[b]
    constants = [("lengths", np.array(lengths))] if lengths else []
    return model([node], ports([start, x]), ["last", "all"], opsets=(("", 8),), initializers=constants, ir_version=4), [start, x], [last, every]


CASES["scan8"] = lambda: scan8(None)
CASES["scan8_lengths"] = lambda: scan8([2, 4, 0])
CASES["scan8_lengths_empty_first"] = lambda: scan8([0, 1, 3])
CASES["scan8_lengths_reversed"] = lambda: scan8([3, 4, 1], (1,))
CASES["scan8_lengths_none"] = lambda: scan8([0, 0, 0])


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
