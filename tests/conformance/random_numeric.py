"""Random cases of operators on bytes, of regions and samples of images, of Fourier transforms, of recurrent attention and of
optimizers; they join those of random_cases."""
import numpy as np
from onnx import TensorProto

from random_cases import Case, generator

TRAINING = "ai.onnx.preview.training"


def byte_values(d, shape, dtype=None):
    dtype = np.dtype(dtype or d.pick("uint8", "int8"))
    info = np.iinfo(dtype)
    return np.asarray(d.rng.integers(info.min, info.max + 1, shape), dtype)


def scales(d, n=None):
    return np.asarray(d.rng.random(n) * 0.05 + 0.001, np.float32)


def zero_point(d, like, n=None):
    return byte_values(d, () if n is None else (n,), like.dtype)


@generator
def byte_products(d):
    """MatMulInteger, QLinearMatMul: ONNX Runtime takes one zero point for A, one or one a column for B."""
    case = Case(d)
    m, k, n = d.size(), d.size(), d.size()
    batch = d.pick([], [], [2], [3, 2])
    a = byte_values(d, [*batch, m, k])
    b = byte_values(d, [*(batch if d.flip(0.3) else []), k, n], "int8" if a.dtype == np.int8 else None)
    per_column = b.ndim == 2 and d.flip(0.3)
    zeros = (zero_point(d, a), zero_point(d, b, n if per_column else None))
    if d.flip():
        inputs = [case.input(a), case.weight(b)]
        if d.flip(0.7):
            inputs += [case.weight(zeros[0]), case.weight(zeros[1])]
        return case.output(case.node("MatMulInteger", *inputs))
    case.atol = 1
    y_zero = zero_point(d, a)
    return case.output(case.node(
        "QLinearMatMul", case.input(a), case.weight(scales(d)), case.weight(zeros[0]), case.weight(b),
        case.weight(scales(d, n if per_column else None)), case.weight(zeros[1]), case.weight(scales(d) * np.float32(k)), case.weight(y_zero)))


@generator
def byte_convolutions(d):
    case = Case(d)
    nd = d.pick(1, 2, 2, 2, 3)
    group = d.pick(1, 1, 1, 2, 4)
    channels, out = group * d.int(1, 9), group * d.pick(1, 2, 5, 17, 33)
    if d.flip(0.15):
        channels = out = group = d.int(2, 20)
    kernel, dilations = [d.int(1, 3) for _ in range(nd)], [d.int(1, 2) for _ in range(nd)]
    size = [d.int((k - 1) * g + 1, (k - 1) * g + 12) for k, g in zip(kernel, dilations)]
    x, w = byte_values(d, [d.int(1, 2), channels, *size], "uint8"), byte_values(d, [out, channels // group, *kernel])
    attributes = {"group": group, "kernel_shape": kernel, "dilations": dilations, "strides": [d.int(1, 2) for _ in range(nd)],
                  "pads": [d.int(0, 2) for _ in range(2 * nd)]}
    if d.flip():
        inputs = [case.input(x), case.weight(w)]
        if d.flip(0.7):
            inputs += [case.weight(zero_point(d, x))]
        return case.output(case.node("ConvInteger", *inputs, **attributes))
    case.atol = 1
    per_channel = d.flip()
    y_scale = scales(d) * np.float32(np.prod(w.shape[1:]))
    inputs = [case.input(x), case.weight(scales(d)), case.weight(zero_point(d, x)), case.weight(w),
              case.weight(scales(d, out if per_channel else None)), case.weight(np.zeros(out if per_channel else (), w.dtype)),
              case.weight(y_scale), case.weight(zero_point(d, x))]
    if d.flip():
        inputs.append(case.weight(d.rng.integers(-3000, 3000, out).astype(np.int32)))
    return case.output(case.node("QLinearConv", *inputs, **attributes))


@generator
def regions(d):
    case = Case(d)
    n, c, h, w = d.int(1, 3), d.int(1, 5), d.int(2, 20), d.int(2, 20)
    rois, scale = d.int(0, 6), d.pick(1.0, 0.5, 0.25)
    corner = d.rng.random((rois, 2)) * (w, h) / scale - 1
    size = d.rng.random((rois, 2)) * (w, h) / scale
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    images = d.rng.integers(0, n, rois)
    x = d.values([n, c, h, w])
    if d.flip(0.3):
        boxes = np.concatenate([images[:, None], np.floor(np.clip(boxes, 0, None))], 1).astype(np.float32)
        return case.output(case.node("MaxRoiPool", case.input(x), case.input(boxes), pooled_shape=[d.int(1, 4), d.int(1, 4)], spatial_scale=scale))
    case.opsets[""] = 16
    return case.output(case.node(
        "RoiAlign", case.input(x), case.input(boxes), case.input(images.astype(np.int64)), mode=d.pick("avg", "avg", "max"),
        output_height=d.int(1, 5), output_width=d.int(1, 5), sampling_ratio=d.int(0, 3), spatial_scale=scale,
        coordinate_transformation_mode=d.pick("half_pixel", "output_half_pixel")))


@generator
def grids(d):
    """AffineGrid over sizes of at least 2 (a single pixel has no agreed place), and GridSample of it."""
    case = Case(d)
    nd, n, c = d.pick(2, 2, 3), d.int(1, 2), d.int(1, 3)
    size, align = [d.int(2, 9) for _ in range(nd)], d.int(0, 1)
    grid = case.node("AffineGrid", case.input(d.values([n, nd, nd + 1])), case.constant(np.array([n, c, *size])), align_corners=align)
    if d.flip():
        return case.output(grid)
    x = case.input(d.values([n, c, *[d.int(1, 9) for _ in range(nd)]], d.pick("float32", "float32", "float64") if nd == 2 else "float32"))
    if "float64" in str(case.inputs[-1][1].dtype):
        grid = case.node("Cast", grid, to=TensorProto.DOUBLE)
    case.atol = 1e-3
    return case.output(case.node("GridSample", x, grid, align_corners=align, mode="linear",
                                 padding_mode=d.pick("zeros", "border", "reflection")))


@generator
def unfolding(d):
    """ONNX Runtime does not take pads that differ at both ends as the standard does."""
    case = Case(d)
    case.judge = "onnx"
    nd, n, c = d.pick(2, 2, 3), d.int(1, 3), d.int(1, 4)
    block, dilations, strides = ([d.int(1, 3) for _ in range(nd)] for _ in range(3))
    pads = [d.int(0, 2) for _ in range(2 * nd)]
    image = [d.int((b - 1) * g + 1, (b - 1) * g + 8) for b, g in zip(block, dilations)]
    blocks = [(i + pads[k] + pads[nd + k] - g * (b - 1) - 1) // s + 1 for k, (i, b, g, s) in enumerate(zip(image, block, dilations, strides))]
    x = d.values([n, c * int(np.prod(block)), int(np.prod(blocks))])
    return case.output(case.node("Col2Im", case.input(x), case.constant(np.array(image)), case.constant(np.array(block)), dilations=dilations,
                                 pads=pads, strides=strides))


@generator
def unpooling(d):
    case = Case(d)
    x = d.values([d.int(1, 2), d.int(1, 3), 2 * d.int(1, 6), 2 * d.int(1, 6)])
    values, places = case.node("MaxPool", case.input(x), outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    return case.output(case.node("MaxUnpool", values, places, kernel_shape=[2, 2], strides=[2, 2]))


@generator
def fourier(d):
    """Lengths with small and with large prime factors. ONNX Runtime loses three digits where a length is no power of 2."""
    case = Case(d)
    case.judge = "onnx"
    n = d.pick(1, 2, 3, 8, 10, 30, 64, 67, 97, 120, 131, 400, d.int(1, 300))
    before, parts = d.shape(1, 2, 12, zero=False), d.pick(1, 2)
    dtype = d.pick("float32", "float32", "float64")
    x = d.values([*before, n, parts], dtype)
    if d.flip(0.3):
        case.opsets[""] = 17
        step, length = d.int(1, 9), d.int(1, n)
        x = d.values([d.int(1, 3), n, 1], dtype)
        window = d.values([length], dtype)
        return case.output(case.node("STFT", case.input(x), case.constant(np.int64(step)), case.weight(window), case.constant(np.int64(length)),
                                     onesided=d.int(0, 1)))
    inverse = d.int(0, 1) if parts == 2 else 0
    onesided = d.int(0, 1) if parts == 1 else 0
    length = case.constant(np.int64(d.int(1, 2 * n))) if d.flip(0.3) else ""
    return case.output(case.node("DFT", case.input(x), length, case.constant(np.int64(len(before))), inverse=inverse, onesided=onesided))


@generator
def mel(d):
    case = Case(d)
    rate = d.pick(8000, 16000, 44100)
    low = d.rng.random() * rate / 8
    inputs = (np.int64(d.int(1, 40)), np.int64(d.pick(64, 200, 400, 512)), np.int64(rate), np.float32(low),
              np.float32(low + (0.1 + 0.9 * d.rng.random()) * (rate / 2 - low)))
    case.atol = 1e-4
    return case.output(case.node("MelWeightMatrix", *[case.constant(value) for value in inputs]))


@generator
def deformable(d):
    case = Case(d)
    group, offsets = d.pick(1, 1, 2), d.pick(1, 1, 2)
    n, c, out, kernel = d.int(1, 2), 2 * d.int(1, 3), 2 * d.int(1, 3), [d.int(1, 3), d.int(1, 3)]
    pads, strides, dilations = [d.int(0, 2) for _ in range(4)], [d.int(1, 2), d.int(1, 2)], [d.int(1, 2), d.int(1, 2)]
    size = [d.int(max((k - 1) * g + 1, 2), (k - 1) * g + 6) for k, g in zip(kernel, dilations)]
    places = [(size[i] + pads[i] + pads[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(2)]
    taps = kernel[0] * kernel[1]
    inputs = [d.values([n, c, *size]), d.values([out, c // group, *kernel]), d.values([n, offsets * taps * 2, *places])]
    names = [case.input(value) for value in inputs]
    if d.flip():
        names += [case.weight(d.values([out]))]
        if d.flip():
            names += [case.input(d.values([n, offsets * taps, *places]))]
    case.judge = "onnx"
    case.opsets[""] = 22
    return case.output(case.node("DeformConv", *names, group=group, offset_group=offsets, kernel_shape=kernel, pads=pads, strides=strides,
                                 dilations=dilations))


@generator
def linear_attention(d):
    case = Case(d)
    case.judge, case.opsets[""] = "onnx", 27
    rule = d.pick("linear", "gated", "delta", "gated_delta")
    b, t, heads, group, d_k, d_v = d.int(1, 2), d.int(1, 6), d.int(1, 3), d.pick(1, 2), d.int(1, 9), d.int(1, 9)
    inputs = [case.input(d.values([b, t, heads * group * d_k])), case.input(d.values([b, t, heads * d_k]) / np.float32(np.sqrt(d_k))),
              case.input(d.values([b, t, heads * d_v]))]
    inputs.append(case.input(d.values([b, heads, d_k, d_v])) if d.flip() else "")
    gated, delta = "gated" in rule, "delta" in rule
    inputs.append(case.input(-np.abs(d.values([b, t, heads * (d_k if d.flip() else 1)]))) if gated else "")
    inputs.append(case.input(d.rng.random((b, t, heads if d.flip() else 1)).astype(np.float32)) if delta else "")
    while inputs[-1] == "":
        inputs.pop()
    return case.output(*case.node("LinearAttention", *inputs, outputs=2, update_rule=rule, q_num_heads=heads * group, kv_num_heads=heads,
                                  scale=d.pick(None, 0.3)))


@generator
def swiglu(d):
    case = Case(d)
    case.judge, case.opsets[""] = "onnx", 28
    shape = d.shape(1, 4)
    return case.output(case.node("SwiGLU", case.input(d.values(shape)), case.input(d.values(shape)), alpha=d.pick(None, 1.7)))


@generator
def optimizers(d):
    case = Case(d)
    case.judge, case.opsets = "onnx", {"": 20, TRAINING: 1}
    op = d.pick("Adagrad", "Adam", "Momentum")
    n, shapes = d.int(2, 3) if op == "Adam" else d.int(1, 3), [d.shape(1, 3, 500) for _ in range(3)]
    positive = {"Adagrad": 2, "Adam": 3}.get(op)
    inputs = [case.input(np.float32(d.rng.random())), case.input(np.int64(d.int(0, 5)))]
    for kind in range(4 if op == "Adam" else 3):
        inputs += [case.input(np.abs(d.values(shapes[i])) if kind == positive else d.values(shapes[i])) for i in range(n)]
    attributes = {"norm_coefficient": 0.01, "alpha": 0.9, "beta": 0.99}
    if op == "Adagrad":
        attributes = {"norm_coefficient": 0.01, "decay_factor": 0.1, "epsilon": 1e-5}
    elif op == "Momentum":
        attributes["mode"] = d.pick("standard", "nesterov")
    else:
        attributes |= {"epsilon": 1e-5, "norm_coefficient_post": d.pick(0.0, 0.02)}
    outputs = case.node(op, *inputs, outputs=n * (3 if op == "Adam" else 2), domain=TRAINING, **attributes)
    return case.output(*([outputs] if isinstance(outputs, str) else outputs))
