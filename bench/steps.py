"""Counts nodes at each stage of the optimizer and the steps of a run, beside ONNX Runtime and, where asked for, tract.

A step is one dispatch of the executor. Both engines are asked by their profiles what they executed for the recipe's
inputs, with bodies of Loop and Scan counted as often as they ran; If, Loop and Scan themselves, which only hand on what
their bodies made, count for neither. ONNX Runtime runs its default providers at ORT_ENABLE_ALL; the nodes of its saved
optimised graph (subgraphs included) are counted beside. Views, which share their input's storage, are no step of ours.
"""
import argparse
import datetime
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import harness
import models

STAGES = ("imported", "typed", "decluttered", "lowered")
TRACT_SECONDS = 60
CONTROL = ("If", "Loop", "Scan", "SequenceMap")
TABLE = re.compile(r"<!-- steps -->.*<!-- end of steps -->", re.DOTALL)


def shape_arguments(model):
    return [word for port in model.inputs if port["shape"]
            for word in ("--shape", f"{port['name']}={'x'.join(map(str, port['shape']))}")]


def nodes_of(text):
    """(name of the operator, whether all its inputs are constant) of each node in a dump, subgraphs included but for what
    fused steps are made of."""
    nodes, within, constants = [], None, {}
    made = set(re.findall(r"^ *(%\S+?):", text, re.MULTILINE))  # a value without a name shows its number, which may be a name
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip())
        if within is not None and depth > within:
            continue
        within = None
        if line.lstrip().startswith("inputs "):
            constants[depth] = set()
        constant = re.match(r" *const (%\S+?):", line)
        if constant:
            constants[depth].update({constant[1]} - made)
        found = re.match(r" *(?:%|_).* = ([A-Za-z0-9_.]+)\((.*?)\)(?: \{| #|$)", line)
        if found:
            inputs = re.findall(r"%[^,)]+", found[2])
            nodes.append((found[1], all(name in constants[depth] for name in inputs)))
            within = depth if found[1] == "onnx_infer.Fused" else None
    return nodes


def stage_nodes(model, stage):
    done = harness.run_tool("inspect", model.path, "--stage", stage, *(shape_arguments(model) if stage == "lowered" else ()))
    if done.code:
        raise RuntimeError(done.why())
    return done.out


def only_shapes(text):
    """Nodes of the lowered graph whose inputs are all constant: with fixed shapes nothing else depends on shapes only."""
    return sum(1 for op, constant in nodes_of(text) if constant and op not in CONTROL and not op.startswith("Random"))


def ours(model, answers):
    done = harness.run_tool("bench", model.path, *answers.input_files(0), "--seconds", 0.001, "--profile", "--json",
                            "--threads", 1)
    if done.code:
        raise RuntimeError(done.why())
    return [step["op"] for step in json.loads(done.out)["steps"] if step["op"] not in CONTROL]


def theirs(model, inputs):
    """Operators that ONNX Runtime executes, and the number of nodes in its optimised graph."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(pathlib.Path(folder) / "optimised.onnx")
        options.enable_profiling = True
        options.profile_file_prefix = str(pathlib.Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
        session.run(None, {port["name"]: value for port, value in zip(model.inputs, inputs, strict=True)})
        events = json.loads(pathlib.Path(session.end_profiling()).read_text())
        graph = onnx.load(options.optimized_model_filepath, load_external_data=False).graph
    ran = [event["args"]["op_name"] for event in events
           if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    return [op for op in ran if op not in CONTROL], count_nodes(graph)


def count_nodes(graph):
    inner = (sub for node in graph.node for attribute in node.attribute for sub in (attribute.g, *attribute.graphs))
    return sum(1 for node in graph.node if node.op_type not in (*CONTROL, "Constant")) + sum(map(count_nodes, inner))


def print_tract_steps(model, folder):
    """Prints how many operators tract executes; its package is looked for in the folder."""
    sys.path.append(folder)
    import tract

    inputs = models.draw(model, 0)
    loaded = tract.onnx().load(str(model.path))
    for k, value in enumerate(inputs):
        dims = "".join(f"{dim}," for dim in value.shape)
        loaded.set_input_fact(k, f"{dims}{value.dtype.kind}{8 * value.dtype.itemsize}")
    profile = json.loads(loaded.into_model().into_runnable().profile_json(list(inputs)))
    print(sum(1 for node in profile["nodes"] if not node["op_name"].startswith(("Source", "Const"))))


def tract_steps(model, folder):
    """The same in a process of its own; None where tract does not take the model, or takes too long."""
    if not folder:
        return None
    try:
        done = subprocess.run([sys.executable, __file__, "--tract", folder, "--tract-alone", model.id], capture_output=True,
                              text=True, timeout=TRACT_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else None


def measure(model, tract):
    answers = models.Answers(model)
    inputs = answers.get(0)[0]
    texts = {stage: stage_nodes(model, stage) for stage in STAGES}
    row = {stage: len([op for op, _ in nodes_of(text) if op not in CONTROL]) for stage, text in texts.items()}
    steps, (ort, saved) = ours(model, answers), theirs(model, inputs)
    return {"id": model.id, **row, "steps": len(steps), "ort_graph": saved, "ort": len(ort), "ratio": len(steps) / len(ort),
            "only_shapes": only_shapes(texts["lowered"]), "tract": tract_steps(model, tract), "ops": steps, "ort_ops": ort}


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def table(rows):
    import onnxruntime

    lines = ["<!-- steps -->",
             f"{datetime.date.today().isoformat()}, `bench/steps --write docs/optimizer.md`, onnxruntime "
             f"{onnxruntime.__version__}: {len(rows)} models, geometric mean of steps / ONNX Runtime's "
             f"{geometric_mean([row['ratio'] for row in rows]):.3f}, more than ONNX Runtime's on "
             f"{sum(row['ratio'] > 1 for row in rows)}, shape-only steps on {sum(row['only_shapes'] > 0 for row in rows)}.", "",
             "| model | imported | typed | decluttered | lowered | **steps** | ONNX Runtime steps | its graph | tract | ratio |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    lines += [f"| {row['id']} | {' | '.join(str(row[stage]) for stage in STAGES)} | **{row['steps']}** | {row['ort']} | "
              f"{row['ort_graph']} | {row['tract'] or ''} | {row['ratio']:.2f} |" for row in rows]
    return "\n".join([*lines, "<!-- end of steps -->"])


def histogram(ops):
    return " ".join(f"{op}:{ops.count(op)}" for op in sorted(set(ops), key=lambda op: (-ops.count(op), op)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="ids; none: all")
    parser.add_argument("--write", type=pathlib.Path, help="a file whose table between <!-- steps --> marks is made anew")
    parser.add_argument("--json", type=pathlib.Path, help="keeps every number")
    parser.add_argument("--ops", action="store_true", help="prints which operators run, ours and ONNX Runtime's")
    parser.add_argument("--tract", metavar="DIR", help="where tract's Python package is: pip install --target DIR tract==0.23.9")
    parser.add_argument("--tract-alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tract_alone:
        return print_tract_steps(models.by_id(args.models[0]), args.tract)
    chosen = models.choose(args.models, True)
    reasons = models.fetch(chosen)
    rows = []
    for model in chosen:
        if model.id in reasons or model.facts.get("unsupported_nodes"):
            print(f"{model.id}: skipped: {reasons.get(model.id, 'has operators that no engine knows')}", flush=True)
            continue
        try:
            row = measure(model, args.tract)
        except Exception as why:  # noqa: BLE001  one model's failure is its line
            print(f"{model.id}: failed: {why}", flush=True)
            continue
        rows.append(row)
        print(f"{row['ratio']:5.2f}  {row['id']:30} {' '.join(f'{row[s]:5}' for s in STAGES)}  steps {row['steps']:5}  "
              f"ort {row['ort']:5}  graph {row['ort_graph']:5}  tract {row['tract']}  shape-only {row['only_shapes']}", flush=True)
        if args.ops:
            print(f"   ours {histogram(row['ops'])}\n   ort  {histogram(row['ort_ops'])}", flush=True)
    if rows:
        print(f"{len(rows)} models, geometric mean {geometric_mean([row['ratio'] for row in rows]):.3f}, "
              f"{sum(row['ratio'] > 1 for row in rows)} with more steps than ONNX Runtime")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    if args.write and rows:
        args.write.write_text(TABLE.sub(lambda _: table(rows), args.write.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
