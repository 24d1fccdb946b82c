"""Compares the ocr example with the package's own Python pipeline: the text line by line, and the time of both.

Usage: compare.py OCR   (the built example). Threads: ONNX_INFER_THREADS, by default 1 for both.
"""
import json
import os
import re
import subprocess
import sys
import time

import harness

PACKAGE = harness.CACHE / "models" / "rapidocr_onnxruntime-1.4.4"
PICTURES = [harness.ROOT / "examples" / "data" / name for name in ("receipt.png", "notice.jpg")]
REPEAT = 3
CONFIDENCE_TOLERANCE = 0.05
REPORT = re.compile(r"\d+ lines in ([\d.]+) ms: .*; networks loaded in ([\d.]+) ms")


def timed(command, env=None):
    """Runs a command; returns its output and its milliseconds from start to finish."""
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})})
    elapsed = 1e3 * (time.perf_counter() - begun)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {harness.Result(done.returncode, done.stdout, done.stderr).why()}")
    return done.stdout, elapsed


def python_reads(picture, threads, repeat):
    script = harness.ROOT / "tests" / "ocr" / "reference.py"
    command = [sys.executable, str(script), str(threads), str(repeat), str(picture)]
    out, whole = timed(command, {"PYTHONPATH": str(PACKAGE)})
    report = json.loads(out)
    page = report["pictures"][0]
    return {"lines": page["lines"], "whole": whole, "load": report["load_ms"], "read": page["best_ms"]}


def example_reads(program, picture, threads, repeat):
    models = PACKAGE / "rapidocr_onnxruntime" / "models"
    options = ["--models", str(models), "--threads", str(threads), "--repeat", str(repeat)]
    out, whole = timed([program, *options, str(picture)])
    lines = [[m[2], float(m[1])] for m in re.finditer(r"^ *\d+  (\d\.\d+)  (.*)$", out, re.MULTILINE)]
    times = REPORT.search(out)
    if not times:
        raise RuntimeError("the example printed no times")
    return {"lines": lines, "whole": whole, "load": float(times[2]), "read": float(times[1])}


def same_text(expected, got):
    """None, or the first difference."""
    if not expected:
        return "the Python pipeline read nothing"
    for n, (want, have) in enumerate(zip(expected, got), 1):
        if want[0] != have[0]:
            return f"line {n}: got {have[0]!r}, expected {want[0]!r}"
        if abs(want[1] - have[1]) > CONFIDENCE_TOLERANCE:
            return f"line {n} {want[0]!r}: confidence {have[1]:.3f}, expected {want[1]:.3f}"
    return None if len(expected) == len(got) else f"{len(got)} lines, expected {len(expected)}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program, threads = sys.argv[1], int(os.environ.get("ONNX_INFER_THREADS", "1"))
    score = harness.Score()
    for picture in PICTURES:
        try:
            python, example = python_reads(picture, threads, 1), example_reads(program, picture, threads, 1)
            difference = same_text(python["lines"], example["lines"])
            score.add(difference is None, f"{picture.name}: text of {len(python['lines'])} lines" +
                      (f": {difference}" if difference else ""))
            score.add(example["whole"] <= python["whole"], f"{picture.name}: start to finish, threads: {threads}: "
                      f"{example['whole']:.0f} ms, the Python pipeline {python['whole']:.0f} ms")
            python = python_reads(picture, threads, REPEAT)
            example = example_reads(program, picture, threads, REPEAT)
            print(f"note {picture.name}: loaded networks, best of {REPEAT}: {example['read']:.0f} ms, "
                  f"the Python pipeline {python['read']:.0f} ms (loading: {example['load']:.0f} and {python['load']:.0f} ms)")
        except (RuntimeError, OSError) as why:
            score.add(False, f"{picture.name}: {why}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
