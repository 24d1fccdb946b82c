"""Shape inference with open sizes, against the shapes that the standard's cases come out with.

Every case of tensors is loaded with its declared output shapes taken away and its input sizes replaced by symbols, equal
sizes by the same one (1 stays): once with all inputs open, once with those behind the first as weights. What is then said of
the outputs' types, ranks and sizes ("2*s5 + 1") must hold for the case's own sizes. "?" is no claim; how many sizes are
known is told. The last line is `N passed, M failed`.
"""
import argparse
import ctypes
import re
import sys

import onnx
from onnx import helper

import generate
import harness
import operators
import schemas

NOT_STATIC = re.compile(r"\?")


class Loader:
    """Models through the C interface."""

    def __init__(self):
        self.c = schemas.lib()
        self.c.onnx_infer_model_output.restype = ctypes.c_void_p
        self.c.onnx_infer_model_output.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        for name, result in (("kind", ctypes.c_int32), ("dtype", ctypes.c_int32), ("rank", ctypes.c_int32)):
            getattr(self.c, f"onnx_infer_port_{name}").restype = result
            getattr(self.c, f"onnx_infer_port_{name}").argtypes = [ctypes.c_void_p]
        self.c.onnx_infer_port_dim_expr.restype = ctypes.c_char_p
        self.c.onnx_infer_port_dim_expr.argtypes = [ctypes.c_void_p, ctypes.c_int32]

    def outputs(self, model):
        """[(element type, sizes as text or None where the rank is not known)]; None where the model does not load."""
        data, handle, found = model.SerializeToString(), ctypes.c_void_p(), []
        if self.c.onnx_infer_model_load_memory(data, len(data), None, None, None, ctypes.byref(handle)) != schemas.STATUS_OK:
            return None
        for k in range(len(model.graph.output)):
            port = self.c.onnx_infer_model_output(handle, k)
            rank = self.c.onnx_infer_port_rank(port)
            sizes = [self.c.onnx_infer_port_dim_expr(port, axis).decode() for axis in range(rank)] if rank >= 0 else None
            found.append((self.c.onnx_infer_port_dtype(port), sizes))
        self.c.onnx_infer_model_release(handle)
        return found


def broadcast(*sizes):
    wide = {size for size in sizes if size != 1}
    return max(wide) if wide else 1


def value_of(text, symbols):
    """The number that an expression of sizes stands for."""
    names = {"min": min, "max": max, "broadcast": broadcast, "mod": lambda a, b: a % b, "ceildiv": lambda a, b: -(-a // b),
             "floor": lambda a: a, **symbols}
    return eval(text.replace("/", "//"), {"__builtins__": {}}, names)  # noqa: S307  the library's own text


def opened(model):
    """Replaces sizes of inputs by symbols; {symbol: size}."""
    symbols, weights = {}, {weight.name for weight in model.graph.initializer}
    for port in model.graph.input:
        for dim in port.type.tensor_type.shape.dim:
            if port.name not in weights and dim.HasField("dim_value") and dim.dim_value > 1:
                symbols[f"s{dim.dim_value}"] = dim.dim_value
                dim.dim_param = f"s{dim.dim_value}"
    outputs = [helper.make_empty_tensor_value_info(port.name) for port in model.graph.output]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    del model.graph.value_info[:]
    return symbols


def judge(found, path, symbols):
    """(problem or None, sizes known, sizes in all)."""
    known = every = 0
    for k, (dtype, sizes) in enumerate(found):
        file = path.parent / "test_data_set_0" / f"output_{k}.pb"
        actual = onnx.load_tensor(file)
        every += len(actual.dims)
        if dtype not in (0, actual.data_type):
            return f"output {k} is said to be of type {dtype}, it is of {actual.data_type}", known, every
        if sizes is None:
            continue
        if len(sizes) != len(actual.dims):
            return f"output {k} is said to have rank {len(sizes)}, it has {len(actual.dims)}", known, every
        for axis, (text, size) in enumerate(zip(sizes, actual.dims)):
            if NOT_STATIC.search(text):
                continue
            known += 1
            if value_of(text, symbols) != size:
                return f"output {k}, axis {axis} is said to be {text}, it is {size} with {symbols}", known, every
    return None, known, every


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", metavar="REGEX", default="", help="only cases whose name it finds")
    parser.add_argument("--verbose", action="store_true", help="names cases with sizes that are not known")
    args = parser.parse_args()
    loader, score, known, every = Loader(), harness.Score(), 0, 0
    for path in sorted(generate.cached().glob("*/*/model.onnx")):
        name = f"{path.parent.parent.name}/{path.parent.name}"
        model = onnx.load(path)
        tensors = all(port.type.HasField("tensor_type") for port in (*model.graph.input, *model.graph.output))
        if not re.search(args.filter, name) or not tensors or not (path.parent / "test_data_set_0" / "output_0.pb").is_file():
            continue
        for form, data in enumerate(operators.forms(path, model)):
            shaped = onnx.load_model_from_string(data)
            symbols = opened(shaped)
            found = loader.outputs(shaped)
            if found is None:
                continue
            problem, some, count = judge(found, path, symbols)
            known, every = known + some, every + count
            score.add(problem is None, f"{name}{' with weights' if form else ''}  {problem or ''}")
            if args.verbose and some < count:
                print(f"{name}{' with weights' if form else ''}: {some} of {count} sizes known: {found}")
    print(f"{known} of {every} sizes of outputs are known while input sizes are open")
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
