"""Runs networks as ONNX Runtime's optimisers write them and holds each against the original file.

Each network is saved at the levels basic and extended of the session's optimiser, and, where it is a transformer, by
onnxruntime.transformers. The answers of onnx-infer to the saved file and to the original must agree. Level `all` is
left out: its blocked weights are in an order that depends on the machine that wrote them.
"""
import argparse
import collections
import logging
import os
import pathlib
import sys
import tempfile

import onnx
import onnxruntime

import harness
import judge
import models
import run

LEVELS = {"basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
          "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED}
CHOSEN = ("dnsmos_p808_v8", "magika", "minilm_l3_fp32", "ppocr_cls", "ppocrv4_rec", "silero_vad", "tashkeel_rawi_int8")
# Networks that onnxruntime.transformers knows: kind, heads, width.
TRANSFORMERS = {"minilm_l6_int8": ("bert", 12, 384), "minilm_l3_fp32": ("bert", 12, 384)}
FLOOR = 1e-4  # of an output's magnitude: other sums in another order
QUANTISED_FLOOR = 0.03


def saved(model, level, path):
    """Writes the network as an optimiser leaves it."""
    if level == "transformers":
        from onnxruntime.transformers import optimizer

        logging.disable(logging.WARNING)
        sys.modules["onnx_model"].OnnxModel.infer_runtime_shape = lambda *_args, **_named: None  # would need sympy, for casts only
        kind, heads, width = TRANSFORMERS[model.id]
        optimizer.optimize_model(str(model.path), model_type=kind, num_heads=heads, hidden_size=width, opt_level=0).save_model_to_file(str(path))
        return
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])


def contributed(path):
    """How many nodes are of com.microsoft."""
    count = collections.Counter()
    for node in onnx.load(path, load_external_data=False).graph.node:
        count[node.domain == "com.microsoft"] += 1
    return count[True]


def check(model, level, answers, original, extra):
    """(ok, text)"""
    with tempfile.TemporaryDirectory(dir=models.FILES) as folder:
        path = pathlib.Path(folder) / "model.onnx"
        saved(model, level, path)
        try:
            ours = run.run(path, answers.input_files(0), len(original), extra)
        except run.Failure as why:
            return False, str(why)
        fused = contributed(path)
    floor = QUANTISED_FLOOR if model.quantised else FLOOR
    verdicts = [judge.accuracy(mine, theirs, None, floor) for mine, theirs in zip(ours, original, strict=True)]
    worst = max(verdicts, key=lambda verdict: (not verdict.ok, verdict.error))
    return worst.ok, f"{worst.text}; {fused} contributed nodes"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="of each run; default 1")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(CHOSEN)}")
    args = parser.parse_args()
    harness.tool()
    chosen = models.choose(args.models or CHOSEN, True)
    missing = models.fetch(chosen)
    for name, why in missing.items():
        print(f"skip {name}  {why}")
    score = harness.Score()
    extra = ["--threads", args.threads]
    for model in sorted((model for model in chosen if model.id not in missing), key=lambda model: os.path.getsize(model.path)):
        answers = models.Answers(model)
        try:
            original = run.run(model.path, answers.input_files(0), len(onnx.load(model.path).graph.output), extra)
        except run.Failure as why:
            score.add(False, f"{model.id}  {why}")
            continue
        for level in (*LEVELS, *(["transformers"] if model.id in TRANSFORMERS else [])):
            ok, text = check(model, level, answers, original, extra)
            score.add(ok, f"{model.id} {level}  {text}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
