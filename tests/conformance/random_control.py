"""Random loops, scans and branches; they join random_cases.GENERATORS."""
import numpy as np
from onnx import TensorProto, helper

from random_cases import NUMPY, Case, generator


def tensor(name, dtype="float32", shape=None):
    return helper.make_tensor_value_info(name, NUMPY[dtype], shape)


def step(d, nodes, prefix, names, outer, captured):
    """Nodes that make of float tensors of one shape as many others of that shape; some are passed on as they are."""
    made = []
    for k, name in enumerate(names):
        other, out = d.pick(*names, *captured), f"{prefix}s{k}"
        kind = d.int(0, 5)
        if kind == 0:
            made.append(d.pick(*names))  # a carried value that moves to another place, or stays
            continue
        if kind == 1:
            nodes.append(helper.make_node("Tanh", [name], [out]))
        elif kind == 2:
            nodes.append(helper.make_node("Cast", [outer], [out + "f"], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Add", [name, out + "f"], [out]))
        else:
            nodes.append(helper.make_node(d.pick("Add", "Sub", "Max"), [name, other], [out + "t"]))
            nodes.append(helper.make_node("Sin", [out + "t"], [out]))
        made.append(out)
    return made


@generator
def loop(d):
    """Carried values of fixed and of growing shape, scan outputs, an early end, a captured value, nested loops."""
    case, shape = Case(d), [] if d.flip(0.1) else d.shape(1, 3, 600)
    trips, go, carried, scans = d.pick(0, 1, 2, 3, 7, 20), d.flip(0.9), d.int(1, 3), d.int(0, 2)
    if not trips or not go:
        scans = 0  # ONNX Runtime does not say the items' shape then
    states = [case.weight(d.values(shape)) for _ in range(carried)]
    captured = [case.weight(d.values(shape))] if d.flip() else []
    nodes, inputs = [], [tensor("i", "int64", []), tensor("go", "bool", [])] + [tensor(f"h{k}", shape=shape) for k in range(carried)]
    made = step(d, nodes, "a", [f"h{k}" for k in range(carried)], "i", captured)
    grows, nested = d.flip(0.2) and shape, d.flip(0.2)
    if nested:
        inner, turn = [], [tensor("j", "int64", []), tensor("again", "bool", []), tensor("q", shape=shape)]
        out = step(d, inner, "b", ["q"], "j", [made[0]] + captured)[0]
        inner += [helper.make_node("Identity", ["again"], ["again_out"]), helper.make_node("Identity", [out], ["q_out"])]
        body = helper.make_graph(inner, "inner", turn, [tensor("again_out", "bool"), tensor("q_out")])
        nodes.append(helper.make_node("Loop", ["i", "", made[0]], ["nested"], body=body))
        made[0] = "nested"
    outputs = []
    if d.flip(0.6):
        nodes.append(helper.make_node("Identity", ["go"], ["go_out"]))
    else:
        nodes.append(helper.make_node("Less", ["i", case.constant(np.array(d.int(0, 9), np.int64))], ["go_out"]))
    for k, name in enumerate(made):
        nodes.append(helper.make_node("Identity", [name], [f"o{k}"]))
        outputs.append(tensor(f"o{k}"))
    for k in range(scans):
        nodes.append(helper.make_node(d.pick("Identity", "Neg"), [d.pick(*made)], [f"z{k}"]))
        outputs.append(tensor(f"z{k}"))
    if grows:
        inputs.append(tensor("list", shape=[None] + shape[1:]))
        nodes.append(helper.make_node("Concat", ["list", made[0]], ["list_out"], axis=0))
        outputs.insert(carried, tensor("list_out"))
        states.append(case.constant(np.zeros([0] + shape[1:], np.float32)))
    body = helper.make_graph(nodes, "body", inputs, [tensor("go_out", "bool")] + outputs)
    count = case.weight(np.array(trips, np.int64))
    start = case.weight(np.array(go)) if not go or d.flip() else ""
    return case.output(*np.atleast_1d(case.node("Loop", count, start, *states, outputs=len(outputs), body=body)).tolist())


@generator
def scan(d):
    """Scan along any axis and direction, with carried values."""
    case, shape, length = Case(d), d.shape(1, 2, 400, zero=False), d.pick(1, 2, 3, 8, 19)
    carried, slices, scans = d.int(0, 2), d.int(1, 2), d.int(0, 2)
    scans = max(scans, 1 - carried)
    axes = [d.int(0, len(shape)) for _ in range(slices)]
    states = [case.weight(d.values(shape)) for _ in range(carried)]
    for axis in axes:
        states.append(case.weight(d.values(shape[:axis] + [length] + shape[axis:])))
    names = [f"h{k}" for k in range(carried)] + [f"x{k}_in" for k in range(slices)]
    nodes = [helper.make_node("Size", [names[0]], ["outer"])]
    made = step(d, nodes, "a", names, "outer", [case.weight(d.values(shape))] if d.flip() else [])
    outputs = []
    for k in range(carried):
        nodes.append(helper.make_node("Identity", [made[k]], [f"o{k}"]))
        outputs.append(tensor(f"o{k}"))
    for k in range(scans):
        nodes.append(helper.make_node(d.pick("Identity", "Neg"), [d.pick(*made)], [f"z{k}"]))
        outputs.append(tensor(f"z{k}"))
    body = helper.make_graph(nodes, "body", [tensor(name, shape=shape) for name in names], outputs)
    given = d.flip()
    return case.output(*np.atleast_1d(case.node(
        "Scan", *states, outputs=len(outputs), body=body, num_scan_inputs=slices,
        scan_input_axes=[axis - (len(shape) + 1) * d.flip(0.3) for axis in axes],
        scan_input_directions=[d.int(0, 1) for _ in axes] if given else None,
        scan_output_axes=[d.int(-1, len(shape)) for _ in range(scans)] if scans and given else None,
        scan_output_directions=[d.int(0, 1) for _ in range(scans)] if scans and given else None)).tolist())


@generator
def branches(d):
    """If with branches of different work, shape or rank; captured values; nested."""
    case, shape = Case(d), d.shape(1, 3, 600)
    x, y = case.input(d.values(shape)), case.weight(d.values(shape))
    cond = case.weight(np.array(d.flip()))

    def branch(name, depth=0):
        out = name + "u"
        nodes = [helper.make_node(d.pick("Neg", "Exp", "Abs"), [d.pick(x, y)], [out])]
        if d.flip(0.3):
            nodes.append(helper.make_node("ReduceSum", [out], [name + "r"], keepdims=d.int(0, 1)))
            out = name + "r"
        if depth < 2 and d.flip(0.3):
            nodes.append(helper.make_node("If", [cond], [name + "n"], then_branch=branch(name + "t", depth + 1),
                                          else_branch=branch(name + "e", depth + 1)))
            out = name + "n"
        nodes.append(helper.make_node("Identity", [out], [name + "out"]))
        return helper.make_graph(nodes, name, [], [tensor(name + "out")])

    return case.output(case.node("If", cond, then_branch=branch("then"), else_branch=branch("other")))
