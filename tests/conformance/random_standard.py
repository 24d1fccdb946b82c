"""Random cases of the standard's operators that the other files leave: a table of elementwise ones, then the rest."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from random_cases import NUMPY, Case, generator

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def numbers(d, shape, dtype):
    """Any of the type's values that are small enough to compute with."""
    kind = np.dtype(dtype)
    if kind == bool:
        return np.asarray(d.rng.integers(0, 2, shape), bool)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return np.asarray(d.rng.integers(max(info.min, -100), min(info.max, 100), shape, endpoint=True), kind)
    return np.asarray(d.rng.standard_normal(shape), kind)


def reference(d, opset=20):
    """A case that the wheel's reference evaluator answers, ONNX Runtime having no kernel, or another rule."""
    case = Case(d)
    case.opsets[""] = opset
    case.judge = "onnx"
    return case


# operator: (lowest, highest argument, attributes)
FUNCTIONS = {
    "Acos": (-1, 1, ()), "Acosh": (1, 9, ()), "Asin": (-1, 1, ()), "Asinh": (-9, 9, ()), "Atan": (-9, 9, ()), "Atanh": (-0.99, 0.99, ()),
    "Ceil": (-9, 9, ()), "Celu": (-5, 5, ("alpha",)), "Cosh": (-5, 5, ()), "Shrink": (-2, 2, ("bias", "lambd")), "Sinh": (-5, 5, ()),
    "Tan": (-1.5, 1.5, ()), "ThresholdedRelu": (-2, 2, ("alpha",)),
}


@generator
def functions(d):
    op = d.turn(*FUNCTIONS)
    low, high, attributes = FUNCTIONS[op]
    case, shape = Case(d), d.shape(0, 4)
    given = {name: float(d.rng.random() + 0.25) for name in attributes if d.flip(0.7)}
    return case.output(case.node(op, case.input((d.rng.random(shape) * (high - low) + low).astype(np.float32)), **given))


@generator
def swish(d):
    case = reference(d, 24)
    return case.output(case.node("Swish", case.input(d.values(d.shape(0, 4)) * 4), alpha=d.pick(None, 1.0, 0.5, 1.702)))


@generator
def several(d):
    """Sum and Mean of one to four operands that broadcast."""
    case, shape = Case(d), d.shape(0, 4)
    operands = [case.input(d.values(shape))] + [case.weight(d.values(d.broadcast(shape))) for _ in range(d.int(0, 3))]
    return case.output(case.node(d.pick("Sum", "Mean"), *operands))


@generator
def bits(d):
    case, shape, dtype = Case(d), d.shape(0, 4), d.pick(*INTEGERS)
    op = d.pick("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot")
    if op == "BitShift":
        dtype = d.pick("uint8", "uint32", "uint64")
        width = np.dtype(dtype).itemsize * 8
        shifts = np.asarray(d.rng.integers(0, width, d.broadcast(shape)), dtype)
        return case.output(case.node(op, case.input(numbers(d, shape, dtype)), case.weight(shifts), direction=d.pick("LEFT", "RIGHT")))
    operands = [case.input(numbers(d, shape, dtype))] + ([] if op == "BitwiseNot" else [case.weight(numbers(d, d.broadcast(shape), dtype))])
    return case.output(case.node(op, *operands))


@generator
def truth(d):
    case, shape = Case(d), d.shape(0, 4)
    op = d.pick("Not", "Or", "IsNaN", "IsInf", "GreaterOrEqual")
    if op == "Not":
        return case.output(case.node(op, case.input(numbers(d, shape, "bool"))))
    if op == "Or":
        return case.output(case.node(op, case.input(numbers(d, shape, "bool")), case.weight(numbers(d, d.broadcast(shape), "bool"))))
    value = d.values(shape, d.pick("float32", "float64"))
    if op == "GreaterOrEqual":
        return case.output(case.node(op, case.input(np.round(value)), case.weight(np.round(d.values(d.broadcast(shape), value.dtype.name)))))
    odd = np.asarray([np.nan, np.inf, -np.inf, 0], value.dtype)
    value = np.where(d.rng.random(shape) < 0.4, d.rng.choice(odd, shape), value).astype(value.dtype)
    given = {"detect_negative": d.int(0, 1), "detect_positive": d.int(0, 1)} if op == "IsInf" and d.flip() else {}
    return case.output(case.node(op, case.input(value), **given))


@generator
def bit_casts(d):
    case = reference(d, 26)
    size = d.pick(1, 2, 4, 8)
    types = {1: ("int8", "uint8"), 2: ("int16", "uint16", "float16"), 4: ("int32", "uint32", "float32"), 8: ("int64", "uint64", "float64")}[size]
    value = np.frombuffer(d.rng.bytes(size * 64), types[0])[: d.int(0, 64)]
    given = np.array(value).view(d.pick(*types))
    if given.dtype.kind == "f":
        given = np.nan_to_num(given, nan=1, posinf=2, neginf=3)
    return case.output(case.node("BitCast", case.input(given), to=NUMPY[d.pick(*types)]))


@generator
def alike(d):
    case = Case(d)
    value = d.values(d.shape(0, 3), d.pick("float32", "int32", "int64"))
    like = np.zeros(d.shape(0, 2, 20), d.pick("float32", "float64", "int32", "int64", "bool"))
    return case.output(case.node("CastLike", case.input(value), case.input(like)))


@generator
def making(d):
    """ConstantOfShape, Constant, EyeLike, Range, OneHot, Trilu."""
    case, op = Case(d), d.pick("ConstantOfShape", "Constant", "EyeLike", "Range", "OneHot", "Trilu")
    if op == "ConstantOfShape":
        value = numbers(d, [1], d.pick("float32", "int64", "int32", "bool"))
        shape = np.array(d.shape(0, 4, 500), np.int64)
        return case.output(case.node(op, case.weight(shape), value=numpy_helper.from_array(value) if d.flip(0.8) else None))
    if op == "Constant":
        made = case.node(op, value=numpy_helper.from_array(d.values(d.shape(0, 3, 100))))
        return case.output(case.node("Neg", made))
    if op == "EyeLike":
        given = {"dtype": d.pick(TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE)} if d.flip() else {}
        return case.output(case.node(op, case.input(d.values(d.shape(2, 2, 900, zero=False))), k=d.int(-5, 5), **given))
    if op == "Range":
        dtype = d.pick("float32", "int32", "int64", "float64")
        step = d.pick(1, 2, 3, -1, -2)
        ends = [np.asarray(d.int(-20, 20), dtype), np.asarray(d.int(-20, 60), dtype), np.asarray(step, dtype)]
        return case.output(case.node(op, *[case.weight(value) for value in ends]))
    if op == "OneHot":
        depth = d.int(1, 9)
        where = np.asarray(d.rng.integers(-depth, depth, d.shape(1, 3, 200, zero=False)), np.int64)
        values = np.asarray([d.int(-3, 0), d.int(1, 4)], d.pick("float32", "int64", "int32"))
        return case.output(case.node(op, case.input(where), case.weight(np.array(depth, np.int64)), case.weight(values),
                                     axis=d.int(-where.ndim - 1, where.ndim)))
    value = numbers(d, d.shape(2, 4), d.pick("float32", "int64", "float64"))
    more = [case.weight(np.array(d.int(-6, 6), np.int64))] if d.flip(0.7) else []
    return case.output(case.node(op, case.input(value), *more, upper=d.int(0, 1)))


@generator
def moving(d):
    """DepthToSpace, SpaceToDepth, CenterCropPad, ReverseSequence, Compress."""
    op = d.pick("DepthToSpace", "SpaceToDepth", "CenterCropPad", "ReverseSequence", "Compress")
    case, block = Case(d), d.int(1, 3)
    if op == "DepthToSpace":
        shape = [d.int(1, 3), block * block * d.int(1, 5), d.int(1, 7), d.int(1, 7)]
        return case.output(case.node(op, case.input(d.values(shape)), blocksize=block, mode=d.pick("DCR", "CRD")))
    if op == "SpaceToDepth":
        return case.output(case.node(op, case.input(d.values([d.int(1, 3), d.int(1, 5), block * d.int(1, 5), block * d.int(1, 5)])),
                                     blocksize=block))
    if op == "CenterCropPad":
        shape = d.shape(1, 4, 2000, zero=False)
        axes = sorted({d.int(0, len(shape) - 1) for _ in range(d.int(1, len(shape)))})
        sizes = np.array([d.int(1, 20) for _ in axes], np.int64)
        return case.output(case.node(op, case.input(d.values(shape)), case.weight(sizes), axes=axes))
    if op == "ReverseSequence":
        time_axis = d.int(0, 1)
        shape = [d.int(1, 9), d.int(1, 9)] + d.shape(0, 2, 20, zero=False)
        lengths = np.asarray(d.rng.integers(1, shape[time_axis] + 1, shape[1 - time_axis]), np.int64)
        return case.output(case.node(op, case.input(d.values(shape)), case.weight(lengths), time_axis=time_axis, batch_axis=1 - time_axis))
    value = d.values(d.shape(1, 3, 2000), d.pick("float32", "int64"))
    axis = d.int(-value.ndim, value.ndim - 1) if d.flip(0.7) else None
    most = value.size if axis is None else value.shape[axis]
    return case.output(case.node(op, case.input(value), case.weight(numbers(d, [d.int(0, most)], "bool")), axis=axis))


@generator
def running_products(d):
    case = reference(d, 26)
    value = numbers(d, d.shape(1, 3, 400), d.pick("float32", "float64", "int32", "int64"))
    value = np.clip(value, -2, 2)
    axis = case.weight(np.array(d.int(-value.ndim, value.ndim - 1), np.int64))
    return case.output(case.node("CumProd", case.input(value), axis, exclusive=d.int(0, 1), reverse=d.int(0, 1)))


@generator
def quantising(d):
    case, shape = Case(d), d.shape(1, 4)
    op = d.pick("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
    if op == "DynamicQuantizeLinear":
        shape = [max(size, 1) for size in shape]
        case.atol = 1
        return case.output(*case.node(op, case.input(d.values(shape) * 3), outputs=3))
    axis = d.int(0, len(shape) - 1) if d.flip(0.4) else None
    width = [] if axis is None else [shape[axis]]
    scale = np.asarray(d.rng.random(width) * 0.1 + 0.01, np.float32)
    kind = d.pick("uint8", "int8")
    zero = numbers(d, width, kind)
    more = [case.weight(zero)] if d.flip(0.7) or (op[0] == "D" and kind == "int8") else []
    if op == "QuantizeLinear":
        case.atol = 1  # a quotient next to a half may round to either side
        return case.output(case.node(op, case.input(d.values(shape) * 5), case.weight(scale), *more, axis=axis))
    return case.output(case.node(op, case.input(numbers(d, shape, kind)), case.weight(scale), *more, axis=axis))


@generator
def normalising(d):
    op = d.pick("GroupNormalization", "RMSNormalization", "LpNormalization", "MeanVarianceNormalization", "Hardmax", "GlobalLpPool", "Det",
                "ReduceLogSum")
    case, shape = Case(d), d.shape(2, 4, 4000, zero=False)
    if op == "GroupNormalization":
        case = reference(d, 21)
        groups = d.int(1, 4)
        channels = groups * d.int(1, 6)
        value = d.values([d.int(1, 3), channels] + d.shape(1, 2, 200, zero=False))
        return case.output(case.node(op, case.input(value), case.weight(d.values([channels])), case.weight(d.values([channels])),
                                     num_groups=groups, epsilon=d.pick(None, 1e-3)))
    if op == "RMSNormalization":
        case = reference(d, 23)
        axis = d.int(0, len(shape) - 1)
        return case.output(case.node(op, case.input(d.values(shape)), case.weight(d.values(shape[axis:])),
                                     axis=d.pick(axis, axis - len(shape))))
    if op == "LpNormalization":
        return case.output(case.node(op, case.input(d.values(shape)), axis=d.int(-len(shape), len(shape) - 1), p=d.int(1, 2)))
    if op == "MeanVarianceNormalization":
        case = reference(d, 13)
        axes = sorted({d.int(0, len(shape) - 1) for _ in range(2)})
        return case.output(case.node(op, case.input(d.values([size + 1 for size in shape])), axes=axes))
    if op == "Hardmax":
        return case.output(case.node(op, case.input(np.round(d.values(shape) * 2)), axis=d.int(-len(shape), len(shape) - 1)))
    if op == "GlobalLpPool":
        return case.output(case.node(op, case.input(d.values([d.int(1, 3), d.int(1, 9)] + d.shape(1, 2, 200, zero=False))), p=d.int(1, 3)))
    if op == "Det":
        n = d.int(1, 5)
        return case.output(case.node(op, case.input(d.values(d.shape(0, 2, 20) + [n, n]))))
    axes = case.weight(np.array(sorted({d.int(0, len(shape) - 1) for _ in range(2)}), np.int64))
    return case.output(case.node(op, case.input(np.abs(d.values(shape)) + np.float32(0.1)), axes, keepdims=d.int(0, 1)))


@generator
def losses(d):
    op = d.pick("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
    case, classes = Case(d), d.int(2, 9)
    rest = d.shape(0, 2, 60, zero=False)
    batch = d.int(1, 7)
    scores = d.values([batch, classes, *rest])
    target = np.asarray(d.rng.integers(0, classes, [batch, *rest]), np.int64)
    weight = [case.weight((d.rng.random(classes) + 0.1).astype(np.float32))] if d.flip() else []
    ignored = {"ignore_index": int(target.flat[0])} if d.flip(0.3) and len(set(target.flat)) > 1 else {}
    more = {"outputs": 2} if op[0] == "S" and d.flip() else {}
    names = case.node(op, case.input(scores), case.input(target), *weight, reduction=d.pick("mean", "sum", "none"), **ignored, **more)
    return case.output(*([names] if isinstance(names, str) else names))


@generator
def boxes(d):
    """NonMaxSuppression: scores differ, so that no order is left open."""
    case, classes, n = Case(d), d.int(1, 3), d.int(1, 30)
    batch = d.int(1, 2)
    corner, size = d.rng.random((batch, n, 2)) * 5, d.rng.random((batch, n, 2)) * 3 + 0.1
    box = np.concatenate([corner, corner + size], axis=2).astype(np.float32)
    score = (d.rng.permutation(batch * classes * n).reshape(batch, classes, n) / (batch * classes * n)).astype(np.float32)
    more = [case.weight(np.array([d.int(1, 10)], np.int64)), case.weight(np.array([0.1 + 0.8 * d.rng.random()], np.float32)),
            case.weight(np.array([0.6 * d.rng.random()], np.float32))]
    return case.output(case.node("NonMaxSuppression", case.input(box), case.input(score), *more, center_point_box=d.int(0, 1)))


@generator
def scattering(d):
    case = Case(d)
    op = d.pick("ScatterElements", "Scatter")
    case.opsets[""] = 18 if op == "ScatterElements" else 9
    shape = d.shape(1, 3, 500, zero=False)
    axis = d.int(0, len(shape) - 1)
    part = [d.int(1, size) for size in shape]
    index = np.zeros(part, np.int64)
    for at in np.ndindex(*[size for k, size in enumerate(part) if k != axis]):
        lane = at[:axis] + (slice(None),) + at[axis:]
        index[lane] = d.rng.permutation(shape[axis])[: part[axis]] - (shape[axis] if op == "ScatterElements" and d.flip(0.2) else 0)
    reduction = {"reduction": d.pick("add", "mul", "max", "min")} if op == "ScatterElements" and d.flip(0.4) else {}
    return case.output(case.node(op, case.input(d.values(shape)), case.weight(index), case.input(d.values(part)), axis=axis, **reduction))


@generator
def unique(d):
    case = Case(d)
    value = np.round(d.values(d.shape(1, 3, 300, zero=False)) * 2)
    value = value.astype(d.pick("float32", "int64"))
    axis = d.int(-value.ndim, value.ndim - 1) if d.flip() else None
    return case.output(*case.node("Unique", case.input(value), outputs=4, axis=axis, sorted=d.int(0, 1)))


@generator
def sequences(d):
    """Sequences made, changed, mapped, split off and joined."""
    case, shape = Case(d), d.shape(1, 3, 200, zero=False)
    values = [case.input(d.values(shape)) for _ in range(d.int(1, 4))]
    if d.flip(0.3):
        sequence, count = case.node("SequenceEmpty", dtype=TensorProto.FLOAT), 0
    elif d.flip(0.4):
        axis, whole = d.int(0, len(shape) - 1), values[0]
        parts = case.weight(np.array(d.int(1, shape[axis]), np.int64))
        split = case.node("SplitToSequence", whole, parts, axis=axis)
        case.output(case.node("SequenceLength", split))
        return case.output(case.node("ConcatFromSequence", split, axis=axis))
    else:
        sequence, count = case.node("SequenceConstruct", *values), len(values)
    for _ in range(d.int(1, 4)):
        at = [case.weight(np.array(d.int(-count, count), np.int64))] if d.flip() else []
        sequence, count = case.node("SequenceInsert", sequence, d.pick(*values), *at), count + 1
        if count > 1 and d.flip(0.4):
            at = [case.weight(np.array(d.int(-count, count - 1), np.int64))] if d.flip() else []
            sequence, count = case.node("SequenceErase", sequence, *at), count - 1
    if d.flip(0.4):
        body = helper.make_graph([helper.make_node("Neg", ["item"], ["minus"])], "each",
                                 [helper.make_tensor_value_info("item", TensorProto.FLOAT, None)],
                                 [helper.make_tensor_value_info("minus", TensorProto.FLOAT, None)])
        sequence = case.node("SequenceMap", sequence, body=body)
    case.output(case.node("SequenceLength", sequence),
                case.node("SequenceAt", sequence, case.weight(np.array(d.int(-count, count - 1), np.int64))))
    new = d.flip()
    return case.output(case.node("ConcatFromSequence", sequence, axis=d.int(0, len(shape) - (0 if new else 1)), new_axis=int(new)))


@generator
def optionals(d):
    case = Case(d)
    given = case.node("Optional", case.input(d.values(d.shape(0, 3, 100))))
    return case.output(case.node("OptionalHasElement", given), case.node("OptionalGetElement", given))


@generator
def windows(d):
    case = Case(d)
    case.atol = 1e-6
    return case.output(case.node(d.pick("BlackmanWindow", "HammingWindow", "HannWindow"), case.weight(np.array(d.int(2, 70), np.int64)),
                                 periodic=d.int(0, 1)))


@generator
def dropped(d):
    """Dropout as networks that run have it: nothing is dropped."""
    case = Case(d)
    names = case.node("Dropout", case.input(d.values(d.shape(1, 4))), outputs=d.int(1, 2))
    return case.output(*([names] if isinstance(names, str) else names))


@generator
def enlarged(d):
    case, nd = Case(d), d.int(1, 2)
    case.opsets[""] = 9
    scales = np.array([1, 1] + [d.pick(1, 2, 3) for _ in range(nd)], np.float32)
    value = d.values([d.int(1, 2), d.int(1, 5)] + [d.int(1, 9) for _ in range(nd)])
    return case.output(case.node("Upsample", case.input(value), case.constant(scales), mode="nearest" if nd == 1 else d.pick("nearest", "linear")))


@generator
def attention(d):
    """Heads, grouped queries, masks, caches, in both layouts."""
    case = reference(d, 23)
    batch, heads, size, value_size = d.int(1, 2), d.int(1, 3), d.pick(1, 4, 8, 17), d.pick(4, 8)
    queries, groups, past, length = d.int(1, 9), d.int(1, 2), d.pick(0, 0, 3), d.int(1, 20)
    flat = d.flip()

    def part(n, length, width):
        return d.values([batch, length, n * width] if flat else [batch, n, length, width])

    inputs = [case.input(part(heads * groups, queries, size)), case.input(part(heads, length, size)), case.input(part(heads, length, value_size))]
    mask = None
    if d.flip():
        mask = d.values([queries, length + past]) if d.flip() else numbers(d, [batch, 1, queries, length + past], "bool")
        if mask.dtype == bool:
            mask[..., 0] = True
    inputs.append(case.input(mask) if mask is not None else "")
    if past:
        inputs += [case.input(d.values([batch, heads, past, size])), case.input(d.values([batch, heads, past, value_size]))]
    given = {"q_num_heads": heads * groups, "kv_num_heads": heads} if flat else {}
    if not inputs[-1]:
        inputs.pop()
    names = case.node("Attention", *inputs, outputs=3 if past else 1, is_causal=d.int(0, 1) if mask is None or mask.dtype != bool else 0,
                      scale=d.pick(None, 0.3), softcap=d.pick(None, None, 2.0), **given)
    return case.output(*([names] if isinstance(names, str) else names))


@generator
def flexible_attention(d):
    """FlexAttention with its scores and its probabilities changed by subgraphs."""
    case = reference(d, 25)
    batch, heads, groups, queries, keys, size = d.int(1, 2), d.int(1, 3), d.int(1, 2), d.int(1, 9), d.int(1, 12), d.pick(1, 4, 17)

    def change(name, op, *constants):
        values = [helper.make_tensor(f"{name}_c{k}", TensorProto.FLOAT, [], [value]) for k, value in enumerate(constants)]
        port = [helper.make_tensor_value_info(f"{name}_{end}", TensorProto.FLOAT, [None] * 4) for end in ("in", "out")]
        node = helper.make_node(op, [port[0].name] + [value.name for value in values], [port[1].name])
        return helper.make_graph([node], name, port[:1], port[1:], values)

    changes = {}
    if d.flip():
        changes["score_mod"] = d.pick(change("scores", "Tanh"), change("scores", "Mul", 0.5), change("scores", "Clip", -1.0, 1.0))
    if d.flip(0.3):
        changes["prob_mod"] = change("chances", "Mul", 2.0)
    inputs = [case.input(d.values([batch, n, length, width])) for n, length, width in
              ((heads * groups, queries, size), (heads, keys, size), (heads, keys, d.pick(3, 8)))]
    return case.output(case.node("FlexAttention", *inputs, domain="ai.onnx.preview", scale=d.pick(None, 0.25), **changes))


@generator
def rotary(d):
    case = reference(d, 23)
    batch, heads, length, half = d.int(1, 2), d.int(1, 3), d.int(1, 9), d.pick(1, 2, 4, 9)
    partial = d.flip(0.3)
    size = 2 * half + (2 * d.int(1, 3) if partial else 0)
    value = d.values([batch, heads, length, size])
    angle = d.values([d.int(length, length + 4), half])
    where = np.asarray(d.rng.integers(0, angle.shape[0], [batch, length]), np.int64)
    return case.output(case.node("RotaryEmbedding", case.input(value), case.weight(np.cos(angle)), case.weight(np.sin(angle)),
                                 case.weight(where), interleaved=d.int(0, 1), rotary_embedding_dim=2 * half if partial else None))


@generator
def cache_writes(d):
    case = reference(d, 24)
    batch, heads, length, size = d.int(1, 3), d.int(1, 3), d.int(4, 12), d.int(1, 9)
    update = d.int(1, 4)
    circular = d.flip(0.3)
    where = np.asarray([d.int(0, length - 1 if circular else length - update) for _ in range(batch)], np.int64)
    more = [case.weight(where)] if d.flip(0.8) else []
    return case.output(case.node("TensorScatter", case.input(d.values([batch, heads, length, size])),
                                 case.input(d.values([batch, heads, update, size])), *more, axis=d.pick(None, 2, -2),
                                 mode=d.pick("circular") if circular else d.pick(None, "linear")))


@generator
def causal_convolution(d):
    case = reference(d, 27)
    batch, channels, length, width = d.int(1, 3), d.int(1, 9), d.int(1, 12), d.int(1, 4)
    inputs = [case.input(d.values([batch, channels, length])), case.weight(d.values([channels, 1, width]))]
    inputs.append(case.weight(d.values([channels])) if d.flip() else "")
    inputs.append(case.input(d.values([batch, channels, width - 1])) if d.flip() and width > 1 else "")
    while not inputs[-1]:
        inputs.pop()
    return case.output(*case.node("CausalConvWithState", *inputs, outputs=2, activation=d.pick(None, "none", "silu")))
