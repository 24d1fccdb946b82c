"""How onnx-infer behaves around a run: dynamic axes, memory, models of over 2 GiB, and input that is wrong.

Each failure of the tool must be a documented exit code with a message that says what is wrong and what to do; nothing
may end by a signal. A line a case; the last line is `N passed, M failed`.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import harness
import models

SEEDS = harness.ROOT / "tests" / "data" / "seed-models"

# Exit codes are the statuses of onnx_infer.h.
ARGUMENT, MEMORY, IO, PARSE, MODEL, OPERATOR, TYPE, VERSION = range(1, 9)
SHAPE, DTYPE, NOT_FOUND, DEADLINE, LIMIT = 9, 10, 11, 13, 17

CASES = []


class Wrong(Exception):
    """The tool behaved otherwise than it must; the text says how."""


def case(function):
    CASES.append(function)
    return function


# --- helpers -------------------------------------------------------------------------------------------------------


def fails(done, codes, *words):
    """Checks a clean failure: one of `codes`, and each of `words` (regular expressions) on stderr."""
    if done.timed_out:
        raise Wrong("timed out")
    if done.crashed:
        raise Wrong(done.why())
    codes = codes if isinstance(codes, tuple) else (codes,)
    if done.code not in codes:
        raise Wrong(f"exit code {done.code}, expected {' or '.join(map(str, codes))}: {done.why()[:200]}")
    for word in words:
        if not re.search(word, done.err, re.I):
            raise Wrong(f"the message says nothing of '{word}': {done.err.strip()[:300]}")


def works(done):
    if done.code or done.timed_out:
        raise Wrong(done.why()[:300])
    return done


def value(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def save(folder, nodes, inputs, outputs, initializers=(), name="model.onnx", opset=17, domains=(), functions=()):
    """Writes a model without checking it and returns its path."""
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def relu(folder, shape=(2, 3), dtype=TensorProto.FLOAT):
    return save(folder, [helper.make_node("Relu", ["x"], ["y"], name="act")], [value("x", dtype, shape)],
                [value("y", dtype, shape)])


def array(folder, data, name="x.npy"):
    np.save(folder / name, data)
    return folder / name


def limited(command, limits):
    """Runs a command under resource limits: (Result, peak RSS in bytes)."""
    def set_limits():
        for what, amount in limits.items():
            resource.setrlimit(what, (amount, amount))

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(command, stdout=out, stderr=err, preexec_fn=set_limits)
        _, status, used = os.wait4(child.pid, 0)
        out.seek(0), err.seek(0)
        code = os.waitstatus_to_exitcode(status)
        child.returncode = code
        return harness.Result(code, harness.text(out.read()), harness.text(err.read())), used.ru_maxrss * 1024


# --- dynamic axes --------------------------------------------------------------------------------------------------

SHAPES = ((1, 3, 10, 10), (2, 3, 10, 10), (1, 3, 20, 20))
DYNAMIC = {"model_static": (None, (0, 2, 1), (2, 20, 10)), "model_dynamic_0": (None, None, (2, 20, 10)),
           "model_dynamic_23": (None, (0, 2, 1), None)}


def dynamic_case(model, shape, wrong):
    def run(folder):
        path = SEEDS / model / "model.onnx"
        name = onnx.load(path).graph.input[0].name
        rng = np.random.default_rng(0)
        data = array(folder, rng.standard_normal(shape).astype(np.float32))
        done = harness.run_tool("run", path, "--input", f"{name}={data}", "--save", folder / "out")
        if wrong is None:
            works(done)
            import onnxruntime

            theirs = onnxruntime.InferenceSession(str(path)).run(None, {name: np.load(data)})[0]
            ours = np.load(folder / "out" / "output_0.npy")
            if ours.shape != theirs.shape or not np.allclose(ours, theirs, 1e-4, 1e-5):
                raise Wrong(f"the output of shape {ours.shape} is not ONNX Runtime's")
        else:
            axis, got, expected = wrong
            fails(done, SHAPE, re.escape(name), rf"axis {axis}\b", rf"\b{got}\b", rf"expected {expected}\b",
                  "export|declare|dynamic|resize|pass|give|feed")
    run.__name__ = f"{model}_{'x'.join(map(str, shape))}"
    return run


for _model, _outcomes in DYNAMIC.items():
    for _shape, _wrong in zip(SHAPES, _outcomes, strict=True):
        CASES.append(dynamic_case(_model, _shape, _wrong))


@case
def dimension_without_symbol_is_a_note(folder):
    done = works(harness.run_tool("run", SEEDS / "model_static" / "model.onnx", "--dim", "nosuch=3"))
    if "nosuch" not in done.err:
        raise Wrong("no note that the model has no symbol 'nosuch'")


# --- memory and size -----------------------------------------------------------------------------------------------


@case
def resnet50_memory(folder):
    model = models.by_id("resnet50")
    models.fetch([model])
    limit = 1.5 * model.path.stat().st_size + 30e6
    for threads in (1, 2):
        done, peak = limited([harness.tool(), "run", str(model.path), "--seed", "1", "--threads", str(threads)], {})
        works(done)
        if peak > limit:
            raise Wrong(f"peak RSS {peak / 1e6:.0f} MB with {threads} threads, limit {limit / 1e6:.0f} MB")
    return f"peak RSS {peak / 1e6:.0f} MB, limit {limit / 1e6:.0f} MB"


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, payload_size):
    """Key and length of a length-delimited field."""
    return varint(number << 3 | 2) + varint(payload_size)


WIDTH = 1024  # elements of a row


def huge_model(folder, rows, inline):
    """A model y = sum of Gather(w_k, i) with tables of `rows` rows each, in a sparse file; returns path and tables' last rows.

    Only the last row of each table is written. Messages of this size are beyond protobuf, so the file is put together
    field by field: GraphProto 7 in ModelProto, TensorProto 5 in GraphProto, raw_data 9 in TensorProto.
    """
    names = [f"w{k}" for k in range(len(rows))]
    nodes = [helper.make_node("Gather", [name, "i"], [f"g{name}"]) for name in names]
    nodes.append(helper.make_node("Sum", [f"g{name}" for name in names], ["y"]))
    graph = helper.make_graph(nodes, "g", [value("i", TensorProto.INT64, [1])], [value("y", TensorProto.FLOAT, [1, WIDTH])])
    marks = [np.arange(WIDTH, dtype=np.float32) * (k + 1) for k in range(len(rows))]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    if not inline:
        offset = 0
        with open(folder / "weights.bin", "wb") as file:
            for name, count, mark in zip(names, rows, marks, strict=True):
                tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[count, WIDTH],
                                     data_location=TensorProto.EXTERNAL)
                size = count * WIDTH * 4
                for key, text in (("location", "weights.bin"), ("offset", offset), ("length", size)):
                    tensor.external_data.add(key=key, value=str(text))
                model.graph.initializer.append(tensor)
                offset += size
                file.seek(offset - WIDTH * 4)
                file.write(mark.tobytes())
        path.write_bytes(model.SerializeToString())
        return path, marks
    heads = []
    for name, count in zip(names, rows, strict=True):
        size = count * WIDTH * 4
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[count, WIDTH]).SerializeToString()
        tensor += field(9, size)
        heads.append((field(5, len(tensor) + size) + tensor, size))
    body = model.graph.SerializeToString()
    model.ClearField("graph")
    rest = model.SerializeToString()
    total = len(body) + sum(len(head) + size for head, size in heads)
    with open(path, "wb") as file:
        file.write(rest + field(7, total) + body)
        for (head, size), mark in zip(heads, marks, strict=True):
            file.write(head)
            file.seek(size - WIDTH * 4, os.SEEK_CUR)
            file.write(mark.tobytes())
    return path, marks


def huge_case(name, rows, inline):
    def run(folder):
        free = shutil.disk_usage(folder).free
        if free < 1e9 or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 4e9:
            return "skipped: less than 1 GB of disk or 4 GB of memory"
        path, marks = huge_model(folder, rows, inline)
        index = array(folder, np.array([-1], np.int64), "i.npy")
        done, peak = limited([harness.tool(), "run", str(path), "--input", f"i={index}", "--save", str(folder / "out")], {})
        works(done)
        if not np.array_equal(np.load(folder / "out" / "output_0.npy")[0], sum(marks)):
            raise Wrong("the output is not the sum of the tables' last rows")
        size = sum(rows) * WIDTH * 4
        return f"{size / 2**30:.1f} GiB, peak RSS {peak / 1e6:.0f} MB"
    run.__name__ = name
    CASES.append(run)


huge_case("over_2_gib_inline_in_two_tensors", (300_000, 300_000), True)
huge_case("over_2_gib_inline_in_one_tensor", (600_000,), True)
huge_case("over_2_gib_external", (600_000, 20_000), False)


@case
def threads_give_the_same_bits(folder):
    for name in ("mobilenet_v2", "bilstm", "minilm", "deeplab"):
        model = models.by_id(name)
        models.fetch([model])
        inputs = models.Answers(model).input_files(0)
        answers = []
        for threads in (1, 2, 3):
            works(harness.run_tool("run", model.path, *inputs, "--threads", threads, "--save", folder / f"{name}{threads}"))
            answers.append((folder / f"{name}{threads}" / "output_0.npy").read_bytes())
        if len(set(answers)) > 1:
            raise Wrong(f"{name}: outputs differ between 1, 2 and 3 threads")


@case
def every_instruction_set_agrees(folder):
    model = models.by_id("mobilenet_v2")
    models.fetch([model])
    inputs = models.Answers(model).input_files(0)
    best = None
    for isa in (None, "avx2", "sse2", "generic"):
        out = folder / str(isa)
        works(harness.run_tool("run", model.path, *inputs, "--save", out, *(["--isa", isa] if isa else [])))
        got = np.load(out / "output_0.npy")
        best = got if best is None else best
        if np.max(np.abs(got - best)) > 5e-5 * np.max(np.abs(best)):
            raise Wrong(f"capped at {isa} the output is off by {np.max(np.abs(got - best)):.1e}")


# --- bad files -----------------------------------------------------------------------------------------------------


@case
def a_loop_costs_what_its_turns_cost(folder):
    """1,000 turns of a small body against the same steps one after another; 1.2 is the aim, a busy machine gets leave."""
    turns, rng = 1000, np.random.default_rng(5)
    weight = numpy_helper.from_array((rng.standard_normal((64, 64)) * 0.1).astype(np.float32), "w")

    def cell(name, out):
        return [helper.make_node("MatMul", [name, "w"], [out + "_m"]), helper.make_node("Add", [out + "_m", "x"], [out + "_a"]),
                helper.make_node("Tanh", [out + "_a"], [out])]

    x, y = value("x", TensorProto.FLOAT, (1, 64)), value("y", TensorProto.FLOAT, (1, 64))
    steps = [node for k in range(turns) for node in cell(f"h{k - 1}" if k else "x", "y" if k == turns - 1 else f"h{k}")]
    flat = save(folder, steps, [x], [y], [weight], name="flat.onnx")
    body = helper.make_graph(cell("h", "o") + [helper.make_node("Identity", ["go"], ["on"])], "body",
                             [value("i", TensorProto.INT64, ()), value("go", TensorProto.BOOL, ()), value("h", TensorProto.FLOAT, (1, 64))],
                             [value("on", TensorProto.BOOL, ()), value("o", TensorProto.FLOAT, (1, 64))])
    count = numpy_helper.from_array(np.array(turns, np.int64), "n")
    loop = save(folder, [helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)], [x], [y], [weight, count], name="loop.onnx")
    times = {flat: [], loop: []}
    for _ in range(3):
        for model in (flat, loop):
            done = harness.run_tool("bench", model, "--threads", "1", "--seconds", "0.3", "--json")
            works(done)
            times[model].append(json.loads(done.out)["p50_ms"])
    ratio = min(times[loop]) / min(times[flat])
    if ratio > 1.4:
        raise Wrong(f"the loop takes {ratio:.2f} times as long as its turns one after another")


@case
def loading_is_linear_in_the_graph(folder):
    """From file to plan with 10,000 and with 100,000 nodes: ten times as long, and leave for a busy machine."""
    weight = numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")
    times = []
    for count in (10_000, 100_000):
        nodes, name = [], "x"
        for k in range(count):
            out = "y" if k == count - 1 else f"v{k}"
            op, *more = (("Relu",), ("Add", "x"), ("MatMul", "w"), ("Sigmoid",), ("Softmax",))[k % 5]
            nodes.append(helper.make_node(op, [name, *more], [out]))
            name = out
        model = save(folder, nodes, [value("x", TensorProto.FLOAT, (4, 8))], [value("y", TensorProto.FLOAT, (4, 8))], [weight])
        done = [harness.run_tool("bench", model, "--threads", "1", "--seconds", "0.01", "--json") for _ in range(2)]
        times.append(min(json.loads(works(one).out)["load_ms"] for one in done))
    if times[1] > 20 * times[0]:
        raise Wrong(f"10,000 nodes take {times[0]:.0f} ms, 100,000 take {times[1]:.0f} ms")


@case
def no_such_file(folder):
    fails(harness.run_tool("run", folder / "absent.onnx"), IO, "absent.onnx")


@case
def empty_file(folder):
    (folder / "empty.onnx").write_bytes(b"")
    fails(harness.run_tool("run", folder / "empty.onnx"), (PARSE, MODEL), "empty")


@case
def text_file(folder):
    (folder / "text.onnx").write_text("This is not a model.\n" * 50)
    fails(harness.run_tool("run", folder / "text.onnx"), (PARSE, MODEL), "ONNX|protobuf")


@case
def truncated_file(folder):
    data = (SEEDS / "simple_cnn" / "model.onnx").read_bytes()
    for part in (1, 7, 100, len(data) // 3, len(data) // 2, len(data) - 100, len(data) - 1):
        (folder / "cut.onnx").write_bytes(data[:part])
        fails(harness.run_tool("run", folder / "cut.onnx"), (PARSE, MODEL), "trunc|cut|ends|end of|short|incomplete|no graph|no ONNX")


@case
def truncated_external_data(folder):
    for name in ("model.onnx", "weights.bin"):
        shutil.copy(SEEDS / "simple_cnn_external" / name, folder / name)
    with open(folder / "weights.bin", "r+b") as file:
        file.truncate(1000)
    fails(harness.run_tool("run", folder / "model.onnx"), (IO, PARSE, MODEL), "weights.bin")
    os.remove(folder / "weights.bin")
    fails(harness.run_tool("run", folder / "model.onnx"), (IO, MODEL), "weights.bin")


@case
def external_data_outside_the_folder(folder):
    inside = folder / "model"
    inside.mkdir()
    (folder / "secret.bin").write_bytes(bytes(16))
    os.symlink(folder / "secret.bin", inside / "link.bin")
    for location in ("../secret.bin", str(folder / "secret.bin"), "link.bin", "a/../../secret.bin"):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location)
        path = save(inside, [helper.make_node("Add", ["x", "w"], ["y"])], [value("x", TensorProto.FLOAT, [4])],
                    [value("y", TensorProto.FLOAT, [4])], [tensor])
        fails(harness.run_tool("run", path), (IO, MODEL, ARGUMENT), re.escape(os.path.basename(location)))


@case
def flipped_bytes(folder):
    """Hostile bytes: any status will do, but no signal and no hang."""
    rng = np.random.default_rng(1)
    count = 0
    for name in ("my_module_if", "model_3_script", "dummy_cell_state", "bicubic_resize_dynamic"):
        data = (SEEDS / name / "model.onnx").read_bytes()
        for k in range(25):
            bad = bytearray(data)
            for _ in range(1 + k % 4):
                bad[rng.integers(len(bad))] = rng.integers(256)
            path = folder / "bad.onnx"
            path.write_bytes(bad)
            done = harness.run_tool("run", path, timeout=20)
            if done.crashed or done.timed_out:
                keep = models.FILES / f"crash_{name}_{k}.onnx"
                shutil.copy(path, keep)
                raise Wrong(f"{done.why()} on {keep}")
            if done.code and not done.err.strip():
                raise Wrong(f"exit code {done.code} without a word")
            count += 1
    return f"{count} damaged files"


# --- bad models ----------------------------------------------------------------------------------------------------


@case
def unknown_operators_all_listed(folder):
    names = ["Frobnicate", "Quux", "Custom"]
    nodes = [helper.make_node("Frobnicate", ["x"], ["a"], name="first"),
             helper.make_node("Quux", ["a"], ["b"], name="second"),
             helper.make_node("Custom", ["b"], ["y"], name="third", domain="my.domain")]
    path = save(folder, nodes, [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])], domains=["my.domain"])
    for command in ("run", "check"):
        done = harness.run_tool(command, path)
        done.err += done.out if command == "check" else ""
        fails(done, OPERATOR, *names, "first", "second", "third", "my.domain")


@case
def unknown_operators_in_a_branch(folder):
    inner = helper.make_graph([helper.make_node("Quux", ["x"], ["b"], name="deep")], "then", [], [value("b", TensorProto.FLOAT, [1])])
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "else", [], [value("b", TensorProto.FLOAT, [1])])
    path = save(folder, [helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=other)],
                [value("c", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])])
    fails(harness.run_tool("run", path), OPERATOR, "Quux", "deep")


@case
def unknown_opset(folder):
    path = save(folder, [helper.make_node("Relu", ["x"], ["y"])], [value("x", TensorProto.FLOAT, [1])],
                [value("y", TensorProto.FLOAT, [1])], opset=9999)
    fails(harness.run_tool("run", path), VERSION, "9999")


@case
def cyclic_graph(folder):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], name="one"), helper.make_node("Relu", ["a"], ["b"], name="two")]
    path = save(folder, nodes, [value("x", TensorProto.FLOAT, [1])], [value("b", TensorProto.FLOAT, [1])])
    fails(harness.run_tool("run", path), MODEL, "one|two|'a'|'b'")


@case
def missing_value(folder):
    path = save(folder, [helper.make_node("Add", ["x", "nowhere"], ["y"], name="adder")], [value("x", TensorProto.FLOAT, [1])],
                [value("y", TensorProto.FLOAT, [1])])
    fails(harness.run_tool("run", path), MODEL, "nowhere")


@case
def value_made_twice(folder):
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])]
    path = save(folder, nodes, [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])])
    fails(harness.run_tool("run", path), MODEL, "'?y'?")


@case
def wrong_attribute_type(folder):
    path = save(folder, [helper.make_node("Concat", ["x", "x"], ["y"], name="join", axis="nought")],
                [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [2])])
    fails(harness.run_tool("run", path), MODEL, "axis", "join|Concat")


@case
def missing_attribute(folder):
    path = save(folder, [helper.make_node("Concat", ["x", "x"], ["y"], name="join")],
                [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [2])])
    fails(harness.run_tool("run", path), MODEL, "axis", "join|Concat")


@case
def shapes_that_do_not_fit(folder):
    path = save(folder, [helper.make_node("MatMul", ["x", "w"], ["y"], name="mm")], [value("x", TensorProto.FLOAT, [2, 3])],
                [value("y", TensorProto.FLOAT, [2, 5])], [numpy_helper.from_array(np.zeros((4, 5), np.float32), "w")])
    fails(harness.run_tool("run", path), (SHAPE, MODEL), "mm", "MatMul", r"\b3\b", r"\b4\b")


@case
def types_that_do_not_fit(folder):
    path = save(folder, [helper.make_node("Add", ["x", "w"], ["y"], name="adder")], [value("x", TensorProto.FLOAT, [2])],
                [value("y", TensorProto.FLOAT, [2])], [numpy_helper.from_array(np.zeros(2, np.int64), "w")])
    fails(harness.run_tool("run", path), (DTYPE, MODEL, TYPE), "adder")


@case
def initializer_shorter_than_declared(folder):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1000], raw_data=bytes(16))
    path = save(folder, [helper.make_node("Add", ["x", "w"], ["y"])], [value("x", TensorProto.FLOAT, [1000])],
                [value("y", TensorProto.FLOAT, [1000])], [tensor])
    fails(harness.run_tool("run", path), (MODEL, PARSE), "'?w'?", r"\b(4|16)\b", r"\b(1000|4000)\b")


@case
def absurd_dimensions(folder):
    limit = (MODEL, PARSE, LIMIT, MEMORY, SHAPE)
    for dims in ([1 << 62, 1 << 62], [1 << 40], [-5], [1 << 31, 1 << 31, 1 << 31]):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(16))
        path = save(folder, [helper.make_node("Add", ["x", "w"], ["y"])], [value("x", TensorProto.FLOAT, [1])],
                    [value("y", TensorProto.FLOAT, None)], [tensor])
        fails(harness.run_tool("run", path), limit, "w")
    for shape in ([1 << 50], [1 << 40, 1 << 40]):
        size = numpy_helper.from_array(np.array(shape, np.int64), "s")
        path = save(folder, [helper.make_node("ConstantOfShape", ["s"], ["c"], name="fill"), helper.make_node("Add", ["c", "x"], ["y"])],
                    [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, None)], [size])
        fails(harness.run_tool("run", path), limit, "fill|ConstantOfShape|bytes|elements|memory")
        path = save(folder, [helper.make_node("Relu", ["x"], ["y"])], [value("x", TensorProto.FLOAT, shape)],
                    [value("y", TensorProto.FLOAT, shape)])
        fails(harness.run_tool("run", path), limit, "'?x'?")


@case
def deep_nesting(folder):
    """3,000 If operators inside one another, written from the inside out: protobuf's own writer stops earlier."""
    body = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [], [value("y", TensorProto.FLOAT, [1])])
    graph = body.SerializeToString()
    node = helper.make_node("If", ["c"], ["y"]).SerializeToString()
    out = body.output[0].SerializeToString()
    tail = field(12, len(out)) + out + field(2, 1) + b"g"
    for _ in range(3000):
        branches = b""
        for name in (b"then_branch", b"else_branch"):
            inner = graph if name == b"then_branch" else body.SerializeToString()
            attribute = field(1, len(name)) + name + field(6, len(inner)) + inner + varint(20 << 3) + varint(5)
            branches += field(5, len(attribute)) + attribute
        inner = node + branches
        graph = field(1, len(inner)) + inner + tail
    for name, dtype in (("c", TensorProto.BOOL), ("x", TensorProto.FLOAT)):
        port = value(name, dtype, [] if name == "c" else [1]).SerializeToString()
        graph += field(11, len(port)) + port
    opset = helper.make_opsetid("", 17).SerializeToString()
    (folder / "deep.onnx").write_bytes(varint(8) + varint(8) + field(7, len(graph)) + graph + field(8, len(opset)) + opset)
    fails(harness.run_tool("run", folder / "deep.onnx"), (LIMIT, PARSE, MODEL), "deep|depth|nest")


@case
def endless_loop_meets_its_deadline(folder):
    body = helper.make_graph([helper.make_node("Identity", ["c_in"], ["c_out"]), helper.make_node("Add", ["v_in", "x"], ["v_out"])],
                             "body", [value("n", TensorProto.INT64, []), value("c_in", TensorProto.BOOL, []),
                                      value("v_in", TensorProto.FLOAT, [1])],
                             [value("c_out", TensorProto.BOOL, []), value("v_out", TensorProto.FLOAT, [1])])
    true = numpy_helper.from_array(np.array(True), "true")
    path = save(folder, [helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)], [value("x", TensorProto.FLOAT, [1])],
                [value("y", TensorProto.FLOAT, [1])], [true])
    fails(harness.run_tool("run", path, "--timeout", "0.5", timeout=60), DEADLINE, "deadline|time")


# --- bad input -----------------------------------------------------------------------------------------------------


@case
def wrong_input_type(folder):
    data = array(folder, np.zeros((2, 3), np.int64))
    fails(harness.run_tool("run", relu(folder), "--input", f"x={data}"), DTYPE, "'?x'?", "int64", "float")


@case
def wrong_input_rank(folder):
    data = array(folder, np.zeros(6, np.float32))
    fails(harness.run_tool("run", relu(folder), "--input", f"x={data}"), SHAPE, "'?x'?", r"rank 1|rank: 1|1 dim", r"\b2\b")


@case
def unknown_input_name(folder):
    data = array(folder, np.zeros((2, 3), np.float32))
    fails(harness.run_tool("run", relu(folder), "--input", f"nosuch={data}"), (NOT_FOUND, ARGUMENT), "nosuch", "'?x'?")


@case
def unreadable_input_files(folder):
    path = relu(folder)
    fails(harness.run_tool("run", path, "--input", f"x={folder / 'absent.npy'}"), IO, "absent.npy")
    (folder / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff")
    fails(harness.run_tool("run", path, "--input", f"x={folder / 'bad.npy'}"), (IO, PARSE, ARGUMENT), "bad.npy")
    good = array(folder, np.zeros((2, 3), np.float32)).read_bytes()
    (folder / "cut.npy").write_bytes(good[:-5])
    fails(harness.run_tool("run", path, "--input", f"x={folder / 'cut.npy'}"), (IO, PARSE, ARGUMENT), "cut.npy")
    (folder / "bad.pb").write_bytes(b"\xff\xff\xff\xff")
    fails(harness.run_tool("run", path, "--input", f"x={folder / 'bad.pb'}"), (IO, PARSE, ARGUMENT), "bad.pb")
    huge = struct.pack("<H", 118) + b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904), }".ljust(117) + b"\n"
    (folder / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + huge)
    fails(harness.run_tool("run", path, "--input", f"x={folder / 'huge.npy'}"), (IO, PARSE, ARGUMENT, LIMIT, SHAPE), "huge.npy|'?x'?")


@case
def missing_input_in_a_test_directory(folder):
    shutil.copytree(SEEDS / "dummy_cell_state", folder / "case")
    os.remove(folder / "case" / "test_data_set_0" / "input_1.pb")
    done = harness.run_tool("verify", folder / "case")
    done.err += done.out
    if not done.out.strip().endswith("0 passed, 1 failed"):
        raise Wrong(f"the last line is not '0 passed, 1 failed': {done.out.strip()[-200:]}")
    fails(done, tuple(range(1, 30)), "input")


@case
def index_out_of_range(folder):
    path = save(folder, [helper.make_node("Gather", ["w", "i"], ["y"], name="pick")], [value("i", TensorProto.INT64, [1])],
                [value("y", TensorProto.FLOAT, [1])], [numpy_helper.from_array(np.zeros(4, np.float32), "w")])
    index = array(folder, np.array([4], np.int64), "i.npy")
    fails(harness.run_tool("run", path, "--input", f"i={index}"), tuple(range(1, 30)), "pick|Gather", r"\b4\b")


@case
def initializers_that_are_inputs_are_not_drawn(folder):
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = save(folder, [helper.make_node("Mul", ["x", "w"], ["y"])],
                [value("x", TensorProto.FLOAT, [2, 3]), value("w", TensorProto.FLOAT, [2, 3])],
                [value("y", TensorProto.FLOAT, [2, 3])], [numpy_helper.from_array(weight, "w")])
    data = array(folder, np.full((2, 3), 2, np.float32))
    works(harness.run_tool("run", path, "--input", f"x={data}", "--save", folder / "out"))
    if not np.array_equal(np.load(folder / "out" / "output_0.npy"), 2 * weight):
        raise Wrong("the output is not twice the initializer")
    works(harness.run_tool("run", path, "--input", f"x={data}", "--input", f"w={data}", "--save", folder / "out"))
    if not np.array_equal(np.load(folder / "out" / "output_0.npy"), np.full((2, 3), 4, np.float32)):
        raise Wrong("a given input does not override its initializer")


@case
def drawn_inputs_depend_on_the_seed_alone(folder):
    path = relu(folder, (40, 30))
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        works(harness.run_tool("run", path, "--seed", seed, "--save", folder / name))
    a, b, c = (np.load(folder / name / "output_0.npy") for name in "abc")
    if not np.array_equal(a, b) or np.array_equal(a, c):
        raise Wrong("the same seed gives other inputs, or another seed the same")
    if not 0.3 < a.mean() < 0.5:  # Relu of normal(0, 1) has mean 0.4
        raise Wrong(f"floats are not normal(0, 1): the mean of their positive part is {a.mean():.2f}")


# --- limits of the machine -----------------------------------------------------------------------------------------


@case
def out_of_memory(folder):
    model = models.by_id("resnet50")
    models.fetch([model])
    for room in (90, 130, 180, 230):
        done, _ = limited([harness.tool(), "run", str(model.path), "--threads", "1"], {resource.RLIMIT_AS: room << 20})
        if done.code:
            fails(done, (MEMORY, IO, LIMIT, 127), "memory|map|allocat|library")


@case
def deadline(folder):
    model = models.by_id("resnet50")
    models.fetch([model])
    fails(harness.run_tool("run", model.path, "--timeout", "0.001"), DEADLINE, "deadline|time")


@case
def wrong_command_lines(folder):
    path = relu(folder)
    for words in ((), ("nosuch",), ("run",), ("run", path, "--nosuch"), ("run", path, "--threads", "many"), ("run", path, "--isa", "nosuch"),
                  ("run", path, "--backend", "nosuch"), ("run", path, "--input", "x"), ("run", path, "--shape", "x=2xq"),
                  ("inspect", path, "--stage", "nosuch")):
        done = harness.run_tool(*words)
        if done.code == 0 or done.crashed or not done.err.strip():
            raise Wrong(f"onnx-infer {' '.join(map(str, words))}: exit code {done.code}, says: {done.why()}")
    for words in (("--help",), *((command, "--help") for command in ("run", "inspect", "check", "verify", "bench"))):
        done = works(harness.run_tool(*words))
        if len(done.out) < 100:
            raise Wrong(f"onnx-infer {' '.join(words)} says little: {done.out!r}")


@case
def seed_models_at_every_stage(folder):
    count = sum(1 for _ in SEEDS.glob("*/model.onnx"))
    for stage in ("typed", "decluttered", "lowered", "placed"):
        for threads in (1, 2):
            done = harness.run_tool("verify", SEEDS, "--stage", stage, "--threads", threads)
            if done.code or not done.out.strip().endswith(f"{count} passed, 0 failed"):
                lines = [line for line in (done.out + done.err).splitlines() if line.strip()]
                raise Wrong(f"stage {stage}, {threads} threads: {' | '.join(lines[:6])[:400]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", metavar="REGEX", default="", help="only cases whose name it finds")
    args = parser.parse_args()
    harness.tool()
    models.FILES.mkdir(parents=True, exist_ok=True)
    score = harness.Score()
    for run in CASES:
        if not re.search(args.filter, run.__name__):
            continue
        harness.progress(run.__name__)
        with tempfile.TemporaryDirectory(dir=models.FILES) as folder:
            try:
                note = run(pathlib.Path(folder))
                score.add(True, run.__name__ + (f"  {note}" if note else ""))
            except (Wrong, OSError) as why:
                score.add(False, f"{run.__name__}  {why}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
