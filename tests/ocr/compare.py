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
CONFIDENCE_TOLERANCE = 0.01
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


def compare(program, picture, threads, score):
    """Both in turns; the faster of two runs counts, as other programs may run beside. A third reads several times."""
    rounds = [(python_reads(picture, threads, repeat), example_reads(program, picture, threads, repeat))
              for repeat in (1, 1, REPEAT)]
    whole_python, whole_example = (min(pair[i]["whole"] for pair in rounds[:-1]) for i in (0, 1))
    python, example = rounds[-1]
    difference = next(filter(None, (same_text(p["lines"], e["lines"]) for p, e in rounds)), None)
    what = f"{picture.name}: text of {len(python['lines'])} lines"
    score.add(difference is None, f"{what}: {difference}" if difference else what)
    score.add(whole_example <= whole_python, f"{picture.name}: start to finish, threads: {threads}: "
              f"{whole_example:.0f} ms, the Python pipeline {whole_python:.0f} ms")
    print(f"note {picture.name}: networks loaded, fastest of {REPEAT}: {example['read']:.0f} ms, "
          f"the Python pipeline {python['read']:.0f} ms; loading them {example['load']:.0f} and {python['load']:.0f} ms")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    threads = int(os.environ.get("ONNX_INFER_THREADS", "1"))
    score = harness.Score()
    for picture in PICTURES:
        try:
            compare(sys.argv[1], picture, threads, score)
        except (RuntimeError, OSError) as why:
            score.add(False, f"{picture.name}: {why}")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
