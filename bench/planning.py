"""What a network costs before its first answer, and the memory of a run: onnx_infer beside ONNX Runtime.

Time: from the file to the first answer, less the median run (so that shapes which are planned at the first run count),
on one thread, the least of several rounds taken in turns. Memory: the arena of onnx_infer, the most that is alive in it at
once (no plan can do with less), and the most that ONNX Runtime's arena had in use beyond what it held before the run. Inputs and
outputs are the caller's on both sides.
"""
import argparse
import ctypes
import json
import math
import pathlib
import statistics
import sys
import time

import numpy as np
from onnx import helper

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


def start_theirs(model, feed):
    """Milliseconds to the first answer less a median run, and the outputs by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    begun = time.perf_counter()
    session = onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, feed)
    first, runs = time.perf_counter() - begun, []
    for _ in range(3):
        begun = time.perf_counter()
        session.run(None, feed)
        runs.append(time.perf_counter() - begun)
    return max(first - statistics.median(runs), 0) * 1e3, dict(zip((port.name for port in session.get_outputs()), outputs, strict=True))


def start_ours(model, arguments):
    done = harness.run_tool("bench", model.path, *arguments, "--threads", "1", "--seconds", "0.05", "--json")
    if done.code:
        raise RuntimeError(done.why())
    found = json.loads(done.out)
    return max(found["load_ms"] + found["first_ms"] - found["p50_ms"], 0), found


def measure(model, rounds, peer):
    models.fetch([model])
    answers = models.Answers(model)
    inputs = models.draw(model, 0)
    arguments, feed = answers.input_files(0), answers.feed(inputs)
    ours, theirs = [], []
    for _ in range(rounds):
        spent, found = start_ours(model, arguments)
        ours.append(spent)
        spent, outputs = start_theirs(model, feed)
        theirs.append(spent)
    arena = peer.arena(model, inputs, outputs) if all(value.dtype != object for value in inputs) else 0
    return {"model": model.id, "start_ms": min(ours), "peer_start_ms": min(theirs), "arena": found["arena_bytes"],
            "live": found["live_bytes"], "peer_arena": arena}


HEAD = ("| model | start, ms | ONNX Runtime | ratio | arena, KB | alive at once | ONNX Runtime |\n"
        "|---|---|---|---|---|---|---|")


def ratio(row):
    """Of the times; differences too small to measure count as a hundredth of a millisecond."""
    return max(row["start_ms"], 0.01) / max(row["peer_start_ms"], 0.01)


def line(row):
    return (f"| {row['model']} | {row['start_ms']:.1f} | {row['peer_start_ms']:.1f} | {ratio(row):.2f} "
            f"| {row['arena'] / 1024:.0f} | {row['live'] / 1024:.0f} | {row['peer_arena'] / 1024:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all that ONNX Runtime runs")
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts [%(default)s]")
    parser.add_argument("--markdown", metavar="FILE", help="writes the table there too")
    asked = parser.parse_args()
    chosen = [models.by_id(name) for name in asked.models] or models.all_models()
    peer, rows, left_out = Peer(), [], []
    print(HEAD)
    for model in chosen:
        try:
            rows.append(measure(model, asked.rounds, peer))
        except Exception as why:  # noqa: BLE001  ONNX Runtime's errors have many types
            left_out.append(f"{model.id}: {str(why).splitlines()[0][:120]}")
            continue
        print(line(rows[-1]), flush=True)
    mean = math.exp(statistics.fmean(math.log(ratio(row)) for row in rows))
    last = f"{len(rows)} models; start in the geometric mean {mean:.2f} of ONNX Runtime's"
    print(last, *(f"left out: {why}" for why in left_out), sep="\n")
    if asked.markdown:
        pathlib.Path(asked.markdown).write_text("\n".join([HEAD, *map(line, rows), "", last, ""]))


if __name__ == "__main__":
    sys.exit(main())
