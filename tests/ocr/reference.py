"""Reads pictures with the OCR package's own Python pipeline; prints what it read and how long it took as JSON.

Usage: reference.py THREADS REPEAT PICTURE...   (PYTHONPATH holds the unpacked package)
"""
import json
import sys
import time

STARTED = time.perf_counter()
from rapidocr_onnxruntime import RapidOCR  # noqa: E402  (its import is part of the time of a start)


def main():
    threads, repeat, pictures = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    imported = time.perf_counter()
    pipeline = RapidOCR(intra_op_num_threads=threads)
    loaded = time.perf_counter()
    report = {"import_ms": 1e3 * (imported - STARTED), "load_ms": 1e3 * (loaded - imported), "pictures": []}
    for picture in pictures:
        times = []
        for _ in range(repeat):
            begun = time.perf_counter()
            lines, _ = pipeline(picture)
            times.append(1e3 * (time.perf_counter() - begun))
        texts = [[text, float(score)] for _, text, score in lines or []]
        report["pictures"].append({"lines": texts, "first_ms": times[0], "best_ms": min(times)})
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
