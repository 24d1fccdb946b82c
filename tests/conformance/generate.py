"""Writes the ONNX standard's conformance cases as directories in the ONNX test layout.

The node cases are made by the pinned onnx wheel, the others come from the wheel's data. Each becomes
OUT/KIND/NAME/{model.onnx, case.json, test_data_set_N/{input,output}_K.pb}; case.json holds rtol and atol.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

import harness

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "light")
DATA = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
RTOL, ATOL = 1e-3, 1e-7
RTOL_BFLOAT16 = 2.0**-6  # the standard's own runner allows two units in the last place


def encode(value, port):
    """The bytes of a data set's file for a value of the model's input or output `port`."""
    kind = port.type.WhichOneof("value")
    if kind == "map_type":
        return numpy_helper.from_dict(value, port.name).SerializeToString()
    if kind == "sequence_type":
        return numpy_helper.from_list(value, port.name).SerializeToString()
    if kind == "optional_type":
        return numpy_helper.from_optional(value, port.name).SerializeToString()
    if isinstance(value, TensorProto):
        return value.SerializeToString()
    return numpy_helper.from_array(np.asarray(value), port.name).SerializeToString()


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_case(directory, model, rtol, atol):
    """case.json beside the model; bfloat16 outputs take the standard's wider tolerance."""
    for port in model.graph.output:
        if port.type.tensor_type.elem_type == TensorProto.BFLOAT16:
            rtol = max(rtol, RTOL_BFLOAT16)
    write(directory / "case.json", json.dumps({"rtol": rtol, "atol": atol}).encode())


def node_cases(out, wanted):
    warnings.simplefilter("ignore")
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        if not wanted(case.name):
            continue
        directory = out / "node" / case.name
        write(directory / "model.onnx", case.model.SerializeToString())
        for n, (inputs, outputs) in enumerate(case.data_sets):
            for what, values, ports in (("input", inputs, case.model.graph.input),
                                        ("output", outputs, case.model.graph.output)):
                for k, (value, port) in enumerate(zip(values, ports, strict=True)):
                    write(directory / f"test_data_set_{n}" / f"{what}_{k}.pb", encode(value, port))
        write_case(directory, case.model, case.rtol, case.atol)


def shipped_cases(out, kind, wanted):
    for source in sorted((DATA / kind).iterdir()):
        if source.is_dir() and wanted(source.name):
            shutil.copytree(source, out / kind / source.name, dirs_exist_ok=True)
            write_case(out / kind / source.name, onnx.load(source / "model.onnx"), RTOL, ATOL)


def light_cases(out, wanted):
    """The published networks with weights of ConstantOfShape, an input of arange / size and a shipped output."""
    for source in sorted((DATA / "light").glob("light_*.onnx")):
        if not wanted(source.stem):
            continue
        directory = out / "light" / source.stem
        model = onnx.load(source)
        weights = {tensor.name for tensor in model.graph.initializer}
        inputs = [port for port in model.graph.input if port.name not in weights]
        for k, port in enumerate(inputs):
            shape = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
            size = int(np.prod(shape))
            value = (np.arange(size).reshape(shape) / size).astype(np.float32)
            write(directory / "test_data_set_0" / f"input_{k}.pb", encode(value, port))
        write(directory / "model.onnx", source.read_bytes())
        write(directory / "test_data_set_0" / "output_0.pb", (DATA / "light" / f"{source.stem}_output_0.pb").read_bytes())
        write_case(directory, model, RTOL, ATOL)


def generate(out, kinds=KINDS, pattern=None):
    """Writes the cases of `kinds` whose names `pattern` finds under `out`."""
    wanted = re.compile(pattern).search if pattern else lambda name: True
    for kind in kinds:
        harness.progress(f"generating {kind} cases")
        if kind == "node":
            node_cases(out, wanted)
        elif kind == "light":
            light_cases(out, wanted)
        else:
            shipped_cases(out, kind, wanted)
    harness.progress("")


def cached(version="1"):
    """The folder of all cases, made at the first call for this wheel and this form of case.json."""
    out = harness.CACHE / "conformance"
    stamp = out / "stamp"
    mark = f"onnx {onnx.__version__} form {version}\n"
    if not stamp.is_file() or stamp.read_text() != mark:
        partial = harness.CACHE / f"conformance.{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        generate(partial)
        (partial / "stamp").write_text(mark)
        shutil.rmtree(out, ignore_errors=True)
        os.replace(partial, out)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=pathlib.Path, help="default: the cache")
    parser.add_argument("--filter", metavar="REGEX", help="only cases whose name it finds")
    parser.add_argument("--kinds", default=",".join(KINDS), help="default: %(default)s")
    args = parser.parse_args()
    kinds = args.kinds.split(",")
    if set(kinds) - set(KINDS):
        parser.error(f"kinds are {', '.join(KINDS)}")
    out = args.out or cached()
    if args.out:
        generate(out, kinds, args.filter)
    count = sum(1 for _ in out.glob("*/*/model.onnx"))
    print(f"{count} cases in {out}")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
