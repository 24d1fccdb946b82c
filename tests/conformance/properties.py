"""Runs random cases of operators and little graphs through onnx-infer and holds them against ONNX Runtime, or against the
wheel's reference evaluator.

Every operator of the standard is drawn by some generator, or NOT_DRAWN says why not. Every case has its seed in its name
(NAME_SEED); --seed N --count 1 --filter NAME draws it again, --keep DIR leaves its directory. ONNX Runtime
runs with its optimisations off; cases that it cannot run, or whose operator this build lacks (the conformance manifest lists
those), are left out. The last line is `N passed, M failed`.
"""
import argparse
import json
import pathlib
import re
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx import AttributeProto, MapProto, SequenceProto, TensorProto, numpy_helper

import conformance
import contrib_cases  # noqa: F401  adds its generators
import generate
import harness
import random_cases
import random_numeric  # noqa: F401  its generators join those of random_cases
import random_standard  # noqa: F401
import random_control  # noqa: F401
import random_ml  # noqa: F401  its generators join those of random_cases

RTOL = 1e-4
FLOOR = 2e-5  # of the output's largest magnitude


def answer(model, inputs, judge):
    """The outputs of ONNX Runtime (None where it has no kernel) or of the wheel's reference evaluator."""
    if judge == "onnx":
        return ReferenceEvaluator(model).run(None, dict(inputs))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, dict(inputs))
    except Exception:  # noqa: BLE001  ONNX Runtime's errors have many types
        return None


def map_proto(value, name):
    proto = MapProto(name=name, key_type=TensorProto.STRING if isinstance(next(iter(value)), str) else TensorProto.INT64)
    if proto.key_type == TensorProto.STRING:
        proto.string_keys.extend(key.encode() for key in value)
    else:
        proto.keys.extend(value)
    items = [np.asarray(item, object if isinstance(item, str) else np.asarray(item).dtype) for item in value.values()]
    if isinstance(items[0].item(), float) and items[0].dtype == np.float64 and not isinstance(next(iter(value.values())), np.float64):
        items = [item.astype(np.float32) for item in items]  # Python's floats stand for ONNX Runtime's float32
    proto.values.CopyFrom(numpy_helper.from_list(items, name))
    return proto


def encode(value, name):
    """The bytes of a data set's file for an array, a map (dict) or a sequence (list) of maps."""
    if isinstance(value, dict):
        return map_proto(value, name).SerializeToString()
    if isinstance(value, list):
        maps = [map_proto(item, name) for item in value]
        return SequenceProto(name=name, elem_type=SequenceProto.MAP, map_values=maps).SerializeToString()
    return numpy_helper.from_array(value, name).SerializeToString()


def write(folder, name, seed):
    """Draws one case into folder/name_seed; False where ONNX Runtime has no answer."""
    case = random_cases.GENERATORS[name](random_cases.Draw(seed))
    model = case.model()
    outputs = case.expected or answer(model, case.inputs, case.judge)
    if outputs is None:
        return False
    outputs = case.mend(outputs) if case.mend else outputs
    directory = folder / f"{name}_{seed}"
    sizes = [float(np.max(np.abs(value))) for value in outputs
             if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size and np.isfinite(value).all()]
    generate.write(directory / "model.onnx", model.SerializeToString())
    generate.write(directory / "case.json", json.dumps({"rtol": RTOL, "atol": case.atol or FLOOR * max(sizes, default=1.0)}).encode())
    for what, values, ports in (("input", [value for _, value in case.inputs], model.graph.input),
                                ("output", outputs, model.graph.output)):
        for k, (value, port) in enumerate(zip(values, ports, strict=True)):
            generate.write(directory / "test_data_set_0" / f"{what}_{k}.pb", encode(value, port.name))
    return True


# Operators that no property test draws, and why.
NOT_DRAWN = {
    "Gradient": "no other evaluator: the standard's cases",
    "ImageDecoder": "tests/unit/test_modules decodes files of every kind",
    "Bernoulli": "random: tests/unit/test_ops_reference", "Multinomial": "random: tests/unit/test_ops_reference",
    "RandomNormal": "random: tests/unit/test_ops_reference", "RandomNormalLike": "random: tests/unit/test_ops_reference",
    "RandomUniform": "random: tests/unit/test_ops_reference", "RandomUniformLike": "random: tests/unit/test_ops_reference",
}


def operators_of(graph):
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from operators_of(attribute.g)


def undrawn(folder):
    """Operators of the standard that none of the cases has."""
    drawn = set(NOT_DRAWN)
    for path in folder.glob("random/*/model.onnx"):
        drawn.update(operators_of(onnx.load(path).graph))
    return sorted({schema.name for schema in onnx.defs.get_all_schemas()} - drawn)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=40, help="cases of each generator; default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="the first one's seed; default %(default)s")
    parser.add_argument("--filter", metavar="REGEX", default="", help="only generators whose name it finds")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave the cases there")
    for name in ("stage", "threads", "isa"):
        parser.add_argument(f"--{name}")
    args = parser.parse_args()
    harness.tool()
    onnxruntime.set_default_logger_severity(4)
    options = [word for name in ("stage", "threads", "isa") if getattr(args, name) is not None for word in (f"--{name}", getattr(args, name))]
    score = harness.Score()
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or pathlib.Path(folder)
        unanswered = 0
        for name in random_cases.GENERATORS:
            if re.search(args.filter, name):
                harness.progress(f"drawing {name}")
                unanswered += sum(not write(folder / "random", name, seed) for seed in range(args.seed, args.seed + args.count))
        cases = sorted(f"random/{path.parent.name}" for path in folder.glob("random/*/model.onnx"))
        harness.progress(f"running {len(cases)} cases")
        outcome = conformance.verify(folder, cases, options, kinds=("random",))
        if not args.filter and args.count >= 20:
            for name in undrawn(folder):
                score.add(False, f"{name}: no random case has this operator")
    lacking = 0
    for case, reason in outcome.items():
        if reason and "is not in this build" in reason:
            lacking += 1
        elif reason is None:
            score.passed += 1
        else:
            score.add(False, f"{case}  {reason}")
    print(f"{len(cases)} random cases from seed {args.seed}; {lacking} need operators that this build lacks; "
          f"{unanswered} draws that ONNX Runtime does not run")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
