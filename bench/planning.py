"""What a network costs before its first answer, and the memory of a run: onnx_infer beside ONNX Runtime.

Time: until the model is loaded and planned (ONNX Runtime: until the session is there), and the first run less the median one
(so that shapes which are planned at the first run count); without a cache folder, and from the one that an earlier start has
filled. All in one process, in turns, the least of several rounds. Memory: the arena of onnx_infer, the most that is alive in it
at once (no plan can do with less), and the most that ONNX Runtime's arena had in use beyond what it held before the run. Inputs and
outputs are the caller's on both sides.
"""
import argparse
import ctypes
import json
import math
import os
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np
from onnx import helper

import engines
import harness
import models

# Places of the functions in ONNX Runtime's table of its C interface, which only grows.
TABLE = {"GetErrorMessage": 2, "CreateEnv": 3, "CreateSession": 7, "Run": 9, "CreateSessionOptions": 10, "SetIntraOpNumThreads": 24,
         "CreateTensorWithDataAsOrtValue": 49, "CreateCpuMemoryInfo": 69, "ReleaseSession": 95, "ReleaseValue": 96,
         "CreateAllocator": 131, "ReleaseAllocator": 132, "GetKeyValue": 297, "ReleaseKeyValuePairs": 300, "AllocatorGetStats": 319}
API_VERSION = 24
P = ctypes.c_void_p


class Peer:
    """ONNX Runtime through its C interface: its Python binding does not show the allocator's statistics."""

    def __init__(self):
        import onnxruntime

        folder = pathlib.Path(onnxruntime.__file__).parent / "capi"
        library = ctypes.CDLL(str(next(folder.glob("libonnxruntime.so*"))))
        library.OrtGetApiBase.restype = ctypes.POINTER(P)
        get_api = ctypes.CFUNCTYPE(P, ctypes.c_uint32)(library.OrtGetApiBase()[0])
        self.table = ctypes.cast(get_api(API_VERSION), ctypes.POINTER(P))
        self.keep = []
        self.environment = self.make("CreateEnv", 3, b"planning")
        self.options = self.make("CreateSessionOptions")
        self.call("SetIntraOpNumThreads", self.options, 1)
        self.memory = self.make("CreateCpuMemoryInfo", 0, 0)

    def function(self, name, result=P):
        return ctypes.CFUNCTYPE(result)(self.table[TABLE[name]])

    def call(self, name, *arguments):
        status = self.function(name)(*arguments)
        if status:
            raise RuntimeError(self.function("GetErrorMessage", ctypes.c_char_p)(P(status)).decode())

    def make(self, name, *arguments):
        made = P()
        self.call(name, *arguments, ctypes.byref(made))
        return made

    def stats(self, session):
        allocator = self.make("CreateAllocator", session, self.memory)
        pairs = self.make("AllocatorGetStats", allocator)
        value = lambda key: int(self.function("GetKeyValue", ctypes.c_char_p)(pairs, key) or 0)  # noqa: E731
        answer = value(b"InUse"), value(b"MaxInUse")
        self.function("ReleaseKeyValuePairs")(pairs)
        self.function("ReleaseAllocator")(allocator)
        return answer

    def value(self, array):
        """The array as a value of ONNX Runtime; None where it is no tensor of numbers."""
        if not isinstance(array, np.ndarray) or array.dtype == object:
            return None
        self.keep.append(array)
        return self.make("CreateTensorWithDataAsOrtValue", self.memory, P(array.ctypes.data), ctypes.c_size_t(array.nbytes),
                         (ctypes.c_int64 * array.ndim)(*array.shape), ctypes.c_size_t(array.ndim),
                         helper.np_dtype_to_tensor_dtype(array.dtype))

    def arena(self, model, inputs, outputs):
        """Bytes in use at most during two runs, beyond those of the session. The outputs (by name: what to write into) are
        not in it, as they are not in the arena of onnx_infer."""
        session = self.make("CreateSession", self.environment, str(model.path).encode(), self.options)
        values, names = (P * len(inputs))(), (ctypes.c_char_p * len(inputs))()
        for k, (port, array) in enumerate(zip(model.inputs, inputs, strict=True)):
            names[k] = port["name"].encode()
            values[k] = self.value(np.ascontiguousarray(array))
        wanted = (ctypes.c_char_p * len(outputs))(*[name.encode() for name in outputs])
        before = self.stats(session)[0]
        for _ in range(2):
            results = (P * len(outputs))(*[self.value(array) for array in outputs.values()])
            self.call("Run", session, None, names, values, ctypes.c_size_t(len(inputs)), wanted, ctypes.c_size_t(len(outputs)), results)
            for value in results:
                self.function("ReleaseValue")(P(value))
        most = self.stats(session)[1]
        for value in values:
            self.function("ReleaseValue")(P(value))
        self.function("ReleaseSession")(session)
        return most - before


class Start(engines.OnnxInfer):
    """One start of onnx_infer; `ms` is its time."""

    def __init__(self, model, inputs, threads, cache):
        self.c = ctypes.CDLL(engines.library())
        for name in ("onnx_infer_last_error", "onnx_infer_error_message"):
            getattr(self.c, name).restype = ctypes.c_void_p
        for name in ("onnx_infer_model_input_count", "onnx_infer_model_output_count"):
            getattr(self.c, name).restype = ctypes.c_size_t
        self.c.onnx_infer_model_input_index.restype = ctypes.c_int64
        options = self.make("onnx_infer_options_create")
        self.call("onnx_infer_options_set_threads", options, ctypes.c_int32(threads))
        self.call("onnx_infer_options_set_cache_dir", options, cache)
        load, create, begin = (getattr(self.c, f"onnx_infer_{name}") for name in ("model_load_file", "plan_create", "context_create"))
        path, loaded, plan, self.context = str(model.path).encode(), P(), P(), P()
        begun = time.perf_counter()  # small networks take less time than Python's own preparations
        failed = load(path, options, ctypes.byref(loaded)) or create(loaded, options, ctypes.byref(plan)) or begin(plan, ctypes.byref(self.context))
        self.ms = (time.perf_counter() - begun) * 1e3
        if failed:
            raise RuntimeError(ctypes.string_at(self.c.onnx_infer_error_message(P(self.c.onnx_infer_last_error()))).decode())
        self.count = self.c.onnx_infer_model_output_count(loaded)
        self.values = (P * self.count)()
        self.bind(model, loaded, inputs)
        self.ms += beyond_median(self.run)
        for value in (*self.values, *self.inputs):
            self.c.onnx_infer_value_release(P(value))
        self.c.onnx_infer_context_free(self.context)
        self.c.onnx_infer_plan_release(plan)
        self.c.onnx_infer_model_release(loaded)
        self.c.onnx_infer_options_free(options)


    def bind(self, model, loaded, inputs):
        """By name: networks whose weights are inputs too have more of them than are fed."""
        self.inputs, self.arrays = (P * self.c.onnx_infer_model_input_count(loaded))(), []
        for port, value in zip(model.inputs, inputs, strict=True):
            at = self.c.onnx_infer_model_input_index(loaded, port["name"].encode())
            self.inputs[at] = (self.strings if value.dtype == object else self.wrapped)(np.asarray(value, order="C")).value

    def wrapped(self, value):
        self.arrays.append(value)
        return self.make("onnx_infer_tensor_wrap", ctypes.c_int32(engines.DTYPES[value.dtype.name]), ctypes.c_int32(value.ndim),
                         (ctypes.c_int64 * value.ndim)(*value.shape), P(value.ctypes.data), ctypes.c_size_t(value.nbytes), None, None)

    def strings(self, value):
        tensor = self.make("onnx_infer_tensor_create", ctypes.c_int32(8), ctypes.c_int32(value.ndim), (ctypes.c_int64 * value.ndim)(*value.shape))
        for k, text in enumerate(value.flat):
            text = text if isinstance(text, bytes) else str(text).encode()
            self.call("onnx_infer_tensor_set_string", tensor, ctypes.c_size_t(k), text, ctypes.c_size_t(len(text)))
        return tensor


def beyond_median(run):
    """Milliseconds of the first run less a median one."""
    first = engines.milliseconds(run)
    return max(first - statistics.median(engines.milliseconds(run) for _ in range(3)), 0)


def start_theirs(model, feed, threads):
    """Milliseconds to the session and to the first answer less a median run, and the outputs' names."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    begun = time.perf_counter()
    session = onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
    spent, outputs = (time.perf_counter() - begun) * 1e3, session.run(None, feed)
    named = dict(zip((port.name for port in session.get_outputs()), outputs, strict=True))
    first = (time.perf_counter() - begun) * 1e3 - spent
    usual = statistics.median(engines.milliseconds(lambda: session.run(None, feed)) for _ in range(3))
    return spent, spent + max(first - usual, 0), named


def plan_memory(model, arguments):
    done = harness.run_tool("bench", model.path, *arguments, "--threads", "1", "--seconds", "0.05", "--json")
    if done.code:
        raise RuntimeError(done.why())
    return json.loads(done.out)


def measure(model, asked, peer):
    models.fetch([model])
    answers = models.Answers(model)
    inputs = models.draw(model, 0)
    arguments, feed = answers.input_files(0), answers.feed(inputs)
    row = {"model": model.id, "start_ms": [], "cached_ms": [], "session_ms": [], "peer_start_ms": []}
    with tempfile.TemporaryDirectory() as folder:
        Start(model, inputs, asked.threads, folder.encode())
        for _ in range(asked.rounds):
            for _ in range(2):  # the second follows one of its own kind: no caches full of another's code
                row["start_ms"].append(Start(model, inputs, asked.threads, None).ms)
            for _ in range(2):
                row["cached_ms"].append(Start(model, inputs, asked.threads, folder.encode()).ms)
            for _ in range(2):
                session, start, outputs = start_theirs(model, feed, asked.threads)
                row["session_ms"].append(session)
                row["peer_start_ms"].append(start)
    row = {key: value if key == "model" else min(value) for key, value in row.items()}
    found = plan_memory(model, arguments)
    arena = peer.arena(model, inputs, outputs) if all(value.dtype != object for value in inputs) else 0
    return {**row, "arena": found["arena_bytes"], "live": found["live_bytes"], "peer_arena": arena}


HEAD = ("| model | start, ms | from the cache | ONNX Runtime's session | its first answer | start / first answer | cache / session "
        "| cache / first answer | arena, KB | alive at once | ONNX Runtime |\n|---|---|---|---|---|---|---|---|---|---|---|")
RATIOS = (("start_ms", "peer_start_ms"), ("cached_ms", "session_ms"), ("cached_ms", "peer_start_ms"))


def ratio(row, ours, theirs):
    """Of times; differences too small to measure count as a hundredth of a millisecond."""
    return max(row[ours], 0.01) / max(row[theirs], 0.01)


def line(row):
    times = " | ".join(f"{row[key]:.2f}" for key in ("start_ms", "cached_ms", "session_ms", "peer_start_ms"))
    ratios = " | ".join(f"{ratio(row, *pair):.2f}" for pair in RATIOS)
    sizes = " | ".join(f"{row[key] / 1024:.0f}" for key in ("arena", "live", "peer_arena"))
    return f"| {row['model']} | {times} | {ratios} | {sizes} |"


def summary(rows, threads):
    mean = [math.exp(statistics.fmean(math.log(ratio(row, *pair)) for row in rows)) for pair in RATIOS]
    late = [row["model"] for row in rows if ratio(row, *RATIOS[1]) > 0.2]
    return (f"{len(rows)} models, {threads} thread{'s' * (threads != 1)}; in the geometric mean: start {mean[0]:.2f} of ONNX Runtime's "
            f"first answer, from the cache {mean[1]:.2f} of its session and {mean[2]:.2f} of its first answer; from the cache over a "
            f"fifth of the session: {', '.join(late) or 'none'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all that ONNX Runtime runs")
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="of both engines; 0: all [%(default)s]")
    parser.add_argument("--markdown", metavar="FILE", help="writes the table there too")
    asked = parser.parse_args()
    asked.threads = asked.threads or len(os.sched_getaffinity(0))
    chosen = [models.by_id(name) for name in asked.models] or models.all_models()
    peer, rows, left_out = Peer(), [], []
    print(HEAD)
    for model in chosen:
        try:
            rows.append(measure(model, asked, peer))
        except Exception as why:  # noqa: BLE001  ONNX Runtime's errors have many types
            left_out.append(f"{model.id}: {str(why).splitlines()[0][:120]}")
            continue
        print(line(rows[-1]), flush=True)
    last = summary(rows, asked.threads) if rows else "no model ran"
    print(last, *(f"left out: {why}" for why in left_out), sep="\n")
    if asked.markdown:
        pathlib.Path(asked.markdown).write_text("\n".join([HEAD, *map(line, rows), "", last, ""]))


if __name__ == "__main__":
    sys.exit(main())
