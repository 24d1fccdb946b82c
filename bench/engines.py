"""The engines that are compared, each in a process of its own that runs a model when asked.

A worker reads a line of JSON on stdin for each request ({"runs": N} or {"save": FILE}) and answers with one on stdout.
Inputs are drawn as the tests draw them.
"""
import ctypes
import json
import os
import pathlib
import resource
import sys
import time

import numpy as np

import harness
import models

DTYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
          "float64": 11, "uint32": 12, "uint64": 13}


def library():
    """Path of libonnx_infer.so: ONNX_INFER_LIB, else a build folder of this tree."""
    named = os.environ.get("ONNX_INFER_LIB")
    if named:
        return named
    for build in ("_build", "build", "."):
        path = harness.ROOT / build / ".libs" / "libonnx_infer.so"
        if path.is_file():
            return str(path)
    harness.skip("no libonnx_infer.so found: build it, or name it in ONNX_INFER_LIB")


class OnnxRuntime:
    def __init__(self, path, threads, isa):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def bind(self, inputs):
        self.feed = {port.name: value for port, value in zip(self.session.get_inputs(), inputs, strict=True)}

    def run(self):
        self.outputs = self.session.run(None, self.feed)


class OnnxInfer:
    """The C interface through ctypes; handles live until the process ends."""

    def __init__(self, path, threads, isa):
        self.c = ctypes.CDLL(library())
        for name in ("onnx_infer_last_error", "onnx_infer_error_message", "onnx_infer_tensor_data", "onnx_infer_tensor_dims"):
            getattr(self.c, name).restype = ctypes.c_void_p
        for name in ("onnx_infer_model_output_count", "onnx_infer_tensor_bytes"):
            getattr(self.c, name).restype = ctypes.c_size_t
        options = self.make("onnx_infer_options_create")
        self.call("onnx_infer_options_set_threads", options, ctypes.c_int32(threads))
        if isa:
            self.call("onnx_infer_options_set_cpu_isa", options, isa.encode())
        model = self.make("onnx_infer_model_load_file", path.encode(), options)
        plan = self.make("onnx_infer_plan_create", model, options)
        self.context = self.make("onnx_infer_context_create", plan)
        self.count = self.c.onnx_infer_model_output_count(model)
        self.values = (ctypes.c_void_p * self.count)()

    def call(self, name, *arguments):
        if getattr(self.c, name)(*arguments):
            message = self.c.onnx_infer_error_message(ctypes.c_void_p(self.c.onnx_infer_last_error()))
            raise RuntimeError(f"{name}: {ctypes.string_at(message).decode()}")

    def make(self, name, *arguments):
        handle = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def bind(self, inputs):
        self.arrays = [np.asarray(value, order="C") for value in inputs]
        handles = [self.make("onnx_infer_tensor_wrap", ctypes.c_int32(DTYPES[value.dtype.name]), ctypes.c_int32(value.ndim),
                             (ctypes.c_int64 * value.ndim)(*value.shape), ctypes.c_void_p(value.ctypes.data),
                             ctypes.c_size_t(value.nbytes), None, None) for value in self.arrays]
        self.inputs = (ctypes.c_void_p * len(handles))(*[handle.value for handle in handles])

    def run(self):
        for k in range(self.count):
            self.c.onnx_infer_value_release(ctypes.c_void_p(self.values[k]))
            self.values[k] = None
        self.call("onnx_infer_run", self.context, None, ctypes.c_size_t(len(self.inputs)), self.inputs,
                  ctypes.c_size_t(self.count), self.values)

    @property
    def outputs(self):
        names = {number: name for name, number in DTYPES.items()}
        result = []
        for handle in map(ctypes.c_void_p, self.values):
            rank = self.c.onnx_infer_tensor_rank(handle)
            dims = ctypes.cast(self.c.onnx_infer_tensor_dims(handle), ctypes.POINTER(ctypes.c_int64))[:rank]
            data = ctypes.string_at(self.c.onnx_infer_tensor_data(handle), self.c.onnx_infer_tensor_bytes(handle))
            result.append(np.frombuffer(data, names[self.c.onnx_infer_tensor_dtype(handle)]).reshape(dims))
        return result


ENGINES = {"onnx_infer": OnnxInfer, "onnxruntime": OnnxRuntime}


def milliseconds(work):
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def worker(name, model_id, threads, isa):
    """Loads, then answers requests until stdin ends."""
    model = models.by_id(model_id)
    inputs = models.draw(model, 0)
    began = time.perf_counter()
    engine = ENGINES[name](str(model.path), threads, isa)
    load = (time.perf_counter() - began) * 1e3
    engine.bind(inputs)
    first = milliseconds(engine.run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"load_ms": load, "first_ms": first, "peak_rss_mb": peak}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "save" in request:
            np.savez(request["save"], *engine.outputs)
            print("{}", flush=True)
        else:
            print(json.dumps([milliseconds(engine.run) for _ in range(request["runs"])]), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    worker(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
