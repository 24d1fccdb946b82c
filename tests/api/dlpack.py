"""Exchanges tensors with numpy by DLPack through the shared library; the last line is `N passed, M failed`."""
import ctypes
import os
import pathlib
import sys

import numpy as np

import harness

NAME, USED = b"dltensor_versioned", b"used_dltensor_versioned"
api = ctypes.pythonapi
api.PyCapsule_New.restype = ctypes.py_object
api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
api.PyCapsule_GetPointer.restype = ctypes.c_void_p
api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]


def library():
    named = os.environ.get("ONNX_INFER_LIB")
    if named:
        return named
    build = pathlib.Path(harness.tool()).resolve().parents[1]
    for folder in (build, build.parent):
        for path in (folder / ".libs" / "libonnx_infer.so", folder / "libonnx_infer.so"):
            if path.exists():
                return str(path)
    return harness.skip("the shared library is not built")


lib = ctypes.CDLL(library())
for function, result in {"tensor_data": ctypes.c_void_p, "tensor_mutable_data": ctypes.c_void_p, "tensor_bytes": ctypes.c_size_t,
                         "tensor_dims": ctypes.POINTER(ctypes.c_int64)}.items():
    getattr(lib, f"onnx_infer_{function}").restype = result


class Ours:
    """A value of the library as numpy.from_dlpack takes it."""

    def __init__(self, value):
        self.value = value

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self, **_):
        managed = ctypes.c_void_p()
        assert lib.onnx_infer_tensor_to_dlpack(self.value, ctypes.byref(managed)) == 0
        return api.PyCapsule_New(managed, NAME, None)


def from_numpy(array):
    """A value that shares the array's memory."""
    capsule = array.__dlpack__(max_version=(1, 0))
    value = ctypes.c_void_p()
    status = lib.onnx_infer_tensor_from_dlpack(ctypes.c_void_p(api.PyCapsule_GetPointer(capsule, NAME)), ctypes.byref(value))
    if status:
        raise ValueError(status)
    api.PyCapsule_SetName(capsule, USED)
    return value


def main():
    score = harness.Score()
    for dtype in ("f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16"):
        array = (np.arange(24).reshape(2, 3, 4) % 7).astype(dtype)
        value = from_numpy(array)
        score.add(lib.onnx_infer_tensor_data(value) == array.ctypes.data, f"{dtype} shares memory")
        back = np.from_dlpack(Ours(value))
        lib.onnx_infer_value_release(value)
        score.add(back.dtype == array.dtype and np.array_equal(back, array) and back.ctypes.data == array.ctypes.data,
                  f"{dtype} comes back")
        before = sys.getrefcount(array)
        value = from_numpy(array)
        lib.onnx_infer_value_release(value)
        score.add(sys.getrefcount(array) == before, f"{dtype} is given back")
        value = from_numpy(array.transpose(2, 0, 1)[::-1])
        back = np.from_dlpack(Ours(value))
        lib.onnx_infer_value_release(value)
        score.add(np.array_equal(back, array.transpose(2, 0, 1)[::-1]), f"{dtype} strided")
    array = np.arange(4.0)
    array.flags.writeable = False
    value = from_numpy(array)
    score.add(lib.onnx_infer_tensor_mutable_data(value) is None and lib.onnx_infer_tensor_data(value) is not None, "read-only")
    lib.onnx_infer_value_release(value)
    return score.end()


if __name__ == "__main__":
    sys.exit(main())
