"""Runs each network on drawn inputs with onnx-infer and judges all outputs against ONNX Runtime and a float64 reference.

A line a model; the last line is `N passed, M failed`. Models that cannot be fetched are skipped with the reason.
"""
import argparse
import concurrent.futures
import os
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import numpy_helper

import float64
import harness
import judge
import models

# A quantised network rounds a value near a step's edge one way or the other: one step more or less in its answer.
QUANTISED_FLOOR = 0.03


class Failure(Exception):
    """The tool did not do what it must; the text says how."""


def run(model_path, inputs, count, extra=(), timeout=300):
    """Runs a model and returns its outputs."""
    with tempfile.TemporaryDirectory(dir=models.FILES) as folder:
        folder = models.pathlib.Path(folder)
        done = harness.run_tool("run", model_path, *inputs, "--save", folder, *extra, timeout=timeout)
        if done.code or done.timed_out:
            raise Failure(done.why())
        try:
            return [models.read_output(folder, k) for k in range(count)]
        except (OSError, ValueError) as why:
            raise Failure(str(why)) from None


def reference(model, answers):
    """The float64 answer for draw 0, by the reference evaluators; kept in the cache."""
    kept = answers.load("reference.npz")
    if kept:
        return kept
    with tempfile.TemporaryDirectory(dir=models.FILES) as folder:
        folder = models.pathlib.Path(folder)
        wide = float64.widen(onnx.load(model.path))
        count = len(wide.graph.output)
        onnx.save(wide, folder / "wide.onnx")
        del wide
        arguments = []
        for k, (port, value) in enumerate(zip(model.inputs, models.draw(model, 0), strict=True)):
            value = value.astype(np.float64) if value.dtype.kind == "f" else value
            path = folder / f"input_{k}{'.pb' if value.dtype == object else '.npy'}"
            models.write_input(path, value, port["name"])
            arguments += ["--input", f"{port['name']}={path}"]
        try:
            outputs = run(folder / "wide.onnx", arguments, count, ("--stage", "typed"), timeout=900)
        except Failure as why:
            raise Failure(f"no float64 reference: {why}") from None
    if all(isinstance(value, np.ndarray) for value in outputs):
        answers.store("reference.npz", outputs)
    return outputs


def check_unsupported(model):
    """The right answer is a report that names every node of the operator that no engine has."""
    graph = onnx.load(model.path).graph
    custom = [node.op_type for node in graph.node if node.domain not in ("", "ai.onnx", "ai.onnx.ml")]
    report = harness.run_tool("check", model.path)
    if report.code == 0 or report.crashed or report.timed_out:
        return False, f"check: {report.why() if report.code else 'says that all is well'}"
    text = report.out + report.err
    named = sum(1 for line in text.splitlines() if custom[0] in line and "node" in line.lower())
    if named < len(custom):
        return False, f"check names {named} of {len(custom)} unsupported nodes"
    done = harness.run_tool("run", model.path, "--seed", 0)
    if done.code == 0 or done.crashed or custom[0] not in done.err:
        return False, f"run does not fail by naming {custom[0]}: {done.why()}"
    return True, f"refused; the report names all {len(custom)} {custom[0]} nodes"


def check(model, extra):
    """(ok, text) for one model."""
    if model.facts.get("unsupported_nodes"):
        return check_unsupported(model)
    answers = models.Answers(model)
    theirs = [answers.get(seed)[1] for seed in (0, 1)]
    began = time.monotonic()
    ours = [run(model.path, answers.input_files(seed), len(theirs[0]), extra) for seed in (0, 1)]
    took = time.monotonic() - began
    if "shipped_output" in model.facts:
        data = (models.installed("onnx", model.facts["version"]) / model.facts["shipped_output"]).read_bytes()
        verdict = judge.shipped(ours[0][0], numpy_helper.to_array(onnx.TensorProto.FromString(data)))
        return verdict.ok, f"{verdict.text} (no input moves it)  {took:.1f} s"
    exact = None
    if not model.quantised and any(map(judge.floating, theirs[0])):
        exact = reference(model, answers)
    worst, problems = None, []
    for k in range(len(theirs[0])):
        floor = QUANTISED_FLOOR if model.quantised else judge.FLOOR
        verdict = judge.accuracy(ours[0][k], theirs[0][k], exact and exact[k], floor)
        if worst is None or verdict.error > worst.error:
            worst = verdict
        if not verdict.ok:
            problems.append(f"output {k}: {verdict.text}")
        elif k not in model.facts.get("still_outputs", ()):
            still = judge.movement([o[k] for o in ours], [t[k] for t in theirs], judge.FLOOR if model.quantised else verdict.allowed)
            if still:
                problems.append(f"output {k} {still}")
    return not problems, "; ".join(problems) if problems else f"{worst.text}  {took:.1f} s"


def attempt(model, extra):
    try:
        return check(model, extra)
    except Failure as why:
        return False, str(why)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="also those outside the default list")
    parser.add_argument("--threads", type=int, default=1, help="of each run; default 1")
    parser.add_argument("--isa", help="cap on the instruction set")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="models at a time")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    args = parser.parse_args()
    extra = ["--threads", args.threads] + (["--isa", args.isa] if args.isa else [])
    harness.tool()
    chosen = models.choose(args.models, args.all)
    missing = models.fetch(chosen)
    for name, why in missing.items():
        print(f"skip {name}  {why}")
    score = harness.Score()
    chosen = [model for model in chosen if model.id not in missing]
    chosen.sort(key=lambda model: -os.path.getsize(model.path))
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(attempt, model, extra): model for model in chosen}
        for future in concurrent.futures.as_completed(futures):
            ok, text = future.result()
            score.add(ok, f"{futures[future].id}  {text}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
