"""Random cases of contributed operators (domain com.microsoft), drawn like those of random_cases."""
import math

import numpy as np
from onnx import TensorProto, helper

from random_cases import Case, generator

MS = "com.microsoft"


def weights(d, *shape):
    """Weights of a layer with shape[0] inputs."""
    return d.values(shape) / np.float32(np.sqrt(max(shape[0], 1)))


@generator
def contrib_activation(d):
    case = Case(d)
    op = d.pick("Gelu", "BiasGelu", "FastGelu", "QuickGelu")
    shape = d.shape(1, 4)
    data = case.input(d.values(shape))
    bias = [case.weight(d.values(shape[-1:]))] if op == "BiasGelu" or op == "FastGelu" and d.flip() else []
    return case.output(case.node(op, data, *bias, domain=MS, alpha=d.pick(None, 1.0, 1.5) if op == "QuickGelu" else None))


@generator
def contrib_norm(d):
    case, op = Case(d), d.pick("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization",
                               "LayerNormalization")
    batch, length, width = d.int(1, 3), d.size(), d.size()
    dtype = d.pick("float32", "float32", "float64", "float16")
    case.atol = 0.02 if dtype == "float16" else None
    shape = [batch, length, width]
    if op in ("SimplifiedLayerNormalization", "LayerNormalization"):
        wanted = 1
        inputs = [case.input(d.values(shape, dtype)), case.weight(d.values([width], dtype))]
        if op == "LayerNormalization" and d.flip():
            inputs.append(case.weight(d.values([width], dtype)))
        return case.output(case.node(op, *inputs, axis=d.pick(-1, None, 2), epsilon=d.pick(None, 1e-3), outputs=wanted))
    skip = d.pick(shape, [1, length, width], [length, width])
    inputs = [case.input(d.values(shape, dtype)), case.input(d.values(skip, dtype)), case.weight(d.values([width], dtype))]
    if op == "SkipLayerNormalization":
        inputs.append(case.weight(d.values([width], dtype)) if d.flip() else "")
    inputs.append(case.weight(d.values([width], dtype)) if d.flip() else "")
    while not inputs[-1]:
        inputs.pop()
    if d.flip():
        out = case.node(op, *inputs, domain=MS, outputs=4, drop=(1, 2), epsilon=d.pick(None, 1e-3))
        return case.output(out[0], out[3])
    return case.output(case.node(op, *inputs, domain=MS, epsilon=d.pick(None, 1e-3)))


@generator
def contrib_matmul(d):
    case, (m, k, n) = Case(d), (d.size(), d.size(), d.size())
    batch = [d.int(1, 3) for _ in range(d.int(0, 2))]
    left, right = d.flip(), d.flip()
    left_batch, right_batch = (len(batch) > 0 and d.flip(0.3) for _ in range(2))

    def stored(rows, columns, matrix, rest):
        shape = [*batch, columns, rows] if matrix else [*batch, rows, columns]
        return [*shape[1:-1], shape[0], shape[-1]] if rest else shape

    if left_batch and left or right_batch and right:  # ONNX Runtime exchanges axes there in an order of its own
        left = right = False
    a, b = stored(m, k, left, left_batch), stored(k, n, right, right_batch)
    return case.output(case.node("FusedMatMul", case.input(d.values(a)), case.weight(d.values(b)), domain=MS, alpha=d.pick(None, 0.125, 2.0),
                                 transA=int(left), transB=int(right), transBatchA=int(left_batch), transBatchB=int(right_batch)))


@generator
def contrib_gemm(d):
    case, (m, k, n) = Case(d), (d.size(), d.size(), d.size())
    left, right = d.int(0, 1), d.int(0, 1)
    kind, alpha, beta, gamma = d.pick(("Relu", None, None, None), ("LeakyRelu", 0.2, None, None), ("HardSigmoid", 0.3, 0.4, None),
                                      ("Sigmoid", None, None, None), ("Tanh", None, None, None), ("Elu", 0.7, None, None),
                                      ("Softplus", None, None, None), ("Selu", 1.5, None, 1.1))
    inputs = [case.input(d.values([k, m] if left else [m, k])), case.weight(d.values([n, k] if right else [k, n]))]
    if d.flip(0.7):
        inputs.append(case.weight(d.values(d.pick([n], [m, n], [1, n], [m, 1]))))
    return case.output(case.node("FusedGemm", *inputs, domain=MS, activation=kind, activation_alpha=alpha, activation_beta=beta,
                                 activation_gamma=gamma, alpha=d.pick(None, 0.5), beta=d.pick(None, 0.5), transA=left, transB=right))


@generator
def contrib_conv(d):
    case, group = Case(d), d.pick(1, 1, 2)
    inner, outer, kernel = d.pick(1, 3, 8, 16) * group, d.pick(1, 5, 16) * group, d.pick(1, 3)
    height, width, batch = d.int(3, 12), d.int(3, 12), d.int(1, 2)
    kind, params = d.pick(("Relu", None), ("LeakyRelu", [0.2]), ("HardSigmoid", [0.3, 0.4]), ("Clip", [-0.5, 0.7]), ("Sigmoid", None),
                          ("Tanh", None), (None, None))
    inputs = [case.input(d.values([batch, inner, height, width])), case.weight(weights(d, outer, inner // group, kernel, kernel)),
              case.weight(d.values([outer])) if d.flip() else ""]
    if d.flip():
        inputs.append(case.input(d.values([batch, outer, height, width])))
    while not inputs[-1]:
        inputs.pop()
    return case.output(case.node("FusedConv", *inputs, domain=MS, group=group, pads=[kernel // 2] * 4, kernel_shape=[kernel, kernel],
                                 activation=kind, activation_params=params))


@generator
def contrib_renamed(d):
    """Operators of the standard under another name."""
    case, kind = Case(d), d.int(0, 7)
    if kind == 0:
        shape = d.shape(2, 4, zero=False)
        return case.output(case.node("Trilu", case.input(d.values(shape, d.pick("float32", "int64"))),
                                     *([case.constant(np.array(d.int(-2, 2), np.int64))] if d.flip() else []), domain=MS, upper=d.int(0, 1)))
    if kind == 1:
        dtype = d.pick("float32", "float64", "int32", "int64")
        limits = [case.constant(np.array(value, dtype)) for value in (d.int(-5, 5), d.int(6, 20))]
        step = [case.constant(np.array(d.int(1, 3), dtype))] if d.flip() else []
        return case.output(case.node("Range", *limits, *step, domain=MS))
    if kind == 2:
        shape = d.shape(1, 3, zero=False)
        pads = [d.int(0, 2) for _ in range(2 * len(shape))]
        return case.output(case.node("Pad", case.input(d.values(shape)), case.constant(np.array(pads, np.int64)), domain=MS,
                                     *([case.constant(np.array([1.5], np.float32))] if d.flip() else [])))
    if kind == 3:
        shape = d.shape(1, 3, zero=False)
        return case.output(case.node("ExpandDims", case.input(d.values(shape)), case.constant(np.array(d.int(-len(shape) - 1, len(shape)), np.int32)),
                                     domain=MS))
    if kind == 4:
        return case.output(*case.node("Unique", case.input(d.rng.integers(0, 9, d.size()).astype(np.float32)), outputs=3, domain=MS))
    if kind == 5:
        data = d.values([d.int(1, 2), d.int(1, 4), d.int(2, 9), d.int(2, 9)])
        grid = d.values([data.shape[0], d.int(1, 6), d.int(1, 6), 2]) * np.float32(0.8)
        return case.output(case.node("GridSample", case.input(data), case.input(grid), domain=MS, mode=d.pick("bilinear", "nearest", "bicubic"),
                                     padding_mode=d.pick("zeros", "border", "reflection"), align_corners=d.int(0, 1)))
    if kind == 6:
        data = d.values([4, 5, 6])
        return case.output(case.node("GatherND", case.input(data), case.input(d.rng.integers(0, 4, [3, d.int(1, 3)]).astype(np.int64)), domain=MS))
    shape = [d.size(), d.size()]
    dtype = d.pick("uint8", "int8", "int16", "uint16")
    scale, zero = np.float32(0.05), np.array(d.int(0, 9), dtype)
    if d.flip():
        case.atol = 1
        return case.output(case.node("QuantizeLinear", case.input(d.values(shape)), case.constant(scale), case.constant(zero), domain=MS))
    return case.output(case.node("DequantizeLinear", case.input(d.values(shape, dtype)), case.constant(scale), case.constant(zero), domain=MS))


# --- attention -----------------------------------------------------------------------------------------------------


def padding_mask(d, batch, length, total, forms):
    """A mask in one of the forms, and never one that hides every key of a sample."""
    form = d.pick(*forms)
    ends = d.rng.integers(1, total + 1, batch)
    if form == "ends":
        return ends.astype(np.int32)
    if form == "ends and begins":
        return np.concatenate([ends, np.array([d.int(0, end - 1) for end in ends])]).astype(np.int32)
    if form == "keys":
        return (np.arange(total)[None, :] < ends[:, None]).astype(np.int32)
    mask = d.rng.integers(0, 2, [batch, length, total]).astype(np.int32)
    mask[:, :, 0] = 1
    return mask


@generator
def contrib_attention(d):
    case, (batch, length, heads, size, inner) = Case(d), (d.int(1, 3), d.int(1, 9), d.pick(1, 2, 4), d.pick(2, 4, 8, 16), d.pick(4, 16, 33))
    hidden, past = heads * size, d.pick(0, 0, 3)
    quantised = d.flip(0.3)
    value_size = hidden if past or quantised or d.flip(0.7) else heads * d.pick(2, 4, 6)
    total = length + past
    forms = ("ends", "ends and begins", "keys", "all") if not past else ("keys", "all")
    causal = d.int(0, 1)
    if causal:  # a query before a sample's begin would see nothing
        forms = tuple(form for form in forms if form != "ends and begins")
    mask = case.input(padding_mask(d, batch, length, total, forms)) if d.flip(0.6) else ""
    more = {"num_heads": heads, "unidirectional": causal, "scale": d.pick(None, None, 0.3), "mask_filter_value": d.pick(None, -1000.0)}
    state = case.input(d.values([2, batch, heads, past, size])) if past else ""
    want = dict(outputs=2) if past or value_size == hidden and d.flip() else {}
    bias = case.weight(d.values([2 * hidden + value_size]))
    if quantised:
        low = d.pick(True, False)
        inputs = [case.input(d.rng.integers(0, 256, [batch, length, inner]).astype(np.uint8)),
                  case.constant(d.rng.integers(-100 if low else 0, 100, [inner, 3 * hidden]).astype(np.int8 if low else np.uint8)), bias,
                  case.constant(np.float32(0.02)), case.constant(np.float32(0.01) if d.flip() else np.abs(d.values([3 * hidden])) / np.float32(90)),
                  mask, case.constant(np.uint8(128)) if d.flip() else "", case.constant((np.int8 if low else np.uint8)(7)) if d.flip() else "", state]
        op = "QAttention"
    else:
        extra = case.input(d.values([d.pick(1, batch), d.pick(1, heads), length, total])) if d.flip(0.3) else ""
        inputs = [case.input(d.values([batch, length, inner])), case.weight(weights(d, inner, 2 * hidden + value_size)),
                  bias, mask, state, extra]
        op = "Attention"
        more["qkv_hidden_sizes"] = [hidden, hidden, value_size] if value_size != hidden or d.flip(0.2) else None
    while not inputs[-1]:
        inputs.pop()
    names = case.node(op, *inputs, domain=MS, **more, **want)
    return case.output(*([names] if isinstance(names, str) else names))


@generator
def contrib_multi_head(d):
    case, (batch, length, heads, size) = Case(d), (d.int(1, 3), d.int(1, 9), d.pick(1, 2, 4), d.pick(2, 4, 8, 16))
    hidden, form = heads * size, d.pick("three", "three", "three", "keys", "all", "cached")
    past = d.pick(0, 3) if form == "three" else 0
    keys = length if past or form == "all" else d.int(1, 12)
    value_size = size if form in ("keys", "all") or past or d.flip() else d.pick(2, 6)
    if form == "all":
        query, key, value = case.input(d.values([batch, length, heads, 3, size])), "", ""
    else:
        query = case.input(d.values([batch, length, hidden]))
        if form == "keys":
            key, value = case.input(d.values([batch, keys, heads, 2, size])), ""
        elif form == "cached":
            key, value = case.input(d.values([batch, heads, keys, size])), case.input(d.values([batch, heads, keys, value_size]))
        else:
            key, value = case.input(d.values([batch, keys, hidden])), case.input(d.values([batch, keys, heads * value_size]))
    total = keys + past
    bias = case.weight(d.values([2 * hidden + heads * value_size])) if form == "three" and d.flip() else ""
    mask = case.input(padding_mask(d, batch, length, total, ("ends", "keys", "all") if not past else ("keys", "all"))) if d.flip() else ""
    extra = case.input(d.values([d.pick(1, batch), d.pick(1, heads), length, total])) if d.flip(0.4) else ""
    state = [case.input(d.values([batch, heads, past, size])), case.input(d.values([batch, heads, past, value_size]))] if past else []
    inputs = [query, key, value, bias, mask, extra, *state]
    while not inputs[-1]:
        inputs.pop()
    names = case.node("MultiHeadAttention", *inputs, domain=MS, num_heads=heads, scale=d.pick(None, 0.4), mask_filter_value=d.pick(None, -1000.0),
                      unidirectional=d.int(0, 1) if keys == length else 0, **({"outputs": 3} if past else {}))
    return case.output(*([names] if isinstance(names, str) else names))


@generator
def contrib_group_query(d):
    half = d.flip(0.2)  # float16
    kind = "float16" if half else "float32"
    case, (batch, groups, size) = Case(d), (d.int(1, 3), d.pick(1, 2), d.pick(8, 16))
    heads = groups * d.pick(1, 2, 3)
    first, window = d.flip(), d.pick(None, None, 2, 4)
    length = d.int(1, 7) if first or batch == 1 else 1
    if first:
        total = length
        # What queries behind a sample's end give differs between ONNX Runtime's kernels where there is a window.
        lengths = d.rng.integers(1, total + 1, batch) if d.flip() and not window else np.full(batch, total)
        capacity = d.pick(0, total, total + 4)
    else:
        total = length + d.int(1, 6)
        lengths = np.full(batch, total) if length > 1 else d.rng.integers(2, total + 1, batch)
        lengths[0] = total
        capacity = d.pick(total - length, total + 3)
    packed = d.flip(0.4)
    rotate, width = d.int(0, 1), size
    query = case.input(d.values([batch, length, (heads + 2 * groups if packed else heads) * size], kind))
    key, value = ("", "") if packed else (case.input(d.values([batch, length, groups * size], kind)) for _ in range(2))
    past = [case.input(d.values([batch, groups, capacity, size], kind)) for _ in range(2)]
    angles = d.values([max(total, capacity) + 4, width // 2], kind)
    case.atol = 0.03 if half else None
    inputs = [query, key, value, *past, case.input((lengths - 1).astype(np.int32)), case.input(np.array(total, np.int32)),
              case.constant(np.cos(angles)) if rotate else "", case.constant(np.sin(angles)) if rotate else "", "",
              case.input(d.values([d.pick(1, batch), d.pick(1, heads), length, total], kind)) if d.flip(0.3) else "",
              case.constant(d.values([heads], kind)) if d.flip(0.2) else ""]
    while not inputs[-1]:
        inputs.pop()
    names = case.node("GroupQueryAttention", *inputs, domain=MS, outputs=3, num_heads=heads, kv_num_heads=groups, do_rotary=rotate,
                      rotary_interleaved=d.int(0, 1) if rotate else None, scale=d.pick(None, 0.4), softcap=d.pick(None, None, 5.0),
                      local_window_size=window, smooth_softmax=d.pick(None, None, 1) if len(inputs) < 12 else None)
    return case.output(*names)


@generator
def contrib_rotary(d):
    case, (batch, length, heads, size) = Case(d), (d.int(1, 3), d.int(1, 9), d.pick(1, 2, 4), d.pick(8, 16))
    four, partial = d.flip(), d.flip(0.3)
    turned = size // 2 if partial else size
    angles = d.values([length + 5, turned // 2])
    places = np.array([d.int(0, 4)], np.int64) if d.flip() else d.rng.integers(0, length + 5, [batch, length])
    data = case.input(d.values([batch, heads, length, size] if four else [batch, length, heads * size]))
    return case.output(case.node("RotaryEmbedding", data, case.input(places), case.constant(np.cos(angles)), case.constant(np.sin(angles)), domain=MS,
                                 interleaved=d.int(0, 1), num_heads=heads if partial or d.flip() else None,
                                 rotary_embedding_dim=turned if partial else None))


# --- quantised -----------------------------------------------------------------------------------------------------


def quantised(d, shape, dtype):
    return d.rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)


def scaled(case, dtype, spread=0.05):
    """A scale and a zero point, as constants; now and then no zero point."""
    d = case.draw
    return [case.constant(np.float32(d.rng.uniform(0.2, 1) * spread)), case.constant(quantised(d, [], dtype) // dtype(2))]


@generator
def contrib_qlinear(d):
    case, dtype = Case(d), d.pick(np.uint8, np.int8)
    case.atol = 1  # a value half way between two steps
    op = d.pick("Add", "Mul", "Sigmoid", "LeakyRelu", "Softmax", "Where", "Concat", "AveragePool", "GlobalAveragePool")
    shape = d.shape(1, 4, 4000, zero=False)
    if op in ("Add", "Mul"):
        inputs = [case.input(quantised(d, shape, dtype)), *scaled(case, dtype), case.weight(quantised(d, d.broadcast(shape), dtype)),
                  *scaled(case, dtype), *scaled(case, dtype, 0.2)]
        return case.output(case.node("QLinear" + op, *inputs, domain=MS))
    if op == "Where":
        inputs = [case.input(d.values(d.broadcast(shape), "bool")), case.input(quantised(d, shape, dtype)), *scaled(case, dtype),
                  case.input(quantised(d, d.broadcast(shape), dtype)), *scaled(case, dtype), *scaled(case, dtype, 0.1)]
        return case.output(case.node("QLinearWhere", *inputs, domain=MS))
    if op == "Concat":
        axis = d.int(-len(shape), len(shape) - 1)
        inputs = scaled(case, dtype, 0.1)
        for _ in range(d.int(1, 4)):
            part = list(shape)
            part[axis] = d.int(1, 5)
            inputs += [case.input(quantised(d, part, dtype)), *scaled(case, dtype)]
        return case.output(case.node("QLinearConcat", *inputs, domain=MS, axis=axis))
    if op in ("Sigmoid", "LeakyRelu"):
        return case.output(case.node("QLinear" + op, case.input(quantised(d, shape, dtype)), *scaled(case, dtype), *scaled(case, dtype), domain=MS,
                                     alpha=d.pick(None, 0.2) if op == "LeakyRelu" else None))
    if op == "Softmax":
        opset = d.pick(11, 13)
        inputs = [case.input(quantised(d, shape, dtype)), *scaled(case, dtype), case.constant(np.float32(1 / 256)),
                  case.constant(dtype(np.iinfo(dtype).min))]
        return case.output(case.node("QLinearSoftmax", *inputs, domain=MS, axis=d.int(-len(shape), len(shape) - 1), opset=opset))
    last = d.int(0, 1)
    size = [d.int(5, 12), d.int(5, 12)]
    data = case.input(quantised(d, [d.int(1, 2), *size, d.size()] if last else [d.int(1, 2), d.size(), *size], dtype))
    inputs = [data, *scaled(case, dtype), *scaled(case, dtype)]
    if op == "GlobalAveragePool":
        return case.output(case.node("QLinearGlobalAveragePool", *inputs, domain=MS, channels_last=last))
    kernel = [d.int(1, 3), d.int(1, 3)]
    return case.output(case.node("QLinearAveragePool", *inputs, domain=MS, channels_last=last, kernel_shape=kernel,
                                 strides=[d.int(1, 2), d.int(1, 2)], pads=[k // 2 for k in kernel * 2], count_include_pad=d.int(0, 1),
                                 ceil_mode=d.pick(None, 0)))


@generator
def contrib_byte_product(d):
    case, op = Case(d), d.pick("MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QGemm")
    m, k, n = d.size(), d.size(), d.size()
    right = d.pick(np.uint8, np.int8)
    left = np.int8 if op != "DynamicQuantizeMatMul" and right == np.int8 and d.flip(0.3) else np.uint8
    columns = [n] if d.flip(0.4) else [1] if d.flip() else []
    scale = case.constant(np.abs(d.values(columns)) / np.float32(100) + np.float32(0.001))
    zero = case.constant(quantised(d, columns, right)) if d.flip(0.7) else ""
    if op == "QGemm":
        case.atol = 1
        trans_a, trans_b = d.int(0, 1), d.int(0, 1)
        inputs = [case.input(quantised(d, [k, m] if trans_a else [m, k], left)), case.constant(np.float32(0.02)), case.constant(quantised(d, [], left)),
                  case.weight(quantised(d, [n, k] if trans_b else [k, n], right)), scale, zero or case.constant(np.zeros(columns, right)),
                  case.weight(d.rng.integers(-3000, 3000, d.pick([n], [m, n], [1, n], [m, 1])).astype(np.int32)) if d.flip(0.7) else ""]
        if d.flip():
            inputs += [case.constant(np.float32(d.rng.uniform(0.05, 0.5))), case.constant(quantised(d, [], left))]
        while not inputs[-1]:
            inputs.pop()
        return case.output(case.node(op, *inputs, domain=MS, transA=trans_a, transB=trans_b, alpha=d.pick(None, 0.5)))
    batch = d.pick([], [2], [2, 3])
    bias = case.weight(d.values([n])) if d.flip() else ""
    b = case.constant(quantised(d, [k, n], right))
    if op == "MatMulIntegerToFloat":
        inputs = [case.input(quantised(d, [*batch, m, k], left)), b, case.constant(np.float32(0.02)), scale,
                  case.constant(quantised(d, [], left)) if d.flip() else "", zero, bias]
    else:
        inputs = [case.input(d.values([*batch, m, k])), b, scale, zero, bias]
    while not inputs[-1]:
        inputs.pop()
    return case.output(case.node(op, *inputs, domain=MS))


@generator
def contrib_lstm(d):
    case, (length, batch, width, hidden) = Case(d), (d.int(1, 7), d.int(1, 3), d.int(1, 9), d.int(1, 17))
    direction = d.pick("forward", "reverse", "bidirectional")
    ways, dtype = 2 if direction == "bidirectional" else 1, d.pick(np.uint8, np.int8)
    lengths = d.flip(0.2)
    case.atol = 0.05 if lengths else 2e-4  # ONNX Runtime rounds by a scale that leaves out what is cut off
    each = [ways, 4 * hidden] if d.flip(0.3) else [ways]
    zero = np.zeros(each, dtype) if len(each) == 2 else np.full(each, 120 if dtype == np.uint8 else 3, dtype)
    inputs = [case.input(d.values([length, batch, width])), case.constant(quantised(d, [ways, width, 4 * hidden], dtype)),
              case.constant(quantised(d, [ways, hidden, 4 * hidden], dtype)),
              case.constant(d.values([ways, 8 * hidden])) if d.flip(0.7) else "",
              case.input(d.rng.integers(1, length + 1, batch).astype(np.int32)) if lengths else "",
              *([case.input(d.values([ways, batch, hidden])), case.input(d.values([ways, batch, hidden]))] if d.flip() else ["", ""]),
              case.constant(d.values([ways, 3 * hidden])) if d.flip(0.2) else "",
              case.constant(np.float32(0.004) * np.abs(d.values(each)) + np.float32(0.001)), case.constant(zero),
              case.constant(np.float32(0.004) * np.abs(d.values(each)) + np.float32(0.001)), case.constant(zero)]
    return case.output(*case.node("DynamicQuantizeLSTM", *inputs, domain=MS, outputs=3, hidden_size=hidden, direction=direction))


# --- weights of few bits -------------------------------------------------------------------------------------------


@generator
def contrib_nbits(d):
    case, bits, block = Case(d), d.pick(4, 4, 8, 2), d.pick(16, 32, 64, 128)
    k, n = d.pick(block, 2 * block, d.int(1, 200)), d.pick(1, 7, 16, 63, 64, 65, 130)
    blocks = -(-k // block)
    shape = [*d.pick([1], [1, 1], [2], [5], [2, 3], [17]), k]
    kind = "float16" if d.flip(0.2) else "float32"
    case.atol = 0.05 if kind == "float16" else None
    scales = (np.abs(d.values([n, blocks])) / np.float32(2**bits)).astype(kind)
    inputs = [case.input(d.values(shape, kind)), case.weight(quantised(d, [n, blocks, block * bits // 8], np.uint8)), case.weight(scales), "", "", ""]
    zeros = d.int(0, 2)
    if zeros == 1:
        inputs[3] = case.weight(quantised(d, [n, -(-blocks * bits // 8)], np.uint8))
    elif zeros == 2 and bits == 4:
        inputs[3] = case.weight(d.rng.uniform(5, 11, [n, blocks]).astype(kind))
    if d.flip():
        inputs[5] = case.weight(d.values([n], kind))
    while not inputs[-1]:
        inputs.pop()
    return case.output(case.node("MatMulNBits", *inputs, domain=MS, K=k, N=n, bits=bits if bits != 4 or d.flip() else None, block_size=block))


@generator
def contrib_gather_quantised(d):
    case, bits, block = Case(d), d.pick(4, 8), d.pick(16, 32)
    rows, width = d.int(1, 9), d.pick(16, 32, 64, 48)
    packed = width * bits // 8
    blocks = -(-width // block)
    indices = case.input(d.rng.integers(-rows, rows, d.pick([], [3], [2, 3])).astype(d.pick(np.int32, np.int64)))
    inputs = [case.constant(quantised(d, [rows, packed], np.uint8)), indices, case.constant(d.values([rows, blocks]))]
    if d.flip():
        inputs.append(case.constant(quantised(d, [rows, -(-blocks * bits // 8)], np.uint8)))
    return case.output(case.node("GatherBlockQuantized", *inputs, domain=MS, bits=bits, block_size=block, gather_axis=0, quantize_axis=d.pick(1, -1)))


# --- others --------------------------------------------------------------------------------------------------------


@generator
def contrib_embedding(d):
    case, (batch, length, width) = Case(d), (d.int(1, 3), d.int(1, 9), d.pick(4, 16, 33))
    quant, segments = d.flip(0.4), d.flip(0.7)
    ids = case.input(d.rng.integers(0, 12, [batch, length]).astype(np.int32))
    kinds = case.input(d.rng.integers(0, 2, [batch, length]).astype(np.int32)) if segments else ""
    mask = case.input((np.arange(length)[None, :] < d.rng.integers(1, length + 1, batch)[:, None]).astype(np.int32)) if d.flip() else ""
    tables = [(12, width), (length + 2, width), (2, width), (width,), (width,)]
    if quant:
        dtype = d.pick(np.uint8, np.int8)
        values = [case.constant(quantised(d, shape, dtype)) if k != 2 or segments else "" for k, shape in enumerate(tables)]
        scales = [case.constant(np.float32(0.02)) if k != 2 or segments else "" for k in range(5)]
        zeros = [case.constant(quantised(d, [], dtype)) if k != 2 or segments else "" for k in range(5)]
        inputs = [ids, kinds, *values, mask, *scales, *zeros]
        return case.output(*case.node("QEmbedLayerNormalization", *inputs, domain=MS, outputs=2, epsilon=d.pick(None, 1e-3)))
    values = [case.constant(d.values(shape)) if k != 2 or segments else "" for k, shape in enumerate(tables)]
    inputs = [ids, kinds, *values, mask, case.input(d.rng.integers(0, length + 2, [batch, length]).astype(np.int32)) if d.flip(0.4) else ""]
    while not inputs[-1]:
        inputs.pop()
    return case.output(*case.node("EmbedLayerNormalization", *inputs, domain=MS, outputs=3, epsilon=d.pick(None, 1e-3)))


@generator
def contrib_other(d):
    case, kind = Case(d), d.int(0, 2)
    if kind == 0:
        n = d.int(1, 9)
        value = d.values([*d.pick([], [2], [2, 3]), n, n]) + np.float32(4) * np.eye(n, dtype=np.float32)
        return case.output(case.node("Inverse", case.input(value.astype(d.pick("float32", "float64"))), domain=MS))
    if kind == 1:
        n = d.int(1, 4)
        images = d.values([d.int(1, 3), d.int(1, 3), d.int(2, 9), d.int(2, 9)])
        inputs = [case.input(images), case.input(d.rng.uniform(-0.2, 1.2, [n, 4]).astype(np.float32)),
                  case.input(d.rng.integers(0, images.shape[0], n).astype(np.int32)), case.constant(np.array([d.int(1, 6), d.int(1, 6)], np.int32))]
        return case.output(case.node("CropAndResize", *inputs, domain=MS, mode=d.pick(None, "bilinear", "nearest"),
                                     extrapolation_value=d.pick(None, 2.5)))
    batch, words = d.int(1, 3), d.int(3, 9)
    tokens = d.rng.integers(0, d.int(2, words), [batch, d.int(1, 12)]).astype(np.int64)
    return case.output(case.node("NGramRepeatBlock", case.input(tokens), case.input(d.values([batch, words])), domain=MS, ngram_size=d.int(1, 4)))


def erf(x):
    return np.vectorize(math.erf)(x)


@generator
def contrib_without_kernel(d):
    """Operators that ONNX Runtime has for GPUs only: numpy judges."""
    case = Case(d)
    op = d.pick("GroupNorm", "SkipGroupNorm", "NhwcConv", "NhwcFusedConv", "BiasSplitGelu", "BiasAdd", "Rfft", "Irfft", "QLinearReduceMean")
    batch, height, width, channels = d.int(1, 2), d.int(2, 6), d.int(2, 6), d.pick(4, 8, 12)
    x = d.values([batch, height, width, channels]).astype(np.float64)
    if op in ("GroupNorm", "SkipGroupNorm"):
        groups, last, act = d.pick(1, 2, 4), d.int(0, 1), d.int(0, 1)
        scale, bias, more, skip = d.values([channels]), d.values([channels]), d.values([channels]), d.values(d.pick([batch, height, width, channels], [batch, 1, 1, channels]))
        total = x + skip + more if op == "SkipGroupNorm" else x
        grouped = total.reshape(batch, -1, groups, channels // groups)
        normal = (grouped - grouped.mean((1, 3), keepdims=True)) / np.sqrt(grouped.var((1, 3), keepdims=True) + 1e-5)
        y = normal.reshape(x.shape) * scale + bias
        y = y / (1 + np.exp(-y)) if act else y

        def stored(v):
            return v.astype(np.float32) if last else np.moveaxis(v, -1, 1).astype(np.float32)

        inputs = [case.input(stored(x)), case.constant(scale), case.constant(bias)]
        if op == "SkipGroupNorm":
            if not last:  # the standard's broadcast would put a bias of channels along the width
                op, y = "GroupNorm", None
            else:
                inputs += [case.input(skip), case.constant(more)]
        if y is None:
            return contrib_without_kernel(d)
        names = case.node(op, *inputs, domain=MS, activation=act, groups=groups, channels_last=last, outputs=2 if op == "SkipGroupNorm" else 1)
        case.expected = [stored(y), stored(total)] if op == "SkipGroupNorm" else [stored(y)]
        return case.output(*([names] if isinstance(names, str) else names))
    if op in ("NhwcConv", "NhwcFusedConv"):
        outer = d.pick(1, 3, 8)
        weight, bias = d.values([outer, 1, 1, channels]), d.values([outer])
        y = np.einsum("nhwc,oc->nhwo", x, weight[:, 0, 0].astype(np.float64)) + bias
        if op == "NhwcFusedConv":
            other = d.values(y.shape)
            y = np.maximum(y + other, 0)
            name = case.node(op, case.input(x.astype(np.float32)), case.constant(weight.transpose(0, 3, 1, 2).copy()), case.constant(bias),
                             case.input(other), domain=MS, activation="Relu", kernel_shape=[1, 1])
        else:
            name = case.node(op, case.input(x.astype(np.float32)), case.constant(weight), case.constant(bias), domain=MS, kernel_shape=[1, 1])
        case.expected = [y.astype(np.float32)]
    elif op == "BiasSplitGelu":
        x, bias = x[:, 0], d.values([channels])
        left, right = np.split(x + bias, 2, -1)
        case.expected = [(left * right * 0.5 * (1 + erf(right / np.sqrt(2)))).astype(np.float32)]
        name = case.node(op, case.input(x.astype(np.float32)), case.constant(bias), domain=MS)
    elif op == "BiasAdd":
        x, bias = x[:, 0], d.values([channels])
        skip = d.values(x.shape)
        case.expected = [(x + bias + skip).astype(np.float32)]
        name = case.node(op, case.input(x.astype(np.float32)), case.constant(bias), case.input(skip), domain=MS)
    elif op == "QLinearReduceMean":
        data = quantised(d, x.shape, np.uint8)
        mean = ((data.astype(np.float64) - 7) * 0.05).mean((1, 2))
        case.expected, case.atol = [np.clip(np.rint(mean / 0.1) + 3, 0, 255).astype(np.uint8)], 1
        name = case.node(op, case.input(data), case.constant(np.float32(0.05)), case.constant(np.uint8(7)), case.constant(np.float32(0.1)),
                         case.constant(np.uint8(3)), domain=MS, axes=[1, 2], keepdims=0)
    else:
        axes = d.int(1, 2)
        spectrum = np.fft.rfftn(x, axes=range(-axes, 0))
        pairs = np.stack([spectrum.real, spectrum.imag], -1).astype(np.float32)
        if op == "Rfft":
            case.expected = [pairs]
            name = case.node(op, case.input(x.astype(np.float32)), domain=MS, signal_ndim=axes, onesided=1, normalized=0)
        else:
            case.expected = [x.astype(np.float32)]
            name = case.node(op, case.input(pairs), domain=MS, signal_ndim=axes, onesided=1, normalized=0)
    return case.output(name)


# --- searches ------------------------------------------------------------------------------------------------------

HEADS, SIZE = 2, 4
INT32, FLOAT = TensorProto.INT32, TensorProto.FLOAT


class Body(Case):
    """A subgraph under construction; its weights are the outer graph's."""

    def __init__(self, outer, prefix):
        super().__init__(outer.draw)
        self.outer, self.prefix, self.ports, self.results = outer, prefix, [], []

    def port(self, name, kind, shape):
        self.ports.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, value):
        return self.outer.constant(value)

    def node(self, op, *inputs, **attributes):
        name = super().node(op, *inputs, **attributes)
        renamed = self.prefix + name
        self.nodes[-1].output[0] = renamed
        return renamed

    def result(self, name, value, kind, shape):
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.results.append(helper.make_tensor_value_info(name, kind, shape))

    def graph(self):
        return helper.make_graph(self.nodes, self.prefix, self.ports, self.results)

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def heads(self, value):
        """[b, s, HEADS * SIZE] as [b, HEADS, s, SIZE]."""
        return self.node("Transpose", self.node("Reshape", value, self.ints(0, 0, HEADS, SIZE)), perm=[0, 2, 1, 3])

    def context(self, state, mask=""):
        """What a state adds to every token: [b, 1, HEADS * SIZE]."""
        if mask:
            shown = self.node("Unsqueeze", self.node("Cast", mask, to=FLOAT), self.ints(1, 3))
            state = self.node("Mul", state, shown)
        return self.node("Reshape", self.node("ReduceSum", state, self.ints(2), keepdims=0), self.ints(0, 1, HEADS * SIZE))


def search_options(case, batch, words, beam):
    """What both searches take behind the prompt: inputs by name."""
    d = case.draw
    mask = (d.rng.random(words) < 0.9).astype(np.int32)
    mask[0] = 0  # padding is never chosen, so that it tells where a sequence ends
    return {"min_length": d.pick(0 if beam else None, 4, 7), "repetition": d.pick(None, 1.0, 1.3), "mask": mask,
            "first": (d.rng.random([batch, words]) < 0.8).astype(np.int32) if d.flip(0.3) else None,
            "beams": d.int(1, 4) if beam else None, "penalty": d.pick(1.0, 0.5, 2.0) if beam else None}


def padded(outputs):
    """ONNX Runtime leaves what is behind the end of all sequences as it was in memory."""
    tokens = outputs[0]
    for column in range(1, tokens.shape[1]):
        if (tokens[:, column] == 0).all() and (tokens[:, :column] != 0).any():
            tokens[:, column:] = 0
            break
    return outputs


def early(d, batch):
    """Without early stopping ONNX Runtime asks whether another sample than the one at hand can improve."""
    return 1 if batch > 1 else d.int(0, 1)


def finish_search(case, op, prompt, length, options, attention, **attributes):
    d = case.draw

    def scalar(value, dtype):
        return "" if value is None else case.constant(np.array([value], dtype))

    masks = ["" if options[name] is None else case.constant(options[name]) for name in ("mask", "first")]
    inputs = [prompt, scalar(length, np.int32), scalar(options["min_length"], np.int32)]
    if op == "BeamSearch":
        inputs += [scalar(options["beams"], np.int32), scalar(d.int(1, options["beams"]), np.int32), scalar(options["penalty"], np.float32)]
    inputs += [scalar(options["repetition"], np.float32), *masks, attention]
    while not inputs[-1]:
        inputs.pop()
    wanted = 2 if op == "BeamSearch" else 1
    if op == "GreedySearch":
        case.mend = padded
    case.atol = 1e-5
    names = case.node(op, *inputs, domain=MS, outputs=wanted, no_repeat_ngram_size=d.pick(None, None, 2), **attributes)
    return case.output(*([names] if isinstance(names, str) else names))


@generator
def contrib_search(d):
    case, op = Case(d), d.pick("GreedySearch", "BeamSearch")
    batch, length, words, width = d.int(1, 3), d.int(1, 5), d.pick(12, 20), HEADS * SIZE
    tokens = d.rng.integers(2, words, [batch, length]).astype(np.int32)
    if length > 2 and d.flip():
        tokens[0, : d.int(1, length - 1)] = 0  # padding
    body = Body(case, "d")
    ids, place, mask = (body.port(name, INT32, ["b", "s" if k < 2 else "t"]) for k, name in enumerate(("input_ids", "position_ids", "attention_mask")))
    past = body.port("past_0", FLOAT, [2, "b", HEADS, "p", SIZE])
    hidden = body.node("Add", body.node("Gather", body.constant(d.values([words, width])), ids),
                       body.node("Gather", body.constant(d.values([32, width])), place))
    state = body.node("Unsqueeze", body.heads(hidden), body.ints(0))
    present = body.node("Concat", past, body.node("Concat", state, state, axis=0), axis=3)
    context = body.context(body.node("Gather", present, body.constant(np.array(1, np.int64))), mask)
    logits = body.node("MatMul", body.node("Add", hidden, context), body.constant(d.values([width, words])))
    body.result("logits", logits, FLOAT, ["b", "s", words])
    body.result("present_0", present, FLOAT, [2, "b", HEADS, "q", SIZE])
    options = search_options(case, batch, words, op == "BeamSearch")
    attention = case.input((tokens != 0).astype(np.int32)) if d.flip(0.3) else ""
    more = {"early_stopping": early(d, batch)} if op == "BeamSearch" else {}
    return finish_search(case, op, case.input(tokens), length + d.int(1, 7), options, attention, decoder=body.graph(), eos_token_id=1, pad_token_id=0,
                         model_type=0, **more)


@generator
def contrib_search_encoded(d):
    """A search with an encoder: it also gives the first token's logits and states."""
    case, batch, length, words, width = Case(d), d.int(1, 3), d.int(1, 5), d.pick(12, 20), HEADS * SIZE
    tokens = d.rng.integers(2, words, [batch, length]).astype(np.int32)
    table, out = case.constant(d.values([words, width])), case.constant(d.values([width, words]))
    cross = [case.constant(d.values([width, width])) for _ in range(2)]

    def decode(body, ids, mask, hidden_past, crossed):
        hidden = body.node("Gather", table, ids)
        state = body.heads(hidden)
        present = [body.node("Concat", past, state, axis=2) if past else state for past in hidden_past]
        added = body.node("Add", body.context(present[1]), body.context(crossed[1], mask))
        return present, body.node("MatMul", body.node("Add", hidden, added), out)

    encoder, decoder = Body(case, "e"), Body(case, "d")
    ids, mask = (encoder.port(name, INT32, ["b", "s"]) for name in ("encoder_input_ids", "encoder_attention_mask"))
    start = encoder.port("decoder_input_ids", INT32, ["b", 1])
    hidden = encoder.node("Gather", table, ids)
    crossed = [encoder.heads(encoder.node("MatMul", hidden, weight)) for weight in cross]
    present, logits = decode(encoder, start, mask, ("", ""), crossed)
    encoder.result("logits", logits, FLOAT, ["b", 1, words])
    encoder.result("encoder_hidden_states", hidden, FLOAT, ["b", "s", width])
    for kind, state in zip(("self", "cross"), (present, crossed)):
        for name, value in zip(("key", "value"), state):
            encoder.result(f"present_{name}_{kind}_0", value, FLOAT, ["b", HEADS, 1 if kind == "self" else "s", SIZE])
    ids, mask = decoder.port("input_ids", INT32, ["b", 1]), decoder.port("encoder_attention_mask", INT32, ["b", "s"])
    if d.flip():
        decoder.port("encoder_hidden_states", FLOAT, ["b", "s", width])
    past = [decoder.port(f"past_{name}_self_0", FLOAT, ["b", HEADS, "p", SIZE]) for name in ("key", "value")]
    crossed = [decoder.port(f"past_{name}_cross_0", FLOAT, ["b", HEADS, "s", SIZE]) for name in ("key", "value")]
    present, logits = decode(decoder, ids, mask, past, crossed)
    decoder.result("logits", logits, FLOAT, ["b", 1, words])
    for name, value in zip(("key", "value"), present):
        decoder.result(f"present_{name}_self_0", value, FLOAT, ["b", HEADS, "q", SIZE])
    options = search_options(case, batch, words, True)
    return finish_search(case, "BeamSearch", case.input(tokens), d.int(3, 8), options, "", encoder=encoder.graph(), decoder=decoder.graph(),
                         eos_token_id=1, pad_token_id=0, decoder_start_token_id=2, model_type=1, early_stopping=early(d, batch))
