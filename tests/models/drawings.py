"""Draws graphs at each stage and measures the pictures.

Of each picture: it is XML; every node, input, output and edge of the graph (as the JSON dump has it) is there once; every shape
that is known stands at the result that it is of; no two boxes overlap; all text is inside of its box, as wide as the font is; no
edge passes through a box or a shape; subgraphs are inside their nodes; nothing is outside of the picture. Besides networks there
are generated graphs: wide ones with odd names, and long ones, for which the time must not grow faster than the graph.
The last line is `N passed, M failed`.
"""
import argparse
import bisect
import json
import pathlib
import random
import re
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

import onnx
from onnx import TensorProto, helper
from PIL import ImageFont

import harness
import models

CHOSEN = ("ppocrv4_det", "ppocrv4_rec", "silero_vad", "minilm", "mobilenet_v2")
SIZES = {"ppocrv4_det": ["--shape", "x=1x3x640x640"], "ppocrv4_rec": ["--shape", "x=1x3x48x320"],
         "minilm": ["--dim", "batch=1", "--dim", "seq=128"]}
STAGES = ("imported", "typed", "decluttered", "lowered")
SEED_MODELS = harness.ROOT / "tests" / "data" / "seed-models"
SVG = "{http://www.w3.org/2000/svg}"
SIZE = {"o": (12, True), "d": (10, False), "a": (10, False), "s": (10, False), "l": (11, False), "t": (16, True)}
LONGEST_SHAPE = 40
ODD_NAMES = ('a<b>&"c"', "Größe_и_尺寸", "very/long/" * 30 + "end", "x" * 300, "]]>", "tab\there", "'quoted'")


# --- measures ------------------------------------------------------------------------------------------------------


def font(size, bold):
    """DejaVu Sans, which is wider than most; None where the machine has none."""
    try:
        return ImageFont.truetype("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf", size)
    except OSError:
        return None


FONTS = {kind: font(*facts) for kind, facts in SIZE.items()}


def text_width(kind, text):
    measured = FONTS[kind]
    return measured.getlength(text) if measured else len(text) * SIZE[kind][0] * 0.56


class Box:
    def __init__(self, rect):
        self.left, self.top = float(rect.get("x")), float(rect.get("y"))
        self.right, self.bottom = self.left + float(rect.get("width")), self.top + float(rect.get("height"))

    def overlaps(self, other):
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom

    def holds(self, other, slack=0.0):
        return (self.left <= other.left + slack and other.right <= self.right + slack and self.top <= other.top + slack
                and other.bottom <= self.bottom + slack)

    def has(self, x, y):
        return self.left + 0.5 < x < self.right - 0.5 and self.top + 0.5 < y < self.bottom - 0.5

    def __str__(self):
        return f"({self.left:.0f},{self.top:.0f})-({self.right:.0f},{self.bottom:.0f})"


def text_box(element, kind):
    x, y = float(element.get("x")), float(element.get("y"))
    width = text_width(kind, element.text or "")
    left = x - width / 2 if kind == "s" else x
    place = {"x": left, "y": y - SIZE[kind][0], "width": width, "height": SIZE[kind][0] * 1.2}
    return Box(place)


def points(path):
    """Where a path passes, at every few pixels."""
    numbers = re.findall(r"([MLCQ])([^MLCQ]*)", path)
    at = (0.0, 0.0)
    for kind, text in numbers:
        values = [float(v) for v in text.replace(",", " ").split()]
        ends = [at, *zip(values[::2], values[1::2], strict=True)]
        if kind == "M":
            at = ends[-1]
            yield at
            continue
        steps = int(max(abs(ends[-1][0] - at[0]), abs(ends[-1][1] - at[1])) / 4) + 1
        for k in range(1, steps + 1):
            t, left = k / steps, list(ends)
            while len(left) > 1:  # de Casteljau
                left = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for a, b in zip(left, left[1:], strict=False)]
            yield left[0]
        at = ends[-1]


# --- one picture ---------------------------------------------------------------------------------------------------


def known(value_type):
    return value_type not in ("? ?", "?") and not value_type.startswith("? ?")


def shortened(text, letters=LONGEST_SHAPE):
    front = (letters - 1) // 3
    return text if len(text) <= letters else f"{text[:front]}…{text[len(text) - (letters - 1 - front):]}"


def visible(name):
    """A name as XML can hold it."""
    return "".join(c if c >= " " or c == "\n" else "?" for c in name)


class Picture:
    """One graph of a picture, or of one of its subgraphs, beside what it is of."""

    def __init__(self, group, graph, faults, where):
        self.group, self.graph, self.faults, self.where = group, graph, faults, where
        self.nodes = [e for e in group if e.tag == f"{SVG}g" and e.get("class", "").startswith("n ")]
        self.ports = [e for e in group if e.tag == f"{SVG}g" and e.get("class") == "p"]
        self.paths = [e for e in group if e.tag == f"{SVG}path"]
        self.boxes = {id(e): Box(e.find(f"{SVG}rect[@rx]")) for e in (*self.nodes, *self.ports)}
        self.pills = {id(e): [Box(r) for r in e.findall(f"{SVG}rect[@class='s']")] for e in (*self.nodes, *self.ports)}

    def fault(self, text):
        self.faults.append(f"{self.where}: {text}")

    def check(self):
        self.check_parts()
        self.check_text()
        self.check_overlaps()
        self.check_edges()
        self.check_subgraphs()

    def check_parts(self):
        drawn = [e.get("data-name") for e in self.nodes]
        expected = [visible(node["name"]) for node in self.graph["nodes"]]
        if drawn != expected:
            self.fault(f"{len(drawn)} nodes are drawn, of {len(expected)}")
            return
        values = self.graph["values"]
        inputs = [e for e in self.ports if e.get("data-input") is not None]
        outputs = [e for e in self.ports if e.get("data-output") is not None]
        if len(inputs) != len(self.graph["inputs"]) or len(outputs) != len(self.graph["outputs"]):
            self.fault("not all inputs and outputs are drawn")
        used = {v for node in self.graph["nodes"] for v in node["inputs"] if v is not None} | set(self.graph["outputs"])
        sources = [*zip(self.nodes, (node["outputs"] for node in self.graph["nodes"]), strict=True),
                   *zip(inputs, ([v] for v in self.graph["inputs"]), strict=False)]
        for element, made in sources:
            shapes = [e.text for e in element.findall(f"{SVG}text[@class='s']")]
            wanted = [shortened(values[v]["type"]) for v in made if v is not None and v in used and known(values[v]["type"])]
            if len(wanted) > 6:
                wanted = [f"{len(wanted)} × {wanted[0]}"]
            if shapes != wanted:
                self.fault(f"'{element.get('data-name') or element.get('data-input')}' shows shapes {shapes}, expected {wanted}")

    def check_text(self):
        for element in (*self.nodes, *self.ports):
            box, pills = self.boxes[id(element)], self.pills[id(element)]
            for text in element.findall(f"{SVG}text"):
                kind = text.get("class")
                place = text_box(text, kind)
                if not any(holder.holds(place, 3) for holder in (pills if kind == "s" else [box])):
                    self.fault(f"text '{text.text}' {place} leaves its box {box}")

    def check_overlaps(self):
        flat = [(self.boxes[id(e)], e) for e in (*self.nodes, *self.ports)]
        flat += [(pill, e) for e in (*self.nodes, *self.ports) for pill in self.pills[id(e)]]
        flat.sort(key=lambda item: item[0].top)
        live = []
        for box, element in flat:
            live = [(other, owner) for other, owner in live if other.bottom > box.top]
            for other, _ in live:
                if box.overlaps(other):
                    self.fault(f"boxes overlap: {box} and {other}")
            live.append((box, element))

    def check_edges(self):
        constant = [value["constant"] for value in self.graph["values"]]
        made = {v for node in self.graph["nodes"] for v in node["outputs"] if v is not None} | set(self.graph["inputs"])
        wanted = {}
        for element, node in zip(self.nodes, self.graph["nodes"], strict=False):
            wanted[id(element)] = sum(v is not None and v in made for v in node["inputs"])
        outputs = [e for e in self.ports if e.get("data-output") is not None]
        for element, v in zip(outputs, self.graph["outputs"], strict=False):
            wanted[id(element)] = int(v in made)
        tops = {}
        for element in (*self.nodes, *self.ports):
            tops.setdefault(self.boxes[id(element)].top, []).append(element)
        obstacles = sorted((box for e in (*self.nodes, *self.ports) for box in (self.boxes[id(e)], *self.pills[id(e)])), key=lambda b: b.top)
        starts, tallest = [b.top for b in obstacles], max((b.bottom - b.top for b in obstacles), default=0)
        ports = {(x, box.bottom) for e in (*self.nodes, *self.ports) for box in (self.boxes[id(e)], *self.pills[id(e)])
                 for x in range(int(box.left), int(box.right) + 1)}
        wires = {(int(x) // 6 + i, int(y) // 6 + k) for path in self.paths if path.get("class") != "e"
                 for x, y in points(path.get("d")) for i in (-1, 0, 1) for k in (-1, 0, 1)}
        for path in self.paths:
            way = list(points(path.get("d")))
            if way[0] not in ports and (int(way[0][0]) // 6, int(way[0][1]) // 6) not in wires:
                self.fault(f"a line begins at nothing: ({way[0][0]:.0f},{way[0][1]:.0f})")
            for x, y in way:
                for box in obstacles[bisect.bisect_left(starts, y - tallest):bisect.bisect_right(starts, y)]:
                    if box.has(x, y):
                        self.fault(f"an edge passes through the box {box} at ({x:.0f},{y:.0f})")
                        break
            if path.get("class") == "e":
                x, y = way[-1]
                hit = [e for e in tops.get(y, []) if self.boxes[id(e)].left <= x <= self.boxes[id(e)].right]
                for element in hit:
                    wanted[id(element)] = wanted.get(id(element), 0) - 1
                if not hit:
                    self.fault(f"an edge ends at no box: ({x:.0f},{y:.0f})")
        if any(wanted.values()):
            self.fault(f"{sum(map(abs, wanted.values()))} edges are missing, or too many")
        if not constant and self.paths:
            self.fault("edges without values")

    def check_subgraphs(self):
        for element, node in zip(self.nodes, self.graph["nodes"], strict=False):
            frames = [e for e in element if e.tag == f"{SVG}g" and e.get("class") == "sub"]
            graphs = {} if node["op"].endswith("Fused") else node["graphs"]
            if len(frames) != len(graphs):
                self.fault(f"'{node['name']}' has {len(graphs)} subgraphs, and {len(frames)} are drawn")
                continue
            places = [Box(frame.find(f"{SVG}rect[@class='b']")) for frame in frames]
            for k, (frame, (name, graph)) in enumerate(zip(frames, graphs.items(), strict=True)):
                inner = Picture(frame, graph, self.faults, f"{self.where}/{node['name']}/{name}")
                if not self.boxes[id(element)].holds(places[k]):
                    self.fault(f"subgraph {name} leaves its node '{node['name']}'")
                if any(places[k].overlaps(other) for other in places[:k]):
                    self.fault(f"subgraphs of '{node['name']}' overlap")
                if not all(places[k].holds(box) for box in inner.boxes.values()):
                    self.fault(f"nodes leave their subgraph {name} of '{node['name']}'")
                inner.check()


def draw(model, stage, extra, folder, timeout=60):
    """(faults, seconds) of one picture."""
    svg, dump = folder / "graph.svg", folder / "graph.json"
    took = 0.0
    for path in (dump, svg):
        began = time.process_time(), time.monotonic()
        done = harness.run_tool("inspect", model, "--stage", stage, "--graph", path, *extra, timeout=timeout)
        took = time.monotonic() - began[1]
        if done.code:
            return [done.why()], took
    faults = []
    try:
        root = ElementTree.parse(svg).getroot()
    except ElementTree.ParseError as why:
        return [f"no XML: {why}"], took
    picture = Picture(root, json.loads(dump.read_text()), faults, stage)
    picture.check()
    paper = Box({"x": 0, "y": 0, "width": root.get("width"), "height": root.get("height")})
    outside = [box for e in (*picture.nodes, *picture.ports) for box in (picture.boxes[id(e)], *picture.pills[id(e)]) if not paper.holds(box)]
    if outside:
        faults.append(f"{len(outside)} boxes are outside of the picture")
    heads = [e for e in root.findall(f"{SVG}text") if e.get("class") in ("t", "l")]
    if not heads or stage not in heads[0].text or "nodes" not in heads[1].text:
        faults.append("the head does not say what is drawn")
    faults += [f"the line '{e.text}' leaves the picture" for e in heads if not paper.holds(text_box(e, e.get("class")))]
    return faults, took


# --- generated graphs ----------------------------------------------------------------------------------------------


def generated(nodes, seed, path):
    """A graph of elementwise operators, with operands from anywhere above, and odd names among the others."""
    rng = random.Random(seed)
    made, steps = ["x"], []
    for k in range(nodes):
        name = rng.choice(ODD_NAMES) + str(k) if rng.random() < 0.1 else f"value_{k}"
        reach = 4 if rng.random() < 0.8 else 40 if rng.random() < 0.9 else nodes
        operands = [rng.choice(made[-reach:]) for _ in range(rng.choice((1, 1, 2)))]
        steps.append(helper.make_node("Add" if len(operands) == 2 else rng.choice(("Relu", "Neg", "Tanh")), operands, [name], name=f"{name}/op"))
        made.append(name)
    used = {name for step in steps for name in step.input}
    loose = [name for name in made[1:] if name not in used]
    graph = helper.make_graph(steps, "generated", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in loose[-3:]])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def check_generated(score, folder):
    for seed in range(6):
        generated(200, seed, folder / "model.onnx")
        for stage in ("typed", "lowered"):
            faults, _ = draw(folder / "model.onnx", stage, [], folder)
            score.add(not faults, f"generated graph {seed} {stage}  {'; '.join(faults[:3])}")
    seconds = {}
    for nodes in (2000, 10000):
        generated(nodes, 1, folder / "model.onnx")
        began = time.monotonic()
        done = harness.run_tool("inspect", folder / "model.onnx", "--stage", "typed", "--graph", folder / "graph.svg", timeout=120)
        seconds[nodes] = time.monotonic() - began
        if done.code:
            score.add(False, f"{nodes} nodes  {done.why()}")
            return
    few, many = seconds[2000], seconds[10000]
    score.add(many < 12 * few + 1, f"10,000 nodes take {many:.2f} s, 2,000 {few:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="leave the pictures there")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(CHOSEN)}, and the small ones of the tests")
    args = parser.parse_args()
    harness.tool()
    chosen = models.choose(args.models or CHOSEN, True)
    missing = models.fetch(chosen)
    for name, why in missing.items():
        print(f"skip {name}  {why}")
    files = [(model.id, model.path) for model in chosen if model.id not in missing]
    if not args.models:
        files += [(f"seed-models/{path.parent.name}", path) for path in sorted(SEED_MODELS.glob("*/model.onnx"))]
    score = harness.Score()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, path in files:
            for stage in STAGES:
                faults, _ = draw(path, stage, SIZES.get(name, []), folder)
                score.add(not faults, f"{name} {stage}  {'; '.join(faults[:3])}")
                if args.keep and (folder / "graph.svg").is_file():
                    args.keep.mkdir(parents=True, exist_ok=True)
                    (args.keep / f"{name.replace('/', '_')}_{stage}.svg").write_bytes((folder / "graph.svg").read_bytes())
        if not args.models:
            check_generated(score, folder)
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
