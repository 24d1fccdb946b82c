"""Every operator of the standard in every version that a model can carry, with every element type that it allows.

The schemas of the pinned onnx wheel are walked. For each (domain, operator, version) and each type of each of its type
parameters a model of one node is loaded, its inputs of unknown rank. Then the standard's cases of the newest versions are
run with their inputs in the other types that the schema allows; what comes out is not looked at, only whether the type is
taken. What this build does not take is listed in schema_gaps.txt, a line each; an unlisted gap fails, and a listed one that
is none any more. The last line is `N passed, M failed`.
"""
import argparse
import ctypes
import os
import pathlib
import re
import sys
import tempfile
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.defs import OpSchema

import conformance
import generate
import harness

GAPS = pathlib.Path(__file__).with_name("schema_gaps.txt")
STATUS_OK = 0

# What required attributes hold where the fallback by type makes no sense.
VALUES = {
    "axes": [0], "axis": 0, "perm": None, "kernel_shape": [2, 2], "to": TensorProto.FLOAT, "scales": [1.0, 1.0], "scale": None,
    "equation": "ij->ij", "pattern": "a*", "mode": None, "shape": [2, 3], "direction": "LEFT", "starts": [0], "ends": [1],
    "pooled_shape": [2, 2], "blocksize": 2, "hidden_size": 4, "paddings": [0, 0], "pads": [0, 0], "split": [1, 1],
}
BY_OP = {
    ("Momentum", "mode"): "standard", ("RandomUniformLike", "dtype"): TensorProto.FLOAT, ("Resize", "mode"): "nearest",
    ("LinearAttention", "update_rule"): "linear", ("Gradient", "xs"): ["i0"], ("Gradient", "y"): "i0",
    ("TfIdfVectorizer", "mode"): "TF", ("TfIdfVectorizer", "ngram_indexes"): [0], ("TfIdfVectorizer", "ngram_counts"): [0],
    ("TfIdfVectorizer", "pool_int64s"): [1], ("Upsample", "mode"): "nearest", ("BitShift", "direction"): "LEFT",
    ("SequenceEmpty", "dtype"): TensorProto.FLOAT, ("Concat", "axis"): 0, ("Unsqueeze", "axes"): [0],
}


# Inputs of operators whose last parameter stands for a fixed number of them.
VARIADIC = {"Adagrad": 3, "Adam": 4, "Momentum": 3, "Gradient": 1}


def lib():
    path = os.environ.get("ONNX_INFER_LIB") or str(pathlib.Path(harness.tool()).parent.parent / ".libs" / "libonnx_infer.so")
    handle = ctypes.CDLL(path)
    handle.onnx_infer_last_error.restype = ctypes.c_void_p
    handle.onnx_infer_error_message.restype = ctypes.c_char_p
    handle.onnx_infer_error_message.argtypes = [ctypes.c_void_p]
    handle.onnx_infer_model_release.argtypes = [ctypes.c_void_p]
    handle.onnx_infer_model_load_memory.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
                                                    ctypes.POINTER(ctypes.c_void_p)]
    return handle


def load(handle, model):
    """None where the model loads, else why not."""
    data, out = model.SerializeToString(), ctypes.c_void_p()
    status = handle.onnx_infer_model_load_memory(data, len(data), None, None, None, ctypes.byref(out))
    if status == STATUS_OK:
        handle.onnx_infer_model_release(out)
        return None
    return handle.onnx_infer_error_message(handle.onnx_infer_last_error()).decode()


def elem(name):
    return {"float": TensorProto.FLOAT, "double": TensorProto.DOUBLE}.get(name) or TensorProto.DataType.Value(name.upper())


def type_proto(text):
    """The TypeProto of "tensor(float)", "seq(tensor(int64))", "map(string, float)"; tensors have no shape."""
    kind, inner = re.fullmatch(r"(\w+)\((.*)\)", text).groups()
    if kind == "tensor":
        proto = onnx.TypeProto()
        proto.tensor_type.elem_type = elem(inner)
        return proto
    if kind == "seq":
        return helper.make_sequence_type_proto(type_proto(inner))
    if kind == "optional":
        return helper.make_optional_type_proto(type_proto(inner))
    key, value = inner.split(",", 1)
    value = value.strip()
    return helper.make_map_type_proto(elem(key.strip()), type_proto(value if "(" in value else f"tensor({value})"))


def graph(inputs, outputs, name):
    return helper.make_graph([helper.make_node("Identity", [source], [target]) for source, target in zip(inputs, outputs)], name, [
        helper.make_empty_tensor_value_info(value) for value in inputs], [helper.make_empty_tensor_value_info(value) for value in outputs])


def graphs(schema):
    """Subgraphs of the control operators, and how many inputs and outputs they make of the node."""
    if schema.name == "If":
        branch = helper.make_graph([helper.make_node("Identity", ["i0"], ["b"])], "branch", [], [helper.make_empty_tensor_value_info("b")])
        return {"then_branch": branch, "else_branch": branch}, 1, 1
    if schema.name == "Loop":
        return {"body": graph(["n", "c", "v"], ["c1", "v1"], "body")}, 3, 1
    if schema.name == "Scan":
        return {"body": graph(["s", "v"], ["s1", "v1"], "body")}, 3 if schema.since_version == 8 else 2, 2
    if schema.name == "SequenceMap":
        return {"body": graph(["v"], ["v1"], "body")}, 1, 1
    return {}, None, None


def tensor(dtype, *values):
    return numpy_helper.from_array(np.array(values, dtype))


TREE = {"nodes_falsenodeids": [0], "nodes_featureids": [0], "nodes_modes": ["LEAF"], "nodes_nodeids": [0], "nodes_treeids": [0],
        "nodes_truenodeids": [0], "nodes_values": [0.0]}
ML = {
    "OneHotEncoder": {"cats_int64s": [1, 2]}, "ZipMap": {"classlabels_int64s": [1, 2]},
    "TreeEnsembleClassifier": {**TREE, "class_ids": [0], "class_nodeids": [0], "class_treeids": [0], "class_weights": [1.0],
                               "classlabels_int64s": [0, 1]},
    "TreeEnsembleRegressor": {**TREE, "n_targets": 1, "target_ids": [0], "target_nodeids": [0], "target_treeids": [0], "target_weights": [1.0]},
    "SVMClassifier": {"classlabels_ints": [0, 1], "coefficients": [1.0, 1.0], "kernel_type": "LINEAR", "rho": [0.0],
                      "support_vectors": [1.0, 2.0], "vectors_per_class": [1, 1]},
    "SVMRegressor": {"coefficients": [1.0], "kernel_type": "LINEAR", "n_supports": 1, "rho": [0.0], "support_vectors": [1.0]},
}
LABELS = {"string": ("strings", "a"), "int64": ("int64s", 1), "float": ("floats", 1.0)}
BITS = {"double": 64, "float": 32, "float16": 16, "bfloat16": 16, "complex64": 64, "bool": 8}


def inner(text):
    return text[text.index("(") + 1:-1]


def fitting(schema, binding):
    """Attributes that the types ask for."""
    name, types = schema.name, {key: inner(text) for key, text in binding.items()}
    if name == "LabelEncoder" and schema.since_version == 1:
        return {"classes_strings": ["a", "b"]}
    if name == "LabelEncoder":
        given = {}
        for what, of in (("keys", types["T1"]), ("values", types["T2"])):
            kind, value = LABELS.get(of, ("tensor", None))
            given[f"{what}_{kind}"] = [value] if value is not None else tensor({"double": "float64"}.get(of, of), 1)
        return given
    if name == "DictVectorizer":
        return {"string_vocabulary": ["a"]} if types["T1"].startswith("string") else {"int64_vocabulary": [1]}
    if name == "TfIdfVectorizer":
        return {"pool_strings": ["a"]} if types["T"] == "string" else {"pool_int64s": [1]}
    if name == "TreeEnsemble":
        number = {"double": "float64", "float": "float32"}.get(types["T"], types["T"])
        return {"leaf_targetids": [0, 0], "leaf_weights": tensor(number, 1, 2), "n_targets": 1, "nodes_falseleafs": [1],
                "nodes_falsenodeids": [1], "nodes_featureids": [0], "nodes_modes": tensor("uint8", 0), "nodes_splits": tensor(number, 0),
                "nodes_trueleafs": [1], "nodes_truenodeids": [0], "tree_roots": [0]}
    if name == "BitCast":
        width = BITS.get(types["T1"]) or int(re.search(r"\d+", types["T1"])[0])
        return {"to": {8: TensorProto.INT8, 16: TensorProto.INT16, 32: TensorProto.INT32, 64: TensorProto.INT64, 4: TensorProto.INT4,
                       2: TensorProto.INT2, 128: TensorProto.COMPLEX128}[width]}
    if name in ("RandomNormalLike", "RandomUniformLike"):
        return {"dtype": TensorProto.FLOAT}
    if name == "DequantizeLinear" and types.get("T2") == "float8e8m0":
        return {"output_dtype": TensorProto.FLOAT}
    if (name, schema.since_version) in (("LpPool", 1),):
        return {"kernel_shape": [2, 2]}
    if (name, schema.since_version) == ("Reshape", 1):
        return {"shape": [-1]}
    if name == "OneHotEncoder" and types["T"] == "string":
        return {"cats_strings": ["a"]}
    return ML.get(name, {})


def attributes(schema, binding):
    given = {}
    for attribute in schema.attributes.values():
        if not attribute.required or attribute.type == OpSchema.AttrType.GRAPH:
            continue
        value = BY_OP.get((schema.name, attribute.name), VALUES.get(attribute.name))
        kinds = OpSchema.AttrType
        if value is None:
            value = {kinds.INT: 1, kinds.FLOAT: 1.0, kinds.STRING: "", kinds.INTS: [1], kinds.FLOATS: [1.0], kinds.STRINGS: ["a"],
                     kinds.TENSOR: numpy_helper.from_array(np.ones(1, np.float32))}[attribute.type]
        given[attribute.name] = value
    if schema.name == "Constant":
        given = {"value": numpy_helper.from_array(np.ones(1, np.float32))}
    return {**given, **fitting(schema, binding)}


def choices(schema):
    """Bindings of type parameters: each type of each once, the others at a usual one."""
    allowed = {t.type_param_str: list(t.allowed_type_strs) for t in schema.type_constraints}
    usual = {}
    for name, types in allowed.items():
        usual[name] = next((t for t in ("tensor(float)", "tensor(int64)") if t in types), types[0])
    seen = [usual]
    for name, types in allowed.items():
        seen += [{**usual, name: text} for text in types if text != usual[name]]
    return seen


def node_model(schema, binding):
    """A model of one node, or None where the schema cannot be written as one."""
    subs, n_in, n_out = graphs(schema)
    inputs, values = [], []
    single = OpSchema.FormalParameterOption
    for formal in schema.inputs:
        count = 1 if formal.option != single.Variadic else VARIADIC.get(schema.name, max(formal.min_arity, 2))
        for _ in range(count):
            text = binding.get(formal.type_str, formal.type_str)
            values.append(onnx.ValueInfoProto(name=f"i{len(values)}", type=type_proto(text)))
            inputs.append(values[-1].name)
    if n_in is not None:
        while len(inputs) < n_in:
            values.append(onnx.ValueInfoProto(name=f"i{len(values)}", type=values[-1].type))
            inputs.append(values[-1].name)
        inputs = inputs[:n_in]
    used = list(inputs)
    if schema.name == "If":
        values.append(onnx.ValueInfoProto(name="i0", type=type_proto("tensor(float)")))
        values[0].name, values[-1].name = "condition", "i0"
        used = ["condition"]
    outputs = []
    for formal in schema.outputs:
        outputs.append(f"o{len(outputs)}")
        if formal.option == single.Variadic and n_out:
            outputs += [f"o{len(outputs) + k}" for k in range(n_out - 1)]
    node = helper.make_node(schema.name, used, outputs, name="node", domain=schema.domain, **attributes(schema, binding), **subs)
    ports = [onnx.ValueInfoProto(name=name) for name in outputs]
    body = helper.make_graph([node], "g", values, ports)
    version = schema.since_version
    imports = [helper.make_opsetid(schema.domain, version)]
    if schema.domain:
        imports.append(helper.make_opsetid("", 28))
    return helper.make_model(body, opset_imports=imports, ir_version=14 if version > 20 else 8)


def label(schema, binding):
    types = " ".join(f"{name}={text}" for name, text in sorted(binding.items()))
    return f"{schema.domain or 'ai.onnx'} {schema.name} {schema.since_version} {types}".strip()


def walk(handle, pattern):
    """{what: None or why it does not load} of every schema and type."""
    found = {}
    for schema in sorted(onnx.defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version)):
        if schema.deprecated or not re.search(pattern, schema.name):
            continue
        for binding in choices(schema):
            found[label(schema, binding)] = load(handle, node_model(schema, binding))
    return found


# --- running in every type ---------------------------------------------------------------------------------------------


def templates(pattern):
    """{(domain, operator): schema, case} of operators whose newest version a case of one node runs."""
    from onnx.backend.test.case.node import collect_testcases

    warnings.simplefilter("ignore")
    newest, found = {}, {}
    for schema in onnx.defs.get_all_schemas():
        newest[schema.domain, schema.name] = schema
    for case in collect_testcases(None):
        nodes = case.model.graph.node
        key = ("" if nodes[0].domain == "ai.onnx" else nodes[0].domain, nodes[0].op_type)
        schema = newest.get(key)
        if len(nodes) > 1 or schema is None or key in found or not re.search(pattern, schema.name):
            continue
        version = {opset.domain: opset.version for opset in case.model.opset_import}.get(key[0], 0)
        if version >= schema.since_version and all(isinstance(value, np.ndarray) for value in case.data_sets[0][0]):
            found[key] = schema, case
    return found


def formal_of(schema, k):
    """The formal parameter that input k of a node stands for."""
    return schema.inputs[min(k, len(schema.inputs) - 1)]


def converted(value, text):
    """The array in another type, or None where that means nothing."""
    kind = inner(text)
    if not text.startswith("tensor(") or kind == "string" or value.dtype.kind not in "fiubcV":
        return None
    dtype = helper.tensor_dtype_to_np_dtype(elem(kind))
    return np.asarray(value.astype(np.float64) if value.dtype.kind == "V" else value).astype(dtype)


def case_in_type(schema, case, parameter, text):
    """The case's model and inputs with one type parameter bound to another type; None where it cannot be."""
    model, inputs = onnx.ModelProto.FromString(case.model.SerializeToString()), list(case.data_sets[0][0])
    node, changed = model.graph.node[0], False
    if (schema.name, text) == ("DequantizeLinear", "tensor(float8e8m0)"):
        node.attribute.append(helper.make_attribute("output_dtype", TensorProto.FLOAT))
    names = [name for name in node.input]
    for port, k in ((port, names.index(port.name)) for port in model.graph.input if port.name in names):
        if formal_of(schema, k).type_str != parameter:
            continue
        at = [p.name for p in model.graph.input].index(port.name)
        value = converted(inputs[at], text)
        if value is None:
            return None
        inputs[at], changed = value, True
        port.type.tensor_type.elem_type = elem(inner(text))
    for port in model.graph.output:
        port.ClearField("type")
    return (model, inputs) if changed else None


def write_runs(folder, pattern):
    names = set()
    for (domain, op), (schema, case) in templates(pattern).items():
        for constraint in schema.type_constraints:
            for text in constraint.allowed_type_strs:
                built = case_in_type(schema, case, constraint.type_param_str, text)
                if built is None:
                    continue
                name = re.sub(r"\W", "_", f"{domain or 'ai.onnx'}_{op}_{constraint.type_param_str}_{inner(text)}")
                model, inputs = built
                generate.write(folder / "types" / name / "model.onnx", model.SerializeToString())
                for k, (value, port) in enumerate(zip(inputs, model.graph.input)):
                    generate.write(folder / "types" / name / "test_data_set_0" / f"input_{k}.pb",
                                   numpy_helper.from_array(value, port.name).SerializeToString())
                for k, (value, port) in enumerate(zip(case.data_sets[0][1], case.model.graph.output)):
                    generate.write(folder / "types" / name / "test_data_set_0" / f"output_{k}.pb", generate.encode(value, port))
                names.add(f"types/{name}")
    return sorted(names)


def gaps():
    lines = [line.split("#")[0].strip() for line in GAPS.read_text().splitlines()]
    return {line: False for line in lines if line}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", metavar="REGEX", default="", help="only operators whose name it finds")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave the cases that are run there")
    args = parser.parse_args()
    outcome, score, listed = {}, harness.Score(), gaps()
    for label, reason in walk(lib(), args.filter).items():
        outcome[f"load {label}"] = reason
    loads = len(outcome)
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or pathlib.Path(folder)
        cases = write_runs(folder, args.filter)
        for stage in ("typed", "lowered"):
            for name, reason in conformance.verify(folder, cases, ["--stage", stage], kinds=("types",)).items():
                if reason and re.search("E_UNSUPPORTED_TYPE|E_TYPE_MISMATCH|E_UNSUPPORTED_OP|signal|summary", reason):
                    outcome[f"run {name.removeprefix('types/')}"] = reason
                else:
                    outcome.setdefault(f"run {name.removeprefix('types/')}", None)
    lacking = set()
    for what, reason in outcome.items():
        if reason is None:
            score.passed += what not in listed
        elif "is not in this build" in reason:
            lacking.add(re.search(r"operator (\S+)", reason)[1])
        elif what in listed:
            listed[what] = True
        else:
            score.add(False, f"{what}: {reason}")
    for line, found in listed.items():
        if not found and not args.filter:
            score.add(False, f"{line}: is listed in {GAPS.name} but taken")
    print(f"{loads} models loaded, {len(outcome) - loads} run; operators that this build lacks: {', '.join(sorted(lacking)) or 'none'}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
