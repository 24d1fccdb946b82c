"""Times networks in onnx_infer and in ONNX Runtime on this machine, by turns, and checks that their outputs agree.

Each engine has a process of its own; they take turns in short blocks (A B A B), so that what else the machine does hits
both alike. Printed: median, the middle half of the runs, how many times ONNX Runtime's median ours is, and the same of
the best runs, which a busy machine disturbs least.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import engines
import harness
import models

BLOCK_SECONDS = 0.15
PAUSE_SECONDS = 0.03  # lets the other engine's threads stop spinning
AGREE = 1e-3          # of an output's largest magnitude; tests/models judges accuracy closely


class Worker:
    """An engine's process."""

    def __init__(self, engine, model, threads, isa):
        command = [sys.executable, engines.__file__, engine, model.id, str(threads), *([isa] if isa else [])]
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.times = []
        self.start = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            lines = harness.text(self.errors.read()).strip().splitlines()
            raise RuntimeError(lines[-1] if lines else f"ended with code {self.process.returncode}")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def block(self, runs):
        time.sleep(PAUSE_SECONDS)
        self.ask(runs=1)
        self.times += self.ask(runs=runs)

    def outputs(self, folder):
        path = pathlib.Path(folder) / "outputs.npz"
        self.ask(save=str(path))
        with np.load(path) as kept:
            return [kept[name] for name in kept.files]

    def summary(self):
        low, middle, high = statistics.quantiles(self.times, n=4) if len(self.times) > 1 else self.times * 3
        return {**self.start, "p50_ms": middle, "p25_ms": low, "p75_ms": high, "min_ms": min(self.times), "runs": len(self.times)}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def disagreement(ours, theirs):
    """The largest difference of any output, relative to its magnitude."""
    worst = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        if mine.shape != other.shape:
            return float("inf")
        if other.size:
            magnitude = float(np.max(np.abs(other.astype(np.float64)))) or 1.0
            worst = max(worst, float(np.max(np.abs(mine.astype(np.float64) - other))) / magnitude)
    return worst


def compare(model, threads, seconds, isa):
    """One line of the table as a dict; key "error" where an engine failed."""
    row = {"model": model.id, "threads": threads}
    workers = {}
    try:
        for name in engines.ENGINES:
            workers[name] = Worker(name, model, threads, isa if name == "onnx_infer" else None)
        with tempfile.TemporaryDirectory() as folder:
            row["disagreement"] = disagreement(*(worker.outputs(folder) for worker in workers.values()))
        once = {name: max(min(worker.ask(runs=2)), 1e-3) for name, worker in workers.items()}
        blocks = max(2, round(seconds / BLOCK_SECONDS))
        for _ in range(blocks):
            for name, worker in workers.items():
                worker.block(max(1, int(BLOCK_SECONDS * 1e3 / once[name])))
        for name, worker in workers.items():
            row[name] = worker.summary()
        for ratio, key in (("ratio", "p50_ms"), ("ratio_of_best", "min_ms")):
            row[ratio] = row["onnx_infer"][key] / row["onnxruntime"][key]
    except (RuntimeError, OSError) as why:
        row["error"] = str(why)
    finally:
        for worker in workers.values():
            worker.close()
    return row


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    import onnxruntime

    return {"cpu": names[0] if names else "unknown", "cpus": len(names), "onnxruntime": onnxruntime.__version__}


def line(row):
    head = f"{row['model']:<22} {row['threads']:>2}"
    if "error" in row:
        return f"{head}  failed: {row['error'][:120]}"
    cells = [f"{e['p50_ms']:>9.2f} ({e['p25_ms']:.2f}..{e['p75_ms']:.2f})" for e in (row["onnx_infer"], row["onnxruntime"])]
    note = "" if row["disagreement"] <= AGREE else f"  outputs differ by {row['disagreement']:.1e}"
    return f"{head} {cells[0]:<28} {cells[1]:<28} {row['ratio']:>6.2f} {row['ratio_of_best']:>6.2f}{note}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="1,2", help="thread counts; default %(default)s")
    parser.add_argument("--seconds", type=float, default=3, help="for each engine, model and thread count; default %(default)s")
    parser.add_argument("--isa", help="cap on onnx_infer's instruction set")
    parser.add_argument("--json", metavar="FILE", help="also write everything as JSON; - for stdout alone")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="ids of tests/models; default: the weightless float32 networks")
    args = parser.parse_args()
    engines.library()
    chosen = models.choose(args.models, False)
    if not args.models:
        chosen = [model for model in chosen if model.light]
    out = sys.stderr if args.json == "-" else sys.stdout
    for name, why in models.fetch(chosen).items():
        print(f"skip {name}  {why}", file=out)
    chosen = [model for model in chosen if model.path.is_file()]
    report = {**machine(), "rows": []}
    print(f"{report['cpu']}, onnxruntime {report['onnxruntime']}; medians in ms, the middle half in brackets", file=out)
    print(f"{'model':<22} {'threads'[:2]:>2} {'     onnx_infer':<28} {'     ONNX Runtime':<28} {'ratio':>6} {'best':>6}", file=out)
    for model in chosen:
        for threads in map(int, args.threads.split(",")):
            row = compare(model, threads, args.seconds, args.isa)
            report["rows"].append(row)
            print(line(row), file=out, flush=True)
    if args.json == "-":
        print(json.dumps(report, indent=1))
    elif args.json:
        pathlib.Path(args.json).write_text(json.dumps(report, indent=1) + "\n")
    bad = sum("error" in row or row["disagreement"] > AGREE for row in report["rows"])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
