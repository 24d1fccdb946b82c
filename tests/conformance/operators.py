"""docs/operators.md: every operator of the build, its versions, its element types, and what runs by kernels.

Names and versions come from the build's own table (`onnx-infer ops --json`), element types from the schemas of the pinned
onnx wheel less schema_gaps.txt (tests/conformance/schemas proves that they are taken), and kernels from planning the
standard's cases of one node under each instruction set that this machine has. The suite fails where the file says otherwise;
--update writes it. The last line is `N passed, M failed`.
"""
import argparse
import collections
import ctypes
import json
import sys

import onnx
from onnx import TensorProto
from onnx.defs import OpSchema

import conformance
import generate
import harness
import schemas

FILE = harness.ROOT / "docs" / "operators.md"
ORDER = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
         "string", "complex64", "complex128", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0",
         "float4e2m1", "float6e2m3", "float6e3m2", "int4", "uint4", "int2", "uint2"]
GROUPS = [("integers", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]),
          ("floats", ["float32", "float64", "float16", "bfloat16"]),
          ("8-bit floats", ["float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"]),
          ("complex", ["complex64", "complex128"]),
          ("packed integers", ["int4", "uint4", "int2", "uint2"])]

HEAD = """# Operators

{count} operators, every one that onnx {wheel} defines at every version that a model can carry, and those of ONNX Runtime's domain
com.microsoft that files hold. This file is written and kept true by `tests/conformance/operators`; `onnx-infer ops` prints the
list of a build.

- **since**: opset version of the first definition; **newest**: of the newest one, which is the form that the engine knows: older
  models are brought to it when they are loaded.
- **types**: element types of the first input (of the first output where there is none); other inputs as the standard says.
- **kernels**: element types for which the standard's cases run by a prepared kernel, under every instruction set ({isas}; neon
  from the same sources) unless one is named; inputs behind the first may be weights there. All else runs by the plain evaluator, as do shapes or attributes that a kernel does
  not take. Views and what is folded away need none.
"""


def name_of(type_text):
    """tensor(float) -> float32; None for sequences and the like."""
    inner = type_text[7:-1] if type_text.startswith("tensor(") else None
    return {"float": "float32", "double": "float64"}.get(inner, inner)


def listed(names):
    """Types as text, whole groups by the group's name."""
    left, words = set(names), []
    for group, members in GROUPS:
        if left >= set(members):
            words.append(group)
            left -= set(members)
    return ", ".join(words + sorted(left, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)))


def schema_types(schema):
    port = schema.inputs[0] if schema.inputs else schema.outputs[0]
    names, others = set(), set()
    for text in port.types:
        (names if name_of(text) else others).add(name_of(text) or text)
    if others:
        return listed(names) + (", " if names else "") + ("sequences" if any("seq" in text for text in others) else "maps")
    return listed(names)


class Planner:
    """Which steps a plan has, through the C interface."""

    class Event(ctypes.Structure):
        _fields_ = [("struct_size", ctypes.c_size_t), ("node", ctypes.c_char_p), ("op", ctypes.c_char_p), ("kernel", ctypes.c_char_p),
                    ("rest", ctypes.c_uint64 * 16)]

    def __init__(self):
        self.c = schemas.lib()
        self.c.onnx_infer_plan_step_count.restype = ctypes.c_size_t
        for name in ("onnx_infer_plan_step_count", "onnx_infer_plan_release", "onnx_infer_options_free"):
            getattr(self.c, name).argtypes = [ctypes.c_void_p]
        self.c.onnx_infer_plan_step.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        self.c.onnx_infer_plan_create.argtypes = [ctypes.c_void_p] * 3
        self.options = {}
        for isa in conformance.INSTRUCTION_SETS:
            made = ctypes.c_void_p()
            self.c.onnx_infer_options_create(ctypes.byref(made))
            self.c.onnx_infer_options_set_threads(made, 1)
            if self.c.onnx_infer_options_set_cpu_isa(made, isa.encode()) == schemas.STATUS_OK:
                self.options[isa] = made
            else:
                self.c.onnx_infer_options_free(made)

    def has_kernel(self, model, isa):
        """True where all of the model's steps are kernels; None where it has no steps or cannot be planned ahead."""
        handle, plan = ctypes.c_void_p(), ctypes.c_void_p()
        if self.c.onnx_infer_model_load_memory(model, len(model), None, None, None, ctypes.byref(handle)) != schemas.STATUS_OK:
            return None
        kernels = []
        if self.c.onnx_infer_plan_create(handle, self.options[isa], ctypes.byref(plan)) == schemas.STATUS_OK:
            for k in range(self.c.onnx_infer_plan_step_count(plan)):
                event = self.Event(struct_size=ctypes.sizeof(self.Event))
                self.c.onnx_infer_plan_step(plan, k, ctypes.byref(event))
                kernels.append(event.kernel)
            self.c.onnx_infer_plan_release(plan)
        self.c.onnx_infer_model_release(handle)
        return b"reference" not in kernels if kernels else None


def forms(path, model):
    """The case's model, and the same with all inputs but the first as weights, as networks have them."""
    yield model.SerializeToString()
    data = path.parent / "test_data_set_0"
    files = [data / f"input_{k}.pb" for k in range(len(model.graph.input))]
    tensors = all(port.type.HasField("tensor_type") for port in model.graph.input)
    if len(files) < 2 or not tensors or not all(file.is_file() for file in files):
        return
    for file, port in list(zip(files, model.graph.input))[1:]:
        weight = onnx.load_tensor(file)
        weight.name = port.name
        model.graph.initializer.append(weight)
    del model.graph.input[1:]
    yield model.SerializeToString()


def measure_kernels(planner):
    """{(domain, operator): {type: set of instruction sets}} from the standard's cases of one node."""
    found = collections.defaultdict(lambda: collections.defaultdict(set))
    for path in sorted((generate.cached() / "node").glob("*/model.onnx")):
        model = onnx.load_model(path)
        if len(model.graph.node) != 1 or not model.graph.input or not model.graph.input[0].type.HasField("tensor_type"):
            continue
        node = model.graph.node[0]
        kind = TensorProto.DataType.Name(model.graph.input[0].type.tensor_type.elem_type).lower()
        kind = {"float": "float32", "double": "float64"}.get(kind, kind)
        for form in forms(path, model):
            for isa in planner.options:
                if planner.has_kernel(form, isa):
                    found[node.domain or "ai.onnx", node.op_type][kind].add(isa)
    return found


def kernel_text(by_type, isas):
    everywhere = [kind for kind, have in by_type.items() if have == isas]
    parts = [listed(everywhere)] if everywhere else []
    for isa in sorted(isas):
        some = [kind for kind, have in by_type.items() if isa in have and have != isas]
        if some:
            parts.append(f"{isa}: {listed(some)}")
    return "; ".join(parts)


def document():
    planner = Planner()
    table = [op for op in json.loads(harness.run_tool("ops", "--json").out) if op["domain"] != "onnx_infer"]
    kernels, isas = measure_kernels(planner), set(planner.options)
    newest = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        key = schema.domain or "ai.onnx", schema.name
        if key not in newest or schema.since_version > newest[key].since_version:
            newest[key] = schema
    lines = [HEAD.format(count=len(table), wheel=onnx.__version__, isas=", ".join(sorted(isas)))]
    for domain in sorted({op["domain"] for op in table}):
        lines += [f"## {domain}", "", "| operator | since | newest | types | kernels |", "|---|---|---|---|---|"]
        for op in (op for op in table if op["domain"] == domain):
            schema = newest.get((domain, op["name"]))
            version = schema.since_version if schema else op["newest"]
            gone = " (deprecated)" if op["deprecated"] or (schema and schema.deprecated) else ""
            types = schema_types(schema) if schema and (schema.inputs or schema.outputs) else ""
            lines.append(f"| {op['name']}{gone} | {op['since']} | {version} | {types} | {kernel_text(kernels[domain, op['name']], isas)} |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write docs/operators.md")
    args = parser.parse_args()
    text = document()
    if args.update:
        FILE.write_text(text)
    said = FILE.read_text().splitlines() if FILE.is_file() else []
    rows = [line for line in text.splitlines() if line.startswith("|")]
    wrong = [line for line in rows if line not in said]
    stale = [line for line in said if line.startswith("|") and line not in rows]
    for line in wrong:
        print(f"FAIL not in docs/operators.md: {line}")
    for line in stale:
        print(f"FAIL no longer true in docs/operators.md: {line}")
    if wrong or stale:
        print("tests/conformance/operators --update writes the file")
    print(f"{len(rows) - len(wrong)} passed, {len(wrong) + len(stale)} failed")
    return 1 if wrong or stale else 0


if __name__ == "__main__":
    sys.exit(main())
