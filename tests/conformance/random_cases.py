"""Random cases of operators and of little graphs: GENERATORS maps a name to a function that draws one.

A generator gets a Draw and returns a Case. Shapes hold 0, 1, primes and sizes around vector widths; axes and steps may
be negative; weights are initializers or inputs.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
GENERATORS = {}
UNARY = ("Relu", "Sigmoid", "Tanh", "Exp", "Neg", "Abs", "Sqrt", "Floor", "Ceil", "Erf", "HardSwish", "HardSigmoid", "Softplus",
         "LeakyRelu", "Elu", "Sin", "Cos", "Round", "Sign", "Gelu", "Mish", "Softsign", "Selu", "Log", "Reciprocal")
BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu", "Less", "Greater", "Equal", "LessOrEqual", "Mod", "And", "Xor")
REDUCE = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
          "ReduceLogSumExp", "ArgMax", "ArgMin")
NUMPY = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
         "bool": TensorProto.BOOL, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8,
         "uint16": TensorProto.UINT16, "uint32": TensorProto.UINT32, "uint64": TensorProto.UINT64,
         "int16": TensorProto.INT16, "object": TensorProto.STRING}


def generator(function):
    GENERATORS[function.__name__] = function
    return function


class Draw:
    """Random choices from one seed."""

    def __init__(self, seed):
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def turn(self, *choices):
        """One after another, from seed to seed: each is drawn sooner or later."""
        return choices[self.seed % len(choices)]

    def flip(self, chance=0.5):
        return bool(self.rng.random() < chance)

    def int(self, low, high):
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    def size(self, zero=False):
        """A dimension: small, near a vector's width, or now and then large."""
        if zero and self.flip(0.03):
            return 0
        return self.pick(1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64) if self.flip(0.8) else self.int(1, 130)

    def shape(self, low, high, limit=20_000, zero=True):
        """A shape of rank low..high and at most `limit` elements."""
        while True:
            shape = [self.size(zero) for _ in range(self.int(low, high))]
            if np.prod(shape, dtype=np.int64) <= limit:
                return shape

    def values(self, shape, dtype="float32"):
        if dtype == "bool":
            return self.rng.integers(0, 2, shape).astype(bool)
        if dtype in ("int32", "int64", "int8", "uint8", "int16", "uint16"):
            return self.rng.integers(0 if dtype.startswith("u") else -20, 20, shape).astype(dtype)
        return self.rng.standard_normal(shape).astype(dtype)

    def broadcast(self, shape):
        """A shape that broadcasts with `shape`: leading dimensions dropped, some set to 1."""
        kept = shape[self.int(0, len(shape)):] if self.flip(0.4) else list(shape)
        return [1 if self.flip(0.3) else size for size in kept]


def port(name, value):
    """The declaration of an input: a tensor, or of a dict a map."""
    if not isinstance(value, dict):
        return helper.make_tensor_value_info(name, NUMPY[value.dtype.name], value.shape)
    (key, item), *_ = value.items()
    of = TensorProto.STRING if isinstance(item, str) else NUMPY[np.asarray(item).dtype.name]
    of = helper.make_tensor_type_proto(of, [])
    return helper.make_value_info(name, helper.make_map_type_proto(TensorProto.STRING if isinstance(key, str) else TensorProto.INT64, of))


class Case:
    """A graph under construction: inputs with values, initializers, nodes, outputs."""

    def __init__(self, draw):
        self.draw, self.nodes, self.initializers, self.inputs, self.outputs = draw, [], [], [], []
        self.opsets = {"": OPSET}  # other domains that nodes are of: version 1, unless it is here
        self.judge = "onnxruntime"  # or "onnx", for the wheel's reference evaluator
        self.atol = None  # of every output; None: from their magnitudes
        self.mend = None  # puts right what ONNX Runtime leaves undefined in its outputs
        self.expected = None  # the outputs, where ONNX Runtime cannot say

    def input(self, value):
        name = f"x{len(self.inputs)}"
        self.inputs.append((name, value if isinstance(value, dict) else np.asarray(value)))
        return name

    def constant(self, value):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, value):
        """An initializer, or now and then an input."""
        return self.constant(value) if self.draw.flip(0.7) else self.input(value)

    def node(self, op, *inputs, outputs=1, drop=(), **attributes):
        """The outputs' names; those in `drop` are left out."""
        names = ["" if k in drop else f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"n{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def output(self, *names):
        self.outputs += names
        return self

    def model(self):
        inputs = [port(name, value) for name, value in self.inputs]
        outputs = [helper.make_empty_tensor_value_info(name) for name in self.outputs]
        graph = helper.make_graph(self.nodes, "random", inputs, outputs, self.initializers)
        versions = {**{domain: 1 for domain in sorted({node.domain for node in self.nodes})}, **self.opsets}
        return helper.make_model(graph, opset_imports=[helper.make_opsetid(*pair) for pair in versions.items()], ir_version=9)


# --- operators -----------------------------------------------------------------------------------------------------


@generator
def unary(d):
    case, op = Case(d), d.turn(*UNARY)
    value = d.values(d.shape(0, 5), d.pick("float32", "float32", "float32", "float64") if op not in ("Elu", "Mish", "Gelu", "Selu", "HardSwish") else "float32")
    if op in ("Sqrt", "Log"):
        value = np.abs(value) + value.dtype.type(0.01)
    return case.output(case.node(op, case.input(value * value.dtype.type(4))))


@generator
def binary(d):
    case, op = Case(d), d.turn(*BINARY)
    shape = d.shape(0, 5)
    dtype = "bool" if op in ("And", "Xor") else d.pick("float32", "float32", "float32", "int64", "int32", "float64")
    if op in ("PRelu", "Pow"):
        dtype = "float32"
    left, right = d.values(shape, dtype), d.values(d.broadcast(shape), dtype)
    if op in ("Pow",):
        left = np.abs(left)
    if op in ("Div", "Mod"):
        right = np.where(np.abs(right) < 0.1, right.dtype.type(3), right)
    if op != "PRelu" and d.flip():
        left, right = (left, right) if op in ("Div", "Mod", "Pow") else (right, left)
    fmod = 1 if op == "Mod" and dtype.startswith("float") else None
    return case.output(case.node(op, case.input(left), case.weight(right), fmod=fmod))


@generator
def where_clip_cast(d):
    case, shape = Case(d), d.shape(0, 4)
    kind = d.int(0, 2)
    value = d.values(shape)
    if kind == 0:
        return case.output(case.node("Where", case.input(d.values(d.broadcast(shape), "bool")), case.input(value),
                                     case.weight(d.values(d.broadcast(shape)))))
    if kind == 1:
        return case.output(case.node("Clip", case.input(value), *([case.constant(np.float32(-0.5))] if d.flip(0.8) else [""]),
                                     *([case.constant(np.float32(0.6))] if d.flip(0.8) else [])))
    to = d.pick("int32", "int64", "float64", "bool", "float16")
    return case.output(case.node("Cast", case.input(value * np.float32(10)), to=NUMPY[to]))


@generator
def conv(d):
    case, rank = Case(d), d.pick(1, 2, 2, 2, 2, 3)
    groups = d.pick(1, 1, 1, 2, 3, "depthwise")
    channels_in, channels_out = d.pick(1, 3, 4, 8, 16, 17, 32, 40), d.pick(1, 2, 5, 8, 16, 24, 33, 64)
    if groups == "depthwise":
        groups = channels_in
        channels_out = groups * d.pick(1, 1, 1, 2)
    else:
        channels_in, channels_out = channels_in * groups, channels_out * groups
    kernel = [d.pick(1, 1, 3, 3, 5, 7, 2, 4) for _ in range(rank)]
    if d.flip():
        kernel = [kernel[0]] * rank
    strides = [d.pick(1, 1, 2, 3) for _ in range(rank)]
    dilations = [d.pick(1, 1, 1, 2) for _ in range(rank)]
    pads = [d.int(0, k) for k in kernel * 2] if d.flip(0.3) else [k // 2 for k in kernel] * 2
    auto = d.pick("SAME_UPPER", "SAME_LOWER", "VALID") if d.flip(0.15) else None
    if auto:
        dilations = [1] * rank
    size = [d.int((k - 1) * e + 1, (k - 1) * e + d.pick(1, 8, 20)) for k, e in zip(kernel, dilations)]
    weight = d.values([channels_out, channels_in // groups, *kernel]) / np.float32(np.sqrt(np.prod(kernel) * channels_in / groups))
    inputs = [case.input(d.values([d.pick(1, 1, 2), channels_in, *size])), case.weight(weight)]
    if d.flip(0.7):
        inputs.append(case.weight(d.values([channels_out])))
    name = case.node("Conv", *inputs, group=groups, strides=strides, dilations=dilations, auto_pad=auto,
                     pads=None if auto else pads, kernel_shape=kernel if d.flip() else None)
    return case.output(name)


@generator
def conv_transpose(d):
    case, rank, groups = Case(d), d.pick(1, 2, 2), d.pick(1, 1, 2)
    kernel, strides = [d.int(1, 4) for _ in range(rank)], [d.int(1, 3) for _ in range(rank)]
    dilations = [d.pick(1, 1, 2) for _ in range(rank)]
    pads = [d.int(0, k // 2) for k in kernel * 2]
    channels_in, channels_out = d.int(1, 9) * groups, d.int(1, 9)
    extra = [d.int(0, s - 1) for s in strides] if d.flip(0.3) else None
    inputs = [case.input(d.values([d.int(1, 2), channels_in, *[d.int(3, 12) for _ in range(rank)]])),
              case.weight(d.values([channels_in, channels_out, *kernel]))]
    if d.flip():
        inputs.append(case.weight(d.values([channels_out * groups])))
    return case.output(case.node("ConvTranspose", *inputs, group=groups, strides=strides, pads=pads, dilations=dilations,
                                 output_padding=extra))


@generator
def pool(d):
    case, rank, op = Case(d), d.pick(1, 2, 2, 2, 3), d.pick("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool")
    data = case.input(d.values([d.int(1, 2), d.pick(1, 3, 8, 16, 17), *[d.int(5, 20) for _ in range(rank)]]))
    if op.startswith("Global"):
        return case.output(case.node(op, data))
    kernel = [d.int(1, 4) for _ in range(rank)]
    pads = [d.int(0, (k - 1) // 2) for k in kernel] * 2
    include = d.int(0, 1) if op == "AveragePool" else None
    ceil = d.int(0, 1) if op != "LpPool" else None
    return case.output(case.node(op, data, kernel_shape=kernel, strides=[d.int(1, 3) for _ in range(rank)], pads=pads,
                                 ceil_mode=ceil, count_include_pad=include))


@generator
def matmul(d):
    case = Case(d)
    m, k, n = d.size(True), d.size(), d.size(True)
    batch = d.pick([], [], [2], [3, 2])
    left, right = [*batch, m, k], [*(batch if d.flip() else []), k, n]
    if batch and d.flip(0.2):
        left = left[1:]
    if d.flip(0.1):
        right = [k]
    elif d.flip(0.1):
        left = [k]
    dtype = d.pick("float32", "float32", "float32", "float64", "int32")
    return case.output(case.node("MatMul", case.input(d.values(left, dtype)), case.weight(d.values(right, dtype))))


@generator
def gemm(d):
    case, m, k, n = Case(d), d.size(), d.size(), d.size()
    a, b = d.int(0, 1), d.int(0, 1)
    inputs = [case.input(d.values([k, m] if a else [m, k])), case.weight(d.values([n, k] if b else [k, n]))]
    if d.flip(0.7):
        inputs.append(case.weight(d.values(d.pick([m, n], [n], [1, n], [m, 1], [1], []))))
    return case.output(case.node("Gemm", *inputs, transA=a, transB=b, alpha=d.pick(None, 0.5), beta=d.pick(None, 2.0)))


@generator
def reduce(d):
    case, op = Case(d), d.turn(*REDUCE)
    shape = d.shape(1, 5, zero=False)
    value = d.values(shape, d.pick("float32", "float32", "float32", "int32") if op in ("ReduceSum", "ReduceMax", "ReduceMin") else "float32")
    if op.startswith("Arg"):
        return case.output(case.node(op, case.input(value), axis=d.int(-len(shape), len(shape) - 1), keepdims=d.int(0, 1),
                                     select_last_index=d.int(0, 1)))
    if op == "ReduceProd":
        value = np.sign(value) * (1 + value / 50)
    axes = [axis - (len(shape) if d.flip(0.3) else 0) for axis in range(len(shape)) if d.flip()]
    inputs = [case.input(value)] + ([case.constant(np.array(axes, np.int64))] if axes or d.flip() else [])
    return case.output(case.node(op, *inputs, keepdims=d.int(0, 1), noop_with_empty_axes=d.int(0, 1)))


@generator
def softmax(d):
    case, shape = Case(d), d.shape(1, 4, zero=False)
    return case.output(case.node(d.pick("Softmax", "LogSoftmax"), case.input(d.values(shape) * np.float32(3)),
                                 axis=d.int(-len(shape), len(shape) - 1)))


@generator
def norm(d):
    case, kind = Case(d), d.int(0, 3)
    if kind == 0:
        shape = d.shape(2, 4, zero=False)
        axis = d.int(1, len(shape) - 1)
        inputs = [case.input(d.values(shape)), case.weight(d.values(shape[axis:]))]
        if d.flip(0.7):
            inputs.append(case.weight(d.values(shape[axis:])))
        return case.output(case.node("LayerNormalization", *inputs, axis=axis - (len(shape) if d.flip() else 0), epsilon=d.pick(None, 1e-3)))
    shape = [d.int(1, 3), d.pick(1, 2, 4, 16, 18), *[d.int(2, 9) for _ in range(d.int(1, 3))]]
    channels = [shape[1]]
    if kind == 1:
        return case.output(case.node("InstanceNormalization", case.input(d.values(shape)), case.weight(d.values(channels)), case.weight(d.values(channels))))
    if kind == 2:
        return case.output(case.node("BatchNormalization", case.input(d.values(shape)), case.weight(d.values(channels)), case.weight(d.values(channels)),
                                     case.weight(d.values(channels)), case.weight(np.abs(d.values(channels)) + np.float32(0.1))))
    return case.output(case.node("LRN", case.input(d.values(shape)), size=d.pick(1, 3, 5), alpha=0.01, beta=0.6))


@generator
def transpose(d):
    case, shape = Case(d), d.shape(0, 6)
    perm = [int(axis) for axis in d.rng.permutation(len(shape))]
    return case.output(case.node("Transpose", case.input(d.values(shape, d.pick("float32", "float32", "int64", "bool", "uint8", "float16"))),
                                 perm=perm if shape and d.flip(0.9) else None))


@generator
def slicing(d):
    case, shape = Case(d), d.shape(1, 5, zero=False)
    axes = [axis for axis in range(len(shape)) if d.flip()] or [0]
    starts, ends, steps = [], [], []
    for axis in axes:
        size, step = shape[axis], d.pick(1, 1, 2, 3, -1, -2)
        starts.append(d.int(-size - 1, size + 1))
        ends.append(d.pick(d.int(-size - 1, size + 1), 2**62 if step > 0 else -(2**62)))
        steps.append(step)
    axes = [axis - len(shape) if d.flip(0.3) else axis for axis in axes]
    words = [case.constant(np.array(words, np.int64)) for words in (starts, ends, axes, steps)]
    return case.output(case.node("Slice", case.input(d.values(shape, d.pick("float32", "int64"))), *words))


@generator
def joining(d):
    case, shape = Case(d), d.shape(1, 4)
    axis = d.int(0, len(shape) - 1)
    if d.flip():
        parts = []
        for _ in range(d.int(1, 4)):
            part = list(shape)
            part[axis] = d.int(0, 9)
            parts.append(case.weight(d.values(part)) if parts else case.input(d.values(part)))
        return case.output(case.node("Concat", *parts, axis=axis - (len(shape) if d.flip() else 0)))
    parts = [d.int(0, 5) for _ in range(d.int(1, 4))]
    shape[axis] = sum(parts)
    names = case.node("Split", case.input(d.values(shape)), case.constant(np.array(parts, np.int64)), outputs=len(parts) if len(parts) > 1 else 1, axis=axis)
    return case.output(*([names] if isinstance(names, str) else names))


@generator
def gathering(d):
    case, shape, kind = Case(d), d.shape(1, 4, zero=False), d.int(0, 3)
    axis = d.int(0, len(shape) - 1)
    data = d.values(shape, d.pick("float32", "int64"))
    if kind == 0:
        index = d.rng.integers(-shape[axis], shape[axis], d.shape(0, 2, 50))
        return case.output(case.node("Gather", case.weight(data), case.input(index.astype(d.pick("int64", "int32"))), axis=axis))
    if kind == 1:
        picked = list(shape)
        picked[axis] = d.int(1, 6)
        return case.output(case.node("GatherElements", case.input(data), case.input(d.rng.integers(-shape[axis], shape[axis], picked)), axis=axis))
    depth = d.int(1, len(shape))
    index = np.stack([d.rng.integers(-size, size, (3, 2)) for size in shape[:depth]], -1)
    if kind == 2:
        return case.output(case.node("GatherND", case.input(data), case.input(index)))
    unique = np.unravel_index(d.rng.choice(np.prod(shape[:depth]), min(4, int(np.prod(shape[:depth]))), replace=False), shape[:depth])
    index = np.stack(unique, -1).astype(np.int64)
    return case.output(case.node("ScatterND", case.input(data), case.input(index), case.input(d.values([len(index), *shape[depth:]], data.dtype.name))))


@generator
def shaping(d):
    case, shape, kind = Case(d), d.shape(1, 4, zero=False), d.int(0, 5)
    data = case.input(d.values(shape))
    if kind == 0:
        return case.output(case.node("Reshape", data, case.constant(np.array([*shape[1:], -1], np.int64))))
    if kind == 1:
        wide = [d.int(1, 3), *shape]
        wide = [size if shape[k - 1] != 1 or k == 0 else d.int(1, 5) for k, size in enumerate(wide)]
        return case.output(case.node("Expand", data, case.constant(np.array(wide, np.int64))))
    if kind == 2:
        return case.output(case.node("Tile", data, case.constant(np.array([d.int(0, 3) for _ in shape], np.int64))))
    if kind == 3:
        mode = d.pick("constant", "edge", "reflect", "wrap")
        most = [min(3, size - 1) for size in shape]
        pads = [d.int(-1 if mode == "constant" and size > 3 else 0, most[k % len(shape)]) for k, size in enumerate(shape * 2)]
        return case.output(case.node("Pad", data, case.constant(np.array(pads, np.int64)), *([case.constant(np.float32(1.5))] if mode == "constant" else []), mode=mode))
    if kind == 4:
        return case.output(case.node("Flatten", data, axis=d.int(-len(shape), len(shape))))
    axis = d.int(0, len(shape) - 1)
    return case.output(case.node("CumSum", data, case.constant(np.array(axis, np.int64)), exclusive=d.int(0, 1), reverse=d.int(0, 1)))


@generator
def resize(d):
    case = Case(d)
    shape = [d.int(1, 2), d.int(1, 4), d.int(2, 12), d.int(2, 12)]
    mode = d.pick("nearest", "linear", "cubic")
    transform = d.pick("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    nearest = d.pick("round_prefer_floor", "floor", "ceil", "round_prefer_ceil") if mode == "nearest" else None
    data = case.input(d.values(shape))
    target = [*shape[:2], d.int(2, 24), d.int(2, 24)]
    if d.flip() or transform == "align_corners":  # ONNX Runtime rounds scaled lengths there, the standard does not
        words = ["", "", case.constant(np.array(target, np.int64))]
    else:
        words = ["", case.constant(np.array([1, 1, d.pick(0.5, 1, 2, 3), d.pick(0.5, 1, 2, 3)], np.float32))]
    return case.output(case.node("Resize", data, *words, mode=mode, coordinate_transformation_mode=transform, nearest_mode=nearest))


@generator
def recurrent(d):
    case, op = Case(d), d.pick("LSTM", "GRU", "RNN")
    length, batch, width, hidden = d.int(1, 7), d.int(1, 3), d.int(1, 9), d.int(1, 17)
    direction = d.pick("forward", "reverse", "bidirectional")
    ways, gates = 2 if direction == "bidirectional" else 1, {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    inputs = [case.input(d.values([length, batch, width])), case.weight(d.values([ways, gates * hidden, width]) / np.float32(3)),
              case.weight(d.values([ways, gates * hidden, hidden]) / np.float32(3))]
    more = [case.weight(d.values([ways, 2 * gates * hidden])) if d.flip(0.7) else "",
            case.input(d.rng.integers(1, length + 1, batch).astype(np.int32)) if d.flip(0.3) else "",
            case.input(d.values([ways, batch, hidden])) if d.flip() else ""]
    names = case.node(op, *inputs, *more, outputs=3 if op == "LSTM" else 2, hidden_size=hidden, direction=direction,
                      linear_before_reset=d.int(0, 1) if op == "GRU" else None)
    return case.output(*names)


@generator
def sorting(d):
    case, shape = Case(d), d.shape(1, 3, zero=False)
    axis = d.int(0, len(shape) - 1)
    if d.flip():
        values = d.rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
        return case.output(*case.node("TopK", case.input(values), case.constant(np.array([d.int(1, shape[axis])], np.int64)), outputs=2,
                                      axis=axis, largest=d.int(0, 1), sorted=1))
    if d.flip():
        return case.output(case.node("CumSum", case.input(d.values(shape, d.pick("float32", "int64"))), case.constant(np.int64(axis - len(shape))),
                                     exclusive=d.int(0, 1), reverse=d.int(0, 1)))
    return case.output(case.node("NonZero", case.input(d.values(shape, d.pick("bool", "int64", "float32")))))


@generator
def einsum(d):
    case, sizes = Case(d), {letter: d.int(1, 9) for letter in "abcdhijkl"}
    equation = d.pick("ij,jk,kl->il", "bij,bj->bi", "bij,bi->bij", "i,j->ij", "abc,cd,bd->a", "ij,ij->ij", "ijk,kjl->li", "ij,jk->k",
                      "ahij,hjkl->ilak", "ij,ji->", "bdh,ijk,hdj->kbi", "ij,jk->ik", "bij,bjk->bik", "bhid,bhjd->bhij", "bhij,bhjd->bhid", "ij->ji", "bij->b", "ij,ij->i", "bi,bj->bij")
    terms = equation.split("->")[0].split(",")
    return case.output(case.node("Einsum", *[case.input(d.values([sizes[letter] for letter in term])) for term in terms], equation=equation))


# --- little graphs, where passes have work -------------------------------------------------------------------------


def activation(case, name):
    d = case.draw
    kind = d.int(0, 6)
    if kind == 0:
        return case.node("Relu", name)
    if kind == 1:
        return case.node("Clip", name, case.constant(np.float32(0)), case.constant(np.float32(6)))
    if kind == 2:
        return case.node("Mul", name, case.node("Sigmoid", name))
    if kind == 3:
        half = case.node("Add", case.node("Erf", case.node("Div", name, case.constant(np.float32(np.sqrt(2))))), case.constant(np.float32(1)))
        return case.node("Mul", case.node("Mul", name, half), case.constant(np.float32(0.5)))
    if kind == 4:
        return case.node("HardSwish", name)
    if kind == 5:
        return case.node("LeakyRelu", name, alpha=0.1)
    return name


@generator
def conv_net(d):
    """Convolutions with normalisation, activation, residuals and squeeze-excitation."""
    case = Case(d)
    channels, size = d.pick(3, 8, 16, 19), d.int(8, 21)
    name = case.input(d.values([d.int(1, 2), channels, size, size + d.int(0, 5)]))
    for _ in range(d.int(2, 5)):
        before, depthwise = name, d.flip(0.3)
        out = channels if depthwise or d.flip(0.5) else d.pick(8, 16, 24, 33)
        kernel = d.pick(1, 3, 5)
        weight = d.values([out, 1 if depthwise else channels, kernel, kernel]) / np.float32(kernel * np.sqrt(1 if depthwise else channels))
        name = case.node("Conv", name, case.constant(weight), *([case.constant(d.values([out]))] if d.flip() else []), pads=[kernel // 2] * 4,
                         group=channels if depthwise else 1)
        if d.flip():
            name = case.node("BatchNormalization", name, *[case.constant(d.values([out])) for _ in range(3)],
                             case.constant(np.abs(d.values([out])) + np.float32(0.5)))
        if out == channels and d.flip():
            name = case.node("Add", *((name, before) if d.flip() else (before, name)))
        name = activation(case, name)
        channels = out
        if d.flip(0.3):
            gate = case.node("Sigmoid", case.node("Conv", case.node("GlobalAveragePool", name),
                                                  case.constant(d.values([channels, channels, 1, 1]) / np.float32(channels))))
            name = case.node("Mul", name, gate)
        if d.flip(0.3):
            case.output(name)
    if d.flip():
        name = case.node("Flatten", case.node("GlobalAveragePool", name))
        name = case.node("Gemm", name, case.constant(d.values([10, channels])), case.constant(d.values([10])), transB=1)
    return case.output(name)


@generator
def transformer(d):
    """Attention and a feed-forward block as exporters write them."""
    case = Case(d)
    heads, width, length = d.pick(1, 2, 4), d.pick(4, 8, 16, 64), d.pick(1, 3, 7, 16, 33)
    hidden = heads * width
    name = case.input(d.values([d.int(1, 2), length, hidden]))

    def dense(x, inner, outer):
        product = case.node("MatMul", x, case.constant(d.values([inner, outer]) / np.float32(np.sqrt(inner))))
        bias = case.constant(d.values([outer]))
        return case.node("Add", *((product, bias) if d.flip() else (bias, product)))

    def layer_norm(x):
        scale, bias = case.constant(d.values([hidden])), case.constant(d.values([hidden]))
        if d.flip():
            return case.node("LayerNormalization", x, scale, bias, axis=-1)
        axes = case.constant(np.array([-1], np.int64))
        centred = case.node("Sub", x, case.node("ReduceMean", x, axes))
        variance = case.node("ReduceMean", case.node("Pow", centred, case.constant(np.float32(2))), axes)
        root = case.node("Sqrt", case.node("Add", variance, case.constant(np.float32(1e-5))))
        return case.node("Add", case.node("Mul", case.node("Div", centred, root), scale), bias)

    def split(x, perm):
        shape = case.constant(np.array([0, 0, heads, width], np.int64))
        return case.node("Transpose", case.node("Reshape", x, shape), perm=perm)

    query, key, value = (dense(name, hidden, hidden) for _ in range(3))
    if d.flip():
        scores = case.node("MatMul", split(query, [0, 2, 1, 3]), split(key, [0, 2, 3, 1]))
    else:
        scores = case.node("MatMul", split(query, [0, 2, 1, 3]), case.node("Transpose", split(key, [0, 2, 1, 3]), perm=[0, 1, 3, 2]))
    scores = case.node("Div", scores, case.constant(np.float32(np.sqrt(width))))
    if d.flip():
        scores = case.node("Add", scores, case.input(np.triu(np.full([length, length], -1e4, np.float32), 1)))
    mixed = case.node("MatMul", case.node("Softmax", scores, axis=-1), split(value, [0, 2, 1, 3]))
    mixed = case.node("Reshape", case.node("Transpose", mixed, perm=[0, 2, 1, 3]), case.constant(np.array([0, 0, hidden], np.int64)))
    name = layer_norm(case.node("Add", name, dense(mixed, hidden, hidden)))
    inner = activation(case, dense(name, hidden, 4 * hidden))
    return case.output(layer_norm(case.node("Add", dense(inner, 4 * hidden, hidden), name)))


@generator
def plumbing(d):
    """Shape arithmetic, no-ops, repeated and dead nodes around elementwise work."""
    case, shape = Case(d), d.shape(2, 4, 4000, zero=False)
    name = case.input(d.values(shape))
    for _ in range(d.int(3, 9)):
        kind = d.int(0, 8)
        if kind == 0:
            name = case.node("Identity", name)
        elif kind == 1:
            name = case.node("Add", name, case.constant(np.float32(0)))
        elif kind == 2:
            perm = [int(axis) for axis in d.rng.permutation(len(shape))]
            name = case.node("Transpose", case.node("Transpose", name, perm=perm), perm=[int(axis) for axis in np.argsort(perm)])
        elif kind == 3:
            name = case.node("Reshape", case.node("Reshape", name, case.constant(np.array([-1], np.int64))), case.node("Shape", name))
        elif kind == 4:
            name = case.node("Mul", case.node("Tanh", name), case.node("Tanh", name))
        elif kind == 5:
            case.node("Exp", name)
        elif kind == 6:
            axis = d.int(0, len(shape) - 1)
            length = case.node("Gather", case.node("Shape", name), case.constant(np.array(axis, np.int64)))
            name = case.node("Div", name, case.node("Cast", length, to=TensorProto.FLOAT))
        elif kind == 7:
            axes = case.constant(np.array([d.int(0, len(shape))], np.int64))
            name = case.node("Squeeze", case.node("Relu", case.node("Unsqueeze", name, axes)), axes)
        else:
            name = activation(case, case.node("Sub", name, case.constant(d.values(d.broadcast(shape)))))
        if d.flip(0.15):
            case.output(name)
    return case.output(case.node("Abs", name))
