"""Rewrites a float32 model so that all its floating-point tensors are float64.

The result, run by the reference evaluators, is what both engines' float32 answers are measured against. Numbers stay
those of the file; only the arithmetic and what is stored between operators gain precision. Quantised models have no
such form.
"""
import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

NARROW = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
# Attributes that name an element type; those absent whose default is a float type, with the value to add.
TYPE_ATTRIBUTES = {"to", "dtype", "output_datatype", "output_dtype", "stash_type", "softmax_precision"}
DEFAULTS = {"LayerNormalization": "stash_type", "RMSNormalization": "stash_type", "GroupNormalization": "stash_type",
            "EyeLike": None, "RandomNormal": "dtype", "RandomUniform": "dtype", "SequenceEmpty": "dtype",
            "HannWindow": "output_datatype", "HammingWindow": "output_datatype",
            "BlackmanWindow": "output_datatype", "MelWeightMatrix": "output_datatype"}
# Inputs that the standard takes in float32 only: operator -> indexes by count of inputs declared.
FLOAT32_INPUTS = {"Resize": lambda n: (1,) if n == 2 else (2,), "Upsample": lambda n: (1,)}


def wide(tensor):
    """The tensor in float64, or as it is."""
    if tensor.data_type not in NARROW:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)


def widen_type(proto):
    """Changes a TypeProto in place, through sequences, optionals and maps."""
    kind = proto.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        held = getattr(proto, kind)
        if held.elem_type in NARROW:
            held.elem_type = TensorProto.DOUBLE
    elif kind in ("sequence_type", "optional_type"):
        widen_type(getattr(proto, kind).elem_type)
    elif kind == "map_type":
        widen_type(proto.map_type.value_type)


class Widener:
    """Rewrites graphs; makes names for the casts that it adds."""

    def __init__(self):
        self.added = 0

    def attribute(self, attribute, op_type):
        if attribute.type == AttributeProto.GRAPH:
            self.graph(attribute.g)
        elif attribute.type == AttributeProto.GRAPHS:
            for graph in attribute.graphs:
                self.graph(graph)
        elif attribute.type == AttributeProto.TENSOR:
            attribute.t.CopyFrom(wide(attribute.t))
        elif attribute.type == AttributeProto.INT and attribute.name in TYPE_ATTRIBUTES and attribute.i in NARROW:
            attribute.i = TensorProto.DOUBLE
        elif op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            value = attribute.f if attribute.name == "value_float" else list(attribute.floats)
            attribute.CopyFrom(helper.make_attribute("value", numpy_helper.from_array(np.float64(value))))

    def nodes(self, nodes):
        """The rewritten nodes, with casts before inputs that must stay float32."""
        result = []
        for node in nodes:
            if node.op_type in ("ConstantOfShape",) and not node.attribute:
                node.attribute.append(helper.make_attribute("value", helper.make_tensor("", TensorProto.DOUBLE, [1], [0])))
            default = DEFAULTS.get(node.op_type)
            if default and all(attribute.name != default for attribute in node.attribute):
                node.attribute.append(helper.make_attribute(default, TensorProto.FLOAT))
            for attribute in node.attribute:
                self.attribute(attribute, node.op_type)
            if node.op_type in FLOAT32_INPUTS:
                for k in FLOAT32_INPUTS[node.op_type](len(node.input)):
                    if k < len(node.input) and node.input[k]:
                        self.added += 1
                        name = f"float32_{self.added}_{node.input[k]}"
                        result.append(helper.make_node("Cast", [node.input[k]], [name], to=TensorProto.FLOAT))
                        node.input[k] = name
            result.append(node)
        return result

    def graph(self, graph):
        for tensor in graph.initializer:
            tensor.CopyFrom(wide(tensor))
        for port in (*graph.input, *graph.output):
            widen_type(port.type)
        del graph.value_info[:]
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
        del graph.node[:]
        graph.node.extend(self.nodes(nodes))


def widen(model):
    """Changes a ModelProto in place and returns it."""
    widener = Widener()
    widener.graph(model.graph)
    for function in model.functions:
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in function.node]
        del function.node[:]
        function.node.extend(widener.nodes(nodes))
        del function.value_info[:]
    return model
